"""Edits of a labels layer: planned as values, then applied, then perhaps taken back. Other labels are never touched.

Pixels are written with `Labels.data_setitem`, so that napari's own undo history stays true: its Ctrl+Z after an edit
takes that edit back, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.annotator.errors import NoFreeLabelError, NothingToAcceptError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext._types import Mask
    from napari_segnext.annotator.coordinates import ShownSlice


@dataclass(frozen=True, eq=False)
class LabelEdit:
    """Free pixels (of value 0) that become a label.

    Attributes
    ----------
    indices
        One `(n,)` index array for each axis of the labels array.
    label
        The value that they get.
    """

    indices: tuple[NDArray[np.intp], ...]
    label: int

    @property
    def n_pixels(self) -> int:
        """Number of pixels."""
        return len(self.indices[0])


def plan_accept(labels: Any, shown: ShownSlice, mask: Mask, label: int) -> LabelEdit:
    """The edit that gives the free pixels of a mask a label; pixels of other labels are left alone.

    Parameters
    ----------
    labels
        Integer array on the image's grid; not changed here.
    shown
        The plane of the mask.
    mask
        `(rows, columns)` bool.
    label
        Number of the object, above 0.

    Raises
    ------
    NothingToAcceptError
        If the mask is empty or lies wholly under other labels.
    """
    if not mask.any():
        raise NothingToAcceptError("the mask is empty; add a positive click on the object first.")
    plane = np.asarray(labels[shown.selector])
    rows, columns = np.nonzero(mask & (plane == 0))
    if len(rows) == 0:
        raise NothingToAcceptError(
            "every pixel of the mask belongs to an object that was accepted before; those are never overwritten. "
            "Click elsewhere, or erase that object first."
        )
    return LabelEdit(shown.to_array_indices(rows, columns), label)


def write_pixels(layer: Any, indices: tuple[NDArray[np.intp], ...], value: int) -> None:
    """Give pixels a value in such a way that napari's undo knows of it; no pixel, nothing done.

    A hidden layer is shown for the moment: napari does not slice hidden layers, and would write into the texture of the
    slice that it showed last, or fail.
    """
    if len(indices[0]) == 0:
        return
    was_visible, layer.visible = layer.visible, True
    layer.data_setitem(indices, value)
    layer.visible = was_visible


def apply_edit(layer: Any, edit: LabelEdit) -> None:
    """Write the label into the pixels that are still free."""
    write_pixels(layer, _where(layer, edit, 0), edit.label)


def revert_edit(layer: Any, edit: LabelEdit) -> None:
    """Free the pixels that still hold the label; what was changed since by hand stays."""
    write_pixels(layer, _where(layer, edit, edit.label), 0)


def next_free_label(labels: Any) -> int:
    """One more than the largest label; where the dtype ends there, the lowest number that is not in use.

    Raises
    ------
    NoFreeLabelError
        If the dtype has no number left.
    """
    largest = max(0, int(np.max(np.asarray(labels)))) if np.size(labels) else 0
    limit = int(np.iinfo(labels.dtype).max)
    if largest < limit:
        return largest + 1
    used = np.unique(np.asarray(labels))
    free = np.setdiff1d(np.arange(1, min(limit, len(used) + 1) + 1), used)
    if len(free) == 0:
        raise NoFreeLabelError(
            f"the labels layer has dtype {labels.dtype} and all of its {limit} labels are in use. "
            "Convert it to a wider type (right click on the layer, 'Convert data type'), or start a new one."
        )
    return int(free[0])


def ensure_free_label(layer: Any) -> int:
    """The next free label of a labels layer, whose array is replaced by a wider one if it has to be.

    Only a plain array in memory is replaced; a file on disk (memory map, zarr) keeps its type and raises.

    Raises
    ------
    NoFreeLabelError
        If the dtype has no number left and the array cannot be replaced.
    """
    try:
        return next_free_label(layer.data)
    except NoFreeLabelError:
        if type(layer.data) is not np.ndarray or layer.data.dtype.itemsize >= 4:
            raise
    # napari keeps its undo history over this: it holds indices and values, and both still fit
    layer.data = layer.data.astype(np.int32)
    return next_free_label(layer.data)


def _where(layer: Any, edit: LabelEdit, value: int) -> tuple[NDArray[np.intp], ...]:
    """Indices of the edit's pixels that hold a value now."""
    holds = np.asarray(layer.data[edit.indices]) == value
    return tuple(axis[holds] for axis in edit.indices)
