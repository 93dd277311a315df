"""A batch on a dask cluster: slices are encoded in chunks, then each volume is filled; all of them are tasks.

1. A survey of each volume says whether it is done already, and which slices are needed for certain.
2. These are encoded, a chunk in each task, into the cache on disk that all workers share.
3. The task that fills the volume comes after its chunks, and is the same code as on one machine.

Nothing is lost with a worker: the scheduler gives its tasks to others, which find on disk what was encoded. How many
volumes are begun at a time, and in which order, is told in `in_flight.py`.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_segnext.batch.finished import outcome_if_finished
from napari_segnext.batch.in_flight import Task, TaskError, iterate_in_flight
from napari_segnext.batch.iterate import error_line, outcome_of
from napari_segnext.batch.lines import lines_of
from napari_segnext.batch.outcome import JobOutcome
from napari_segnext.batch.resources import FileStamp, cache_for, last_images, model_for
from napari_segnext.batch.said import model_named
from napari_segnext.errors import BatchError
from napari_segnext.prompts.prompts_file import read_prompts_file
from napari_segnext.propagation import embed_volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from napari_segnext.batch.in_flight import Work
    from napari_segnext.batch.job import BatchJob
    from napari_segnext.batch.lines import Line
    from napari_segnext.prompts import PromptsFile

CHUNK_SLICES = 8
"""Encoded by one task."""

SLICES_BEYOND = 16
"""Encoded ahead on either side of the annotated slices; an object may end before."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What a worker sees of a volume before the work begins.

    Attributes
    ----------
    outcome
        If nothing is left to do: it is done, or cannot be.
    chunks
        (number of the line, first, stop) of slices to encode.
    unseen
        Paths of the job that the worker does not see.
    """

    outcome: JobOutcome | None = None
    chunks: tuple[tuple[int, int, int], ...] = ()
    unseen: tuple[Path, ...] = ()


def iterate_on_cluster(
    jobs: Iterable[BatchJob],
    address: str,
    *,
    overwrite: bool = False,
    on_progress: Callable[[int, str], object] = lambda done, note: None,
) -> Iterator[JobOutcome]:
    """Fill volumes on the workers of a running scheduler, which see the same files under the same paths.

    Parameters
    ----------
    jobs, overwrite
        As of `iterate_batch`.
    address, on_progress
        As of `iterate_in_flight`; the pieces are volumes.

    Yields
    ------
    JobOutcome
        After each volume, in the order in which they are done.

    Raises
    ------
    BatchError
        If distributed is not installed, the scheduler does not answer, or it is lost.
    """
    yield from iterate_in_flight((_propagated(job, overwrite) for job in jobs), address, on_progress=on_progress)


def survey(job: BatchJob, overwrite: bool) -> Survey:
    """Task: what there is to do for a volume."""
    unseen = tuple(path for path in (job.volume, job.prompts, job.output.parent) if not path.exists())
    if unseen:
        return Survey(unseen=unseen)
    try:
        finished = None if overwrite else outcome_if_finished(job)
        if finished is not None:
            return Survey(finished)
        _, lines = _opened(job)
        return Survey(chunks=_chunks(job, lines) if job.settings.cache is not None else ())
    except Exception as error:  # noqa: BLE001 - a bad volume, whatever is bad about it, does not stop the rest
        return Survey(JobOutcome(job.volume, job.output, "failed", error=error_line(error)))


def encode(job: BatchJob, number: int, first: int, stop: int) -> int:
    """Task: a chunk of slices of a line into the cache on disk; how many are there now.

    What is wrong with a slice is told when the volume is filled, if the slice is needed there.
    """
    n_done = 0
    with contextlib.suppress(ValueError, OSError):
        said, lines = _opened(job)
        line = lines[number]
        steps = embed_volume(
            model_for(model_named(said, job.settings), job.settings.device),
            line.volume,
            slices=(first, stop),
            contrast_limits=line.seen.contrast_limits,
            zoom=line.zoom,
            cache=cache_for(job.settings.cache),
        )
        for step in steps:
            n_done = step.n_done
    return n_done


def fill(job: BatchJob, overwrite: bool) -> JobOutcome:
    """Task: the volume, once its slices are encoded."""
    outcome = outcome_of(job, overwrite=overwrite)
    if outcome is None:
        raise BatchError(f"'{job.volume.name}' was given up, though nobody asked for that.")
    return outcome


def _propagated(job: BatchJob, overwrite: bool) -> Work[JobOutcome]:
    """A volume: its survey, then chunks of its slices, then the volume."""
    try:
        (seen,) = yield [Task(survey, (job, overwrite))]
        if seen.unseen:
            return _failed(job, unseen_error(seen.unseen))
        if seen.outcome is not None:
            return seen.outcome  # type: ignore[no-any-return]
        yield [Task(encode, (job, *chunk), n_slices=chunk[2] - chunk[1]) for chunk in seen.chunks]
        (outcome,) = yield [Task(fill, (job, overwrite))]
    except TaskError as error:
        return _failed(job, str(error))
    return outcome  # type: ignore[no-any-return]


def _failed(job: BatchJob, error: str) -> JobOutcome:
    return JobOutcome(job.volume, job.output, "failed", error=error)


def _opened(job: BatchJob) -> tuple[PromptsFile, tuple[Line, ...]]:
    images = last_images(job.volume, FileStamp.of(job.volume))
    said = read_prompts_file(job.prompts)
    return said, lines_of(said, images, job.settings, job.volume.name)


def _chunks(job: BatchJob, lines: tuple[Line, ...]) -> tuple[tuple[int, int, int], ...]:
    """Slices about the annotated ones, as far as they are asked for."""
    return tuple((number, *chunk) for number, line in enumerate(lines) for chunk in _chunks_of(line, job))


def _chunks_of(line: Line, job: BatchJob) -> list[tuple[int, int]]:
    first, stop = job.settings.slices or (0, line.n)
    below = 0 if job.settings.direction == "up" else SLICES_BEYOND
    above = 0 if job.settings.direction == "down" else SLICES_BEYOND
    first = max(0, first, min(line.indices) - below)
    stop = min(line.n, stop, max(line.indices) + 1 + above)
    return chunked(first, stop, CHUNK_SLICES)


def chunked(first: int, stop: int, n: int) -> list[tuple[int, int]]:
    """(first, stop) of chunks of `n` slices, the last one as long as there are any."""
    return [(start, min(start + n, stop)) for start in range(first, stop, n)]


def unseen_error(paths: Iterable[Path]) -> str:
    """That a worker does not see files, in a sentence."""
    listed = ", ".join(f"'{path}'" for path in paths)
    here = " that is there on this machine" if all(path.exists() for path in paths) else ""
    return f"a worker does not see {listed}{here}; expected the same files under the same paths on all machines."
