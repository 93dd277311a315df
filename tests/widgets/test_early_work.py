"""The picked image is encoded before anybody presses Start, with real windows."""

from __future__ import annotations

import threading

import numpy as np
import pytest

pytest.importorskip("napari")

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
