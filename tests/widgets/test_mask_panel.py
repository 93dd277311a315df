"""Threshold, clean-up, overlap, views and masks as prompts, in the real widget."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QMessageBox

from napari_segnext.io import write_labels

pytestmark = pytest.mark.gui


@pytest.fixture
def panel(scene):
    """With one answer shown."""
    scene.hand.click((20, 30))
    scene.settle()
    return scene.widget._mask_panel


def test_threshold_asks_no_model_and_one_undo_takes_it_back(panel, scene):
    n_before = scene.annotator.mask.sum()
    n_predicted = scene.model.n_predicted
    for percent in (70, 85, 99):
        panel.threshold.setValue(percent)
    assert scene.annotator.threshold == 0.99
    scene.press(scene.widget._undo_button)
    scene.settle()
    assert (panel.threshold.value(), scene.annotator.mask.sum()) == (50, n_before)
    assert scene.model.n_predicted == n_predicted


def test_clean_up_is_live_and_undone(panel, scene):
    scene.hand.click((60, 70))
    scene.settle()
    n_both = scene.annotator.mask.sum()
    panel.sizes["opening"].setValue(5)
    assert scene.annotator.mask.sum() < n_both
    assert not (scene.layers.preview.data == 1).any()
    scene.hand.key("U")
    scene.settle()
    assert panel.sizes["opening"].value() == 0
    assert scene.annotator.mask.sum() == n_both


def test_overlap_is_asked(panel, scene):
    scene.hand.key("N")
    scene.settle()
    panel.overlap.setCurrentText("ask")

    def answer(text):
        def press():
            (box,) = [one for one in QApplication.topLevelWidgets() if isinstance(one, QMessageBox) and one.isVisible()]
            next(button for button in box.buttons() if text in button.text()).click()

        QTimer.singleShot(300, press)

    scene.hand.click((21, 31))
    scene.settle()
    answer("Cancel")
    scene.press(scene.widget._accept_button)
    assert set(np.unique(scene.layers.output.data)) == {0, 1}
    answer("new one")
    scene.press(scene.widget._accept_button)
    scene.settle()
    assert (scene.layers.output.data == 2).sum() == 13


def test_changes_are_shown_for_a_moment(panel, scene):
    scene.hand.click((60, 70))
    scene.settle()
    preview = scene.layers.preview
    assert set(np.unique(preview.data)) == {0, 1, 2}
    scene.wait_until(lambda: set(np.unique(preview.data)) == {0, 1})
    panel.changes.setChecked(False)
    scene.hand.key("U")
    scene.settle()
    assert set(np.unique(preview.data)) == {0, 1}


def test_outline_and_probability(panel, scene):
    panel.contour.setChecked(True)
    assert scene.layers.preview.contour > 0
    active = scene.viewer.layers.selection.active
    panel.probability.setChecked(True)
    layer = scene.viewer.layers["SegNext probability"]
    assert layer.data[20, 30] > 50 > layer.data[70, 90]
    assert scene.viewer.layers.selection.active == active
    panel.probability.setChecked(False)
    assert "SegNext probability" not in scene.viewer.layers


def test_masks_from_a_layer_and_from_files(panel, scene, tmp_path):
    labels = np.zeros((40, 50), np.uint8)
    labels[20:24, 30:36] = 5
    layer = scene.viewer.add_labels(labels, scale=(2, 2), translate=(0.5, 0.5), name="theirs")
    layer.selected_label = 5
    panel.mask_layer.pick(layer)
    scene.press(panel.take_mask)
    scene.settle()
    assert scene.annotator.prompts.items[-1].mask.sum() == 8 * 12
    mask = np.zeros((80, 100), np.uint8)
    mask[5:9, 5:9] = 1
    panel.add_mask_file(str(write_labels(tmp_path / "mask.png", mask)))
    scene.settle()
    assert scene.annotator.prompts.items[-1].mask.sum() == 16


@pytest.mark.parametrize(
    ("pixels", "words"), [(np.zeros((80, 100), np.uint8), "empty"), (np.ones((8, 10), np.uint8), "shape")], ids=str
)
def test_masks_that_do_not_fit_are_told(panel, scene, tmp_path, pixels, words):
    panel.add_mask_file(str(write_labels(tmp_path / "mask.png", pixels)))
    assert words in scene.status
    assert len(scene.annotator.prompts) == 1
