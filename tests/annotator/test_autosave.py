"""Work that is saved in the background and found again, also after a killed process."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
import tifffile

pytest.importorskip("napari")

from napari_segnext.annotator import Annotator, AnnotatorError
from napari_segnext.annotator.annotation import POINTER_NAME, read_annotation, set_aside, write_annotation
from napari_segnext.annotator.autosave import Autosave, folder_for
from napari_segnext.annotator.errors import SavedAnnotationError
from napari_segnext.annotator.executor import ImmediateExecutor
from napari_segnext.annotator.model_input import Channel, ModelInput
from napari_segnext.prompts import Box, Click
from napari_segnext.session.cleanup import Cleanup

from .conftest import DISK


def annotate(annotator):
    """Two objects, one of them named and locked, and prompts that are not accepted on two slices."""
    viewer = annotator._viewer
    annotator.layers.points.add((1, 5, 5))
    annotator.accept()
    annotator.rename(1, "the first")
    annotator.classify(1, class_name="cell")
    annotator.lock(1)
    annotator.threshold = 0.4
    annotator.cleanup = Cleanup(fills_holes=True)
    annotator.layers.points.add((1, 20, 20))
    annotator.accept()
    viewer.dims.set_point(0, 2)
    annotator.layers.points.add((2, 9, 9))
    annotator.layers.shapes.add(np.array([(2, 4, 4), (2, 4, 12), (2, 12, 12), (2, 12, 4)]), shape_type="rectangle")
    viewer.dims.set_point(0, 3)
    annotator.layers.points.add((3, 16, 16))


def again(annotator, viewer_class, stack, model):
    """A new viewer on the same image, as after a restart."""
    viewer = viewer_class()
    return Annotator(viewer, viewer.add_image(stack, name="stack"), model)


@pytest.fixture
def saved(stack_annotator, tmp_path):
    """Folder of an annotation that was saved as it went."""
    autosave = Autosave(stack_annotator, tmp_path / "here", ImmediateExecutor())
    annotate(stack_annotator)
    autosave.save_if_needed()
    return autosave.folder


def test_everything_is_as_it_was(saved, stack_annotator, viewer, stack, fake_model):
    other = again(stack_annotator, type(viewer), stack, fake_model)
    other.restore(read_annotation(saved))
    np.testing.assert_array_equal(other.layers.output.data, stack_annotator.layers.output.data)
    assert list(other.objects.by_label) == [1, 2]
    record = other.objects.get(1)
    assert (record.name, record.class_name, record.is_locked) == ("the first", "cell", True)
    record = other.objects.get(2)
    (accepted,) = record.slices.values()
    assert (accepted.draft.threshold, accepted.draft.cleanup) == (0.4, Cleanup(fills_holes=True))
    other._viewer.dims.set_point(0, 2)
    assert other.prompts.items == (Click(9, 9), Box(4, 4, 12, 12))
    other._viewer.dims.set_point(0, 3)
    assert other.prompts.items == (Click(16, 16),)
    assert other.accept() == 3
    other.reopen(2)
    assert other.prompts.items == (Click(20, 20),)


def test_hand_painted_pixels_survive_a_restart_and_prompts_elsewhere(
    viewer, stack_annotator, stack, fake_model, tmp_path
):
    autosave = Autosave(stack_annotator, tmp_path / "here", ImmediateExecutor())
    stack_annotator.layers.points.add((1, 5, 5))
    stack_annotator.accept()
    stack_annotator.layers.output.brush_size = 1
    stack_annotator.layers.output.paint((1, 5, 5), 0)
    autosave.close()
    other = again(stack_annotator, type(viewer), stack, fake_model)
    other.restore(read_annotation(autosave.folder))
    other.reopen(1)
    other.layers.points.add((1, 20, 20))
    other.accept()
    assert other.layers.output.data[1, 5, 5] == 0
    assert (other.layers.output.data == 1).sum() == 2 * DISK - 1


def test_accepting_saves_at_once_and_prompts_when_it_is_time(stack_annotator, tmp_path):
    autosave = Autosave(stack_annotator, tmp_path / "here", ImmediateExecutor())
    stack_annotator.layers.points.add((1, 5, 5))
    assert read_annotation(autosave.folder) is None
    autosave.save_if_needed()
    assert len(read_annotation(autosave.folder).prompts.drafts) == 1
    stack_annotator.accept()
    assert read_annotation(autosave.folder).labels.sum() == DISK
    assert not autosave.is_needed


def test_a_failed_save_keeps_the_old_state_and_is_tried_again(stack_annotator, tmp_path, monkeypatch):
    class Executor(ImmediateExecutor):
        def submit(self, work, on_result, on_error):
            try:
                result = work()
            except OSError as error:
                on_error(error)
            else:
                on_result(result)

    autosave = Autosave(stack_annotator, tmp_path / "here", Executor())
    errors = []
    autosave.failed.connect(errors.append)
    stack_annotator.layers.points.add((1, 5, 5))
    stack_annotator.accept()

    def fill_up(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("napari_segnext.annotator.annotation.tifffile.imwrite", fill_up)
        stack_annotator.layers.points.add((1, 20, 20))
        stack_annotator.accept()
    assert [error.errno for error in errors] == [28]
    assert set(np.unique(read_annotation(autosave.folder).labels)) == {0, 1}
    assert autosave.is_needed
    autosave.save_if_needed()
    assert set(np.unique(read_annotation(autosave.folder).labels)) == {0, 1, 2}
    assert len(list(autosave.folder.glob("state-*"))) == 1


def test_kill_in_the_middle_of_a_save_leaves_the_state_before(saved, stack_annotator):
    before = read_annotation(saved)
    code = f"""
    import os, signal
    from pathlib import Path
    import tifffile
    from napari_segnext.annotator import annotation
    folder = Path({str(saved)!r})
    kept = annotation.read_annotation(folder)
    write = tifffile.imwrite
    def killed(path, *args, **kwargs):
        write(path, *args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
    annotation.tifffile.imwrite = killed
    annotation.write_annotation(folder, kept)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == -9
    after = read_annotation(saved)
    assert after.prompts == before.prompts
    np.testing.assert_array_equal(after.labels, before.labels)
    write_annotation(saved, before)
    assert len(list(saved.glob("state-*"))) == 1


@pytest.mark.parametrize("name", ["prompts.json", "labels.tif"])
def test_a_spoiled_file_is_told_and_left(saved, name):
    (path,) = saved.glob(f"state-*/{name}")
    path.write_bytes(b"not this")
    with pytest.raises(SavedAnnotationError, match="left as they are"):
        read_annotation(saved)
    assert path.read_bytes() == b"not this"


@pytest.mark.parametrize("spoil", [lambda b: b[: len(b) // 2], lambda b: b[:-90] + bytes(90)], ids=["cut", "zeros"])
def test_labels_that_are_cut_short_or_overwritten_are_told(saved, spoil):
    (path,) = saved.glob("state-*/labels.tif")
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(SavedAnnotationError, match="cannot be read"):
        read_annotation(saved)


def test_a_spoiled_pointer_is_told_and_can_be_moved_aside(saved):
    (saved / POINTER_NAME).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SavedAnnotationError, match="cannot be read"):
        read_annotation(saved)
    aside = set_aside(saved)
    assert len(list(aside.glob("state-*/labels.tif"))) == 1
    assert read_annotation(saved) is None


def test_a_missing_state_is_told(saved):
    (saved / POINTER_NAME).write_text("state-77")
    with pytest.raises(SavedAnnotationError, match="cannot be read"):
        read_annotation(saved)


def test_setting_aside_loses_nothing(saved):
    aside = set_aside(saved)
    assert read_annotation(saved) is None
    assert read_annotation(aside).labels.any()
    assert set_aside(saved) is None


def test_an_image_is_known_by_name_shape_and_pixels(viewer, stack, tmp_path):
    image = viewer.add_image(stack, name="a / b")
    folder = folder_for(image, tmp_path)
    assert folder.name.startswith("a_b-")
    assert folder == folder_for(type(viewer)().add_image(stack.copy(), name="a / b"), tmp_path)
    others = [(stack + 1, "a / b"), (stack[:3], "a / b"), (stack, "c")]
    folders = {folder_for(type(viewer)().add_image(pixels, name=name), tmp_path) for pixels, name in others}
    assert len({folder, *folders}) == 4


def test_few_chunks_of_a_lazy_image_are_read(viewer, tmp_path):
    dask = pytest.importorskip("dask.array")
    read = []

    def note(block, block_info=None):
        read.append(block_info[0]["chunk-location"])
        return block

    pixels = np.random.default_rng(0).integers(0, 255, (3, 2000, 2000), dtype=np.uint8)
    lazy = dask.from_array(pixels, chunks=(1, 100, 100)).map_blocks(note, dtype=np.uint8)
    image = viewer.add_image(lazy, name="lazy", contrast_limits=(0, 255))
    read.clear()
    folder = folder_for(image, tmp_path)
    assert 0 < len(set(read)) <= 9 * 4
    other = pixels.copy()
    other[1, 1000, 1000] ^= 1
    other_image = viewer.add_image(dask.from_array(other, chunks=(1, 100, 100)), contrast_limits=(0, 255))
    other_image.name = "lazy"
    assert folder_for(other_image, tmp_path).name.split("-")[1] != folder.name.split("-")[1]


def test_work_of_another_image_is_refused(saved, viewer, fake_model):
    other_viewer = type(viewer)()
    other = Annotator(other_viewer, other_viewer.add_image(np.zeros((4, 16, 16), np.uint8)), fake_model)
    with pytest.raises(SavedAnnotationError, match="another"):
        other.restore(read_annotation(saved))
    assert not other.layers.output.data.any()


def test_work_is_not_put_over_other_work(saved, stack_annotator):
    with pytest.raises(AnnotatorError, match="already"):
        stack_annotator.restore(read_annotation(saved))


def test_closing_while_a_save_is_under_way_loses_nothing(viewer, stack, fake_model, tmp_path):
    class Later(ImmediateExecutor):
        def __init__(self):
            self.jobs = []

        def submit(self, work, on_result, on_error):
            self.jobs.append((work, on_result))

    later = Later()
    image = viewer.add_image(stack, name="stack")
    annotator = Annotator(viewer, image, fake_model)
    autosave = Autosave(annotator, tmp_path / "here", later)
    for place in ((1, 5, 5), (1, 20, 20)):
        viewer.dims.set_point(0, 1)
        annotator.layers.points.add(place)
        annotator.accept()
    autosave.close()
    for work, on_result in later.jobs:
        on_result(work())
    assert set(np.unique(read_annotation(autosave.folder).labels)) == {0, 1, 2}


def test_saves_that_overtake_each_other_end_with_the_newest(stack_annotator, tmp_path):
    class Later(ImmediateExecutor):
        def __init__(self):
            self.jobs = []

        def submit(self, work, on_result, on_error):
            self.jobs.append(work)

    later = Later()
    autosave = Autosave(stack_annotator, tmp_path / "here", later)
    for place in ((1, 5, 5), (1, 20, 20)):
        stack_annotator.layers.points.add(place)
        stack_annotator.accept()
    stack_annotator.rename(1, "new")
    autosave.close()
    for work in reversed(later.jobs):
        work()
    autosave.wait()
    kept = read_annotation(autosave.folder)
    assert set(np.unique(kept.labels)) == {0, 1, 2}
    assert [one.name for one in kept.prompts.objects] == ["new", ""]


def test_waiting_lasts_until_the_last_save_is_written(stack_annotator, tmp_path, monkeypatch):
    class InThread(ImmediateExecutor):
        def submit(self, work, on_result, on_error):
            threading.Thread(target=work).start()

    gate = threading.Event()
    write = tifffile.imwrite
    monkeypatch.setattr(
        "napari_segnext.annotator.annotation.tifffile.imwrite", lambda *a, **k: gate.wait(60) and write(*a, **k)
    )
    autosave = Autosave(stack_annotator, tmp_path / "here", InThread())
    stack_annotator.layers.points.add((1, 5, 5))
    stack_annotator.accept()
    autosave.close()
    threading.Timer(0.3, gate.set).start()
    autosave.wait()
    assert read_annotation(autosave.folder).labels.any()


def test_looking_through_slices_is_nothing_to_save(stack_annotator, viewer, tmp_path):
    autosave = Autosave(stack_annotator, tmp_path / "here", ImmediateExecutor())
    for number in (1, 2, 3):
        viewer.dims.set_point(0, number)
    assert not autosave.is_needed
    stack_annotator.layers.points.add((3, 5, 5))
    assert autosave.is_needed
    autosave.save_if_needed()
    viewer.dims.set_point(0, 2)
    assert not autosave.is_needed
    stack_annotator.undo()
    assert autosave.is_needed


def test_channels_come_back_with_their_contrast(annotator, viewer, pixels, fake_model):
    annotator.layers.image.name = "one"
    other = viewer.add_image(255 - pixels, name="other")
    other.contrast_limits, other.gamma = (10, 90), 0.5
    annotator.model_input = ModelInput((Channel.as_shown(other), Channel(annotator.layers.image)))
    annotator.layers.points.add((5, 5))
    annotation = annotator.snapshot()
    new_viewer = type(viewer)()
    layers = [new_viewer.add_image(one.data, name=one.name) for one in (annotator.layers.image, other)]
    resumed = Annotator(new_viewer, layers[0], fake_model)
    resumed.restore(annotation)
    assert resumed.model_input.references == annotator.model_input.references
    assert resumed.model_input.layers == (layers[1], layers[0])


def test_a_missing_channel_is_told_and_all_else_comes_back(annotator, viewer, pixels, fake_model):
    other = viewer.add_image(255 - pixels, name="other")
    annotator.model_input = ModelInput((Channel.as_shown(other),))
    annotator.layers.points.add((5, 5))
    annotation = annotator.snapshot()
    new_viewer = type(viewer)()
    told = []
    resumed = Annotator(new_viewer, new_viewer.add_image(pixels, name=annotator.layers.image.name), fake_model)
    resumed.noticed.connect(told.append)
    resumed.restore(annotation)
    assert resumed.model_input == ModelInput.of(resumed.layers.image)
    assert any("'other', which was a channel" in text for text in told)
    assert len(resumed.prompts) == 1
