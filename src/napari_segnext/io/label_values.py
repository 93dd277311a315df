"""Labels as whole numbers: those that are read, and those that are to be written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.errors import VolumeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_segnext.volumes import LazyArray, Volume

MAX_LABEL = int(np.iinfo(np.uint32).max)


def as_labels(volume: Volume) -> Volume:
    """The volume as labels; real numbers, as which programs often store labels, are read and made whole ones.

    Raises
    ------
    VolumeError
        If it has channels, or numbers with fractions or below 0.
    """
    if volume.has_channels:
        raise VolumeError(
            f"volume '{volume.name}' has {volume.n_channels} channels; expected labels, one whole number per voxel. "
            "Save label numbers instead of colours."
        )
    if volume.dtype.kind in "u":
        return replace(volume, is_labels=True)
    array = np.asarray(volume.array)
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (array == np.round(array)).all()):
        raise VolumeError(
            f"volume '{volume.name}' holds numbers with fractions; expected labels. Save it with whole numbers."
        )
    least, most = int(array.min()), int(array.max())
    if least < 0 or most > MAX_LABEL:
        raise VolumeError(
            f"volume '{volume.name}' holds numbers from {least} to {most}; expected labels from 0 to {MAX_LABEL}. "
            "Renumber them."
        )
    return replace(volume, array=array.astype(np.min_scalar_type(most)), levels=(), is_labels=True)


def planes_of(labels: LazyArray) -> Iterator[NDArray[Any]]:
    """`(Y, X)` arrays over all but the last two axes, in order; of a lazy array one is read at a time."""
    for index in np.ndindex(tuple(int(n) for n in labels.shape[:-2])):
        yield np.asarray(labels[index])


def required_labels(labels: Any, like: Volume) -> LazyArray:
    """Labels to be written, lazy ones unread.

    Raises
    ------
    VolumeError
        If they are no whole numbers, or their shape is not that of the volume, without channels, with or without time.
    """
    array = labels if hasattr(labels, "shape") and hasattr(labels, "dtype") else np.asarray(labels)
    shape = tuple(int(n) for n in array.shape)
    wanted = {like.shape_zyx, like.shape[: len(like.axis_names)]}
    if shape not in wanted:
        raise VolumeError(
            f"labels have shape {shape} and volume '{like.name}' {like.shape}; expected "
            f"{' or '.join(str(one) for one in sorted(wanted))}. Write labels of the volume that they were drawn on."
        )
    if np.dtype(array.dtype).kind not in "bui":
        raise VolumeError(f"labels have dtype {array.dtype}; expected whole numbers. Round them first.")
    checked: LazyArray = array
    return checked


def fitting_dtype(labels: LazyArray) -> np.dtype[Any]:
    """The smallest of uint8, uint16 and uint32 that holds all labels; each slice is read for it.

    Raises
    ------
    VolumeError
        If a label is below 0 or above 4294967295.
    """
    least, most = 0, 0
    for plane in planes_of(labels):
        least, most = min(least, int(plane.min())), max(most, int(plane.max()))
    if least < 0 or most > MAX_LABEL:
        raise VolumeError(f"labels run from {least} to {most}; expected whole numbers from 0 to {MAX_LABEL}. Renumber.")
    return np.dtype(np.min_scalar_type(most))


def values_of(labels: LazyArray) -> list[int]:
    """The labels above 0 that occur, ascending; each slice is read for it."""
    found: set[int] = set()
    for plane in planes_of(labels):
        found.update(np.unique(plane).tolist())
    return sorted(int(value) for value in found if value > 0)


class ConvertedLabels:
    """Labels of another dtype, or the mask of one label, converted as they are read.

    Parameters
    ----------
    labels
        Bool or whole numbers that fit the dtype.
    dtype
        What the result has.
    label
        If not None, voxels of this label become 1 and all others 0.
    """

    def __init__(self, labels: LazyArray, dtype: np.dtype[Any], label: int | None = None) -> None:
        self._labels = labels
        self._label = label
        self.shape = tuple(int(n) for n in labels.shape)
        self.dtype = dtype

    def __getitem__(self, key: Any) -> NDArray[Any]:
        read = np.asarray(self._labels[key])
        return (read if self._label is None else read == self._label).astype(self.dtype, copy=False)
