"""Layout ``brats_nifti``: CASE_flair.nii.gz and CASE_label.nii.gz; one object, the whole tumour, on each slice."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.datasets.samples import ImageSample
from napari_segnext.io import read_nifti, read_nifti_shape

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FLAIR_SUFFIX, LABEL_SUFFIX = "_flair.nii.gz", "_label.nii.gz"

MIN_TUMOUR_PX = 100
"""Slices with a smaller tumour are left out."""

_N_VOLUMES_KEPT = 4


@dataclass(frozen=True, slots=True)
class AxialSlice:
    """Reads one slice of a NIfTI file; slices follow the file's last axis, from feet to head in BraTS.

    Attributes
    ----------
    index
        Number of the slice, from 0.
    """

    index: int

    def __call__(self, path: Path) -> NDArray[Any]:
        """`(H, W)` array, dtype as stored: the file's second axis is the rows, its first the columns."""
        return np.asarray(_read_volume(path, path.stat().st_mtime_ns)[self.index])


@dataclass(frozen=True, slots=True)
class TumourSlice:
    """Reads the whole tumour on one slice of a label file.

    Attributes
    ----------
    index
        Number of the slice, from 0.
    """

    index: int

    def __call__(self, path: Path) -> NDArray[np.int64]:
        """`(H, W)` int64: 1 where the label is above 0, all its kinds merged; 0 elsewhere."""
        return (AxialSlice(self.index)(path) > 0).astype(np.int64)


def list_brats_nifti(root: Path) -> list[ImageSample]:
    """Axial slices with at least 100 px of tumour, cases sorted by name; the label files are read for it.

    Raises
    ------
    FileNotFoundError
        If there is no case, or one without labels.
    ValueError
        If a file is broken, or image and labels of a case differ in shape.
    """
    cases = sorted(path for path in root.glob(f"*{FLAIR_SUFFIX}") if not path.name.startswith("."))
    if not cases:
        raise FileNotFoundError(
            f"'{root}' holds no *{FLAIR_SUFFIX}; expected one for each case, with a *{LABEL_SUFFIX} beside it. "
            "Check the dataset's root."
        )
    return [sample for path in cases for sample in _slices_of(path)]


def _slices_of(image_path: Path) -> list[ImageSample]:
    case = image_path.name.removesuffix(FLAIR_SUFFIX)
    label_path = image_path.with_name(case + LABEL_SUFFIX)
    if not label_path.is_file():
        raise FileNotFoundError(
            f"'{image_path}' has no labels; expected '{label_path}'. Add it, or move the image away."
        )
    labels = _read_volume(label_path, label_path.stat().st_mtime_ns)
    shape = _shape_of(image_path)
    if shape != labels.shape:
        raise ValueError(
            f"'{image_path}' has shape {shape} and '{label_path}' {labels.shape}, counted from the last axis; "
            "expected equal shapes. Check that the files belong together."
        )
    n_tumour_px = np.count_nonzero(labels > 0, axis=(1, 2))
    return [
        ImageSample(
            f"{case}/{index:03d}", "tumour", image_path, label_path, TumourSlice(index), read_pixels=AxialSlice(index)
        )
        for index in np.flatnonzero(n_tumour_px >= MIN_TUMOUR_PX).tolist()
    ]


@functools.lru_cache(maxsize=_N_VOLUMES_KEPT)
def _read_volume(path: Path, modified_ns: int) -> NDArray[Any]:
    """`(Z, Y, X)` array, read-only; `modified_ns` tells a file that was written anew."""
    del modified_ns
    # a view, so that the volume's own array stays as it is
    array = np.asarray(read_nifti(path).single_time().array).view()
    array.setflags(write=False)
    return array


def _shape_of(path: Path) -> tuple[int, ...]:
    """(Z, Y, X) from the header alone."""
    shape = read_nifti_shape(path)
    return shape[-3:] if shape[:-3] == (1,) else shape
