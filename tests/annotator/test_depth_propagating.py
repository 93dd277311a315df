"""Propagating with the depth of a layer."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

from napari_segnext.annotator import Annotator
from napari_segnext.annotator.depth import DepthPlanes, DepthSource
from napari_segnext.annotator.slice_line import SliceLine
from tests.depth_model import DepthModel

SHAPE = (4, 32, 32)


@pytest.fixture
def columns() -> np.ndarray:
    """`(4, 32, 32)` float, a depth that grows from the first column to the last."""
    return np.broadcast_to(np.arange(32.0), SHAPE).copy()


@pytest.fixture
def desk(viewer, stack) -> Annotator:
    """On a stack of 4 slices of which slice 1 is shown; the model's own depth grows along the rows."""
    image = viewer.add_image(stack, name="stack")
    viewer.dims.set_point(0, 1)
    return Annotator(viewer, image, DepthModel())


@pytest.fixture
def height(viewer, desk, columns):
    return viewer.add_image(columns, name="height")


def test_slices_have_the_depth_of_the_layer(desk, height, viewer, columns):
    columns[2] = np.roll(columns[2], 12, axis=1)
    height.data = columns
    desk.depth_layer = height
    desk.layers.points.add((1, 5, 12))
    desk.accept()
    n_near = int((desk.layers.output.data[1] == 1).any(axis=0).sum())
    assert 0 < n_near < 32
    seen = []
    model = desk.model
    with_depth = model.with_depth
    model.with_depth = lambda embedding, depth: seen.append(depth.numpy().copy()) or with_depth(embedding, depth)
    desk.propagate([1])
    found = {round(float(depth[0, 0]), 3) for depth in seen}
    assert found == {0.0, round(20 / 31, 3)}


def test_without_a_layer_they_have_the_model_s(desk):
    desk.layers.points.add((1, 5, 12))
    desk.accept()
    desk.model.with_depth = None
    desk.propagate([1])
    assert not desk.propagation.is_running


def test_another_depth_makes_slices_stale(desk, height):
    desk.layers.points.add((1, 5, 12))
    desk.accept()
    desk.propagate([1])
    desk.propagate([1])
    assert "Everything is up to date" in desk.notice
    desk.depth_layer = height
    desk.propagate([1])
    assert "Everything is up to date" not in desk.notice


def test_planes_are_read_one_by_one(desk, height, columns):
    line = SliceLine.through(desk.shown, SHAPE)
    planes = DepthPlanes(columns, line)
    assert planes.shape == SHAPE and planes.dtype == columns.dtype
    np.testing.assert_array_equal(planes[2, 3:5], columns[2, 3:5])
    np.testing.assert_array_equal(DepthPlanes(columns[0], line)[3], columns[0])
    source = DepthSource(desk._viewer, desk.layers.image, desk.model)
    assert source.planes(line) is None and source.settings == ""
    source.layer = height
    assert source.planes(line).shape == SHAPE and source.settings == "depth height 1"
    source.close()
