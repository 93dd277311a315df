"""What a benchmark found, as table, plot and JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from napari_segnext.evaluation.benchmark.turns import Spread, ratios, spread

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from napari_segnext.evaluation.benchmark.counts import Work
    from napari_segnext.evaluation.benchmark.machine import MachinePeak


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case of one contender.

    Attributes
    ----------
    case, contender
        Names.
    seconds
        Of each turn; of a grid, for one point.
    work
        Counted once; of a grid, for one point.
    peak_bytes
        Memory beside what was held before; None where it cannot be measured.
    """

    case: str
    contender: str
    seconds: tuple[float, ...]
    work: Work
    peak_bytes: int | None


@dataclass(frozen=True, slots=True)
class BenchmarkReport:
    """All cases of all contenders.

    Attributes
    ----------
    baseline
        The contender over whose seconds the others' are given.
    results
        Case by case.
    peak
        What the machine can do.
    machine
        Its name, threads, and the version of torch.
    image_shape
        (rows, columns).
    grid
        Points a side.
    """

    baseline: str
    results: tuple[CaseResult, ...]
    peak: MachinePeak
    machine: str
    image_shape: tuple[int, int]
    grid: int

    def ratio(self, result: CaseResult) -> Spread | None:
        """Seconds over the baseline's, turn by turn; None if it was not timed in that case."""
        theirs = [one for one in self.results if one.case == result.case and one.contender == self.baseline]
        return ratios(result.seconds, theirs[0].seconds) if theirs else None

    def share_of_limit(self, result: CaseResult) -> float:
        """The least seconds that the machine needs for this work, over those taken; 1 cannot be exceeded by much."""
        return self.peak.least_seconds(result.work) / spread(result.seconds).median

    def share_of_arithmetic(self, result: CaseResult) -> float:
        """Floating-point operations per second, over those of the largest matrix products."""
        return result.work.n_flops / spread(result.seconds).median / self.peak.flops_per_s

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return {
            "machine": self.machine,
            "peak": asdict(self.peak),
            "image_shape": list(self.image_shape),
            "grid": self.grid,
            "baseline": self.baseline,
            "results": [
                {
                    **asdict(result),
                    "spread": asdict(spread(result.seconds)),
                    "ratio": None if (ratio := self.ratio(result)) is None else asdict(ratio),
                    "share_of_limit": self.share_of_limit(result),
                    "share_of_arithmetic": self.share_of_arithmetic(result),
                }
                for result in self.results
            ],
        }

    def table(self) -> str:
        """Markdown."""
        peak = f"{self.peak.flops_per_s / 1e9:.0f} GFLOP/s, {self.peak.bytes_per_s / 1e9:.1f} GB/s"
        lines = [
            f"{self.machine}; measured peak {peak}; image {self.image_shape[0]} × {self.image_shape[1]}",
            "",
            f"| case | | seconds (quartiles) | over {self.baseline} (quartiles) | GFLOP | GB moved "
            "| of the matrix peak | of the limit | memory |",
            "|---|---|---|---|---|---|---|---|---|",
            *(self._row(result) for result in self.results),
        ]
        points = [result for result in self.results if result.case == "grid point"]
        lines += [
            f"| grid of {self.grid} × {self.grid} ({self.grid**2} times a point) | {result.contender} "
            f"| {spread(result.seconds).median * self.grid**2:.1f} | | | | | | |"
            for result in points
        ]
        return "\n".join(lines) + "\n"

    def _row(self, result: CaseResult) -> str:
        seconds, ratio = spread(result.seconds), self.ratio(result)
        against = "" if ratio is None else f"**{ratio.median:.2f}** ({ratio.low:.2f} to {ratio.high:.2f})"
        memory = "" if result.peak_bytes is None else f"{result.peak_bytes / 1e6:.0f} MB"
        return (
            f"| {result.case} | {result.contender} | {seconds.median:.4g} ({seconds.low:.4g} to {seconds.high:.4g}) "
            f"| {against} | {result.work.n_flops / 1e9:.3g} | {result.work.n_bytes / 1e9:.3g} "
            f"| {self.share_of_arithmetic(result):.2f} | {self.share_of_limit(result):.2f} | {memory} |"
        )


def draw_benchmark(report: BenchmarkReport) -> Figure:
    """A panel for each case: a bar for each contender, its quartiles, and the least that the machine would need."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    cases = list(dict.fromkeys(result.case for result in report.results))
    names = list(dict.fromkeys(result.contender for result in report.results))
    figure = Figure(figsize=(8, 0.7 + len(cases) * (0.5 + 0.22 * len(names))), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(max(len(cases), 1), 1, squeeze=False)[:, 0]
    for axes, case in zip(panels, cases, strict=False):
        results = [result for result in report.results if result.case == case]
        _draw_case(axes, results, report)
    panels[-1].set_xlabel("seconds; the black line is the least that this machine needs for the work", fontsize="small")
    figure.suptitle(report.machine, fontsize="small")
    return figure


def write_benchmark_plot(path: Path | str, report: BenchmarkReport) -> None:
    """Write the plot of `draw_benchmark`; the suffix (.png, .svg, .pdf) decides the format."""
    draw_benchmark(report).savefig(path, dpi=150)


def _draw_case(axes: Any, results: list[CaseResult], report: BenchmarkReport) -> None:
    spreads = [spread(result.seconds) for result in results]
    medians = [each.median for each in spreads]
    errors = [[each.median - each.low for each in spreads], [each.high - each.median for each in spreads]]
    places = range(len(results))
    axes.barh(places, medians, xerr=errors, color="#4477aa", height=0.7, error_kw={"elinewidth": 1})
    least = [report.peak.least_seconds(result.work) for result in results]
    axes.plot(least, places, "|", color="black", markersize=10, label="least for this work on this machine")
    for place, result, each in zip(places, results, spreads, strict=True):
        ratio = report.ratio(result)
        axes.annotate(
            f" {each.median:.3g} s" + ("" if ratio is None else f"  (× {ratio.median:.2f})"),
            (each.high, place),
            va="center",
            fontsize="x-small",
            xytext=(6, 0),
            textcoords="offset points",
        )
    axes.set_yticks(list(places), [result.contender for result in results], fontsize="x-small")
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set_title(results[0].case, fontsize="small", loc="left")
    axes.tick_params(axis="x", labelsize="x-small")
    axes.spines[["top", "right"]].set_visible(False)
