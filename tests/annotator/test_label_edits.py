from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.layers import Labels

from napari_segnext.annotator.coordinates import ShownSlice
from napari_segnext.annotator.errors import NoFreeLabelError, NothingToAcceptError, ReadOnlyLayerError
from napari_segnext.annotator.label_edits import (
    LabelEdit,
    apply_edits,
    ensure_free_label,
    next_free_label,
    plan_accept,
    revert_edits,
)

PLANE = ShownSlice(axes=(0, 1), index=(), shape=(4, 4))
LEFT_HALF = np.array([[True, True, False, False]] * 4)


def test_only_free_pixels_are_planned():
    labels = np.zeros((4, 4), int)
    labels[0] = 7
    edit = plan_accept(labels, PLANE, LEFT_HALF, 8)
    assert edit.n_pixels == 6
    assert labels.sum() == 28


def test_edit_on_a_slice_along_the_last_axis():
    labels = Labels(np.zeros((4, 4, 3), int))
    edit = plan_accept(labels.data, ShownSlice((0, 1), (2,), (4, 4)), LEFT_HALF, 5)
    apply_edits(labels, [edit])
    np.testing.assert_array_equal(labels.data[..., 2], LEFT_HALF * 5)
    assert not labels.data[..., :2].any()


def test_nothing_free_is_told():
    with pytest.raises(NothingToAcceptError, match="never overwritten"):
        plan_accept(np.ones((4, 4), int), PLANE, LEFT_HALF, 2)


def test_empty_mask_is_told():
    with pytest.raises(NothingToAcceptError, match="empty"):
        plan_accept(np.zeros((4, 4), int), PLANE, np.zeros((4, 4), bool), 1)


def test_reverting_leaves_what_was_painted_over_since():
    labels = Labels(np.zeros((4, 4), int))
    edit = plan_accept(labels.data, PLANE, LEFT_HALF, 1)
    apply_edits(labels, [edit])
    labels.data[0, 0] = 9
    revert_edits(labels, [edit])
    assert labels.data[0, 0] == 9
    assert labels.data.sum() == 9


def test_applying_again_leaves_what_was_painted_since():
    labels = Labels(np.zeros((4, 4), int))
    edit = plan_accept(labels.data, PLANE, LEFT_HALF, 1)
    labels.data[0, 0] = 9
    apply_edits(labels, [edit])
    assert labels.data[0, 0] == 9
    assert (labels.data == 1).sum() == 7


def test_napari_undo_takes_back_the_edit_and_nothing_else():
    labels = Labels(np.zeros((4, 4), int))
    labels.brush_size = 1
    labels.paint((3, 3), 5)
    edit = plan_accept(labels.data, PLANE, LEFT_HALF, 6)
    before = labels.data.copy()
    apply_edits(labels, [edit])
    after = labels.data.copy()
    labels.undo()
    np.testing.assert_array_equal(labels.data, before)
    labels.redo()
    np.testing.assert_array_equal(labels.data, after)
    revert_edits(labels, [edit])
    np.testing.assert_array_equal(labels.data, before)
    labels.undo()
    np.testing.assert_array_equal(labels.data, after)


@pytest.mark.parametrize(
    ("values", "dtype", "wanted"),
    [
        pytest.param([0], np.int32, 1, id="nothing yet"),
        pytest.param([0, 1, 5], np.int32, 6, id="after the largest"),
        pytest.param([0, 1, 255], np.uint8, 2, id="a gap where the dtype ends"),
        pytest.param([-4, 0], np.int16, 1, id="negative labels do not count"),
    ],
)
def test_next_free_label(values, dtype, wanted):
    assert next_free_label(np.array(values, dtype)) == wanted


def test_full_dtype_is_told():
    with pytest.raises(NoFreeLabelError, match="uint8 and all of its 255 labels"):
        next_free_label(np.arange(256, dtype=np.uint8))


def test_full_array_in_memory_is_widened_and_napari_can_still_undo():
    labels = Labels(np.zeros((16, 16), np.uint8))
    labels.data[:] = np.arange(256).reshape(16, 16)
    labels.brush_size = 1
    labels.paint((0, 0), 3)
    before = labels.data.copy()
    assert ensure_free_label(labels) == 256
    assert labels.data.dtype == np.int32
    np.testing.assert_array_equal(labels.data, before)
    labels.undo()
    assert labels.data[0, 0] == 0
    np.testing.assert_array_equal(labels.data.ravel()[1:], before.ravel()[1:])


def test_full_file_on_disk_is_not_replaced(tmp_path):
    file = np.memmap(tmp_path / "labels.dat", np.uint8, "w+", shape=(16, 16))
    file[:] = np.arange(256).reshape(16, 16)
    labels = Labels(file)
    with pytest.raises(NoFreeLabelError, match="wider"):
        ensure_free_label(labels)


def test_a_layer_that_has_become_read_only_is_told_and_left_alone():
    labels = Labels(np.zeros((4, 4), int), name="mine")
    edit = plan_accept(labels.data, PLANE, LEFT_HALF, 1)
    apply_edits(labels, [edit])
    labels.data.setflags(write=False)
    with pytest.raises(ReadOnlyLayerError, match="'mine' is read-only"):
        revert_edits(labels, [edit])
    labels.data.setflags(write=True)
    revert_edits(labels, [edit])
    assert not labels.data.any()


def test_a_hidden_layer_stays_hidden_where_it_cannot_be_written(monkeypatch):
    labels = Labels(np.zeros((4, 4), int), visible=False)
    edit = plan_accept(labels.data, PLANE, LEFT_HALF, 1)
    monkeypatch.setattr(Labels, "data_setitem", _fill_up)
    with pytest.raises(OSError, match="No space"):
        apply_edits(labels, [edit])
    assert not labels.visible


def _fill_up(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("seed", range(5))
def test_many_edits_are_written_and_taken_back_as_if_one_by_one(seed):
    rng = np.random.default_rng(seed)
    states = [rng.integers(0, 3, (6, 8, 8)) * (rng.random((6, 8, 8)) < 0.2)]
    edits = []
    for _ in range(90):
        after = states[-1].copy()
        z, row, column = rng.integers(0, 6), rng.integers(0, 6), rng.integers(0, 6)
        after[z, row : row + 3, column : column + 3] = rng.integers(0, 4)
        edit = LabelEdit.between(states[-1], after, (0, 0, 0))
        if edit is not None:
            edits.append(edit)
            states.append(after)
    labels = Labels(states[0].copy())
    apply_edits(labels, edits)
    np.testing.assert_array_equal(labels.data, states[-1])
    revert_edits(labels, edits)
    np.testing.assert_array_equal(labels.data, states[0])
