"""Which slice to look at next, and in words what is known of it. Values only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segnext.annotator.review import ReviewedSlice, ReviewState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_segnext.annotator.objects import ObjectRecords
    from napari_segnext.annotator.review import Review
    from napari_segnext.annotator.slice_line import SliceLine

DOUBTFUL = 0.7
"""Confidence below which a propagated slice is worth a look."""


def doubtful_slices(
    review: Review, records: ObjectRecords, line: SliceLine, threshold: float = DOUBTFUL
) -> Iterator[tuple[int, int]]:
    """(index, label) of propagated slices of a line that are less sure than that, and that nobody has looked at."""
    for label in review.labels:
        if label in records.locked:
            continue
        slices = records.get(label).slices
        for shown, one in review.of(label).items():
            index = line.index_of(shown)
            if index is not None and not one.is_protected and one.confidence < threshold and shown not in slices:
                yield index, label


def next_doubtful(
    review: Review,
    records: ObjectRecords,
    line: SliceLine,
    after: tuple[int, int],
    threshold: float = DOUBTFUL,
) -> tuple[int, int] | None:
    """The next doubtful slice in the order of slices, on each the lowest label first; after the last comes the first.

    Parameters
    ----------
    review, records, line, threshold
        As of `doubtful_slices`.
    after
        (index, label) of the one that was looked at last.

    Returns
    -------
    (index, label) or None
        None if no slice is in doubt.
    """
    found = sorted(doubtful_slices(review, records, line, threshold))
    return next((one for one in found if one > after), found[0] if found else None)


def in_words(label: int, index: int, one: ReviewedSlice | None, *, is_annotated: bool = False) -> str:
    """What is known of an object on a slice, as a sentence."""
    begin = f"Object {label}, slice {index}"
    if is_annotated:
        return f"{begin}: annotated."
    if one is None:
        return f"{begin}: nothing."
    if one.state is ReviewState.STOPPED:
        return f"{begin}: not carried on, since {one.reason}."
    if one.found is ReviewState.EDITED:
        return f"{begin}: painted by hand."
    how = f", {one.state.value}" if one.is_protected else ""
    what = f"not carried on, since {one.reason}" if one.found is ReviewState.STOPPED else one.found.value
    return f"{begin}: {what}, confidence {one.confidence:.2f}{how}."
