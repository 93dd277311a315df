"""A real viewer with the widget docked, a hand that moves a real mouse, and a model that waits when it is told to.

Tests marked `gui` need a display. Without one they are skipped on a developer's machine, with the reason; where the
environment variable CI is set they fail, so that nobody's machine of record skips them unnoticed.
"""

from __future__ import annotations

import gc
import importlib
import os
import socket
import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.conftest import FakeModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytest.importorskip("napari", reason="the widgets live in napari, which is not installed")

TIMEOUT_MS = 60_000
"""How long a test waits for something that must come; only a broken program waits so long."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Decide before any fixture makes a QApplication, which ends the process where there is no display."""
    if item.get_closest_marker("gui") is None:
        return
    problem = display_problem(os.environ, sys.platform)
    if problem and os.environ.get("CI"):
        pytest.fail(f"{problem} (Where CI is set, GUI tests fail instead of being skipped.)", pytrace=False)
    elif problem:
        pytest.skip(problem)


def display_problem(environment: Any, platform: str) -> str:
    """Why no window can be shown; empty if nothing speaks against it."""
    if environment.get("QT_QPA_PLATFORM") in ("offscreen", "minimal"):
        return "QT_QPA_PLATFORM is offscreen, which has no OpenGL for napari; unset it and use xvfb-run."
    if platform in ("win32", "darwin") or environment.get("WAYLAND_DISPLAY"):
        return ""
    display = environment.get("DISPLAY", "")
    if not display:
        return "There is no display: DISPLAY is not set. Run: xvfb-run -a python -m pytest -m gui"
    if display.startswith(":") and not _answers(display[1:].split(".")[0]):
        return f"The display {display} does not answer. Run: xvfb-run -a python -m pytest -m gui"
    return ""


def _answers(number: str) -> bool:
    """Whether an X server listens on a local display."""
    with socket.socket(socket.AF_UNIX) as connection:
        for address in (f"/tmp/.X11-unix/X{number}", f"\0/tmp/.X11-unix/X{number}"):
            if address.startswith("/") and not Path(address).exists():
                continue
            try:
                connection.connect(address)
            except OSError:
                continue
            return True
    return False


