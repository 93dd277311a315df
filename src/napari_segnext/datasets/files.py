"""Image and label files of datasets → arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.io import IMAGE_SUFFIXES, read_image

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_segnext._types import Image

_LOSSY_SUFFIXES = frozenset({".jpg", ".jpeg"})


def read_image_file(path: Path) -> Image:
    """Read a grey or RGB image.

    Parameters
    ----------
    path
        PNG, JPEG, BMP or TIFF. Palettes become RGB; an alpha channel is left out.

    Returns
    -------
    ndarray
        `(H, W)` or `(H, W, 3)`, dtype as in the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read, or holds no single grey or RGB image.
    """
    array = read_image(path)
    if array.ndim == 3 and array.shape[-1] in (1, 2):
        array = array[..., 0]
    if array.ndim == 3 and array.shape[-1] == 4:
        array = array[..., :3]
    if array.ndim == 2 or (array.ndim == 3 and array.shape[-1] == 3):
        return array
    raise ValueError(
        f"'{path}' holds an array of shape {array.shape}; expected (H, W) or (H, W, 3). "
        "Save each slice as its own file, with channels last."
    )


def read_label_file(path: Path) -> NDArray[np.int64]:
    """Read a label image: each value above 0 is one object.

    Parameters
    ----------
    path
        PNG, JPEG, BMP or TIFF; of palette images the indices are taken. A JPEG holds no exact
        labels and is taken as one mask: bright (above 127) is the object.

    Returns
    -------
    ndarray
        `(H, W)` int64: 0 background, 1 and up one object each, below 0 (signed files only) ignored.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read, or holds no single image of whole numbers.
    """
    array = read_image(path, keeps_palette_indices=True)
    if array.ndim == 3 and array.shape[-1] in (1, 2, 3, 4):
        array = _single_channel(array, path, "labels")
    if array.ndim != 2:
        raise ValueError(f"'{path}' holds an array of shape {array.shape}; expected labels of shape (H, W).")
    if path.suffix.lower() in _LOSSY_SUFFIXES:
        return (array > 127).astype(np.int64)
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (array == np.round(array)).all()):
        raise ValueError(f"'{path}' holds numbers with fractions; expected whole numbers. Save it as an integer image.")
    if array.dtype.kind not in "buif":
        raise ValueError(f"'{path}' has dtype {array.dtype}; expected whole numbers.")
    return array.astype(np.int64)


def read_mask_file(path: Path) -> NDArray[np.int64]:
    """Read a mask: every pixel with any channel above 0 belongs to the one object.

    Parameters
    ----------
    path
        PNG, JPEG, BMP or TIFF.

    Returns
    -------
    ndarray
        `(H, W)` int64: 0 background, 1 object.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read or holds no single image.
    """
    array = read_image_file(path)
    is_object = np.atleast_3d(array > 0).any(axis=-1)
    return np.asarray(is_object, dtype=np.int64)


def read_first_channel(path: Path) -> NDArray[Any]:
    """`(H, W)` array: a grey image, or the first (red) channel of an RGB one; raises as `read_image_file` does."""
    array = read_image_file(path)
    return array[..., 0] if array.ndim == 3 else array


def read_depth_file(path: Path) -> NDArray[np.float32]:
    """Read inverse depth, such as a disparity or height map: larger is nearer.

    Parameters
    ----------
    path
        TIFF of floats or whole numbers, or PNG of 8 or 16 bits.

    Returns
    -------
    ndarray
        `(H, W)` float32, values as in the file; NaN and infinity (floats only) are NaN: unknown.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read, or holds no single image of numbers.
    """
    array = read_image(path)
    if array.ndim == 3 and array.shape[-1] in (1, 2, 3, 4):
        array = _single_channel(array, path, "depth")
    if array.ndim != 2 or array.dtype.kind not in "buif":
        raise ValueError(
            f"'{path}' holds an array of shape {array.shape} and dtype {array.dtype}; expected numbers of shape (H, W)."
            " Save one number per pixel, larger where it is nearer."
        )
    depth = array.astype(np.float32)
    depth[~np.isfinite(depth)] = np.nan
    return depth


def image_files(folder: Path) -> list[Path]:
    """Image files right in a folder, hidden ones left out, sorted by name.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder '{folder}'; expected one with images. Check the dataset's root.")
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    if not files:
        raise FileNotFoundError(f"'{folder}' holds no image file; expected at least one. Check the dataset's root.")
    return files


def matched_by_stem(
    images: Iterable[Path], labels: Iterable[Path], *, up_to_first_dot: bool = False, kind: str = "label"
) -> list[tuple[str, Path, Path]]:
    """Pair images and labels whose file names are equal up to the suffix.

    Parameters
    ----------
    images, labels
        Files; labels without an image are passed over.
    up_to_first_dot
        Compare names up to their first dot instead of their last.
    kind
        What the labels are, if not labels; for the message.

    Returns
    -------
    list of tuple
        (stem, image, label), in the order of the images.

    Raises
    ------
    FileNotFoundError
        If an image has no label.
    ValueError
        If two images, or two labels, have the same stem.
    """
    by_stem = _by_stem(labels, up_to_first_dot)
    pairs = list(_by_stem(images, up_to_first_dot).items())
    missing = [path for stem, path in pairs if stem not in by_stem]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(pairs)} images have no {kind} of the same name, '{missing[0]}' first. "
            f"Add each {kind}, or move these images away."
        )
    return [(stem, path, by_stem[stem]) for stem, path in pairs]


def _by_stem(paths: Iterable[Path], up_to_first_dot: bool) -> dict[str, Path]:
    by_stem: dict[str, Path] = {}
    for path in paths:
        stem = path.name.split(".")[0] if up_to_first_dot else path.stem
        if stem in by_stem:
            raise ValueError(f"'{by_stem[stem]}' and '{path}' have the same stem; expected one file each. Remove one.")
        by_stem[stem] = path
    return by_stem


def _single_channel(array: NDArray[Any], path: Path, kind: str) -> NDArray[Any]:
    """The one channel of labels or depth that was saved with several equal ones, its alpha left out."""
    colours = array[..., :1] if array.shape[-1] == 2 else array[..., :3]
    if (colours != colours[..., :1]).any():
        raise ValueError(
            f"'{path}' is a colour image; expected {kind} of shape (H, W), one number per pixel. "
            "Save numbers instead of colours."
        )
    return colours[..., 0]
