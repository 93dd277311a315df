"""Slice after slice painted into the label volume, and counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.batch.report import EndOfObject, ObjectReport, SliceRow
from napari_segnext.propagation import Source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_segnext.batch.job import BatchSettings
    from napari_segnext.prompts import AnnotatedObject
    from napari_segnext.propagation import SliceResult, StopReason
    from napari_segnext.volumes import Volume

ALL_FILLED = "the last slice that was asked for"
LAST_OF_VOLUME = "the last slice of the volume"
NOT_ASKED = "as nothing more was asked for in this direction"
NOT_REACHED = "as the slices that were asked for do not lie next to it"


@dataclass(slots=True)
class _Counted:
    rows: dict[int, SliceRow] = field(default_factory=dict)
    stops: list[tuple[int, StopReason]] = field(default_factory=list)


class Tally:
    """Labels of a volume in the making.

    Parameters
    ----------
    volume
        Which is labelled.
    axis
        Along which slices follow each other.
    labels
        That will be painted.
    """

    def __init__(self, volume: Volume, axis: int, labels: Iterable[int]) -> None:
        self._volume = volume
        self._counted = {label: _Counted() for label in labels}
        dtype = np.min_scalar_type(max(self._counted))
        # of zeros, only what is painted on takes memory
        self.labels: NDArray[Any] = np.zeros(volume.shape_zyx, dtype)
        self._slices = np.moveaxis(self.labels, axis, 0)

    def add(self, result: SliceResult) -> None:
        """Paint a result where nothing is painted yet, and count it."""
        counted = self._counted[result.label]
        if result.stopped is not None:
            counted.stops.append((result.index, result.stopped))
            return
        plane = self._slices[result.index]
        painted = result.mask & (plane == 0)
        plane[painted] = result.label
        n_pixels = int(np.count_nonzero(painted))
        counted.rows[result.index] = SliceRow(result.index, result.source, result.confidence, n_pixels)

    def mask(self, label: int, index: int) -> NDArray[np.bool_]:
        """`(rows, columns)` of a label as it is painted on a slice."""
        return np.asarray(self._slices[index] == label)

    def reports(self, items: Iterable[AnnotatedObject], settings: BatchSettings) -> tuple[ObjectReport, ...]:
        """Of all objects, in the order of the prompts file."""
        return tuple(self._report(item, settings) for item in items if item.label in self._counted)

    def _report(self, item: AnnotatedObject, settings: BatchSettings) -> ObjectReport:
        counted = self._counted[item.label]
        rows = tuple(counted.rows[index] for index in sorted(counted.rows))
        n_voxels = sum(row.n_pixels for row in rows)
        return ObjectReport(
            item.label,
            item.name,
            item.class_name,
            rows,
            tuple(self._end(counted, direction, settings) for direction in ("down", "up")) if rows else (),
            tuple(row.index for row in rows if row.is_filled and row.confidence < settings.doubtful),
            n_voxels,
            n_voxels * float(np.prod(self._volume.spacing)),
        )

    def _end(self, counted: _Counted, direction: str, settings: BatchSettings) -> EndOfObject:
        is_up = direction == "up"
        annotated = [row.index for row in counted.rows.values() if row.source is Source.ANNOTATED]
        outermost = max(annotated) if is_up else min(annotated)
        for index, rule in counted.stops:
            if (index > outermost) == is_up:
                return EndOfObject(direction, index, rule.value, is_by_rule=True)
        last = max(counted.rows) if is_up else min(counted.rows)
        first_wanted, stop_wanted = settings.slices or (0, len(self._slices))
        end_of_range = stop_wanted - 1 if is_up else first_wanted
        if last == (len(self._slices) - 1 if is_up else 0):
            reason = LAST_OF_VOLUME
        elif settings.direction not in ("both", direction):
            reason = NOT_ASKED
        elif last == end_of_range or (outermost > end_of_range) == is_up:
            reason = ALL_FILLED
        else:
            reason = NOT_REACHED
        return EndOfObject(direction, last, reason, is_by_rule=False)
