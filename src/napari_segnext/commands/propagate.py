"""`propagate`: volumes filled from prompts files, one after the other or on a cluster."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_segnext.commands.exits import USAGE, CommandError, Interrupted
from napari_segnext.commands.options import (
    CacheFolder,
    CacheSize,
    Channels,
    Device,
    UsesCache,
    channel_names,
    slice_range,
    time_point,
)
from napari_segnext.commands.progress import progress
from napari_segnext.commands.scheduler import Scheduler, checked_model, quieten_dask

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari_segnext.batch import BatchJob, BatchPlan, JobOutcome
    from napari_segnext.commands.progress import Report


def propagate(
    volumes: Annotated[
        list[Path],
        typer.Argument(
            metavar="VOLUME...",
            help="NIfTI, TIFF, zarr, folders of images or of BraTS cases; patterns, too.",
            show_default=False,
        ),
    ],
    prompts: Annotated[
        Path,
        typer.Option(
            "--prompts",
            "-p",
            help="Prompts file for all volumes, or a folder with STEM.json or STEM.prompts.json for each.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Folder for labels and reports, or a file of labels: .nii.gz, .tif or .zarr.",
            show_default=False,
        ),
    ],
    suffix: Annotated[
        str,
        typer.Option(
            help="Of labels in a folder: .nii.gz, .tif, .zarr. By default as of the volume, else .tif.",
            show_default=False,
        ),
    ] = "",
    axis: Annotated[
        int | None,
        typer.Option(
            metavar="0|1|2",
            help="Along which slices follow each other. By default the one of the prompts file.",
            show_default=False,
        ),
    ] = None,
    time: Annotated[
        str,
        typer.Option(
            metavar="T|all",
            help="Time point, from 0, within which objects are propagated; all for each that has prompts. By default "
            "the one that has.",
            show_default=False,
        ),
    ] = "",
    over_time: Annotated[
        bool, typer.Option("--over-time", help="Follow objects from time point to time point, on one slice.")
    ] = False,
    at_slice: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Which slice, with --over-time. By default the one with prompts.", show_default=False
        ),
    ] = None,
    slices: Annotated[
        str,
        typer.Option(
            metavar="A:B",
            help="First slice to fill and the one after the last; all by default. With --over-time, time points.",
        ),
    ] = "",
    direction: Annotated[
        str, typer.Option(metavar="both|up|down", help="Where objects go on beyond their last annotated slices.")
    ] = "both",
    min_overlap: Annotated[
        float, typer.Option(help="Objects end below this IoU with the slice before. 0 is off, as below.")
    ] = 0.2,
    min_area: Annotated[int, typer.Option(help="Objects end below this area in pixels.")] = 4,
    max_area_ratio: Annotated[
        float, typer.Option(help="Objects end where the area changes by more than this factor.")
    ] = 3.0,
    min_confidence: Annotated[float, typer.Option(help="Objects end below this confidence.")] = 0.25,
    min_likeness: Annotated[
        float, typer.Option(help="Objects end where they look less than this like the annotated slices.")
    ] = 0.3,
    stop_at_border: Annotated[
        bool, typer.Option("--stop-at-border", help="Objects end where they reach the border of the image.")
    ] = False,
    no_stop: Annotated[
        bool, typer.Option("--no-stop", help="All these rules off: objects end only where nothing is found.")
    ] = False,
    model: Annotated[
        str, typer.Option("--model", "-m", help="Name or path; by default the one named in the prompts file.")
    ] = "",
    device: Device = "auto",
    zoom: Annotated[
        bool | None,
        typer.Option(
            "--zoom/--no-zoom",
            help="Look closely at the region about each object, or at whole slices only. By default as the prompts "
            "file says, else as the model prefers.",
            show_default=False,
        ),
    ] = None,
    contrast_limits: Annotated[
        tuple[float, float] | None,
        typer.Option(
            help="Black and white. By default uint8 as it is, other slices by percentiles.", metavar="LOW HIGH"
        ),
    ] = None,
    channels: Channels = "",
    per_object: Annotated[
        bool, typer.Option("--per-object", help="One file for each object, NAME_0001 and so on.")
    ] = False,
    without_time: Annotated[
        bool, typer.Option("--without-time", help="Labels of the one time point, (Z, Y, X), not of all, (T, Z, Y, X).")
    ] = False,
    doubtful: Annotated[float, typer.Option(help="Slices below this confidence are listed as doubtful.")] = 0.5,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Do volumes again that are done, and replace files of other origin.")
    ] = False,
    cache: UsesCache = True,
    cache_folder: CacheFolder = None,
    cache_size: CacheSize = None,
    scheduler: Scheduler = "",
) -> None:
    """Fill volumes from a few annotated slices, and write labels and a report with pictures for each.

    After Ctrl-C, or any other end, the same command goes on where it ended: volumes that are done are skipped. What is
    wrong with one volume does not stop the others.
    """
    from napari_segnext._disk_cache import disk_cache_settings

    wanted = slice_range(slices)
    if not cache and (cache_folder is not None or cache_size is not None):
        raise CommandError("--no-cache goes with neither --cache-folder nor --cache-size; leave one of them out.")
    on_disk = disk_cache_settings(cache_folder, cache_size) if cache else None

    from napari_segnext.batch import BatchSettings, plan_jobs
    from napari_segnext.propagation import StopRules

    rules = StopRules(
        min_area or None,
        min_overlap or None,
        max_area_ratio or None,
        min_confidence or None,
        min_likeness or None,
        stop_at_border,
    )
    settings = BatchSettings(
        axis=axis,
        time=time_point(time),
        over_time=over_time,
        at_slice=at_slice,
        slices=wanted,
        direction=direction,  # type: ignore[arg-type]
        rules=StopRules.none() if no_stop else rules,
        model=checked_model(model, device, is_here=not scheduler),
        device=device,
        zoom=zoom,
        contrast_limits=contrast_limits or None,
        channels=channel_names(channels),
        per_object=per_object,
        without_time=without_time,
        doubtful=doubtful,
        cache=on_disk,
    )
    _run(plan_jobs(volumes, prompts, output, settings, suffix=suffix), scheduler, overwrite=overwrite)


def _run(plan: "BatchPlan", scheduler: str, *, overwrite: bool) -> None:
    """Do the jobs, say what became of each, and write the summary, whatever happens."""
    outcomes = list(plan.failures)
    for failure in plan.failures:
        _say(failure)
    try:
        with closing(_on_cluster(plan, scheduler, overwrite) if scheduler else _here(plan, overwrite)) as steps:
            for outcome in steps:
                outcomes.append(outcome)
                _say(outcome)
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"{_n_done(outcomes)} of {plan.n_volumes} volumes are done; the same command goes on from there."
        ) from error
    finally:
        _write_summary(plan, outcomes)
    _finish(plan, outcomes)


def _here(plan: "BatchPlan", overwrite: bool) -> "Generator[JobOutcome, None, None]":
    from napari_segnext.batch import iterate_batch

    for number, job in enumerate(plan.jobs, start=1):
        what = job.volume.name if len(plan.jobs) == 1 else f"{job.volume.name} ({number} of {len(plan.jobs)})"
        with progress(what, 100, unit="%") as report:
            yield from iterate_batch([job], overwrite=overwrite, on_progress=_in_percent(report))


def _in_percent(report: "Report") -> "Callable[[BatchJob, int, int], None]":
    return lambda job, done, total: report(100 * done // max(1, total), "")


def _on_cluster(plan: "BatchPlan", address: str, overwrite: bool) -> "Generator[JobOutcome, None, None]":
    from napari_segnext.batch.cluster import iterate_on_cluster

    quieten_dask()
    with progress("propagating", len(plan.jobs), unit="volumes") as report:
        yield from iterate_on_cluster(plan.jobs, address, overwrite=overwrite, on_progress=report)


def _say(outcome: "JobOutcome") -> None:
    for warning in outcome.warnings if outcome.state == "done" else ():
        typer.echo(f"warning: {outcome.volume.name}: {warning}", err=True)
    if outcome.state == "failed":
        typer.echo(f"error: {outcome.line}", err=True)
    else:
        typer.echo(outcome.line)


def _n_done(outcomes: "list[JobOutcome]") -> int:
    return sum(one.state != "failed" for one in outcomes)


def _write_summary(plan: "BatchPlan", outcomes: "list[JobOutcome]") -> None:
    from napari_segnext.batch import write_summary

    if plan.summary is not None:
        write_summary(plan.summary, outcomes, plan.n_volumes)


def _finish(plan: "BatchPlan", outcomes: "list[JobOutcome]") -> None:
    """Say what came of it all; the exit status tells whether something failed."""
    failed = [one for one in outcomes if one.state == "failed"]
    if failed and plan.n_volumes > 1:
        where = "" if plan.summary is None else f" '{plan.summary}' tells which."
        typer.echo(f"{len(failed)} of {plan.n_volumes} volumes failed.{where}", err=True)
    if failed:
        raise typer.Exit(USAGE)
