"""Everything can be read in the dark and in the light theme, also where it is switched while widgets are open."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.utils.theme import get_theme
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QAbstractButton, QComboBox, QLabel, QScrollArea, QToolButton

from napari_segnext.widgets import EverythingWidget, ModelsDialog
from napari_segnext.widgets.cheat_sheet import CheatSheet
from napari_segnext.widgets.models_dialog import _LINK_COLOUR
from tests.widgets.conftest import TIMEOUT_MS, working_threads

pytestmark = pytest.mark.gui

THEMES = ("dark", "light")

READABLE = 4.5
"""Least ratio of contrast for text, as of WCAG 2.2, level AA."""

DISCERNIBLE = 3.0
"""The same for links, which are underlined, and for signs."""


def pixels_of(widget) -> np.ndarray:
    """`(n, 3)` uint8 as the widget is drawn where it lies."""
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8)
    rows = rows.reshape(image.height(), image.bytesPerLine())[:, : 3 * image.width()]
    return rows.reshape(-1, 3)


def background_of(pixels: np.ndarray) -> np.ndarray:
    colours, counts = np.unique(pixels, axis=0, return_counts=True)
    return colours[counts.argmax()]


def luminance(colours: np.ndarray) -> np.ndarray:
    parts = np.asarray(colours) / 255
    linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def contrast(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    a, b = luminance(one) + 0.05, luminance(other) + 0.05
    return np.maximum(a, b) / np.minimum(a, b)


def contrast_in(widget) -> float:
    """Of what stands out most from the background of a widget."""
    pixels = pixels_of(widget)
    return float(contrast(pixels, background_of(pixels)).max())


def unreadable_in(window) -> list[str]:
    """Whatever has a text, can be used, and cannot be read."""
    texts = [*window.findChildren(QLabel), *window.findChildren(QAbstractButton), *window.findChildren(QComboBox)]
    shown = [part for part in texts if part.isVisible() and part.isEnabled() and _text(part)]
    assert len(shown) > 5
    return [f"{_text(part)}: {contrast_in(part):.1f}" for part in shown if contrast_in(part) < READABLE]


def _text(part) -> str:
    return part.currentText() if isinstance(part, QComboBox) else part.text()


@pytest.fixture
def unfolded(scene):
    """A scene in which all parts of the widget are shown."""
    for button in scene.widget.findChildren(QToolButton):
        if button.isCheckable():
            button.setChecked(True)
    scene.hand.click((20, 30))
    scene.settle()
    return scene


@pytest.fixture
def show_theme(qtbot):
    def show(viewer, theme):
        other = {"dark": "light", "light": "dark"}[theme]
        viewer.theme = other
        viewer.theme = theme
        qtbot.wait(20)

    return show


class TestThemes:
    def test_every_text_of_the_annotator_can_be_read(self, unfolded, show_theme, subtests):
        scene = unfolded
        for theme in THEMES:
            with subtests.test(msg=theme):
                scene.widget._tell("")
                show_theme(scene.viewer, theme)
                assert unreadable_in(scene.widget) == []
                scene.widget._warn("Something went wrong.")
                assert contrast_in(scene.widget._status) >= READABLE

    def test_the_tool_and_the_sign_in_hand_stand_out(self, unfolded, show_theme, subtests):
        scene = unfolded
        buttons = scene.widget._tool_buttons
        signs = (scene.widget._object_button, scene.widget._background_button)
        for theme in THEMES:
            with subtests.test(msg=theme):
                show_theme(scene.viewer, theme)
                in_hand, other = (background_of(pixels_of(buttons[name])).astype(float) for name in ("click", "box"))
                assert np.linalg.norm(in_hand - other) > 60
                for button in signs:
                    scene.press(button)
                    colours = [background_of(pixels_of(sign)).astype(float) for sign in signs]
                    assert np.linalg.norm(np.subtract(*colours)) > 60
                    assert min(contrast_in(sign) for sign in signs) >= READABLE

    def test_the_background_is_that_of_the_theme(self, unfolded, show_theme, subtests):
        scene = unfolded
        content = scene.widget.findChild(QScrollArea).widget()
        for theme in THEMES:
            with subtests.test(msg=theme):
                show_theme(scene.viewer, theme)
                wanted = np.array(get_theme(theme).background.as_rgb_tuple()[:3])
                assert np.abs(background_of(pixels_of(content)).astype(int) - wanted).max() <= 2

    def test_the_cheat_sheet_can_be_read(self, unfolded, show_theme, subtests):
        scene = unfolded
        for theme in THEMES:
            with subtests.test(msg=theme):
                show_theme(scene.viewer, theme)
                scene.press(scene.widget._help_button)
                (sheet,) = [sheet for sheet in scene.widget.findChildren(CheatSheet) if sheet.isVisible()]
                assert min(contrast_in(label) for label in sheet.findChildren(QLabel) if label.text()) >= READABLE
                sheet.close()

    def test_the_other_windows_can_be_read(self, make_scene, show_theme, qtbot, subtests):
        scene = make_scene()
        everything = EverythingWidget(scene.viewer)
        scene.viewer.window.add_dock_widget(everything)
        dialog = ModelsDialog(scene.widget)
        dialog.show()
        qtbot.waitUntil(lambda: not working_threads(), timeout=TIMEOUT_MS)
        for theme in THEMES:
            with subtests.test(msg=theme):
                show_theme(scene.viewer, theme)
                assert unreadable_in(everything) == []
                assert unreadable_in(dialog) == []
        dialog.reject()

    @pytest.mark.parametrize("theme", THEMES)
    def test_links_can_be_told_from_the_ground(self, theme):
        link = np.array([int(_LINK_COLOUR[i : i + 2], 16) for i in (1, 3, 5)])
        for ground in ("background", "console"):
            colour = np.array(getattr(get_theme(theme), ground).as_rgb_tuple()[:3])
            assert contrast(link, colour) >= DISCERNIBLE
