"""The picked image is encoded before anybody presses Start, with real windows."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading

import numpy as np
import pytest

pytest.importorskip("napari")

from napari_segnext.widgets import early_work
from napari_segnext.widgets.early_work import AFTER_MS
from tests.widgets.conftest import GatedModel, working_threads

pytestmark = pytest.mark.gui


class SlowEncoder(GatedModel):
    """Waits in `encode_image` until it may go on."""

    def __init__(self):
        super().__init__()
        self.may_encode = threading.Event()
        self.encodes = threading.Event()

    def encode_image(self, image):
        self.encodes.set()
        self.may_encode.wait()
        return super().encode_image(image)


@pytest.fixture
def loads(make_scene):
    """scene, names of loaded models; the widget loads through a function that notes the name."""

    def make(model=None, error=None, **arguments):
        scene = make_scene(**arguments)
        names = []

        def load(name, device):
            names.append(name)
            if error is not None:
                raise error
            return scene.model if model is None else model

        scene.widget._load_model = load
        return scene, names

    return make


def rest(scene, qtbot):
    """As long as early work needs to begin, and until it is done."""
    qtbot.wait(AFTER_MS + 100)
    scene.wait_until(lambda: not working_threads())
    qtbot.wait(20)
    scene.wait_until(lambda: not working_threads())
    qtbot.wait(20)


class TestEarlyWork:
    def test_opening_the_widget_loads_the_model_and_encodes_the_image(self, loads, qtbot):
        scene, names = loads()
        scene.wait_until(lambda: scene.model.n_encoded == 1)
        rest(scene, qtbot)
        assert names == ["segnext-tiny"]
        assert scene.annotator is None
        assert len(scene.viewer.layers) == 1
        assert "Start" in scene.status

    def test_start_finds_both(self, loads, qtbot):
        scene, names = loads()
        rest(scene, qtbot)
        scene.start()
        scene.hand.click((20, 30))
        scene.settle()
        assert scene.annotator.mask.any()
        assert (names, scene.model.n_encoded) == (["segnext-tiny"], 1)

    def test_another_image_is_encoded_when_it_is_picked(self, loads, qtbot):
        scene, _ = loads()
        rest(scene, qtbot)
        other = scene.viewer.add_image(np.zeros((60, 70), np.uint8), name="other")
        scene.widget._image.pick(other)
        scene.wait_until(lambda: scene.model.n_encoded == 2)

    def test_start_waits_for_what_is_being_encoded(self, loads, qtbot):
        model = SlowEncoder()
        scene, _ = loads(model)
        scene.wait_until(model.encodes.is_set)
        scene.press(scene.widget._start_button)
        assert "Encoding" in scene.status
        assert scene.annotator is None
        model.may_encode.set()
        scene.settle()
        assert scene.annotator is not None
        assert model.n_encoded == 1

    def test_stop_while_start_waits_begins_nothing(self, loads, qtbot):
        model = SlowEncoder()
        scene, _ = loads(model)
        scene.wait_until(model.encodes.is_set)
        scene.press(scene.widget._start_button)
        scene.press(scene.widget._stop_button)
        model.may_encode.set()
        rest(scene, qtbot)
        assert scene.annotator is None
        assert "Stopped" in scene.status
        scene.start()
        assert model.n_encoded == 1

    def test_image_deleted_while_start_waits(self, loads, qtbot):
        model = SlowEncoder()
        scene, _ = loads(model)
        scene.wait_until(model.encodes.is_set)
        scene.press(scene.widget._start_button)
        scene.viewer.layers.clear()
        model.may_encode.set()
        scene.settle()
        assert scene.annotator is None
        assert "image" in scene.status

    def test_start_while_the_model_is_loaded_loads_it_once(self, loads, qtbot):
        scene, names = loads()
        gate = threading.Event()
        load = scene.widget._load_model
        scene.widget._load_model = lambda name, device: (gate.wait(), load(name, device))[1]
        scene.wait_until(lambda: bool(scene.widget._loads))
        scene.press(scene.widget._start_button)
        gate.set()
        scene.settle()
        assert scene.annotator is not None
        assert names == ["segnext-tiny"]

    def test_failure_is_told_at_start_only(self, loads, qtbot):
        scene, names = loads(error=OSError("the weights are gone"))
        rest(scene, qtbot)
        assert names == ["segnext-tiny"]
        assert "gone" not in scene.status
        scene.press(scene.widget._start_button)
        scene.settle()
        assert "gone" in scene.status

    def test_model_that_must_be_downloaded_waits(self, loads, qtbot):
        scene, names = loads()
        picker = scene.widget.models._picker
        missing = next(row for row in range(picker.count()) if "not downloaded" in picker.itemText(row))
        picker.setCurrentIndex(missing)
        rest(scene, qtbot)
        assert names == []

    def test_multiscale_image_waits_for_its_level(self, loads, qtbot):
        levels = [np.zeros((80, 100), np.uint8), np.zeros((40, 50), np.uint8)]
        scene, _ = loads(data=levels, multiscale=True)
        rest(scene, qtbot)
        assert scene.model.n_encoded == 0

    def test_nothing_happens_in_a_widget_that_was_closed(self, loads, qtbot):
        scene, names = loads()
        scene.widget.shut_down()
        rest(scene, qtbot)
        assert names == []


class TriedModel(GatedModel):
    """Notes on which thread each answer is made."""

    def __init__(self):
        super().__init__()
        self.answered_on = []

    def predict_logits(self, embedding, clicks, previous_masks):
        self.answered_on.append(threading.current_thread())
        return super().predict_logits(embedding, clicks, previous_masks)


@pytest.fixture
def imported(monkeypatch):
    """(module, thread) of everything that early work imports; `then` is called after each."""

    class Imports(list):
        def __init__(self):
            super().__init__()
            self.compiled_on = []

        def then(self):
            pass

    imports = Imports()

    def note(name):
        imports.append((name, threading.current_thread()))
        imports.then()

    monkeypatch.setattr(early_work, "import_module", note)
    monkeypatch.setattr(early_work, "_compile_labels", lambda: imports.compiled_on.append(threading.current_thread()))
    return imports


class TestWarmUp:
    def test_opening_the_widget_imports_what_models_need_off_the_gui_thread(self, imported, loads, qtbot):
        scene, _ = loads()
        rest(scene, qtbot)
        assert [name for name, _ in imported] == list(early_work.CODE)
        assert threading.main_thread() not in [thread for _, thread in imported]
        assert len(imported.compiled_on) == 1
        assert threading.main_thread() not in imported.compiled_on

    def test_code_is_imported_once_however_often_the_widget_is_shown(self, imported, loads, qtbot):
        scene, _ = loads()
        scene.widget.hide()
        scene.widget.show()
        rest(scene, qtbot)
        assert len(imported) == len(early_work.CODE)

    def test_closing_the_widget_ends_the_imports(self, imported, make_scene, qtbot):
        may_go_on = threading.Event()
        imported.then = may_go_on.wait
        scene = make_scene()
        scene.wait_until(lambda: len(imported) == 1)
        scene.widget.shut_down()
        may_go_on.set()
        rest(scene, qtbot)
        assert [name for name, _ in imported] == ["torch"]
        assert imported.compiled_on == []

    def test_nothing_is_compiled_ahead_once_start_was_pressed(self, imported, loads, qtbot):
        may_go_on = threading.Event()
        imported.then = may_go_on.wait
        scene, _ = loads()
        scene.wait_until(lambda: len(imported) == 1)
        scene.press(scene.widget._start_button)
        may_go_on.set()
        scene.settle()
        rest(scene, qtbot)
        assert len(imported) == len(early_work.CODE)
        assert imported.compiled_on == []

    def test_what_is_compiled_ahead_is_all_that_an_annotation_needs(self):
        pytest.importorskip("numba")
        code = """
