"""`embed`: the slices of volumes, encoded into the cache on disk."""

from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_segnext.commands.exits import USAGE, CommandError, Interrupted
from napari_segnext.commands.options import (
    CacheFolder,
    CacheSize,
    Channels,
    Device,
    channel_names,
    disk_cache,
    slice_range,
    time_point,
)
from napari_segnext.commands.progress import progress
from napari_segnext.commands.scheduler import Scheduler, checked_model, quieten_dask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_segnext._disk_cache import DiskCacheSettings
    from napari_segnext.batch import BatchSettings
    from napari_segnext.batch.embed_on_cluster import EmbedOutcome
    from napari_segnext.propagation import EmbeddedSlice
    from napari_segnext.session import EmbeddingStore

_GOES_ON = "What was encoded is kept; the same command goes on from there."


def embed(
    volumes: Annotated[
        list[Path],
        typer.Argument(
            metavar="VOLUME...", help="NIfTI, TIFF, zarr, folders of images or of BraTS cases.", show_default=False
        ),
    ],
    prompts: Annotated[
        Path | None,
        typer.Option(
            "--prompts",
            "-p",
            help="Prompts file that is to be propagated: model, channels with their contrast, zoom, axis and time are "
            "then those of it.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option("--model", "-m", help="Name or path; by default that of the prompts file, or the bundled one."),
    ] = "",
    axis: Annotated[
        int | None,
        typer.Option(
            metavar="0|1|2",
            help="Along which slices follow each other. By default 0, or as in the prompts file.",
            show_default=False,
        ),
    ] = None,
    time: Annotated[
        str, typer.Option(metavar="T|all", help="Time point, from 0; all by default.", show_default=False)
    ] = "",
    slices: Annotated[
        str, typer.Option(metavar="A:B", help="First slice and the one after the last; all by default.")
    ] = "",
    device: Device = "auto",
    contrast_limits: Annotated[
        tuple[float, float] | None,
        typer.Option(
            help="Black and white. By default uint8 as it is, other slices by percentiles.", metavar="LOW HIGH"
        ),
    ] = None,
    channels: Channels = "",
    zoom: Annotated[
        bool | None,
        typer.Option("--zoom/--no-zoom", help="As work on them will. By default as the model prefers."),
    ] = None,
    cache_folder: CacheFolder = None,
    cache_size: CacheSize = None,
    scheduler: Scheduler = "",
    slices_per_task: Annotated[
        int, typer.Option(metavar="N", min=1, help="Encoded by one task, with --scheduler.")
    ] = 8,
) -> None:
    """Encode the slices of volumes ahead, so that the annotator and the other commands find them on disk.

    After Ctrl-C, or any other end, the same command goes on where it ended.
    """
    from napari_segnext._disk_cache import disk_cache_settings

    wanted = slice_range(slices)
    on_disk = disk_cache_settings(cache_folder, cache_size)
    if on_disk is None:
        raise CommandError("the size of the cache is 0 GB; expected room for embeddings. Give some with --cache-size.")

    from napari_segnext.batch import BatchSettings

    settings = BatchSettings(
        axis=axis,
        time=time_point(time),
        slices=wanted,
        model=checked_model(model, device, is_here=not scheduler),
        device=device,
        zoom=zoom,
        contrast_limits=contrast_limits or None,
        channels=channel_names(channels),
        cache=on_disk,
    )
    if scheduler:
        _on_cluster(volumes, prompts, settings, scheduler, slices_per_task)
        return
    with disk_cache(cache_folder, cache_size):
        _here(volumes, prompts, settings)


def _here(volumes: list[Path], prompts: Path | None, settings: "BatchSettings") -> None:
    from napari_segnext.batch import slices_to_embed
    from napari_segnext.batch.said import model_named
    from napari_segnext.prompts import PromptsFile, read_prompts_file
    from napari_segnext.propagation import embed_volume
    from napari_segnext.weights import load_model

    wanted = settings.slices
    said = None if prompts is None else read_prompts_file(prompts)
    opened = [slices_to_embed(path, settings, said) for path in volumes]
    loaded = load_model(model_named(said or PromptsFile(), settings), settings.device)
    for path, lines in zip(volumes, opened, strict=True):
        steps = [
            embed_volume(loaded, one.volume, slices=wanted, contrast_limits=one.contrast_limits, zoom=one.zoom)
            for one in lines
        ]
        n_slices = sum(one.volume.n_slices(0) if wanted is None else wanted[1] - wanted[0] for one in lines)
        _follow(path, n_slices, chain(*steps))


def _on_cluster(
    volumes: list[Path], prompts: Path | None, settings: "BatchSettings", address: str, slices_per_task: int
) -> None:
    """Encode all volumes, and say what became of each."""
    from napari_segnext.batch.embed_on_cluster import EmbedJob, iterate_embed_on_cluster
    from napari_segnext.batch.outcome import counted

    said = None if prompts is None else prompts.absolute()
    jobs = [EmbedJob(path.absolute(), settings, said) for path in volumes]
    outcomes: list[EmbedOutcome] = []
    quieten_dask()
    try:
        with progress("encoding", len(jobs), unit="volumes") as report:
            steps = iterate_embed_on_cluster(jobs, address, slices_per_task=slices_per_task, on_progress=report)
            with closing(steps):
                for outcome in steps:
                    outcomes.append(outcome)
                    _say(outcome)
                    if sum(one.n_slices > 0 for one in outcomes) == 1:
                        _warn_if_all_are_too_many(outcome, len(jobs), settings.cache)
    except KeyboardInterrupt as error:
        raise Interrupted(_GOES_ON) from error
    n_failed = sum(bool(one.error) for one in outcomes)
    if n_failed:
        typer.echo(f"{n_failed} of {counted(len(jobs), 'volume')} failed.", err=True)
        raise typer.Exit(USAGE)


def _follow(path: Path, n_slices: int, steps: "Iterator[EmbeddedSlice]") -> None:
    """Encode one volume, and say what came of it."""
    from napari_segnext.session import shared_cache

    store = shared_cache().store
    if store is None:
        raise CommandError("there is no cache on disk; expected one.")
    n_new = 0
    try:
        with progress(f"encoding {path.name}", n_slices, unit="slices") as report:
            for n_done, step in enumerate(steps, start=1):
                if store.problem:
                    raise CommandError(
                        f"{n_new} new slices of '{path}' are in the cache, and there is no place for more. Make some, "
                        "and run the same command again; it goes on from there."
                    )
                n_new += not step.was_there
                if n_done == 1:
                    _warn_if_too_many(path, n_slices, store)
                report(n_done, f"{n_new} new")
    except KeyboardInterrupt as error:
        raise Interrupted(_GOES_ON) from error
    typer.echo(f"{path}: {n_slices} slices are in the cache ({n_new} new; {store.n_bytes / 1e9:.2f} GB in all)")


def _say(outcome: "EmbedOutcome") -> None:
    if outcome.error:
        typer.echo(f"error: {outcome.volume.name}: {outcome.error}", err=True)
    else:
        typer.echo(f"{outcome.volume}: {outcome.n_slices} slices are in the cache ({outcome.n_new} new)")


def _warn_if_too_many(path: Path, n_slices: int, store: "EmbeddingStore") -> None:
    """Say so where the first slices will be gone before the last ones are there."""
    needed = n_slices * store.n_bytes / max(1, len(store))
    if needed > store.max_bytes:
        _warn(f"'{path}' needs", needed, store)


def _warn_if_all_are_too_many(first: "EmbedOutcome", n_volumes: int, settings: "DiskCacheSettings | None") -> None:
    """The same of all volumes, if they have as many slices as the first one that is done."""
    from napari_segnext.batch.outcome import counted
    from napari_segnext.session import EmbeddingStore

    if settings is None:
        return
    store = EmbeddingStore.of(settings)
    needed = n_volumes * first.n_slices * store.n_bytes / max(1, len(store))
    if needed > store.max_bytes:
        _warn(f"{counted(n_volumes, 'volume')} like '{first.volume.name}' need", needed, store)


def _warn(who_needs: str, needed: float, store: "EmbeddingStore") -> None:
    typer.echo(
        f"warning: {who_needs} about {needed / 1e9:.2f} GB, and the cache holds {store.max_bytes / 1e9:g} GB: "
        "the first slices will be deleted for the last ones. Give it more with --cache-size.",
        err=True,
    )
