from __future__ import annotations

import numpy as np
import pytest

from napari_segnext.errors import ImageError
from napari_segnext.session import image_to_rgb


def test_uint8_is_taken_as_it_is():
    image = np.array([[10, 20], [30, 255]], np.uint8)
    np.testing.assert_allclose(image_to_rgb(image)[..., 1], image / 255, rtol=1e-6)


@pytest.mark.parametrize(
    "dtype",
    [bool, np.int8, np.uint16, np.int16, np.uint32, np.int64, np.float16, np.float32, np.float64, ">u2"],
    ids=str,
)
def test_every_numeric_dtype_becomes_three_channels_in_0_to_1(dtype):
    image = (np.arange(400).reshape(20, 20) % 2).astype(dtype)
    rgb = image_to_rgb(image)
    assert rgb.shape == (20, 20, 3)
    assert rgb.dtype == np.float32
    assert (rgb.min(), rgb.max()) == (0, 1)


@pytest.mark.parametrize("n_channels", [1, 2, 3, 4])
def test_one_to_four_channels_are_read(n_channels):
    assert image_to_rgb(np.zeros((5, 6, n_channels), np.uint8)).shape == (5, 6, 3)


def test_alpha_is_left_out_and_the_third_of_two_channels_is_their_mean():
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[..., 3] = 255
    assert image_to_rgb(rgba).max() == 0
    pair = np.stack([np.full((2, 2), 255), np.zeros((2, 2))], axis=-1).astype(np.uint8)
    np.testing.assert_allclose(image_to_rgb(pair)[0, 0], [1, 0, 0.5])


def test_contrast_limits_become_black_and_white():
    image = np.array([[0, 100, 200, 300]], np.uint16)
    np.testing.assert_allclose(image_to_rgb(image, (100, 200))[0, :, 0], [0, 0, 1, 1])


def test_contrast_limits_hold_for_uint8_too():
    np.testing.assert_allclose(image_to_rgb(np.array([[50, 100]], np.uint8), (0, 100))[0, :, 0], [0.5, 1])


def test_each_channel_may_have_its_own_limits():
    image = np.full((1, 1, 2), 5.0)
    np.testing.assert_allclose(image_to_rgb(image, [(0, 10), (0, 5)])[0, 0, :2], [0.5, 1])


def test_outliers_do_not_darken_a_percentile_stretch():
    image = np.linspace(0, 1, 10_000).reshape(100, 100)
    image[0, 0] = 1e6
    assert image_to_rgb(image)[50, 50, 0] == pytest.approx(0.5, abs=0.02)


def test_constant_image_is_not_divided_by_zero():
    assert np.isfinite(image_to_rgb(np.full((4, 4), 7.0))).all()


@pytest.mark.parametrize("limits", [(5, 5), (9, 1), (0, np.nan), [(0, 1)] * 7], ids=str)
def test_limits_that_are_none_are_refused(limits):
    with pytest.raises(ValueError, match="low below high"):
        image_to_rgb(np.zeros((4, 4)), limits)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((3, 512, 512)), "Move the channel axis last"),
        (np.zeros((4, 4, 4, 3)), "expected \\(H, W\\)"),
        (np.zeros(5), "expected \\(H, W\\)"),
        (np.zeros((0, 5)), "no pixel"),
        (np.zeros((4, 4, 9)), "1 to 4 channels"),
        (np.array([["a"]]), "dtype"),
        (np.zeros((4, 4), complex), "dtype complex128"),
        (np.array([[np.nan, np.inf, -np.inf]]), "no finite pixel"),
    ],
    ids=["channels first", "4D", "1D", "no rows", "nine channels", "text", "complex", "not finite"],
)
def test_images_that_cannot_be_segmented_are_refused_in_words(image, words):
    with pytest.raises(ImageError, match=words):
        image_to_rgb(image)


def test_pixels_that_are_not_finite_are_as_dark_as_the_darkest():
    image = np.random.default_rng(0).random((20, 20)) + 5
    masked = image.copy()
    masked[:5] = np.nan
    masked[5, 5] = np.inf
    rgb = image_to_rgb(masked)
    assert (rgb[:5] == 0).all() and (rgb[5, 5] == 0).all()
    np.testing.assert_allclose(
        rgb[6:], image_to_rgb(np.where(np.isfinite(masked), masked, image[6:].min()))[6:], atol=0.02
    )
