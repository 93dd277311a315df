"""Planes as the model sees them: as they are, or as stretched channels."""

from __future__ import annotations

import numpy as np
import pytest

from napari_segnext.session import SeenChannel, SeenPlanes, seen_plane, stretch_channel

ALL = slice(None)


@pytest.fixture
def stack() -> np.ndarray:
    """`(4, 3, 8, 9)` uint16: sections, channels, rows, columns."""
    return np.random.default_rng(0).integers(0, 4000, (4, 3, 8, 9), dtype=np.uint16)


def test_a_plain_channel_is_the_plane_itself(stack: np.ndarray) -> None:
    planes = SeenPlanes([SeenChannel(stack)], (0, 2, ALL, ALL), along=0)
    assert (planes.shape, planes.dtype) == ((4, 8, 9), np.uint16)
    np.testing.assert_array_equal(planes[3], stack[3, 2])
    np.testing.assert_array_equal(planes[1, 2:4, :], stack[1, 2, 2:4])


def test_colours_stay(stack: np.ndarray) -> None:
    colours = np.moveaxis(stack, 1, -1)
    planes = SeenPlanes([SeenChannel(colours)], (ALL, 0, ALL), along=1)
    assert planes.shape == (8, 4, 9, 3)
    np.testing.assert_array_equal(planes[5], colours[:, 5])


def test_channels_along_an_axis_are_stretched_each(stack: np.ndarray) -> None:
    channels = [SeenChannel(stack, 1, 2, (100, 3000), 0.5), SeenChannel(stack, 1, 0)]
    planes = SeenPlanes(channels, (0, 1, ALL, ALL), along=0)
    assert (planes.shape, planes.dtype) == ((4, 8, 9, 3), np.uint8)
    np.testing.assert_array_equal(planes[3][..., 0], stretch_channel(stack[3, 2], (100, 3000), 0.5))
    np.testing.assert_array_equal(planes[3][..., 1], stretch_channel(stack[3, 0]))
    assert not planes[3][..., 2].any()


def test_an_axis_that_the_plane_spans_is_no_axis_of_channels(stack: np.ndarray) -> None:
    seen = seen_plane([SeenChannel(stack, 3, 5)], (1, 1, ALL, ALL))
    np.testing.assert_array_equal(seen, stretch_channel(stack[1, 1]))


def test_only_the_plane_is_read(stack: np.ndarray) -> None:
    class Noting:
        shape, dtype = stack.shape, stack.dtype
        keys: tuple = ()

        def __getitem__(self, key):
            self.keys = (*self.keys, key)
            return stack[key]

    noting = Noting()
    planes = SeenPlanes([SeenChannel(noting)], (0, 1, ALL, ALL), along=0)
    assert noting.keys == ()
    planes[2]
    assert noting.keys == ((2, 1, ALL, ALL),)
