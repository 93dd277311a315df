"""What an evaluation found: all numbers, by group, by first prompt and beside peers, as JSON, table and plot."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.evaluation.metrics import bootstrap_interval, mean_iou_curve, miou_at_k, noc, nof

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from napari_segnext.evaluation.protocol import ObjectResult

MIOU_CLICKS = (1, 3, 5, 10, 20)
"""Clicks after which the mean IoU and the mean boundary IoU are reported."""

NOC_PERCENT = (85, 90, 95)
NOF_PERCENT = (90, 95)
"""IoUs, in percent, at which clicks and failures are counted."""

BIOU_CLICKS = (1, 5, 20)
"""Of the boundary IoUs, those that the tables show."""

_CURVE_HEADING = [
    *(f"mIoU@{k}" for k in MIOU_CLICKS),
    *(f"BIoU@{k}" for k in BIOU_CLICKS),
    *("s/click", "s/encode"),
]


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """The results of one method on one dataset; made of whatever objects there are, it may be partial.

    Attributes
    ----------
    model, dataset
        Their names; a peer's name stands for the model's.
    results
        One for each object, at least one, all with the same kind of first prompt.
    max_clicks
        Prompts that each object could take.
    zoom
        Whether the model answered on windows about the object.
    prompts
        Kind of first prompt → results of the same objects begun with it, where several kinds were evaluated.
    peers
        Reports of other methods on the same objects.
    """

    model: str
    dataset: str
    results: tuple[ObjectResult, ...]
    max_clicks: int = 20
    zoom: bool = False
    prompts: Mapping[str, tuple[ObjectResult, ...]] = field(default_factory=dict)
    peers: tuple[EvaluationReport, ...] = ()

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

    @property
    def first_prompt(self) -> str:
        """Kind of prompt with which `results` began."""
        return self.results[0].first_prompt

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary, the layout of ``napari-segnext evaluate --json``.

        IoUs are in [0, 1], times in seconds. A mean IoU after more clicks than were made is None. ``peers`` holds, by
        name, the same keys from ``n_objects`` on, and ``max_clicks``.
        """
        return {
            "model": self.model,
            "dataset": self.dataset,
            **self._numbers(),
            "zoom": self.zoom,
            "first_prompt": self.first_prompt,
            "peers": {peer.model: {"max_clicks": peer.max_clicks, **peer._numbers()} for peer in self.peers},
        }

    def to_json(self) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"

    def to_text(self, *, with_intervals: bool = False) -> str:
        """Tables; IoUs in percent.

        The first has a line for each group and one for all. Where there are peers, a second has a line for each group
        and method; where there are several kinds of first prompt, a last one has a line for each kind and method.

        Parameters
        ----------
        with_intervals
            Add 95 % bootstrap intervals to the mean IoUs; the objects of one image count as independent.
        """
        tables = [_table_text(self, with_intervals=with_intervals)]
        if self.peers:
            tables.append(_peers_text(self))
        if self.prompts:
            tables.append(_prompts_text(self))
        return "\n".join(tables)

    def _numbers(self) -> dict[str, Any]:
        return {
            "n_objects": len(self.results),
            "metrics": compute_metrics(self.results, max_clicks=self.max_clicks),
            "groups": {
                group: {"n_objects": len(results), **compute_metrics(results, max_clicks=self.max_clicks)}
                for group, results in self.groups.items()
            },
            "objects": [
                {
                    "id": result.id,
                    "group": result.group,
                    "ious": list(result.ious),
                    "boundary_ious": list(result.boundary_ious),
                }
                for result in self.results
            ],
            "prompts": {
                kind: compute_metrics(results, max_clicks=self.max_clicks) for kind, results in self.prompts.items()
            },
        }


def report_side_by_side(
    rounds: Iterable[tuple[ObjectResult, ...]],
    dataset: str,
    max_clicks: Mapping[str, int],
    *,
    zoom: bool,
) -> EvaluationReport:
    """Sort the results of `evaluate_side_by_side` into a report of the first method with the others as its peers.

    Parameters
    ----------
    rounds
        As `evaluate_side_by_side` yields them.
    dataset
        Its name.
    max_clicks
        Name of each method → its prompts per object. The first one is reported on, the others are its peers.
    zoom
        Of the first method.

    Raises
    ------
    ValueError
        If there is no object, or if two results of an object are of the same method and first prompt.
    """
    rounds = list(rounds)
    for results in rounds:
        _require_told_apart(results)
    by_method: dict[str, dict[str, list[ObjectResult]]] = {name: {} for name in max_clicks}
    for result in (result for results in rounds for result in results):
        by_method[result.method].setdefault(result.first_prompt, []).append(result)
    (main, *peers) = [
        _report_of(name, dataset, {kind: tuple(results) for kind, results in kinds.items()}, max_clicks[name])
        for name, kinds in by_method.items()
    ]
    return replace(main, zoom=zoom, peers=tuple(peers))


