"""Image and label files as arrays."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
import tifffile

from napari_segnext.datasets.files import read_image_file, read_label_file

GREY = np.arange(20, dtype=np.uint8).reshape(4, 5)
RGB = np.stack([GREY, GREY + 50, GREY + 100], axis=-1)
ALPHA = np.full((4, 5, 1), 128, np.uint8)


@pytest.mark.parametrize(
    ("name", "array", "expected"),
    [
        ("a.png", GREY, GREY),
        ("a.png", RGB, RGB),
        ("a.png", GREY.astype(np.uint16) * 1000, GREY.astype(np.uint16) * 1000),
        ("a.png", np.concatenate([RGB, ALPHA], axis=-1), RGB),
        ("a.png", np.concatenate([GREY[..., None], ALPHA], axis=-1), GREY),
        ("a.bmp", RGB, RGB),
    ],
    ids=["grey", "RGB", "16 bit", "RGB with alpha", "grey with alpha", "BMP"],
)
def test_picture_is_read_as_it_was_saved(tmp_path, name, array, expected):
    PIL.Image.fromarray(array).save(tmp_path / name)
    image = read_image_file(tmp_path / name)
    assert image.dtype == expected.dtype
    assert np.array_equal(image, expected)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (GREY.astype(np.float32) / 7, GREY.astype(np.float32) / 7),
        (RGB, RGB),
        (np.moveaxis(RGB, -1, 0), RGB),
        (GREY.astype(np.uint16)[..., None], GREY.astype(np.uint16)),
    ],
    ids=["float", "channels last", "channels first", "one channel"],
)
def test_tiff_is_read_with_channels_last(tmp_path, array, expected):
    tifffile.imwrite(tmp_path / "a.tif", array)
    image = read_image_file(tmp_path / "a.tif")
    assert image.dtype == expected.dtype
    assert np.array_equal(image, expected)


def test_palette_image_is_read_in_its_colours_but_its_labels_as_indices(tmp_path):
    picture = PIL.Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), mode="P")
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    picture.save(tmp_path / "a.png")
    assert read_image_file(tmp_path / "a.png")[0, 1].tolist() == [255, 0, 0]
    assert read_label_file(tmp_path / "a.png").tolist() == [[0, 1], [2, 1]]


def test_grey_labels_saved_as_rgb_are_read(tmp_path):
    PIL.Image.fromarray(np.stack([GREY] * 3, axis=-1)).save(tmp_path / "a.png")
    labels = read_label_file(tmp_path / "a.png")
    assert labels.dtype == np.int64
    assert np.array_equal(labels, GREY)


def test_jpeg_labels_are_one_mask(tmp_path):
    mask = np.zeros((32, 32), np.uint8)
    mask[8:24, 8:24] = 255
    PIL.Image.fromarray(mask).save(tmp_path / "a.jpg", quality=60)
    assert np.array_equal(read_label_file(tmp_path / "a.jpg"), mask > 0)


def test_whole_numbers_saved_as_float_are_labels(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY.astype(np.float32))
    assert np.array_equal(read_label_file(tmp_path / "a.tif"), GREY)


def test_fractions_are_no_labels(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY.astype(np.float32) / 2)
    with pytest.raises(ValueError, match="expected whole numbers"):
        read_label_file(tmp_path / "a.tif")


def test_coloured_labels_are_refused(tmp_path):
    PIL.Image.fromarray(RGB).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="is a colour image; expected labels"):
        read_label_file(tmp_path / "a.png")


@pytest.mark.parametrize("read", [read_image_file, read_label_file], ids=["image", "labels"])
def test_stack_of_slices_is_refused(tmp_path, read):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((7, 16, 16), np.uint8))
    with pytest.raises(ValueError, match="holds 7 images of 16 × 16 pixels"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
@pytest.mark.parametrize("n_bytes", [0, 10, 100, 600], ids="{} bytes".format)
def test_file_that_was_cut_off_is_refused_by_name(tmp_path, name, n_bytes):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    if name.endswith("tif"):
        tifffile.imwrite(tmp_path / name, pixels)
    else:
        PIL.Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:n_bytes])
    with pytest.raises(ValueError, match=f"{name}' cannot be read as an image"):
        read_image_file(tmp_path / name)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.png"):
        read_image_file(tmp_path / "a.png")
