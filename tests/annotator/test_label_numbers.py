from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

from napari_segnext.annotator import Annotator, LayerMismatchError, StillComputingError, label_numbers
from napari_segnext.annotator.label_numbers import largest_label


class OnDisk:
    """An array that is read by pieces only, and notes how many pixels each had."""

    def __init__(self, values: np.ndarray, chunks: tuple[int, ...] | None = None) -> None:
        self._values = values
        self.chunks = chunks
        self.shape, self.dtype, self.ndim, self.size = values.shape, values.dtype, values.ndim, values.size
        self.read: list[int] = []

    def __array__(self, *_, **__):
        raise AssertionError("the whole array is wanted")

    def __getitem__(self, key):
        piece = self._values[key]
        self.read.append(piece.size)
        return piece.copy()

    def __setitem__(self, key, value):
        self._values[key] = value


@pytest.fixture
def scans(monkeypatch):
    """Shapes of the arrays that were looked through as a whole."""
    scanned = []
    largest = label_numbers.largest_label
    monkeypatch.setattr(
        label_numbers, "largest_label", lambda data, **kwargs: scanned.append(data.shape) or largest(data, **kwargs)
    )
    return scanned


def accept_at(annotator, *place):
    annotator.layers.points.add(place)
    return annotator.accept()


def test_objects_are_numbered_after_one_look_through_the_layer(annotator, scans):
    annotator.layers.output.data[0, 0] = 6
    assert [accept_at(annotator, 5, 5), accept_at(annotator, 15, 15), accept_at(annotator, 25, 25)] == [7, 8, 9]
    assert scans == [(32, 32)]


def test_what_is_painted_by_hand_counts_without_another_look(annotator, scans):
    accept_at(annotator, 5, 5)
    annotator.layers.output.paint((25, 25), 40)
    annotator.layers.output.data_setitem((np.array([31]), np.array([31])), 50)
    assert accept_at(annotator, 15, 15) == 51
    assert len(scans) == 1


def test_number_painted_on_another_slice_is_not_given_again(stack_annotator, viewer):
    accept_at(stack_annotator, 1, 5, 5)
    viewer.dims.set_point(0, 2)
    stack_annotator.layers.output.paint((2, 25, 25), 40)
    viewer.dims.set_point(0, 1)
    assert accept_at(stack_annotator, 1, 15, 15) == 41


def test_another_array_is_looked_through_anew(annotator, scans):
    accept_at(annotator, 5, 5)
    annotator.layers.output.data = np.full((32, 32), 3, np.int32) * np.eye(32, dtype=np.int32)
    assert accept_at(annotator, 5, 20) == 4
    assert len(scans) == 2


def test_number_that_was_taken_back_is_given_again(annotator):
    accept_at(annotator, 5, 5)
    assert accept_at(annotator, 15, 15) == 2
    annotator.undo()
    assert annotator.accept() == 2
    annotator.undo()
    annotator.redo()
    assert accept_at(annotator, 25, 25) == 3


def test_array_on_disk_is_looked_through_at_the_start_and_accepting_reads_one_plane(viewer, stack, fake_model):
    values = np.zeros(stack.shape, np.int32)
    values[3, 0, 0] = 11
    on_disk = OnDisk(values)
    image, output = viewer.add_image(stack), viewer.add_labels(on_disk)
    viewer.dims.set_point(0, 0)
    annotator = Annotator(viewer, image, fake_model, output=output)
    on_disk.read.clear()
    assert [accept_at(annotator, 0, 5, 5), accept_at(annotator, 0, 15, 15)] == [12, 13]
    assert max(on_disk.read) <= 32 * 32
    assert values[0, 5, 5] == 12


def test_accepting_before_an_array_on_disk_is_looked_through_is_told(viewer, stack, fake_model, executor):
    values = np.zeros(stack.shape, np.int32)
    values[3, 0, 0] = 11
    image, output = viewer.add_image(stack), viewer.add_labels(OnDisk(values))
    viewer.dims.set_point(0, 0)
    annotator = Annotator(viewer, image, fake_model, output=output, executor=executor)
    look_through = executor.jobs.pop()
    annotator.layers.points.add((0, 5, 5))
    executor.finish_all()
    with pytest.raises(StillComputingError, match="looked through"):
        annotator.accept()
    output.paint((0, 25, 25), 20)
    executor.jobs.append(look_through)
    executor.finish_all()
    assert annotator.accept() == 21


@pytest.mark.parametrize(
    ("chunks", "largest_piece"), [((2, 16, 16), 512), (None, 1024), (((2, 2), (32,), (32,)), 1024)]
)
def test_array_on_disk_is_read_by_chunks_or_planes(chunks, largest_piece):
    values = np.zeros((4, 32, 32), np.uint16)
    values[3, 31, 31] = 9
    on_disk = OnDisk(values, chunks)
    assert largest_label(on_disk) == 9
    assert max(on_disk.read) == largest_piece
    on_disk.read.clear()
    assert largest_label(on_disk, is_wanted=lambda: False) == 0
    assert on_disk.read == []


def test_dask_array_cannot_be_written_and_that_is_told(viewer, pixels, fake_model):
    dask = pytest.importorskip("dask.array")
    image, output = viewer.add_image(pixels), viewer.add_labels(dask.zeros((32, 32), dtype=np.int32))
    with pytest.raises(LayerMismatchError, match="dask array, which cannot be written"):
        Annotator(viewer, image, fake_model, output=output)
