"""Real mouse and key events on a real window."""

from __future__ import annotations

import threading

import numpy as np
import pytest

pytest.importorskip("napari")

import tifffile
from typer.testing import CliRunner

from napari_segnext.annotator import BINDINGS, TOOLS
from napari_segnext.commands import app
from napari_segnext.io import read_image
from napari_segnext.prompts import Box, Click, Polygon, Scribble
from napari_segnext.prompts.prompts_file import AnnotatedObject, PromptsFile, SlicePrompts, write_prompts_file
from napari_segnext.session import Session
from tests.session.test_zoom import BrightModel, image_with_disk
from tests.widgets.conftest import working_threads

pytestmark = pytest.mark.gui

DISK = 13
MENU_TITLE = "SegNext annotator (SegNext)"


def near(click: Click, row: float, column: float) -> bool:
    """A mouse stands on whole pixels of the screen, so places are not exact."""
    return abs(click.row - row) < 0.5 and abs(click.column - column) < 0.5


def _unreadable(block: np.ndarray) -> np.ndarray:
    raise AssertionError("a pixel was read")


def menu_entry(menu, *titles):
    """The action, or the submenu, that is reached by these titles, as a user opens one menu after the other."""
    menu.aboutToShow.emit()
    action = next(action for action in menu.actions() if action.text() == titles[0])
    return action if len(titles) == 1 else menu_entry(action.menu(), *titles[1:])


class ThreadedBrightModel(BrightModel):
    """Prefers zoom, and notes on which threads it works for the widget."""

    def __init__(self):
        super().__init__()
        self.threads = set()

    def encode_image(self, image):
        if threading.current_thread() is not threading.main_thread():
            self.threads.add(threading.current_thread().name)
        return super().encode_image(image)


@pytest.fixture
def make_zoom_scene(make_scene):
    """scene, model, image = make_zoom_scene(): two small disks on a large image, started with a model that zooms."""

    def make():
        image = image_with_disk((600, 800), (300, 500), 20) | image_with_disk((600, 800), (150, 200), 20)
        scene, model = make_scene(image), ThreadedBrightModel()
        scene.widget._load_model = lambda name, device: model
        scene.start()
        return scene, model, image

    return make


