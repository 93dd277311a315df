"""Volumes: slices along every axis, spacing, time, orientation."""

from __future__ import annotations

import numpy as np
import pytest

from napari_segnext import Volume
from napari_segnext.errors import VolumeError
from napari_segnext.volumes import VolumeCase

SHAPE = (4, 5, 6)

RAS = np.diag([3.0, 2.0, 1.0, 1.0])


class CountingArray:
    """Notes what is asked of it."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.shape, self.dtype = array.shape, array.dtype
        self.n_read = 0

    def __getitem__(self, key):
        read = self.array[key]
        self.n_read += read.size
        return read


class BrokenArray:
    shape, dtype = SHAPE, np.dtype(np.uint8)

    def __getitem__(self, key):
        raise OSError("the disk is gone")


@pytest.fixture
def array() -> np.ndarray:
    return np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)


def test_planes_have_the_other_axes_as_rows_and_columns(array):
    volume = Volume(array, spacing=(3, 2, 1), unit="mm")
    assert np.array_equal(volume.plane(0, 1), array[1])
    assert np.array_equal(volume.plane(1, 2), array[:, 2])
    assert np.array_equal(volume.plane(2, 3), array[:, :, 3])
    assert [volume.n_slices(axis) for axis in range(3)] == [4, 5, 6]
    assert [volume.plane_spacing(axis) for axis in range(3)] == [(2, 1), (3, 1), (3, 2)]
    assert [volume.slice_spacing(axis) for axis in range(3)] == [3, 2, 1]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_plane_reads_that_plane_only(array, axis):
    counting = CountingArray(array)
    plane = Volume(counting).plane(axis, 1)
    assert counting.n_read == plane.size == array.size // array.shape[axis]


def test_planes_are_contiguous_and_in_the_byte_order_of_the_machine(array):
    volume = Volume(array.astype(">i2"))
    plane = volume.plane(2, 3)
    assert plane.flags.c_contiguous
    assert plane.dtype == volume.dtype == np.dtype("=i2")
    assert np.array_equal(plane, array[:, :, 3])


def test_channels_come_last_and_three_of_uint8_are_colours():
    volume = Volume(np.zeros((4, 5, 6, 3), np.uint8))
    assert volume.plane(1, 0).shape == (4, 6, 3)
    assert (volume.has_channels, volume.n_channels, volume.is_rgb) == (True, 3, True)
    assert not Volume(np.zeros((4, 5, 6, 3), np.uint8), channel_names=("a", "b", "c")).is_rgb
    assert not Volume(np.zeros((4, 5, 6, 2), np.uint8)).is_rgb
    assert not Volume(np.zeros((4, 5, 6), np.uint8)).has_channels


def test_time_is_chosen_by_its_number(array):
    volume = Volume(np.stack([array, array + 1]), axis_names=("t", "z", "y", "x"), spacing=(3, 2, 1), time_step=5)
    assert (volume.n_times, volume.shape_zyx) == (2, SHAPE)
    assert np.array_equal(volume.plane(1, 2, time=1), array[:, 2] + 1)
    one = volume.at_time(1)
    assert one.axis_names == ("z", "y", "x")
    assert np.array_equal(one.plane(1, 2), array[:, 2] + 1)
    with pytest.raises(VolumeError, match="has 2 time points; expected one to be named"):
        volume.plane(0, 0)
    with pytest.raises(VolumeError, match=r"shape \(2, 4, 5, 6\) with 2 time points; expected a volume of three axes"):
        volume.single_time()


def test_one_slice_over_time_is_a_volume_along_time(array):
    counting = CountingArray(np.stack([array, array + 1]))
    volume = Volume(counting, axis_names=("t", "z", "y", "x"), spacing=(3, 2, 1), time_step=5)
    film = volume.over_time(1, 2)
    assert film.axis_names == ("t", "z", "x")
    assert film.spacing == (5, 3, 1)
    assert np.array_equal(film.plane(0, 1), array[:, 2] + 1)
    assert counting.n_read == 4 * 6


def test_view_finds_its_axis_whatever_the_order_of_the_file(array):
    volume = Volume(array, affine=RAS)
    assert volume.orientation == ("S", "A", "R")
    assert [volume.axis_of_view(view) for view in ("axial", "coronal", "sagittal")] == [0, 1, 2]
    turned = Volume(array, affine=RAS[[1, 2, 0, 3]] * [-1, 1, -1, 1])
    assert turned.orientation == ("L", "S", "P")
    assert [turned.axis_of_view(view) for view in ("axial", "coronal", "sagittal")] == [1, 2, 0]


def test_oblique_volume_takes_the_nearest_axes(array):
    c, s = np.cos(0.6), np.sin(0.6)
    affine = np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    assert Volume(array, affine=affine).axis_of_view("axial") == 0


def test_view_without_affine_is_refused(array):
    with pytest.raises(VolumeError, match="has no affine, so no axial slices"):
        Volume(array, name="stack").axis_of_view("axial")
    with pytest.raises(VolumeError, match="expected one of axial, coronal, sagittal"):
        Volume(array, affine=RAS).axis_of_view("frontal")


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"array": np.zeros((4, 5))}, r"shape \(4, 5\) and axes z, y, x; expected 3 axes, or 4 with channels"),
        ({"array": np.zeros((0, 5, 6))}, "expected at least one voxel"),
        ({"array": np.zeros(SHAPE, np.complex64)}, "dtype complex64; expected bool, whole or real"),
        ({"array": np.zeros(SHAPE, "U1")}, "expected bool, whole or real"),
        ({"spacing": (1, 1)}, "expected three sizes above 0"),
        ({"spacing": (1, 0, 1)}, "expected three sizes above 0"),
        ({"spacing": (1, np.nan, 1)}, "expected three sizes above 0"),
        ({"axis_names": ("z", "y", "y")}, "axis names are"),
        ({"affine": np.zeros((4, 4))}, "whose first three columns point three ways"),
        ({"affine": np.eye(3)}, "expected 4 × 4"),
        ({"time_step": 0}, "time_step is 0"),
        ({"channel_names": ("a", "b")}, "2 channel names for an array of shape"),
    ],
    ids=str,
)
def test_parts_that_do_not_fit_are_refused(parts, words):
    with pytest.raises(VolumeError, match=words):
        Volume(**{"array": np.zeros(SHAPE), **parts})


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda v: v.plane(3, 0), "axis is 3; expected 0, 1 or 2"),
        (lambda v: v.plane(-1, 0), "axis is -1"),
        (lambda v: v.plane(0, 4), "slice 4 lies outside volume 'a'; expected 0 to 3"),
        (lambda v: v.plane(0, -1), "slice -1 lies outside"),
        (lambda v: v.plane(0, 1.5), "slice is 1.5; expected a whole number"),
        (lambda v: v.plane(0, 0, time=1), "has no time"),
        (lambda v: v.over_time(0, 0), "expected time as the first of four"),
        (lambda v: v.at_time(1), "time point 1 lies outside"),
    ],
)
def test_what_is_not_there_is_refused(array, ask, words):
    with pytest.raises(VolumeError, match=words):
        ask(Volume(array, name="a"))


def test_slice_that_cannot_be_read_is_one_clear_error():
    with pytest.raises(VolumeError, match=r"slice 2 along y of 'a' cannot be read \(OSError: the disk is gone\)"):
        Volume(BrokenArray(), name="a").plane(1, 2)


def test_affine_cannot_be_changed_behind_the_volumes_back(array):
    affine = RAS.copy()
    volume = Volume(array, affine=affine)
    affine[0, 0] = 7
    assert volume.affine[0, 0] == 3
    with pytest.raises(ValueError, match="read-only"):
        volume.affine[0, 0] = 7


def test_case_holds_volumes_of_one_grid(array):
    case = VolumeCase("case", {"t1": Volume(array)}, {"seg": Volume(array)})
    assert list(case.images) == ["t1"]
    with pytest.raises(VolumeError, match=r"'seg' of case 'case' has \(3, 5, 6\) voxels and 't1' \(4, 5, 6\)"):
        VolumeCase("case", {"t1": Volume(array)}, {"seg": Volume(array[1:])})
    with pytest.raises(VolumeError, match="has no image"):
        VolumeCase("case", {})


def test_case_refuses_volumes_that_lie_apart(array):
    moved = RAS.copy()
    moved[0, 3] = 2
    with pytest.raises(VolumeError, match="'t2' of case 'case' lies elsewhere than 't1'"):
        VolumeCase("case", {"t1": Volume(array, affine=RAS), "t2": Volume(array, affine=moved)})
    with pytest.raises(VolumeError, match="lies elsewhere"):
        VolumeCase("case", {"t1": Volume(array), "t2": Volume(array, spacing=(2, 1, 1))})
