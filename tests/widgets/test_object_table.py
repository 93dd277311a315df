"""The table of objects, with real clicks and keys."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtGui import QContextMenuEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QInputDialog, QLineEdit

from napari_segnext.prompts import Click

pytestmark = pytest.mark.gui


PLACES = ((20, 20), (20, 50), (50, 20))


def accept_at(scene, place):
    scene.annotator.use_tool("click")
    scene.hand.click(place)
    scene.settle()
    scene.hand.key("N")
    scene.settle()


def accept_three(scene):
    """Objects 1, 2 and 3, accepted and measured."""
    for place in PLACES:
        accept_at(scene, place)
    table = scene.widget._objects_table
    scene.wait_until(lambda: [row.size for row in table.model.rows] == ["13 px"] * 3)


@pytest.fixture
def table(scene):
    """With three accepted and measured objects."""
    accept_three(scene)
    return scene.widget._objects_table


def click_row(table, row, column=1, *, is_double=False, is_added=False):
    table.view.scrollTo(table.model.index(row, column))
    place = table.view.visualRect(table.model.index(row, column)).center()
    modifier = Qt.KeyboardModifier.ControlModifier if is_added else Qt.KeyboardModifier.NoModifier
    QTest.mouseClick(table.view.viewport(), Qt.MouseButton.LeftButton, modifier, place)
    if is_double:
        QTest.mouseDClick(table.view.viewport(), Qt.MouseButton.LeftButton, modifier, place)


def open_cell(table, row, column):
    """The line to type into, opened by F2, or by the click if the row was selected before."""
    click_row(table, row, column)
    QTest.keyClick(table.view, Qt.Key.Key_F2)
    if table.view.findChild(QLineEdit) is None:
        QTest.qWait(QApplication.doubleClickInterval() + 100)
    return table.view.findChild(QLineEdit)


def type_into(table, row, column, text):
    editor = open_cell(table, row, column)
    editor.selectAll()
    QTest.keyClicks(editor, text)
    press_return(editor)


def press_return(editor):
    QTest.keyClick(editor, Qt.Key.Key_Return)
    # Qt commits once the event is done
    QApplication.processEvents()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def choose_from_menu(table, row, title):
    """Right click on a row, then click on an entry of the menu that opens."""

    def choose():
        menu = QApplication.activePopupWidget()
        action = next(action for action in menu.actions() if action.text() == title)
        QTest.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(action).center())

    QTimer.singleShot(300, choose)
    viewport = table.view.viewport()
    place = table.view.visualRect(table.model.index(row, 1)).center()
    event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, place, viewport.mapToGlobal(place))
    QApplication.sendEvent(viewport, event)


def enabled_buttons(table):
    return {name for name, button in table.buttons.items() if button.isEnabled()}


def labels_in(scene):
    return np.unique(scene.layers.output.data).tolist()


def test_objects_are_listed_with_size_and_state(table, scene):
    assert [(row.label, row.n_prompts, row.state) for row in table.model.rows] == [
        (n, 1, "accepted") for n in (1, 2, 3)
    ]
    assert list(scene.layers.output.features["index"]) == [1, 2, 3]


def test_click_shows_the_object(table, scene):
    click_row(table, 2)
    np.testing.assert_allclose(scene.viewer.camera.center[-2:], (50, 20), atol=2)


def test_double_click_takes_it_up_again_and_accept_changes_it(table, scene):
    click_row(table, 1, column=4, is_double=True)
    scene.settle()
    assert [type(prompt) for prompt in scene.annotator.prompts] == [Click]
    assert table.model.rows[1].state == "draft"
    scene.annotator.use_tool("click")
    scene.hand.click((60, 60))
    scene.settle()
    scene.hand.key("N")
    scene.settle()
    assert (scene.layers.output.data == 2).sum() == 26
    scene.wait_until(lambda: table.model.rows[1].size == "26 px")


def test_cells_can_be_typed_into_and_it_is_taken_back(table, scene, subtests):
    def shown(part):
        return [str(getattr(row, part)) for row in table.model.rows]

    before = table.model.rows
    for column, text, part in ((2, "big one", "name"), (3, "cell", "class_name"), (1, "77", "label")):
        with subtests.test(msg=part):
            type_into(table, 2, column, text)
            scene.wait_until(lambda part=part, text=text: shown(part)[2:] == [text])
            scene.press(scene.widget._undo_button)
            scene.wait_until(lambda part=part, text=text: text not in shown(part))
        scene.wait_until(lambda: table.model.rows == before)


def test_merge_delete_and_lock(table, scene):
    assert not table.buttons["merge"].isEnabled()
    click_row(table, 0)
    click_row(table, 1, is_added=True)
    scene.press(table.buttons["merge"])
    scene.settle()
    assert sorted(np.unique(scene.layers.output.data)) in ([0, 1, 3], [0, 2, 3])
    scene.press(scene.widget._undo_button)
    scene.settle()
    assert sorted(np.unique(scene.layers.output.data)) == [0, 1, 2, 3]

    click_row(table, 2)
    scene.press(table.buttons["lock"])
    assert table.buttons["lock"].text() == "Unlock"
    assert not table.buttons["delete"].isEnabled() and not table.buttons["reopen"].isEnabled()
    scene.press(table.buttons["lock"])
    scene.press(table.buttons["delete"])
    scene.settle()
    assert sorted(np.unique(scene.layers.output.data)) == [0, 1, 2]


def test_locked_objects_resist_the_brush(table, scene):
    click_row(table, 0)
    scene.press(table.buttons["lock"])
    output = scene.layers.output
    before = output.data.copy()
    scene.viewer.layers.selection.active = output
    output.mode, output.selected_label, output.brush_size = "paint", 9, 4
    scene.hand.drag((20, 17), (20, 23))
    scene.settle()
    np.testing.assert_array_equal(output.data == 1, before == 1)
    assert "locked" in scene.status


def test_ctrl_z_takes_a_stroke_on_the_objects_back_and_then_the_accept(scene, table):
    before = scene.layers.output.data.copy()
    scene.hand.click((60, 60))
    scene.settle()
    scene.hand.key("N")
    scene.settle()
    output = scene.layers.output
    accepted = output.data.copy()
    scene.viewer.layers.selection.active = output
    output.mode, output.selected_label, output.brush_size = "paint", 9, 4
    scene.hand.drag((60, 17), (60, 43))
    scene.settle()
    painted = output.data.copy()
    assert (painted == 9).sum() > 40
    scene.hand.key("Z", "control")
    scene.settle()
    np.testing.assert_array_equal(output.data, accepted)
    scene.hand.key("Z", "control", "shift")
    scene.settle()
    np.testing.assert_array_equal(output.data, painted)
    for _ in range(2):
        scene.hand.key("Z", "control")
        scene.settle()
    np.testing.assert_array_equal(output.data, before)
    assert len(scene.annotator.prompts) == 1


@pytest.mark.parametrize("how", ["paint", "erase", "fill"])
def test_ctrl_z_after_the_brush_leaves_locked_objects(table, scene, how):
    click_row(table, 0)
    scene.press(table.buttons["lock"])
    output = scene.layers.output
    before = output.data.copy()
    scene.viewer.layers.selection.active = output
    output.mode, output.selected_label, output.brush_size = how, 9, 4
    if how == "fill":
        scene.hand.click((20, 20))
    else:
        scene.hand.drag((20, 20), (20, 28))
    scene.settle()
    for modifiers in (("control",), ("control", "shift"), ("control",)):
        scene.hand.key("Z", *modifiers)
        scene.settle()
        np.testing.assert_array_equal(output.data == 1, before == 1)
    if how != "fill":
        np.testing.assert_array_equal(output.data, before)


def test_rows_come_with_accepts_and_sizes_follow(scene):
    table = scene.widget._objects_table
    assert table.model.rows == ()
    assert enabled_buttons(table) == set()
    accept_at(scene, (20, 20))
    assert [row.label for row in table.model.rows] == [1]
    scene.wait_until(lambda: table.model.rows[0].size == "13 px")
    assert table.buttons["csv"].isEnabled()
    scene.viewer.layers.selection.active = scene.layers.output
    scene.layers.output.mode, scene.layers.output.selected_label = "paint", 40
    scene.hand.click((50, 50))
    scene.wait_until(lambda: [row.label for row in table.model.rows] == [1, 40])


def test_click_goes_to_the_slice_of_the_object(make_scene):
    scene = make_scene(np.zeros((4, 80, 100), np.uint8))
    scene.viewer.dims.set_current_step(0, 1)
    scene.start()
    accept_at(scene, (60, 80))
    scene.viewer.dims.set_current_step(0, 3)
    scene.viewer.camera.center = (10, 10)
    click_row(scene.widget._objects_table, 0)
    assert scene.viewer.dims.current_step[0] == 1
    np.testing.assert_allclose(scene.viewer.camera.center[-2:], (60, 80), atol=2)


class TestReopen:
    def test_by_button_and_undo_goes_back(self, table, scene):
        click_row(table, 2)
        scene.press(table.buttons["reopen"])
        scene.settle()
        (click,) = scene.annotator.prompts
        assert abs(click.row - 50) < 1 and abs(click.column - 20) < 1
        scene.hand.key("U")
        scene.settle()
        assert [row.state for row in table.model.rows] == ["accepted"] * 3
        assert len(scene.annotator.prompts) == 0

    def test_prompts_that_were_not_accepted_are_in_the_way(self, table, scene):
        scene.hand.click((60, 80))
        scene.settle()
        click_row(table, 0, column=4, is_double=True)
        assert "accept or reset them first" in scene.status
        assert len(scene.annotator.prompts) == 1

    def test_a_locked_one_is_refused_in_a_sentence(self, table, scene):
        click_row(table, 0)
        scene.press(table.buttons["lock"])
        click_row(table, 0, column=4, is_double=True)
        assert scene.status == "⚠ Object 1 is locked; unlock it first."

    def test_an_object_goes_on_on_another_slice(self, make_scene):
        scene = make_scene(np.zeros((4, 80, 100), np.uint8))
        scene.viewer.dims.set_current_step(0, 0)
        scene.start()
        accept_at(scene, (20, 30))
        table = scene.widget._objects_table
        click_row(table, 0)
        scene.viewer.dims.set_current_step(0, 1)
        scene.settle()
        scene.press(table.buttons["continue"])
        accept_at(scene, (22, 32))
        assert [int((plane == 1).sum()) for plane in scene.layers.output.data] == [13, 13, 0, 0]
        assert len(table.model.rows) == 1


class TestTyping:
    def test_letters_that_are_keys_do_nothing_else(self, table, scene):
        before = scene.layers.output.data.copy()
        scene.hand.click((60, 80))
        scene.settle()
        type_into(table, 0, 2, "NUKe WQH")
        scene.settle()
        assert table.model.rows[0].name == "NUKe WQH"
        assert len(scene.annotator.prompts) == 1 and scene.annotator.is_positive
        np.testing.assert_array_equal(scene.layers.output.data, before)

    def test_a_row_that_changes_meanwhile_does_not_close_the_cell(self, table, scene):
        editor = open_cell(table, 1, 2)
        QTest.keyClicks(editor, "half")
        scene.layers.output.data_setitem((np.array([70]), np.array([90])), 1)
        scene.annotator.layers.points.add((60, 80))
        scene.settle()
        scene.annotator.accept()
        scene.wait_until(lambda: len(table.model.rows) == 4 and table.model.rows[0].size == "14 px")
        QTest.keyClicks(editor, " a name")
        press_return(editor)
        assert [row.name for row in table.model.rows] == ["", "half a name", "", ""]

    def test_escape_leaves_the_name(self, table, scene):
        editor = open_cell(table, 1, 2)
        QTest.keyClicks(editor, "no")
        QTest.keyClick(editor, Qt.Key.Key_Escape)
        assert table.model.rows[1].name == ""
        assert "rename" not in scene.annotator.undo_text

    def test_labels_that_cannot_be_are_told(self, table, scene, subtests):
        for text, words in (("2", "abel 2 is in use"), ("0", "new label is 0"), ("-3", "new label is -3")):
            with subtests.test(msg=text):
                scene.widget._tell("")
                type_into(table, 0, 1, text)
                assert words in scene.status
                assert labels_in(scene) == [0, 1, 2, 3]

    def test_a_locked_object_can_be_named_but_not_relabelled(self, table, scene):
        click_row(table, 0)
        scene.press(table.buttons["lock"])
        type_into(table, 0, 2, "kept")
        assert table.model.rows[0].name == "kept"
        type_into(table, 0, 1, "8")
        assert "is locked" in scene.status
        assert labels_in(scene) == [0, 1, 2, 3]


class TestButtons:
    def test_what_can_be_done_depends_on_what_is_selected(self, table, scene):
        table.view.clearSelection()
        assert enabled_buttons(table) == {"csv"}
        click_row(table, 0)
        assert enabled_buttons(table) == {"reopen", "continue", "lock", "delete", "csv"}
        click_row(table, 1, is_added=True)
        assert enabled_buttons(table) == {"lock", "merge", "delete", "csv"}
        scene.press(table.buttons["lock"])
        assert enabled_buttons(table) == {"lock", "csv"}

    def test_several_are_locked_and_unlocked_together(self, table, scene):
        click_row(table, 0)
        click_row(table, 2, is_added=True)
        scene.press(table.buttons["lock"])
        assert [row.state for row in table.model.rows] == ["locked", "accepted", "locked"]
        assert sorted(table.selected_labels) == [1, 3]
        scene.press(table.buttons["lock"])
        assert [row.state for row in table.model.rows] == ["accepted"] * 3

    def test_merged_objects_keep_the_label_of_the_current_row(self, table, scene):
        click_row(table, 0)
        click_row(table, 2, is_added=True)
        scene.press(table.buttons["merge"])
        assert labels_in(scene) == [0, 2, 3]
        assert (scene.layers.output.data == 3).sum() == 26
        scene.wait_until(lambda: [row.size for row in table.model.rows] == ["13 px", "26 px"])

    def test_key_u_takes_it_back(self, table, scene, subtests):
        before, rows = scene.layers.output.data.copy(), table.model.rows
        for name, left in (
            ("lock", ["locked", "locked", "accepted"]),
            ("merge", ["accepted"] * 2),
            ("delete", ["accepted"]),
        ):
            with subtests.test(msg=name):
                click_row(table, 0)
                click_row(table, 1, is_added=True)
                scene.press(table.buttons[name])
                scene.settle()
                assert table.model.rows != rows
                scene.hand.key("U")
                scene.settle()
                np.testing.assert_array_equal(scene.layers.output.data, before)
                scene.wait_until(lambda: table.model.rows == rows)
                scene.hand.key("U", "shift")
                scene.settle()
                # what is left is known once it is measured
                scene.wait_until(lambda left=left: [row.state for row in table.model.rows] == left)
            scene.hand.key("U")
            scene.settle()
            scene.wait_until(lambda: table.model.rows == rows)


class TestMenu:
    def test_does_what_the_buttons_do(self, table, scene):
        click_row(table, 1)
        choose_from_menu(table, 1, "Delete")
        assert labels_in(scene) == [0, 1, 3]

    def test_classifies_all_that_are_selected(self, table, monkeypatch):
        monkeypatch.setattr(QInputDialog, "getText", lambda *_: (" cell ", True))
        click_row(table, 0)
        click_row(table, 2, is_added=True)
        choose_from_menu(table, 2, "Class of all selected…")
        assert [row.class_name for row in table.model.rows] == ["cell", "", "cell"]


class TestUndoOfNapari:
    """Napari takes back what was written into the pixels, whoever wrote it; ours then finds them changed."""

    @pytest.fixture
    def press(self, table, scene):
        """Keys, one after the other; "Z" is no key, but a script that calls napari's own undo ("^Z": redo)."""
        output = scene.viewer.layers.selection.active = scene.layers.output

        def press(*keys):
            for key in keys:
                if "Z" in key:
                    (output.redo if "^" in key else output.undo)()
                else:
                    scene.hand.key(key.lstrip("^"), *(("shift",) if "^" in key else ()))
                scene.settle()

        return press

    @pytest.mark.parametrize(
        "keys",
        [
            ("Z", "U"),
            ("U", "Z"),
            ("Z", "U", "^Z", "U"),
            ("Z", "U", "^U", "^Z"),
            ("U", "U", "Z", "Z", "^U"),
            ("Z", "Z", "U", "^Z", "^U", "U"),
        ],
        ids=" ".join,
    )
    def test_no_order_of_keys_harms_other_objects(self, table, scene, press, keys):
        disks = {label: scene.layers.output.data == label for label in (1, 2, 3)}
        press(*keys)
        for label, disk in disks.items():
            # each disk is there or not, whole, and holds no other label
            assert np.unique(scene.layers.output.data[disk]).tolist() in ([0], [label])
        assert set(labels_in(scene)) <= {0, 1, 2, 3}

    def test_after_a_merge(self, table, scene, press):
        before = scene.layers.output.data.copy()
        click_row(table, 0)
        click_row(table, 1, is_added=True)
        scene.press(table.buttons["merge"])
        scene.settle()
        press("Z", "U")
        np.testing.assert_array_equal(scene.layers.output.data, before)

    def test_painting_between_stays(self, table, scene, press):
        output = scene.layers.output
        output.mode, output.selected_label, output.brush_size = "paint", 3, 1
        scene.hand.click((20, 50))
        scene.settle()
        assert output.data[20, 50] == 3
        press("U")
        assert np.unique(output.data[18:23, 48:53]).tolist() == [0, 2]
        press("^U", "Z", "U")
        assert np.unique(output.data[18:23, 48:53]).tolist() == [0, 2]


