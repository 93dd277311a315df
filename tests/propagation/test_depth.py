"""Propagation with a depth for each voxel."""

from __future__ import annotations

import numpy as np
import pytest

from napari_segnext.errors import PropagationError
from napari_segnext.prompts import Click
from napari_segnext.propagation import propagate
from napari_segnext.propagation.slices import Slices
from napari_segnext.volumes import Volume
from tests.depth_model import DepthModel

SHAPE = (6, 30, 40)


@pytest.fixture
def volume() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)


@pytest.fixture
def columns() -> np.ndarray:
    """`(6, 30, 40)` float, a depth that grows from the first column to the last."""
    return np.broadcast_to(np.arange(40.0), SHAPE).copy()


class Reading:
    """An array that notes which slices are read."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.read: list[int] = []

    def __getitem__(self, key):
        self.read.append(key[0])
        return self.array[key]


def depths(model) -> list[np.ndarray]:
    """Depths that a model is given from now on."""
    given: list[np.ndarray] = []
    with_depth = model.with_depth
    model.with_depth = lambda embedding, depth: given.append(depth.numpy().copy()) or with_depth(embedding, depth)
    return given


def test_masks_follow_the_depth_of_their_slice(columns):
    volume = np.zeros(SHAPE, np.uint8)
    columns[3:] += 7
    own = {one.index: one.mask for one in propagate(DepthModel(), volume, {1: [Click(15, 20)]})}
    given = {one.index: one.mask for one in propagate(DepthModel(), volume, {1: [Click(15, 20)]}, depth=columns)}
    assert (own[1] == own[1][:, :1]).all() and own[1].any()
    assert (given[1] == given[1][:1]).all() and given[1].any()
    # each slice is brought to a scale of its own
    for index in (0, 2, 3, 5):
        np.testing.assert_array_equal(given[index].any(axis=0), given[1].any(axis=0))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_slices_of_the_depth_are_those_of_the_volume(axis, volume):
    depth = np.random.default_rng(1).random(SHAPE)
    slices = Slices(DepthModel(), Volume(volume), axis, depth=Volume(depth))
    for index in (0, 3):
        plane = np.take(depth, index, axis).astype(np.float32)
        low, high = (np.sort(plane, axis=None)[round(q * (plane.size - 1))] for q in (0.02, 0.98))
        seen = slices.session(index).depth_map()
        np.testing.assert_allclose(seen, np.clip((plane - low) / (high - low), 0, 1), atol=1e-5)


def test_a_lazy_depth_is_read_slice_by_slice_and_only_where_needed(volume, columns):
    reading = Reading(columns)
    model = DepthModel()
    results = list(propagate(model, volume, {2: [Click(15, 20)]}, slices=(1, 4), depth=Volume(reading)))
    assert set(reading.read) <= {1, 2, 3} and {one.index for one in results} <= {1, 2, 3}
    assert reading.read


def test_pixels_that_are_not_square_are_resampled_as_the_image_is(volume, columns):
    slices = Slices(DepthModel(), Volume(volume, spacing=(5, 2, 1)), 0, depth=Volume(columns))
    assert slices.square_shape == (60, 40)
    depth = slices.session(2).depth_map()
    assert depth.shape == (60, 40) and (depth == depth[:1]).all() and depth[0, 0] == 0 and depth[0, -1] == 1


def test_what_is_unknown_stays_unknown_where_pixels_are_resampled(volume, columns):
    columns[:, 10:20, 5:15] = np.nan
    model = DepthModel()
    given = depths(model)
    for spacing in ((5, 1, 1), (5, 2, 1)):
        slices = Slices(model, Volume(volume, spacing=spacing), 0, depth=Volume(columns))
        slices.session(2)
    plain, square = given[-2], given[-1]
    assert square.shape == (60, 40) and np.isfinite(square).all()
    # unknown places get the median, and their neighbours are not drawn towards anything
    np.testing.assert_allclose(square[20:40, 5:15], plain[10, 5], atol=0.02)
    np.testing.assert_allclose(square[22:38, [4, 15]], np.broadcast_to(plain[0, [4, 15]], (16, 2)), atol=0.03)


@pytest.mark.parametrize(
    ("depth", "words"),
    [
        (np.zeros((6, 30, 41)), r"the depth has shape \(6, 30, 41\); expected \(6, 30, 40\), that of the volume"),
        (np.zeros((*SHAPE, 3)), "Give one number for each voxel"),
        (Volume(np.zeros((2, *SHAPE)), axis_names=("t", "z", "y", "x")), "expected"),
    ],
    ids=["size", "channels", "time"],
)
def test_a_depth_of_another_shape_is_told_at_once(volume, depth, words):
    with pytest.raises(PropagationError, match=words):
        propagate(DepthModel(), volume, {1: [Click(15, 20)]}, depth=depth)


def test_a_model_that_reads_none_is_told_at_once(volume, columns, fake_model):
    with pytest.raises(PropagationError, match="model 'fake' reads none; expected one that does, such as ois-tiny"):
        propagate(fake_model, volume, {1: [Click(15, 20)]}, depth=columns)


def test_without_a_depth_the_model_sees_it(volume):
    model = DepthModel()
    given = depths(model)
    assert list(propagate(model, volume, {1: [Click(15, 20)]})) and not given
