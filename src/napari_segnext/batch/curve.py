"""The confidence of an object from slice to slice, drawn as SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segnext.batch.markup import escaped
from napari_segnext.propagation import Source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_segnext.batch.report import ObjectReport, SliceRow

WIDTH, HEIGHT = 720, 190
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 40

MAX_TICKS = 9
MAX_DOTS = 120
"""Filled slices up to which each has a dot of its own."""


def confidence_curve(report: ObjectReport, doubtful: float) -> str:
    """One inline `<svg>`: the curve, annotated slices as squares, doubtful ones as rings, ends as bars.

    Parameters
    ----------
    report
        What is known of the object; with one slice at least.
    doubtful
        Confidence below which slices are in doubt.
    """
    rows = report.slices
    indices = [row.index for row in rows] + [end.index for end in report.ends if end.is_by_rule]
    scale = _Scale(min(indices), max(indices))
    parts = [*_axes(scale, report.noun), _line(scale, (scale.first, doubtful), (scale.last, doubtful), "limit")]
    parts += [
        f'<polyline class="curve" points="{" ".join(scale.point(row.index, row.confidence) for row in run)}"/>'
        for run in _runs(rows)
    ]
    parts += [_end(scale, end.index, end.reason, report.noun) for end in report.ends if end.is_by_rule]
    n_filled = len(report.filled)
    for row in rows:
        x, y = scale.x(row.index), scale.y(row.confidence)
        words = f"<title>{report.noun} {row.index}: {row.confidence:.2f}, {escaped(row.source.value)}</title>"
        if row.source is Source.ANNOTATED:
            parts.append(
                f'<rect class="annotated" x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10">{words}</rect>'
            )
        elif row.index in report.doubtful:
            parts.append(f'<circle class="doubtful" cx="{x:.1f}" cy="{y:.1f}" r="4">{words}</circle>')
        elif n_filled <= MAX_DOTS:
            parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="2.5">{words}</circle>')
    label = f"Confidence of object {escaped(report.title)} by {report.noun}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        + "".join(parts)
        + "</svg>"
    )


class _Scale:
    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last

    def x(self, index: float) -> float:
        share = 0.5 if self.last == self.first else (index - self.first) / (self.last - self.first)
        return LEFT + 8 + share * (WIDTH - LEFT - RIGHT - 16)

    def y(self, confidence: float) -> float:
        return TOP + (1 - confidence) * (HEIGHT - TOP - BOTTOM)

    def point(self, index: float, confidence: float) -> str:
        return f"{self.x(index):.1f},{self.y(confidence):.1f}"


def _runs(rows: Iterable[SliceRow]) -> list[list[SliceRow]]:
    """Rows of neighbouring slices."""
    runs: list[list[SliceRow]] = []
    for row in rows:
        if runs and row.index == runs[-1][-1].index + 1:
            runs[-1].append(row)
        else:
            runs.append([row])
    return runs


def _axes(scale: _Scale, noun: str) -> list[str]:
    parts = []
    for level in (0.0, 0.5, 1.0):
        y = scale.y(level)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{level:g}</text>')
    n_slices = scale.last - scale.first + 1
    step = next(one for one in _steps() if n_slices / one <= MAX_TICKS)
    first_tick = -(-scale.first // step) * step
    for index in range(first_tick, scale.last + 1, step):
        parts.append(f'<text x="{scale.x(index):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{index}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle:.1f}" y="{HEIGHT - 4}" text-anchor="middle">{noun}</text>')
    return parts


def _steps() -> Iterable[int]:
    factor = 1
    while True:
        yield from (factor, 2 * factor, 5 * factor)
        factor *= 10


def _line(scale: _Scale, start: tuple[float, float], stop: tuple[float, float], kind: str) -> str:
    (x1, y1), (x2, y2) = ((scale.x(index), scale.y(level)) for index, level in (start, stop))
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _end(scale: _Scale, index: int, reason: str, noun: str) -> str:
    x, words = scale.x(index), f"<title>ended at {noun} {index}: {escaped(reason)}</title>"
    return f'<line class="end" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}">{words}</line>'