import sys
import numpy as np
from napari.components import ViewerModel
from napari.utils.colormaps import _accelerated_cmap as loops
from napari_segnext.annotator.layers import prepare_layers
from napari_segnext.widgets.early_work import _compile_labels

def signatures():
    return [len(loop.signatures) for loop in vars(loops).values() if hasattr(loop, "signatures")]

_compile_labels()
before = signatures()
viewer = ViewerModel()
layers = prepare_layers(viewer, viewer.add_image(np.zeros((20, 20), np.uint8)))
layers.preview.data = np.ones((20, 20), np.uint8)
assert layers.output.data.shape == (20, 20)
print(before, signatures())
sys.exit(not any(before) or before != signatures())
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    @pytest.mark.parametrize("name", early_work.CODE)
    def test_all_code_is_there(self, name):
        assert importlib.import_module(name).__name__ == name

    def test_a_click_that_nobody_made_is_answered_off_the_gui_thread_and_leaves_no_trace(self, loads, qtbot):
        model = TriedModel()
        scene, _ = loads(model)
        scene.wait_until(lambda: bool(model.answered_on))
        rest(scene, qtbot)
        assert len(model.answered_on) == 1
        assert threading.main_thread() not in model.answered_on
        assert len(scene.viewer.layers) == 1
        scene.start()
        assert len(scene.annotator.prompts) == 0
        assert scene.annotator.mask is None

    def test_a_model_is_tried_once(self, loads, qtbot):
        model = TriedModel()
        scene, _ = loads(model)
        scene.wait_until(lambda: bool(model.answered_on))
        other = scene.viewer.add_image(np.zeros((60, 70), np.uint8), name="other")
        scene.widget._image.pick(other)
        scene.wait_until(lambda: model.n_encoded == 2)
        rest(scene, qtbot)
        assert len(model.answered_on) == 1

    def test_start_waits_for_no_trial(self, loads, qtbot):
        model = TriedModel()
        model.gate.clear()
        scene, _ = loads(model)
        scene.wait_until(model.has_begun.is_set)
        scene.press(scene.widget._start_button)
        assert scene.annotator is not None
        scene.hand.click((20, 30))
        scene.wait_until(lambda: len(model.answered_on) == 2)
        model.gate.set()
        scene.settle()
        assert scene.annotator.mask.any()

    def test_nothing_is_tried_once_start_was_pressed(self, loads, qtbot):
        encoder = SlowEncoder()
        scene, _ = loads(encoder)
        scene.wait_until(encoder.encodes.is_set)
        scene.press(scene.widget._start_button)
        encoder.may_encode.set()
        scene.settle()
        rest(scene, qtbot)
        assert encoder.n_predicted == 0

    def test_closing_the_widget_leaves_out_the_trial(self, loads, qtbot):
        encoder = SlowEncoder()
        scene, _ = loads(encoder)
        scene.wait_until(encoder.encodes.is_set)
        scene.widget.shut_down()
        encoder.may_encode.set()
        rest(scene, qtbot)
        assert encoder.n_predicted == 0
