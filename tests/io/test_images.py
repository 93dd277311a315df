from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest
import tifffile

from napari_segnext.errors import ImageError
from napari_segnext.io import IMAGE_SUFFIXES, LABEL_SUFFIXES, read_image, require_label_suffix, write_labels

if TYPE_CHECKING:
    from pathlib import Path

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
RGB = np.arange(144, dtype=np.uint8).reshape(6, 8, 3)


class TestReading:
    @pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".TIFF", ".PNG"])
    @pytest.mark.parametrize("pixels", [GREY, RGB], ids=["grey", "RGB"])
    def test_lossless_formats_come_back_exactly(self, suffix: str, pixels: np.ndarray, tmp_path: Path) -> None:
        path = tmp_path / f"image{suffix}"
        PIL.Image.fromarray(pixels).save(path)
        np.testing.assert_array_equal(read_image(path), pixels)

    @pytest.mark.parametrize("suffix", [".jpg", ".jpeg"])
    def test_jpeg_keeps_its_shape(self, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"image{suffix}"
        PIL.Image.fromarray(RGB).save(path)
        assert read_image(path).shape == (6, 8, 3)

    def test_palette_becomes_colours(self, tmp_path: Path) -> None:
        image = PIL.Image.fromarray(np.array([[0, 1]], np.uint8), mode=None)
        image.putpalette([255, 0, 0, 0, 0, 255])
        image.save(tmp_path / "palette.png")
        np.testing.assert_array_equal(read_image(tmp_path / "palette.png"), [[[255, 0, 0], [0, 0, 255]]])

    def test_alpha_of_grey_is_left_out_and_of_colour_kept(self, tmp_path: Path) -> None:
        PIL.Image.fromarray(np.stack([GREY, GREY], -1), "LA").save(tmp_path / "la.png")
        PIL.Image.fromarray(np.concatenate([RGB, RGB[..., :1]], -1)).save(tmp_path / "rgba.png")
        np.testing.assert_array_equal(read_image(tmp_path / "la.png"), GREY)
        assert read_image(tmp_path / "rgba.png").shape == (6, 8, 4)

    def test_one_bit_image_is_bool(self, tmp_path: Path) -> None:
        PIL.Image.fromarray(GREY > 20).save(tmp_path / "bits.png")
        np.testing.assert_array_equal(read_image(tmp_path / "bits.png"), GREY > 20)

    @pytest.mark.parametrize("dtype", ["uint16", "float32", "int16", "bool"])
    def test_tiff_keeps_its_dtype(self, dtype: str, tmp_path: Path) -> None:
        tifffile.imwrite(tmp_path / "a.tif", GREY.astype(dtype))
        array = read_image(tmp_path / "a.tif")
        assert array.dtype == dtype
        np.testing.assert_array_equal(array, GREY.astype(dtype))

    def test_sixteen_bit_png_keeps_its_values(self, tmp_path: Path) -> None:
        wide = GREY.astype(np.uint16) * 1000
        PIL.Image.fromarray(wide).save(tmp_path / "wide.png")
        np.testing.assert_array_equal(read_image(tmp_path / "wide.png"), wide)

    def test_channels_first_tiff_is_turned(self, tmp_path: Path) -> None:
        tifffile.imwrite(
            tmp_path / "planar.tif", RGB.transpose(2, 0, 1).copy(), photometric="rgb", planarconfig="separate"
        )
        tifffile.imwrite(
            tmp_path / "imagej.tif", RGB[..., :2].transpose(2, 0, 1).copy(), imagej=True, metadata={"axes": "CYX"}
        )
        np.testing.assert_array_equal(read_image(tmp_path / "planar.tif"), RGB)
        np.testing.assert_array_equal(read_image(tmp_path / "imagej.tif"), RGB[..., :2])

    def test_single_slice_of_a_stack_is_an_image(self, tmp_path: Path) -> None:
        tifffile.imwrite(tmp_path / "one.tif", GREY[None], imagej=True, metadata={"axes": "ZYX"})
        assert read_image(tmp_path / "one.tif").shape == (6, 8)

    def test_image_of_one_row_keeps_both_axes(self, tmp_path: Path) -> None:
        tifffile.imwrite(tmp_path / "row.tif", GREY[:1])
        assert read_image(tmp_path / "row.tif").shape == (1, 8)

    def test_stack_is_refused_with_its_size(self, tmp_path: Path) -> None:
        tifffile.imwrite(tmp_path / "stack.tif", np.stack([GREY] * 5), photometric="minisblack")
        with pytest.raises(ImageError, match="holds 5 images of 6 × 8 pixels"):
            read_image(tmp_path / "stack.tif")

    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
    @pytest.mark.parametrize("content", [b"", b"nothing of the sort" * 20], ids=["empty", "text"])
    def test_broken_file_is_refused_with_its_name(self, suffix: str, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / f"broken{suffix}"
        path.write_bytes(content)
        with pytest.raises(ImageError, match=f"broken{re.escape(suffix)}' cannot be read as an image"):
            read_image(path)

    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
    def test_cut_file_is_refused(self, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"cut{suffix}"
        noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
        PIL.Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(ImageError, match=r"cannot be read|holds"):
            read_image(path)

    def test_other_suffix_and_absent_file_are_told(self, tmp_path: Path) -> None:
        (tmp_path / "a.nii.gz").write_bytes(b"")
        with pytest.raises(ImageError, match=r"ends in '\.gz'; expected one of \.png"):
            read_image(tmp_path / "a.nii.gz")
        with pytest.raises(FileNotFoundError, match="no image"):
            read_image(tmp_path / "absent.png")


class TestWriting:
    @pytest.mark.parametrize("suffix", LABEL_SUFFIXES)
    @pytest.mark.parametrize(("top", "dtype"), [(255, "uint8"), (256, "uint16"), (65535, "uint16")])
    def test_labels_come_back_in_the_smallest_dtype(self, suffix: str, top: int, dtype: str, tmp_path: Path) -> None:
        labels = np.zeros((4, 5), np.int64)
        labels[1, 2] = top
        array = read_image(write_labels(tmp_path / f"labels{suffix}", labels))
        assert array.dtype == dtype
        np.testing.assert_array_equal(array, labels)

    def test_large_labels_go_to_tiff_only(self, tmp_path: Path) -> None:
        labels = np.full((2, 2), 70_000)
        np.testing.assert_array_equal(read_image(write_labels(tmp_path / "a.tif", labels)), labels)
        with pytest.raises(ValueError, match=r"70000 does not fit a PNG.*Write a \.tif"):
            write_labels(tmp_path / "a.png", labels)

    def test_mask_becomes_zeros_and_ones(self, tmp_path: Path) -> None:
        assert read_image(write_labels(tmp_path / "a.png", GREY > 20)).max() == 1

    @pytest.mark.parametrize("labels", [np.zeros((2, 2, 3), int), np.zeros((0, 2), int)], ids=["3D", "empty"])
    def test_other_shapes_are_refused(self, labels: np.ndarray, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"expected \(H, W\)"):
            write_labels(tmp_path / "a.tif", labels)

    @pytest.mark.parametrize("labels", [[[-1, 2]], [[0.5, 1.0]]], ids=["negative", "fractions"])
    def test_other_values_are_refused(self, labels: Any, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="expected whole numbers from 0"):
            write_labels(tmp_path / "a.tif", labels)

    def test_suffix_and_folder_are_checked_beforehand(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"ends in '\.jpg'; expected one of \.png"):
            require_label_suffix(tmp_path / "a.jpg")
        with pytest.raises(FileNotFoundError, match="no folder"):
            require_label_suffix(tmp_path / "no" / "a.png")

    def test_killed_while_writing_leaves_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write_labels(tmp_path / "a.png", GREY)

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            write_labels(path, GREY * 0)
        monkeypatch.undo()
        np.testing.assert_array_equal(read_image(path), GREY)
        assert os.listdir(tmp_path) == ["a.png"]

    def test_every_written_format_can_be_read(self) -> None:
        assert set(LABEL_SUFFIXES) <= set(IMAGE_SUFFIXES)