class TestDrawing:
    def test_start_makes_the_layers_and_takes_up_the_click_tool(self, scene):
        names = [layer.name for layer in scene.viewer.layers]
        assert names == [
            "cells", "SegNext objects", "SegNext preview", "SegNext scribbles", "SegNext shapes", "SegNext clicks"
        ]  # fmt: skip
        assert scene.viewer.layers.selection.active == scene.layers.points
        assert scene.layers.points.mode == "add"
        assert scene.widget._tool_buttons["click"].isChecked()
        assert scene.model.n_encoded == 1

    def test_click_is_positive_and_shift_click_is_negative(self, scene):
        scene.hand.click((20, 30))
        scene.settle()
        assert scene.layers.preview.data.sum() == DISK
        scene.hand.click((20, 32), "shift")
        scene.settle()
        scene.hand.click((60, 70))
        scene.settle()
        one, other, third = scene.annotator.prompts
        assert near(one, 20, 30) and near(other, 20, 32) and near(third, 60, 70)
        assert [click.is_positive for click in (one, other, third)] == [True, False, True]
        assert [str(symbol) for symbol in scene.layers.points.symbol] == ["disc", "x", "disc"]
        colours = scene.layers.points.face_color
        assert np.allclose(colours[0], colours[2]) and not np.allclose(colours[0], colours[1])
        assert DISK < np.isin(scene.layers.preview.data, (1, 2)).sum() < 2 * DISK
        assert "3 prompts" in scene.status

    def test_dragged_rectangle_is_a_box(self, scene):
        scene.press(scene.widget._tool_buttons["box"])
        scene.hand.drag((20, 30), (50, 70))
        scene.settle()
        (box,) = scene.annotator.prompts
        assert isinstance(box, Box)
        np.testing.assert_allclose((box.top, box.left, box.bottom, box.right), (20, 30, 50, 70), atol=0.5)

    def test_polygon_is_clicked_and_closed_by_a_double_click(self, scene):
        scene.press(scene.widget._tool_buttons["polygon"])
        for corner in ((20, 30), (20, 70), (50, 70)):
            scene.hand.click(corner)
        scene.hand.double_click((50, 30))
        scene.settle()
        (polygon,) = scene.annotator.prompts
        assert isinstance(polygon, Polygon)

    def test_painted_strokes_are_scribbles_with_a_sign(self, scene):
        scene.press(scene.widget._tool_buttons["brush"])
        scene.hand.drag((20, 30), (20, 60))
        scene.settle()
        scene.press(scene.widget._background_button)
        scene.hand.drag((60, 30), (70, 30))
        scene.settle()
        one, other = scene.annotator.prompts
        assert isinstance(one, Scribble) and isinstance(other, Scribble)
        assert (one.is_positive, other.is_positive) == (True, False)
        rows, columns = np.array(one.path).T
        assert np.abs(rows - 20).max() <= 1
        assert columns.max() - columns.min() > 20

    def test_a_stroke_is_one_prompt_and_one_change(self, scene):
        scene.press(scene.widget._tool_buttons["brush"])
        scene.hand.drag((20, 20), (20, 60), (60, 60))
        scene.settle()
        assert len(scene.annotator.prompts) == 1
        assert scene.model.n_predicted == 1
        scene.hand.key("U")
        scene.settle()
        assert not scene.layers.scribbles.data.any()

    def test_dragged_click_moves_and_the_mask_follows(self, scene):
        scene.hand.click((20, 30))
        scene.settle()
        scene.layers.points.mode = "select"
        scene.hand.drag((20, 30), (60, 70))
        scene.settle()
        (click,) = scene.annotator.prompts
        assert near(click, 60, 70)
        assert scene.layers.preview.data[60, 70] in (1, 2)
        assert scene.layers.preview.data[20, 30] in (0, 3)
        scene.hand.key("U")  # the whole drag is one change
        scene.settle()
        (click,) = scene.annotator.prompts
        assert near(click, 20, 30)

    def test_undo_in_the_middle_of_a_polygon_is_sound(self, scene):
        scene.hand.click((70, 90))
        scene.settle()
        scene.press(scene.widget._tool_buttons["polygon"])
        for corner in ((20, 30), (20, 70), (50, 70), (55, 60)):
            scene.hand.click(corner)
        scene.hand.key("U")
        scene.settle()
        assert len(scene.layers.shapes.data) == 0
        assert [prompt.kind for prompt in scene.annotator.prompts] == ["click"]
        scene.hand.key("U", "shift")
        scene.settle()
        assert [prompt.kind for prompt in scene.annotator.prompts] == ["click", "polygon"]
        for corner in ((20, 30), (20, 70)):
            scene.hand.click(corner)
        scene.hand.key("K")
        scene.settle()
        assert len(scene.layers.shapes.data) == 0
        assert len(scene.annotator.prompts) == 0

    def test_key_flips_the_sign_and_the_buttons_show_it(self, scene):
        scene.hand.key("Q")
        assert scene.widget._background_button.isChecked()
        scene.hand.click((20, 30))
        scene.settle()
        assert not scene.annotator.prompts.items[0].is_positive
        scene.press(scene.widget._object_button)
        assert scene.annotator.is_positive

    def test_tool_buttons_follow_keys_and_napari(self, scene):
        buttons = scene.widget._tool_buttons
        scene.hand.key("W")
        assert buttons["box"].isChecked()
        scene.layers.shapes.mode = "add_polygon"
        assert buttons["polygon"].isChecked()
        scene.layers.shapes.mode = "pan_zoom"
        assert not any(button.isChecked() for button in buttons.values())
        scene.press(buttons["box"])
        assert scene.layers.shapes.mode == "add_rectangle"


