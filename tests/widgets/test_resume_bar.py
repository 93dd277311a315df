"""Work that is found again when the widget is opened on the same image."""

from __future__ import annotations

import numpy as np
import pytest

from napari_segnext.annotator.annotation import read_annotation

pytestmark = pytest.mark.gui


@pytest.fixture
def left_behind(scene):
    """One named object and a click, saved; the program is gone."""
    scene.hand.click((20, 30))
    scene.settle()
    scene.hand.key("N")
    scene.settle()
    scene.annotator.rename(1, "first")
    scene.annotator.use_tool("click")
    scene.hand.click((60, 70))
    scene.settle()
    bar = scene.widget._resume_bar
    bar._save_if_needed()
    folder = bar.folder
    scene.wait_until(lambda: (found := read_annotation(folder)) is not None and len(found.prompts.drafts) == 1)
    labels = scene.layers.output.data.copy()
    # as if killed: nothing of the widget is asked to save
    bar._autosave._is_closed = True
    bar._autosave = None
    scene.viewer.layers.clear()
    return labels, folder


def test_going_on_brings_everything_back(left_behind, make_scene):
    labels, _ = left_behind
    scene = make_scene()
    scene.start()
    bar = scene.widget._resume_bar
    assert bar.isVisible() and "1 objects" in bar._text.text()
    scene.press(bar.resume_button)
    scene.settle()
    np.testing.assert_array_equal(scene.layers.output.data, labels)
    assert scene.annotator.objects.get(1).name == "first"
    (click,) = scene.annotator.prompts
    assert abs(click.row - 60) < 1 and abs(click.column - 70) < 1
    assert not bar.isVisible()


@pytest.mark.parametrize("answers", [True, False], ids=["start anew", "no answer"])
def test_beginning_anew_keeps_the_old_work_aside(left_behind, make_scene, answers):
    labels, folder = left_behind
    scene = make_scene()
    scene.start()
    bar = scene.widget._resume_bar
    if answers:
        scene.press(bar.anew_button)
    scene.annotator.use_tool("click")
    scene.hand.click((40, 40))
    scene.settle()
    scene.hand.key("N")
    scene.settle()
    assert not bar.isVisible()
    (aside,) = folder.parent.glob("*.older-*")
    np.testing.assert_array_equal(read_annotation(aside).labels, labels)
    scene.wait_until(lambda: read_annotation(folder) is not None)


def test_spoiled_work_is_told_and_moved_aside(left_behind, make_scene):
    _, folder = left_behind
    (path,) = folder.glob("state-*/prompts.json")
    path.write_text("{")
    scene = make_scene()
    scene.start()
    assert not scene.widget._resume_bar.isVisible()
    assert "kept in" in scene.status
    assert len(list(folder.parent.glob("*.older-*"))) == 1


def test_a_full_disk_is_told_and_nothing_is_lost(scene, monkeypatch):
    def fill_up(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_segnext.annotator.annotation.write_prompts_file", fill_up)
    scene.hand.click((20, 30))
    scene.settle()
    scene.hand.key("N")
    scene.wait_until(lambda: "No space left" in scene.status)
    assert scene.layers.output.data.any()
    assert scene.widget._resume_bar._autosave.is_needed
