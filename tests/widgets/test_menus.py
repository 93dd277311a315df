"""Commands where a napari user looks for them: the real menu bar, by mouse and by keys, and the command palette."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("napari")

from npe2 import PluginManifest
from npe2.cli import app as npe2_app
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QComboBox, QLineEdit, QListWidget, QMenu
from typer.testing import CliRunner

import napari_segnext
from napari_segnext.widgets import AnnotatorWidget, EverythingWidget, ModelsDialog
from tests.widgets.conftest import TIMEOUT_MS, working_threads
from tests.widgets.test_annotator_widget import menu_entry

pytestmark = pytest.mark.gui

MANIFEST = Path(napari_segnext.__file__).with_name("napari.yaml")
ANNOTATOR = "SegNext annotator (SegNext)"
EXACTLY = Qt.MatchFlag.MatchExactly
EVERYTHING = "SegNext everything (SegNext)"


@pytest.fixture
def viewer(make_napari_viewer, npe2pm, qtbot):
    """A shown viewer that knows the plugin and no other one."""
    if "napari-segnext" not in npe2pm:
        npe2pm.register(PluginManifest.from_file(MANIFEST))
    yield make_napari_viewer(show=True)
    while (menu := QApplication.activePopupWidget()) is not None:
        menu.close()
    qtbot.waitUntil(lambda: not working_threads(), timeout=TIMEOUT_MS)


@pytest.fixture
def image(viewer):
    return viewer.add_image(np.zeros((80, 100), np.uint8), name="cells")


def wait_until(condition):
    """Submenus open after a moment."""
    for _ in range(100):
        if condition():
            return
        QTest.qWait(20)
    raise TimeoutError


def open_menu(viewer, *titles):
    """Click on a title of the menu bar, then on entry after entry; the menu that is open in the end."""
    bar = viewer.window._qt_window.menuBar()
    action = next(action for action in bar.actions() if action.text().replace("&", "") == titles[0])
    QTest.mouseClick(bar, Qt.MouseButton.LeftButton, pos=bar.actionGeometry(action).center())
    menu = action.menu()
    for title in titles[1:]:
        entry = entry_of(menu, title)
        QTest.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(entry).center())
        menu = entry.menu()
        wait_until(menu.isVisible)
    return menu


def entry_of(menu: QMenu, title: str):
    return next(action for action in menu.actions() if action.text().replace("&", "") == title)


def choose(viewer, *titles):
    """Click through the menus and on the last title."""
    menu = open_menu(viewer, *titles[:-1])
    entry = entry_of(menu, titles[-1])
    assert entry.isEnabled()
    QTest.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(entry).center())
    QApplication.processEvents()


def docked(viewer, kind):
    return viewer.window._qt_window.findChildren(kind)


@pytest.mark.parametrize(
    ("titles", "kind"),
    [
        (("Plugins", "SegNext", ANNOTATOR), AnnotatorWidget),
        (("Plugins", "SegNext", EVERYTHING), EverythingWidget),
        (("Layers", "Segment", ANNOTATOR), AnnotatorWidget),
        (("Layers", "Segment", EVERYTHING), EverythingWidget),
        (("Layers", "Annotate", ANNOTATOR), AnnotatorWidget),
    ],
    ids=lambda value: " > ".join(value) if isinstance(value, tuple) else "",
)
def test_a_click_in_the_menus_docks_the_widget_on_the_selected_image(viewer, image, titles, kind):
    choose(viewer, *titles)
    (widget,) = docked(viewer, kind)
    assert widget.isVisible()
    assert widget._image.layer == image
    assert widget._start_button.isEnabled()


def test_layers_menu_asks_for_an_image_first(viewer, subtests):
    viewer.add_points([(1, 1)])
    for titles in (("Segment", ANNOTATOR), ("Segment", EVERYTHING), ("Annotate", ANNOTATOR)):
        with subtests.test(msg=" > ".join(titles)):
            assert not menu_entry(viewer.window.layers_menu, *titles).isEnabled()


def test_samples_open_from_the_menu_and_can_be_annotated_at_once(viewer):
    choose(viewer, "File", "Open Sample", "SegNext", "Coins")
    assert len(viewer.layers) == 1
    choose(viewer, "Layers", "Annotate", ANNOTATOR)
    (widget,) = docked(viewer, AnnotatorWidget)
    assert widget._image.layer == viewer.layers[0]


class TestPalette:
    @pytest.fixture
    def type_command(self, viewer):
        """Open the palette by its key, type words and press Return."""

        def type_command(words):
            window = viewer.window._qt_window
            choose(viewer, "View", "Command Palette")
            (line,) = [line for line in window.findChildren(QLineEdit) if "search commands" in line.placeholderText()]
            assert line.isVisible()
            QTest.keyClicks(line, words)
            QTest.keyClick(line, Qt.Key.Key_Return)
            QApplication.processEvents()

        return type_command

    def test_words_and_return_dock_a_widget(self, viewer, image, type_command, subtests):
        for words, kind in (("segnext annotator", AnnotatorWidget), ("segnext everything", EverythingWidget)):
            with subtests.test(msg=words):
                type_command(words)
                (widget,) = docked(viewer, kind)
                assert widget._image.layer == image

    def test_words_and_return_open_the_models(self, viewer, type_command, qtbot):
        type_command("manage models")
        (dialog,) = [w for w in QApplication.topLevelWidgets() if isinstance(w, ModelsDialog) and w.isVisible()]
        qtbot.waitUntil(lambda: not working_threads(), timeout=TIMEOUT_MS)
        dialog.reject()


def test_npe2_validate():
    done = CliRunner().invoke(npe2_app, ["validate", str(MANIFEST), "--imports"])
    assert done.exit_code == 0, done.output
    assert "'SegNext' valid" in done.output


def test_what_is_set_on_our_page_of_the_preferences_the_next_widget_heeds(plugin_settings, viewer, image):
    choose(viewer, "File", "Preferences")
    (dialog,) = [
        window
        for window in QApplication.topLevelWidgets()
        if "Preferences" in window.windowTitle() and window.isVisible()
    ]
    (names,) = [names for names in dialog.findChildren(QListWidget) if names.findItems("SegNext", EXACTLY)]
    (ours,) = names.findItems("SegNext", EXACTLY)
    names.scrollToItem(ours)
    QTest.mouseClick(names.viewport(), Qt.MouseButton.LeftButton, pos=names.visualItemRect(ours).center())
    (device,) = [picker for picker in dialog.findChildren(QComboBox) if picker.findText("mps") >= 0]
    assert device.isVisible()
    QTest.keyClick(device, Qt.Key.Key_Down)
    assert device.currentText() == "cpu"
    dialog.hide()  # napari heeds it at once; OK writes a file, which these tests have not
    choose(viewer, "Layers", "Segment", ANNOTATOR)
    (widget,) = docked(viewer, AnnotatorWidget)
    assert widget._device.currentText() == "cpu"
