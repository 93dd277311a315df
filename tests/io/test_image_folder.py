"""Folders of numbered images and single images as volumes."""

from __future__ import annotations

import logging
import pickle
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest
import tifffile

from napari_segnext import read_volume
from napari_segnext.errors import ImageError, VolumeError
from napari_segnext.io import image_folder, read_image_folder

if TYPE_CHECKING:
    from pathlib import Path


def save(folder: Path, n: int = 12, suffix: str = ".png", shape: tuple[int, ...] = (6, 8)) -> np.ndarray:
    """`slice1` … `slice12`: without numeric order 10 would come before 2."""
    array = np.random.default_rng(0).integers(0, 255, (n, *shape)).astype(np.uint8)
    for number, image in enumerate(array, start=1):
        if suffix == ".tif":
            tifffile.imwrite(folder / f"slice{number}.tif", image)
        else:
            PIL.Image.fromarray(image).save(folder / f"slice{number}{suffix}")
    return array


@pytest.fixture
def n_read(monkeypatch) -> list[Path]:
    """The files that are read whole."""
    files = []
    read = image_folder.read_image

    def counted(path, **kwargs):
        files.append(path)
        return read(path, **kwargs)

    monkeypatch.setattr(image_folder, "read_image", counted)
    return files


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_images_are_slices_in_the_order_of_their_numbers(tmp_path, suffix):
    array = save(tmp_path, suffix=suffix)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden.png").write_bytes(b"not an image")
    volume = read_volume(tmp_path)
    assert volume.shape == (12, 6, 8)
    assert (volume.spacing, volume.unit, volume.name) == ((1, 1, 1), "", tmp_path.name)
    for axis in range(3):
        assert np.array_equal(volume.plane(axis, 5), array.take(5, axis))
    assert np.array_equal(np.asarray(volume.array), array)
    assert np.array_equal(volume.array[2:11:3, 1, 2:4], array[2:11:3, 1, 2:4])
    assert volume.array[3:3].shape == (0, 6, 8)
    assert volume.array[-1, 2].shape == (8,)


def test_colours_come_last(tmp_path):
    array = save(tmp_path, shape=(6, 8, 3))
    volume = read_volume(tmp_path)
    assert volume.is_rgb
    assert np.array_equal(volume.plane(1, 3), array[:, 3])


def test_opening_reads_the_first_image_and_a_slice_its_own(tmp_path, n_read):
    save(tmp_path)
    volume = read_volume(tmp_path)
    assert [path.name for path in n_read] == ["slice1.png"]
    volume.plane(0, 6)
    volume.plane(0, 6)
    assert [path.name for path in n_read] == ["slice1.png", "slice7.png"]


def test_slices_across_files_read_each_file_once(tmp_path, n_read):
    save(tmp_path)
    volume = read_volume(tmp_path)
    for index in range(6):
        volume.plane(1, index)
    assert len(n_read) == 1 + 12


def test_images_that_are_kept_are_bounded(tmp_path, n_read, monkeypatch):
    monkeypatch.setattr(image_folder, "_KEPT_BYTES", 3 * 6 * 8)
    save(tmp_path)
    volume = read_volume(tmp_path)
    for index in (0, 1, 2, 3, 0):
        volume.plane(0, index)
    assert len(n_read) == 1 + 5
    volume.plane(0, 3)
    assert len(n_read) == 1 + 5


def test_reading_a_slice_gives_an_array_that_may_be_written_into(tmp_path):
    array = save(tmp_path)
    volume = read_volume(tmp_path)
    volume.array[3][:] = 0
    assert np.array_equal(volume.plane(0, 3), array[3])


def test_lazy_volume_can_be_sent_to_another_process(tmp_path):
    array = save(tmp_path)
    volume = read_volume(tmp_path)
    volume.plane(0, 1)
    assert np.array_equal(pickle.loads(pickle.dumps(volume)).plane(0, 3), array[3])


