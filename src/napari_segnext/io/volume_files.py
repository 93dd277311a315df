"""Which format reads and writes which file: the one table of volumes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.errors import VolumeError
from napari_segnext.io.brats_case import is_brats_case
from napari_segnext.io.image_folder import list_images, read_image_folder, read_single_image
from napari_segnext.io.images import IMAGE_SUFFIXES
from napari_segnext.io.label_values import ConvertedLabels, fitting_dtype, required_labels, values_of
from napari_segnext.io.nifti import NIFTI_SUFFIXES, read_nifti, write_nifti_labels
from napari_segnext.io.ome_zarr import is_zarr, read_zarr, write_zarr_labels
from napari_segnext.io.sstem_folder import RAW, is_sstem_folder, read_sstem_folder
from napari_segnext.io.tiff_stack import TIFF_SUFFIXES, read_tiff, write_tiff_labels
from napari_segnext.io.volume_parts import suffix_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_segnext.volumes import Volume


@dataclass(frozen=True, slots=True)
class VolumeFormat:
    """One row of the table.

    Attributes
    ----------
    name
        What to call it in errors.
    fits
        Whether a path that exists is of this format, by suffix or layout.
    read
        Path → volume.
    """

    name: str
    fits: Callable[[Path], bool]
    read: Callable[[Path], Volume]


def _has_suffix(*suffixes: str) -> Callable[[Path], bool]:
    return lambda path: path.is_file() and path.name.lower().endswith(suffixes)


def _read_raw(path: Path) -> Volume:
    return read_sstem_folder(path).images[RAW]


def _refuse_case(path: Path) -> Volume:
    raise VolumeError(
        f"'{path}' is a BraTS case of several contrasts; expected one volume. "
        "Name one of its files, or read all of them with `read_brats_case`."
    )


FORMATS = (
    VolumeFormat("NIfTI", _has_suffix(*NIFTI_SUFFIXES), read_nifti),
    VolumeFormat("TIFF", _has_suffix(*TIFF_SUFFIXES), read_tiff),
    VolumeFormat("image", _has_suffix(*(set(IMAGE_SUFFIXES) - set(TIFF_SUFFIXES))), read_single_image),
    VolumeFormat("zarr", is_zarr, read_zarr),
    VolumeFormat("ssTEM folder", lambda path: path.is_dir() and is_sstem_folder(path), _read_raw),
    VolumeFormat("BraTS case", lambda path: path.is_dir() and is_brats_case(path), _refuse_case),
    VolumeFormat("folder of images", lambda path: path.is_dir() and bool(list_images(path)), read_image_folder),
)
"""The first row that fits reads."""

_WRITERS: dict[str, Callable[[Path, Any, Volume], None]] = {
    **dict.fromkeys(NIFTI_SUFFIXES, write_nifti_labels),
    **dict.fromkeys((*TIFF_SUFFIXES, ".ome.tif", ".ome.tiff"), write_tiff_labels),
    **dict.fromkeys((".zarr", ".ome.zarr"), write_zarr_labels),
}

LABEL_VOLUME_SUFFIXES = tuple(_WRITERS)
"""Suffixes, in lower case, of label volumes that `write_labels_volume` writes."""


def read_volume(path: Path | str) -> Volume:
    """Read a volume, lazily where its format allows.

    Parameters
    ----------
    path
        A NIfTI file, TIFF stack, PNG, JPEG or BMP (one slice), zarr array or OME-Zarr image, a folder of numbered
        images, or an ssTEM folder with images in raw/.

    Returns
    -------
    Volume
        `(Z, Y, X)`, with channels last and time first where there are such.

    Raises
    ------
    FileNotFoundError
        If there is no such path.
    VolumeError
        If no format fits, or the file is broken or holds no single volume.
    ImageError
        If an image of a folder is broken.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no volume '{path}'. Check the path.")
    for volume_format in FORMATS:
        if volume_format.fits(path):
            return volume_format.read(path)
    if path.is_dir():
        raise VolumeError(
            f"'{path}' holds neither images nor zarr; expected a folder of images, raw/ with images, or .zarr. "
            "Check the path."
        )
    known = ", ".join([*NIFTI_SUFFIXES, *IMAGE_SUFFIXES, ".zarr"])
    raise VolumeError(f"'{path}' ends in '{path.suffix}'; expected one of {known}, or a folder of images. Convert it.")


def write_labels_volume(path: Path | str, labels: Any, like: Volume, *, per_object: bool = False) -> tuple[Path, ...]:
    """Write labels in the place of the volume on which they were drawn, each file whole or not at all.

    A NIfTI file keeps affine, orientation, codes, voxel sizes and units of a NIfTI source; other files keep spacing,
    unit and axes.

    Parameters
    ----------
    path
        Ends in .nii, .nii.gz, .tif, .tiff or .zarr; its folder exists.
    labels
        `(Z, Y, X)`, or `(T, Z, Y, X)` if the volume has time: bool or whole numbers from 0. May be lazy. Stored as
        uint8, uint16 or uint32, whichever suffices (NIfTI: int32 instead of uint32 where that suffices).
    like
        The volume that was labelled.
    per_object
        Whether each label becomes a file of its own with values 0 and 1, named `STEM_0001.SUFFIX` after the label.

    Returns
    -------
    tuple of Path
        What was written; empty for `per_object` without any label.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    VolumeError
        If the suffix is unknown, the labels do not fit, or `path` is the volume's own file.
    """
    path = Path(path)
    write = _WRITERS[_required_suffix(path)]
    if like.source is not None and _is_same(path, like.source.path):
        raise VolumeError(f"'{path}' is the file of volume '{like.name}'; expected another one. Choose another name.")
    array = required_labels(labels, like)
    if not per_object:
        write(path, ConvertedLabels(array, fitting_dtype(array)), like)
        return (path,)
    fitting_dtype(array)
    paths = []
    for label in values_of(array):
        one = _path_of_object(path, label)
        write(one, ConvertedLabels(array, np.dtype(np.uint8), label), like)
        paths.append(one)
    return tuple(paths)


def _required_suffix(path: Path) -> str:
    suffix = suffix_of(path)
    if suffix not in _WRITERS:
        raise VolumeError(
            f"'{path}' ends in '{suffix}'; expected one of {', '.join(LABEL_VOLUME_SUFFIXES)} for labels of a volume. "
            "Give it such a suffix."
        )
    if not path.resolve().parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder '{path.resolve().parent}' to write '{path.name}' to. Make it first."
        )
    return suffix


def _path_of_object(path: Path, label: int) -> Path:
    suffix = path.name[len(path.name) - len(suffix_of(path)) :]
    return path.with_name(f"{path.name.removesuffix(suffix)}_{label:04d}{suffix}")


def _is_same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
