"""The report as one page that needs nothing else: pictures and curves lie in it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_segnext.batch.curve import confidence_curve
from napari_segnext.batch.markup import escaped
from napari_segnext.batch.outcome import counted
from napari_segnext.batch.report import versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari_segnext.batch.lines import Where
    from napari_segnext.batch.report import EndOfObject, JobReport, ObjectReport
    from napari_segnext.prompts import ChannelReference

MAX_LISTED = 40
"""Doubtful slices that are written out."""

_STYLE = """
:root { color-scheme: light dark; --fg: #1c1e21; --bg: #ffffff; --quiet: #667; --rule: #d8dce2; --card: #f6f7f9;
  --sure: #2870c4; --doubt: #c4540a; --end: #8a3ab9; }
@media (prefers-color-scheme: dark) { :root { --fg: #e6e8eb; --bg: #17191c; --quiet: #9aa3ad; --rule: #363b42;
  --card: #1f2226; --sure: #6cabf5; --doubt: #f29a4a; --end: #c58af0; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--fg); background: var(--bg); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 0 0 .4rem; }
p { margin: .3rem 0; } a { color: var(--sure); } .quiet { color: var(--quiet); } .warning { color: var(--doubt); }
table { border-collapse: collapse; margin: 1rem 0; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--rule); vertical-align: top; }
th.number, td.number { text-align: right; font-variant-numeric: tabular-nums; }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 1rem; margin: 1rem 0; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; margin-top: .8rem; }
figure { margin: 0; } figure img { display: block; border-radius: 4px; max-width: 100%; }
figcaption { color: var(--quiet); font-size: .87rem; margin-top: .25rem; max-width: 280px; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--quiet); font-size: 12px; }
.grid { stroke: var(--rule); } .limit { stroke: var(--doubt); stroke-dasharray: 4 4; }
.curve { fill: none; stroke: var(--sure); stroke-width: 1.5; } .dot { fill: var(--sure); }
.doubtful { fill: var(--card); stroke: var(--doubt); stroke-width: 2; } .annotated { fill: var(--fg); }
.end { stroke: var(--end); stroke-width: 3; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .5rem 0; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
"""


@dataclass(frozen=True, slots=True)
class Picture:
    """One slice of an object.

    Attributes
    ----------
    png
        Bytes of the file.
    caption
        What it shows.
    """

    png: bytes
    caption: str


def report_page(report: JobReport, pictures: Mapping[str, Iterable[Picture]]) -> str:
    """The page, as HTML that is also XML.

    Parameters
    ----------
    report
        What is known of the volume.
    pictures
        Anchor of an object → pictures of it.
    """
    body = [
        f"<h1>{escaped(report.volume_name)}</h1>",
        f"<p>{_summary(report)}</p>",
        *(f'<p class="warning">{escaped(warning)}</p>' for warning in report.warnings),
        _table(report),
        *(_section(one, report, pictures.get(one.anchor, ())) for one in report.objects),
        _details(report),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en" xmlns="http://www.w3.org/1999/xhtml"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{escaped(report.volume_name)}: propagation</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _summary(report: JobReport) -> str:
    noun = report.objects[0].noun if report.objects else "slice"
    words = f"{counted(len(report.objects), 'object')}, {counted(report.n_slices, noun)} filled"
    if report.n_slices:
        words += (
            f" with a mean confidence of {_number(report.mean_confidence)}, {report.n_doubtful} of them in doubt "
            f"(below {report.doubtful:g})"
        )
    return f"{words}."


def _table(report: JobReport) -> str:
    unit = f", {escaped(report.physical_unit)}" if report.physical_unit else ""
    head = ("Object", "Annotated", "Filled", "In doubt", "Mean", "Least", "Voxels", f"Volume{unit}")
    rows = []
    for one in report.objects:
        known = [row.confidence for row in one.filled]
        cells = (
            str(len(one.annotated)),
            str(len(known)),
            str(len(one.doubtful)),
            _number(sum(known) / len(known) if known else None),
            _number(min(known, default=None)),
            f"{one.n_voxels:,}".replace(",", " "),
            f"{one.physical_volume:.6g}",
        )
        numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
        rows.append(f'<tr><td><a href="#{one.anchor}">{escaped(one.title)}</a></td>{numbers}</tr>')
    headings = f"<th>{head[0]}</th>" + "".join(f'<th class="number">{cell}</th>' for cell in head[1:])
    return f"<table><thead><tr>{headings}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _section(one: ObjectReport, report: JobReport, pictures: Iterable[Picture]) -> str:
    kind = f' <span class="quiet">{escaped(one.class_name)}</span>' if one.class_name else ""
    annotated = ", ".join(f"{one.noun} {row.index}" for row in one.annotated)
    parts = [
        f"<h2>Object {escaped(one.title)}{kind}</h2>",
        f"<p>{'Annotated at' if one.noun == 'time point' else 'Annotated on'} {annotated or 'no slice'}.</p>",
        *(f"<p>{_end_words(end, one.noun)}</p>" for end in one.ends),
    ]
    if one.doubtful:
        listed = ", ".join(map(str, one.doubtful[:MAX_LISTED]))
        more = f" and {len(one.doubtful) - MAX_LISTED} more" if len(one.doubtful) > MAX_LISTED else ""
        parts.append(f'<p class="warning">In doubt: {listed}{more}.</p>')
    if one.slices:
        parts.append(confidence_curve(one, report.doubtful))
    figures = "".join(
        f'<figure><img alt="{escaped(each.caption)}" src="data:image/png;base64,'
        f'{base64.b64encode(each.png).decode("ascii")}"/><figcaption>{escaped(each.caption)}</figcaption></figure>'
        for each in pictures
    )
    return f'<section id="{one.anchor}">{"".join(parts)}<div class="pictures">{figures}</div></section>'


def _end_words(end: EndOfObject, noun: str) -> str:
    way = "Upwards" if end.direction == "up" else "Downwards"
    if end.is_by_rule:
        return f"{way} it ends before {noun} {end.index}: {escaped(end.reason)}."
    return f"{way} to {noun} {end.index}, {escaped(end.reason)}."


def _where_words(where: tuple[Where, ...]) -> str:
    first = where[0]
    if first.is_over_time:
        return f"time, at slice {first.at_slice} along axis {first.axis}"
    times = ", ".join(str(one.time) for one in where if one.time is not None)
    return f"{first.axis}, at time {times}" if times else str(first.axis)


def _channel_words(channel: ChannelReference) -> str:
    words = channel.name if channel.axis is None else f"{channel.name}, {channel.index} along axis {channel.axis}"
    if channel.contrast_limits is not None:
        words += " from {:g} to {:g}".format(*channel.contrast_limits)
    return words if channel.gamma == 1 else f"{words}, gamma {channel.gamma:g}"


def _details(report: JobReport) -> str:
    shape = " × ".join(map(str, report.shape))
    spacing = " × ".join(f"{size:g}" for size in report.spacing)
    per_slice = f", {report.seconds / report.n_slices:.3f} s for each object and slice" if report.n_slices else ""
    entries = {
        "Volume": f"{report.volume_path} ({shape} voxels of {spacing} {report.unit})".replace(" )", ")"),
        "Prompts": report.prompts_path,
        "Axis": _where_words(report.where),
        "Model sees": "; ".join(map(_channel_words, report.channels)) or "the image as it is",
        "Model": f"{report.model.name}, SHA-256 {report.model.sha256 or 'unknown'}",
        "Time": f"{report.seconds:.1f} s on {report.device}{per_slice}",
        "Versions": ", ".join(f"{name} {number}" for name, number in versions().items()),
    }
    listed = "".join(f"<dt>{name}</dt><dd>{escaped(value)}</dd>" for name, value in entries.items())
    legend = (
        "Square: annotated. Ring: in doubt. Bar: a rule ended the object there. Dashed: below it slices are in doubt."
    )
    return f'<p class="quiet">{legend}</p><dl>{listed}</dl>'
