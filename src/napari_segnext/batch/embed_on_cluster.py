"""Slices of many volumes encoded on a dask cluster, a chunk in each task, into the cache that all workers share.

1. A look at each volume says which slices there are.
2. Each chunk of them is a task; slices that the cache holds are not encoded again.

How many volumes are begun at a time, and in which order, is told in `in_flight.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_segnext.batch.cluster import CHUNK_SLICES, chunked, unseen_error
from napari_segnext.batch.embed import slices_to_embed
from napari_segnext.batch.in_flight import Task, TaskError, iterate_in_flight
from napari_segnext.batch.resources import FileStamp, last_images, model_for, writing_cache_for
from napari_segnext.batch.said import model_named
from napari_segnext.errors import BatchError
from napari_segnext.prompts import PromptsFile
from napari_segnext.prompts.prompts_file import read_prompts_file
from napari_segnext.propagation import embed_volume

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from pathlib import Path

    from napari_segnext.batch.embed import SlicesToEmbed
    from napari_segnext.batch.in_flight import Work
    from napari_segnext.batch.job import BatchSettings


@dataclass(frozen=True, slots=True)
class EmbedJob:
    """A volume whose slices are to be encoded; a value that another process can be sent.

    Attributes
    ----------
    volume
        Path; a whole one, so that any process may read it.
    settings
        Axis, time point, slices, channels, contrast limits, zoom, model and device; `cache` is where embeddings go.
    prompts
        Path of the prompts file that is to be propagated, if there is one; then all that is as it says.

    Raises
    ------
    BatchError
        If the settings name no cache.
    """

    volume: Path
    settings: BatchSettings
    prompts: Path | None = None

    def __post_init__(self) -> None:
        if self.settings.cache is None:
            raise BatchError("there is no cache on disk; expected one that all workers see. Name one in the settings.")


@dataclass(frozen=True, slots=True)
class EmbedOutcome:
    """What became of the slices of one volume.

    Attributes
    ----------
    volume
        Path.
    n_slices, n_new
        Slices that are in the cache now, and those of them that were not before; of a volume that failed, 0.
    error
        Why it failed, in one line; else empty.
    """

    volume: Path
    n_slices: int = 0
    n_new: int = 0
    error: str = ""


class NoRoomError(BatchError):
    """The cache folder cannot be written, which would be the same with all further volumes."""


def iterate_embed_on_cluster(
    jobs: Iterable[EmbedJob],
    address: str,
    *,
    slices_per_task: int = CHUNK_SLICES,
    on_progress: Callable[[int, str], object] = lambda done, note: None,
) -> Generator[EmbedOutcome, None, None]:
    """Encode slices on the workers of a running scheduler, which see the same files under the same paths.

    The entries of the cache are those that `embed_volume` makes on one machine. Started again after any end, it goes
    on where it ended. A bad volume does not stop the rest.

    Parameters
    ----------
    jobs
        One for each volume.
    address, on_progress
        As of `iterate_in_flight`; the pieces are volumes.
    slices_per_task
        At least 1. Each task opens its volume and costs the scheduler about a millisecond.

    Yields
    ------
    EmbedOutcome
        After each volume, in the order in which they are done.

    Raises
    ------
    BatchError
        If distributed is not installed, the scheduler does not answer, or it is lost; or if the cache folder cannot be
        written (`NoRoomError`).
    """
    if slices_per_task < 1:
        raise BatchError(f"there are {slices_per_task} slices per task; expected at least 1.")
    works = (_embedded(job, slices_per_task) for job in jobs)
    yield from iterate_in_flight(works, address, on_progress=on_progress)


def look(job: EmbedJob) -> tuple[tuple[int, int], ...]:
    """Task: (first, stop) of the slices of each line of slices.

    Raises
    ------
    BatchError
        If the worker does not see the files, or there are no such slices.
    ValueError, OSError
        If the volume cannot be read.
    """
    unseen = tuple(path for path in (job.volume, job.prompts) if path is not None and not path.exists())
    if unseen:
        raise BatchError(unseen_error(unseen))
    return tuple(_range(one.volume.n_slices(0), job.settings.slices) for one in _opened(job)[1])


def encode_chunk(job: EmbedJob, number: int, first: int, stop: int) -> int:
    """Task: slices of a line into the cache on disk; how many were not there.

    Raises
    ------
    NoRoomError
        If the cache folder cannot be written.
    ValueError, OSError
        If a slice cannot be read or used.
    """
    said, lines = _opened(job)
    one, cache = lines[number], writing_cache_for(job.settings.cache)
    steps = embed_volume(
        model_for(model_named(said, job.settings), job.settings.device),
        one.volume,
        slices=(first, stop),
        contrast_limits=one.contrast_limits,
        zoom=one.zoom,
        cache=cache,
    )
    n_new = 0
    for step in steps:
        if cache.store is not None and cache.store.problem:
            raise NoRoomError(
                f"a worker cannot write to the cache folder '{cache.store.folder}'; expected room and rights there. "
                "Make some, and run the same command again; it goes on from there."
            )
        n_new += not step.was_there
    return n_new


def _embedded(job: EmbedJob, slices_per_task: int) -> Work[EmbedOutcome]:
    """A volume: a look at it, then chunks of its slices."""
    try:
        (lines,) = yield [Task(look, (job,))]
        counts = yield [
            Task(encode_chunk, (job, number, *chunk), n_slices=chunk[1] - chunk[0])
            for number, (first, stop) in enumerate(lines)
            for chunk in chunked(first, stop, slices_per_task)
        ]
    except TaskError as error:
        if isinstance(error.cause, NoRoomError):
            raise error.cause from None
        return EmbedOutcome(job.volume, error=str(error))
    return EmbedOutcome(job.volume, sum(stop - first for first, stop in lines), sum(counts))


def _opened(job: EmbedJob) -> tuple[PromptsFile, tuple[SlicesToEmbed, ...]]:
    images = last_images(job.volume, FileStamp.of(job.volume))
    said = None if job.prompts is None else read_prompts_file(job.prompts)
    return said or PromptsFile(), slices_to_embed(job.volume, job.settings, said, images)


def _range(n: int, asked: tuple[int, int] | None) -> tuple[int, int]:
    first, stop = asked or (0, n)
    if stop > n:
        raise BatchError(f"slices are {first}:{stop}; expected a range within 0:{n}, its end not included.")
    return first, stop
