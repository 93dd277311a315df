"""What an evaluation found: all numbers, by group, as JSON, table and plot."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.evaluation.metrics import bootstrap_interval, mean_iou_curve, miou_at_k, noc, nof

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from napari_segnext.evaluation.protocol import ObjectResult

MIOU_CLICKS = (1, 3, 5, 10, 20)
"""Clicks after which the mean IoU is reported."""

NOC_PERCENT = (85, 90, 95)
NOF_PERCENT = (90, 95)
"""IoUs, in percent, at which clicks and failures are counted."""


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """The results of one model on one dataset; made of whatever objects there are, it may be partial.

    Attributes
    ----------
    model, dataset
        Their names.
    results
        One for each object, at least one.
    max_clicks
        Clicks that each object could take.
    """

    model: str
    dataset: str
    results: tuple[ObjectResult, ...]
    max_clicks: int = 20

    def __post_init__(self) -> None:
        if not self.results:
            raise ValueError(
                f"there is no result of '{self.model}' on '{self.dataset}'; expected at least one object. "
                "Check that the labels are not empty, and lower the least size of an object."
            )

    @property
    def groups(self) -> dict[str, tuple[ObjectResult, ...]]:
        """Results of each group, groups sorted by name."""
        by_group: defaultdict[str, list[ObjectResult]] = defaultdict(list)
        for result in self.results:
            by_group[result.group].append(result)
        return {group: tuple(by_group[group]) for group in sorted(by_group)}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary, the layout of ``napari-segnext evaluate --json``.

        IoUs are in [0, 1], times in seconds. A mean IoU after more clicks than were made is None.
        """
        return {
            "model": self.model,
            "dataset": self.dataset,
            "n_objects": len(self.results),
            "metrics": compute_metrics(self.results, max_clicks=self.max_clicks),
            "groups": {
                group: {"n_objects": len(results), **compute_metrics(results, max_clicks=self.max_clicks)}
                for group, results in self.groups.items()
            },
            "objects": [{"id": result.id, "group": result.group, "ious": list(result.ious)} for result in self.results],
        }

    def to_json(self) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"

    def to_text(self, *, with_intervals: bool = False) -> str:
        """Table with a line for each group and one for all; IoUs in percent.

        Parameters
        ----------
        with_intervals
            Add 95 % bootstrap intervals to the mean IoUs; the objects of one image count as independent.
        """
        return _table_text(self, with_intervals=with_intervals)


def compute_metrics(results: Sequence[ObjectResult], *, max_clicks: int) -> dict[str, float | int | None]:
    """All metrics of some results.

    Parameters
    ----------
    results
        At least one.
    max_clicks
        Clicks that each object could take.

    Returns
    -------
    dict
        Keys ``mIoU@k``, ``NoC@percent``, ``NoF@percent``, ``seconds_per_click`` (mean over clicks) and
        ``seconds_encode`` (mean over images). A mean IoU after more clicks than were made is None.
    """
    ious = [result.ious for result in results]
    metrics: dict[str, float | int | None] = {f"mIoU@{k}": miou_at_k(ious, k) for k in MIOU_CLICKS}
    for percent in NOC_PERCENT:
        metrics[f"NoC@{percent}"] = noc(ious, percent / 100, max_clicks=max_clicks)
    for percent in NOF_PERCENT:
        metrics[f"NoF@{percent}"] = nof(ious, percent / 100, max_clicks=max_clicks)
    n_clicks = [len(values) for values in ious]
    seconds_per_click = [result.run.seconds_per_click for result in results]
    metrics["seconds_per_click"] = float(np.average(seconds_per_click, weights=n_clicks))
    seconds_by_image = {result.image_id: result.seconds_encode for result in results}
    metrics["seconds_encode"] = float(np.mean(list(seconds_by_image.values())))
    return metrics


def _table_text(report: EvaluationReport, *, with_intervals: bool) -> str:
    rows = [_heading(with_intervals)]
    for name, results in (*report.groups.items(), ("all", report.results)):
        metrics = compute_metrics(results, max_clicks=report.max_clicks)
        mious = [_miou_cell(results, k, metrics[f"mIoU@{k}"], with_intervals) for k in MIOU_CLICKS]
        counts = [f"{metrics[f'NoC@{percent}']:.2f}" for percent in NOC_PERCENT]
        failures = [str(metrics[f"NoF@{percent}"]) for percent in NOF_PERCENT]
        times = [f"{metrics[key]:.3f}" for key in ("seconds_per_click", "seconds_encode")]
        rows.append([name, str(len(results)), *mious, *counts, *failures, *times])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    title = f"{report.model} on {report.dataset}, {report.max_clicks} clicks, IoU in percent"
    return "\n".join([title, *(_line(row, widths) for row in rows)]) + "\n"


def draw_iou_curves(report: EvaluationReport) -> Figure:
    """Mean IoU after each click, a thin line for each group and a thick one for all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    groups = report.groups if len(report.groups) > 1 else {}
    for name, results in groups.items():
        _draw_curve(axes, results, label=f"{name} ({len(results)})", linewidth=1, alpha=0.7)
    _draw_curve(axes, report.results, label=f"all ({len(report.results)})", linewidth=2.5, color="black")
    axes.set(xlabel="clicks", ylabel="mean IoU", ylim=(0, 1), title=f"{report.model} on {report.dataset}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize="small", title="objects in brackets", title_fontsize="small")
    return figure


def write_iou_plot(path: Path | str, report: EvaluationReport) -> None:
    """Write the plot of `draw_iou_curves`; the suffix (.png, .svg, .pdf) decides the format."""
    draw_iou_curves(report).savefig(path, dpi=150)


def _draw_curve(axes: Any, results: Iterable[ObjectResult], **style: Any) -> None:
    curve = mean_iou_curve([result.ious for result in results])
    axes.plot(np.arange(1, len(curve) + 1), curve, marker="." if len(curve) < 3 else None, **style)


def _heading(with_intervals: bool) -> list[str]:
    note = " [95 % interval]" if with_intervals else ""
    mious = [f"mIoU@{k}{note}" for k in MIOU_CLICKS]
    counts = [*(f"NoC{percent}" for percent in NOC_PERCENT), *(f"NoF{percent}" for percent in NOF_PERCENT)]
    return ["group", "objects", *mious, *counts, "s/click", "s/encode"]


def _miou_cell(results: Sequence[ObjectResult], k: int, miou: float | None, with_intervals: bool) -> str:
    if miou is None:
        return "-"
    if not with_intervals:
        return f"{100 * miou:.2f}"
    low, high = bootstrap_interval([result.ious[k - 1] for result in results])
    return f"{100 * miou:.2f} [{100 * low:.1f}, {100 * high:.1f}]"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first = row[0].ljust(widths[0])
    return "  ".join([first, *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])
