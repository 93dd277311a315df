"""A batch on a dask cluster: slices are encoded in chunks, then each volume is filled; all of them are tasks.

1. A survey of each volume says whether it is done already, and which slices are needed for certain.
2. These are encoded, a chunk in each task, into the cache on disk that all workers share.
3. The task that fills the volume comes after its chunks, and is the same code as on one machine.

Nothing is lost with a worker: the scheduler gives its tasks to others, which find on disk what was encoded.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_segnext.batch.finished import outcome_if_finished
from napari_segnext.batch.iterate import error_line, outcome_of
from napari_segnext.batch.lines import lines_of
from napari_segnext.batch.outcome import JobOutcome, counted
from napari_segnext.batch.resources import FileStamp, cache_for, last_images, model_for
from napari_segnext.batch.said import model_named
from napari_segnext.errors import BatchError
from napari_segnext.prompts.prompts_file import read_prompts_file
from napari_segnext.propagation import embed_volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from napari_segnext.batch.job import BatchJob
    from napari_segnext.batch.lines import Line
    from napari_segnext.prompts import PromptsFile

TIMEOUT_S = 10
"""For the scheduler to answer."""

CHUNK_SLICES = 8
"""Encoded by one task."""

SLICES_BEYOND = 16
"""Encoded ahead on either side of the annotated slices; an object may end before."""

N_RETRIES = 2
"""Of a task that failed for no fault of its input."""


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
    jobs: Sequence[BatchJob],
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
    address
        Of the scheduler, such as `"tcp://10.0.0.1:8786"`.
    on_progress
        Called with the volumes done and a few words.

    Yields
    ------
    JobOutcome
        After each volume, in the order in which they are done.

    Raises
    ------
    BatchError
        If distributed is not installed, the scheduler does not answer, or it is lost.
    """
    with _connected(address) as client:
        run = _Run(client, jobs, overwrite=overwrite, on_progress=on_progress)
        try:
            yield from run.outcomes()
        finally:
            run.cancel()


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


def fill(job: BatchJob, overwrite: bool, encoded: list[int]) -> JobOutcome:
    """Task: the volume, once its slices are encoded."""
    outcome = outcome_of(job, overwrite=overwrite)
    if outcome is None:
        raise BatchError(f"'{job.volume.name}' was given up, though nobody asked for that.")
    return outcome


class _Run:
    """Tasks of a batch: surveys first, then of each volume the chunks, then the volume."""

    def __init__(
        self, client: Any, jobs: Sequence[BatchJob], *, overwrite: bool, on_progress: Callable[[int, str], object]
    ) -> None:
        self._client, self._jobs, self._overwrite, self._on_progress = client, jobs, overwrite, on_progress
        self._surveys: dict[Any, BatchJob] = {}
        self._fills: dict[Any, BatchJob] = {}
        self._chunks: set[Any] = set()
        self._n_volumes = self._n_chunks = self._n_chunks_done = 0

    def outcomes(self) -> Iterator[JobOutcome]:
        from distributed import as_completed

        self._surveys = {self._submit(survey, job, self._overwrite): job for job in self._jobs}
        with self._client.as_current():
            completed = as_completed(list(self._surveys))
        self._report()
        for future in completed:
            if future.status in ("cancelled", "lost"):
                raise BatchError(
                    "the scheduler was lost; expected it to stay. Volumes that are done are kept: start one, and run "
                    "the same command again."
                )
            if future in self._chunks:
                self._chunks.discard(future)
                self._n_chunks_done += 1
                self._report()
                continue
            is_survey = future in self._surveys
            job = (self._surveys if is_survey else self._fills).pop(future)
            outcome = self._outcome(job, future, completed, is_survey=is_survey)
            if outcome is not None:
                self._n_volumes += 1
                self._report()
                yield outcome

    def cancel(self) -> None:
        """Give up what is not begun yet; workers finish the volumes that they are at."""
        left = [*self._surveys, *self._fills, *self._chunks]
        if left:
            # the scheduler may be gone
            with contextlib.suppress(OSError, TimeoutError, RuntimeError):
                self._client.cancel(left)

    def _outcome(self, job: BatchJob, future: Any, completed: Any, *, is_survey: bool) -> JobOutcome | None:
        """What became of a volume; None if its survey has led to further tasks."""
        if future.status == "error":
            return JobOutcome(job.volume, job.output, "failed", error=_task_error(future.exception()))
        result = future.result()
        if not is_survey:
            return result  # type: ignore[no-any-return]
        if result.unseen:
            return JobOutcome(job.volume, job.output, "failed", error=_unseen_error(result.unseen))
        if result.outcome is not None:
            return result.outcome  # type: ignore[no-any-return]
        chunks = [self._submit(encode, job, *chunk) for chunk in result.chunks]
        filling = self._submit(fill, job, self._overwrite, chunks, priority=1)
        self._chunks.update(chunks)
        self._n_chunks += len(chunks)
        self._fills[filling] = job
        completed.update([*chunks, filling])
        return None

    def _submit(self, task: Callable[..., Any], *arguments: Any, priority: int = 0) -> Any:
        # not pure: what a task does depends on files
        return self._client.submit(task, *arguments, pure=False, retries=N_RETRIES, priority=priority)

    def _report(self) -> None:
        n_workers = len(self._client.scheduler_info(n_workers=-1)["workers"])
        note = f"{counted(n_workers, 'worker')}"
        if self._n_chunks:
            note += f", {self._n_chunks_done} of {self._n_chunks} chunks encoded"
        self._on_progress(self._n_volumes, note)


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError as error:
        raise BatchError(
            'the package distributed is not installed; expected it for --scheduler. Install "napari-segnext[cluster]".'
        ) from error
    try:
        client = Client(address, timeout=TIMEOUT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise BatchError(
            f"no scheduler answered at '{address}' within {TIMEOUT_S} s ({error_line(error)}); expected a running "
            "one. Check the address that `dask scheduler` printed."
        ) from error
    with client:
        yield client


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
    return [(start, min(start + CHUNK_SLICES, stop)) for start in range(first, stop, CHUNK_SLICES)]


def _task_error(error: BaseException) -> str:
    if type(error).__name__ == "KilledWorker":
        return (
            "worker after worker died over it, perhaps for lack of memory; expected one to finish it. Give workers "
            "more memory or fewer threads, and run it again."
        )
    return error_line(error)


def _unseen_error(paths: Iterable[Path]) -> str:
    listed = ", ".join(f"'{path}'" for path in paths)
    here = " that is there on this machine" if all(path.exists() for path in paths) else ""
    return f"a worker does not see {listed}{here}; expected the same files under the same paths on all machines."
