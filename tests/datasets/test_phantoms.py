from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_segnext.datasets.phantoms import make_head_phantom, make_section_phantom


@pytest.mark.parametrize("make", [make_head_phantom, make_section_phantom])
def test_the_same_number_gives_the_same_volume(make):
    one, same, other = make(3, (12, 64, 64)), make(3, (12, 64, 64)), make(4, (12, 64, 64))
    np.testing.assert_array_equal(one.image, same.image)
    np.testing.assert_array_equal(one.labels, same.labels)
    assert (one.image != other.image).any()
    assert (one.image.shape, one.image.dtype, one.labels.dtype) == ((12, 64, 64), np.uint8, np.uint16)


def test_a_head_has_one_bright_lesion_that_begins_and_ends_within():
    phantom = make_head_phantom(0)
    lesion = phantom.labels > 0
    slices = np.flatnonzero(lesion.any(axis=(1, 2)))
    assert ndimage.label(lesion)[1] == 1
    assert 5 < len(slices) < len(lesion) - 2
    around = ndimage.binary_dilation(lesion, iterations=4) & ~ndimage.binary_dilation(lesion, iterations=1)
    assert phantom.image[lesion].mean() > phantom.image[around].mean() + 25


def test_sections_have_dark_bodies_that_begin_and_end_within():
    phantom = make_section_phantom(0, (24, 128, 128), n_objects=4)
    labels = [int(label) for label in np.unique(phantom.labels) if label]
    assert labels
    for label in labels:
        body = phantom.labels == label
        assert 2 <= np.count_nonzero(body.any(axis=(1, 2))) < 24
        assert phantom.image[body].mean() < phantom.image[phantom.labels == 0].mean()
