"""Labels, page and report of one volume, in an order that a kill at any time does no harm to.

A mark is set, the labels are written, then the page, and the report last; then the mark goes. As long as there is a
mark, what lies there is unfinished, whoever reads it, and may be replaced.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from napari_segnext._whole_file import whole_file
from napari_segnext.batch.finished import are_as_reported, outputs_of, paths_reported, read_report
from napari_segnext.batch.page import Picture, report_page
from napari_segnext.batch.pictures import picture_of, picture_window
from napari_segnext.errors import BatchError
from napari_segnext.io import write_labels_volume
from napari_segnext.io.volume_parts import name_of, suffix_of
from napari_segnext.prompts.json_values import pretty_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from napari_segnext.batch.job import BatchJob
    from napari_segnext.batch.report import JobReport, ObjectReport
    from napari_segnext.batch.tally import Tally
    from napari_segnext.volumes import Volume

N_DOUBTFUL_PICTURES = 2


def require_replaceable(job: BatchJob, *, overwrite: bool) -> None:
    """Refuse to write where labels lie that were not written here, or were changed since.

    Raises
    ------
    BatchError
        In that case; not with `overwrite`.
    """
    there = _labels_there(job)
    if overwrite or not there or job.mark.exists():
        return
    report = read_report(job.report)
    if report is None or set(there) != set(paths_reported(job, report)) or not are_as_reported(job, report):
        raise BatchError(
            f"'{there[0]}' is there already and was not written by this command, or was changed since. Move it away, "
            "choose another --output, or replace it with --overwrite."
        )


def write_all(job: BatchJob, report: JobReport, labels: NDArray[Any], volume: Volume, tallies: Sequence[Tally]) -> None:
    """Write labels, page and report; what an earlier run left in their place goes.

    Parameters
    ----------
    job
        Where to.
    report
        What is known of the volume.
    labels
        `(Z, Y, X)`, or `(T, Z, Y, X)` if the volume has time.
    volume
        Which was labelled.
    tallies
        Of all lines, for the pictures.
    """
    page = report_page(report, _pictures(report, tallies))
    job.mark.touch()
    _remove_unfinished(job)
    job.report.unlink(missing_ok=True)
    earlier = _labels_there(job)
    written = write_labels_volume(job.output, labels, volume, per_object=job.settings.per_object)
    for path in set(earlier) - set(written):
        _remove(path)
    with whole_file(job.page) as unfinished:
        unfinished.write_text(page, "utf-8", "backslashreplace")
    text = pretty_json(report.to_json(outputs_of(written)), keeps_on_one_line=lambda value: False) + "\n"
    with whole_file(job.report) as unfinished:
        unfinished.write_text(text, "utf-8", "backslashreplace")
    job.mark.unlink(missing_ok=True)


def _labels_there(job: BatchJob) -> list[Path]:
    """Files of labels of this volume that lie in the output folder."""
    if not job.settings.per_object:
        return [job.output] if job.output.exists() else []
    suffix = suffix_of(job.output)
    pattern = re.compile(rf"{re.escape(name_of(job.output))}_\d{{4,}}{re.escape(suffix)}", re.IGNORECASE)
    if not job.output.parent.is_dir():
        return []
    return sorted(path for path in job.output.parent.iterdir() if pattern.fullmatch(path.name))


def _remove_unfinished(job: BatchJob) -> None:
    """What a killed process left under names of its own."""
    stem, suffix = re.escape(name_of(job.output)), re.escape(suffix_of(job.output))
    pattern = re.compile(rf"\.{stem}((_\d{{4,}})?{suffix}|\.report\.(json|html))\.\d+\.(part|old)", re.IGNORECASE)
    for path in job.output.parent.iterdir():
        if pattern.fullmatch(path.name):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _pictures(report: JobReport, tallies: Sequence[Tally]) -> dict[str, list[Picture]]:
    """Anchor → the annotated slice on which the object is largest, and the slices that are in doubt most."""
    by_time = {tally.line.where.time: tally for tally in tallies}
    return {one.anchor: _pictures_of(one, by_time[one.time]) for one in report.objects if one.annotated}


def _pictures_of(one: ObjectReport, tally: Tally) -> list[Picture]:
    largest = max(one.annotated, key=lambda row: row.n_pixels)
    least_sure = sorted(one.filled, key=lambda row: row.confidence)[:N_DOUBTFUL_PICTURES]
    shown = [(largest.index, f"{one.noun} {largest.index}, annotated")]
    shown += [(row.index, f"{one.noun} {row.index}, confidence {row.confidence:.2f}") for row in least_sure]
    masks = [tally.mask(one.label, index) for index, _ in shown]
    window = picture_window(masks)
    volume, limits = tally.line.volume, tally.line.seen.contrast_limits
    spacing = volume.plane_spacing(0)
    return [
        Picture(picture_of(volume.plane(0, index), mask, window, spacing, limits), caption)
        for (index, caption), mask in zip(shown, masks, strict=True)
    ]