class TestObjects:
    def test_two_objects_are_accepted_by_key_and_by_button(self, scene):
        scene.hand.click((20, 30))
        scene.settle()
        scene.hand.key("N")
        scene.settle()
        scene.hand.click((60, 70))
        scene.settle()
        scene.press(scene.widget._accept_button)
        scene.settle()
        output = scene.layers.output.data
        assert output[20, 30] == 1 and output[60, 70] == 2
        assert [(output == label).sum() for label in (1, 2)] == [DISK, DISK]
        assert len(scene.layers.points.data) == 0
        assert "Object 2 accepted" in scene.status

    def test_keys_work_whatever_layer_is_selected(self, scene, subtests):
        for role in ("image", "points", "shapes", "scribbles", "output"):
            with subtests.test(msg=role):
                assert not scene.layers.output.data.any()
                scene.annotator.use_tool("click")
                scene.hand.click((20, 30))
                scene.settle()
                scene.viewer.layers.selection.active = getattr(scene.layers, role)
                for key, modifiers, n_prompts in (("U", (), 0), ("U", ("shift",), 1), ("K", (), 0), ("U", (), 1)):
                    scene.hand.key(key, *modifiers)
                    scene.settle()
                    assert len(scene.annotator.prompts) == n_prompts
                    assert len(scene.layers.points.data) == n_prompts
                scene.hand.key("N")
                scene.settle()
                assert scene.layers.output.data.sum() == DISK
            scene.hand.key("U")
            scene.hand.key("K")
            scene.settle()

    def test_ctrl_z_is_ours_on_clicks_and_naparis_on_labels(self, scene):
        scene.hand.click((20, 30))
        scene.settle()
        scene.hand.key("Z", "control")
        scene.settle()
        assert len(scene.annotator.prompts) == 0
        scene.hand.key("Z", "control", "shift")
        scene.settle()
        scene.hand.key("N")
        scene.settle()
        scene.viewer.layers.selection.active = scene.layers.output
        scene.hand.key("Z", "control")
        scene.settle()
        assert not scene.layers.output.data.any()
        scene.hand.key("Z", "control", "shift")
        assert scene.layers.output.data.sum() == DISK

    def test_buttons_are_enabled_when_they_can_do_something(self, scene):
        widget = scene.widget

        def enabled():
            buttons = (widget._accept_button, widget._reset_button, widget._undo_button, widget._redo_button)
            return [button.isEnabled() for button in buttons]

        assert enabled() == [False, False, False, False]
        scene.hand.click((20, 30))
        scene.settle()
        assert enabled() == [True, True, True, False]
        scene.press(widget._undo_button)
        scene.settle()
        assert enabled() == [False, False, False, True]
        scene.press(widget._redo_button)
        scene.settle()
        scene.press(widget._reset_button)
        scene.settle()
        assert enabled() == [False, False, True, False]

    def test_every_control_has_a_tooltip_and_those_with_a_key_name_it(self, scene):
        from qtpy.QtWidgets import QAbstractButton, QComboBox

        controls = scene.widget.findChildren(QComboBox) + scene.widget.findChildren(QAbstractButton)
        assert [control.objectName() or control for control in controls if not control.toolTip()] == []
        buttons = {
            "accept": scene.widget._accept_button,
            "reset": scene.widget._reset_button,
            "undo": scene.widget._undo_button,
            "redo": scene.widget._redo_button,
            "stop": scene.widget._stop_button,
            "flip_sign": scene.widget._background_button,
            "use_next_tool": scene.widget._tool_buttons["box"],
            "next_doubtful": scene.widget.propagate_panel.next_button,
            "accept_slice": scene.widget.propagate_panel.good_button,
            "correct_slice": scene.widget.propagate_panel.correct_button,
        }
        for binding in BINDINGS:
            if not binding.key.startswith("Control"):
                assert binding.label in buttons[binding.action].toolTip()
        assert set(scene.widget._tool_buttons) == {tool.name for tool in TOOLS}


