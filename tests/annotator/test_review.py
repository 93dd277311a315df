from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

from napari_segnext.annotator.coordinates import ShownSlice
from napari_segnext.annotator.draft import Draft
from napari_segnext.annotator.errors import NotAVolumeError
from napari_segnext.annotator.label_edits import LabelEdit
from napari_segnext.annotator.objects import AcceptedSlice, ObjectRecord, ObjectRecords
from napari_segnext.annotator.propagated_slices import Wish, plan_slice
from napari_segnext.annotator.review import Review, ReviewedSlice, ReviewState, digest_of, merged_edits
from napari_segnext.annotator.review_table import CODES, ReviewTable
from napari_segnext.annotator.review_walk import in_words, next_doubtful
from napari_segnext.annotator.slice_line import SliceLine
from napari_segnext.prompts.packed_mask import PackedMask

LINE = SliceLine(0, ShownSlice((1, 2), (0,), (6, 8)), 10)
SURE = ReviewedSlice(ReviewState.BETWEEN, 0.9)
DOUBTFUL = ReviewedSlice(ReviewState.BEYOND, 0.4)
ENDED = ReviewedSlice(ReviewState.STOPPED, 0.1, "nothing was found")


def review_of(**notes: dict[int, ReviewedSlice]) -> Review:
    """review_of(_1={3: SURE}) notes object 1 on slice 3."""
    review = Review()
    review.replace_all(
        {int(label[1:]): {LINE.at(index): one for index, one in slices.items()} for label, slices in notes.items()}
    )
    return review


def square(top: int, left: int, side: int = 2) -> np.ndarray:
    mask = np.zeros((6, 8), bool)
    mask[top : top + side, left : left + side] = True
    return mask


class TestLine:
    def test_goes_through_the_last_axis_that_is_not_seen(self):
        shown = ShownSlice((2, 3), (4, 7), (6, 8))
        line = SliceLine.through(shown, (5, 9, 6, 8))
        assert (line.axis, line.n) == (1, 9)
        assert line.at(2) == ShownSlice((2, 3), (4, 2), (6, 8))
        assert line.index_of(shown) == 7

    def test_goes_through_time_if_that_is_named(self):
        shown = ShownSlice((2, 3), (4, 7), (6, 8))
        line = SliceLine.through(shown, (5, 9, 6, 8), 0)
        assert (line.axis, line.n) == (0, 5)
        assert line.at(2) == ShownSlice((2, 3), (2, 7), (6, 8))

    @pytest.mark.parametrize(
        "shown",
        [
            ShownSlice((0, 2), (3,), (10, 8)),
            ShownSlice((1, 2), (10,), (6, 8)),
            ShownSlice((2, 3), (1, 1), (6, 8)),
            ShownSlice((1, 2), (3,), (6, 9)),
        ],
        ids=["across", "beyond the end", "of more axes", "of another shape"],
    )
    def test_knows_what_does_not_lie_on_it(self, shown):
        assert LINE.index_of(shown) is None

    def test_other_positions_lie_on_other_lines(self):
        line = SliceLine(1, ShownSlice((2, 3), (4, 0), (6, 8)), 9)
        assert line.index_of(ShownSlice((2, 3), (3, 5), (6, 8))) is None

    @pytest.mark.parametrize(("shape", "axis"), [((1, 6, 8), None), ((10, 6, 8), 1)])
    def test_there_must_be_more_than_one_slice(self, shape, axis):
        with pytest.raises(NotAVolumeError):
            SliceLine.through(ShownSlice((1, 2), (0,), (6, 8)), shape, axis)


class TestEdits:
    def test_are_applied_and_taken_back_only_where_nothing_came_between(self):
        review = review_of(_1={3: SURE, 4: SURE})
        edit = review.accepting([(1, LINE.at(3)), (1, LINE.at(4))])
        review.apply(edit)
        review.apply(review.removal([1]) and {(1, LINE.at(4)): (edit[1, LINE.at(4)][1], DOUBTFUL)})
        review.revert(edit)
        assert review.get(1, LINE.at(3)) == SURE
        assert review.get(1, LINE.at(4)) == DOUBTFUL

    def test_two_are_one(self):
        review = review_of(_1={3: SURE})
        first = review.accepting([(1, LINE.at(3))])
        review.apply(first)
        second = review.removal([1])
        review.apply(second)
        review.revert(merged_edits(first, second))
        assert review.get(1, LINE.at(3)) == SURE

    def test_tell_what_is_noted_otherwise(self):
        review, heard = review_of(_1={3: SURE}), []
        review.changed.connect(heard.append)
        edit = review.accepting([(1, LINE.at(3)), (2, LINE.at(3))])
        review.apply(edit)
        review.apply(edit)
        assert heard == [frozenset({(1, LINE.at(3))})]

    def test_a_stroke_marks_the_objects_and_slices_that_it_touches(self):
        review = review_of(_1={2: SURE, 3: SURE}, _2={2: SURE, 3: SURE})
        before = np.zeros((10, 6, 8), int)
        before[2, :2] = 1
        after = before.copy()
        after[2, 1, 1], after[3, 4, 4] = 0, 2
        stroke = LabelEdit.between(before, after, (0, 0, 0))
        assert set(review.painting([stroke])) == {(1, LINE.at(2)), (2, LINE.at(3))}
        assert set(review.painting([stroke], but=[1])) == {(2, LINE.at(3))}

    def test_derived_values_are_made_anew_after_a_change(self):
        review = review_of(_1={3: SURE})
        assert review.derived(1, len) == 1
        review.apply({(1, LINE.at(4)): (None, SURE)})
        assert review.derived(1, len) == 2


