"""A coarser level of a multiscale image as an image of its own, and annotating it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

from napari_segnext.annotator import Annotator, LayerMismatchError
from napari_segnext.annotator.levels import image_at_level, level_of, level_shapes

from .conftest import DISK

PLACED = {
    "as it is": {},
    "scaled and moved": {"scale": (0.5, 2), "translate": (10, -3)},
    "turned": {"rotate": 30, "scale": (0.5, 0.5), "translate": (1, 2)},
    "sheared": {"shear": (0.3,), "scale": (2, 3)},
    "affine": {"affine": np.array([[0.0, 2, 3], [1, 0, 4], [0, 0, 1]]), "translate": (5, 6)},
}


def pyramid(shape=(64, 64)):
    fine = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    return [fine, fine[..., ::2, ::2], fine[..., ::4, ::4]]


@pytest.mark.parametrize("placed", PLACED.values(), ids=PLACED)
def test_level_lies_where_the_image_lies(viewer, placed):
    image = viewer.add_image(pyramid(), multiscale=True, **placed)
    layer = image_at_level(viewer, image, 2)
    assert layer.data.shape == (16, 16)
    for corner in ((-0.5, -0.5), (-0.5, 15.5), (15.5, 15.5)):
        fine = [4 * (x + 0.5) - 0.5 for x in corner]
        np.testing.assert_allclose(layer.data_to_world(corner), image.data_to_world(fine), atol=1e-9)


def test_factors_may_differ_along_the_axes_and_need_not_be_whole(viewer):
    fine = np.zeros((3, 50, 61), np.uint8)
    image = viewer.add_image([fine, fine[:, ::2, ::3]], multiscale=True, scale=(5, 1, 1))
    layer = image_at_level(viewer, image, 1)
    assert layer.scale.tolist() == pytest.approx([5, 2, 61 / 21])
    np.testing.assert_allclose(layer.data_to_world((2, 24.5, 20.5)), image.data_to_world((2, 49.5, 60.5)))


def test_level_0_is_the_image_and_each_level_one_layer_below_it(viewer):
    image = viewer.add_image(pyramid(), multiscale=True, name="slide")
    assert image_at_level(viewer, image, 0) is image
    layer = image_at_level(viewer, image, 1)
    assert image_at_level(viewer, image, 1) is layer
    assert [one.name for one in viewer.layers] == ["slide (level 1)", "slide"]
    assert not layer.visible
    assert level_of(layer) == (str(image.unique_id), 1)
    assert level_of(image) is None


def test_rgb_keeps_its_channels(viewer):
    fine = np.zeros((64, 64, 3), np.uint8)
    image = viewer.add_image([fine, fine[::2, ::2]], multiscale=True, rgb=True)
    assert level_shapes(image) == ((64, 64), (32, 32))
    layer = image_at_level(viewer, image, 1)
    assert layer.rgb
    assert layer.data.shape == (32, 32, 3)


@pytest.mark.parametrize("level", [-1, 3])
def test_absent_level_is_refused(viewer, level):
    image = viewer.add_image(pyramid(), multiscale=True)
    with pytest.raises(LayerMismatchError, match=f"no level {level}; expected 0 to 2"):
        image_at_level(viewer, image, level)


def test_image_without_levels_has_level_0_only(viewer):
    image = viewer.add_image(np.zeros((9, 9)))
    assert level_shapes(image) == ((9, 9),)
    with pytest.raises(LayerMismatchError, match="expected 0 to 0"):
        image_at_level(viewer, image, 1)


def test_annotating_a_level_makes_labels_of_its_grid_in_place(viewer, fake_model):
    image = viewer.add_image(pyramid(), multiscale=True, scale=(0.5, 0.5))
    annotator = Annotator(viewer, image, fake_model, level=1)
    annotator.layers.points.add(annotator.layers.points.world_to_data(image.data_to_world((20.5, 30.5))))
    assert annotator.accept() == 1
    output = annotator.layers.output
    assert output.data.shape == (32, 32)
    assert (output.data == 1).sum() == DISK
    middle = np.argwhere(output.data == 1).mean(axis=0)
    np.testing.assert_allclose(output.data_to_world(middle), image.data_to_world((20.5, 30.5)))