class TestPlaces:
    def test_stack_works_on_the_slice_that_is_shown(self, make_scene):
        scene = make_scene(np.zeros((4, 80, 100), np.uint8), scale=(5, 1, 1))
        scene.viewer.dims.set_current_step(0, 2)
        scene.start()
        scene.hand.click((20, 30))
        scene.settle()
        assert [int(plane.sum()) for plane in scene.layers.preview.data] == [0, 0, DISK, 0]
        scene.viewer.dims.set_current_step(0, 3)
        scene.settle()
        assert len(scene.annotator.prompts) == 0
        scene.hand.click((60, 70))
        scene.settle()
        scene.hand.key("N")
        scene.settle()
        scene.viewer.dims.set_current_step(0, 2)
        scene.settle()
        assert len(scene.annotator.prompts) == 1
        scene.hand.key("N")
        scene.settle()
        assert [int(plane.max()) for plane in scene.layers.output.data] == [0, 0, 2, 1]

    @pytest.mark.parametrize(
        "place",
        [{"scale": (2, 0.5)}, {"translate": (500, -40)}, {"scale": (0.1, 0.1), "rotate": 30}],
        ids=["anisotropic", "moved", "scaled and turned"],
    )
    def test_the_pixel_under_the_mouse_is_meant(self, make_scene, place):
        scene = make_scene(**place)
        scene.start()
        world = scene.layers.image.data_to_world((25, 60))
        scene.hand.click(world)
        scene.settle()
        (click,) = scene.annotator.prompts
        assert abs(click.row - 25) < 1 and abs(click.column - 60) < 1
        assert scene.layers.preview.data[25, 60] == 1

    def test_transposed_view(self, make_scene):
        scene = make_scene()
        scene.start()
        scene.viewer.dims.order = (1, 0)
        scene.viewer.reset_view()
        scene.settle()
        scene.hand.click((60, 25))  # the vertical axis of the canvas is now the columns
        scene.settle()
        (click,) = scene.annotator.prompts
        assert near(click, 25, 60)

    def test_3d_view_is_told_in_words(self, make_scene):
        scene = make_scene(np.zeros((4, 80, 100), np.uint8))
        scene.start()
        scene.viewer.dims.ndisplay = 3
        scene.settle()
        assert "2D" in scene.status
        scene.viewer.dims.ndisplay = 2
        scene.viewer.reset_view()
        scene.hand.click((20, 30))
        scene.settle()
        assert "1 prompt" in scene.status

    def test_layers_of_the_user_are_adopted(self, make_scene):
        scene = make_scene()
        points = scene.viewer.add_points([(20, 30)], name="mine")
        output = scene.viewer.add_labels(np.full((80, 100), 0, np.uint16), name="my labels")
        scene.viewer.add_labels(np.zeros((3, 3), int), name="does not fit")
        widget = scene.widget
        assert [widget._output.itemText(row) for row in range(widget._output.count())] == ["new layer", "my labels"]
        widget._points.pick(points)
        widget._output.pick(output)
        scene.start()
        scene.settle()
        assert scene.layers.points == points and scene.layers.output == output
        assert scene.layers.preview.data.sum() == DISK


ROLES = ("image", "points", "shapes", "scribbles", "preview", "output")


