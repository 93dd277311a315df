from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_segnext.everything import paint, suppress
from tests.everything.conftest import candidate_of, full, square

SHAPE = (24, 28)


@st.composite
def candidates(draw):
    """Up to 12 squares with a few holes, anywhere on the image."""
    found = []
    for number in range(draw(st.integers(0, 12))):
        side = draw(st.integers(1, 14))
        top, left = draw(st.integers(0, SHAPE[0] - side)), draw(st.integers(0, SHAPE[1] - side))
        mask = np.zeros(SHAPE, bool)
        mask[top : top + side, left : left + side] = True
        if draw(st.booleans()) and side > 2:
            mask[top + 1, left + 1] = False
        found.append(candidate_of(mask, number, stability=draw(st.sampled_from([0.5, 0.7, 0.9]))))
    return found


def contained_share(one, other) -> float:
    return one.overlap(other) / min(one.n_pixels, other.n_pixels)


class TestSuppress:
    def test_of_two_answers_for_one_object_the_better_is_kept(self):
        worse, better = square(0, 2, 2, 10, stability=0.8), square(1, 3, 2, 10, stability=0.9)
        assert suppress([worse, better]) == [better]

    def test_of_equally_stable_answers_the_more_certain_is_kept(self):
        worse, better = square(0, 2, 2, 10, certainty=0.7), square(1, 3, 2, 10, certainty=0.9)
        assert suppress([worse, better]) == [better]

    @pytest.mark.parametrize("stabilities", [(0.9, 0.7), (0.7, 0.9)], ids=["whole", "part"])
    def test_of_a_whole_and_its_part_the_more_stable_is_kept(self, stabilities):
        whole, part = square(0, 2, 2, 16, stability=stabilities[0]), square(1, 4, 4, 5, stability=stabilities[1])
        assert suppress([whole, part]) == [whole if stabilities[0] > stabilities[1] else part]

    def test_neighbours_that_touch_or_overlap_a_little_are_both_kept(self):
        assert len(suppress([square(0, 2, 2, 8), square(1, 2, 9, 8)])) == 2

    @given(candidates())
    @settings(max_examples=60, deadline=None)
    def test_no_two_that_are_kept_overlap_by_more_than_is_allowed(self, found):
        kept = suppress(found, max_iou=0.4, max_contained_share=0.6)
        for i, one in enumerate(kept):
            for other in kept[:i]:
                assert one.iou(other) <= 0.4 and contained_share(one, other) <= 0.6

    @given(candidates())
    @settings(max_examples=60, deadline=None)
    def test_every_one_left_out_is_the_same_as_a_better_one_that_is_kept(self, found):
        kept = suppress(found)
        for one in found:
            if one not in kept:
                betters = [other for other in kept if other.rank > one.rank]
                assert any(one.iou(other) > 0.5 or contained_share(one, other) > 0.7 for other in betters)

    @given(candidates(), st.randoms(use_true_random=False))
    @settings(max_examples=40, deadline=None)
    def test_the_order_in_which_they_come_does_not_matter_and_twice_is_as_once(self, found, random):
        kept = suppress(found)
        shuffled = list(found)
        random.shuffle(shuffled)
        assert suppress(shuffled) == kept
        assert suppress(kept) == kept


class TestPaint:
    def test_the_smaller_one_lies_on_top(self):
        labels, objects = paint([square(0, 0, 0, 10), square(1, 6, 6, 6)], (20, 20))
        assert labels.dtype == np.int32
        assert [one.label for one in objects] == [1, 2]
        assert (labels[6:12, 6:12] == 2).all()
        assert (labels == 1).sum() == objects[0].n_pixels == 100 - 16

    def test_of_equal_sizes_the_more_stable_one_lies_on_top(self):
        labels, _ = paint([square(0, 0, 0, 6, stability=0.9), square(1, 4, 4, 6, stability=0.7)], (12, 12))
        assert (labels[4:6, 4:6] == 1).all()

    def test_labels_are_numbered_in_the_order_of_the_prompts(self):
        labels, objects = paint([square(7, 0, 0, 3), square(2, 10, 10, 5), square(4, 5, 0, 3)], (20, 20))
        assert [labels[11, 11], labels[6, 1], labels[1, 1]] == [1, 2, 3]
        assert [one.prompt for one in objects] == [square(2, 10, 10, 5).prompt, square(4, 5, 0, 3).prompt,
                                                   square(7, 0, 0, 3).prompt]  # fmt: skip

    def test_what_too_little_is_left_of_leaves_its_pixels_to_larger_ones(self):
        small, middle, large = square(0, 0, 0, 4), square(1, 0, 0, 5), square(2, 0, 0, 12)
        labels, objects = paint([small, middle, large], (12, 12), min_object_px=10)
        assert [one.n_pixels for one in objects] == [16, 144 - 16]
        assert labels[4, 4] == 2

    def test_nothing_gives_an_empty_image(self):
        labels, objects = paint([], (3, 4))
        assert labels.shape == (3, 4) and not labels.any() and objects == ()

    @given(candidates(), st.integers(0, 20))
    @settings(max_examples=60, deadline=None)
    def test_every_pixel_belongs_to_a_candidate_that_covers_it_and_counts_are_true(self, found, min_object_px):
        labels, objects = paint(found, SHAPE, min_object_px=min_object_px)
        assert sorted({*np.unique(labels)} - {0}) == [one.label for one in objects] == [*range(1, len(objects) + 1)]
        assert len(objects) <= len(found)
        for one in objects:
            assert (labels == one.label).sum() == one.n_pixels >= max(1, min_object_px)
            covering = [each for each in found if each.prompt == one.prompt and each.window == one.window]
            assert any((full(each, SHAPE) | (labels != one.label)).all() for each in covering)

    @given(candidates())
    @settings(max_examples=60, deadline=None)
    def test_painting_the_largest_first_gives_the_same_image(self, found):
        order = sorted(found, key=lambda each: (each.n_pixels, *(-number for number in each.rank)), reverse=True)
        expected = np.full(SHAPE, -1)
        for candidate in order:
            expected[full(candidate, SHAPE)] = candidate.number
        labels, _ = paint(found, SHAPE)
        numbers = [number for number in range(len(found)) if (expected == number).any()]
        for label, number in enumerate(numbers, start=1):
            np.testing.assert_array_equal(labels == label, expected == number)