def test_sizes_are_checked_without_reading_the_images(tmp_path, n_read):
    save(tmp_path)
    PIL.Image.fromarray(np.zeros((6, 9), np.uint8)).save(tmp_path / "slice4.png")
    with pytest.raises(VolumeError, match=r"slice4\.png' has 6 × 9 pixels and .*slice1\.png' 6 × 8; expected equal"):
        read_volume(tmp_path)
    assert len(n_read) == 1


def test_slice_of_another_kind_is_one_clear_error(tmp_path):
    save(tmp_path)
    PIL.Image.fromarray(np.zeros((6, 8), np.uint16)).save(tmp_path / "slice4.png")
    volume = read_volume(tmp_path)
    volume.plane(0, 2)
    with pytest.raises(VolumeError, match=r"slice4\.png' has shape \(6, 8\) and dtype uint16"):
        volume.plane(0, 3)


def test_broken_image_is_one_clear_error(tmp_path):
    save(tmp_path)
    (tmp_path / "slice4.png").write_bytes(b"broken")
    with pytest.raises(ImageError, match=r"slice4\.png' cannot be read as an image"):
        read_volume(tmp_path)


def test_image_that_was_cut_short_is_one_clear_error(tmp_path):
    save(tmp_path, shape=(60, 80))
    path = tmp_path / "slice4.png"
    path.write_bytes(path.read_bytes()[:2000])
    volume = read_volume(tmp_path)
    with pytest.raises(VolumeError, match=r"slice 3 along z .*slice4\.png' cannot be read as an image"):
        volume.plane(0, 3)


def test_images_of_several_kinds_are_refused(tmp_path):
    save(tmp_path)
    save(tmp_path, suffix=".bmp")
    with pytest.raises(VolumeError, match=r"several kinds \(\.bmp, \.png\); expected one kind"):
        read_volume(tmp_path)


def test_stacks_in_a_folder_are_refused(tmp_path):
    for number in range(3):
        tifffile.imwrite(tmp_path / f"{number}.tif", np.zeros((5, 6, 8), np.uint8), photometric="minisblack")
    with pytest.raises(ImageError, match="holds 5 images of 6 × 8 pixels"):
        read_volume(tmp_path)


def test_missing_number_is_logged(tmp_path, caplog):
    save(tmp_path)
    (tmp_path / "slice7.png").unlink()
    with caplog.at_level(logging.WARNING):
        assert read_volume(tmp_path).n_slices(0) == 11
    assert "between slice6.png and slice8.png slices seem to be missing" in caplog.text


def test_every_tenth_slice_is_no_gap(tmp_path, caplog):
    array = save(tmp_path, n=3)
    for number in (3, 2, 1):
        (tmp_path / f"slice{number}.png").rename(tmp_path / f"slice{number}0.png")
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(np.asarray(read_volume(tmp_path).array), array)
    assert caplog.text == ""


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_single_image_is_one_slice(tmp_path, suffix):
    array = save(tmp_path, n=1, suffix=suffix)
    volume = read_volume(tmp_path / f"slice1{suffix}")
    assert volume.name == "slice1"
    assert np.array_equal(volume.plane(0, 0), array[0])


def test_labels_are_indices_of_palettes_and_never_colours(tmp_path):
    image = PIL.Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8))
    image.putpalette([value for n in range(256) for value in (n, 0, 0)])
    image.save(tmp_path / "a1.png")
    assert read_image_folder(tmp_path, is_labels=True).plane(0, 0)[5, 7] == 47
    assert read_image_folder(tmp_path, is_mask=True).plane(0, 0)[5, 7] == 1
    save(tmp_path, n=1, shape=(6, 8, 3))
    (tmp_path / "a1.png").unlink()
    with pytest.raises(VolumeError, match="is a colour image; expected labels"):
        read_image_folder(tmp_path, is_labels=True)


def test_folder_without_images_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no image"):
        read_image_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        read_image_folder(tmp_path / "absent")