class TestMeasurements:
    def test_csv_is_written_where_the_user_says(self, table, scene, tmp_path, monkeypatch):
        path = tmp_path / "mine.csv"
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
        scene.press(table.buttons["csv"])
        with path.open() as file:
            rows = list(csv.DictReader(file))
        assert [(row["label"], row["n_pixels"]) for row in rows] == [("1", "13"), ("2", "13"), ("3", "13")]
        assert [abs(float(row["centroid_y_px"]) - place[0]) < 1 for row, place in zip(rows, PLACES, strict=True)]

    def test_a_folder_that_is_not_there_is_told(self, table, scene, tmp_path):
        table.write_csv(str(tmp_path / "nowhere" / "objects.csv"))
        assert scene.status.startswith("⚠") and "nowhere" in scene.status

    def test_features_follow(self, table, scene):
        click_row(table, 0)
        scene.press(table.buttons["delete"])
        output = scene.layers.output
        scene.wait_until(lambda: list(output.features["index"]) == [2, 3])
        assert list(output.features["n_pixels"]) == [13, 13]
        assert "mean_intensity" in output.features

    def test_sizes_are_physical_where_the_image_has_units(self, make_scene):
        scene = make_scene(scale=(0.5, 0.5), units=("um", "um"))
        scene.start()
        accept_at(scene, (20, 25))
        table = scene.widget._objects_table
        scene.wait_until(lambda: table.model.rows[0].size != "")
        assert table.model.rows[0].size == "3.25 micrometer²"


