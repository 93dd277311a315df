"""Depth from a layer, depth and order map on the canvas, in the real widget with a real mouse."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QToolButton

from napari_segnext.annotator.layers import is_view
from napari_segnext.annotator.views import ADDED, MASK
from napari_segnext.widgets import EverythingWidget
from tests.depth_model import DepthModel

from .conftest import GatedModel

pytestmark = pytest.mark.gui

DEPTH, ORDER = "SegNext depth", "SegNext order"


class GatedDepthModel(GatedModel, DepthModel):
    """Reads depth; that of its own grows along the rows."""


@pytest.fixture
def depth_model() -> GatedDepthModel:
    return GatedDepthModel()


@pytest.fixture
def plain_model() -> GatedModel:
    return GatedModel()


@pytest.fixture
def gated_model(request, depth_model, plain_model) -> GatedModel:
    """The model of the scene: one that reads depth, unless the test is about another one."""
    return plain_model if request.node.get_closest_marker("usefixtures") else depth_model


@pytest.fixture
def section(scene):
    """Unfolded, with a depth that grows along the columns at hand."""
    scene.viewer.add_image(np.broadcast_to(np.arange(100.0), (80, 100)), name="height", visible=False)
    scene.viewer.add_image(np.zeros((7, 9)), name="elsewhere", visible=False)
    scene.viewer.add_image(np.zeros((80, 100, 3), np.uint8), name="photograph", visible=False)
    scene.annotator.use_tool("click")
    unfold(scene, "Depth")
    return scene.widget._depth_section


def unfold(scene, title):
    header = next(button for button in scene.widget.findChildren(QToolButton) if button.text() == title)
    QTest.mouseClick(header, Qt.MouseButton.LeftButton)


def offered(section) -> list[str]:
    return [section.source.itemText(row) for row in range(section.source.count())]


def choose(scene, section, name):
    """With the mouse: open the list, point at an entry, click."""
    combo = section.source
    QTest.mouseClick(combo, Qt.MouseButton.LeftButton)
    view = combo.view()
    place = view.visualRect(combo.model().index(combo.findText(name), 0)).center()
    QTest.mouseMove(view.viewport(), place)
    scene._qtbot.wait(600)  # Qt takes a release that comes at once for that of the click before
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    scene.wait_until(lambda: not view.isVisible())
    assert combo.currentText() == name
    scene.settle()


def tick(scene, box):
    QTest.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
    scene.settle()


def lies_along_columns(mask) -> bool:
    return bool((mask == mask[:1]).all())


class TestChoosing:
    def test_a_layer_changes_the_mask_and_the_model_changes_it_back(self, section, scene):
        scene.hand.click((20, 30))
        scene.settle()
        assert scene.annotator.mask[20].all() and not lies_along_columns(scene.annotator.mask)
        choose(scene, section, "height")
        assert scene.annotator.depth_layer is scene.viewer.layers["height"]
        mask = scene.annotator.mask
        assert lies_along_columns(mask) and mask[0, 30] and not mask[0, 60]
        np.testing.assert_array_equal(np.isin(scene.layers.preview.data, (MASK, ADDED)), mask)
        scene.hand.click((70, 80))
        scene.settle()
        assert lies_along_columns(scene.annotator.mask)
        choose(scene, section, "the model")
        assert scene.annotator.depth_layer is None and not lies_along_columns(scene.annotator.mask)

    def test_only_images_of_that_size_are_offered(self, section, scene):
        assert offered(section) == ["the model", "height", "cells"]
        tick(scene, section.shows_order)
        scene.viewer.add_image(np.zeros((80, 100)), name="another", visible=False)
        assert offered(section) == ["the model", "another", "height", "cells"]

    def test_by_the_keyboard(self, section, scene):
        section.source.setFocus()
        QTest.keyClick(section.source, Qt.Key.Key_Down)
        scene.settle()
        assert scene.annotator.depth_layer is scene.viewer.layers["height"]
        QTest.keyClick(section.source, Qt.Key.Key_Tab)
        assert section.window().focusWidget() is section.shows_depth
        QTest.keyClick(section.shows_depth, Qt.Key.Key_Space)
        scene.settle()
        assert DEPTH in scene.viewer.layers
        QTest.keyClick(section.shows_depth, Qt.Key.Key_Tab)
        assert section.window().focusWidget() is section.shows_order

    def test_a_layer_that_is_deleted_is_chosen_no_more(self, section, scene):
        choose(scene, section, "height")
        scene.viewer.layers.remove("height")
        scene.settle()
        assert section.source.currentText() == "the model" and scene.annotator.depth_layer is None

    def test_a_script_s_choice_is_shown(self, section, scene):
        scene.annotator.depth_layer = scene.viewer.layers["height"]
        assert section.source.currentText() == "height"
        scene.annotator.shows_depth = True
        scene.viewer.layers.remove(DEPTH)
        assert not section.shows_depth.isChecked()
        scene.annotator.depth_layer = None
        assert section.source.currentText() == "the model"

    def test_it_stays_when_annotating_ends_and_begins_again(self, section, scene):
        choose(scene, section, "height")
        tick(scene, section.shows_depth)
        scene.press(scene.widget._start_button)
        scene.settle()
        assert scene.annotator is None and not section.isEnabled() and DEPTH not in scene.viewer.layers
        scene.start()
        assert section.isEnabled() and scene.annotator.depth_layer is scene.viewer.layers["height"]
        assert scene.annotator.shows_depth and not scene.annotator.shows_order

    def test_work_that_is_taken_up_again_has_its_depth(self, section, scene, make_scene, autosave_root):
        choose(scene, section, "height")
        scene.hand.click((20, 30))
        scene.settle()
        scene.annotator.accept()
        scene.wait_until(lambda: any(autosave_root.rglob("current")))
        scene.widget.shut_down()
        again = make_scene()
        again.viewer.add_image(np.broadcast_to(np.arange(100.0), (80, 100)), name="height", visible=False)
        again.start()
        again.press(again.widget._resume_bar.resume_button)
        again.settle()
        assert len(again.annotator.objects) == 1
        assert again.widget._depth_section.source.currentText() == "height"


class TestShowing:
    def test_the_order_map_is_0_where_one_clicked_and_follows_each_click(self, section, scene):
        choose(scene, section, "height")
        tick(scene, section.shows_order)
        layer = scene.viewer.layers[ORDER]
        assert np.isnan(layer.data).all()
        scene.hand.click((20, 30))
        scene.settle()
        assert layer.data[20, 30] == pytest.approx(0, abs=0.02) and layer.data[79, 90] > 0.5
        scene.hand.click((20, 70))
        scene.settle()
        assert layer.data[20, 50] == pytest.approx(0, abs=0.02) and layer.data[20, 30] > 0.15
        tick(scene, section.shows_order)
        assert ORDER not in scene.viewer.layers

    def test_they_can_be_seen(self, section, scene):
        """The canvas is brighter at the depth of the click, and changes back."""
        scene.layers.image.data = np.zeros((80, 100), np.uint8)
        scene.settle()
        scene.hand.click((20, 30))
        scene.settle()
        scene.layers.preview.visible = scene.layers.points.visible = False
        before = canvas_of(scene)
        choose(scene, section, "height")
        tick(scene, section.shows_order)
        shown = canvas_of(scene)
        tick(scene, section.shows_order)
        height, width = shown.shape[:2]
        columns = shown[height // 2, :, :3].sum(axis=-1).astype(int)
        assert np.argmax(columns) < 0.45 * width and columns.max() - columns[int(0.9 * width)] > 150
        np.testing.assert_array_equal(canvas_of(scene), before)

    def test_under_the_prompts_and_over_the_image(self, section, scene):
        tick(scene, section.shows_depth)
        tick(scene, section.shows_order)
        names = [layer.name for layer in scene.viewer.layers]
        assert names.index("cells") < names.index(DEPTH) < names.index(ORDER) < names.index("SegNext objects")

    def test_never_on_the_thread_of_the_window(self, section, scene, depth_model):
        tick(scene, section.shows_depth)
        tick(scene, section.shows_order)
        scene.hand.click((20, 30))
        scene.settle()
        assert depth_model.threads == {"napari-segnext"}

    def test_they_are_no_images_to_annotate_and_no_channels(self, section, scene):
        for box in (section.shows_depth, section.shows_order):
            tick(scene, box)
        everything = EverythingWidget(scene.viewer, load_model=lambda name, device: scene.model)
        scene._qtbot.addWidget(everything)
        pickers = [scene.widget._image, everything._image, *scene.widget._channel_panel.pickers]
        for picker in pickers:
            assert not {picker.itemText(row) for row in range(picker.count())} & {DEPTH, ORDER}
        everything.shut_down()


@pytest.mark.usefixtures("plain_model")
class TestModelThatReadsNone:
    def test_nothing_can_be_set_and_the_tooltips_say_why(self, scene):
        section = scene.widget._depth_section
        unfold(scene, "Depth")
        assert not section.isEnabled()
        for control in (section.source, section.shows_depth, section.shows_order):
            assert not control.isEnabled()
            assert control.toolTip() == "fake reads no depth; choose an OIS model."
        tick(scene, section.shows_order)
        assert not any(is_view(layer) for layer in scene.viewer.layers)

    def test_a_depth_that_was_chosen_is_kept(self, scene):
        layer = scene.viewer.add_image(np.zeros((80, 100)), name="height")
        scene.annotator.depth_layer = layer
        assert scene.widget._depth_section.source.currentText() == "height"


def test_tooltips_are_told_without_a_model(make_scene):
    section = make_scene().widget._depth_section
    assert not section.isEnabled() and "RGB-D camera" in section.source.toolTip()


def canvas_of(scene) -> np.ndarray:
    scene._qtbot.wait(100)
    return np.asarray(scene.viewer.screenshot(canvas_only=True, flash=False))
