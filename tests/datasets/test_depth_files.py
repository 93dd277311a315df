"""Depth beside the images and labels of a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest
import tifffile

from napari_segnext.datasets import open_dataset

if TYPE_CHECKING:
    from pathlib import Path


def make_folder(root: Path, depth: np.ndarray, suffix: str = ".tif", stem: str = "a") -> None:
    for name in ("images", "labels", "depth"):
        (root / name).mkdir()
    picture = PIL.Image.fromarray(np.eye(6, 8, dtype=np.uint8))
    picture.save(root / "images" / "a.png")
    picture.save(root / "labels" / "a.png")
    path = root / "depth" / f"{stem}{suffix}"
    tifffile.imwrite(path, depth) if suffix == ".tif" else PIL.Image.fromarray(depth).save(path)


@pytest.mark.parametrize(
    ("dtype", "suffix"),
    [("float32", ".tif"), ("float64", ".tif"), ("uint16", ".png"), ("uint8", ".png")],
    ids=["float TIFF", "double TIFF", "16-bit PNG", "8-bit PNG"],
)
def test_folder_reads_depth_as_it_is_in_the_file(tmp_path, dtype, suffix):
    depth = np.arange(48).reshape(6, 8).astype(dtype) * 5
    make_folder(tmp_path, depth, suffix)
    loaded = open_dataset("folder", tmp_path).images[0].read()
    assert loaded.depth is not None
    assert loaded.depth.dtype == np.float32
    assert np.array_equal(loaded.depth, depth)


def test_unknown_depth_is_nan(tmp_path):
    depth = np.ones((6, 8), np.float32)
    depth[0, 0], depth[1, 1] = np.nan, np.inf
    make_folder(tmp_path, depth)
    loaded = open_dataset("folder", tmp_path).images[0].read()
    assert loaded.depth is not None
    assert np.isnan(loaded.depth[[0, 1], [0, 1]]).all()
    assert np.isfinite(loaded.depth).sum() == 46


def test_folder_without_depth_has_none(tmp_path):
    make_folder(tmp_path, np.ones((6, 8), np.float32))
    (tmp_path / "depth" / "a.tif").unlink()
    (tmp_path / "depth").rmdir()
    assert open_dataset("folder", tmp_path).images[0].read().depth is None


def test_depth_of_another_size_is_refused_in_words(tmp_path):
    make_folder(tmp_path, np.ones((6, 9), np.float32))
    with pytest.raises(ValueError, match=r"6 × 8 pixels and '.*a\.tif' 6 × 9; expected equal sizes"):
        open_dataset("folder", tmp_path).images[0].read()


def test_image_without_depth_beside_others_is_refused_in_words(tmp_path):
    make_folder(tmp_path, np.ones((6, 8), np.float32), stem="b")
    with pytest.raises(FileNotFoundError, match="1 of 1 images have no depth of the same name"):
        open_dataset("folder", tmp_path)


def test_colours_are_no_depth(tmp_path):
    make_folder(tmp_path, np.arange(144, dtype=np.uint8).reshape(6, 8, 3), ".png")
    with pytest.raises(ValueError, match="colour image; expected depth of shape"):
        open_dataset("folder", tmp_path).images[0].read()
