"""`benchmark`: what an encoding, a click and a grid of clicks cost here, beside SAM and the machine's limit."""

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_segnext.commands.exits import CommandError, Interrupted
from napari_segnext.commands.options import Device, PrecisionOption, check_report_files
from napari_segnext.commands.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_segnext.evaluation.benchmark import BenchmarkReport


def benchmark(
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="Name or path; may be given several times.", show_default="segnext-tiny"),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            help="sam-vit-b, hq-sam-vit-b or mobile-sam, with random weights; may be given several times. Needs "
            "transformers.",
            show_default=False,
        ),
    ] = None,
    baseline: Annotated[
        str,
        typer.Option(help="Over whose seconds all others' are given.", show_default="the first peer, or model"),
    ] = "",
    device: Device = "auto",
    precision: PrecisionOption = "fp32",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of the processor; by default as many as torch takes.")
    ] = None,
    case: Annotated[
        list[str] | None,
        typer.Option(help="encode, 'first click', 'next object', click or 'grid point'; by default all of them."),
    ] = None,
    side: Annotated[int, typer.Option(min=64, metavar="PX", help="Of the square image.")] = 1024,
    repeats: Annotated[int, typer.Option(min=1, help="Turns; the medians are reported.")] = 5,
    grid: Annotated[int, typer.Option(min=1, help="Points a side; a batch of them is timed.")] = 16,
    batch: Annotated[int, typer.Option(min=1, help="Points of the grid that are answered at once.")] = 4,
    json: Annotated[
        Path | None, typer.Option("--json", help="Write all numbers to this file.", show_default=False)
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw the seconds: .png, .svg or .pdf.", show_default=False)
    ] = None,
) -> None:
    """Time models and peers in turns on one image, and print a Markdown table.

    Ratios hold better than seconds: what else the machine does falls on all alike. Ctrl-C prints what was timed so far.
    """
    check_report_files(json, plot)
    import torch

    from napari_segnext.evaluation.benchmark import (
        CASES,
        BenchmarkSettings,
        ModelContender,
        iterate_benchmark,
        write_benchmark_plot,
    )
    from napari_segnext.evaluation.benchmark.peers import peer as named_peer
    from napari_segnext.weights import load_model

    if threads is not None:
        torch.set_num_threads(threads)
    settings = BenchmarkSettings(tuple(case or CASES), (side, side), repeats, grid, batch)
    try:
        contenders = [
            ModelContender(Path(name).stem, load_model(name, device, precision=precision))
            for name in model or ["segnext-tiny"]
        ]
        peers = [named_peer(name, contenders[0].device) for name in peer or []]
    except ImportError as error:
        raise CommandError(str(error)) from error
    baseline = baseline or (peers or contenders)[0].name
    report = _timed(iterate_benchmark([*contenders, *peers], settings, baseline=baseline), len(settings.cases))
    typer.echo(report.table())
    if json is not None:
        json.write_text(dumps(report.to_dict(), indent=1) + "\n", encoding="utf8")
    if plot is not None:
        write_benchmark_plot(plot, report)
    if len({result.case for result in report.results}) < len(settings.cases):
        raise Interrupted("The numbers above are those of the cases done so far. To time all, run it again.")


def _timed(reports: "Iterator[BenchmarkReport]", n_cases: int) -> "BenchmarkReport":
    """The last report; the one so far after Ctrl-C."""
    report = None
    with progress("timing", n_cases, unit="cases") as show:
        try:
            for n_done, report in enumerate(reports, start=1):
                show(n_done, report.results[-1].case)
        except KeyboardInterrupt:
            if report is None:
                raise
    if report is None:
        raise CommandError("no case was timed; expected one at least. Name one with --case.")
    return report
