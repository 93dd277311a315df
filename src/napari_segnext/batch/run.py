"""One volume from file to file: read, propagated, written with its report."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from napari_segnext.batch.finished import inputs_of
from napari_segnext.batch.images import read_images
from napari_segnext.batch.lines import lines_of
from napari_segnext.batch.report import JobReport
from napari_segnext.batch.resources import cache_for, model_for
from napari_segnext.batch.said import model_named, objects_of, warnings_about
from napari_segnext.batch.tally import Tally, empty_labels
from napari_segnext.batch.write import require_replaceable, write_all
from napari_segnext.errors import BatchError
from napari_segnext.prompts.prompts_file import read_prompts_file
from napari_segnext.propagation import propagate

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_segnext.batch.job import BatchJob, BatchSettings
    from napari_segnext.batch.lines import Line
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.prompts import PromptsFile
    from napari_segnext.volumes import Volume

    OnProgress = Callable[[int, int], object]


def run_job(
    job: BatchJob,
    model: InteractiveModel | None = None,
    *,
    overwrite: bool = False,
    on_progress: OnProgress = lambda done, total: None,
    is_wanted: Callable[[], bool] = lambda: True,
) -> JobReport | None:
    """Fill one volume, and write labels, report and page; each is there whole or not at all.

    Masks that were accepted are kept as they are. Where two masks of annotated slices overlap, the earlier object keeps
    its pixels.

    Parameters
    ----------
    job
        What is read and written.
    model
        By default the one that settings or prompts file name; it is kept for the next volume.
    overwrite
        Whether labels that nobody wrote here, or that were changed since, are replaced.
    on_progress
        Called with steps done and steps there are at most.
    is_wanted
        Asked before each slice; once it says no, nothing is written.

    Returns
    -------
    JobReport or None
        None if it was not wanted any more.

    Raises
    ------
    FileNotFoundError
        If there is no such volume, prompts file, model, or folder for the output.
    BatchError, PropagationError, PromptsFileError, VolumeError, ImageError, PromptError, ValueError
        If what they hold cannot be used, or another file lies in the place of the labels.
    """
    require_replaceable(job, overwrite=overwrite)
    images = read_images(job.volume)
    said = read_prompts_file(job.prompts)
    lines = lines_of(said, images, job.settings, job.volume.name)
    if model is None:
        model = model_for(model_named(said, job.settings), job.settings.device)
    made_of = inputs_of(job, model.identity.sha256)

    start = time.perf_counter()
    steps = _Steps(on_progress, is_wanted, sum(_most_steps(line, job.settings) for line in lines))
    labels = empty_labels(images.volume, lines)
    tallies = [Tally(line, labels, images.volume.spacing) for line in lines]
    for tally in tallies:
        _fill(tally, job.settings, model, steps)
    seconds = time.perf_counter() - start
    if steps.is_stopped:
        return None
    report = _report(job, images.volume, said, tallies, model, seconds, made_of)
    if inputs_of(job, model.identity.sha256) != made_of:
        raise BatchError(f"'{job.volume.name}' or its prompts file changed while it was worked on. Run it again.")
    time_point = lines[0].where.time if job.settings.without_time else None
    write_all(job, report, labels if time_point is None else labels[time_point], images.volume, tallies)
    steps.finish()
    return report


def _report(
    job: BatchJob,
    volume: Volume,
    said: PromptsFile,
    tallies: list[Tally],
    model: InteractiveModel,
    seconds: float,
    made_of: dict[str, Any],
) -> JobReport:
    lines = [tally.line for tally in tallies]
    return JobReport(
        volume_name=job.volume.name,
        volume_path=str(job.volume),
        prompts_path=str(job.prompts),
        shape=volume.shape[: len(volume.axis_names)],
        spacing=volume.spacing,
        unit=volume.unit,
        where=tuple(line.where for line in lines),
        channels=lines[0].seen.references,
        model=model.identity,
        device=str(model.device),
        objects=tuple(one for tally in tallies for one in tally.reports(said.objects, job.settings)),
        seconds=seconds,
        doubtful=job.settings.doubtful,
        made_of=made_of,
        warnings=warnings_about(said, job, lines, volume, model.identity.sha256),
    )


class _Steps:
    """Counts how often propagation asks whether to go on, which it does before each slice."""

    def __init__(self, on_progress: OnProgress, is_wanted: Callable[[], bool], n_at_most: int) -> None:
        self._on_progress, self._is_wanted, self._n_at_most = on_progress, is_wanted, n_at_most
        self._n_done = 0
        self.is_stopped = False

    def goes_on(self) -> bool:
        self._on_progress(min(self._n_done, self._n_at_most), self._n_at_most)
        self._n_done += 1
        self.is_stopped = self.is_stopped or not self._is_wanted()
        return not self.is_stopped

    def finish(self) -> None:
        self._on_progress(self._n_at_most, self._n_at_most)


def _fill(tally: Tally, settings: BatchSettings, model: InteractiveModel, steps: _Steps) -> None:
    """Propagate along one line."""
    cache, line = cache_for(settings.cache), tally.line
    if steps.is_stopped:
        return
    for result in propagate(
        model,
        line.volume,
        objects_of(line, model, cache),
        slices=settings.slices,
        direction=settings.direction,
        rules=settings.rules,
        contrast_limits=line.seen.contrast_limits,
        zoom=line.zoom,
        cache=cache,
        is_wanted=steps.goes_on,
    ):
        tally.add(result)
    cache.flush()


def _most_steps(line: Line, settings: BatchSettings) -> int:
    """Annotated slices, then one sweep up and one down."""
    first, stop = settings.slices or (0, line.n)
    return len(line.indices) + 2 * (stop - first)
