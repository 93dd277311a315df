"""The mask of what is worked on: the model's answer, and for a reopened object what was painted on it by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_segnext.annotator.errors import NothingToAcceptError, StillComputingError

if TYPE_CHECKING:
    from napari_segnext._types import Mask
    from napari_segnext.annotator.coordinates import ShownSlice
    from napari_segnext.annotator.object_labels import ObjectLabels
    from napari_segnext.annotator.slice_state import SliceState

Spacing = tuple[float, float]
"""(row, column) size of a pixel."""


def mask_to_show(objects: ObjectLabels, shown: ShownSlice, state: SliceState, spacing: Spacing) -> Mask | None:
    """`(rows, columns)` bool: the mask as the user would accept it; None if there is none (yet).

    A reopened object without prompts is shown as it is. With prompts, those pixels show the answer in which it differs
    from the mask that was accepted; all others show what the labels hold.
    """
    label = state.draft.label
    if not state.prompts:
        return None if label is None else objects.pixels_of(shown, label)
    mask = state.mask(spacing)
    if mask is None or label is None:
        return mask
    return np.where(mask == replaced_mask(objects, shown, state), objects.pixels_of(shown, label), mask)


def mask_to_accept(shown: ShownSlice, state: SliceState, spacing: Spacing) -> Mask:
    """`(rows, columns)` bool: the mask of the prompts alone, without what was painted by hand.

    Raises
    ------
    NothingToAcceptError
        If there are no prompts, unless they were all taken from a reopened object, whose mask is then empty.
    StillComputingError
        If the answer to the present prompts is not there yet.
    """
    if not state.prompts:
        if state.draft.label is not None:
            return np.zeros(shown.shape, bool)
        raise NothingToAcceptError("there is no mask to accept; click on an object first.")
    mask = state.mask(spacing)
    if mask is None:
        raise StillComputingError(
            "the mask that is shown is a first glimpse, or older than the prompts or the zoom; wait until the new one "
            "is there, then accept."
        )
    return mask


def replaced_mask(objects: ObjectLabels, shown: ShownSlice, state: SliceState) -> Mask:
    """`(rows, columns)` bool: the mask of a reopened object from which changes of it are counted."""
    label = state.draft.label
    accepted = None if label is None else objects.records.get(label).slices.get(shown)
    base = state.base if accepted is None else accepted.mask
    return np.zeros(shown.shape, bool) if base is None else base.unpacked()
