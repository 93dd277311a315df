"""Masks as run lengths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_segnext.errors import PromptError
from napari_segnext.prompts.run_lengths import mask_from_run_lengths, run_lengths_of_mask


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_any_mask_comes_back(mask):
    assert np.array_equal(mask_from_run_lengths(run_lengths_of_mask(mask), mask.shape), mask)


def test_runs_are_row_major_and_start_with_background():
    mask = np.array([[False, False, True], [True, False, True]])
    assert run_lengths_of_mask(mask) == [2, 2, 1, 1]


def test_mask_whose_first_pixel_is_object_starts_with_a_zero():
    assert run_lengths_of_mask(np.array([[True, False]])) == [0, 1, 1]


def test_lengths_are_plain_integers_that_json_can_write():
    assert {type(length) for length in run_lengths_of_mask(np.eye(3, dtype=bool))} == {int}


@pytest.mark.parametrize(
    ("lengths", "shape"),
    [([3], (2, 2)), ([2, 3], (2, 2)), ([1, 0, 3], (2, 2)), ([5, -1], (2, 2)), ([-1, 5], (2, 2)), ([], (2, 2))],
    ids=["too few", "too many", "empty run inside", "negative last", "negative first", "none"],
)
def test_lengths_that_do_not_fill_the_mask_are_refused(lengths, shape):
    with pytest.raises(PromptError, match="expected 4, its number of pixels"):
        mask_from_run_lengths(lengths, shape)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=4).filter(lambda s: len(s) != 2 or s[0] * s[1] > 2**30))
def test_shape_that_is_no_sensible_slice_is_refused_before_memory_is_taken(shape):
    with pytest.raises(PromptError, match="expected \\[rows, columns\\] of at most"):
        mask_from_run_lengths([int(np.prod([float(n) for n in shape]))], shape)
