"""Where things are: data of any layer ↔ world of the viewer ↔ (row, column) on the slice that is shown.

1. A `View` is what the viewer shows: a point in the world and the two axes that span the canvas.
2. A `ShownSlice` is the plane of one image that this view cuts out: two axes, and an index along each of the others.
3. A `SliceFrame` holds both and carries coordinates between the plane and any other layer of the viewer.

All are frozen values, made anew for each use: nothing here follows the viewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.annotator.errors import SliceNotShownError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_segnext._types import Image, Shape2D

Selector = tuple[int | slice, ...]
"""Index of an array that cuts out a plane."""

DECIMALS = 3
"""Prompts are kept to a thousandth of a pixel, so that writing them into a layer and reading them again is exact."""


@dataclass(frozen=True)
class View:
    """What a viewer shows.

    Attributes
    ----------
    point
        World coordinates of the current position, one for each axis of the viewer.
    displayed
        The two axes of the viewer that span the canvas, vertical one first.
    units
        Unit of each axis of the world, or None where the viewer takes all numbers as they are.
    """

    point: tuple[float, ...]
    displayed: tuple[int, int]
    units: tuple[Any, ...] | None = None

    @classmethod
    def of(cls, viewer: Any) -> View:
        """The view of a napari viewer (or `ViewerModel`) now.

        Raises
        ------
        SliceNotShownError
            If the viewer shows three dimensions at once.
        """
        dims = viewer.dims
        if dims.ndisplay != 2:
            raise SliceNotShownError(
                "the viewer shows the volume in 3D; prompts are given on one slice. "
                "Switch back to 2D with the button at the lower left of the viewer."
            )
        vertical, horizontal = dims.displayed
        units = getattr(dims, "units", None)
        return cls(tuple(dims.point), (vertical, horizontal), tuple(units) if units is not None else None)

    @property
    def ndim(self) -> int:
        """Number of axes of the world."""
        return len(self.point)


@dataclass(frozen=True)
class ShownSlice:
    """A plane of an image. Two views that cut out the same plane give equal slices, also after transposing.

    Attributes
    ----------
    axes
        (row axis, column axis) of the array, ascending; the RGB axis does not count.
    index
        Where the plane lies along each of the other axes, in the order of the array; empty for a 2D image.
    shape
        (rows, columns).
    """

    axes: tuple[int, int]
    index: tuple[int, ...]
    shape: Shape2D

    @property
    def ndim(self) -> int:
        """Number of axes of the array, without the RGB axis."""
        return 2 + len(self.index)

    @property
    def other_axes(self) -> tuple[int, ...]:
        """Axes of the array that `index` refers to."""
        return tuple(axis for axis in range(self.ndim) if axis not in self.axes)

    @property
    def selector(self) -> Selector:
        """Index that cuts the plane out of an array of the image's grid, `(rows, columns[, C])`."""
        places: list[int | slice] = [slice(None)] * self.ndim
        for axis, position in zip(self.other_axes, self.index, strict=True):
            places[axis] = position
        return tuple(places)

    def to_array_indices(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> tuple[NDArray[np.intp], ...]:
        """Index arrays, one for each axis of the array, of pixels of the plane; `rows` and `columns` are `(n,)`."""
        indices = [np.zeros(len(rows), np.intp)] * self.ndim
        for axis, position in zip(self.other_axes, self.index, strict=True):
            indices[axis] = np.full(len(rows), position, np.intp)
        indices[self.axes[0]] = np.asarray(rows, np.intp)
        indices[self.axes[1]] = np.asarray(columns, np.intp)
        return tuple(indices)

    def to_coordinates(self, rows_columns: ArrayLike) -> NDArray[np.float64]:
        """`(n, ndim)` data coordinates of `(n, 2)` (row, column) on the plane."""
        points = np.asarray(rows_columns, np.float64).reshape(-1, 2)
        coordinates = np.empty((len(points), self.ndim))
        coordinates[:, list(self.axes)] = points
        coordinates[:, list(self.other_axes)] = self.index
        return coordinates

    def __str__(self) -> str:
        return "slice " + ", ".join(str(i) for i in self.index) if self.index else "the image"


@dataclass(frozen=True, eq=False)
class LayerMap:
    """The affine map from a layer's data to the world of the viewer, right-aligned.

    Attributes
    ----------
    matrix, offset
        `(d, d)` and `(d,)`: world = matrix @ data + offset, for the last `d` axes of the world.
    """

    matrix: NDArray[np.float64]
    offset: NDArray[np.float64]

    @classmethod
    def of(cls, layer: Any, view: View) -> LayerMap:
        """The map of a napari layer; scale, translate, rotate, shear, affine and units are in it.

        Level 0 of a multiscale layer.
        """
        ndim = layer.ndim
        offset = np.array(layer.data_to_world(np.zeros(ndim)))
        columns = [np.array(layer.data_to_world(row)) - offset for row in np.eye(ndim)]
        factors = _unit_factors(layer.units, view.units, ndim)
        return cls(np.stack(columns, axis=1) * factors[:, None], offset * factors)

    @property
    def ndim(self) -> int:
        """Number of axes of the layer."""
        return len(self.offset)

    def to_world(self, data: NDArray[np.float64]) -> NDArray[np.float64]:
        """`(n, d)` data → `(n, d)` world."""
        return data @ self.matrix.T + self.offset

    def to_data(self, world: NDArray[np.float64]) -> NDArray[np.float64]:
        """`(n, d)` world → `(n, d)` data."""
        return np.asarray(np.linalg.solve(self.matrix, (world - self.offset).T).T)


@dataclass(frozen=True, eq=False)
class SliceFrame:
    """The plane of an image that a view shows, and the way there from any layer.

    Attributes
    ----------
    view
        What the viewer shows.
    shown
        The plane of the image.
    image_map
        From the image's data to the world.
    """

    view: View
    shown: ShownSlice
    image_map: LayerMap

    @classmethod
    def of(cls, viewer: Any, image_layer: Any) -> SliceFrame:
        """The frame of the slice of `image_layer` that `viewer` shows now.

        Raises
        ------
        SliceNotShownError
            If the viewer shows three dimensions, other axes than the image has, or a place outside the image.
        """
        view = View.of(viewer)
        image_map = LayerMap.of(image_layer, view)
        return cls(view, _shown_slice(image_layer, image_map, view), image_map)

    def from_layer(self, layer: Any, data: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Carry data coordinates of a layer onto the plane.

        Parameters
        ----------
        layer
            Any layer of the viewer, with as many axes as the image, more, or fewer (missing ones are taken to be
            wherever the viewer is, as napari shows such a layer on every slice).
        data
            `(n, d)` data coordinates.

        Returns
        -------
        rows_columns
            `(n, 2)` float, (row, column) in pixels of the plane.
        is_on_slice
            `(n,)` bool, whether the nearest slice of the image is this one.
        """
        layer_map = LayerMap.of(layer, self.view)
        points = np.asarray(data, np.float64).reshape(-1, layer_map.ndim)
        world = np.tile(self._point(max(layer_map.ndim, self.image_map.ndim)), (len(points), 1))
        world[:, world.shape[1] - layer_map.ndim :] = layer_map.to_world(points)
        in_image = self.image_map.to_data(world[:, world.shape[1] - self.image_map.ndim :])
        nearest = np.round(in_image[:, list(self.shown.other_axes)])
        is_on_slice = (nearest == np.array(self.shown.index)).all(axis=1)
        is_on_slice &= self._is_at_extra_axes(layer_map, points)
        return np.round(in_image[:, list(self.shown.axes)], DECIMALS), is_on_slice

    def to_layer(self, layer: Any, rows_columns: ArrayLike) -> NDArray[np.float64]:
        """Carry (row, column) of the plane into a layer: `(n, 2)` → `(n, d)` data coordinates."""
        layer_map = LayerMap.of(layer, self.view)
        in_world = self.image_map.to_world(self.shown.to_coordinates(rows_columns))
        world = np.tile(self._point(max(layer_map.ndim, self.image_map.ndim)), (len(in_world), 1))
        world[:, world.shape[1] - self.image_map.ndim :] = in_world
        return layer_map.to_data(world[:, world.shape[1] - layer_map.ndim :])

    def _point(self, ndim: int) -> NDArray[np.float64]:
        """The last `ndim` world coordinates of the current position."""
        return np.array(((0.0,) * ndim + self.view.point)[-ndim:])

    def _is_at_extra_axes(self, layer_map: LayerMap, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether points of a layer with more axes than the image are shown along the axes it has not."""
        n_extra = layer_map.ndim - self.image_map.ndim
        if n_extra <= 0:
            return np.ones(len(points), bool)
        here = layer_map.to_data(self._point(layer_map.ndim)[None])[0]
        return np.asarray((np.round(points[:, :n_extra]) == np.round(here[:n_extra])).all(axis=1))


def finest_level(layer: Any) -> Any:
    """The array of an image or labels layer; level 0 of a multiscale one, which the layer's coordinates refer to."""
    return layer.data[0] if layer.multiscale else layer.data


def image_plane(array: Any, shown: ShownSlice) -> Image:
    """Read a plane of an array, `(rows, columns[, C])`. Lazy arrays (dask, zarr) are computed here."""
    return np.asarray(array[shown.selector])


def show_slice(viewer: Any, image_layer: Any, shown: ShownSlice) -> None:
    """Make a viewer show a plane of an image: its axes, and the position along the others.

    Parameters
    ----------
    viewer
        A napari viewer or `ViewerModel`.
    image_layer
        The image.
    shown
        The plane.
    """
    dims = viewer.dims
    missing = dims.ndim - image_layer.ndim
    displayed = tuple(axis + missing for axis in shown.axes)
    if dims.ndisplay != 2:
        dims.ndisplay = 2
    if tuple(sorted(dims.displayed)) != displayed:
        dims.order = (*(axis for axis in range(dims.ndim) if axis not in displayed), *displayed)
    # a place in the middle of the plane: where axes are rotated, the others depend on it
    image_map = LayerMap.of(image_layer, View.of(viewer))
    world = image_map.to_world(shown.to_coordinates([[(n - 1) / 2 for n in shown.shape]]))[0]
    dims.set_point([axis + missing for axis in shown.other_axes], [float(world[axis]) for axis in shown.other_axes])


def resample_label(layer: Any, label: int, frame: SliceFrame) -> NDArray[np.bool_]:
    """Where a labels layer shows a label on a slice of an image, to the nearest pixel.

    Parameters
    ----------
    layer
        A labels layer with any grid of its own; of a multiscale one, level 0 is read.
    label
        Which one.
    frame
        The slice.

    Returns
    -------
    ndarray
        `(rows, columns)` bool.
    """
    rows, columns = frame.shown.shape
    data = finest_level(layer)
    mask = np.zeros((rows, columns), bool)
    # a band of rows at a time: coordinates take far more memory than labels
    band = max(1, 1_000_000 // max(1, columns))
    for start in range(0, rows, band):
        stop = min(rows, start + band)
        grid = np.stack(np.meshgrid(np.arange(start, stop), np.arange(columns), indexing="ij"), axis=-1)
        places = np.round(frame.to_layer(layer, grid.reshape(-1, 2))).astype(np.intp)
        is_inside = ((places >= 0) & (places < np.array(data.shape))).all(axis=1)
        found = np.zeros(len(places), bool)
        if is_inside.any():
            found[is_inside] = np.asarray(data[tuple(places[is_inside].T)]) == label
        mask[start:stop] = found.reshape(stop - start, columns)
    return mask


def _shown_slice(image_layer: Any, image_map: LayerMap, view: View) -> ShownSlice:
    ndim = image_layer.ndim
    n_missing = view.ndim - ndim
    if n_missing < 0:
        raise SliceNotShownError(f"image '{image_layer.name}' is no longer in the viewer; pick another one.")
    axes = sorted(axis - n_missing for axis in view.displayed)
    if axes[0] < 0:
        raise SliceNotShownError(
            f"image '{image_layer.name}' has {ndim} axes and the viewer shows one that it has not; "
            "roll the axes (Ctrl+E) until the image is shown flat."
        )
    position = image_map.to_data(np.array(view.point[-ndim:])[None])[0]
    shape = finest_level(image_layer).shape
    others = [axis for axis in range(ndim) if axis not in axes]
    index = tuple(int(np.round(position[axis])) for axis in others)
    for axis, i in zip(others, index, strict=True):
        if not 0 <= i < shape[axis]:
            raise SliceNotShownError(
                f"the viewer stands at index {i} of axis {axis} of image '{image_layer.name}'; "
                f"expected 0 to {shape[axis] - 1}. Move the slider to a slice of the image."
            )
    return ShownSlice((axes[0], axes[1]), index, (int(shape[axes[0]]), int(shape[axes[1]])))


def _unit_factors(units: Any, world_units: tuple[Any, ...] | None, ndim: int) -> NDArray[np.float64]:
    """`(ndim,)` factors from a layer's units to those of the viewer; 1 where there is nothing to convert."""
    if world_units is None or len(world_units) < ndim:
        return np.ones(ndim)
    pairs = zip(units, world_units[-ndim:], strict=True)
    return np.array([1.0 if one == other else float((1.0 * one).to(other).magnitude) for one, other in pairs])
