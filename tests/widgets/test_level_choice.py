"""Working at a coarser level of a multiscale image, picked in the widget."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

pytestmark = pytest.mark.gui

GREY = np.random.default_rng(0).integers(0, 200, (160, 200), dtype=np.uint8)


@pytest.fixture
def scene(make_scene):
    return make_scene([GREY, GREY[::2, ::2], GREY[::4, ::4]], multiscale=True, contrast_limits=(0, 255))


def test_levels_are_offered_where_there_are_several(scene, make_scene):
    level = scene.widget._level
    assert [level.itemText(row) for row in range(level.count())] == ["0: 160 × 200", "1: 80 × 100", "2: 40 × 50"]
    assert level.isVisible()
    assert level.level == 0
    assert not make_scene(GREY).widget._level.isVisible()


def test_objects_get_the_grid_of_the_level_and_lie_where_the_mouse_was(scene):
    image = scene.viewer.layers["cells"]
    scene.widget._level.setCurrentIndex(1)
    scene.start()
    assert scene.layers.image.name == "cells (level 1)"
    assert scene.widget._image.layer is scene.layers.image
    scene.hand.click(image.data_to_world((50.5, 120.5)))
    scene.settle()
    scene.hand.key("N")
    scene.settle()
    output = scene.layers.output
    assert output.data.shape == (80, 100)
    centre = np.argwhere(output.data == 1).mean(axis=0)
    np.testing.assert_allclose(output.data_to_world(centre), image.data_to_world((50.5, 120.5)), atol=1.1)


def test_the_same_level_is_gone_on_with_and_the_image_itself_can_be_picked_again(scene):
    image = scene.viewer.layers["cells"]
    scene.widget._level.setCurrentIndex(2)
    scene.start()
    coarse = scene.layers.image
    scene.press(scene.widget._start_button)
    scene.settle()
    scene.widget._image.pick(image)
    scene.widget._level.setCurrentIndex(2)
    scene.start()
    assert scene.layers.image is coarse
    scene.press(scene.widget._start_button)
    scene.settle()
    scene.widget._image.pick(image)
    assert scene.widget._level.level == 0
    scene.start()
    assert scene.layers.image is image


def test_what_is_in_view_of_a_large_image_is_annotated(make_scene):
    large = np.tile(np.arange(5000, dtype=np.uint16) % 200, (4500, 1)).astype(np.uint8)
    scene = make_scene(large, contrast_limits=(0, 255))
    image = scene.viewer.layers["cells"]
    level = scene.widget._level
    assert [level.itemText(row) for row in range(level.count())] == ["0: 4500 × 5000", "what is in view"]
    level.setCurrentIndex(1)
    scene.press(scene.widget._start_button)
    scene.settle()
    assert scene.annotator is None
    assert "Zoom in" in scene.status
    scene.viewer.camera.center, scene.viewer.camera.zoom = (0, 3000, 2000), 1
    scene.settle()
    level.setCurrentIndex(1)
    scene.start()
    part = scene.layers.image
    assert part.name.startswith("cells (level 0, rows")
    assert max(part.data.shape) < 2500
    scene.hand.click(image.data_to_world((3010, 2020)))
    scene.settle()
    scene.hand.key("N")
    scene.settle()
    output = scene.layers.output
    assert output.data.shape == part.data.shape
    centre = np.argwhere(output.data == 1).mean(axis=0)
    np.testing.assert_allclose(output.data_to_world(centre), image.data_to_world((3010, 2020)), atol=1.1)