class TestPlanSlice:
    def plan(self, labels, review, *wishes):
        edit, notes = plan_slice(labels, LINE.at(2), wishes, review)
        after = labels.copy()
        if edit is not None:
            after[edit.indices] = edit.after
        return after, notes

    def test_gives_free_pixels_and_notes_those_that_were_left(self):
        labels = np.zeros((10, 6, 8), int)
        labels[2][square(1, 1)] = 7
        after, notes = self.plan(labels, Review(), Wish(1, square(0, 0, 3), SURE))
        assert (after[2] == 1).sum() == 5 and (after[2] == 7).sum() == 4
        assert notes[1, LINE.at(2)][1].pixels == digest_of(after[2] == 1)

    def test_takes_back_what_it_gave_before(self):
        labels = np.zeros((10, 6, 8), int)
        labels[2][square(0, 0)] = 1
        noted = ReviewedSlice(ReviewState.BEYOND, 0.5, pixels=digest_of(square(0, 0)))
        after, notes = self.plan(labels, review_of(_1={2: noted}), Wish(1, square(1, 1), SURE))
        np.testing.assert_array_equal(after[2] == 1, square(1, 1))
        after, notes = self.plan(labels, review_of(_1={2: noted}), Wish(1, None, None))
        assert not after.any() and notes == {(1, LINE.at(2)): (noted, None)}

    def test_objects_on_one_slice_share_no_pixel(self):
        labels = np.zeros((10, 6, 8), int)
        after, _ = self.plan(labels, Review(), Wish(1, square(0, 0, 4), SURE), Wish(2, square(2, 2, 4), SURE))
        assert (after[2] == 1).sum() == 16 and (after[2] == 2).sum() == 12

    @pytest.mark.parametrize(
        "noted",
        [None, SURE, ReviewedSlice(ReviewState.BETWEEN, mark=ReviewState.ACCEPTED)],
        ids=["painted before", "painted since", "accepted"],
    )
    def test_leaves_what_a_person_made(self, noted):
        labels = np.zeros((10, 6, 8), int)
        labels[2][square(0, 0)] = 1
        review = Review() if noted is None else review_of(_1={2: noted})
        after, notes = self.plan(labels, review, Wish(1, square(3, 3), DOUBTFUL))
        np.testing.assert_array_equal(after, labels)
        assert all(one.state is ReviewState.EDITED for _, one in notes.values())


class TestWalk:
    def test_goes_by_slice_then_label_and_round(self):
        review = review_of(_1={2: DOUBTFUL, 5: SURE}, _2={2: ENDED, 7: DOUBTFUL})
        places = [(2, 1), (2, 2), (7, 2)]
        for here, there in zip(places, [*places[1:], places[0]], strict=True):
            assert next_doubtful(review, ObjectRecords(), LINE, here) == there
        assert next_doubtful(review, ObjectRecords(), LINE, (3, 0)) == (7, 2)
        assert next_doubtful(review, ObjectRecords(), LINE, (0, 0), 0.05) is None

    def test_leaves_out_locked_objects(self):
        review = review_of(_1={2: DOUBTFUL})
        records = ObjectRecords({1: ObjectRecord(1, is_locked=True)})
        assert next_doubtful(review, records, LINE, (0, 0)) is None

    @pytest.mark.parametrize(
        ("one", "words"),
        [
            (None, "nothing"),
            (SURE, "propagated between annotated slices, confidence 0.90."),
            (ENDED, "not carried on, since nothing was found."),
            (ReviewedSlice(ReviewState.EDITED), "painted by hand."),
            (ReviewedSlice(ReviewState.BEYOND, 0.5, mark=ReviewState.ACCEPTED), "0.50, looked at and accepted."),
        ],
    )
    def test_words(self, one, words):
        assert words in in_words(3, 4, one)


class TestTable:
    def test_holds_what_is_known_and_follows_it(self):
        review = review_of(_1={2: DOUBTFUL}, _4={3: ENDED})
        accepted = AcceptedSlice(Draft(), PackedMask.of(square(0, 0)))
        records = ObjectRecords({4: ObjectRecord(4, "vessel", slices={LINE.at(5): accepted})})
        table = ReviewTable(LINE, (1, 4), review, records)
        assert table.states[0, 2] == CODES[ReviewState.BEYOND]
        assert table.states[1, 5] == CODES[ReviewState.ANNOTATED]
        assert table.confidence[0, 2] == np.float32(0.4)
        assert table.words(1, 5) == "Object 4 (vessel), slice 5: annotated."
        edit = review.accepting([(1, LINE.at(2))])
        review.apply(edit)
        assert table.update(edit)
        assert table.states[0, 2] == CODES[ReviewState.ACCEPTED]
        assert not table.update([(9, LINE.at(2))])
        assert table.take_in_records(ObjectRecords()) == (1,)
        assert table.states[1, 5] == 0
