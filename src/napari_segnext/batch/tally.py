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
    from napari_segnext.batch.lines import Line
    from napari_segnext.prompts import AnnotatedObject
    from napari_segnext.propagation import SliceResult, StopReason
    from napari_segnext.volumes import Volume

ALL_FILLED = "the last {noun} that was asked for"
LAST_OF_VOLUME = "the last {noun} of the volume"
NOT_ASKED = "as nothing more was asked for in this direction"
NOT_REACHED = "as the {noun}s that were asked for do not lie next to it"


@dataclass(slots=True)
class _Counted:
    rows: dict[int, SliceRow] = field(default_factory=dict)
    stops: list[tuple[int, StopReason]] = field(default_factory=list)


def empty_labels(volume: Volume, lines: Iterable[Line]) -> NDArray[Any]:
    """`(Z, Y, X)` or `(T, Z, Y, X)` zeros, of a type that holds all labels of some lines."""
    greatest = max(label for line in lines for label in line.annotated)
    # of zeros, only what is painted on takes memory
    return np.zeros(volume.shape[: len(volume.axis_names)], np.min_scalar_type(greatest))


class Tally:
    """Labels of a line of slices in the making.

    Parameters
    ----------
    line
        Which slices.
    labels
        From `empty_labels`; painted on.
    spacing
        Size of a voxel along (Z, Y, X).
    """

    def __init__(self, line: Line, labels: NDArray[Any], spacing: tuple[float, ...]) -> None:
        self.line = line
        self._voxel = float(np.prod(spacing))
        self._counted = {label: _Counted() for label in line.annotated}
        self._slices = line.where.of_labels(labels)

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
            n_voxels * self._voxel,
            self.line.where.time,
            self.line.where.noun,
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
        return EndOfObject(direction, last, reason.format(noun=self.line.where.noun), is_by_rule=False)
