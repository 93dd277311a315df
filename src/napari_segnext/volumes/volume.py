"""A volume: an array, lazy or not, with the size of its voxels and its place in the world."""

from __future__ import annotations

import operator
import struct
import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_segnext.errors import VolumeError
from napari_segnext.volumes.orientation import View, axis_letters, axis_of_view
from napari_segnext.volumes.rearranged import RearrangedArray

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

VOLUME_NOTE = "napari-segnext volume"
"""Key of a napari layer's metadata that keeps the volume it shows, so that labels are written in the same place."""

N_SPATIAL_AXES = 3

_KINDS = "buif"
"""Kinds of numbers that a volume may hold: bool, whole numbers, real numbers."""

READ_ERRORS = (OSError, ValueError, TypeError, LookupError, RuntimeError, EOFError, struct.error, zlib.error)
"""What lazy arrays raise where a file is broken or gone."""


class LazyArray(Protocol):
    """What a volume needs of its array: numpy, memory maps, zarr, dask and `RearrangedArray` have it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""

    @property
    def dtype(self) -> Any:
        """Kind of number."""

    def __getitem__(self, key: Any, /) -> Any:
        """What whole numbers and slices pick; only that is read."""


@dataclass(frozen=True, slots=True)
class VolumeSource:
    """Where a volume came from, and what a writer needs to put labels in the same place.

    Attributes
    ----------
    path
        The file or folder.
    format
        Name of the format: `"nifti"`, `"tiff"`, `"zarr"`, `"folder"` or `"image"`.
    header
        Bytes of the NIfTI header, with their geometry and codes; empty for other formats.
    translation
        World place of voxel (0, 0, 0) along (Z, Y, X), in the volume's unit; empty if none is told.
    """

    path: Path
    format: str
    header: bytes = field(default=b"", repr=False)
    translation: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """An array of three axes, and maybe time and channels, with a place in the world.

    Axes are counted without time and channels: axis 0, 1 and 2 are Z, Y and X.

    Attributes
    ----------
    array
        `(Z, Y, X)` or `(Z, Y, X, C)`, with time `(T, Z, Y, X)` or `(T, Z, Y, X, C)`; bool, whole or real numbers.
        It may be lazy: only what is asked for is read.
    spacing
        Size of a voxel along (Z, Y, X), above 0, in `unit`.
    unit
        Such as `"mm"`, `"um"` or `"nm"`; empty if unknown.
    axis_names
        Names of the axes but channels: three, or four with time first.
    affine
        `(4, 4)` float, voxel (Z, Y, X, 1) → world in array order, for NIfTI (towards the head, the front, the right)
        in `unit`; None if the file tells no orientation.
    name
        What to call it, such as the file's name without suffix.
    channel_names
        One for each channel of a volume of several dyes or contrasts; empty for colour, grey and unknown ones.
    time_step
        From one time point to the next, above 0, in `time_unit`; 1 if unknown or without time.
    time_unit
        Such as `"s"`; empty if unknown.
    levels
        The array and coarser copies of it, finest first, if the file has several; else empty.
    is_labels
        Whether the file says that its numbers are labels.
    source
        Where it came from; None for an array that was made.

    Raises
    ------
    VolumeError
        If the parts do not fit each other.
    """

    array: LazyArray
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0)
    unit: str = ""
    axis_names: tuple[str, ...] = ("z", "y", "x")
    affine: NDArray[np.float64] | None = None
    name: str = ""
    channel_names: tuple[str, ...] = ()
    time_step: float = 1.0
    time_unit: str = ""
    levels: tuple[LazyArray, ...] = ()
    is_labels: bool = False
    source: VolumeSource | None = None

    def __post_init__(self) -> None:
        shape, dtype = tuple(int(n) for n in self.array.shape), np.dtype(self.array.dtype)
        n_named = len(self.axis_names)
        if n_named not in (3, 4) or len(set(self.axis_names)) != n_named:
            raise VolumeError(
                f"axis names are {self.axis_names}; expected three, or four with time first. Name each axis."
            )
        if len(shape) not in (n_named, n_named + 1):
            raise VolumeError(
                f"array has shape {shape} and axes {', '.join(self.axis_names)}; expected {n_named} axes, or "
                f"{n_named + 1} with channels last. Give the volume one image of that shape, or name other axes."
            )
        if 0 in shape:
            raise VolumeError(f"array has shape {shape}; expected at least one voxel. Check the file.")
        if dtype.kind not in _KINDS:
            raise VolumeError(
                f"array has dtype {dtype}; expected bool, whole or real numbers. Save one part, such as the magnitude."
            )
        spacing = tuple(float(size) for size in self.spacing)
        if len(spacing) != N_SPATIAL_AXES or not all(np.isfinite(size) and size > 0 for size in spacing):
            raise VolumeError(f"spacing is {spacing}; expected three sizes above 0, along (Z, Y, X). Correct them.")
        if not (np.isfinite(self.time_step) and self.time_step > 0):
            raise VolumeError(f"time_step is {self.time_step}; expected a number above 0. Correct it.")
        object.__setattr__(self, "spacing", spacing)
        if self.affine is not None:
            object.__setattr__(self, "affine", _checked_affine(self.affine))
        if self.channel_names and len(self.channel_names) != self.n_channels:
            raise VolumeError(
                f"{len(self.channel_names)} channel names for an array of shape {shape}; expected one for each of "
                f"{self.n_channels} channels. Name each channel or none."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array, time and channels included."""
        return tuple(int(n) for n in self.array.shape)

    @property
    def ndim(self) -> int:
        """Number of axes of the array, time and channels included."""
        return len(self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of number, in the machine's byte order, as planes have it."""
        dtype: np.dtype[Any] = np.dtype(self.array.dtype).newbyteorder("=")
        return dtype

    @property
    def shape_zyx(self) -> tuple[int, int, int]:
        """Numbers of voxels along (Z, Y, X)."""
        first = int(self.has_time)
        z, y, x = self.shape[first : first + N_SPATIAL_AXES]
        return z, y, x

    @property
    def has_time(self) -> bool:
        """Whether the array's first axis is time, with Z, Y and X after it."""
        return len(self.axis_names) > N_SPATIAL_AXES

    @property
    def n_times(self) -> int:
        """Number of time points; 1 without time."""
        return self.shape[0] if self.has_time else 1

    @property
    def n_channels(self) -> int:
        """Length of the last axis if that is channels, else 1."""
        return self.shape[-1] if self.has_channels else 1

    @property
    def has_channels(self) -> bool:
        """Whether the array's last axis is channels."""
        return self.ndim > len(self.axis_names)

    @property
    def is_rgb(self) -> bool:
        """Whether the channels are those of a colour image, alpha included: 3 or 4 of uint8 or uint16 without names."""
        return self.n_channels in (3, 4) and not self.channel_names and self.dtype in (np.uint8, np.uint16)

    @property
    def orientation(self) -> tuple[str, str, str] | None:
        """Where the index of each axis grows to, such as `("S", "P", "L")` (head, back, left); None without affine."""
        return None if self.affine is None else axis_letters(self.affine)

    def axis_of_view(self, view: View) -> int:
        """The axis along which axial, coronal or sagittal slices follow each other; of an oblique volume the nearest.

        Raises
        ------
        VolumeError
            If there is no such view, or the volume has no affine.
        """
        if self.affine is None:
            raise VolumeError(
                f"volume '{self.name}' has no affine, so no {view} slices; expected a NIfTI volume. "
                "Name the axis by its number, 0, 1 or 2."
            )
        return axis_of_view(self.affine, view)

    def n_slices(self, axis: int) -> int:
        """Number of slices along an axis (0, 1 or 2).

        Raises
        ------
        VolumeError
            If there is no such axis.
        """
        return self.shape_zyx[self._checked_axis(axis)]

    def slice_spacing(self, axis: int) -> float:
        """Distance from a slice to the next along an axis (0, 1 or 2), in `unit`; raises as `n_slices`."""
        return self.spacing[self._checked_axis(axis)]

    def plane_spacing(self, axis: int) -> tuple[float, float]:
        """(row, column) size of a pixel of the slices along an axis (0, 1 or 2), in `unit`; raises as `n_slices`."""
        rows, columns = self.plane_axes(axis)
        return self.spacing[rows], self.spacing[columns]

    def plane_axes(self, axis: int) -> tuple[int, int]:
        """The axes of the rows and the columns of slices along an axis (0, 1 or 2); raises as `n_slices`."""
        axis = self._checked_axis(axis)
        rows, columns = (other for other in range(N_SPATIAL_AXES) if other != axis)
        return rows, columns

    def plane(self, axis: int, index: int, *, time: int | None = None) -> NDArray[Any]:
        """One slice; of a lazy array nothing else is read, as far as its format allows.

        Parameters
        ----------
        axis
            0, 1 or 2: along which slices follow each other.
        index
            Number of the slice, from 0.
        time
            Number of the time point, from 0; needed only where there are several.

        Returns
        -------
        ndarray
            `(rows, columns)` or `(rows, columns, C)`, contiguous: the two other axes in ascending order; dtype as
            stored, in the machine's byte order. It may be a view of the array; copy it before writing into it.

        Raises
        ------
        VolumeError
            If there is no such slice, the time point is not told, or the slice cannot be read.
        """
        key: list[int | slice] = [slice(None)] * N_SPATIAL_AXES
        key[self._checked_axis(axis)] = _checked_index(index, self.n_slices(axis), "slice", self.name)
        if self.has_time:
            key.insert(0, self._checked_time(time))
        elif time not in (None, 0):
            raise VolumeError(f"time is {time}; volume '{self.name}' has no time. Leave it out.")
        try:
            plane = np.asarray(self.array[tuple(key)])
        except VolumeError:
            raise
        except READ_ERRORS as error:
            raise VolumeError(
                f"slice {index} along {self.axis_names[-N_SPATIAL_AXES + axis]} of '{self.name}' cannot be read "
                f"({type(error).__name__}: {str(error)[:120]}); expected a whole file. Copy or save it again."
            ) from error
        return np.ascontiguousarray(plane.astype(self.dtype, copy=False))

    def at_time(self, time: int) -> Volume:
        """The volume at one time point, lazy where this one is; without time, itself for time 0.

        Raises
        ------
        VolumeError
            If there is no such time point.
        """
        time = _checked_index(time, self.n_times, "time point", self.name)
        if not self.has_time:
            return self
        rest = tuple(range(1, self.ndim))
        return replace(
            self,
            array=RearrangedArray(self.array, rest, {0: time}),
            levels=tuple(RearrangedArray(level, rest, {0: time}) for level in self.levels),
            axis_names=self.axis_names[1:],
        )

    def over_time(self, axis: int, index: int) -> Volume:
        """One slice over time, as a volume whose axis 0 is time.

        Its spacing begins with `time_step`, which is no length; its unit is that of the slice.

        Raises
        ------
        VolumeError
            If the volume has no time, or there is no such slice.
        """
        if not self.has_time:
            raise VolumeError(f"volume '{self.name}' has axes {self.axis_names}; expected time as the first of four.")
        axis = self._checked_axis(axis)
        index = _checked_index(index, self.n_slices(axis), "slice", self.name)
        kept = tuple(other for other in range(self.ndim) if other != axis + 1)
        return replace(
            self,
            array=RearrangedArray(self.array, kept, {axis + 1: index}),
            levels=(),
            spacing=(self.time_step, *self.plane_spacing(axis)),
            axis_names=tuple(name for other, name in enumerate(self.axis_names) if other != axis + 1),
            affine=None,
            source=None,
        )

    def single_time(self) -> Volume:
        """The volume without an axis of time.

        Raises
        ------
        VolumeError
            If there are several time points.
        """
        if self.n_times > 1:
            raise VolumeError(
                f"volume '{self.name}' has shape {self.shape} with {self.n_times} time points; "
                "expected a volume of three axes. Choose a time point, or save one per file."
            )
        return self.at_time(0)

    def _checked_axis(self, axis: int) -> int:
        if axis not in range(N_SPATIAL_AXES):
            raise VolumeError(f"axis is {axis}; expected 0, 1 or 2 ({', '.join(self.axis_names[-N_SPATIAL_AXES:])}).")
        return operator.index(axis)

    def _checked_time(self, time: int | None) -> int:
        if time is None:
            if self.n_times > 1:
                raise VolumeError(
                    f"volume '{self.name}' has {self.n_times} time points; expected one to be named. "
                    "Name it, or take `volume.at_time(time)`."
                )
            return 0
        return _checked_index(time, self.n_times, "time point", self.name)


def _checked_affine(affine: NDArray[Any]) -> NDArray[np.float64]:
    checked = np.array(affine, dtype=np.float64)
    if checked.shape != (4, 4) or not np.isfinite(checked).all() or abs(np.linalg.det(checked[:3, :3])) == 0:
        raise VolumeError(
            f"affine is {checked.tolist()}; expected 4 × 4 finite numbers whose first three columns point three ways. "
            "Correct the file's orientation, or leave it out."
        )
    checked.setflags(write=False)
    return checked


def _checked_index(index: int, length: int, what: str, name: str) -> int:
    try:
        number = operator.index(index)
    except TypeError:
        raise VolumeError(f"{what} is {index!r}; expected a whole number.") from None
    if not 0 <= number < length:
        raise VolumeError(f"{what} {number} lies outside volume '{name}'; expected 0 to {length - 1}.")
    return number
