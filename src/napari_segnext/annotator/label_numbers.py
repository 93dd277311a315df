"""The number of the next object, without looking through the whole labels layer each time one is accepted.

1. The array is looked through once: one in memory at the first accept, one on disk in the background, at the start.
2. From then on the largest number follows what is painted by hand and what is accepted and taken back.
3. Another array in the layer is looked through anew.
"""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.annotator.errors import NoFreeLabelError, StillComputingError
from napari_segnext.annotator.label_edits import ensure_free_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from napari_segnext.annotator.executor import Executor


class LabelNumbers:
    """Knows the largest number of a labels layer. All methods belong to the viewer's thread.

    Numbers that were erased, or taken back with napari's own undo, may stay unused.

    Parameters
    ----------
    layer
        The labels layer.
    executor
        Where an array that is not in memory is looked through.
    on_error
        Called with what went wrong there.
    """

    def __init__(self, layer: Any, executor: Executor, on_error: Callable[[Exception], None]) -> None:
        self._layer = layer
        self._executor = executor
        self._on_error = on_error
        self._known: Any = None
        self._pending: Any = None
        self._largest = 0
        self._accepted: Counter[int] = Counter()
        self._is_closed = False
        self.on_data()

    def on_data(self, _: Any = None) -> None:
        """The layer may have another array: one on disk is looked through ahead."""
        if _is_lazy(self._layer.data) and not self._is_up_to_date:
            self._look_ahead()

    def on_painted(self, event: Any) -> None:
        """Somebody painted: napari tells the pixels and their new values."""
        for atom in event.value:
            self._largest = max(self._largest, int(np.max(atom.new_value if hasattr(atom, "new_value") else atom[2])))

    def exchange(self, before: NDArray[Any], after: NDArray[Any]) -> None:
        """An edit of ours was written: pixels that held `before` hold `after` now."""
        self._accepted -= Counter(np.unique(before).tolist())
        self._accepted += Counter(np.unique(after).tolist())

    def next_free(self, plane: NDArray[Any]) -> int:
        """One more than the largest number; where the dtype ends, see `ensure_free_label`.

        Parameters
        ----------
        plane
            The plane of the layer that is shown; counts as it is, whoever wrote into it.

        Raises
        ------
        StillComputingError
            If an array on disk is still being looked through.
        NoFreeLabelError
            If the dtype has no number left.
        """
        self._require_known()
        largest = max(self._largest, int(plane.max(initial=0)), *self._accepted)
        limit = int(np.iinfo(plane.dtype).max)
        if largest < limit:
            return largest + 1
        if not _is_lazy(self._layer.data):
            return ensure_free_label(self._layer)
        raise NoFreeLabelError(
            f"the labels layer has dtype {plane.dtype} and its largest label {largest} is the last of that type. "
            "Copy it to a wider type, or start a new one."
        )

    def close(self) -> None:
        """Nothing is looked through any more."""
        self._is_closed = True

    @property
    def _is_up_to_date(self) -> bool:
        return self._known is self._layer.data

    def _require_known(self) -> None:
        if self._is_up_to_date:
            return
        data = self._layer.data
        if not _is_lazy(data):
            self._forget()
            self._take_over(data, largest_label(data))
            return
        self._look_ahead()
        if not self._is_up_to_date:
            raise StillComputingError(
                "the labels layer is still being looked through for its largest number; wait a moment, then accept "
                "again."
            )

    def _look_ahead(self) -> None:
        data = self._layer.data
        if self._pending is data:
            return
        self._pending = data
        self._forget()
        self._executor.submit(
            lambda: largest_label(data, is_wanted=lambda: self._pending is data and not self._is_closed),
            lambda largest: self._on_looked_through(data, largest),
            lambda error: self._on_failed(data, error),
        )

    def _on_looked_through(self, data: Any, largest: int) -> None:
        if self._pending is data:
            self._pending = None
            # what was painted in the meantime counts as well
            self._take_over(data, max(largest, self._largest))

    def _on_failed(self, data: Any, error: Exception) -> None:
        if self._pending is data:
            self._pending = None
            self._on_error(error)

    def _forget(self) -> None:
        """What is known is of another array."""
        self._largest = 0
        self._accepted.clear()

    def _take_over(self, data: Any, largest: int) -> None:
        self._known, self._largest = data, largest


def largest_label(labels: Any, *, is_wanted: Callable[[], bool] = lambda: True) -> int:
    """The largest number in a labels array, 0 if there is none; of an array on disk, one block is read at a time.

    Parameters
    ----------
    labels
        Integer array of any number of axes.
    is_wanted
        Asked before each block; once it says no, the rest is not read.
    """
    if not _is_lazy(labels):
        return int(np.max(labels, initial=0))
    largest = 0
    for block in _blocks(labels):
        if not is_wanted():
            break
        largest = max(largest, int(np.max(np.asarray(labels[block]), initial=0)))
    return largest


def _is_lazy(labels: Any) -> bool:
    return not isinstance(labels, np.ndarray)


def _blocks(labels: Any) -> Iterator[tuple[slice, ...]]:
    """Indices that cut an array into its chunks; into planes, if it has none."""
    sizes = tuple(getattr(labels, "chunks", None) or ())
    if len(sizes) != len(labels.shape) or not all(isinstance(size, int) for size in sizes):
        sizes = (*(1,) * (len(labels.shape) - 2), *labels.shape[-2:])
    starts = (range(0, n, max(1, size)) for n, size in zip(labels.shape, sizes, strict=True))
    for corner in product(*starts):
        yield tuple(slice(start, start + size) for start, size in zip(corner, sizes, strict=True))
