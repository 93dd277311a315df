"""NIfTI volumes, .nii and .nii.gz, in; labels with the same geometry out.

The axes of a file are turned round and nothing else: (x, y, z[, t]) is read as ([T, ]Z, Y, X), no axis is flipped and
no voxel resampled. The affine is turned round likewise, its world too: it leads from (Z, Y, X) to (towards the head,
the front, the right).
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext._whole_file import whole_file
from napari_segnext.errors import VolumeError
from napari_segnext.io.units import in_unit, unit_named
from napari_segnext.io.volume_parts import built_volume, name_of, rearranged
from napari_segnext.volumes import VolumeSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext.volumes import LazyArray, Volume

NIFTI_SUFFIXES = (".nii", ".nii.gz")

FORMAT = "nifti"

_BYTE_ORDER = "<"
"""Of the header bytes that a volume keeps."""

_NIFTI1_HEADER_BYTES = 348

_DECODER_ERRORS = (OSError, EOFError, ValueError, TypeError, LookupError, ArithmeticError, struct.error, zlib.error)


class _ScaledProxy:
    """nibabel's lazy array with the dtype that its numbers have once they are scaled."""

    def __init__(self, dataobj: Any) -> None:
        self._dataobj = dataobj
        self.shape: tuple[int, ...] = tuple(int(n) for n in dataobj.shape)
        self.dtype: np.dtype[Any] = np.asarray(dataobj[(0,) * len(self.shape)]).dtype

    def __getitem__(self, key: Any) -> Any:
        return self._dataobj[key]


def read_nifti(path: Path | str) -> Volume:
    """Read a NIfTI file: slope and intercept applied, spacing and affine in the file's unit.

    A compressed file is read whole, any other one slice by slice as it is asked for. A unit that the file does not tell
    is taken for mm, as all programs for NIfTI do.

    Parameters
    ----------
    path
        Ends in .nii or .nii.gz.

    Returns
    -------
    Volume
        `(Z, Y, X)`, with several time points `(T, Z, Y, X)`, of an RGB file with channels last.

    Raises
    ------
    VolumeError
        If the file is broken or cut short, complex, or has more axes than time.
    """
    path = Path(path)
    image = _opened(path)
    try:
        array = _array_of(image, path)
    except VolumeError:
        raise
    except (*_DECODER_ERRORS, MemoryError) as error:
        raise VolumeError(
            f"'{path}' is cut short or broken ({str(error)[:120]}); expected a whole NIfTI file. Copy it anew."
        ) from error

    # Axes after the third: time if there is more than one point, and channels of an RGB file
    shape = tuple(int(n) for n in image.shape)
    if len(shape) < 2 or any(n > 1 for n in shape[4:]):
        raise VolumeError(f"'{path}' has shape {shape}; expected a volume of three axes, or four with time. Split it.")
    has_time = len(shape) > 3 and shape[3] > 1
    spatial = [2 if len(shape) > 2 else None, 1, 0]
    channels = [len(shape)] if len(array.shape) > len(shape) else []
    fixed = dict.fromkeys(range(4 if has_time else 3, len(shape)), 0)
    space_unit, time_unit = image.header.get_xyzt_units()
    affine = np.asarray(image.affine, dtype=np.float64)[[2, 1, 0, 3]][:, [2, 1, 0, 3]]
    return built_volume(
        path,
        array=rearranged(array, [*([3] if has_time else []), *spatial, *channels], fixed),
        spacing=tuple(float(size) for size in np.linalg.norm(affine[:3, :3], axis=0)),
        unit=unit_named(space_unit) or "mm",
        axis_names=("t", "z", "y", "x") if has_time else ("z", "y", "x"),
        affine=affine,
        name=name_of(path),
        time_step=_time_step(image) if has_time else 1.0,
        time_unit=unit_named(time_unit) if has_time else "",
        is_labels=image.header.get_intent()[0] == "label",
        source=VolumeSource(path, FORMAT, header=image.header.as_byteswapped(_BYTE_ORDER).binaryblock),
    )


def read_nifti_shape(path: Path | str) -> tuple[int, ...]:
    """Shape of the file's array in our order, (Z, Y, X) or (T, Z, Y, X), from the header alone; raises VolumeError."""
    return tuple(int(n) for n in reversed(_opened(Path(path)).shape))