class TestEndings:
    @pytest.mark.parametrize("role", ROLES)
    def test_deleting_a_layer_while_the_model_works(self, scene, role):
        scene.begin_slowly((20, 30))
        scene.viewer.layers.selection.active = getattr(scene.layers, role)
        scene.viewer.layers.remove_selected()
        scene.end_slowly()
        assert scene.annotator is None
        assert not any("preview" in layer.name for layer in scene.viewer.layers)
        if role == "image":
            assert not scene.widget._start_button.isEnabled()
            return
        assert "deleted" in scene.status
        scene.start()
        scene.hand.click((60, 70))
        scene.settle()
        assert scene.annotator.mask[60, 70]

    @pytest.mark.parametrize("shape", [(80, 100), (3, 80, 100)], ids=["image", "stack"])
    def test_deleting_everything_while_the_model_works(self, make_scene, shape):
        scene = make_scene(np.zeros(shape, np.uint8))
        scene.start()
        scene.begin_slowly((20, 30))
        scene.viewer.layers.select_all()
        scene.viewer.layers.remove_selected()
        scene.end_slowly()
        assert scene.annotator is None
        assert len(scene.viewer.layers) == 0

    def test_image_of_the_same_shape_gets_its_own_layers(self, scene):
        first = scene.layers
        scene.hand.click((20, 30))
        scene.settle()
        scene.hand.key("N")
        scene.settle()
        other = scene.viewer.add_image(np.zeros((80, 100), np.uint8), name="other")
        scene.widget._image.pick(other)
        scene.start()
        assert not set(scene.layers.all) & set(first.all)
        scene.press(scene.widget._start_button)
        scene.widget._image.pick(first.image)
        scene.start()
        assert (scene.layers.points, scene.layers.output) == (first.points, first.output)

    def test_switching_the_image_while_the_model_works(self, scene):
        other = scene.viewer.add_image(np.zeros((30, 30), np.uint8), name="other")
        scene.viewer.layers.selection.active = scene.layers.points
        scene.begin_slowly((20, 30))
        scene.widget._image.pick(other)
        scene.end_slowly()
        assert scene.annotator is None
        assert "Another image" in scene.status
        scene.start()
        assert scene.layers.image == other
        assert scene.layers.output.data.shape == (30, 30)

    def test_closing_the_widget_while_the_model_works(self, scene):
        keymap = dict(scene.viewer.keymap)
        layers, annotator = scene.layers, scene.annotator
        scene.begin_slowly((20, 30))
        scene.viewer.window.remove_dock_widget(scene.widget)
        assert annotator.is_closed
        scene.end_slowly()
        assert layers.preview not in scene.viewer.layers
        assert not layers.preview.data.any()
        assert len(layers.points.data) == 1
        assert len(scene.viewer.keymap) < len(keymap)
        layers.points.add((5, 5))
        scene.viewer.add_image(np.zeros((5, 5)))
        scene.viewer.dims.order = (1, 0)

    def test_closing_the_viewer_while_the_model_works(self, scene, qtbot):
        scene.begin_slowly((20, 30))
        scene.viewer.close()
        qtbot.wait(20)
        scene.model.gate.set()
        qtbot.waitUntil(lambda: not working_threads())

    def test_closing_the_widget_while_the_model_is_loaded(self, make_scene, gated_model, qtbot):
        scene = make_scene()
        gate = threading.Event()
        scene.widget._load_model = lambda name, device: gate.wait() and gated_model
        scene.press(scene.widget._start_button)
        scene.viewer.window.remove_dock_widget(scene.widget)
        gate.set()
        qtbot.waitUntil(lambda: not working_threads())
        qtbot.wait(20)
        assert [layer.name for layer in scene.viewer.layers] == ["cells"]

    def test_end_button_leaves_objects_and_prompts(self, scene):
        scene.hand.click((20, 30))
        scene.settle()
        scene.hand.key("N")
        scene.settle()
        scene.press(scene.widget._start_button)
        assert scene.annotator is None
        assert scene.viewer.layers["SegNext objects"].data.sum() == DISK
        scene.start()
        assert [layer.name for layer in scene.viewer.layers].count("SegNext objects") == 1
        assert scene.layers.output.data.sum() == DISK

    def test_no_thread_and_no_callback_is_left(self, scene):
        scene.hand.click((20, 30))
        scene.settle()
        inserted = scene.viewer.layers.events.inserted
        n_callbacks = len(inserted.callbacks)
        scene.viewer.window.remove_dock_widget(scene.widget)
        scene.wait_until(lambda: not working_threads())
        assert len(inserted.callbacks) < n_callbacks


