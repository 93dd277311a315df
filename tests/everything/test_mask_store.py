from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_segnext.everything.mask_store import MaskStore, PlacedMask
from napari_segnext.session.windows import Window

SHAPE = (30, 40)


@st.composite
def placed(draw):
    """A random mask anywhere on 30 × 40 pixels."""
    height, width = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    window = Window(draw(st.integers(0, 30 - height)), draw(st.integers(0, 40 - width)), height, width)
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return PlacedMask(window, generator.random((height, width)) > 0.5)


def full(mask):
    whole = np.zeros(SHAPE, bool)
    whole[mask.window.slices] = mask.mask
    return whole


@given(placed(), placed())
@settings(max_examples=80, deadline=None)
def test_geometry_is_that_of_the_whole_masks(one, other):
    assert one.n_pixels == full(one).sum()
    assert one.n_shared(other) == other.n_shared(one) == (full(one) & full(other)).sum()
    np.testing.assert_array_equal(one.over(other.window), full(one)[other.window.slices])
    assert one.n_pixels_in(other.window) == full(one)[other.window.slices].sum()


@pytest.mark.parametrize("max_bytes", [0, 100, 1_000_000], ids=["disk", "both", "memory"])
@given(masks=st.lists(placed(), max_size=20))
@settings(max_examples=20, deadline=None)
def test_what_is_stored_comes_back(max_bytes, masks):
    store = MaskStore(max_bytes)
    stored = [store.put(mask.window, mask.mask) for mask in masks]
    for one, mask in reversed([*zip(stored, masks, strict=True)]):
        assert one.window == mask.window and one.n_pixels == mask.n_pixels
        np.testing.assert_array_equal(one.load().mask, mask.mask)
    assert store.n_bytes_held <= max_bytes


def test_an_object_takes_far_less_than_its_pixels():
    rows, columns = np.mgrid[:1000, :1000]
    disk = (rows - 500) ** 2 + (columns - 500) ** 2 < 490**2
    store = MaskStore()
    store.put(Window(0, 0, 1000, 1000), disk)
    assert store.n_bytes_held < disk.size / 50
