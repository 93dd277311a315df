"""The table of objects, with real clicks and keys."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLineEdit

from napari_segnext.prompts import Click

from .conftest import TIMEOUT_MS

pytestmark = pytest.mark.gui


@pytest.fixture
def table(scene):
    """With three accepted and measured objects."""
    for place in ((20, 20), (20, 50), (50, 20)):
        scene.annotator.use_tool("click")
        scene.hand.click(place)
        scene.settle()
        scene.hand.key("N")
        scene.settle()
    table = scene.widget._objects_table
    scene.wait_until(lambda: [row.size for row in table.model.rows] == ["13 px"] * 3)
    return table


def click_row(table, row, column=1, *, is_double=False):
    table.view.scrollTo(table.model.index(row, column))
    place = table.view.visualRect(table.model.index(row, column)).center()
    QTest.mouseClick(table.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    if is_double:
        QTest.mouseDClick(table.view.viewport(), Qt.MouseButton.LeftButton, pos=place)


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


@pytest.mark.parametrize(
    ("column", "text", "found"),
    [
        (2, "big one", lambda row: row.name),
        (3, "cell", lambda row: row.class_name),
        (1, "77", lambda row: str(row.label)),
    ],
    ids=["name", "class", "label"],
)
def test_cells_can_be_typed_into_and_it_is_taken_back(table, scene, column, text, found):
    click_row(table, 2, column)
    table.view.edit(table.model.index(2, column))
    editor = table.view.findChild(QLineEdit)
    editor.selectAll()
    QTest.keyClicks(editor, text)
    QTest.keyClick(editor, Qt.Key.Key_Return)
    scene.wait_until(lambda: [found(row) for row in table.model.rows][2:] == [text])
    scene.press(scene.widget._undo_button)
    scene.wait_until(lambda: text not in [found(row) for row in table.model.rows])


def test_merge_delete_and_lock(table, scene):
    assert not table.buttons["merge"].isEnabled()
    click_row(table, 0)
    index = table.view.visualRect(table.model.index(1, 1)).center()
    QTest.mouseClick(table.view.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier, index)
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


def test_csv(table, tmp_path):
    table.write_csv(str(tmp_path / "objects.csv"))
    with (tmp_path / "objects.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["1", "2", "3"]


def test_the_list_goes_with_the_annotation(table, scene, qtbot):
    scene.widget.end()
    assert table.model.rows == ()
    scene.start()
    qtbot.waitUntil(lambda: len(table.model.rows) == 3, timeout=TIMEOUT_MS)


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
        "napari_segnext.widgets.annotator_widget._preferences", lambda: Preferences(default_model=str(path))
    )
    widget = AnnotatorWidget(make_napari_viewer())
    qtbot.addWidget(widget)
    assert widget._models.currentText() == "mine.safetensors"
    assert widget._model_name() == str(path)
