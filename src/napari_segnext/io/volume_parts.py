"""What the readers and writers of volumes share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.errors import VolumeError
from napari_segnext.volumes import RearrangedArray, Volume

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_segnext.volumes import LazyArray

_SUFFIXES_OF_TWO = (".nii.gz", ".ome.zarr", ".ome.tif", ".ome.tiff")


def suffix_of(path: Path) -> str:
    """The suffix in lower case, of two parts where those are one format's, such as `".nii.gz"`; empty if none."""
    name = path.name.lower()
    return next((suffix for suffix in _SUFFIXES_OF_TWO if name.endswith(suffix)), path.suffix.lower())


def name_of(path: Path) -> str:
    """The file's name without its suffix."""
    suffix = suffix_of(path)
    return path.name[: len(path.name) - len(suffix)] or path.name


def required_folder(folder: Path | str) -> Path:
    """The folder, if there is one.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"there is no folder '{folder}'; expected one with images. Check the path.")
    return Path(folder)


def rearranged(array: LazyArray, axes: Sequence[int | None], fixed: Mapping[int, int] | None = None) -> LazyArray:
    """The array with its axes in that order, as `RearrangedArray` takes them; what fits already is left as it is."""
    if not fixed and tuple(axes) == tuple(range(len(array.shape))) and np.dtype(array.dtype).isnative:
        return array
    lazy = RearrangedArray(array, axes, fixed)
    return lazy[...] if type(array) is np.ndarray else lazy


@dataclass(frozen=True, slots=True)
class PlacedAxes:
    """How a file's axes become those of a volume.

    Attributes
    ----------
    order
        For each axis of the volume's array that of the file's, or None for a new one of length 1.
    fixed
        Axes of length 1 that are dropped, with index 0.
    names
        Names of the volume's axes, channels left out.
    has_channels
        Whether the last of `order` is channels.
    """

    order: tuple[int | None, ...]
    fixed: dict[int, int] = field(default_factory=dict)
    names: tuple[str, ...] = ("z", "y", "x")
    has_channels: bool = False


def placed_axes(names: Sequence[str], shape: Sequence[int], path: Path) -> PlacedAxes:
    """Find time, Z, Y, X and channels among a file's axes.

    Without Z, time takes its place as axis 0 if there are several points.

    Parameters
    ----------
    names
        Of each axis of the file `"t"`, `"z"`, `"y"`, `"x"` or `"c"`; anything else is unknown and must have length 1.
    shape
        Length of each axis.
    path
        The file, for errors.

    Raises
    ------
    VolumeError
        If Y or X is missing, or there are axes that have no place.
    """
    known: dict[str, int] = {}
    fixed: dict[int, int] = {}
    for axis, (name, length) in enumerate(zip(names, shape, strict=True)):
        if name in ("z", "y", "x") and name not in known:
            known[name] = axis
        elif length == 1:
            fixed[axis] = 0
        elif name in ("t", "c") and name not in known:
            known[name] = axis
        else:
            known.clear()
            break
    if "y" not in known or "x" not in known:
        raise VolumeError(
            f"'{path}' has shape {tuple(shape)} and axes {', '.join(name or '?' for name in names)}; "
            "expected z, y and x, and at most time and channels. Save one volume of it as its own file."
        )
    spatial = (known.get("z"), known["y"], known["x"])
    channels = (known["c"],) if "c" in known else ()
    if "t" not in known:
        return PlacedAxes((*spatial, *channels), fixed, ("z", "y", "x"), bool(channels))
    if "z" not in known:
        return PlacedAxes((known["t"], *spatial[1:], *channels), fixed, ("t", "y", "x"), bool(channels))
    return PlacedAxes((known["t"], *spatial, *channels), fixed, ("t", "z", "y", "x"), bool(channels))


def spacing_of_axes(axes: PlacedAxes, spacing: tuple[float, ...], time_step: float) -> tuple[float, ...]:
    """Spacing of (Z, Y, X); where time stands in for Z, its step instead."""
    return (time_step, *spacing[1:]) if axes.names == ("t", "y", "x") else spacing


def built_volume(path: Path, **parts: Any) -> Volume:
    """A volume of these parts, or an error that names the file.

    Raises
    ------
    VolumeError
        If the parts do not fit each other.
    """
    try:
        return Volume(**parts)
    except VolumeError as error:
        raise VolumeError(f"'{path}' cannot be used as a volume: {error}") from error
