"""Picking channels in the real widget."""

from __future__ import annotations

import numpy as np

from napari_segnext.annotator.model_input import Channel


def test_other_images_on_the_grid_can_be_added_as_channels(scene):
    panel = scene.widget._channel_panel
    viewer = scene.viewer
    other = viewer.add_image(np.random.default_rng(4).random(scene.layers.image.data.shape), name="other stain")
    viewer.add_image(np.zeros((7, 9)), name="elsewhere")
    names = [panel.pickers[1].itemText(row) for row in range(panel.pickers[1].count())]
    assert "other stain" in names and "elsewhere" not in names
    scene.annotator.use_tool("click")
    scene.hand.click((20, 30))
    scene.settle()
    panel.pickers[1].setCurrentIndex(names.index("other stain"))
    scene.settle()
    assert [channel.layer for channel in scene.annotator.model_input.channels] == [scene.layers.image, other]
    scene.wait_until(lambda: scene.annotator.mask is not None)
    viewer.layers.remove(other)
    scene.settle()
    assert scene.annotator.model_input.channels == (Channel(scene.layers.image),)


def test_the_model_follows_the_contrast_of_the_layer(scene, qtbot):
    scene.widget._channel_panel.as_shown.setChecked(True)
    scene.layers.image.contrast_limits = (10, 90)
    qtbot.waitUntil(lambda: scene.annotator.model_input.channels[0].contrast_limits == (10, 90), timeout=10_000)
    scene.widget._channel_panel.as_shown.setChecked(False)
    assert scene.annotator.model_input.channels[0].is_plain
