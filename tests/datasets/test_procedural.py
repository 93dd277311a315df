"""Drawn training images: what they hold, and that the labels are where the picture says."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from napari_segnext.datasets.procedural import (
    FAMILIES,
    ProceduralImage,
    list_procedural,
    make_procedural_image,
)
from napari_segnext.datasets.procedural.images import PAINTERS
from napari_segnext.datasets.procedural.label_maps import MIN_OBJECT_PX

N_DRAWN = 150


@cache
def drawn_images() -> tuple[ProceduralImage, ...]:
    return tuple(make_procedural_image((7, number), 192) for number in range(N_DRAWN))


def is_border(labels: np.ndarray) -> np.ndarray:
    return ndimage.minimum_filter(labels, 3) != ndimage.maximum_filter(labels, 3)


def border_contrast(image: np.ndarray, labels: np.ndarray) -> float:
    """Mean range of the picture, slightly blurred, in 5 × 5 pixels about the borders."""
    smooth = ndimage.gaussian_filter(image.astype(np.float32), (1, 1, 0))
    reach = ndimage.maximum_filter(smooth, (5, 5, 1)) - ndimage.minimum_filter(smooth, (5, 5, 1))
    return float(reach[is_border(labels)].mean())


def contrast_against_chance(drawn: ProceduralImage) -> float:
    """Contrast at the borders, divided by that at borders mirrored and turned so that they lie elsewhere."""
    elsewhere = [np.roll(turned, 29, axis=(0, 1)) for turned in (drawn.labels[::-1], drawn.labels[:, ::-1])]
    chance = np.mean([border_contrast(drawn.image, labels) for labels in elsewhere])
    return border_contrast(drawn.image, drawn.labels) / chance


def test_same_seed_gives_the_same_image():
    for seed in (3, (3, 5)):
        first, second = make_procedural_image(seed, 96), make_procedural_image(seed, 96)
        assert np.array_equal(first.image, second.image)
        assert np.array_equal(first.labels, second.labels)
        assert first.family == second.family


def test_other_seeds_give_other_images():
    assert len({drawn.image.tobytes() for drawn in drawn_images()}) == N_DRAWN
    assert len({drawn.labels.tobytes() for drawn in drawn_images()}) == N_DRAWN


def test_every_family_occurs():
    assert {drawn.family for drawn in drawn_images()} == set(FAMILIES)


def test_every_family_has_a_painter():
    assert set(PAINTERS) == set(FAMILIES)


def test_image_and_labels_have_the_promised_shape_and_type():
    for drawn in drawn_images():
        assert drawn.image.shape == (192, 192, 3)
        assert drawn.image.dtype == np.uint8
        assert drawn.labels.shape == (192, 192)
        assert drawn.labels.dtype == np.int32


def test_labels_count_from_one_and_no_object_is_tiny():
    for drawn in drawn_images():
        sizes = np.bincount(drawn.labels.ravel())
        assert len(sizes) > 1, drawn.family
        assert sizes[1:].min() >= MIN_OBJECT_PX, drawn.family


@pytest.mark.parametrize("family", FAMILIES)
def test_family_draws_valid_maps_also_when_not_square(family):
    for seed in range(3):
        drawn = FAMILIES[family](np.random.default_rng(seed), (96, 128))
        assert drawn.labels.shape == drawn.context.shape == (96, 128)
        assert drawn.labels.dtype == drawn.context.dtype == np.int32
        assert drawn.labels.min() >= 0


@pytest.mark.parametrize("family", FAMILIES)
def test_labels_can_be_seen(family):
    ratios = [contrast_against_chance(drawn) for drawn in drawn_images() if drawn.family == family]
    assert np.median(ratios) > 1.03
    assert np.mean(np.array(ratios) > 1) >= 0.75


def test_labels_stand_out_far_more_than_those_of_another_image():
    images = drawn_images()
    own = [contrast_against_chance(drawn) for drawn in images[:40]]
    swapped = [
        contrast_against_chance(ProceduralImage(drawn.image, other.labels, drawn.family))
        for drawn, other in pairwise(images[:41])
    ]
    assert np.median(own) > 1.3
    assert 0.85 < np.median(swapped) < 1.15


def test_borders_of_the_picture_lie_on_the_borders_of_the_labels():
    shifts = (-4, -2, 0, 2, 4)
    contrasts = np.zeros(len(shifts))
    for drawn in drawn_images()[:60]:
        row = [border_contrast(drawn.image, np.roll(drawn.labels, shift, axis=(0, 1))) for shift in shifts]
        contrasts += np.array(row) / max(row)
    assert shifts[int(contrasts.argmax())] == 0


def test_a_list_of_samples_is_the_start_of_a_longer_one():
    short, long = list_procedural(3, seed=2), list_procedural(5, seed=2)
    assert long[:3] == short
    assert len({sample.id for sample in long}) == 5
    assert len(set(long) | set(list_procedural(5, seed=3))) == 10
    assert {sample.group for sample in long} == {"procedural"}
    assert list_procedural(0) == []


def test_sample_reads_the_image_of_its_seed_and_number():
    sample = list_procedural(3, seed=2, side_px=96)[2]
    loaded, drawn = sample.read(), make_procedural_image((2, 2), 96)
    assert np.array_equal(loaded.image, drawn.image)
    assert np.array_equal(loaded.labels, drawn.labels)
    assert loaded.labels.dtype == np.int64


@pytest.mark.parametrize("side_px", [0, -5, 63])
def test_too_small_side_is_refused_in_words(side_px):
    message = f"side_px is {side_px}; expected at least 64. Draw"
    with pytest.raises(ValueError, match=message):
        make_procedural_image(0, side_px)
    with pytest.raises(ValueError, match=message):
        list_procedural(1, side_px=side_px)


def test_numbers_below_zero_are_refused_in_words():
    with pytest.raises(ValueError, match="n_images is -1; expected at least 0"):
        list_procedural(-1)
    with pytest.raises(ValueError, match="seed is -1; expected an integer from 0"):
        list_procedural(1, seed=-1)
    with pytest.raises(ValueError, match="seed is \\(1, -2\\); expected one or more integers"):
        make_procedural_image((1, -2))
