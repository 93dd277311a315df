"""All volumes of a batch, one after the other; a bad one does not stop the rest."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING

from napari_segnext.batch.finished import outcome_if_finished
from napari_segnext.batch.outcome import JobOutcome
from napari_segnext.batch.run import run_job
from napari_segnext.errors import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from napari_segnext.batch.job import BatchJob
    from napari_segnext.models.interface import InteractiveModel

_LOGGER = logging.getLogger(__name__)


def iterate_batch(
    jobs: Iterable[BatchJob],
    model: InteractiveModel | None = None,
    *,
    overwrite: bool = False,
    on_progress: Callable[[BatchJob, int, int], object] = lambda job, done, total: None,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Iterator[JobOutcome]:
    """Fill volumes on this machine.

    Started again after a kill, a crash or a cancel, it goes on where it ended: volumes whose labels and report are
    there, made of the same volume, prompts, settings and weights, are skipped.

    Parameters
    ----------
    jobs
        Such as `plan_jobs` makes.
    model
        As of `run_job`.
    overwrite
        Whether volumes are done again that are done.
    on_progress
        Called with the volume at hand, steps done and steps there are at most.
    is_wanted
        Asked before each slice; once it says no, nothing more comes.

    Yields
    ------
    JobOutcome
        After each volume.
    """
    for job in jobs:
        outcome = outcome_of(
            job,
            model,
            overwrite=overwrite,
            on_progress=functools.partial(on_progress, job),
            is_wanted=is_wanted,
        )
        if outcome is None:
            return
        yield outcome


def outcome_of(
    job: BatchJob,
    model: InteractiveModel | None = None,
    *,
    overwrite: bool = False,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
    is_wanted: Callable[[], bool] = lambda: True,
) -> JobOutcome | None:
    """Fill one volume unless it is done; None if it was not wanted any more. Failures are outcomes, too."""
    try:
        finished = None if overwrite else outcome_if_finished(job, model)
        if finished is not None:
            return finished
        report = run_job(job, model, overwrite=overwrite, on_progress=on_progress, is_wanted=is_wanted)
    except Exception as error:
        _LOGGER.info("'%s' failed", job.volume, exc_info=True)
        return JobOutcome(job.volume, job.output, "failed", error=error_line(error))
    if report is None:
        return None
    return JobOutcome(
        job.volume,
        job.output,
        "done",
        warnings=report.warnings,
        n_objects=len(report.objects),
        n_filled=report.n_slices,
        n_doubtful=report.n_doubtful,
        confidence=report.mean_confidence,
        seconds=report.seconds,
    )


def error_line(error: BaseException) -> str:
    """An error in one line; that it is of no kind that input makes is told, too."""
    line = " ".join(str(error).split())
    is_of_input = isinstance(error, (ValueError, OSError)) or is_out_of_memory(error)
    return line if is_of_input and line else f"fault of napari-segnext: {type(error).__name__}: {line}"
