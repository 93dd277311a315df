"""Files of `everything`: an image that is read by windows, and a label image that is written by rectangles."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_segnext.commands.exits import CommandError
from napari_segnext.everything.settings import is_large

if TYPE_CHECKING:
    from napari_segnext.everything.large_image import LargeImage
    from napari_segnext.everything.mosaic import WritableLabels
    from napari_segnext.volumes import Volume

_TIFF_SUFFIXES = (".tif", ".tiff")
_ZARR_SUFFIX = ".zarr"

_ZARR_MARKS = (".zarray", ".zgroup", ".zattrs", "zarr.json")
"""Files of which a zarr folder has one at least; any other folder is not replaced."""

_CHUNK_PX = 1024
"""Side of a chunk of zarr."""

_TIFF_TILE_PX = 512
_MAX_PLAIN_TIFF_BYTES = 2**31
"""Larger ones need offsets of 64 bits."""


@dataclass(frozen=True)
class OpenedImage:
    """An image, read already or not.

    Attributes
    ----------
    pixels
        `(H, W)` or `(H, W, C)`.
    spacing
        Size of a pixel along (row, column), in `unit`.
    unit
        Such as `"um"`; empty if unknown.
    """

    pixels: "LargeImage"
    spacing: tuple[float, float] = (1.0, 1.0)
    unit: str = ""


def opened_image(path: Path, *, level: int = 0, is_tiled: bool | None = None) -> OpenedImage:
    """Open an image; zarr lazily, and TIFFs if they are large or tiles are asked for.

    Parameters
    ----------
    path
        PNG, JPEG, BMP, TIFF, or a zarr array or OME-Zarr image.
    level
        Of a file that has several, 0 is the finest.
    is_tiled
        Whether it is worked through in tiles; None if it is large.

    Raises
    ------
    CommandError
        If there is no such level, or more than one image.
    """
    from napari_segnext.io import is_zarr, read_image, read_volume

    if is_zarr(path) or _is_lazy_tiff(path, wants_level=level > 0, is_tiled=is_tiled):
        return _plane_of(read_volume(path), path, level)
    pixels = read_image(path)
    if level != 0:
        raise CommandError(f"'{path}' has one level only, 0; expected no --level {level}. Leave it out.")
    return OpenedImage(pixels)


def require_output(path: Path, image: Path) -> None:
    """Refuse a path that no label image can be written to.

    Raises
    ------
    CommandError
        If its suffix is unknown, or it is the image itself, or no zarr although it is named so.
    FileNotFoundError
        If its folder does not exist.
    """
    from napari_segnext.io import require_label_suffix

    if path.suffix.lower() == _ZARR_SUFFIX:
        if not path.resolve().parent.is_dir():
            raise FileNotFoundError(
                f"there is no folder '{path.resolve().parent}' to write '{path.name}' to. Make it first."
            )
        if path.exists() and not any((path / mark).is_file() for mark in _ZARR_MARKS):
            raise CommandError(f"'{path}' exists and is no zarr; expected a free name. Choose another one.")
    else:
        require_label_suffix(path)
    if path.exists() and image.exists() and path.resolve() == image.resolve():
        raise CommandError(f"'{path}' is the image itself; expected another file. Choose another name after -o.")


@contextmanager
def labels_file(path: Path, like: OpenedImage) -> "Iterator[WritableLabels]":
    """A label image to write into by rectangles; the file is there, whole, once the block has ended.

    Parameters
    ----------
    path
        Ends in .zarr (OME-Zarr 0.4), .tif, .tiff or .png.
    like
        The image.

    Yields
    ------
    array-like
        `(H, W)` uint32, zeros, on disk.
    """
    shape = (like.pixels.shape[0], like.pixels.shape[1])
    if path.suffix.lower() == _ZARR_SUFFIX:
        with _zarr_labels(path, shape, like) as labels:
            yield labels
        return
    import numpy as np

    with tempfile.TemporaryFile(prefix="napari-segnext-labels-", dir=path.resolve().parent) as file:
        scratch = np.memmap(file, np.uint32, "w+", shape=shape)
        yield scratch
        if path.suffix.lower() in _TIFF_SUFFIXES:
            _write_tiled_tiff(path, scratch)
        else:
            from napari_segnext.io import write_labels

            write_labels(path, scratch)


def _is_lazy_tiff(path: Path, *, wants_level: bool, is_tiled: bool | None) -> bool:
    """Whether a file is a TIFF that is better not read as a whole; those with a palette need all of it."""
    from napari_segnext.io import read_image_size

    if path.suffix.lower() not in _TIFF_SUFFIXES or not path.is_file():
        return False
    wants_tiles = is_large(read_image_size(path)) if is_tiled is None else is_tiled
    if not (wants_tiles or wants_level):
        return False
    import tifffile

    with tifffile.TiffFile(path) as file:
        return int(file.pages[0].photometric) != int(tifffile.PHOTOMETRIC.PALETTE)


def _plane_of(volume: "Volume", path: Path, level: int) -> OpenedImage:
    from napari_segnext.everything.large_image import Plane

    if volume.has_time or volume.shape_zyx[0] != 1:
        n_times = f"{volume.n_times} time points of " if volume.has_time else ""
        raise CommandError(
            f"'{path}' holds {n_times}{volume.shape_zyx[0]} slices; expected one image. "
            "Save the slice that is wanted as its own file."
        )
    levels = volume.levels or (volume.array,)
    if not 0 <= level < len(levels):
        shapes = ", ".join(f"{i}: {each.shape[1]} × {each.shape[2]}" for i, each in enumerate(levels))
        raise CommandError(f"'{path}' has no level {level}; expected one of these (rows × columns): {shapes}.")
    array = levels[level]
    factors = [volume.shape_zyx[axis] / array.shape[axis] for axis in (1, 2)]
    rows, columns = volume.plane_spacing(0)
    pixels = Plane(array, (0, slice(None), slice(None)))
    return OpenedImage(pixels, (rows * factors[0], columns * factors[1]), volume.unit)


@contextmanager
def _zarr_labels(path: Path, shape: tuple[int, int], like: OpenedImage) -> Iterator[Any]:
    import numpy as np
    import zarr

    from napari_segnext._whole_file import whole_folder
    from napari_segnext.io import LONG_NAMES

    unit = {"unit": LONG_NAMES[like.unit]} if like.unit in LONG_NAMES else {}
    multiscale: dict[str, Any] = {
        "version": "0.4",
        "name": path.stem,
        "axes": [{"name": name, "type": "space", **unit} for name in ("y", "x")],
        "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [*like.spacing]}]}],
    }
    attributes: dict[str, Any] = {"multiscales": [multiscale], "image-label": {"version": "0.4"}}
    with whole_folder(path) as unfinished:
        group = zarr.open_group(str(unfinished), mode="w", zarr_format=2, attributes=attributes)
        yield group.create_array(
            "0",
            shape=shape,
            chunks=tuple(min(n, _CHUNK_PX) for n in shape),
            dtype=np.dtype(np.uint32),
            fill_value=0,
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )


def _write_tiled_tiff(path: Path, labels: Any) -> None:
    """Write `(H, W)` labels in tiles of the smallest unsigned dtype, whole or not at all."""
    import numpy as np
    import tifffile

    from napari_segnext._whole_file import whole_file

    rows, columns = labels.shape
    bands = [slice(top, top + _TIFF_TILE_PX) for top in range(0, rows, _TIFF_TILE_PX)]
    dtype = np.min_scalar_type(max(int(labels[band].max()) for band in bands))

    def tiles() -> "Iterator[Any]":
        for band in bands:
            for left in range(0, columns, _TIFF_TILE_PX):
                part = labels[band, left : left + _TIFF_TILE_PX]
                tile = np.zeros((_TIFF_TILE_PX, _TIFF_TILE_PX), dtype)
                tile[: part.shape[0], : part.shape[1]] = part
                yield tile

    with whole_file(path) as unfinished:
        tifffile.imwrite(
            unfinished,
            tiles(),
            shape=(rows, columns),
            dtype=dtype,
            tile=(_TIFF_TILE_PX, _TIFF_TILE_PX),
            photometric="minisblack",
            compression="zlib",
            metadata={"axes": "YX"},
            bigtiff=rows * columns * dtype.itemsize > _MAX_PLAIN_TIFF_BYTES,
        )
