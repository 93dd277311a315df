"""TIFF stacks in, lazily, with what ImageJ and OME say of them; label stacks out."""

from __future__ import annotations

import logging
import math
import threading
import weakref
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext._whole_file import whole_file
from napari_segnext.errors import VolumeError
from napari_segnext.io.label_values import planes_of
from napari_segnext.io.units import in_unit, unit_named
from napari_segnext.io.volume_parts import built_volume, name_of, placed_axes, rearranged, spacing_of_axes
from napari_segnext.volumes import READ_ERRORS, VolumeSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_segnext.volumes import LazyArray, Volume

TIFF_SUFFIXES = (".tif", ".tiff")

FORMAT = "tiff"

_MAX_IMAGEJ_BYTES = 2**31
"""Larger labels are written as OME-TIFF: ImageJ's layout has no offsets of 64 bits."""


@dataclass(frozen=True, slots=True)
class _Metadata:
    """What a file says of its voxels: as in `Volume`, with 1 and empty for what it does not say."""

    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    unit: str = ""
    time_step: float = 1.0
    time_unit: str = ""
    channel_names: tuple[str, ...] = ()


_AXES = {"T": "t", "Z": "z", "Y": "y", "X": "x", "C": "c", "S": "c"}
_UNKNOWN_AXES = "IQ"
"""Letters by which tifffile names series of pages of which the file does not say what they are; taken for Z."""


def read_tiff(path: Path) -> Volume:
    """Read a TIFF stack: uncompressed ones as a memory map, others tile by tile as they are asked for.

    Spacing, unit and axes come from OME or ImageJ metadata; dots per inch say nothing of voxels and are passed over.
    Pages of which the file does not say what they are are slices along Z. Without Z, time is axis 0 and named so.

    Parameters
    ----------
    path
        Ends in .tif or .tiff.

    Returns
    -------
    Volume
        `(Z, Y, X)`, with channels last and time first where there are such; a pyramid's levels are kept.

    Raises
    ------
    VolumeError
        If the file is broken, or holds several images of different sizes.
    """
    import tifffile

    try:
        with _lost_pages_are_errors(path), tifffile.TiffFile(path) as file:
            series = file.series
            if len(series) != 1:
                raise VolumeError(
                    f"'{path}' holds {len(series)} images of different kinds or sizes; expected one stack. "
                    "Save the one that is wanted as its own file."
                )
            letters = str(series[0].axes)
            axes = placed_axes(_axis_names(letters), series[0].shape, path)
            arrays = [_opened(path, series[0], level) for level in range(len(series[0].levels))]
            metadata = _metadata(file)
    except VolumeError:
        raise
    except (*READ_ERRORS, ArithmeticError, MemoryError, SyntaxError) as error:
        raise VolumeError(
            f"'{path}' cannot be read as TIFF ({type(error).__name__}: {str(error)[:120]}); expected a whole stack. "
            "Copy or save it again."
        ) from error
    has_named_channels = axes.has_channels and letters[axes.order[-1] or 0] == "C"
    levels = [rearranged(array, axes.order, axes.fixed) for array in arrays]
    return built_volume(
        path,
        array=levels[0],
        levels=tuple(levels) if len(levels) > 1 else (),
        axis_names=axes.names,
        spacing=spacing_of_axes(axes, metadata.spacing, metadata.time_step),
        unit=metadata.unit,
        time_step=metadata.time_step,
        time_unit=metadata.time_unit,
        channel_names=_channel_names(metadata.channel_names, levels[0].shape[-1]) if has_named_channels else (),
        name=name_of(path),
        source=VolumeSource(path, FORMAT),
    )


def write_tiff_labels(path: Path, labels: LazyArray, like: Volume) -> None:
    """Write labels slice by slice, with spacing, unit and axes of a volume.

    The file is made for ImageJ; if it is named .ome.tif, has labels above 65535 or more than 2 GB, it is OME-TIFF.

    Parameters
    ----------
    path
        Ends in .tif or .tiff; replaced whole.
    labels
        `(Z, Y, X)` or `(T, Z, Y, X)` uint8, uint16 or uint32, maybe lazy.
    like
        The volume that was labelled.
    """
    import tifffile

    shape, dtype = tuple(int(n) for n in labels.shape), np.dtype(labels.dtype)
    names = like.axis_names[-len(shape) :]
    axes = "".join(name.upper() if name in _AXES.values() else "Z" for name in names)
    is_ome = (
        ".ome." in path.name.lower()
        or dtype.itemsize > 2
        or math.prod(shape) * dtype.itemsize > _MAX_IMAGEJ_BYTES
        or len(set(axes)) < len(axes)
    )
    z, y, x = like.spacing
    if is_ome:
        unit = {"um": "µm", "angstrom": "Å"}.get(like.unit, like.unit)
        sizes = {"X": x, "Y": y} if axes[0] == "T" and len(axes) == 3 else {"X": x, "Y": y, "Z": z}
        metadata: dict[str, Any] = {"axes": axes}
        for letter, size in sizes.items():
            metadata[f"PhysicalSize{letter}"] = size
            # without a unit OME means micrometres; pixels are no length
            metadata[f"PhysicalSize{letter}Unit"] = unit or "pixel"
        if "T" in axes:
            metadata |= {"TimeIncrement": like.time_step, "TimeIncrementUnit": like.time_unit or "s"}
        options: dict[str, Any] = {"ome": True, "bigtiff": math.prod(shape) * dtype.itemsize > _MAX_IMAGEJ_BYTES}
    else:
        metadata = {"axes": axes, "spacing": z, "unit": like.unit or "pixel"}
        if "T" in axes:
            metadata["finterval"] = like.time_step
        options = {"imagej": True, "resolution": (1 / x, 1 / y)}
    with whole_file(path) as unfinished:
        tifffile.imwrite(
            unfinished,
            (np.ascontiguousarray(plane, dtype=dtype) for plane in planes_of(labels)),
            shape=shape,
            dtype=dtype,
            photometric="minisblack",
            compression="zlib",
            metadata=metadata,
            **options,
        )