def _require_told_apart(results: Sequence[ObjectResult]) -> None:
    """Refuse results of one object that would be taken for those of two objects."""
    kinds = [(result.method, result.first_prompt) for result in results]
    for method, first_prompt in kinds:
        if kinds.count((method, first_prompt)) > 1:
            raise ValueError(
                f"object '{results[0].id}' has several results of method '{method}' with first prompt "
                f"'{first_prompt}'; expected one. Give each method its own name, and each kind of first prompt once."
            )


def _report_of(
    name: str, dataset: str, kinds: dict[str, tuple[ObjectResult, ...]], max_clicks: int
) -> EvaluationReport:
    """Report of one method; the first kind of prompt is reported on in full."""
    first = next(iter(kinds.values()), ())
    return EvaluationReport(name, dataset, first, max_clicks, prompts=kinds if len(kinds) > 1 else {})


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
        Keys ``mIoU@k``, ``NoC@percent``, ``NoF@percent``, ``seconds_per_click`` (mean over clicks), ``seconds_encode``
        (mean over images) and ``BIoU@k`` (boundary IoU). A mean IoU after more clicks than were made is None.
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
    boundary_ious = [result.boundary_ious for result in results]
    for k in MIOU_CLICKS:
        metrics[f"BIoU@{k}"] = miou_at_k(boundary_ious, k) if all(boundary_ious) else None
    return metrics


def _table_text(report: EvaluationReport, *, with_intervals: bool) -> str:
    rows = [_heading(with_intervals)]
    for name, results in (*report.groups.items(), ("all", report.results)):
        metrics = compute_metrics(results, max_clicks=report.max_clicks)
        mious = [_miou_cell(results, k, metrics[f"mIoU@{k}"], with_intervals) for k in MIOU_CLICKS]
        boundaries = [_percent(metrics[f"BIoU@{k}"]) for k in BIOU_CLICKS]
        counts = [f"{metrics[f'NoC@{percent}']:.2f}" for percent in NOC_PERCENT]
        failures = [str(metrics[f"NoF@{percent}"]) for percent in NOF_PERCENT]
        rows.append([name, str(len(results)), *mious, *boundaries, *counts, *failures, *_times(metrics)])
    title = f"{report.model} on {report.dataset}, {report.max_clicks} clicks, IoU in percent"
    return _aligned(title, rows, n_names=1)


def _peers_text(report: EvaluationReport) -> str:
    """A line for each group and method, on the same objects."""
    rows = [["group", "method", "objects", *_CURVE_HEADING]]
    for group in (*report.groups, "all"):
        for each in (report, *report.peers):
            results = each.results if group == "all" else each.groups[group]
            rows.append([group, each.model, str(len(results)), *_curve_cells(results, each.max_clicks)])
    return _aligned(f"side by side, first prompt {report.first_prompt}, IoU in percent", rows, n_names=2)


def _prompts_text(report: EvaluationReport) -> str:
    """A line for each kind of first prompt and method, on the same objects."""
    rows = [["first prompt", "method", "objects", *_CURVE_HEADING]]
    for kind in report.prompts:
        for each in (report, *report.peers):
            results = each.prompts[kind]
            rows.append([kind, each.model, str(len(results)), *_curve_cells(results, each.max_clicks)])
    return _aligned("by first prompt, which counts as the first click, IoU in percent", rows, n_names=2)


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
    return ["group", "objects", *mious, *(f"BIoU@{k}" for k in BIOU_CLICKS), *counts, "s/click", "s/encode"]


def _miou_cell(results: Sequence[ObjectResult], k: int, miou: float | None, with_intervals: bool) -> str:
    if miou is None or not with_intervals:
        return _percent(miou)
    low, high = bootstrap_interval([result.ious[k - 1] for result in results])
    return f"{100 * miou:.2f} [{100 * low:.1f}, {100 * high:.1f}]"


def _curve_cells(results: Sequence[ObjectResult], max_clicks: int) -> list[str]:
    metrics = compute_metrics(results, max_clicks=max_clicks)
    keys = [*(f"mIoU@{k}" for k in MIOU_CLICKS), *(f"BIoU@{k}" for k in BIOU_CLICKS)]
    return [*(_percent(metrics[key]) for key in keys), *_times(metrics)]


def _times(metrics: dict[str, float | int | None]) -> list[str]:
    return [f"{metrics[key]:.3f}" for key in ("seconds_per_click", "seconds_encode")]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _aligned(title: str, rows: Sequence[Sequence[str]], *, n_names: int) -> str:
    """A title and rows; the first columns are names and flush left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if column < n_names else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join([title, *lines]) + "\n"
