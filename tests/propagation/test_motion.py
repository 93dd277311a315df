from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_segnext.propagation.motion import carry_mask

from .test_interpolation import disk_at


def textured(shape=(120, 140), seed=0):
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(100, 40, shape), 2)


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


@pytest.mark.parametrize("shift", [(0, 0), (3, -4), (-5, 2)])
def test_a_mask_follows_what_the_image_shows(shift):
    image, mask = textured(), disk_at(60, 70, 15, (120, 140))
    image[mask] -= 40
    moved = ndimage.shift(image, shift, mode="nearest")
    assert overlap(carry_mask(mask, image, moved), ndimage.shift(mask, shift, order=0)) > 0.93


def test_a_mask_larger_than_the_window_follows_at_a_coarser_scale():
    image, mask = textured((700, 700)), disk_at(350, 350, 180, (700, 700))
    image[mask] -= 40
    moved = ndimage.shift(image, (6, -8), mode="nearest")
    assert overlap(carry_mask(mask, image, moved), ndimage.shift(mask, (6, -8), order=0)) > 0.97


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, bool])
def test_any_kind_of_number_and_channels_do(dtype):
    image = (textured() > 100).astype(dtype)
    mask = disk_at(60, 70, 15, (120, 140))
    assert overlap(carry_mask(mask, image, image), mask) > 0.95
    colour = np.repeat(image[..., None], 3, axis=2)
    assert overlap(carry_mask(mask, colour, colour), mask) > 0.95


@pytest.mark.parametrize("there", [np.zeros((120, 140)), np.full((120, 140), np.nan)], ids=["flat", "not finite"])
def test_where_there_is_nothing_to_follow_the_mask_stays(there):
    mask = disk_at(60, 70, 15, (120, 140))
    np.testing.assert_array_equal(carry_mask(mask, textured(), there), mask)


def test_an_empty_mask_stays_empty():
    assert not carry_mask(np.zeros((120, 140), bool), textured(), textured()).any()


def test_a_mask_at_the_border_stays_within_the_image():
    mask = disk_at(2, 2, 6, (120, 140))
    assert overlap(carry_mask(mask, textured(), textured()), mask) > 0.9