class TestWorking:
    def test_model_is_loaded_and_works_off_the_gui_thread(self, make_scene, gated_model):
        scene = make_scene()
        threads = []

        def load(name, device):
            threads.append(threading.current_thread())
            return gated_model

        scene.widget._load_model = load
        scene.start()
        assert threads[0] is not threading.main_thread()
        assert gated_model.threads == {"napari-segnext"}

    def test_late_answer_is_dropped(self, scene):
        shown = []
        scene.annotator.mask_changed.connect(lambda: shown.append(int(scene.layers.preview.data.sum())))
        scene.begin_slowly((20, 30))
        scene.hand.click((60, 70))
        scene.hand.click((40, 50))
        scene.wait_until(lambda: len(scene.annotator.prompts) == 3)
        scene.model.gate.set()
        scene.settle()
        assert [n_pixels for n_pixels in shown if n_pixels] == [3 * DISK]
        assert scene.model.n_predicted == 3

    def test_gui_lives_while_the_model_works(self, scene):
        scene.begin_slowly((20, 30))
        assert scene.widget._bar.maximum() == 0
        assert "Computing" in scene.status
        assert scene.widget._stop_button.isEnabled()
        scene.hand.key("W")
        assert scene.widget._tool_buttons["box"].isChecked()
        scene.end_slowly()
        scene.settle()
        assert scene.widget._bar.maximum() == 1
        assert "1 prompt, 13 pixels" in scene.status

    def test_zoom_is_switched_while_annotating_and_accepted_objects_stay(self, make_zoom_scene):
        scene, model, image = make_zoom_scene()
        widget = scene.widget
        scene.hand.click((300, 500))
        scene.settle()
        scene.hand.key("N")
        scene.settle()
        labels = scene.layers.output.data.copy()
        scene.hand.click((150, 200))
        scene.settle()
        zoomed, prompts = scene.annotator.mask, scene.annotator.prompts
        widget._zoom.setFocus()
        scene._qtbot.keyClicks(widget._zoom, "off")
        scene.settle()
        assert widget._zoom.currentText() == "off"
        assert scene.annotator.zoom is False
        assert scene.annotator.prompts == prompts
        np.testing.assert_array_equal(
            scene.annotator.mask, Session(model, image, zoom=False).add(prompts.items[0]).mask
        )
        assert (scene.annotator.mask != zoomed).any()
        np.testing.assert_array_equal(scene.layers.output.data, labels)
        assert model.threads == {"napari-segnext"}
        scene.annotator.zoom = True
        scene.settle()
        assert widget._zoom.currentText() == "on"
        np.testing.assert_array_equal(scene.annotator.mask, zoomed)

    def test_newest_zoom_wins_while_the_model_works(self, scene):
        shown = []
        scene.begin_slowly((20, 30))
        scene.annotator.mask_changed.connect(lambda: shown.append(int(scene.layers.preview.data.sum())))
        for name in ("on", "off", "on"):
            scene.widget._zoom.setCurrentText(name)
            assert not scene.widget._accept_button.isEnabled()
        scene.model.gate.set()
        scene.settle()
        assert scene.annotator.zoom is True
        assert [n_pixels for n_pixels in shown if n_pixels] == [DISK]
        assert scene.widget._accept_button.isEnabled()

    def test_zoom_that_is_picked_before_the_start_counts(self, make_scene):
        scene = make_scene()
        scene.widget._zoom.setCurrentText("on")
        scene.start()
        assert scene.annotator.is_zoomed
        assert scene.widget._zoom.isEnabled()

    def test_tooltip_says_what_automatic_means_once_the_model_is_loaded(self, make_zoom_scene, make_scene):
        plain = make_scene()
        assert "once it is loaded" in plain.widget._zoom.toolTip()
        plain.start()
        assert "Automatic: off, as segnext-tiny prefers." in plain.widget._zoom.toolTip()
        plain.widget.models.add_file("/somewhere/mine.safetensors")
        assert "once it is loaded" in plain.widget._zoom.toolTip()
        scene, _, _ = make_zoom_scene()
        assert "Automatic: on, as segnext-tiny prefers." in scene.widget._zoom.toolTip()

    def test_tooltips_say_that_the_first_look_is_at_several_sizes(self, make_scene):
        from qtpy.QtCore import Qt

        picker = make_scene().widget._zoom
        on = picker.itemData(picker.findText("on"), Qt.ItemDataRole.ToolTipRole)
        for text in (picker.toolTip(), on):
            assert "several sizes about the click" in text

    def test_zoom_stays_on_where_the_image_is_too_large_without(self, make_scene):
        scene = make_scene(np.zeros((9000, 9000), np.uint8))
        scene.widget._zoom.setCurrentText("on")
        scene.start()
        scene.widget._zoom.setCurrentText("off")
        assert "Switch zoom on" in scene.status
        assert scene.widget._zoom.currentText() == "on"
        assert scene.annotator.is_zoomed

    def test_prompts_of_the_widget_give_the_same_masks_on_the_command_line(
        self, make_zoom_scene, tmp_path, monkeypatch
    ):
        scene, model, image = make_zoom_scene()
        monkeypatch.setattr("napari_segnext.weights.load_model", lambda name, device: model)
        tifffile.imwrite(tmp_path / "image.tif", image)
        for name in ("on", "off"):
            scene.widget._zoom.setCurrentText(name)
            scene.hand.click((300, 500))
            scene.hand.click((304, 504))
            scene.settle()
            objects = (AnnotatedObject(1, "", (SlicePrompts(0, 0, scene.annotator.prompts),)),)
            write_prompts_file(tmp_path / "p.json", PromptsFile(objects, zoom=scene.annotator.is_zoomed))
            arguments = ("predict", tmp_path / "image.tif", "-p", tmp_path / "p.json", "-o", tmp_path / "out.tif")
            done = CliRunner().invoke(app, [str(argument) for argument in arguments])
            assert done.exit_code == 0, done.output
            assert len(scene.annotator.prompts) == 2
            np.testing.assert_array_equal(read_image(tmp_path / "out.tif") > 0, scene.annotator.mask)
            scene.hand.key("K")
            scene.settle()

    def test_stop_and_compute(self, scene):
        scene.begin_slowly((20, 30))
        scene.press(scene.widget._stop_button)
        scene.end_slowly()
        assert "Stopped" in scene.status
        assert scene.annotator.mask is None
        assert scene.widget._stop_button.text() == "Compute"
        scene.press(scene.widget._stop_button)
        scene.settle()
        assert scene.annotator.mask is not None
        assert scene.widget._stop_button.text() == "Stop"
        assert "1 prompt" in scene.status

    def test_loading_can_be_stopped(self, make_scene, gated_model, qtbot):
        scene = make_scene()
        gate = threading.Event()
        scene.widget._load_model = lambda name, device: gate.wait() and gated_model
        scene.press(scene.widget._start_button)
        assert "Loading" in scene.status
        scene.press(scene.widget._stop_button)
        gate.set()
        qtbot.waitUntil(lambda: not working_threads())
        scene.settle()
        assert scene.annotator is None
        assert scene.widget._start_button.isEnabled()

    def test_nothing_can_be_picked_while_the_model_is_loaded(self, make_scene, gated_model):
        scene = make_scene()
        widget = scene.widget
        pickers = (
            widget._image,
            widget.models._picker,
            widget.models._browse,
            widget._device,
            widget._points,
            widget._output,
        )
        gate = threading.Event()
        widget._load_model = lambda name, device: gate.wait() and gated_model
        scene.press(widget._start_button)
        assert not any(picker.isEnabled() for picker in pickers)
        gate.set()
        scene.settle()
        assert [picker.isEnabled() for picker in pickers] == [True, False, False, False, False, False]
        scene.press(widget._start_button)
        assert all(picker.isEnabled() for picker in pickers)

    def test_model_that_cannot_be_loaded_is_told_in_words(self, make_scene):
        scene = make_scene()

        def load(name, device):
            raise FileNotFoundError("the weights of 'x' are not on this machine yet. Download them")

        scene.widget._load_model = load
        scene.press(scene.widget._start_button)
        scene.settle()
        assert scene.status == "⚠ The weights of 'x' are not on this machine yet. Download them."
        assert scene.widget._start_button.isEnabled()

    def test_error_of_the_model_is_told_in_words_and_work_goes_on(self, scene):
        scene.model.error = RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        scene.hand.click((20, 30))
        scene.settle()
        assert "not enough memory" in scene.status
        scene.model.error = None
        scene.press(scene.widget._stop_button)
        scene.settle()
        assert scene.annotator.mask.sum() == DISK

    def test_second_start_loads_no_second_model(self, make_scene, gated_model):
        scene = make_scene()
        n_loads = []
        scene.widget._load_model = lambda name, device: n_loads.append(name) or gated_model
        scene.start()
        scene.press(scene.widget._start_button)
        scene.start()
        assert n_loads == ["segnext-tiny"]

    def test_image_that_is_too_large_is_told_in_words_and_not_read(self, make_scene):
        dask = pytest.importorskip("dask.array")
        large = dask.zeros((12_000, 10_000), dtype=np.uint8, chunks=1000).map_blocks(_unreadable, dtype=np.uint8)
        coarser = [np.zeros((2000, 1000), np.uint8), np.zeros((200, 100), np.uint8)]
        scene = make_scene([large, *coarser], multiscale=True, contrast_limits=(0, 255))
        scene.press(scene.widget._start_button)
        scene.settle()
        assert scene.annotator is None
        assert scene.status.startswith("⚠ The image has 12000 rows and 10000 columns, 120.0 million pixels;")
        assert "Switch zoom on" in scene.status and "crop it, or" in scene.status
        assert [layer.name for layer in scene.viewer.layers] == ["cells"]

    def test_image_that_is_not_finite_is_told_in_words(self, make_scene):
        scene = make_scene(np.full((40, 40), np.nan))
        scene.start()
        scene.hand.click((20, 20))
        scene.settle()
        assert "no finite pixel" in scene.status


