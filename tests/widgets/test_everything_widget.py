"""The widget in a real window, with a model that waits when it is told to."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np
import pytest

pytest.importorskip("napari")

from napari_segnext.everything import (
    EverythingSettings,
    iterate_everything_tiled,
    segment_everything,
    segment_everything_tiled,
)
from tests.widgets.conftest import TIMEOUT_MS, GatedModel, working_threads
from tests.widgets.test_annotator_widget import menu_entry

pytestmark = pytest.mark.gui

DISK = 13
TILES = {"tile_px": 64, "overlap_px": 16}
PLACED = {"scale": (0.5, 0.25), "translate": (10, -3), "rotate": 20, "units": ("um", "um")}


class EverythingScene:
    """A viewer with one image and the widget docked beside it; every click finds a disk of 13 pixels.

    The disks move along with the clicks, so second clicks are not asked for.
    """

    def __init__(self, viewer, widget, model, qtbot):
        self.viewer, self.widget, self.model, self.qtbot = viewer, widget, model, qtbot
        widget._min_object_px.setValue(5)
        widget._points_per_side.setValue(4)
        widget._min_agreement.setValue(0)

    @property
    def status(self) -> str:
        return str(self.widget._status.text())

    def press(self, button) -> None:
        from qtpy.QtCore import Qt

        assert button.isEnabled(), f"button {button.text()} is disabled"
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def run(self) -> None:
        self.press(self.widget._start_button)
        self.wait_until(lambda: not self.widget.is_running)

    def wait_until(self, condition) -> None:
        self.qtbot.waitUntil(condition, timeout=TIMEOUT_MS)

    def labels(self, name="SegNext everything"):
        return self.viewer.layers[name]


@pytest.fixture
def make_scene(make_napari_viewer, qtbot, gated_model):
    from napari_segnext.widgets import EverythingWidget

    def make(data=None, **kwargs):
        viewer = make_napari_viewer(show=True)
        viewer.add_image(np.zeros((20, 24), np.uint8) if data is None else data, **{"name": "cells", **kwargs})
        widget = EverythingWidget(viewer, load_model=lambda name, device: gated_model)
        viewer.window.add_dock_widget(widget, name="SegNext everything", area="right")
        qtbot.wait(20)
        return EverythingScene(viewer, widget, gated_model, qtbot)

    yield make
    gated_model.gate.set()
    qtbot.waitUntil(lambda: not working_threads(), timeout=TIMEOUT_MS)


class TestRun:
    def test_grid_gives_a_new_labels_layer_as_the_library_does(self, make_scene):
        scene = make_scene(**PLACED)
        scene.run()
        layer, image = scene.labels(), scene.viewer.layers["cells"]
        expected = segment_everything(
            GatedModel(), np.zeros((20, 24), np.uint8), points_per_side=4, min_object_px=5, min_agreement=0
        )
        np.testing.assert_array_equal(layer.data, expected.labels)
        assert layer.data.dtype == np.int32 and layer.data.max() == 16
        for name in ("scale", "translate", "rotate", "shear"):
            np.testing.assert_array_equal(getattr(layer, name), getattr(image, name))
        assert layer.units == image.units and layer.axis_labels == image.axis_labels
        np.testing.assert_array_equal(layer.affine.affine_matrix, image.affine.affine_matrix)
        assert "16 objects" in scene.status
        assert scene.widget._bar.value() == scene.widget._bar.maximum() == 16
        assert scene.model.threads == {"napari-segnext"}

    def test_positive_points_and_rectangles_ask_for_one_object_each(self, make_scene):
        from napari_segnext.widgets.everything_controls import POINTS, RECTANGLES

        scene = make_scene()
        scene.viewer.add_points(
            [(5, 5), (14, 16), (2, 18), (90, 90)], features={"is_positive": [True, True, False, True]}
        )
        scene.widget._prompts.setCurrentText(POINTS)
        scene.run()
        assert scene.labels().data[5, 5] == 1 and scene.labels().data[14, 16] == 2
        assert (scene.labels().data > 0).sum() == 2 * DISK
        scene.viewer.add_shapes(
            [[(2, 2), (2, 9), (9, 9), (9, 2)], [(10, 10), (12, 15), (15, 12)]], shape_type=["rectangle", "polygon"]
        )
        scene.widget._prompts.setCurrentText(RECTANGLES)
        scene.run()
        assert "1 object," in scene.status
        assert scene.labels("SegNext everything [1]").data[5, 5] == 1

    def test_on_a_stack_only_the_slice_that_was_shown_is_written(self, make_scene):
        scene = make_scene(np.zeros((5, 20, 24), np.uint8), scale=(2, 1, 1))
        scene.viewer.dims.set_point(0, 6)
        scene.model.gate.clear()
        scene.press(scene.widget._start_button)
        scene.wait_until(scene.model.has_begun.is_set)
        scene.viewer.dims.set_point(0, 0)
        scene.model.gate.set()
        scene.wait_until(lambda: not scene.widget.is_running)
        layer = scene.labels()
        assert layer.data.shape == (5, 20, 24)
        assert [int(plane.max()) for plane in layer.data] == [0, 0, 0, 16, 0]

        # the next slice goes into the same layer, numbered on; what is there stays, and Ctrl+Z takes all back
        scene.widget._output.pick(layer)
        before = layer.data.copy()
        scene.viewer.dims.set_point(0, 8)
        scene.run()
        assert sorted({*np.unique(layer.data[4])} - {0}) == [*range(17, 33)]
        np.testing.assert_array_equal(layer.data[:4], before[:4])
        layer.undo()
        np.testing.assert_array_equal(layer.data, before)

    def test_labels_that_were_there_are_never_overwritten(self, make_scene):
        scene = make_scene()
        data = np.zeros((20, 24), np.uint8)
        data[:, :10] = 7
        mine = scene.viewer.add_labels(data.copy(), name="mine")
        mine.visible = False
        scene.widget._output.pick(mine)
        scene.run()
        assert (mine.data[:, :10] == 7).all() and not mine.visible
        assert sorted({*np.unique(mine.data)}) == [0, 7, *range(8, mine.data.max() + 1)]
        assert mine.data.max() > 8
        assert "lay wholly under labels" in scene.status

    def test_labels_that_cannot_be_written_are_refused_before_anything_is_computed(self, make_scene):
        scene = make_scene()
        data = np.zeros((20, 24), np.uint8)
        data.setflags(write=False)
        scene.widget._output.pick(scene.viewer.add_labels(data, name="mine"))
        scene.press(scene.widget._start_button)
        assert not scene.widget.is_running
        assert scene.status.startswith("⚠ The array of labels layer 'mine' is read-only; open it for writing")
        assert scene.model.n_encoded == 0


class TestLarge:
    """Images above 60 pixels count as large here, and are worked through in tiles of 64."""

    @pytest.fixture(autouse=True)
    def small_is_large(self, monkeypatch):
        tiled = partial(iterate_everything_tiled, **TILES)
        monkeypatch.setattr("napari_segnext.everything.settings.LARGE_IMAGE_PX", 60)
        monkeypatch.setattr("napari_segnext.everything.tiled.iterate_everything_tiled", tiled)

    def test_a_large_image_is_read_and_worked_through_in_tiles(self, make_scene):
        dask = pytest.importorskip("dask.array")
        pixels = np.random.default_rng(0).integers(0, 255, (3, 100, 70), np.uint8)
        stack = dask.from_array(pixels, chunks=(1, 25, 35))
        scene = make_scene(stack, contrast_limits=(0, 255))
        scene.viewer.dims.set_point(0, 1)
        scene.run()
        settings = EverythingSettings(points_per_side=4, min_object_px=5, min_agreement=0)
        expected = segment_everything_tiled(GatedModel(), pixels[1], settings, **TILES)
        np.testing.assert_array_equal(scene.labels().data[1], expected.labels)
        assert scene.labels().data.shape == (3, 100, 70) and not scene.labels().data[[0, 2]].any()
        assert f"{len(expected.objects)} objects" in scene.status
        assert scene.widget._bar.value() == scene.widget._bar.maximum() == 64
        assert scene.model.n_encoded == 4

    def test_stop_keeps_what_was_found_and_the_tile_is_told(self, make_scene, monkeypatch):
        monkeypatch.setattr("napari_segnext.widgets.everything_run._SECONDS_BETWEEN_LOOKS", 0)
        scene = make_scene(np.arange(7000, dtype=np.uint16).reshape(100, 70))
        answer, is_in_second = scene.model.predict_logits, threading.Event()

        def second_tile_waits(*arguments):
            if scene.model.n_encoded == 2 and not is_in_second.is_set():
                scene.model.gate.clear()
                is_in_second.set()
            return answer(*arguments)

        monkeypatch.setattr(scene.model, "predict_logits", second_tile_waits)
        scene.press(scene.widget._start_button)
        scene.wait_until(lambda: is_in_second.is_set() and "Tile 2 of 4: 16 found so far" in scene.status)
        scene.press(scene.widget._stop_button)
        scene.model.gate.set()
        scene.wait_until(lambda: not scene.widget.is_running)
        assert "after 17 of 64 prompts" in scene.status
        assert scene.labels().data.max() in (16, 17)

    def test_what_does_not_fit_into_memory_is_refused_and_the_command_line_named(self, make_scene, monkeypatch):
        monkeypatch.setattr("napari_segnext.annotator.everything_layers.MAX_PAINTABLE_PIXELS", 6999)
        scene = make_scene(np.zeros((100, 70), np.uint8))
        scene.run()
        assert "100 rows and 70 columns" in scene.status and "napari-segnext everything" in scene.status
        assert scene.model.n_encoded == 0 and len(scene.viewer.layers) == 1


class TestStop:
    def test_stop_keeps_what_was_found_and_the_bar_shows_how_far_it_came(self, make_scene, monkeypatch):
        monkeypatch.setattr("napari_segnext.widgets.everything_run._SECONDS_BETWEEN_LOOKS", 0)
        scene = make_scene()
        answer, third = scene.model.predict_logits, threading.Event()

        def third_waits(*arguments):
            if scene.model.n_predicted == 2:
                scene.model.gate.clear()
                third.set()
            return answer(*arguments)

        monkeypatch.setattr(scene.model, "predict_logits", third_waits)
        scene.press(scene.widget._start_button)
        scene.wait_until(lambda: third.is_set() and scene.widget._bar.value() == 2)
        assert scene.widget._bar.maximum() == 16 and "2 found so far" in scene.status
        scene.press(scene.widget._stop_button)
        assert "Stopping" in scene.status and not scene.widget._stop_button.isEnabled()
        scene.model.gate.set()
        scene.wait_until(lambda: not scene.widget.is_running)
        assert scene.labels().data.max() == 3
        assert "3 objects after 3 of 16 prompts" in scene.status
        assert scene.widget._start_button.isEnabled()

    def test_stop_while_the_model_is_loaded_ends_at_once(self, make_scene):
        scene, gate = make_scene(), threading.Event()
        scene.widget._load_model = lambda name, device: gate.wait() and scene.model
        scene.press(scene.widget._start_button)
        assert "Loading model" in scene.status and scene.widget._bar.maximum() == 0
        scene.press(scene.widget._stop_button)
        assert not scene.widget.is_running and "Stopped" in scene.status
        gate.set()
        scene.wait_until(lambda: not working_threads())
        scene.qtbot.wait(20)
        assert len(scene.viewer.layers) == 1 and scene.model.n_predicted == 0

    def test_undocking_in_the_middle_leaves_no_trace(self, make_scene):
        scene = make_scene()
        scene.model.gate.clear()
        scene.press(scene.widget._start_button)
        scene.wait_until(scene.model.has_begun.is_set)
        scene.viewer.window.remove_dock_widget(scene.widget)
        assert not scene.widget.is_running
        scene.model.gate.set()
        scene.wait_until(lambda: not working_threads())
        scene.qtbot.wait(20)
        assert [layer.name for layer in scene.viewer.layers] == ["cells"]
        assert scene.model.n_predicted == 1, "the run ended with the prediction that was going on"
        scene.viewer.add_points([(1, 1)])  # nobody listens any more


class TestWords:
    def test_an_error_of_the_model_is_told_in_words(self, make_scene):
        scene = make_scene()
        scene.model.error = RuntimeError("CUDA out of memory: tried to allocate")
        scene.run()
        assert "not enough memory" in scene.status and "Traceback" not in scene.status
        assert len(scene.viewer.layers) == 1

    def test_a_model_that_cannot_be_loaded_is_told_in_words(self, make_scene):
        scene = make_scene()

        def load(name, device):
            raise FileNotFoundError("there are no weights of 'x'. Download them first")

        scene.widget._load_model = load
        scene.run()
        assert scene.status == "⚠ There are no weights of 'x'. Download them first."

    @pytest.mark.parametrize(("kind", "words"), [(1, "no point lies"), (2, "no rectangle lies")])
    def test_without_marks_it_says_what_to_do(self, kind, words, make_scene):
        scene = make_scene()
        scene.widget._prompts.setCurrentIndex(kind)
        scene.press(scene.widget._start_button)
        assert words in scene.status.lower() and not scene.widget.is_running

    def test_in_3d_it_asks_for_2d(self, make_scene):
        scene = make_scene(np.zeros((4, 20, 24), np.uint8))
        scene.viewer.dims.ndisplay = 3
        scene.press(scene.widget._start_button)
        assert "Switch back to 2D" in scene.status

    def test_nothing_found_says_what_to_change(self, make_scene):
        scene = make_scene()
        scene.widget._min_object_px.setValue(100)
        scene.run()
        assert "No object found" in scene.status and len(scene.viewer.layers) == 1

    def test_an_image_that_goes_in_the_middle_is_told(self, make_scene):
        scene = make_scene()
        scene.model.gate.clear()
        scene.press(scene.widget._start_button)
        scene.wait_until(scene.model.has_begun.is_set)
        scene.viewer.layers.clear()
        scene.model.gate.set()
        scene.wait_until(lambda: not scene.widget.is_running)
        assert "image has gone" in scene.status and len(scene.viewer.layers) == 0
        assert not scene.widget._start_button.isEnabled()

    def test_pickers_rest_while_it_runs(self, make_scene):
        scene = make_scene()
        scene.model.gate.clear()
        scene.press(scene.widget._start_button)
        assert not scene.widget._image.isEnabled() and not scene.widget._min_stability.isEnabled()
        assert scene.widget._stop_button.isEnabled() and not scene.widget._start_button.isEnabled()
        scene.model.gate.set()
        scene.wait_until(lambda: not scene.widget.is_running)
        assert scene.widget._image.isEnabled() and scene.widget._points_per_side.isEnabled()
        assert not scene.widget._points.isEnabled(), "the grid is picked"


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

    def test_menu_opens_the_widget_on_the_selected_image(self, plugin_viewer):
        from napari_segnext.widgets import EverythingWidget

        image = plugin_viewer.add_image(np.zeros((20, 24), np.uint8))
        entry = menu_entry(plugin_viewer.window.layers_menu, "Segment", "SegNext everything (SegNext)")
        assert entry.isEnabled()
        entry.trigger()
        (widget,) = plugin_viewer.window._qt_window.findChildren(EverythingWidget)
        assert widget._image.layer == image and widget._start_button.isEnabled()
        assert widget.models.name == "segnext-tiny"
