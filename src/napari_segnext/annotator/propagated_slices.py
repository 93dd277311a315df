"""What propagation gives for a slice, as edits of the labels and of the review: planned here as values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.annotator.label_edits import edit_of_plane
from napari_segnext.annotator.review import ReviewedSlice, ReviewState, digest_of_pixels, pixels_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_segnext._types import Mask
    from napari_segnext.annotator.coordinates import ShownSlice
    from napari_segnext.annotator.label_edits import LabelEdit
    from napari_segnext.annotator.review import Review, ReviewEdit
    from napari_segnext.propagation import SliceResult


@dataclass(frozen=True, eq=False)
class Wish:
    """What is to become of one object on a slice.

    Attributes
    ----------
    label
        Which object.
    mask
        `(rows, columns)` bool; None if it is not there any more.
    note
        What is noted of it then, but for the pixels; None for nothing.
    """

    label: int
    mask: Mask | None
    note: ReviewedSlice | None


def wish_of(result: SliceResult, came_from: str) -> Wish:
    """What a result asks for; `came_from` is the digest of what it was propagated from."""
    from napari_segnext.propagation import Source

    found = ReviewState.BETWEEN if result.source is Source.BETWEEN else ReviewState.BEYOND
    if result.stopped is not None:
        found = ReviewState.STOPPED
    reason = "" if result.stopped is None else result.stopped.value
    note = ReviewedSlice(found, round(result.confidence, 4), reason, came_from=came_from)
    return Wish(result.label, result.mask if result.stopped is None else None, note)


def plan_slice(
    labels: Any, shown: ShownSlice, wishes: Iterable[Wish], review: Review
) -> tuple[LabelEdit | None, ReviewEdit]:
    """The edits that fulfil wishes on one slice, as far as persons have not had a hand in it.

    An object is left as it is where its pixels are other ones than those that were noted, which then count as edited.
    Pixels of other objects stay theirs.

    Parameters
    ----------
    labels
        Integer array on the image's grid.
    shown
        The slice.
    wishes
        One for each object, the first one first.
    review
        What is noted so far.
    """
    wishes = tuple(wishes)
    plane = np.asarray(labels[shown.selector])
    held = pixels_of(plane, tuple(wish.label for wish in wishes))
    before, after = plane.reshape(-1), plane.reshape(-1).copy()
    touched = [_NOTHING]
    notes: ReviewEdit = {}
    for wish in wishes:
        key = (wish.label, shown)
        noted = review.get(*key)
        own = held.get(wish.label, _NOTHING)
        if noted is not None and noted.is_protected:
            continue
        if noted is None and len(own):
            notes[key] = (None, ReviewedSlice(ReviewState.EDITED, pixels=digest_of_pixels(own)))
            continue
        if noted is not None and digest_of_pixels(own) != noted.pixels:
            notes[key] = (noted, replace(noted, mark=ReviewState.EDITED))
            continue
        wanted = _NOTHING if wish.mask is None else np.flatnonzero(wish.mask)
        wanted = wanted[(after[wanted] == 0) | (before[wanted] == wish.label)]
        after[own] = 0
        after[wanted] = wish.label
        touched += [own, wanted]
        note = None if wish.note is None else replace(wish.note, pixels=digest_of_pixels(wanted))
        if note != noted:
            notes[key] = (noted, note)
    return _edit(plane, after.reshape(plane.shape), np.concatenate(touched), shown), notes


_NOTHING = np.zeros(0, np.intp)


def _edit(before: NDArray[Any], after: NDArray[Any], touched: NDArray[np.intp], shown: ShownSlice) -> LabelEdit | None:
    """The edit of a plane of which at most these pixels, as flat indices, change."""
    if not len(touched):
        return None
    rows, columns = np.unravel_index(touched, before.shape)
    top, left = int(rows.min()), int(columns.min())
    box = (slice(top, int(rows.max()) + 1), slice(left, int(columns.max()) + 1))
    return edit_of_plane(before[box], after[box], (top, left), shown)
