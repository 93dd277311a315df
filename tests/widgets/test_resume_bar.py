"""Work that is found again when the widget is opened on the same image, also after a killed process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from napari_segnext.annotator.annotation import POINTER_NAME, read_annotation
from napari_segnext.annotator.preferences import Preferences
from napari_segnext.prompts import Click
from napari_segnext.session.cleanup import Cleanup
from tests.widgets.conftest import TIMEOUT_MS

pytestmark = pytest.mark.gui

REPOSITORY = Path(__file__).parents[2]


def accept_at(scene, place):
    scene.annotator.use_tool("click")
    scene.hand.click(place)
    scene.settle()
    scene.hand.key("N")
    scene.settle()


def saved_labels(folder):
    found = read_annotation(folder)
    return None if found is None or found.labels is None else np.unique(found.labels).tolist()


@pytest.fixture(scope="module")
def first_work(tmp_path_factory):
    """Where the work of `left_behind` is kept for the next test: labels, name of its folder, and a copy of that."""
    return {"copy": tmp_path_factory.mktemp("work") / "copy"}


@pytest.fixture
def left_behind(request, first_work, autosave_root):
    """One named object and a click, saved; the program is gone. It is done by hand once, and copied from then on."""
    if "labels" not in first_work:
        labels, folder = _annotate_and_leave(request.getfixturevalue("scene"))
        shutil.copytree(folder, first_work["copy"])
        first_work |= {"labels": labels, "name": folder.name}
    folder = autosave_root / first_work["name"]
    if not folder.exists():
        shutil.copytree(first_work["copy"], folder)
    return first_work["labels"].copy(), folder


def _annotate_and_leave(scene):
    accept_at(scene, (20, 30))
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


class TestResuming:
    def test_going_on_brings_everything_back(self, left_behind, make_scene):
        labels, _ = left_behind
        scene = make_scene()
        scene.start()
        bar = scene.widget._resume_bar
        assert bar.isVisible() and "1 object, 1 slice with unfinished work" in bar._text.text()
        scene.press(bar.resume_button)
        scene.settle()
        np.testing.assert_array_equal(scene.layers.output.data, labels)
        assert scene.annotator.objects.get(1).name == "first"
        (click,) = scene.annotator.prompts
        assert abs(click.row - 60) < 1 and abs(click.column - 70) < 1
        assert not bar.isVisible()

    def test_after_a_killed_process_everything_is_the_same(self, make_scene, tmp_path, autosave_root):
        environment = {**os.environ, "NAPARI_SEGNEXT_HOME": str(tmp_path)}
        environment["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, "-m", "tests.widgets.annotate_and_wait", str(tmp_path)]
        process = subprocess.Popen(command, env=environment, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        watch = threading.Timer(TIMEOUT_MS / 1000, process.kill)
        watch.start()
        try:
            assert any(line.strip() == "ready" for line in process.stdout), "the process ended before it was done"
        finally:
            watch.cancel()
            process.kill()
            assert process.wait() == -signal.SIGKILL
            process.stdout.close()
        assert len(list(autosave_root.iterdir())) == 1

        from tests.widgets.annotate_and_wait import STACK

        scene = make_scene(STACK)
        scene.viewer.dims.set_current_step(0, 0)
        scene.start()
        bar = scene.widget._resume_bar
        assert bar.isVisible() and "2 objects, 2 slices with unfinished work" in bar._text.text()
        scene.press(bar.resume_button)
        scene.settle()
        annotator = scene.annotator
        np.testing.assert_array_equal(scene.layers.output.data, np.load(tmp_path / "labels.npy"))
        one, other = annotator.objects
        assert (one.name, one.is_locked, other.class_name, other.is_locked) == ("first", True, "cell", False)
        assert [record.n_prompts for record in (one, other)] == [1, 1]
        scene.viewer.dims.set_current_step(0, 1)
        scene.settle()
        assert annotator.prompts.items == (Click(10, 80),)
        assert (annotator.threshold, annotator.cleanup) == (0.3, Cleanup(fills_holes=True))
        scene.viewer.dims.set_current_step(0, 2)
        scene.settle()
        assert annotator.prompts.items == (Click(40, 40), Click(40, 44))
        assert annotator.accept() == 3
        scene.viewer.dims.set_current_step(0, 1)
        scene.settle()
        annotator.reset()
        annotator.reopen(2)
        scene.settle()
        assert annotator.prompts.items == (Click(50, 60),)

    def test_work_goes_on_being_saved(self, left_behind, make_scene):
        _, folder = left_behind
        scene = make_scene()
        scene.start()
        scene.press(scene.widget._resume_bar.resume_button)
        scene.settle()
        scene.hand.key("N")
        scene.settle()
        scene.wait_until(lambda: saved_labels(folder) == [0, 1, 2])
        assert list(folder.parent.glob("*.older-*")) == []

    def test_whoever_has_clicked_before_is_told_and_loses_nothing(self, left_behind, make_scene):
        labels, folder = left_behind
        scene = make_scene()
        scene.start()
        scene.hand.click((40, 40))
        scene.settle()
        bar = scene.widget._resume_bar
        scene.press(bar.resume_button)
        assert scene.status.startswith("⚠ Something was done here already")
        assert bar.isVisible()
        assert len(scene.annotator.prompts) == 1
        np.testing.assert_array_equal(read_annotation(folder).labels, labels)

    def test_ending_and_starting_at_once_finds_the_newest(self, scene, monkeypatch):
        from napari_segnext.annotator import autosave

        write, gate = autosave.write_annotation, threading.Event()
        accept_at(scene, (20, 30))
        scene.wait_until(lambda: saved_labels(scene.widget._resume_bar.folder) == [0, 1])
        monkeypatch.setattr(autosave, "write_annotation", lambda *arguments: gate.wait(60) and write(*arguments))
        accept_at(scene, (60, 70))
        scene.widget.end()
        threading.Timer(0.5, gate.set).start()
        scene.start()
        bar = scene.widget._resume_bar
        assert "2 objects" in bar._text.text()
        scene.press(bar.resume_button)
        scene.settle()
        assert len(scene.annotator.objects) == 2


class TestStartingAnew:
    @pytest.mark.parametrize("answers", [True, False], ids=["start anew", "no answer"])
    def test_keeps_the_old_work_aside(self, left_behind, make_scene, answers):
        labels, folder = left_behind
        scene = make_scene()
        scene.start()
        bar = scene.widget._resume_bar
        if answers:
            scene.press(bar.anew_button)
        accept_at(scene, (40, 40))
        assert not bar.isVisible()
        (aside,) = folder.parent.glob("*.older-*")
        old = read_annotation(aside)
        np.testing.assert_array_equal(old.labels, labels)
        assert [one.name for one in old.prompts.objects] == ["first"] and len(old.prompts.drafts) == 1
        scene.wait_until(lambda: (new := read_annotation(folder)) is not None and new.labels.any())
        assert read_annotation(folder).labels[40, 40] == 1

    def test_ending_without_an_answer_leaves_the_old_work_where_it_is(self, left_behind, make_scene):
        labels, folder = left_behind
        scene = make_scene()
        scene.start()
        scene.hand.click((40, 40))
        scene.settle()
        scene.press(scene.widget._start_button)
        assert not scene.widget._resume_bar.isVisible()
        np.testing.assert_array_equal(read_annotation(folder).labels, labels)
        assert list(folder.parent.glob("*.older-*")) == []

    def test_work_that_cannot_be_moved_is_not_written_over(self, left_behind, make_scene, monkeypatch):
        def refuse(folder):
            raise PermissionError(13, "Permission denied")

        labels, folder = left_behind
        monkeypatch.setattr("napari_segnext.widgets.resume_bar.set_aside", refuse)
        scene = make_scene()
        scene.start()
        scene.press(scene.widget._resume_bar.anew_button)
        assert "Permission denied" in scene.status and "not saved" in scene.status
        accept_at(scene, (40, 40))
        scene.press(scene.widget._start_button)
        scene.settle()
        np.testing.assert_array_equal(read_annotation(folder).labels, labels)


class TestSpoiledWork:
    def test_is_told_and_moved_aside(self, left_behind, make_scene, tmp_path, subtests):
        _, folder = left_behind
        sound = shutil.copytree(folder, tmp_path / "sound")
        scene = make_scene()
        bar = scene.widget._resume_bar
        for name in ("prompts.json", "labels.tif", POINTER_NAME):
            shutil.rmtree(folder.parent)
            shutil.copytree(sound, folder)
            with subtests.test(msg=name):
                assert saved_labels(folder) == [0, 1]
                (path,) = [*folder.glob(f"state-*/{name}"), *folder.glob(name)]
                spoiled = b"\xff\xfe{" if name != "labels.tif" else path.read_bytes()[:-90] + bytes(90)
                path.write_bytes(spoiled)
                scene.start()
                assert not bar.isVisible()
                assert scene.status.startswith("⚠ Earlier work on this image cannot be read; it is kept in")
                (aside,) = folder.parent.glob("*.older-*")
                (path,) = [*aside.glob(f"state-*/{name}"), *aside.glob(name)]
                assert path.read_bytes() == spoiled
                accept_at(scene, (40, 40))
                scene.wait_until(lambda: saved_labels(folder) == [0, 1])
            scene.press(scene.widget._start_button)
            bar._last_autosave.wait()
            scene.viewer.layers.remove("SegNext objects")


class TestFullDisk:
    def test_is_told_and_saving_is_tried_again(self, scene, monkeypatch):
        def fill_up(*_, **__):
            raise OSError(28, "No space left on device")

        bar = scene.widget._resume_bar
        with monkeypatch.context() as patch:
            patch.setattr("napari_segnext.annotator.annotation.write_prompts_file", fill_up)
            accept_at(scene, (20, 30))
            scene.wait_until(lambda: "No space left" in scene.status)
            assert scene.status.startswith("⚠") and "tried again" in scene.status
            assert scene.layers.output.data.any()
            assert bar._autosave.is_needed
            assert read_annotation(bar.folder) is None
        bar._timer.start(100)
        scene.wait_until(lambda: saved_labels(bar.folder) == [0, 1])


class TestPreferences:
    @pytest.fixture
    def prefer(self, monkeypatch):
        """The widget that is made next has these preferences."""

        def prefer(**preferences):
            monkeypatch.setattr(
                "napari_segnext.widgets.annotator_widget.preferences_or_defaults", lambda: Preferences(**preferences)
            )

        return prefer

    def test_switched_off_nothing_is_written(self, prefer, make_scene, tmp_path, autosave_root):
        prefer(is_autosave_on=False)
        scene = make_scene()
        scene.start()
        accept_at(scene, (20, 30))
        scene.press(scene.widget._start_button)
        assert not autosave_root.exists()
        assert list(tmp_path.rglob("state-*")) == []

    def test_a_folder_of_ones_own(self, prefer, make_scene, tmp_path, autosave_root):
        prefer(autosave_folder=tmp_path / "mine", autosave_interval_s=7)
        scene = make_scene()
        scene.start()
        bar = scene.widget._resume_bar
        assert bar._timer.interval() == 7000
        accept_at(scene, (20, 30))
        scene.wait_until(lambda: saved_labels(bar.folder) == [0, 1])
        assert bar.folder.parent == tmp_path / "mine"
        assert not autosave_root.exists()


def test_nothing_is_written_into_the_home_folder(scene, autosave_root):
    from napari.settings import get_settings

    accept_at(scene, (20, 30))
    bar = scene.widget._resume_bar
    scene.wait_until(lambda: saved_labels(bar.folder) == [0, 1])
    assert bar.folder.parent == autosave_root
    assert get_settings().config_path is None