class TestInNapari:
    @pytest.fixture
    def plugin_viewer(self, make_napari_viewer, npe2pm):
        """A viewer that knows the plugin and no other one."""
        from npe2 import PluginManifest

        import napari_segnext

        viewer = make_napari_viewer()
        path = napari_segnext.__file__.replace("__init__.py", "napari.yaml")
        npe2pm.register(PluginManifest.from_file(path))
        return viewer

    @pytest.mark.parametrize(
        ("menu", "titles"), [("layers_menu", ("Segment", MENU_TITLE)), ("plugins_menu", ("SegNext", MENU_TITLE))]
    )
    def test_menu_opens_the_widget_on_the_selected_image(self, plugin_viewer, menu, titles):
        from napari_segnext.widgets import AnnotatorWidget

        image = plugin_viewer.add_image(np.zeros((80, 100), np.uint8))
        entry = menu_entry(getattr(plugin_viewer.window, menu), *titles)
        assert entry.isEnabled()
        entry.trigger()
        (widget,) = plugin_viewer.window._qt_window.findChildren(AnnotatorWidget)
        assert widget.window() is plugin_viewer.window._qt_window
        assert widget._image.layer == image
        assert widget._start_button.isEnabled()

    def test_menu_entry_needs_an_image(self, plugin_viewer):
        plugin_viewer.add_points([(1, 1)])
        entry = menu_entry(plugin_viewer.window.layers_menu, "Segment", MENU_TITLE)
        assert not entry.isEnabled()

    def test_plugin_api_opens_the_widget(self, plugin_viewer):
        viewer = plugin_viewer
        _, widget = viewer.window.add_plugin_dock_widget("napari-segnext", "SegNext annotator")
        assert type(widget).__name__ == "AnnotatorWidget"
        assert widget.models.name == "segnext-tiny"
        assert not widget._start_button.isEnabled()
        viewer.open_sample("napari-segnext", "stained_tissue")
        assert widget._image.layer == viewer.layers[0]
        assert widget._start_button.isEnabled()

    def test_widget_needs_only_public_api(self, make_napari_viewer_proxy, qtbot, gated_model):
        from napari_segnext.widgets import AnnotatorWidget

        viewer = make_napari_viewer_proxy()
        viewer.add_image(np.zeros((80, 100), np.uint8))
        widget = AnnotatorWidget(viewer, load_model=lambda name, device: gated_model)
        viewer.window.add_dock_widget(widget)
        widget.start()
        qtbot.waitUntil(lambda: widget.annotator is not None)
        widget.annotator.layers.points.add((20, 30))
        qtbot.waitUntil(lambda: widget.annotator.mask is not None)
        assert widget.annotator.accept() == 1
        viewer.window.remove_dock_widget(widget)

    def test_no_widget_is_leaked(self, make_napari_viewer, gated_model, qtbot):
        from napari_segnext.widgets import AnnotatorWidget

        viewer = make_napari_viewer(strict_qt="raise")
        viewer.add_image(np.zeros((80, 100), np.uint8))
        widget = AnnotatorWidget(viewer, load_model=lambda name, device: gated_model)
        viewer.window.add_dock_widget(widget)
        widget.start()
        qtbot.waitUntil(lambda: widget.annotator is not None and not widget.annotator.is_busy)
