"""Mistakes that a person makes: each gets one sentence that says what to do, and nothing is raised.

pytest-qt fails a test in which an exception reaches Qt's event loop, so a traceback on the screen fails it, too.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("napari")

from qtpy.QtCore import Qt

from tests.widgets.conftest import TIMEOUT_MS, GatedModel
from tests.widgets.test_object_table import click_row

pytestmark = pytest.mark.gui

DISK = 13
ROWS, COLUMNS = 80, 100


def accept_at(scene, place):
    scene.annotator.use_tool("click")
    scene.hand.click(place)
    scene.settle()
    scene.hand.key("N")
    scene.settle()


def assert_told(scene, *words):
    """The status line is a warning of one or two sentences with these words."""
    assert scene.status.startswith("⚠ "), scene.status
    for word in words:
        assert word in scene.status, scene.status
    assert "Traceback" not in scene.status and "unforeseen" not in scene.status


@pytest.fixture
def start_with_output(make_scene):
    """scene = start_with_output(data): started, with a labels layer of the user for the objects."""

    def start(data, **kwargs):
        scene = make_scene()
        output = scene.viewer.add_labels(data, name="mine", **kwargs)
        scene.widget._output.pick(output)
        scene.press(scene.widget._start_button)
        scene.settle()
        return scene

    return start


class TestNoImage:
    def test_an_empty_viewer_asks_for_one(self, make_scene):
        scene = make_scene()
        scene.viewer.layers.clear()
        assert "There is no image. Open one" in scene.status
        assert not scene.widget._start_button.isEnabled()
        scene.viewer.add_image(np.zeros((ROWS, COLUMNS), np.uint8))
        assert scene.status == "Press Start to annotate."
        assert scene.widget._start_button.isEnabled()

    def test_an_image_that_is_deleted_in_the_middle_is_not_asked_to_be_started(self, scene):
        scene.begin_slowly((20, 30))
        scene.viewer.layers.selection.active = scene.layers.image
        scene.viewer.layers.remove_selected()
        scene.end_slowly()
        assert_told(scene, "Image 'cells' was deleted", "Open or pick another one")

    def test_an_image_that_is_deleted_beside_another_one(self, scene):
        other = scene.viewer.add_image(np.zeros((30, 30), np.uint8), name="other")
        scene.viewer.layers.remove(scene.layers.image)
        scene.settle()
        assert scene.annotator is None
        assert_told(scene, "was deleted")
        assert scene.widget._image.layer == other
        scene.start()


class TestIn3D:
    def test_start_works_on_a_slice_once_it_is_shown(self, make_scene):
        scene = make_scene(np.zeros((4, ROWS, COLUMNS), np.uint8))
        scene.viewer.dims.ndisplay = 3
        scene.start()
        assert "Switch back to 2D" in scene.status
        scene.viewer.dims.ndisplay = 2
        scene.settle()
        assert "2D" not in scene.status

    def test_every_key_is_answered(self, make_scene, subtests):
        scene = make_scene(np.zeros((4, ROWS, COLUMNS), np.uint8))
        scene.start()
        accept_at(scene, (20, 30))
        scene.hand.click((60, 70))
        scene.settle()
        scene.viewer.dims.ndisplay = 3
        scene.settle()
        for key in "UNKQWH":  # none takes back what one before it did
            with subtests.test(msg=key):
                scene.widget._tell("")
                scene.hand.key(key)
                scene.settle()
                assert "2D" in scene.status or key in "QWH"
                assert len(scene.layers.points.data) == 1
        scene.viewer.dims.ndisplay = 2
        scene.settle()
        assert len(scene.annotator.prompts) == 1

    def test_the_table_and_the_mask_panel_are_answered(self, make_scene):
        scene = make_scene(np.zeros((4, ROWS, COLUMNS), np.uint8))
        scene.start()
        accept_at(scene, (20, 30))
        scene.viewer.dims.ndisplay = 3
        scene.settle()
        for act in (
            lambda: click_row(scene.widget._objects_table, 0),
            lambda: scene.press(scene.widget._objects_table.buttons["reopen"]),
            lambda: scene.widget._mask_panel.threshold.setValue(30),
            lambda: scene.press(scene.widget._undo_button),
        ):
            scene.widget._tell("")
            act()
            assert_told(scene, "Switch back to 2D")


class TestOtherImages:
    def test_renamed_layers_go_on_and_are_found_again(self, scene):
        accept_at(scene, (20, 30))
        layers = scene.layers
        layers.image.name = "tissue"
        layers.points.name = "my clicks"
        layers.output.name = "my objects"
        accept_at(scene, (60, 70))
        assert layers.output.data.max() == 2
        assert scene.widget._image.currentText() == "tissue"
        scene.press(scene.widget._start_button)
        assert [scene.widget._points.currentText(), scene.widget._output.currentText()] == ["my clicks", "my objects"]
        scene.start()
        assert (scene.layers.points, scene.layers.output) == (layers.points, layers.output)

    def test_pixels_of_another_size_end_it_in_words(self, scene):
        scene.hand.click((20, 30))
        scene.settle()
        scene.layers.image.data = np.zeros((40, 50), np.uint8)
        scene.settle()
        assert scene.annotator is None
        assert_told(scene, "Image 'cells' got another shape", "Press Start")
        scene.start()
        assert scene.layers.output.data.shape == (40, 50)

    def test_a_click_beside_the_image_is_told(self, scene):
        scene.viewer.camera.zoom /= 2
        scene.hand.click((-10, 30))
        scene.settle()
        assert "Move the click onto the image" in scene.status
        scene.hand.click((20, 30))
        scene.settle()
        assert scene.annotator.mask.sum() == DISK


class TestLabelsOfTheUser:
    def test_a_read_only_array_is_refused_and_nothing_is_made(self, start_with_output):
        data = np.zeros((ROWS, COLUMNS), np.uint16)
        data.setflags(write=False)
        scene = start_with_output(data)
        assert scene.annotator is None
        assert_told(scene, "'mine'", "read-only", "new layer")
        assert [layer.name for layer in scene.viewer.layers] == ["cells", "mine"]

    def test_a_memory_map_that_was_opened_for_reading_is_refused(self, start_with_output, tmp_path):
        np.save(tmp_path / "labels.npy", np.zeros((ROWS, COLUMNS), np.uint16))
        scene = start_with_output(np.load(tmp_path / "labels.npy", mmap_mode="r"))
        assert scene.annotator is None
        assert_told(scene, "'mine'", "read-only")

    def test_a_layer_that_may_not_be_edited_is_refused(self, make_scene):
        scene = make_scene()
        output = scene.viewer.add_labels(np.zeros((ROWS, COLUMNS), np.uint16), name="mine")
        scene.widget._output.pick(output)
        output.editable = False
        scene.press(scene.widget._start_button)
        scene.settle()
        assert scene.annotator is None
        assert_told(scene, "'mine'", "editable", "new layer")

    def test_an_array_that_becomes_read_only_is_told_at_accept(self, start_with_output):
        scene = start_with_output(np.zeros((ROWS, COLUMNS), np.uint16))
        scene.hand.click((20, 30))
        scene.settle()
        scene.layers.output.data.setflags(write=False)
        scene.hand.key("N")
        scene.settle()
        assert_told(scene, "'mine'", "read-only")
        assert len(scene.annotator.prompts) == 1
        assert not scene.annotator.objects
        scene.layers.output.data.setflags(write=True)
        scene.hand.key("N")
        scene.settle()
        assert scene.layers.output.data.sum() == DISK

    def test_full_int8_labels_become_wider(self, start_with_output):
        data = np.zeros((ROWS, COLUMNS), np.int8)
        data.flat[1000 : 1000 + 127] = np.arange(1, 128)
        scene = start_with_output(data)
        accept_at(scene, (60, 70))
        assert scene.layers.output.data.dtype == np.int32
        assert scene.layers.output.data[60, 70] == 128
        assert "Object 128 accepted" in scene.status

    def test_full_int8_labels_on_disk_are_told(self, start_with_output, tmp_path):
        data = np.lib.format.open_memmap(tmp_path / "labels.npy", "w+", np.int8, (ROWS, COLUMNS))
        data.reshape(-1)[1000 : 1000 + 127] = np.arange(1, 128)
        scene = start_with_output(data)
        accept_at(scene, (60, 70))
        assert_told(scene, "int8", "127 labels are in use", "start a new one")
        assert len(scene.annotator.prompts) == 1

    def test_a_disk_that_fills_up_while_an_object_is_written_is_told(self, scene, monkeypatch):
        def fill_up(*_):
            raise OSError(28, "No space left on device")

        scene.hand.click((20, 30))
        scene.settle()
        with monkeypatch.context() as patch:
            patch.setattr("napari_segnext.annotator.label_edits.write_pixels", fill_up)
            scene.hand.key("N")
            scene.settle()
            assert_told(scene, "No space left on the disk", "try again")
        assert len(scene.annotator.prompts) == 1
        scene.hand.key("N")
        scene.settle()
        assert scene.layers.output.data.sum() == DISK


class CardModel(GatedModel):
    """A model on a graphics card without room for what its method of this name does."""

    def __init__(self, full):
        super().__init__()
        self.place, self.full = "card", full
        self.on_processor = 0

    def to(self, device):
        self.place = "processor"
        return self

    def _require_room(self, what):
        if self.place == "card" and what == self.full:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        self.on_processor += self.place == "processor"

    def encode_image(self, image):
        self._require_room("encode")
        return super().encode_image(image)

    def predict_logits(self, embedding, clicks, previous_masks):
        self._require_room("predict")
        return super().predict_logits(embedding, clicks, previous_masks)


class TestOutOfMemory:
    @pytest.fixture(autouse=True)
    def place_of_fakes(self, monkeypatch):
        monkeypatch.setattr(
            "napari_segnext.session.cpu_fallback._is_on_processor",
            lambda model: getattr(model, "place", "processor") == "processor",
        )

    @pytest.mark.parametrize("full", ["encode", "predict"])
    def test_the_card_is_left_and_that_stays_to_be_read(self, make_scene, full):
        scene = make_scene()
        model = CardModel(full)
        scene.widget._load_model = lambda name, device: model
        scene.start()
        scene.hand.click((20, 30))
        scene.settle()
        assert scene.annotator.mask.sum() == DISK
        assert model.on_processor > 0
        assert scene.status.startswith("1 prompt, 13 pixels.")
        assert "⚠ The memory of the graphics card does not suffice" in scene.status
        assert scene.widget._device.currentText() == "cpu"
        accept_at(scene, (60, 70))
        assert "graphics card does not suffice" in scene.status

    def test_weights_that_find_no_room_and_another_try_later(self, make_scene):
        scene = make_scene()
        calls = []

        def load(name, device):
            calls.append(device)
            if calls == ["auto"]:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return GatedModel()

        scene.widget._load_model = load
        scene.start()
        assert calls == ["auto", "cpu"]
        assert "graphics card does not suffice" in scene.status
        scene.press(scene.widget._start_button)
        scene.start()
        assert calls == ["auto", "cpu"]
        scene.press(scene.widget._start_button)
        scene.widget._device.setCurrentText("auto")
        scene.start()
        assert calls == ["auto", "cpu", "auto"]
        assert "graphics card" not in scene.status

    def test_memory_of_the_machine_is_told(self, scene):
        scene.model.error = MemoryError()
        scene.hand.click((20, 30))
        scene.settle()
        assert_told(scene, "not enough memory", "smaller model")
        assert scene.widget._stop_button.text() == "Compute"

    def test_segmenting_everything_falls_back_too(self, make_napari_viewer, qtbot):
        from napari_segnext.widgets import EverythingWidget

        viewer = make_napari_viewer(show=True)
        widget = EverythingWidget(viewer, load_model=lambda name, device: CardModel("predict"))
        viewer.window.add_dock_widget(widget)
        assert "There is no image. Open one" in widget._status.text()
        viewer.add_image(np.zeros((20, 24), np.uint8))
        assert widget._status.text() == "Press Start to segment everything."
        widget._points_per_side.setValue(2)
        widget._min_agreement.setValue(0)
        widget._min_object_px.setValue(5)
        qtbot.mouseClick(widget._start_button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: not widget.is_running, timeout=TIMEOUT_MS)
        assert "4 objects" in widget._status.text()
        assert "⚠ The memory of the graphics card does not suffice" in widget._status.text()
        assert widget._device.currentText() == "cpu"
