from __future__ import annotations

from typing import TYPE_CHECKING

import nibabel
import numpy as np
import pytest

from napari_segnext import read_volume
from napari_segnext.errors import VolumeError
from napari_segnext.io import is_brats_case, read_brats_case

if TYPE_CHECKING:
    from pathlib import Path

AFFINE = np.diag([-1.0, -1.0, 1.0, 1.0])

NAMES = {
    "2013": ["c_t1", "c_t1c", "c_t2", "c_flair", "c_label"],
    "2017 to 2021": ["BraTS19_x_1_t1", "BraTS19_x_1_t1ce", "BraTS19_x_1_t2", "BraTS19_x_1_flair", "BraTS19_x_1_seg"],
    "2023": ["BraTS-GLI-0-0-t1n", "BraTS-GLI-0-0-t1c", "BraTS-GLI-0-0-t2w", "BraTS-GLI-0-0-t2f", "BraTS-GLI-0-0-seg"],
    "capitals": ["C_T1", "C_T1CE", "C_T2", "C_FLAIR", "C_SEG"],
}


def save(folder: Path, name: str, value: float = 0, dtype: str = "i2", affine: np.ndarray = AFFINE) -> None:
    array = np.full((4, 5, 6), value, dtype)
    array[0, 0, 0] = 0
    nibabel.save(nibabel.Nifti1Image(array, affine), folder / f"{name}.nii.gz")


def save_case(folder: Path, names: list[str], label: int = 2) -> Path:
    for value, name in enumerate(names[:4], start=1):
        save(folder, name, value)
    save(folder, names[4], label, "f4")
    return folder


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_contrasts_are_known_by_the_names_of_every_year(tmp_path, names):
    case = read_brats_case(save_case(tmp_path, names))
    assert is_brats_case(tmp_path)
    assert [(name, volume.plane(0, 3)[2, 2]) for name, volume in case.images.items()] == [
        ("t1", 1),
        ("t1ce", 2),
        ("t2", 3),
        ("flair", 4),
    ]
    assert case.labels["seg"].dtype == np.uint8
    assert case.labels["seg"].is_labels
    assert case.label_names[2] == "oedema"


@pytest.mark.parametrize(
    ("year", "label", "name"),
    [
        ("2013", 3, "non-enhancing tumour"),
        ("2013", 4, "enhancing tumour"),
        ("2017 to 2021", 1, "necrosis and non-enhancing tumour"),
        ("2017 to 2021", 4, "enhancing tumour"),
        ("2023", 3, "enhancing tumour"),
        ("2023", 7, "label 7"),
    ],
)
def test_labels_are_named_after_the_year(tmp_path, year, label, name):
    assert read_brats_case(save_case(tmp_path, NAMES[year], label)).label_names[label] == name


def test_contrasts_and_labels_may_be_missing(tmp_path):
    save(tmp_path, "c_t1")
    save(tmp_path, "c_flair")
    case = read_brats_case(tmp_path)
    assert list(case.images) == ["t1", "flair"]
    assert not case.labels and not case.label_names


def test_one_file_alone_or_other_names_make_no_case(tmp_path):
    save(tmp_path, "c_t1")
    save(tmp_path, "knee")
    assert not is_brats_case(tmp_path)


def test_several_cases_in_a_folder_are_refused(tmp_path):
    save_case(tmp_path, NAMES["2013"])
    save(tmp_path, "d_t1")
    save(tmp_path, "d_t2")
    assert not is_brats_case(tmp_path)
    with pytest.raises(VolumeError, match="holds 2 cases, such as c, d; expected one"):
        read_brats_case(tmp_path)


def test_folder_without_contrast_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no BraTS contrast"):
        read_brats_case(tmp_path)


def test_two_files_of_one_contrast_are_refused(tmp_path):
    save_case(tmp_path, NAMES["2013"])
    save(tmp_path, "c_t1n")
    assert is_brats_case(tmp_path)
    with pytest.raises(VolumeError, match="are both t1 of one case"):
        read_brats_case(tmp_path)


def test_contrast_that_is_not_registered_is_refused(tmp_path):
    save_case(tmp_path, NAMES["2013"])
    save(tmp_path, "c_t2", affine=np.diag([1.0, 1.0, 1.0, 1.0]))
    with pytest.raises(VolumeError, match=r"'t2' of case .* lies elsewhere than 't1'"):
        read_brats_case(tmp_path)


def test_labels_with_fractions_are_refused(tmp_path):
    save_case(tmp_path, NAMES["2013"])
    save(tmp_path, "c_label", 0.5, "f4")
    with pytest.raises(VolumeError, match="holds numbers with fractions; expected labels"):
        read_brats_case(tmp_path)


def test_read_volume_asks_for_one_contrast(tmp_path):
    save_case(tmp_path, NAMES["2013"])
    with pytest.raises(VolumeError, match="is a BraTS case of several contrasts; expected one volume"):
        read_volume(tmp_path)
