"""Propagation and review in a real window, with real mouse and key events.

Two bright tubes run through 16 sections of 60 × 80 pixels: object 1 through sections 2 to 11, object 2 through all.
"""

from __future__ import annotations

import threading

import numpy as np
import pytest

pytest.importorskip("napari")

from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox

from napari_segnext import load_model
from napari_segnext.annotator.review import ReviewState
from napari_segnext.propagation import StopRules
from tests.annotator.test_propagating import ONE, TUBES, TWO, middle_of
from tests.propagation.conftest import BrightPartsModel
from tests.widgets.test_keyboard import controls_of, tab_round, unfold

pytestmark = pytest.mark.gui


class SteppedModel(BrightPartsModel):
    """Waits before each answer while it has to, and notes on which threads it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.n_free: int | None = None
        self.threads: set[str] = set()
        self._changed = threading.Condition()

    def predict_logits(self, embedding, clicks, previous_masks):
        self.threads.add(threading.current_thread().name)
        with self._changed:
            self._changed.wait_for(lambda: self.n_free is None or self.n_free > 0)
            if self.n_free is not None:
                self.n_free -= 1
        return super().predict_logits(embedding, clicks, previous_masks)

    def let(self, n_free: int | None) -> None:
        """Give so many answers, or all from now on."""
        with self._changed:
            self.n_free = n_free
            self._changed.notify_all()


class Desk:
    """A scene on the tubes with the section *Propagate* unfolded."""

    def __init__(self, scene, model) -> None:
        from qtpy.QtWidgets import QToolButton

        self.scene, self.model = scene, model
        scene.widget._load_model = lambda name, device: model
        scene.start()
        for button in scene.widget.findChildren(QToolButton):
            if button.text() == "Propagate":
                button.setChecked(True)
        scene._qtbot.wait(50)

    @property
    def annotator(self):
        return self.scene.annotator

    @property
    def panel(self):
        return self.scene.widget._propagate_panel

    @property
    def strip(self):
        return self.panel.dock.strip

    @property
    def labels(self):
        return self.annotator.layers.output.data

    def show(self, z: int) -> None:
        self.scene.viewer.dims.set_current_step(0, z)
        self.scene.settle()

    def annotate(self, label: int, z: int) -> None:
        """By mouse and keys, as a user does."""
        self.show(z)
        table = self.scene.widget._objects_table
        if label in self.annotator.objects:
            table.select(label)
            self.scene.press(table.buttons["continue"])
        self.scene.hand.click(middle_of(label, z))
        self.scene.settle()
        self.scene.hand.key("N")
        self.scene.settle()
        assert (self.labels[z] == label).any(), self.scene.status

    def wait_for_end(self) -> None:
        self.scene.wait_until(lambda: not self.annotator.propagation.is_running)
        self.scene.settle()

    def propagate(self) -> None:
        self.scene.press(self.panel.propagate_button)
        self.wait_for_end()

    def click_strip(self, row: int, index: int) -> None:
        from qtpy.QtCore import Qt

        place = self.strip.cell_rect(row, index).center().toPoint()
        self.scene._qtbot.mouseClick(self.strip.viewport(), Qt.MouseButton.LeftButton, pos=place)
        self.scene.settle()

    def states(self, label: int) -> dict[int, ReviewState]:
        line = self.annotator.line()
        return {line.index_of(shown): one.state for shown, one in self.annotator.review.of(label).items()}

    def sections(self, label: int) -> list[int]:
        return [int(z) for z in np.flatnonzero((self.labels == label).any(axis=(1, 2)))]


@pytest.fixture
def desk(make_scene):
    model = SteppedModel()
    yield Desk(make_scene(TUBES), model)
    model.let(None)


def test_two_slices_are_propagated_cancelled_resumed_corrected_undone_and_redone(desk):
    scene, panel = desk.scene, desk.panel
    desk.annotate(1, 4)
    desk.annotate(1, 8)
    annotated = desk.labels.copy()

    # propagate, and cancel in the middle
    desk.model.let(0)
    scene.press(panel.propagate_button)
    while len(desk.sections(1)) < 4:
        desk.model.let(1)
        scene.wait_until(lambda: desk.model.n_free == 0)
        scene._qtbot.wait(30)
    assert not panel.propagate_button.isEnabled()
    scene.wait_until(lambda: "Opening slice" in panel.status.text())
    assert panel.bar.maximum() > panel.bar.value() > 0
    scene.press(panel.cancel_button)
    assert "Cancelling" in panel.status.text()
    desk.model.let(None)
    desk.wait_for_end()
    assert panel.status.text().startswith("Cancelled: propagated 1 object")
    part = desk.sections(1)
    assert 4 in part and 8 in part and len(part) < 10

    # what was done is kept, and is taken back as one
    scene.hand.key("U")
    scene.settle()
    np.testing.assert_array_equal(desk.labels, annotated)
    scene.hand.key("U", "shift")
    scene.settle()
    assert desk.sections(1) == part

    # resume
    desk.propagate()
    np.testing.assert_array_equal(desk.labels == 1, ONE)
    assert "Object 1 ended at slice 12: nothing was found." in panel.status.text()
    assert "Opening" not in panel.status.text()

    # the next doubtful slice, by key
    desk.show(9)
    scene.hand.key("J")
    scene.settle()
    assert scene.viewer.dims.current_step[0] == 12
    assert "not carried on, since nothing was found" in panel.dock.words.text()
    assert desk.strip.index == 12

    # correct a slice with a click, and do again what that concerns
    whole, notes = desk.labels.copy(), dict(desk.annotator.review.of(1))
    desk.show(6)
    assert scene.widget._objects_table.selected_labels == [1]
    scene.hand.key("J", "shift")
    scene.settle()
    scene.hand.click((20, 24), "shift")
    scene.settle()
    scene.hand.key("N")
    scene.settle()
    assert 6 not in desk.states(1)
    desk.propagate()
    line = desk.annotator.line()
    again = {line.index_of(shown) for shown, one in desk.annotator.review.of(1).items() if notes.get(shown) != one}
    assert again == {5, 7}

    # undo and redo cover the run
    after = desk.labels.copy()
    assert desk.annotator.undo_text == "propagate object 1"
    scene.press(scene.widget._undo_button)
    scene.settle()
    scene.hand.key("U")  # the correction
    scene.hand.key("U")  # its click
    scene.hand.key("U")  # reopening
    scene.settle()
    np.testing.assert_array_equal(desk.labels, whole)
    assert dict(desk.annotator.review.of(1)) == notes
    for _ in range(4):
        scene.hand.key("U", "shift")
        scene.settle()
    np.testing.assert_array_equal(desk.labels, after)
    assert desk.model.threads == {"napari-segnext"}


def test_a_click_on_the_strip_goes_there_and_selects_the_object(desk):
    desk.annotate(1, 4)
    desk.annotate(2, 4)
    desk.propagate()
    np.testing.assert_array_equal(desk.labels, np.where(ONE, 1, np.where(TWO, 2, 0)))
    desk.click_strip(1, 9)
    assert desk.scene.viewer.dims.current_step[0] == 9
    assert desk.annotator.layers.output.selected_label == 2
    assert desk.panel.dock.words.text().startswith("Object 2, slice 9: propagated beyond the last annotated slice")
    desk.click_strip(0, 4)
    assert desk.annotator.layers.output.selected_label == 1
    assert desk.panel.dock.words.text() == "Object 1, slice 4: annotated."


def test_arrow_keys_go_through_the_strip(desk, qtbot):
    from qtpy.QtCore import Qt

    desk.annotate(1, 4)
    desk.annotate(2, 4)
    desk.propagate()
    desk.click_strip(0, 4)
    places = [
        (Qt.Key.Key_Right, 1, 5), (Qt.Key.Key_Down, 2, 5), (Qt.Key.Key_End, 2, 15), (Qt.Key.Key_Right, 2, 15),
        (Qt.Key.Key_Up, 1, 15), (Qt.Key.Key_Home, 1, 0), (Qt.Key.Key_Left, 1, 0),
    ]  # fmt: skip
    for key, label, index in places:
        qtbot.keyClick(desk.strip, key)
        desk.scene.settle()
        assert (desk.annotator.layers.output.selected_label, desk.strip.index) == (label, index)
        assert desk.scene.viewer.dims.current_step[0] == index


def test_a_slice_that_was_looked_at_is_accepted_by_key_and_shown_so(desk):
    desk.annotate(1, 4)
    desk.propagate()
    desk.click_strip(0, 7)
    desk.scene.hand.key("Y")
    desk.scene.settle()
    assert desk.states(1)[7] is ReviewState.ACCEPTED
    assert "looked at and accepted" in desk.strip.words
    desk.scene.hand.key("U")
    desk.scene.settle()
    assert desk.states(1)[7] is ReviewState.BEYOND


def test_a_stroke_of_the_mouse_is_marked_and_kept(desk):
    desk.annotate(1, 4)
    desk.propagate()
    desk.show(9)
    output = desk.annotator.layers.output
    desk.scene.viewer.layers.selection.active = output
    output.selected_label, output.brush_size, output.mode = 1, 4, "paint"
    desk.scene.hand.drag((50, 10), (50, 30))
    desk.scene.settle()
    assert desk.states(1)[9] is ReviewState.EDITED
    painted = desk.labels[9].copy()
    desk.propagate()
    np.testing.assert_array_equal(desk.labels[9], painted)
    desk.strip.mark_current(9, 1)
    assert "edited by hand" in desk.strip.words


def test_a_click_is_answered_while_objects_are_propagated(desk):
    desk.annotate(1, 4)
    desk.model.let(2)
    desk.scene.press(desk.panel.propagate_button)
    desk.scene.wait_until(lambda: desk.model.n_free == 0)
    assert desk.annotator.propagation.is_running
    desk.scene.hand.click(middle_of(2, 4))
    desk.model.let(None)
    desk.wait_for_end()
    desk.scene.wait_until(lambda: desk.annotator.mask is not None)
    np.testing.assert_array_equal(desk.annotator.mask, TWO[4])
    np.testing.assert_array_equal(desk.labels == 1, ONE)


def test_the_key_that_stops_ends_a_run(desk):
    desk.annotate(1, 4)
    desk.model.let(2)
    desk.scene.press(desk.panel.propagate_button)
    desk.scene.wait_until(lambda: desk.model.n_free == 0)
    desk.scene.hand.key("H")
    desk.model.let(None)
    desk.wait_for_end()
    assert "Cancelled" in desk.panel.status.text()


def test_ending_the_annotation_in_the_middle_leaves_nothing_behind(desk):
    desk.annotate(1, 4)
    desk.model.let(2)
    desk.scene.press(desk.panel.propagate_button)
    desk.scene.wait_until(lambda: desk.model.n_free == 0)
    desk.scene.press(desk.scene.widget._start_button)
    desk.model.let(None)
    desk.scene.end_slowly()
    assert desk.annotator is None
    assert desk.panel.dock is None
    assert not desk.panel.body.isEnabled()


def test_commands_of_the_palette_act_on_the_annotation(desk):
    from napari_segnext.widgets import propagate_objects, show_next_doubtful

    desk.annotate(1, 4)
    propagate_objects()
    desk.wait_for_end()
    np.testing.assert_array_equal(desk.labels == 1, ONE)
    show_next_doubtful()
    desk.scene.settle()
    assert desk.scene.viewer.dims.current_step[0] == 12


class TestPanel:
    def test_tab_goes_through_all_of_it(self, desk):
        desk.annotate(1, 4)
        desk.propagate()
        unfold(desk.scene.widget)
        desk.scene._qtbot.wait(50)
        missed = controls_of(desk.panel) - set(tab_round(desk.panel.objects))
        assert [control.toolTip() or control for control in missed] == []
        controls = desk.panel.findChildren((QComboBox, QAbstractButton, QAbstractSpinBox))
        assert [control for control in controls if not control.toolTip()] == []

    def test_the_user_may_close_the_dock(self, desk):
        desk.annotate(1, 4)
        desk.propagate()
        desk.panel._dock_frame.destroyOnClose()
        desk.scene.settle()
        desk.scene.wait_until(lambda: desk.panel.dock is None)
        assert not desk.panel.strip_box.isChecked()
        desk.show(6)
        desk.panel.strip_box.setChecked(True)
        assert desk.strip.index == 6

    def test_says_why_a_plane_cannot_be_propagated(self, make_scene):
        desk = Desk(make_scene(TUBES[4]), SteppedModel())
        assert not desk.panel.body.isEnabled()
        assert "third axis" in desk.panel.status.text()

    def test_says_what_to_do_without_an_object(self, desk):
        desk.scene.press(desk.panel.propagate_button)
        assert "no unlocked object is annotated" in desk.scene.status.lower()

    def test_the_form_has_the_rules_that_hold_by_default(self, desk):
        assert desk.panel.stop_rules.rules == StopRules()

    def test_range_direction_rules_and_selection_are_followed(self, desk):
        desk.annotate(1, 4)
        desk.annotate(2, 8)
        desk.scene.widget._objects_table.select(2)
        panel = desk.panel
        panel.objects.setCurrentIndex(1)
        panel.direction.setCurrentText("upwards")
        panel.last.setValue(12)
        desk.propagate()
        assert desk.sections(1) == [4]
        assert desk.sections(2) == [8, 9, 10, 11, 12]
        panel.stop_rules.limits["min_area"].setValue(100_000)
        desk.propagate()
        assert desk.sections(2) == [8]
        assert "too small" in panel.status.text()

    def test_offers_the_axes_of_a_series(self, make_scene):
        series = np.repeat(TUBES[:, None], 3, axis=1)
        desk = Desk(make_scene(series), SteppedModel())
        assert [desk.panel.along.itemData(row) for row in range(desk.panel.along.count())] == [0, 1]
        assert desk.panel.last.value() == 2
        desk.panel.along.setCurrentIndex(0)
        assert desk.panel.last.value() == 15
        assert desk.annotator.line().axis == 0

    def test_the_strip_can_be_closed_and_shown_again(self, desk):
        desk.annotate(1, 4)
        desk.propagate()
        assert desk.panel.strip_box.isChecked()
        desk.panel.strip_box.setChecked(False)
        assert desk.panel.dock is None
        desk.panel.strip_box.setChecked(True)
        assert desk.strip.table.labels == (1,)


def test_a_large_strip_is_quick(desk, qtbot):
    """2000 slices × 50 objects: painting, a change, and a step each take little."""
    import time

    from napari_segnext.annotator.coordinates import ShownSlice
    from napari_segnext.annotator.objects import ObjectRecords
    from napari_segnext.annotator.review import Review, ReviewedSlice
    from napari_segnext.annotator.review_table import ReviewTable
    from napari_segnext.annotator.slice_line import SliceLine
    from napari_segnext.widgets.review_marks import Theme
    from napari_segnext.widgets.review_strip import ReviewStrip

    line = SliceLine(0, ShownSlice((1, 2), (0,), (64, 64)), 2000)
    rng = np.random.default_rng(0)
    marks = (None, ReviewState.EDITED, ReviewState.ACCEPTED)
    notes = {
        label: {
            line.at(z): ReviewedSlice(ReviewState.BETWEEN, float(rng.random()), mark=marks[int(rng.integers(0, 3))])
            for z in range(2000)
        }
        for label in range(1, 51)
    }
    review = Review()
    review.replace_all(notes)
    strip = ReviewStrip(desk.scene.widget)
    strip.resize(1500, 300)
    table = ReviewTable(line, review.labels, review, ObjectRecords())
    strip.show_table(table, Theme.of(desk.scene.viewer), lambda label: None)
    began = time.perf_counter()
    for index in range(0, 2000, 100):
        strip.mark_current(index, 1 + index % 50)
        strip.grab()
    assert (time.perf_counter() - began) / 20 < 0.1
    began = time.perf_counter()
    assert strip.take_in([(25, line.at(1000))])
    assert time.perf_counter() - began < 0.02


def test_with_the_bundled_model(make_scene):
    noisy = TUBES + np.random.default_rng(0).integers(0, 25, TUBES.shape).astype(np.uint8)
    desk = Desk(make_scene(noisy), load_model("segnext-tiny", device="cpu"))
    desk.annotate(1, 5)
    desk.annotate(1, 9)
    desk.propagate()
    found = desk.labels == 1
    overlap = (found & ONE).sum() / (found | ONE).sum()
    assert overlap > 0.8
    desk.scene.hand.key("U")
    desk.scene.settle()
    assert desk.sections(1) == [5, 9]
