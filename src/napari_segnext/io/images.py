"""Plain images: PNG, JPEG, BMP and TIFF in, PNG and TIFF label images out."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext._whole_file import whole_file
from napari_segnext.errors import ImageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_segnext._types import Image, Shape2D

_TIFF_SUFFIXES = (".tif", ".tiff")

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", *_TIFF_SUFFIXES)
"""Suffixes, in lower case, of images that `read_image` reads."""

LABEL_SUFFIXES = (".png", *_TIFF_SUFFIXES)
"""Suffixes, in lower case, of label images that `write_labels` writes."""

_MAX_CHANNELS = 4

_DECODER_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    EOFError,
    SyntaxError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""What Pillow and tifffile raise on broken files."""


def read_image(path: Path | str, *, keeps_palette_indices: bool = False) -> Image:
    """Read one image, pixels as they are stored.

    Parameters
    ----------
    path
        PNG, JPEG, BMP or TIFF; of a TIFF the channel axis is moved last.
    keeps_palette_indices
        Whether images with a palette are read as its indices, as label images want it, and not as RGB.

    Returns
    -------
    ndarray
        `(H, W)` or `(H, W, C)` with 2 to 4 channels, dtype as in the file; a one-bit image is bool.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImageError
        If the suffix is unknown, the file is broken, or it holds more than one image.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no image '{path}'. Check the path.")
    suffix = path.suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        raise ImageError(
            f"'{path}' ends in '{path.suffix}'; expected one of {', '.join(IMAGE_SUFFIXES)}. "
            "Save the image, or one slice of the volume, in one of these formats."
        )
    try:
        read = _read_tiff if suffix in _TIFF_SUFFIXES else _read_with_pillow
        array = read(path, keeps_palette_indices)
    except ImageError:
        raise
    except _DECODER_ERRORS as error:
        raise ImageError(
            f"'{path}' cannot be read as an image ({type(error).__name__}: {str(error)[:120]}). "
            "The file may be damaged or cut short: copy or save it again."
        ) from error
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] > _MAX_CHANNELS):
        raise ImageError(
            f"'{path}' holds an array of shape {array.shape}; expected one image, (H, W) or (H, W, C) with at most "
            f"{_MAX_CHANNELS} channels. Save the slice that is wanted as its own file."
        )
    return array


def read_image_size(path: Path | str) -> Shape2D:
    """(rows, columns) of an image, from its header alone.

    Parameters
    ----------
    path
        As in `read_image`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImageError
        If the file is broken.
    """
    import PIL.Image

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no image '{path}'. Check the path.")
    try:
        if path.suffix.lower() not in _TIFF_SUFFIXES:
            with PIL.Image.open(path) as image:
                return image.height, image.width
        import tifffile

        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            return int(page.imagelength), int(page.imagewidth)
    except (*_DECODER_ERRORS, PIL.Image.DecompressionBombError) as error:
        raise ImageError(
            f"'{path}' cannot be read as an image ({type(error).__name__}: {str(error)[:120]}). "
            "The file may be damaged or cut short: copy or save it again."
        ) from error


def require_label_suffix(path: Path | str) -> Path:
    """The path, if label images can be written to it.

    Raises
    ------
    ValueError
        If its suffix is unknown.
    FileNotFoundError
        If its folder does not exist.
    """
    path = Path(path)
    if path.suffix.lower() not in LABEL_SUFFIXES:
        raise ValueError(
            f"'{path}' ends in '{path.suffix}'; expected one of {', '.join(LABEL_SUFFIXES)} for a label image. "
            "Give it such a suffix."
        )
    if not path.resolve().parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder '{path.resolve().parent}' to write '{path.name}' to. Make it first."
        )
    return path


def write_labels(path: Path | str, labels: ArrayLike) -> Path:
    """Write a mask or label image, whole or not at all.

    Parameters
    ----------
    path
        Ends in .png, .tif or .tiff.
    labels
        `(H, W)` bool or whole numbers from 0; stored as uint8 if they fit, else as uint16, else (TIFF only) as uint32.
        A bool mask becomes 0 and 1.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If the suffix is unknown, or the values do not fit the format.
    FileNotFoundError
        If its folder does not exist.
    """
    path = require_label_suffix(path)
    array = _smallest(np.asarray(labels))
    is_tiff = path.suffix.lower() in _TIFF_SUFFIXES
    if not is_tiff and array.dtype == np.uint32:
        raise ValueError(f"label {array.max()} does not fit a PNG; expected at most 65535. Write a .tif instead.")
    with whole_file(path) as unfinished:
        unfinished.write_bytes(_tiff_bytes(array) if is_tiff else _png_bytes(array))
    return path


def _read_tiff(path: Path, keeps_palette_indices: bool) -> NDArray[Any]:
    import tifffile

    with tifffile.TiffFile(path) as file:
        if not file.series:
            raise ImageError(f"'{path}' holds no image; expected one. Save it again.")
        series = file.series[0]
        array, axes = np.asarray(series.asarray()), str(series.axes)
        is_palette = file.pages[0].photometric == 3 and not keeps_palette_indices
        if is_palette:
            array = _through_palette(array, np.asarray(file.pages[0].colormap))
    kept = tuple(axis for axis, size in enumerate(array.shape) if size > 1 or axes[axis : axis + 1] in ("Y", "X"))
    if len(kept) >= 2 and not is_palette:
        axes = "".join(axes[axis] for axis in kept)
        array = array.reshape([array.shape[axis] for axis in kept])
    if len(file.series) > 1:
        raise ImageError(
            f"'{path}' holds {len(file.series)} series of images; expected one image. "
            "Save the one that is wanted as its own file."
        )
    if array.ndim == 3 and array.shape[2] == 1:
        # (H, W, 1), which TIFF writers take for H images of one column
        return array[..., 0]
    if array.ndim == 3 and axes[0] in "CS" and array.shape[0] <= _MAX_CHANNELS:
        array = np.moveaxis(array, 0, -1)
    elif array.ndim == 3 and axes[-1] not in "CS" and not is_palette:
        raise ImageError(
            f"'{path}' holds {array.shape[0]} images of {array.shape[1]} × {array.shape[2]} pixels (axes {axes}); "
            "expected one. Save the slice that is wanted as its own file."
        )
    return array


def _through_palette(indices: NDArray[Any], palette: NDArray[Any]) -> NDArray[Any]:
    """`(H, W)` → `(H, W, 3)` uint8."""
    return np.moveaxis((palette >> 8).astype(np.uint8)[:, indices], 0, -1)


def _read_with_pillow(path: Path, keeps_palette_indices: bool) -> NDArray[Any]:
    import PIL.Image

    try:
        with PIL.Image.open(path) as file:
            if file.mode == "P" and keeps_palette_indices:
                return np.asarray(file)
            if file.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV"):
                is_clear = file.mode == "PA" or "transparency" in file.info
                return np.asarray(file.convert("RGBA" if is_clear else "RGB"))
            if file.mode == "LA":
                return np.asarray(file)[..., 0]
            return np.asarray(file)
    except PIL.Image.DecompressionBombError as error:
        raise ImageError(f"'{path}' is too large for one image ({error}). Cut it into smaller images.") from error


def _smallest(array: NDArray[Any]) -> NDArray[Any]:
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"labels have shape {array.shape}; expected (H, W).")
    if array.dtype == bool:
        return array.astype(np.uint8)
    if array.dtype.kind not in "ui" or array.min() < 0 or array.max() > np.iinfo(np.uint32).max:
        raise ValueError(
            f"labels have dtype {array.dtype} and values from {array.min()} to {array.max()}; "
            "expected whole numbers from 0 to 4294967295."
        )
    return array.astype(np.min_scalar_type(int(array.max())))


def _tiff_bytes(array: NDArray[Any]) -> bytes:
    import tifffile

    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, compression="zlib", photometric="minisblack", metadata={"axes": "YX"})
    return buffer.getvalue()


def _png_bytes(array: NDArray[Any]) -> bytes:
    import PIL.Image

    buffer = io.BytesIO()
    PIL.Image.fromarray(array).save(buffer, format="png")
    return buffer.getvalue()