def write_nifti_labels(path: Path, labels: LazyArray, like: Volume) -> None:
    """Write labels with the affine, codes, voxel sizes and units of a NIfTI volume, or else with its spacing.

    The file says that it holds labels (intent code 1002). Byte order is little; of the source's header the scaling, the
    display range and what its numbers mean are not kept.

    Parameters
    ----------
    path
        Ends in .nii or .nii.gz; replaced whole.
    labels
        `(Z, Y, X)` or `(T, Z, Y, X)` unsigned integers; lazy ones are read whole.
    like
        The volume that was labelled.
    """
    import nibabel

    array = _signed_if_large(np.asarray(labels[...]))
    header = _header_like(like)
    header.set_data_dtype(array.dtype)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0
    header.set_intent("label")
    header["descrip"] = b"labels by napari-segnext"
    kind = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    image = kind(array.T, header.get_best_affine(), header)
    with whole_file(path) as unfinished, unfinished.open("wb") as file:
        if path.name.lower().endswith(".gz"):
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0) as zipped:
                image.to_stream(zipped)
        else:
            image.to_stream(file)


def _opened(path: Path) -> Any:
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError, HeaderTypeError, ImageDataError

    try:
        image = nibabel.load(path)
        if not isinstance(image, (nibabel.Nifti1Image, nibabel.Nifti2Image)):
            raise ValueError(f"it is {type(image).__name__}")
        if any(n < 1 for n in image.shape):
            raise ValueError(f"its shape is {tuple(image.shape)}")
        return image
    except FileNotFoundError:
        raise
    except (*_DECODER_ERRORS, ImageFileError, HeaderDataError, HeaderTypeError, ImageDataError, MemoryError) as error:
        raise VolumeError(
            f"'{path}' cannot be read as NIfTI ({str(error)[:120]}); expected {' or '.join(NIFTI_SUFFIXES)}. "
            "Save it anew."
        ) from error


def _array_of(image: Any, path: Path) -> LazyArray:
    """The numbers in the file's order of axes, RGB as a last axis."""
    stored = image.get_data_dtype()
    if stored.kind == "c":
        raise VolumeError(
            f"'{path}' holds complex numbers ({stored}); expected real ones. Save magnitude or phase as its own file."
        )
    is_compressed = path.name.lower().endswith(".gz")
    if stored.names is None and not is_compressed:
        needed = int(image.dataobj.offset) + math.prod(image.shape) * stored.itemsize
        found = path.stat().st_size
        if found < needed:
            raise VolumeError(
                f"'{path}' is cut short or broken ({found} bytes, its header tells of {needed}); "
                "expected a whole NIfTI file. Copy it anew."
            )
        return _ScaledProxy(image.dataobj)
    array = _read_compressed(type(image), path) if is_compressed else np.asarray(image.dataobj)
    if stored.names is not None:
        return np.stack([array[channel] for channel in stored.names], axis=-1)
    return array


def _read_compressed(kind: Any, path: Path) -> NDArray[Any]:
    with gzip.open(path) as file:
        array = np.asarray(kind.from_stream(file).dataobj)
        # the checksum comes after the last byte; without it, damage would be read as numbers
        while file.read(2**20):
            pass
    return array


def _time_step(image: Any) -> float:
    step = float(image.header.get_zooms()[3])
    return step if np.isfinite(step) and step > 0 else 1.0


def _header_like(like: Volume) -> Any:
    import nibabel

    if like.source is not None and like.source.format == FORMAT and like.source.header:
        stored = like.source.header
        kind = nibabel.Nifti1Header if len(stored) == _NIFTI1_HEADER_BYTES else nibabel.Nifti2Header
        return kind(stored, endianness=_BYTE_ORDER)
    header = nibabel.Nifti1Header()
    unit = like.unit if like.unit in ("mm", "um", "m") else "um" if like.unit in ("nm", "angstrom") else "mm"
    spacing = in_unit(like.spacing, like.unit, unit)
    affine = np.diag([*reversed(spacing), 1.0])
    if like.source is not None and like.source.translation:
        affine[:3, 3] = in_unit(like.source.translation, like.unit, unit)[::-1]
    header.set_data_shape(like.shape_zyx[::-1])
    header.set_qform(affine, code="scanner")
    header.set_sform(affine, code="scanner")
    header.set_xyzt_units({"mm": "mm", "um": "micron", "m": "meter"}[unit] if like.unit else "unknown")
    return header


def _signed_if_large(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels above 65535 as int32, which more programs read than uint32, where they fit."""
    if labels.dtype == np.uint32 and labels.max() <= np.iinfo(np.int32).max:
        return labels.astype(np.int32)
    return labels
