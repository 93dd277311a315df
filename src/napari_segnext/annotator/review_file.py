"""The review as prompts files keep it, and back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_segnext.annotator.annotation import shown_slice
from napari_segnext.annotator.review import ReviewedSlice, ReviewState
from napari_segnext.prompts import AnnotatedObject, PropagatedSlice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_segnext.annotator.coordinates import ShownSlice
    from napari_segnext.annotator.review import Review
    from napari_segnext.prompts import PromptsFile

_FOUND = {
    ReviewState.BETWEEN: "between",
    ReviewState.BEYOND: "beyond",
    ReviewState.STOPPED: "stopped",
    ReviewState.EDITED: "painted",
}
_MARKS = {None: "", ReviewState.EDITED: "edited", ReviewState.ACCEPTED: "accepted"}


def objects_with_review(objects: tuple[AnnotatedObject, ...], review: Review) -> tuple[AnnotatedObject, ...]:
    """Objects of a prompts file with what is noted of their propagated slices; painted ones that are new come last."""
    known = {one.label for one in objects}
    painted = tuple(AnnotatedObject(label) for label in review.labels if label not in known)
    return tuple(replace(one, propagated=review.derived(one.label, _kept_slices)) for one in (*objects, *painted))


def notes_of(file: PromptsFile, shape: tuple[int, ...]) -> dict[int, dict[ShownSlice, ReviewedSlice]]:
    """What a prompts file notes of propagated slices, on an image of `shape` (without its RGB axis).

    Raises
    ------
    SavedAnnotationError
        If it belongs to an image of another shape.
    """
    found = {name: state for state, name in _FOUND.items()}
    marks = {name: state for state, name in _MARKS.items()}
    return {
        item.label: {
            shown_slice(one, shape): ReviewedSlice(
                found[one.found], one.confidence, one.reason, one.pixels, one.came_from, marks[one.mark]
            )
            for one in item.propagated
        }
        for item in file.objects
    }


def _kept_slices(notes: Mapping[ShownSlice, ReviewedSlice]) -> tuple[PropagatedSlice, ...]:
    return tuple(_kept(shown, note) for shown, note in notes.items())


def _kept(shown: ShownSlice, note: ReviewedSlice) -> PropagatedSlice:
    # as of prompts: the axis that is nearest to the plane's own ones is the slice's
    (axis, index), *others = sorted(zip(shown.other_axes, shown.index, strict=True), reverse=True)
    return PropagatedSlice(
        axis,
        index,
        tuple(others),
        _FOUND[note.found],
        note.confidence,
        note.reason,
        _MARKS[note.mark],
        note.pixels,
        note.came_from,
    )
