"""Threshold, clean-up, overlap, views and masks as prompts, in the real widget."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
import tifffile
import torch
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QMessageBox

from napari_segnext.io import write_labels
from napari_segnext.session.cleanup import MAX_RADIUS_PX
from napari_segnext.widgets.annotator_widget import HIGHLIGHT_MS

pytestmark = pytest.mark.gui

DISK = 13


@pytest.fixture
def panel(scene):
    """With one answer shown."""
    scene.hand.click((20, 30))
    scene.settle()
    return scene.widget._mask_panel


@pytest.fixture
def blob_scene(make_scene, gated_model, monkeypatch):
    """Whose model answers, wherever one clicks, a square with a hole and a bump, and a speck beside it."""
    logits = torch.full((80, 100), -4.0)
    logits[20:40, 20:40] = 4.0
    logits[28:31, 28:31] = -4.0
    logits[30, 40:46] = 4.0
    logits[60:62, 60:62] = 4.0
    logits[10:15, 10:15] = -1.0
    monkeypatch.setattr(
        gated_model, "predict_logits", lambda embedding, clicks, previous: logits.expand(len(clicks), 80, 100)
    )
    scene = make_scene()
    scene.start()
    scene.hand.click((25, 25))
    scene.settle()
    return scene


def in_preview(scene):
    return set(np.unique(scene.layers.preview.data).tolist())


class TestThreshold:
    def test_asks_no_model_and_one_undo_takes_it_back(self, panel, scene):
        n_before = scene.annotator.mask.sum()
        n_predicted = scene.model.n_predicted
        for percent in (70, 85, 99):
            panel.threshold.setValue(percent)
        assert scene.annotator.threshold == 0.99
        scene.press(scene.widget._undo_button)
        scene.settle()
        assert (panel.threshold.value(), scene.annotator.mask.sum()) == (50, n_before)
        assert scene.model.n_predicted == n_predicted

    def test_keys_on_the_slider_change_the_mask(self, blob_scene):
        scene, panel = blob_scene, blob_scene.widget._mask_panel
        n_before = scene.annotator.mask.sum()
        panel.threshold.setFocus()
        for _ in range(3):
            QTest.keyClick(panel.threshold, Qt.Key.Key_PageDown)
        assert panel._threshold_text.text() == "0.20"
        # what the model finds 27 % probable
        assert scene.annotator.mask.sum() == n_before + 25
        scene.hand.key("U")
        scene.settle()
        assert (panel._threshold_text.text(), scene.annotator.mask.sum()) == ("0.50", n_before)
        scene.hand.key("U", "shift")
        scene.settle()
        assert panel.threshold.value() == 20

    def test_it_is_accepted_and_comes_back_when_the_object_is_reopened(self, blob_scene):
        scene, panel = blob_scene, blob_scene.widget._mask_panel
        panel.threshold.setValue(20)
        n_low = int(scene.annotator.mask.sum())
        scene.hand.key("N")
        scene.settle()
        assert (scene.layers.output.data == 1).sum() == n_low
        panel.threshold.setValue(50)
        scene.annotator.reopen(1)
        scene.settle()
        assert panel.threshold.value() == 20
        assert scene.annotator.mask.sum() == n_low


class TestCleanup:
    def test_is_live_and_undone(self, panel, scene):
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

    def test_each_control_does_what_it_says_and_undo_takes_it_back(self, blob_scene, subtests):
        scene, panel = blob_scene, blob_scene.widget._mask_panel
        before = scene.annotator.mask.copy()
        for name, value, place, is_inside in (
            ("fills_holes", None, (29, 29), True),
            ("keeps_prompted", None, (60, 60), False),
            ("min_component", 5, (60, 60), False),
            ("opening", 2, (30, 44), False),
            ("closing", 3, (29, 29), True),
            ("smoothing", 3, (30, 45), False),
        ):
            with subtests.test(msg=name):
                np.testing.assert_array_equal(scene.annotator.mask, before)
                assert before[place] != is_inside
                if value is None:
                    box = getattr(panel, name)
                    QTest.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
                else:
                    spin = panel.sizes[name]
                    spin.lineEdit().selectAll()
                    QTest.keyClicks(spin.lineEdit(), f"{value}.00".replace(".", spin.locale().decimalPoint()))
                    QTest.keyClick(spin.lineEdit(), Qt.Key.Key_Return)
                assert getattr(scene.annotator.cleanup, name) == (value or True)
                assert scene.annotator.mask[place] == is_inside
                assert (scene.layers.preview.data[place] in (1, 2)) == is_inside
                assert scene.annotator.mask[25, 25]
                scene.hand.key("U")
                scene.settle()
                np.testing.assert_array_equal(scene.annotator.mask, before)
                assert not getattr(scene.annotator.cleanup, name)
                assert (panel.sizes[name].value() == 0) if value else not getattr(panel, name).isChecked()

    @pytest.mark.parametrize("side", [40.0, 0.1, 1e-6])
    def test_sizes_can_be_as_small_as_a_pixel_and_no_larger_than_can_be_computed(self, make_scene, side):
        scene = make_scene(scale=(side, side))
        scene.start()
        scene.hand.click((20 * side, 30 * side))
        scene.settle()
        panel = scene.widget._mask_panel
        spin = panel.sizes["opening"]
        spin.setValue(side)
        assert scene.annotator.cleanup.opening == pytest.approx(side)
        assert spin.maximum() == pytest.approx(MAX_RADIUS_PX * side)
        spin.setValue(spin.maximum())
        assert not scene.annotator.mask.any()
        scene.hand.key("U")
        scene.settle()
        assert scene.annotator.mask.sum() == DISK


class TestOverlap:
    @pytest.fixture
    def over_first(self, panel, scene):
        """Accept a mask that reaches into object 1, and click on a button of the question, if one is asked."""
        scene.hand.key("N")
        scene.settle()
        scene.hand.click((21, 31))
        scene.settle()

        def accept(answer=""):
            def press():
                (box,) = [
                    one for one in QApplication.topLevelWidgets() if isinstance(one, QMessageBox) and one.isVisible()
                ]
                assert "object 1" in box.text()
                button = next(button for button in box.buttons() if answer in button.text())
                QTest.mouseClick(button, Qt.MouseButton.LeftButton)

            if answer:
                QTimer.singleShot(300, press)
            scene.press(scene.widget._accept_button)
            scene.settle()
            return [int((scene.layers.output.data == label).sum()) for label in (1, 2)]

        return accept

    @pytest.fixture
    def n_shared(self):
        """Pixels that disks of radius 2 share whose centres are a pixel apart along both axes."""
        rows, columns = np.mgrid[-4:5, -4:5]
        return int(((rows**2 + columns**2 <= 4) & ((rows - 1) ** 2 + (columns - 1) ** 2 <= 4)).sum())

    def test_keep_and_overwrite_which_stops_at_locked_objects(self, panel, scene, over_first, n_shared, subtests):
        for choice, is_locked, sizes in (
            ("keep", False, [DISK, DISK - n_shared]),
            ("overwrite", False, [DISK - n_shared, DISK]),
            ("overwrite", True, [DISK, DISK - n_shared]),
        ):
            with subtests.test(msg=choice, is_locked=is_locked):
                panel.overlap.setCurrentText(choice)
                if is_locked:
                    scene.annotator.lock(1)
                assert over_first() == sizes
            scene.hand.key("U")
            scene.settle()

    def test_ask(self, panel, scene, over_first, n_shared):
        panel.overlap.setCurrentText("ask")
        assert over_first("Cancel") == [DISK, 0]
        assert len(scene.annotator.prompts) == 1
        assert "nothing was written" in scene.status.lower()
        assert over_first("new one") == [DISK - n_shared, DISK]
        scene.hand.key("U")
        scene.settle()
        assert over_first("old ones") == [DISK, DISK - n_shared]

    def test_nobody_is_asked_where_nothing_overlaps(self, panel, scene):
        scene.hand.key("N")
        scene.settle()
        panel.overlap.setCurrentText("ask")
        scene.hand.click((60, 70))
        scene.settle()
        scene.press(scene.widget._accept_button)
        assert (scene.layers.output.data == 2).sum() == DISK

    def test_the_choice_stays_when_annotating_is_started_again(self, panel, scene):
        panel.overlap.setCurrentText("overwrite")
        scene.press(scene.widget._start_button)
        assert not panel.isEnabled()
        scene.start()
        assert scene.annotator.overlap == "overwrite"


class TestViews:
    def test_changes_are_shown_for_a_moment(self, panel, scene, qtbot):
        qtbot.wait(HIGHLIGHT_MS + 100)
        scene.hand.click((60, 70))
        scene.settle()
        preview = scene.layers.preview
        assert preview.data[20, 30] == 1 and preview.data[60, 70] == 2
        scene.wait_until(lambda: in_preview(scene) == {0, 1})
        assert preview.data[60, 70] == 1
        panel.threshold.setValue(99)
        assert preview.data[20, 30] == preview.data[60, 70] == 3
        scene.wait_until(lambda: in_preview(scene) == {0})

    def test_what_is_accepted_meanwhile_has_all_pixels(self, panel, scene):
        scene.hand.click((60, 70))
        scene.settle()
        assert in_preview(scene) >= {0, 2}
        scene.hand.key("N")
        scene.settle()
        assert (scene.layers.output.data == 1).sum() == 2 * DISK
        assert in_preview(scene) == {0}

    def test_changes_can_be_switched_off(self, panel, scene):
        scene.hand.click((60, 70))
        scene.settle()
        panel.changes.setChecked(False)
        assert in_preview(scene) == {0, 1}
        scene.hand.key("U")
        scene.settle()
        assert in_preview(scene) == {0, 1}

    def test_outline_and_probability(self, panel, scene):
        panel.contour.setChecked(True)
        assert scene.layers.preview.contour > 0
        active = scene.viewer.layers.selection.active
        panel.probability.setChecked(True)
        layer = scene.viewer.layers["SegNext probability"]
        assert layer.data[20, 30] > 50 > layer.data[70, 90]
        assert scene.viewer.layers.selection.active == active
        scene.hand.click((60, 70))
        scene.settle()
        assert layer.data[60, 70] > 50
        panel.probability.setChecked(False)
        assert "SegNext probability" not in scene.viewer.layers
        panel.contour.setChecked(False)
        assert scene.layers.preview.contour == 0

    def test_they_stay_when_annotating_is_started_again(self, panel, scene):
        panel.contour.setChecked(True)
        panel.probability.setChecked(True)
        scene.press(scene.widget._start_button)
        assert "SegNext probability" not in scene.viewer.layers
        scene.start()
        assert scene.layers.preview.contour > 0
        assert "SegNext probability" in scene.viewer.layers

    def test_deleting_the_probability_layer_ends_nothing(self, panel, scene):
        panel.probability.setChecked(True)
        scene.viewer.layers.remove("SegNext probability")
        scene.hand.click((60, 70))
        scene.settle()
        assert scene.annotator.mask.sum() == 2 * DISK


class TestMasksToStartFrom:
    def test_from_a_layer(self, panel, scene, subtests):
        for grid, shape, place in (
            ("same", (80, 100), {}),
            ("coarser", (40, 50), {"scale": (2, 2), "translate": (0.5, 0.5)}),
        ):
            factor = 80 // shape[0]
            labels = np.zeros(shape, np.uint8)
            labels[40 // factor : 48 // factor, 60 // factor : 72 // factor] = 5
            layer = scene.viewer.add_labels(labels, name="theirs", **place)
            layer.selected_label = 5
            with subtests.test(msg=grid):
                assert not panel.take_mask.isEnabled()
                panel.mask_layer.pick(layer)
                scene.press(panel.take_mask)
                scene.settle()
                expected = np.zeros((80, 100), bool)
                expected[40:48, 60:72] = True
                np.testing.assert_array_equal(scene.annotator.prompts.items[-1].mask, expected)
                scene.hand.key("U")
                scene.settle()
                assert [prompt.kind for prompt in scene.annotator.prompts] == ["click"]
            scene.viewer.layers.remove(layer)

    def test_a_label_that_is_not_there_is_told(self, panel, scene):
        panel.mask_layer.pick(scene.viewer.add_labels(np.zeros((80, 100), np.uint8), name="theirs"))
        scene.press(panel.take_mask)
        assert scene.status.startswith("⚠ Layer 'theirs' has no pixel of label 1")

    def test_a_layer_that_is_removed_is_no_longer_offered(self, panel, scene):
        layer = scene.viewer.add_labels(np.zeros((80, 100), np.uint8), name="theirs")
        panel.mask_layer.pick(layer)
        scene.viewer.layers.remove(layer)
        assert panel.mask_layer.layer is None and not panel.take_mask.isEnabled()

    def test_from_a_file(self, panel, scene, tmp_path, monkeypatch, subtests):
        mask = np.zeros((80, 100), bool)
        mask[5:9, 5:9] = True
        for name, write in (
            ("mask.png", lambda path: write_labels(path, mask.astype(np.uint8))),
            ("mask.tif", lambda path: tifffile.imwrite(path, mask.astype(np.uint16) * 700)),
            ("one bit.png", lambda path: PIL.Image.fromarray(mask).save(path)),
            ("float.tiff", lambda path: tifffile.imwrite(path, mask.astype(np.float32) / 2)),
            ("opaque.png", lambda path: PIL.Image.fromarray(_rgba(mask, np.ones_like(mask))).save(path)),
            ("clear.png", lambda path: PIL.Image.fromarray(_rgba(np.ones_like(mask), mask)).save(path)),
        ):
            path = tmp_path / name
            write(path)
            monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, path=path: (str(path), ""))
            with subtests.test(msg=name):
                assert [prompt.kind for prompt in scene.annotator.prompts] == ["click"]
                scene.press(panel.load_mask)
                scene.settle()
                np.testing.assert_array_equal(scene.annotator.prompts.items[-1].mask, mask)
            scene.hand.key("U")
            scene.settle()

    def test_files_that_do_not_fit_are_told_in_words(self, panel, scene, tmp_path, subtests):
        (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
        (tmp_path / "broken.tif").write_bytes(b"II*\0")
        (tmp_path / "text.txt").write_bytes(b"hello")
        tifffile.imwrite(tmp_path / "stack.tif", np.ones((5, 80, 100), np.uint8))
        write_labels(tmp_path / "empty.png", np.zeros((80, 100), np.uint8))
        write_labels(tmp_path / "small.png", np.ones((8, 10), np.uint8))
        for name, words in (
            ("empty.png", "empty"),
            ("small.png", "shape"),
            ("stack.tif", "5 images"),
            ("broken.png", "cannot be read"),
            ("broken.tif", "cannot be read"),
            ("text.txt", ".txt"),
            ("nowhere.png", "no image"),
        ):
            with subtests.test(msg=name):
                scene.widget._tell("")
                panel.add_mask_file(str(tmp_path / name))
                assert scene.status.startswith("⚠ ") and words in scene.status
                assert "Traceback" not in scene.status and "unforeseen" not in scene.status
                assert len(scene.annotator.prompts) == 1


def _rgba(colour, opacity):
    """White where `colour` is true, opaque where `opacity` is."""
    return np.stack([colour, colour, colour, opacity], axis=-1).astype(np.uint8) * 255
