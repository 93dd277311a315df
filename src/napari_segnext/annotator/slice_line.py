"""Slices that follow each other along one axis of an image; the other axes that are not seen stay where they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from napari_segnext.annotator.errors import NotAVolumeError

if TYPE_CHECKING:
    from napari_segnext.annotator.coordinates import ShownSlice


@dataclass(frozen=True)
class SliceLine:
    """All slices along an axis, at one position of every further axis, such as time.

    Attributes
    ----------
    axis
        Of the image's array, along which slices follow each other.
    first
        Slice 0.
    n
        Number of slices.
    """

    axis: int
    first: ShownSlice
    n: int

    @classmethod
    def through(cls, shown: ShownSlice, shape: tuple[int, ...], axis: int | None = None) -> SliceLine:
        """The line that a slice lies on.

        Parameters
        ----------
        shown
            The slice.
        shape
            Of the image's array, without the RGB axis.
        axis
            One of the axes that the slice does not span; the last of them by default.

        Raises
        ------
        NotAVolumeError
            If the image has no such axis, or only one slice along it.
        """
        others = shown.other_axes
        if not others:
            raise NotAVolumeError("the image is a single plane; objects are propagated through volumes and series.")
        axis = others[-1] if axis is None else axis
        if axis not in others:
            raise NotAVolumeError(
                f"the slice that is shown does not lie across axis {axis}; expected one of {others}. Show slices along "
                "that axis first."
            )
        if shape[axis] < 2:
            raise NotAVolumeError(f"the image has one slice along axis {axis}; there is nothing to propagate to.")
        return cls(axis, _moved(shown, axis, 0), int(shape[axis]))

    def at(self, index: int) -> ShownSlice:
        """The slice of that number."""
        return _moved(self.first, self.axis, index)

    def index_of(self, shown: ShownSlice) -> int | None:
        """Number of a slice; None if it lies elsewhere."""
        first, place = self.first, self._place
        if shown.axes != first.axes or len(shown.index) != len(first.index) or shown.shape != first.shape:
            return None
        index = shown.index[place]
        is_here = shown.index[:place] == first.index[:place] and shown.index[place + 1 :] == first.index[place + 1 :]
        return index if is_here and 0 <= index < self.n else None

    @cached_property
    def _place(self) -> int:
        """Which entry of `ShownSlice.index` the axis has."""
        return self.first.other_axes.index(self.axis)


def _moved(shown: ShownSlice, axis: int, index: int) -> ShownSlice:
    place = shown.other_axes.index(axis)
    return replace(shown, index=(*shown.index[:place], index, *shown.index[place + 1 :]))
