"""The review of one line as a table of objects × slices, in arrays that a strip paints from. No Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_segnext.annotator.review import ReviewState
from napari_segnext.annotator.review_walk import in_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_segnext.annotator.objects import ObjectRecords
    from napari_segnext.annotator.review import Key, Review, ReviewedSlice
    from napari_segnext.annotator.slice_line import SliceLine

NOTHING = 0
CODES = {state: code for code, state in enumerate(ReviewState, start=1)}
"""State → its number in `ReviewTable.states`; 0 is a slice of which nothing is known."""


class ReviewTable:
    """States and confidences of objects on the slices of a line.

    Parameters
    ----------
    line
        The slices.
    labels
        The objects, one for each row.
    review, records
        What is known of them.

    Attributes
    ----------
    states
        `(objects, slices)` uint8, see `CODES`.
    confidence
        `(objects, slices)` float32, 0 to 1; what a person annotated has 1.
    """

    def __init__(self, line: SliceLine, labels: tuple[int, ...], review: Review, records: ObjectRecords) -> None:
        self.line = line
        self.labels = labels
        self._review = review
        self._records = records
        self._row_of = {label: row for row, label in enumerate(labels)}
        self.states = np.zeros((len(labels), line.n), np.uint8)
        self.confidence = np.zeros((len(labels), line.n), np.float32)
        for row in range(len(labels)):
            self._fill(row)

    def take_in_records(self, records: ObjectRecords) -> tuple[int, ...]:
        """Objects were annotated or renamed; the rows that are others now."""
        before, self._records = self._records, records
        rows = tuple(
            row
            for row, label in enumerate(self.labels)
            if records.by_label.get(label) is not before.by_label.get(label)
        )
        for row in rows:
            self._fill(row)
        return rows

    def _fill(self, row: int) -> None:
        label = self.labels[row]
        self.states[row], self.confidence[row] = NOTHING, 0
        for shown, one in self._review.of(label).items():
            self._put(row, self.line.index_of(shown), one)
        for shown in self._records.get(label).slices:
            index = self.line.index_of(shown)
            if index is not None:
                self.states[row, index], self.confidence[row, index] = CODES[ReviewState.ANNOTATED], 1

    def update(self, keys: Iterable[Key]) -> bool:
        """Take in what is noted otherwise now; False if there is an object that has no row."""
        is_whole = True
        for label, shown in keys:
            row, index = self._row_of.get(label), self.line.index_of(shown)
            if index is None:
                continue
            if row is None:
                is_whole = False
            elif self.states[row, index] != CODES[ReviewState.ANNOTATED]:
                self._put(row, index, self._review.get(label, shown))
        return is_whole

    def words(self, row: int, index: int) -> str:
        """What is known of an object on a slice, as a sentence."""
        label = self.labels[row]
        is_annotated = self.states[row, index] == CODES[ReviewState.ANNOTATED]
        one = self._review.get(label, self.line.at(index))
        name = self._records.get(label).name
        words = in_words(label, index, one, is_annotated=bool(is_annotated))
        return words.replace(f"Object {label}", f"Object {label} ({name})", 1) if name else words

    def _put(self, row: int, index: int | None, one: ReviewedSlice | None) -> None:
        if index is None:
            return
        self.states[row, index] = NOTHING if one is None else CODES[one.state]
        is_sure = one is not None and one.found is ReviewState.EDITED
        self.confidence[row, index] = 0 if one is None else 1 if is_sure else one.confidence
