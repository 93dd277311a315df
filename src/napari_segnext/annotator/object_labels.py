"""The labels layer of accepted objects, and what is known of them: written into, numbered, protected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_segnext.annotator.errors import LockedLabelError, NoSuchObjectError
from napari_segnext.annotator.label_edits import apply_edits, revert_edits
from napari_segnext.annotator.label_numbers import LabelNumbers
from napari_segnext.annotator.object_edits import first_place_of
from napari_segnext.annotator.objects import ObjectRecords
from napari_segnext.annotator.painted import edit_of_stroke, is_written, restore_locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from napari_segnext._types import Mask
    from napari_segnext.annotator.coordinates import ShownSlice
    from napari_segnext.annotator.executor import Executor
    from napari_segnext.annotator.label_edits import LabelEdit
    from napari_segnext.annotator.layer_watch import OwnWriting


class ObjectLabels:
    """Objects in a labels layer. All methods belong to the viewer's thread.

    Parameters
    ----------
    layer
        The labels layer.
    executor
        Where an array that is not in memory is looked through for its largest label.
    on_error
        Called with what went wrong there.
    writing
        Entered while pixels are written, so that nobody takes that for the user's doing.

    Attributes
    ----------
    records
        What is known of the objects that were accepted.
    """

    painted = Signal(object)
    """Somebody else wrote into the layer: the `LabelEdit`, or None if nothing is left of it."""
    noticed = Signal(str)
    """A sentence that the user should read."""

    def __init__(
        self, layer: Any, executor: Executor, on_error: Callable[[Exception], None], writing: OwnWriting
    ) -> None:
        self._layer = layer
        self._writing = writing
        self._numbers = LabelNumbers(layer, executor, on_error)
        self._stroke: tuple[Any, ...] = ()
        self.records = ObjectRecords()

    @property
    def data(self) -> Any:
        """The integer array, in memory or not."""
        return self._layer.data

    def plane(self, shown: ShownSlice) -> NDArray[Any]:
        """`(rows, columns)` integers of a slice."""
        return np.asarray(self._layer.data[shown.selector])

    def pixels_of(self, shown: ShownSlice, label: int) -> Mask:
        """`(rows, columns)` bool: where a slice holds a label."""
        return np.asarray(self.plane(shown) == label)

    def is_on(self, shown: ShownSlice, label: int) -> bool:
        """Whether an object has prompts or pixels on a slice."""
        return shown in self.records.get(label).slices or bool(self.pixels_of(shown, label).any())

    def place_of(self, label: int) -> tuple[int, ...]:
        """Index of a pixel of an object, near its middle on the first slice that has it.

        Raises
        ------
        NoSuchObjectError
            If there is no such pixel.
        """
        place = first_place_of(self._layer.data, label)
        if place is None:
            raise NoSuchObjectError(f"the labels layer holds no object {label}; pick one that is there.")
        return place

    def next_free(self, shown: ShownSlice) -> int:
        """The number of the next object; see `LabelNumbers.next_free`."""
        return self._numbers.next_free(self.plane(shown))

    def require_unlocked(self, label: int) -> None:
        """Refuse an object that is protected.

        Raises
        ------
        LockedLabelError
            If it is.
        """
        if label in self.records.locked:
            raise LockedLabelError(f"object {label} is locked; unlock it first.")

    def write(self, edits: Iterable[LabelEdit]) -> None:
        """Apply edits, the first one first."""
        edits = tuple(edits)
        with self._writing:
            apply_edits(self._layer, edits)
        for edit in edits:
            self._numbers.exchange(edit.before, edit.after)

    def revert(self, edits: tuple[LabelEdit, ...]) -> None:
        """Take edits back, the last one first."""
        with self._writing:
            revert_edits(self._layer, edits)
        for edit in reversed(edits):
            self._numbers.exchange(edit.after, edit.before)

    def connections(self) -> Iterator[tuple[Any, Callable[[Any], None]]]:
        """Events of the layer, and what they call."""
        yield self._layer.events.paint, self._on_painted
        yield self._layer.events.labels_update, self._on_pixels
        yield self._layer.events.data, self._numbers.on_data

    def close(self) -> None:
        """Nothing is looked through any more."""
        self._numbers.close()

    def _on_painted(self, event: Any) -> None:
        """Somebody painted, or is about to."""
        if self._writing.is_going_on:
            return
        self._numbers.on_painted(event)
        self._stroke = tuple(event.value)
        self._take_in_stroke()

    def _on_pixels(self, _: Any = None) -> None:
        """Pixels were written."""
        if self._stroke and not self._writing.is_going_on:
            self._take_in_stroke()

    def _take_in_stroke(self) -> None:
        """Once a stroke is written: put back what is locked, and tell what remains."""
        if not is_written(self._layer.data, self._stroke):
            return
        stroke, self._stroke = self._stroke, ()
        with self._writing:
            hurt = restore_locked(self._layer, stroke, self.records.locked)
        if hurt:
            names = ", ".join(str(label) for label in hurt)
            self.noticed.emit(f"Object {names} is locked, so it was left as it was. Unlock it to paint.")
        self.painted.emit(edit_of_stroke(self._layer.data, stroke))
