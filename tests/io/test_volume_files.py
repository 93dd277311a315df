"""The table of formats, and what all writers have in common."""

from __future__ import annotations

import numpy as np
import pytest

from napari_segnext import Volume, read_volume
from napari_segnext.errors import VolumeError
from napari_segnext.io import write_labels_volume
from napari_segnext.volumes import RearrangedArray

NAMES = ["l.nii", "l.nii.gz", "l.tif", "l.ome.tif", "l.zarr"]


@pytest.fixture
def like() -> Volume:
    return Volume(np.zeros((4, 20, 30), np.uint8), spacing=(5, 1, 1), unit="um", name="image")


@pytest.fixture
def labels() -> np.ndarray:
    labels = np.zeros((4, 20, 30), np.int64)
    labels[1, 2:5, 3:6] = 2
    labels[2:, 7:9] = 300
    return labels


@pytest.mark.parametrize("name", NAMES)
def test_each_object_can_have_a_file_of_its_own(tmp_path, like, labels, name):
    paths = write_labels_volume(tmp_path / name, labels, like, per_object=True)
    suffix = name.removeprefix("l")
    assert [path.name for path in paths] == [f"l_0002{suffix}", f"l_0300{suffix}"]
    for path, label in zip(paths, (2, 300), strict=True):
        volume = read_volume(path)
        assert volume.dtype == np.uint8
        assert np.array_equal(np.asarray(volume.array[...]), labels == label)


def test_no_object_makes_no_file(tmp_path, like, labels):
    assert write_labels_volume(tmp_path / "l.nii", labels * 0, like, per_object=True) == ()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "make", [lambda a: a > 0, lambda a: a.astype(np.uint16), lambda a: RearrangedArray(a, (0, 1, 2)), np.ndarray.tolist]
)
def test_masks_integers_and_lazy_labels_are_written(tmp_path, like, labels, name, make):
    (path,) = write_labels_volume(tmp_path / name, make(labels), like)
    assert np.array_equal(np.asarray(read_volume(path).array[...]), np.asarray(make(labels)))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_of_a_file_that_could_not_be_written(tmp_path, like, name):
    class FailingLabels:
        shape, dtype = (4, 20, 30), np.dtype(np.uint8)
        n_read = 0

        def __getitem__(self, key):
            self.n_read += 1
            if self.n_read > 5 or key is Ellipsis:
                raise OSError("the disk is gone")
            return np.ones((20, 30), np.uint8)

    with pytest.raises(OSError, match="the disk is gone"):
        write_labels_volume(tmp_path / name, FailingLabels(), like)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros((4, 20, 31), int), r"labels have shape \(4, 20, 31\) and volume 'image' \(4, 20, 30\)"),
        (np.zeros((4, 20, 30)), "labels have dtype float64; expected whole numbers"),
        (np.full((4, 20, 30), -1), "labels run from -1 to 0; expected whole numbers from 0"),
        (np.full((4, 20, 30), 2**32), "labels run from 0 to 4294967296"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path, like, labels, words):
    with pytest.raises(VolumeError, match=words):
        write_labels_volume(tmp_path / "l.nii", labels, like)
    assert list(tmp_path.iterdir()) == []


def test_volume_is_never_written_over(tmp_path, like, labels):
    (path,) = write_labels_volume(tmp_path / "a.nii", labels, like)
    before = path.read_bytes()
    with pytest.raises(VolumeError, match="is the file of volume 'a'; expected another one"):
        write_labels_volume(path, labels, read_volume(path))
    assert path.read_bytes() == before


def test_path_that_cannot_be_written_is_refused(tmp_path, like, labels):
    with pytest.raises(VolumeError, match=r"ends in '\.mha'; expected one of \.nii, \.nii\.gz"):
        write_labels_volume(tmp_path / "l.mha", labels, like)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write_labels_volume(tmp_path / "absent" / "l.nii", labels, like)


def test_path_that_is_no_volume_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no volume"):
        read_volume(tmp_path / "absent.nii")
    (tmp_path / "a.mha").write_bytes(b"")
    with pytest.raises(VolumeError, match=r"ends in '\.mha'; expected one of \.nii"):
        read_volume(tmp_path / "a.mha")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VolumeError, match="holds neither images nor zarr"):
        read_volume(tmp_path / "empty")
