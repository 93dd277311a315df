"""The widget without a mouse, and on a small screen."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("napari")

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QScrollArea, QToolButton, QWidget

from napari_segnext.widgets import EverythingWidget

pytestmark = pytest.mark.gui

DISK = 13
SMALL_PX = 400


def tab_round(first, *, is_back=False) -> list[QWidget]:
    """What gets the focus when Tab is pressed from a control on, once round the widget that the control lies in."""
    area = first
    while not isinstance(area, QScrollArea):
        area = area.parentWidget()
    window = first.window()
    first.setFocus()
    visited = [first]
    for _ in range(300):
        QTest.keyClick(window.focusWidget(), Qt.Key.Key_Backtab if is_back else Qt.Key.Key_Tab)
        focused = window.focusWidget()
        if focused is first:
            return visited
        if area.isAncestorOf(focused):
            visited.append(focused)
    raise AssertionError(f"the focus is caught in {visited[-1]}")


def controls_of(widget) -> set[QWidget]:
    """Whatever is shown, can be used and takes the focus by Tab."""
    found = set()
    for control in widget.findChildren(QWidget):
        takes_tab = bool(control.focusPolicy().value & Qt.FocusPolicy.TabFocus.value)
        if takes_tab and control.isVisible() and control.isEnabled() and control.focusProxy() is None:
            found.add(control)
    return found


def unfold(widget):
    for button in widget.findChildren(QToolButton):
        if button.isCheckable() and button.isEnabled() and not button.isChecked():
            button.setFocus()
            QTest.keyClick(button, Qt.Key.Key_Space)
            assert button.isChecked()


@pytest.fixture
def unfolded(scene):
    """With an accepted object and a click, every part of the widget unfolded by keys."""
    scene.hand.click((20, 30))
    scene.settle()
    scene.hand.key("N")
    scene.settle()
    scene.hand.click((60, 70))
    scene.settle()
    unfold(scene.widget)
    QApplication.processEvents()
    return scene


class TestTab:
    def test_it_goes_through_every_control_and_back(self, unfolded):
        widget = unfolded.widget
        visited = tab_round(widget._image)
        missed = controls_of(widget) - set(visited)
        assert [control.toolTip() or control for control in missed] == []
        assert set(tab_round(widget._image, is_back=True)) == set(visited)

    def test_it_goes_from_top_to_bottom(self, unfolded):
        widget = unfolded.widget
        content = widget.findChild(QScrollArea).widget()
        tops = [control.mapTo(content, control.rect().center()).y() for control in tab_round(widget._image)]
        assert all(later > earlier - 20 for earlier, later in pairwise(tops))

    def test_it_goes_through_segment_everything(self, make_scene):
        scene = make_scene()
        widget = EverythingWidget(scene.viewer)
        scene.viewer.window.add_dock_widget(widget, area="right")
        QApplication.processEvents()
        missed = controls_of(widget) - set(tab_round(widget._image))
        assert [control.toolTip() or control for control in missed] == []


class TestKeysAlone:
    def test_from_start_to_an_accepted_object(self, make_scene):
        scene = make_scene()
        widget = scene.widget
        widget._start_button.setFocus()
        QTest.keyClick(widget._start_button, Qt.Key.Key_Space)
        scene.settle()
        scene.annotator.layers.points.add((20, 30))  # a place on the image is the mouse's business
        scene.settle()
        widget._accept_button.setFocus()
        QTest.keyClick(widget._accept_button, Qt.Key.Key_Space)
        scene.settle()
        assert scene.layers.output.data.sum() == DISK
        widget._undo_button.setFocus()
        QTest.keyClick(widget._undo_button, Qt.Key.Key_Space)
        scene.settle()
        assert not scene.layers.output.data.any()

    def test_keys_of_the_annotator_work_while_a_button_has_the_focus(self, scene):
        scene.hand.click((20, 30))
        scene.settle()
        for button in (scene.widget._tool_buttons["click"], scene.widget._help_button):
            button.setFocus()
            QTest.keyClick(button, Qt.Key.Key_K)
            scene.settle()
            assert len(scene.annotator.prompts) == 0
            QTest.keyClick(button, Qt.Key.Key_U)
            scene.settle()
            assert len(scene.annotator.prompts) == 1

    def test_tools_and_signs(self, scene):
        widget = scene.widget
        for name, button in widget._tool_buttons.items():
            button.setFocus()
            QTest.keyClick(button, Qt.Key.Key_Space)
            assert [other for other, one in widget._tool_buttons.items() if one.isChecked()] == [name]
        for button, is_positive in ((widget._background_button, False), (widget._object_button, True)):
            button.setFocus()
            QTest.keyClick(button, Qt.Key.Key_Space)
            assert button.isChecked() and scene.annotator.is_positive is is_positive

    def test_an_object_of_the_list_is_shown_taken_up_and_deleted(self, unfolded):
        scene = unfolded
        scene.annotator.reset()
        table = scene.widget._objects_table
        scene.wait_until(lambda: len(table.model.rows) == 1)
        table.view.setFocus()
        scene.viewer.camera.center = (70, 90)
        QTest.keyClick(table.view, Qt.Key.Key_Home)
        QTest.keyClick(table.view, Qt.Key.Key_Down)
        QTest.keyClick(table.view, Qt.Key.Key_Return)
        np.testing.assert_allclose(scene.viewer.camera.center[-2:], (20, 30), atol=2)
        for name in ("reopen", "delete"):
            table.buttons[name].setFocus()
            QTest.keyClick(table.buttons[name], Qt.Key.Key_Space)
            scene.settle()
            if name == "reopen":
                assert scene.annotator.draft.label == 1
                scene.annotator.reset()
                table.select(1)
        assert not scene.layers.output.data.any()


class TestSmallScreen:
    @pytest.fixture
    def small(self, unfolded, qtbot):
        """The widget afloat and only so high."""
        dock = unfolded.widget.parentWidget()
        dock.setFloating(True)
        dock.resize(unfolded.widget.minimumWidth(), SMALL_PX)
        qtbot.wait(50)
        assert unfolded.widget.height() <= SMALL_PX
        return unfolded

    def test_it_scrolls_and_nothing_is_cut_off_at_the_side(self, small):
        area = small.widget.findChild(QScrollArea)
        assert area.verticalScrollBar().maximum() > 0
        assert area.widget().width() <= area.viewport().width()
        right = area.widget().width()
        cut = [
            control.toolTip()
            for control in controls_of(area.widget())
            if control.mapTo(area.widget(), control.rect().bottomRight()).x() > right
        ]
        assert cut == []

    def test_whatever_gets_the_focus_is_scrolled_into_sight(self, small):
        widget = small.widget
        area = widget.findChild(QScrollArea)
        first = widget._image
        first.setFocus()
        for _ in range(len(controls_of(widget))):
            QTest.keyClick(widget.window().focusWidget(), Qt.Key.Key_Tab)
            focused = widget.window().focusWidget()
            if focused is first or not area.isAncestorOf(focused):
                break
            assert not focused.visibleRegion().isEmpty(), focused.toolTip()

    def test_the_last_button_can_be_pressed(self, small):
        area = small.widget.findChild(QScrollArea)
        area.verticalScrollBar().setValue(area.verticalScrollBar().maximum())
        button = small.widget.propagate_panel.strip_box
        assert button.visibleRegion().contains(button.rect().center())