def test_csv(table, tmp_path):
    table.write_csv(str(tmp_path / "objects.csv"))
    with (tmp_path / "objects.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["1", "2", "3"]


def test_the_list_goes_with_the_annotation(table, scene):
    type_into(table, 1, 2, "second")
    scene.press(scene.widget._start_button)
    assert table.model.rows == ()
    assert enabled_buttons(table) == set()
    scene.start()
    scene.wait_until(lambda: len(table.model.rows) == 3)
    bar = scene.widget._resume_bar
    assert "3 objects" in bar._text.text()
    scene.press(bar.resume_button)
    scene.settle()
    scene.wait_until(lambda: [row.size for row in table.model.rows] == ["13 px"] * 3)
    assert [(row.name, row.n_prompts) for row in table.model.rows] == [("", 1), ("second", 1), ("", 1)]
    click_row(table, 1)
    scene.press(table.buttons["reopen"])
    scene.settle()
    assert len(scene.annotator.prompts) == 1


def test_objects_of_everything_mode_can_be_gone_on_with(make_scene):
    from napari_segnext.annotator import SliceFrame
    from napari_segnext.annotator.everything_layers import new_objects_layer

    scene = make_scene()
    image = scene.viewer.layers["cells"]
    labels = np.zeros((80, 100), np.int32)
    labels[5:9, 5:9] = 3
    layer = new_objects_layer(image, SliceFrame.of(scene.viewer, image).shown, labels)
    scene.viewer.add_layer(layer)
    scene.widget._output.pick(layer)
    scene.start()
    assert scene.layers.output is layer
    table = scene.widget._objects_table
    scene.wait_until(lambda: [row.size for row in table.model.rows] == ["16 px"])


def test_a_file_can_be_the_default_model(make_napari_viewer, qtbot, tmp_path, monkeypatch):
    from napari_segnext.annotator.preferences import Preferences
    from napari_segnext.widgets import AnnotatorWidget

    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"not looked at before Start")
    monkeypatch.setattr(
        "napari_segnext.widgets.annotator_widget.preferences_or_defaults", lambda: Preferences(default_model=str(path))
    )
    widget = AnnotatorWidget(make_napari_viewer())
    qtbot.addWidget(widget)
    assert widget.models.text == "mine.safetensors"
    assert widget.models.name == str(path)
