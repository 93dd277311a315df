"""What the objects of a labels array measure: size, place, extent, brightness; as values, as columns, as a CSV file.

1. `measure_objects` walks over the array block by block, along its chunks, so that it may be larger than memory.
2. Each block gives sums for the labels in it (`_Sums`); those of all blocks are added up.
3. From the sums come the `ObjectProperties`, one for each label.

Columns are named after what they hold, the axis and the unit; `to_features` lists them.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext._whole_file import whole_file

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

MAX_BLOCK_PX = 2_000_000
"""Pixels that are looked at together."""

MAX_PENDING_ROWS = 500_000
"""Labels in blocks whose sums are kept until they are added up."""

AXIS_NAMES = ("z", "y", "x")


@dataclass(frozen=True, slots=True)
class ObjectProperties:
    """What one object measures. Tuples have one entry for each axis, in array order: (Z,) Y, X.

    Attributes
    ----------
    label
        Its value in the labels array, not 0.
    n_pixels
        Number of its pixels (voxels), at least 1.
    size
        Area, or volume in 3D: `n_pixels` times the size of one, in `unit` squared or cubed.
    centroid
        Mean position in `unit`, from the centre of the array's first pixel.
    centroid_px
        Mean position in pixels; whole numbers are pixel centres.
    box_start, box_stop
        First pixel of its bounding box, and one past the last, along each axis.
    n_slices
        Number of planes along the first axis that it has pixels on; 1 in 2D.
    mean_intensities
        Mean of the image over its pixels, one for each channel; empty if there was no image.
    unit
        Of lengths: ``"px"`` unless there was a spacing.
    """

    label: int
    n_pixels: int
    size: float
    centroid: tuple[float, ...]
    centroid_px: tuple[float, ...]
    box_start: tuple[int, ...]
    box_stop: tuple[int, ...]
    n_slices: int
    mean_intensities: tuple[float, ...] = ()
    unit: str = "px"

    @property
    def ndim(self) -> int:
        """Number of axes, 2 or 3."""
        return len(self.centroid)


def measure_objects(
    labels: Any,
    *,
    image: Any = None,
    spacing: Sequence[float] | None = None,
    unit: str | None = None,
    labels_wanted: Collection[int] | None = None,
) -> list[ObjectProperties]:
    """Measure the objects of a labels array.

    Parameters
    ----------
    labels
        `(H, W)` or `(Z, Y, X)` of whole numbers or bool, 0 is background: a NumPy, zarr or dask array or a memory map.
        Lazy arrays are read a few chunks at a time, each of them once.
    image
        Array of the shape of `labels`, or with channels last; may be lazy. None to leave intensities out.
    spacing
        Size of a pixel along each axis, above 0; None for 1.
    unit
        Of the spacing, as it shall stand in names of columns, such as ``"um"``; None for ``"unit"``, or for ``"px"`` if
        there is no spacing.
    labels_wanted
        To measure only these; those that the array does not hold are left out. None for all.

    Returns
    -------
    list of ObjectProperties
        In ascending order of their labels; empty if there is nothing but background.

    Raises
    ------
    TypeError
        If `labels` is no array of whole numbers.
    ValueError
        If the shapes of labels, image and spacing do not fit together.
    """
    _check_labels(labels)
    shape = tuple(int(n) for n in labels.shape)
    n_channels = _n_channels(image, shape)
    sides, unit = _checked_spacing(spacing, len(shape)), _checked_unit(unit, spacing)
    wanted = None if labels_wanted is None else _in_dtype(labels_wanted, labels.dtype)
    pending, n_pending = [_Sums.nothing(len(shape), n_channels)], 0
    for block in _blocks(shape, _chunk_shape(labels)):
        values = _whole_numbers(labels[block])
        start = tuple(along.start for along in block)
        intensities = None if image is None else np.asarray(image[block])
        # a chunk may be large, and what is made of it is larger
        for part in _blocks(values.shape):
            corner = tuple(first + along.start for first, along in zip(start, part, strict=True))
            part_image = None if intensities is None else intensities[part]
            pending.append(_sums_of_block(values[part], corner, part_image, n_channels, wanted))
            n_pending += len(pending[-1].labels)
        if n_pending > MAX_PENDING_ROWS:
            pending, n_pending = [_added(pending)], 0
    return _properties(_added(pending), sides, unit)


def to_features(properties: Sequence[ObjectProperties]) -> dict[str, NDArray[Any]]:
    """Measurements as columns, for the `features` of a napari labels layer.

    Parameters
    ----------
    properties
        Of one array, as from `measure_objects`; may be empty.

    Returns
    -------
    dict
        Name → `(n,)` column, a row for each object. napari finds the row of a label by the column `index`.

        ======================================= =========================================================
        `index`                                 label
        `n_pixels`                              number of pixels or voxels
        `area_um2`, `volume_um3`                size; 2D has the one, 3D the other
        `centroid_y_um`, `centroid_x_um`        mean position, from the centre of the first pixel
        `centroid_y_px`, `centroid_x_px`        the same in pixels
        `box_y_start_px`, `box_y_stop_px`, …    bounding box: its first pixel, and one past the last
        `n_slices`                              planes along the first axis with the object; 3D only
        `mean_intensity`                        of a grey image; `mean_intensity_0`, `_1`, … of channels
        ======================================= =========================================================

        3D has columns with `z` before those with `y`. In the place of `um` stands the unit; where it is `px`, physical
        and pixel centroids are one. Without objects there are `index` and `n_pixels` only.

    Raises
    ------
    ValueError
        If the objects were not measured alike.
    """
    ways = {(one.ndim, one.unit, len(one.mean_intensities)) for one in properties}
    if len(ways) > 1:
        raise ValueError(
            f"properties were measured in {len(ways)} ways (axes, unit, channels): {sorted(ways)}; expected one. "
            "Make a table for each array."
        )
    columns: dict[str, list[Any]] = {
        "index": [one.label for one in properties],
        "n_pixels": [one.n_pixels for one in properties],
    }
    for ndim, unit, n_channels in ways:
        columns |= _columns(properties, ndim, unit, n_channels)
    dtype = None if properties else np.int64
    return {name: np.array(values, dtype) for name, values in columns.items()}


def write_csv(properties: Sequence[ObjectProperties], path: Path | str) -> None:
    """Write measurements to a table: one line of names, then one line for each object.

    Parameters
    ----------
    properties
        Of one array, as from `measure_objects`; may be empty.
    path
        File to make or replace; it is never seen half written. UTF-8, commas, and points in numbers, which are written
        with all their digits. Columns as from `to_features`, but that `index` is called `label`.

    Raises
    ------
    ValueError
        If the objects were not measured alike.
    OSError
        If the file cannot be written.
    """
    columns = to_features(properties)
    names = ["label", *list(columns)[1:]]
    with whole_file(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(names)
        table.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Sums over the pixels of each label in a part of an array.

    Attributes
    ----------
    labels, n_pixels
        `(n,)` whole numbers; labels in ascending order.
    positions
        `(n, ndim)` float64, of pixel indices.
    first, last
        `(n, ndim)` int64, least and greatest pixel index.
    intensities
        `(n, n_channels)` float64.
    plane_rows, planes
        `(m,)` int64: which labels (as index into `labels`) have pixels on which planes; no pair twice.
    """

    labels: NDArray[Any]
    n_pixels: NDArray[np.int64]
    positions: NDArray[np.float64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    intensities: NDArray[np.float64]
    plane_rows: NDArray[np.int64]
    planes: NDArray[np.int64]

    @classmethod
    def nothing(cls, ndim: int, n_channels: int) -> _Sums:
        """Of an array without objects."""
        none, nowhere = np.zeros(0, np.int64), np.zeros((0, ndim), np.int64)
        return cls(none, none, nowhere.astype(np.float64), nowhere, nowhere, np.zeros((0, n_channels)), none, none)


def _sums_of_block(
    values: NDArray[Any],
    start: tuple[int, ...],
    image: NDArray[Any] | None,
    n_channels: int,
    wanted: NDArray[Any] | None,
) -> _Sums:
    """Sums over one block, whose first pixel is `start`."""
    is_object = values != 0
    if wanted is not None:
        is_object &= np.isin(values, wanted)
    indices = np.nonzero(is_object)
    if len(indices[0]) == 0:
        return _Sums.nothing(values.ndim, n_channels)
    labels, rows = _numbered(values[is_object])
    n = len(labels)
    n_pixels = np.bincount(rows, minlength=n)
    positions = np.stack([np.bincount(rows, along, minlength=n) for along in indices], axis=1).astype(np.float64)
    first, last = _ranges(rows, indices, n)
    intensities = np.zeros((n, n_channels))
    if image is not None:
        pixels = image[is_object].reshape(-1, n_channels).astype(np.float64)
        for channel in range(n_channels):
            intensities[:, channel] = np.bincount(rows, pixels[:, channel], minlength=n)
    # in 2D, all pixels lie on one plane
    plane_rows, planes = _pairs(rows, indices[0] if values.ndim == 3 else np.zeros_like(rows))
    return _Sums(
        labels=labels,
        n_pixels=n_pixels,
        positions=positions + n_pixels[:, None] * np.array(start, np.float64),
        first=first + np.array(start, np.int64),
        last=last + np.array(start, np.int64),
        intensities=intensities,
        plane_rows=plane_rows,
        planes=planes + (start[0] if values.ndim == 3 else 0),
    )


def _ranges(
    rows: NDArray[np.intp], indices: Sequence[NDArray[np.int64]], n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`(n, ndim)` least and greatest pixel index of each row along each axis."""
    first = np.full((len(indices), n), np.iinfo(np.int64).max)
    last = np.full((len(indices), n), -1, np.int64)
    for axis, along in enumerate(indices):
        np.minimum.at(first[axis], rows, along)
        np.maximum.at(last[axis], rows, along)
    return first.T, last.T


def _added(parts: Sequence[_Sums]) -> _Sums:
    """Sums over all parts of an array, at least one."""
    filled = [part for part in parts if len(part.labels) > 0]
    if len(filled) < 2:
        return (filled or parts)[0]
    labels, rows = np.unique(np.concatenate([part.labels for part in filled]), return_inverse=True)
    n = len(labels)

    def summed(name: str) -> NDArray[Any]:
        values = np.concatenate([getattr(part, name) for part in filled])
        total = np.zeros((n, *values.shape[1:]), values.dtype)
        np.add.at(total, rows, values)
        return total

    first = np.full((n, filled[0].first.shape[1]), np.iinfo(np.int64).max)
    last = np.full_like(first, -1)
    np.minimum.at(first, rows, np.concatenate([part.first for part in filled]))
    np.maximum.at(last, rows, np.concatenate([part.last for part in filled]))

    # rows of a part → rows of all
    offsets = np.cumsum([0, *(len(part.labels) for part in filled[:-1])])
    plane_rows = [rows[offset + part.plane_rows] for offset, part in zip(offsets, filled, strict=True)]
    pairs = _pairs(np.concatenate(plane_rows), np.concatenate([part.planes for part in filled]))
    return _Sums(labels, summed("n_pixels"), summed("positions"), first, last, summed("intensities"), *pairs)


def _properties(sums: _Sums, sides: tuple[float, ...], unit: str) -> list[ObjectProperties]:
    n_slices = np.bincount(sums.plane_rows, minlength=len(sums.labels))
    centroids_px = sums.positions / sums.n_pixels[:, None]
    means = sums.intensities / sums.n_pixels[:, None]
    return [
        ObjectProperties(
            label=int(label),
            n_pixels=int(sums.n_pixels[row]),
            size=float(sums.n_pixels[row]) * math.prod(sides),
            centroid=tuple((centroids_px[row] * sides).tolist()),
            centroid_px=tuple(centroids_px[row].tolist()),
            box_start=tuple(sums.first[row].tolist()),
            box_stop=tuple((sums.last[row] + 1).tolist()),
            n_slices=int(n_slices[row]),
            mean_intensities=tuple(means[row].tolist()),
            unit=unit,
        )
        for row, label in enumerate(sums.labels)
    ]


def _columns(properties: Sequence[ObjectProperties], ndim: int, unit: str, n_channels: int) -> dict[str, list[Any]]:
    """All columns but the first two, of objects that were measured alike."""
    axes = AXIS_NAMES[-ndim:]
    columns: dict[str, list[Any]] = {
        f"{'area' if ndim == 2 else 'volume'}_{unit}{ndim}": [one.size for one in properties]
    }
    for axis, name in enumerate(axes):
        columns[f"centroid_{name}_{unit}"] = [one.centroid[axis] for one in properties]
    for axis, name in enumerate(axes):
        columns[f"centroid_{name}_px"] = [one.centroid_px[axis] for one in properties]
    for axis, name in enumerate(axes):
        columns[f"box_{name}_start_px"] = [one.box_start[axis] for one in properties]
        columns[f"box_{name}_stop_px"] = [one.box_stop[axis] for one in properties]
    if ndim == 3:
        columns["n_slices"] = [one.n_slices for one in properties]
    for channel in range(n_channels):
        name = "mean_intensity" if n_channels == 1 else f"mean_intensity_{channel}"
        columns[name] = [one.mean_intensities[channel] for one in properties]
    return columns


def _numbered(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The distinct values in ascending order, and which of them each value is."""
    largest = int(values.max())
    if values.min() < 0 or largest > MAX_BLOCK_PX:
        distinct, rows = np.unique(values, return_inverse=True)
        return distinct, rows
    # no sorting while numbers are small
    whole = values.astype(np.intp)
    present = np.flatnonzero(np.bincount(whole))
    number = np.zeros(largest + 1, np.intp)
    number[present] = np.arange(len(present))
    return present.astype(values.dtype), number[whole]


def _pairs(rows: NDArray[np.int64], planes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct pairs of a row and a plane."""
    n_planes = int(planes.max()) + 1
    distinct_rows, distinct_planes = np.divmod(np.unique(rows * n_planes + planes), n_planes)
    return distinct_rows, distinct_planes


def _blocks(shape: tuple[int, ...], chunk: tuple[int, ...] | None = None) -> Iterator[tuple[slice, ...]]:
    """Boxes that cover an array: of whole chunks, as many as `MAX_BLOCK_PX` holds, along the last axes first."""
    step = [1] * len(shape) if chunk is None else [min(side, max(1, n)) for side, n in zip(chunk, shape, strict=True)]
    for axis in reversed(range(len(shape))):
        n_chunks = max(1, MAX_BLOCK_PX // math.prod(step))
        step[axis] = max(1, min(shape[axis], step[axis] * n_chunks))
    for starts in product(*(range(0, n, side) for n, side in zip(shape, step, strict=True))):
        yield tuple(slice(start, min(n, start + side)) for start, n, side in zip(starts, shape, step, strict=True))


def _chunk_shape(labels: Any) -> tuple[int, ...] | None:
    """Largest chunk of a zarr, HDF5 or dask array; None if the array says nothing of chunks."""
    chunks = getattr(labels, "chunks", None)
    if not chunks:
        return None
    return tuple(int(max(along)) if isinstance(along, tuple) else int(along) for along in chunks)


def _whole_numbers(values: Any) -> NDArray[Any]:
    array: NDArray[Any] = np.asarray(values)
    return array.view(np.uint8) if array.dtype.kind == "b" else array


def _in_dtype(labels_wanted: Collection[int], dtype: Any) -> NDArray[Any]:
    """Those labels that an array of a dtype can hold."""
    dtype = _whole_numbers(np.zeros(0, dtype)).dtype
    limits = np.iinfo(dtype)
    return np.array([int(label) for label in labels_wanted if limits.min <= int(label) <= limits.max], dtype)


def _check_labels(labels: Any) -> None:
    if not hasattr(labels, "shape") or not hasattr(labels, "dtype"):
        raise TypeError(
            f"labels is a {type(labels).__name__}; expected an array. Of a multiscale layer, pass the first level."
        )
    if np.dtype(labels.dtype).kind not in "biu":
        raise TypeError(f"labels has dtype {labels.dtype}; expected whole numbers. Pass a labels array, not an image.")
    if len(labels.shape) not in (2, 3):
        raise ValueError(
            f"labels has shape {tuple(labels.shape)}; expected (H, W) or (Z, Y, X). Measure one time point at a time."
        )


def _n_channels(image: Any, shape: tuple[int, ...]) -> int:
    """Number of channels of an image; 0 without one."""
    if image is None:
        return 0
    image_shape = tuple(int(n) for n in np.shape(image))
    if image_shape == shape:
        return 1
    if image_shape[:-1] == shape:
        return image_shape[-1]
    raise ValueError(
        f"image has shape {image_shape} and labels {shape}; expected the same, or one axis more for channels. "
        "Move that axis last, or pass the image that was labelled."
    )


def _checked_spacing(spacing: Sequence[float] | None, ndim: int) -> tuple[float, ...]:
    sides = (1.0,) * ndim if spacing is None else tuple(float(side) for side in spacing)
    if len(sides) != ndim or not all(math.isfinite(side) and side > 0 for side in sides):
        raise ValueError(
            f"spacing is {sides}; expected {ndim} finite numbers above 0, the size of a pixel along each axis of the "
            "labels. Leave out axes that the labels do not have."
        )
    return sides


def _checked_unit(unit: str | None, spacing: Sequence[float] | None) -> str:
    if unit is None:
        return "px" if spacing is None else "unit"
    if unit == "px" and spacing is not None and any(side != 1 for side in spacing):
        raise ValueError(
            f"unit is 'px' and spacing {tuple(spacing)}; expected 1 for pixels. Name the unit of the spacing."
        )
    return unit
