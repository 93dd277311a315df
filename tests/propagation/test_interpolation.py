from __future__ import annotations

import numpy as np
import pytest
from skimage.draw import disk

from napari_segnext.propagation import interpolate_masks
from napari_segnext.propagation.interpolation import FAR_PX, signed_distance, soft_mask


def disk_at(row, column, radius, shape=(60, 80)):
    mask = np.zeros(shape, bool)
    mask[disk((row, column), radius, shape=shape)] = True
    return mask


def test_distance_is_half_a_pixel_on_either_side_of_the_outline():
    distance = signed_distance(np.array([[0, 0, 1, 1, 0]], bool))
    np.testing.assert_allclose(distance, [[-1.5, -0.5, 0.5, 0.5, -0.5]])


def test_distance_is_in_the_unit_of_the_pixels():
    assert signed_distance(disk_at(30, 40, 10), (3.0, 3.0))[30, 40] == pytest.approx(3 * 9.5, abs=2)


@pytest.mark.parametrize(("value", "sign"), [(False, -1), (True, 1)])
def test_masks_without_an_outline_are_far(value, sign):
    assert (signed_distance(np.full((4, 5), value)) == sign * FAR_PX).all()


def test_soft_mask_is_a_half_on_the_outline():
    np.testing.assert_allclose(
        soft_mask(np.array([[0.0, 2.0, -2.0]], np.float32), 2.0), [[0.5, 0.731, 0.269]], atol=1e-3
    )


def test_the_middle_of_two_disks_is_a_disk_between_them():
    middle = interpolate_masks(disk_at(20, 20, 6), disk_at(40, 60, 12), 0.5)
    expected = disk_at(30, 40, 9)
    assert (middle & expected).sum() / (middle | expected).sum() > 0.9


@pytest.mark.parametrize("fraction", [0, 1])
def test_the_ends_are_the_masks_themselves(fraction):
    ends = disk_at(20, 20, 6), disk_at(40, 60, 12)
    np.testing.assert_array_equal(interpolate_masks(*ends, fraction), ends[fraction])


def test_nothing_lies_between_something_and_nothing():
    assert not interpolate_masks(disk_at(20, 20, 6), np.zeros((60, 80), bool), 0.5).any()
