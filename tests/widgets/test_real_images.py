"""Images of every make in a real window: a click finds the pixel under the mouse, and the object is written there."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

pytestmark = pytest.mark.gui

ROWS, COLUMNS = 80, 100
PLACE = (25, 60)
GREY = np.random.default_rng(0).integers(0, 200, (ROWS, COLUMNS), dtype=np.uint8)


def with_nan() -> np.ndarray:
    image = GREY.astype(np.float32)
    image[:10] = np.nan
    return image


def lazy(kind: str):
    if kind == "dask":
        return pytest.importorskip("dask.array").from_array(GREY, chunks=32)
    return pytest.importorskip("zarr").array(GREY, chunks=(32, 32))


def accept_at(scene, world):
    scene.hand.click(world)
    scene.settle()
    scene.hand.key("N")
    scene.settle()


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        pytest.param(lambda: GREY > 100, {}, id="bool"),
        pytest.param(lambda: GREY.astype(np.uint16) * 200, {}, id="uint16"),
        pytest.param(lambda: GREY.astype(np.uint32) * 9000, {}, id="uint32"),
        pytest.param(lambda: GREY.astype(np.int16) - 100, {}, id="int16"),
        pytest.param(lambda: GREY.astype(np.float64) / 7, {}, id="float64"),
        pytest.param(with_nan, {}, id="NaN outside"),
        pytest.param(lambda: np.stack([GREY] * 3, -1), {"rgb": True}, id="RGB"),
        pytest.param(lambda: np.stack([GREY] * 4, -1), {"rgb": True}, id="RGBA"),
        pytest.param(lambda: lazy("dask"), {}, id="dask"),
        pytest.param(lambda: lazy("zarr"), {}, id="zarr"),
        pytest.param(lambda: [GREY, GREY[::2, ::2], GREY[::4, ::4]], {"multiscale": True}, id="multiscale"),
        pytest.param(lambda: GREY, {"shear": (0.2,), "scale": (3, 2)}, id="sheared"),
        pytest.param(lambda: GREY, {"affine": [[0, 2, 5], [-1, 0, 7], [0, 0, 1]]}, id="affine"),
    ],
)
def test_the_object_is_where_the_mouse_was(make_scene, make, arguments):
    scene = make_scene(make(), **arguments)
    scene.start()
    accept_at(scene, scene.layers.image.data_to_world(PLACE)[-2:])
    output = scene.layers.output
    assert output.data.shape == (ROWS, COLUMNS)
    centre = np.argwhere(output.data == 1).mean(axis=0)
    np.testing.assert_allclose(centre, PLACE, atol=1.5)
    np.testing.assert_allclose(
        output.data_to_world(PLACE), scene.layers.image.data_to_world(PLACE), rtol=1e-6, err_msg="not in its place"
    )


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 0, 2, 3), (0, 1, 3, 2), (0, 2, 1, 3)])
def test_of_time_and_space_only_the_shown_plane_is_written(make_scene, order):
    stack = np.random.default_rng(1).integers(0, 255, (2, 3, 30, 40), dtype=np.uint8)
    scene = make_scene(stack, axis_labels=("t", "z", "y", "x"))
    scene.viewer.dims.order = order
    for axis, place in enumerate((1, 2, 12, 15)):
        scene.viewer.dims.set_current_step(axis, place)
    scene.viewer.reset_view()
    scene.start()
    whole = np.array((1, 2, 12, 15), float)
    accept_at(scene, tuple(whole[list(order[-2:])]))
    written = np.argwhere(scene.layers.output.data == 1)
    assert len(written) > 0
    hidden = list(order[:-2])
    assert (written[:, hidden] == whole[hidden]).all()
    np.testing.assert_allclose(written.mean(axis=0), whole, atol=1.5)


def test_neighbours_are_encoded_when_there_is_nothing_to_do(make_scene):
    stack = np.random.default_rng(2).integers(0, 255, (4, ROWS, COLUMNS), dtype=np.uint8)
    scene = make_scene(stack)
    scene.viewer.dims.set_current_step(0, 1)
    scene.start()
    scene.wait_until(lambda: scene.model.n_encoded == 3)
    scene.settle()
    scene.viewer.dims.set_current_step(0, 2)
    scene.hand.click((20, 30))
    scene.settle()
    assert scene.annotator.mask is not None
    assert scene.model.threads == {"napari-segnext"}