def _opened(path: Path, series: Any, level: int) -> LazyArray:
    import tifffile

    if level == 0 and series.dataoffset is not None and len(series.levels) == 1:
        mapped: LazyArray = tifffile.memmap(path, mode="r", series=0)
        return mapped
    _require_decoder(path, series.keyframe.compression)

    import zarr

    store = tifffile.imread(path, aszarr=True, series=0, level=level)
    opened = zarr.open(store, mode="r")
    # the file stays open as long as its array is used
    weakref.finalize(opened, store.close)
    if not isinstance(opened, zarr.Array):
        raise VolumeError(f"'{path}' holds a group of images; expected one stack. Save it as its own file.")
    return opened


def _require_decoder(path: Path, compression: Any) -> None:
    import tifffile

    try:
        tifffile.TIFF.DECOMPRESSORS[compression]
    except KeyError:
        raise VolumeError(
            f"'{path}' is compressed by {getattr(compression, 'name', compression)}, which needs the package "
            "imagecodecs. Install it (pip install imagecodecs), or save the stack uncompressed or with zlib."
        ) from None


class _LostPages(logging.Handler):
    """Keeps what tifffile only logs when the chain of pages breaks off: a file that was cut short would lose slices."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.thread = threading.get_ident()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.thread == self.thread and ("page offset" in message or "offset to page" in message):
            self.messages.append(message)


@contextmanager
def _lost_pages_are_errors(path: Path) -> Iterator[None]:
    handler = _LostPages()
    logger = logging.getLogger("tifffile")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
    if handler.messages:
        raise VolumeError(
            f"'{path}' cannot be read as TIFF ({handler.messages[0][:120]}): it is cut short, and slices are missing; "
            "expected a whole stack. Copy or save it again."
        )


def _axis_names(letters: str) -> tuple[str, ...]:
    """Our names of the axes; empty for those of which nothing is known."""
    unknown = "" if "Z" in letters else "z"
    return tuple(unknown if letter in _UNKNOWN_AXES else _AXES.get(letter, "") for letter in letters)


def _metadata(file: Any) -> _Metadata:
    if file.is_ome and file.ome_metadata:
        return _ome_metadata(file.ome_metadata)
    described = file.imagej_metadata if file.is_imagej else (file.shaped_metadata or ({},))[0]
    described = described or {}
    if not described.keys() & {"spacing", "unit", "finterval"} or described.get("unit") == "inch":
        return _Metadata()
    tags = file.pages[0].tags
    return _Metadata(
        spacing=(
            _size(described.get("spacing")),
            _pixel_size(tags.get("YResolution")),
            _pixel_size(tags.get("XResolution")),
        ),
        unit=unit_named(described.get("unit")),
        time_step=_size(described.get("finterval")),
        time_unit="s" if described.get("finterval") else "",
    )


def _ome_metadata(xml: str) -> _Metadata:
    import tifffile

    image = tifffile.xml2dict(xml)["OME"]["Image"]
    pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
    if "PhysicalSizeX" not in pixels:
        unit, spacing = "", (1.0, 1.0, 1.0)
    else:
        # sizes without a unit are micrometres; those of other axes are turned into the unit of X
        units = {axis: unit_named(pixels.get(f"PhysicalSize{axis}Unit", "um")) for axis in "ZYX"}
        unit = units["X"]
        z, y, x = (in_unit((_size(pixels.get(f"PhysicalSize{axis}")),), units[axis], unit)[0] for axis in "ZYX")
        spacing = (z, y, x)
    channels = pixels.get("Channel", [])
    names = [channel.get("Name", "") for channel in (channels if isinstance(channels, list) else [channels])]
    has_time_step = "TimeIncrement" in pixels
    return _Metadata(
        spacing=spacing,
        unit=unit,
        time_step=_size(pixels.get("TimeIncrement")),
        time_unit=unit_named(pixels.get("TimeIncrementUnit", "s")) if has_time_step else "",
        channel_names=tuple(str(name) for name in names),
    )


def _size(value: Any) -> float:
    """A size above 0; 1 for what is none."""
    try:
        size = abs(float(value))
    except (TypeError, ValueError):
        return 1.0
    return size if np.isfinite(size) and size > 0 else 1.0


def _pixel_size(tag: Any) -> float:
    """Size of a pixel by a tag of pixels per unit, a fraction; 1 without."""
    if tag is None:
        return 1.0
    numerator, denominator = tag.value
    return _size(denominator / numerator) if numerator else 1.0


def _channel_names(found: tuple[str, ...], n_channels: int) -> tuple[str, ...]:
    names = found if len(found) == n_channels else ("",) * n_channels
    return tuple(name or f"channel {number}" for number, name in enumerate(names, start=1))