class GatedModel(FakeModel):
    """Waits in every prediction until the gate is open, and notes on which threads it works."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.has_begun = threading.Event()
        self.threads: set[str] = set()
        self.error: Exception | None = None

    def encode_image(self, image):
        self.threads.add(threading.current_thread().name)
        return super().encode_image(image)

    def predict_logits(self, embedding, clicks, previous_masks):
        self.has_begun.set()
        self.gate.wait()
        if self.error is not None:
            raise self.error
        # a mouse stands on whole pixels of the screen; whole pixels of the image make disks of one size
        return super().predict_logits(embedding, clicks.round(), previous_masks)


def working_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "napari-segnext"]


class Hand:
    """Moves the mouse over the canvas and presses keys there; places are (row, column) in the world."""

    def __init__(self, viewer: Any, qtbot: Any) -> None:
        from qtpy.QtCore import Qt

        self._canvas = viewer.window._qt_viewer.canvas
        self._native = self._canvas.native
        self._qtbot = qtbot
        self._left = Qt.MouseButton.LeftButton
        self._modifiers = {
            "": Qt.KeyboardModifier.NoModifier,
            "shift": Qt.KeyboardModifier.ShiftModifier,
            "control": Qt.KeyboardModifier.ControlModifier,
        }

    def _at(self, place: tuple[float, float]) -> Any:
        from qtpy.QtCore import QPoint

        x, y = self._canvas.view.scene.transform.map([place[1], place[0]])[:2]
        return QPoint(round(x), round(y))

    def click(self, place: tuple[float, float], modifier: str = "") -> None:
        self._qtbot.mouseMove(self._native, self._at(place))
        self._qtbot.mouseClick(self._native, self._left, self._modifiers[modifier], self._at(place))

    def double_click(self, place: tuple[float, float]) -> None:
        """As a mouse does it: a click, then a second one that is told as a double click."""
        self.click(place)
        self._qtbot.mouseDClick(self._native, self._left, pos=self._at(place))
        self._qtbot.mouseRelease(self._native, self._left, pos=self._at(place))

    def drag(self, *places: tuple[float, float], modifier: str = "") -> None:
        from qtpy.QtCore import QEvent, QPointF, Qt
        from qtpy.QtGui import QMouseEvent
        from qtpy.QtWidgets import QApplication

        modifiers = self._modifiers[modifier]
        self._qtbot.mouseMove(self._native, self._at(places[0]))
        self._qtbot.mousePress(self._native, self._left, modifiers, self._at(places[0]))
        for start, end in pairwise(places):
            for fraction in np.linspace(0, 1, 6)[1:]:
                here = QPointF(self._at(tuple(np.add(start, fraction * np.subtract(end, start)))))
                # QTest.mouseMove tells no pressed button, so that a drag would not be one
                event = QMouseEvent(
                    QEvent.Type.MouseMove,
                    here,
                    QPointF(self._native.mapToGlobal(here.toPoint())),
                    Qt.MouseButton.NoButton,
                    self._left,
                    modifiers,
                )
                QApplication.sendEvent(self._native, event)
                self._qtbot.wait(20)  # napari takes only so many moves in a second
        self._qtbot.mouseRelease(self._native, self._left, modifiers, self._at(places[-1]))

    def key(self, key: str, *modifiers: str) -> None:
        from qtpy.QtCore import Qt

        combined = self._modifiers[""]
        for modifier in modifiers:
            combined = combined | self._modifiers[modifier]
        self._qtbot.keyClick(self._native, getattr(Qt.Key, f"Key_{key}"), combined)


class Scene:
    """A viewer with one image and the widget docked beside it."""

    def __init__(self, viewer: Any, widget: Any, model: GatedModel, qtbot: Any) -> None:
        self.viewer = viewer
        self.widget = widget
        self.model = model
        self.hand = Hand(viewer, qtbot)
        self._qtbot = qtbot

    @property
    def annotator(self) -> Any:
        return self.widget.annotator

    @property
    def layers(self) -> Any:
        return self.annotator.layers

    @property
    def status(self) -> str:
        return str(self.widget._status.text())

    def press(self, button: Any) -> None:
        """Click on a button of the widget."""
        from qtpy.QtCore import Qt

        assert button.isEnabled(), f"button {button.text()} is disabled"
        self._qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        self._qtbot.waitUntil(condition, timeout=TIMEOUT_MS)

    def settle(self) -> None:
        """Let everything that is due happen."""
        from qtpy.QtWidgets import QApplication

        QApplication.processEvents()
        self.wait_until(lambda: self.widget._loading_key is None)
        self.wait_until(lambda: self.annotator is None or not self.annotator.is_busy)
        QApplication.processEvents()
        self.wait_until(lambda: self.annotator is None or not self.annotator.is_busy)

    def start(self) -> None:
        self.press(self.widget._start_button)
        self.settle()
        assert self.annotator is not None, self.status

    def begin_slowly(self, place: tuple[float, float]) -> None:
        """Click, and leave the model in the middle of its answer."""
        self.model.gate.clear()
        self.model.has_begun.clear()
        self.hand.click(place)
        self.wait_until(self.model.has_begun.is_set)

    def end_slowly(self) -> None:
        """Let the model finish, and everything come of it that may."""
        from qtpy.QtWidgets import QApplication

        self.model.gate.set()
        self.wait_until(lambda: not working_threads())
        QApplication.processEvents()
        QApplication.processEvents()


@pytest.fixture(scope="session", autouse=True)
def _imported_modules_are_no_garbage() -> Iterator[None]:
    """Napari searches all objects for garbage whenever a layer goes; those of modules need not be searched each time.

    That was a fifth of the time of these tests.
    """
    for name in ("napari", "napari.qt", "torch", "napari_segnext.widgets", "napari_segnext.session"):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def autosave_root(monkeypatch, tmp_path) -> Path:
    """Where work is saved instead of the developer's own folder; each test begins without earlier work."""
    root = tmp_path / "autosave"
    monkeypatch.setattr("napari_segnext.widgets.resume_bar.autosave_folder", lambda: root)
    return root


@pytest.fixture(autouse=True)
def own_settings(monkeypatch, tmp_path) -> None:
    """Settings and data of processes that a test starts; napari's own in this process see `tests/conftest.py`."""
    monkeypatch.setenv("NAPARI_CONFIG", str(tmp_path / "settings" / "settings.yaml"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def gated_model() -> GatedModel:
    return GatedModel()


@pytest.fixture
def make_scene(make_napari_viewer, qtbot, gated_model):
    """scene = make_scene(data, **arguments of add_image); the annotator works on it and is not started."""
    from napari_segnext.widgets import AnnotatorWidget

    def make(data: Any = None, **kwargs: Any) -> Scene:
        viewer = make_napari_viewer(show=True)
        if data is None:
            data = np.random.default_rng(0).integers(0, 255, (80, 100), dtype=np.uint8)
        viewer.add_image(data, **{"name": "cells", **kwargs})
        widget = AnnotatorWidget(viewer, load_model=lambda name, device: gated_model)
        viewer.window.add_dock_widget(widget, name="SegNext annotator", area="right")
        viewer.reset_view()
        qtbot.wait(50)
        return Scene(viewer, widget, gated_model, qtbot)

    yield make
    gated_model.gate.set()
    qtbot.waitUntil(lambda: not working_threads(), timeout=TIMEOUT_MS)


@pytest.fixture
def scene(make_scene) -> Scene:
    """On an image of 80 × 100 pixels, started."""
    scene = make_scene()
    scene.start()
    return scene
