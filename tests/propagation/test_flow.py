from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.registration import optical_flow_ilk

from napari_segnext.propagation.flow import local_flow


def textured(shape=(90, 110), seed=0):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 2.5)
    return (noise / noise.std()).astype(np.float32)


@pytest.mark.parametrize("shift", [(0, 0), (2, -3), (-5.5, 4.25)])
def test_a_shift_is_found_everywhere_but_at_the_border(shift):
    image = textured()
    moved = ndimage.shift(image, shift, order=3, mode="nearest")
    flow = local_flow(image, moved, 5)
    assert flow.shape == (2, 90, 110)
    assert flow.dtype == np.float32
    inner = flow[:, 15:-15, 15:-15]
    np.testing.assert_allclose(np.median(inner, axis=(1, 2)), shift, atol=0.1)
    assert np.abs(inner - np.reshape(shift, (2, 1, 1))).mean() < 0.15


def test_it_is_the_flow_of_scikit_image():
    image = textured()
    rows, columns = np.indices(image.shape, np.float32)
    bent = [rows + 2 * np.sin(columns / 20), columns + 1.5 * np.cos(rows / 25)]
    moved = ndimage.map_coordinates(image, bent, order=1, mode="nearest")
    ours, theirs = local_flow(image, moved, 5), np.asarray(optical_flow_ilk(image, moved, radius=5))
    difference = np.abs(ours - theirs)[:, 10:-10, 10:-10]
    assert difference.mean() < 0.1
    assert np.quantile(difference, 0.95) < 0.3


def test_images_that_show_nothing_do_not_move():
    flat = np.ones((40, 40), np.float32)
    assert not local_flow(flat, flat, 5).any()


def test_small_images_have_one_level():
    image = textured((20, 24))
    flow = local_flow(image, np.roll(image, 1, axis=1), 3)
    assert np.median(flow[1, 5:-5, 5:-5]) == pytest.approx(1, abs=0.2)
