"""Slices of BraTS volumes as images."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import nibabel
import numpy as np
import pytest

from napari_segnext.datasets import open_dataset

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (24, 20, 6)
"""(x, y, z) as NIfTI files have it."""


def save(path: Path, array: np.ndarray) -> None:
    nibabel.save(nibabel.Nifti1Image(array, np.diag([-1.0, -1.0, 1.0, 1.0])), path)


@pytest.fixture
def labels() -> np.ndarray:
    """Slice 2 has 150 px of tumour in two kinds, slice 3 has 100, slice 4 has 99."""
    array = np.zeros(SHAPE, np.uint8)
    array[2:17, 3:13, 2] = 1
    array[2:8, 3:13, 2] = 4
    array[5:15, 5:15, 3] = 2
    array[5:15, 5:15, 4] = 2
    array[5, 5, 4] = 0
    return array


@pytest.fixture
def flair() -> np.ndarray:
    return np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


@pytest.fixture
def root(tmp_path: Path, labels: np.ndarray, flair: np.ndarray) -> Path:
    save(tmp_path / "case_1_flair.nii.gz", flair)
    save(tmp_path / "case_1_t1c.nii.gz", flair)
    save(tmp_path / "case_1_label.nii.gz", labels)
    return tmp_path


def test_each_slice_with_enough_tumour_is_an_image_with_one_object(root):
    images = open_dataset("brats_nifti", root).images
    assert [image.id for image in images] == ["case_1/002", "case_1/003"]
    assert [[item.id for item in image.read_objects()] for image in images] == [["case_1/002:1"], ["case_1/003:1"]]
    assert {image.group for image in images} == {"tumour"}


def test_rows_are_the_second_axis_of_the_file(root, flair, labels):
    loaded = open_dataset("brats_nifti", root).images[0].read()
    assert np.array_equal(loaded.image, flair[:, :, 2].T)
    assert loaded.image.dtype == np.float32
    assert np.array_equal(loaded.truth_of(loaded.objects[0]), labels[:, :, 2].T > 0)


def test_object_reads_its_own_slice(root, labels):
    (item,) = open_dataset("brats_nifti", root).images[1].read_objects()
    assert np.array_equal(item.read_truth(), labels[:, :, 3].T > 0)
    assert item.read_image().shape == (20, 24)


def test_file_that_was_written_anew_is_read_anew(root, flair):
    (image, *_) = open_dataset("brats_nifti", root)
    image.read_image()
    save(root / "case_1_flair.nii.gz", flair + 1)
    assert np.array_equal(image.read_image(), (flair + 1)[:, :, 2].T)


def test_image_can_be_sent_to_another_process(root, flair):
    image = pickle.loads(pickle.dumps(open_dataset("brats_nifti", root).images[0]))
    assert np.array_equal(image.read_image(), flair[:, :, 2].T)


def test_case_without_labels_is_refused(root, flair):
    save(root / "case_0_flair.nii.gz", flair)
    with pytest.raises(FileNotFoundError, match=r"case_0_flair\.nii\.gz' has no labels"):
        open_dataset("brats_nifti", root)


def test_folder_without_cases_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no \*_flair.nii.gz"):
        open_dataset("brats_nifti", tmp_path)


def test_labels_of_another_shape_are_refused(root, labels):
    save(root / "case_1_label.nii.gz", labels[:-1])
    with pytest.raises(ValueError, match=r"shape \(6, 20, 24\) and .* \(6, 20, 23\)"):
        open_dataset("brats_nifti", root)


@pytest.mark.parametrize("name", ["case_1_label.nii.gz", "case_1_flair.nii.gz"])
def test_broken_file_is_refused(root, name):
    (root / name).write_bytes(b"broken")
    with pytest.raises(ValueError, match=f"{name}' cannot be read as NIfTI"):
        open_dataset("brats_nifti", root)


def test_file_that_was_cut_short_is_refused(root):
    path = root / "case_1_label.nii.gz"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(ValueError, match="is cut short or broken"):
        open_dataset("brats_nifti", root)


def test_file_of_four_axes_is_refused(root, labels):
    save(root / "case_1_label.nii.gz", np.stack([labels, labels], axis=-1))
    with pytest.raises(ValueError, match="expected a volume of three axes"):
        open_dataset("brats_nifti", root)


def test_real_case_has_155_slices_of_240_by_240(data_folder):
    images = open_dataset("brats_nifti", data_folder / "eval_dev" / "volumes").images
    assert len(images) > 100
    loaded = images[0].read()
    assert loaded.image.shape == (240, 240)
    assert (loaded.labels > 0).sum() >= 100
