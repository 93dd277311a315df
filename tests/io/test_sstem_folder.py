from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest
import tifffile

from napari_segnext import read_volume
from napari_segnext.errors import VolumeError
from napari_segnext.io import is_sstem_folder, read_sstem_folder

if TYPE_CHECKING:
    from pathlib import Path


def save(folder: Path, array: np.ndarray, suffix: str) -> None:
    folder.mkdir()
    for number, image in enumerate(array):
        if suffix == ".tif":
            tifffile.imwrite(folder / f"{number:02d}.tif", image)
        else:
            PIL.Image.fromarray(image).save(folder / f"labels{number:08d}.png")


@pytest.fixture
def raw() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (5, 6, 8)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path, raw) -> Path:
    save(tmp_path / "raw", raw, ".tif")
    save(tmp_path / "mitochondria", (raw > 200).astype(np.uint8) * 255, ".png")
    save(tmp_path / "neurites", raw.astype(np.uint16) * 3, ".png")
    (tmp_path / "notes").mkdir()
    return tmp_path


def test_published_layout_gives_raw_labels_masks_and_spacing(folder, raw):
    case = read_sstem_folder(folder)
    assert is_sstem_folder(folder)
    assert list(case.images) == ["raw"]
    assert list(case.labels) == ["mitochondria", "neurites"]
    assert np.array_equal(case.images["raw"].plane(0, 3), raw[3])
    assert np.array_equal(case.labels["mitochondria"].plane(0, 3), raw[3] > 200)
    assert np.array_equal(case.labels["neurites"].plane(0, 3), raw[3].astype(int) * 3)
    for volume in (*case.images.values(), *case.labels.values()):
        assert (volume.spacing, volume.unit) == ((50, 4.6, 4.6), "nm")
    assert case.labels["neurites"].is_labels and not case.images["raw"].is_labels


def test_other_folders_of_this_layout_have_no_spacing(folder):
    (folder / "mitochondria").rename(folder / "vesicles")
    case = read_sstem_folder(folder)
    assert (case.images["raw"].spacing, case.images["raw"].unit) == ((1, 1, 1), "")
    assert set(np.unique(case.labels["vesicles"].plane(0, 3))) == {0, 255}


def test_read_volume_gives_the_raw_images(folder, raw):
    volume = read_volume(folder)
    assert volume.name == folder.name
    assert np.array_equal(volume.plane(1, 2), raw[:, 2])


def test_missing_label_image_is_one_clear_error(folder):
    (folder / "neurites" / "labels00000002.png").unlink()
    with pytest.raises(VolumeError, match=r"neurites' holds 4 images and .*raw' 5"):
        read_sstem_folder(folder)


def test_labels_of_another_size_are_one_clear_error(folder, raw):
    save(folder / "synapses", raw[:, 1:], ".png")
    with pytest.raises(VolumeError, match=r"'synapses' of case .* has \(5, 5, 8\) voxels"):
        read_sstem_folder(folder)


def test_real_stack(data_folder):
    case = read_sstem_folder(data_folder / "eval_dev" / "sstem")
    assert case.images["raw"].shape == (20, 1024, 1024)
    assert {"mitochondria", "neurites", "labels"} <= set(case.labels)
    assert set(np.unique(case.labels["mitochondria"].plane(0, 3))) == {0, 1}
