"""Working on a part of an image that is too large for labels of its size: what is in view becomes an image layer.

1. `image_in_view` cuts it out of the finest level at which it is small enough, and puts it in the same place.
2. That layer is annotated like any other; labels, undo history and saved work are as large as the part.
3. `collect_objects` writes the objects of all parts into one labels array of the whole image, such as a zarr array.

napari cannot edit labels with several levels, and reads a plane of labels with one level as a whole: so labels as large
as a slide of 50,000 × 50,000 pixels cannot be painted in it, wherever they lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.annotator.coordinates import LayerMap, View
from napari_segnext.annotator.errors import AnnotatorError, LayerMismatchError, SliceNotShownError
from napari_segnext.annotator.label_numbers import largest_label
from napari_segnext.annotator.layers import NOTE, role_of
from napari_segnext.annotator.levels import layer_at, level_shapes
from napari_segnext.volumes import VOLUME_NOTE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_segnext._types import Shape2D

REGION = "region"
"""Entry of the note in a layer's metadata that tells which part of which image it is."""

MAX_REGION_PX = 4096
"""Longest side of what is in view, in pixels of the level that is taken; three labels layers have its size."""

STEPS = 8
"""A part begins and ends at multiples of about its side over this, so that the same view gives the same part."""

MAX_BLOCK_PX = 4_000_000
"""Pixels that are collected together."""


@dataclass(frozen=True, slots=True)
class Region:
    """An upright rectangle of a level of an image.

    Attributes
    ----------
    level
        0 is the finest.
    axes
        (row axis, column axis) of the array, ascending.
    start, stop
        (row, column) of the first pixel of the level, and one past the last.
    """

    level: int
    axes: tuple[int, int]
    start: tuple[int, int]
    stop: tuple[int, int]

    @property
    def shape(self) -> Shape2D:
        """(rows, columns)."""
        return self.stop[0] - self.start[0], self.stop[1] - self.start[1]

    def contains(self, other: Region) -> bool:
        """Whether another region of the same level and axes lies within this one."""
        return (
            (self.level, self.axes) == (other.level, other.axes)
            and all(one <= two for one, two in zip(self.start, other.start, strict=True))
            and all(one >= two for one, two in zip(self.stop, other.stop, strict=True))
        )

    def selector(self, ndim: int) -> tuple[slice, ...]:
        """Index that cuts the region out of the level; all of the other axes."""
        parts = [slice(None)] * ndim
        for axis, start, stop in zip(self.axes, self.start, self.stop, strict=True):
            parts[axis] = slice(start, stop)
        return tuple(parts)

    def __str__(self) -> str:
        rows, columns = (f"{start} to {stop - 1}" for start, stop in zip(self.start, self.stop, strict=True))
        return f"level {self.level}, rows {rows}, columns {columns}"


def region_of(layer: Any) -> tuple[str, Region] | None:
    """(unique id of the image, region) of a layer that `image_in_view` made; None for any other."""
    note = layer.metadata.get(NOTE, {})
    return (str(note["image_id"]), note[REGION]) if REGION in note else None


def region_in_view(viewer: Any, image: Image) -> Region:
    """What the canvas shows of an image, at the finest level that makes it small enough; a little more at the edges.

    Parameters
    ----------
    viewer
        The viewer that shows the image.
    image
        An image layer with one level or several.

    Raises
    ------
    SliceNotShownError
        If the viewer shows three dimensions, or nothing of the image.
    AnnotatorError
        If it is too large even at the coarsest level.
    """
    axes = _plane_axes(viewer, image)
    shapes = level_shapes(image)
    start, stop = _seen(viewer, image, axes)
    if min(stop - start) <= 0:
        raise SliceNotShownError(f"image '{image.name}' is not in view; move to it, then try again.")
    for level, shape in enumerate(shapes):
        size = np.array([shape[axis] for axis in axes])
        factors = np.array([shapes[0][axis] for axis in axes]) / size
        first, last = np.floor(start / factors).astype(int), np.minimum(np.ceil(stop / factors).astype(int), size)
        if max(last - first) <= MAX_REGION_PX:
            return _snapped(level, axes, first, last, size)
    rows, columns = last - first
    raise AnnotatorError(
        f"{rows} × {columns} pixels of '{image.name}' are in view at its coarsest level; expected at most "
        f"{MAX_REGION_PX} × {MAX_REGION_PX}. Zoom in, or open the image with coarser levels."
    )


def image_in_view(viewer: Any, image: Image) -> Any:
    """The layer of what is in view of an image, made and put below it at first.

    A layer that was made before and shows all that is in view, as finely, is given back. The pixels of a plane are read
    into memory; of images with more axes, they are read slice by slice when they are needed.

    Parameters
    ----------
    viewer, image
        As of `region_in_view`, which also says what is raised.
    """
    region = region_in_view(viewer, image)
    for layer in viewer.layers:
        made = region_of(layer)
        if made is not None and made[0] == str(image.unique_id) and made[1].contains(region):
            return layer
    start = [0] * image.ndim
    for axis, first in zip(region.axes, region.start, strict=True):
        start[axis] = first
    layer = layer_at(
        image,
        region.level,
        _cut(image, region),
        name=f"{image.name} ({region})",
        note={REGION: region},
        start=start,
    )
    # labels of a part must not be saved in the place of the whole
    layer.metadata = {key: value for key, value in layer.metadata.items() if key != VOLUME_NOTE}
    viewer.layers.insert(viewer.layers.index(image), layer)
    return layer


def collect_objects(viewer: Any, image: Image, into: Any, *, level: int = 0) -> dict[str, int]:
    """Write the accepted objects of all parts of an image into labels of the whole image.

    Pixels that are taken already stay as they are. Numbers of a part are raised so that no two objects share one; an
    object that was annotated in two parts is two objects.

    Parameters
    ----------
    viewer
        Holds the image, the parts, and the labels layers that annotating them has made.
    image
        The whole image.
    into
        Array of the level's shape, without the RGB axis, that slices are written into; a zarr array stores only chunks
        that hold something. What it holds counts, too.
    level
        Whose grid it has; parts of other levels are resampled to the nearest pixel.

    Returns
    -------
    dict
        Name of the labels layer of a part → what was added to its numbers, in the order of the layers.

    Raises
    ------
    LayerMismatchError
        If the array has another shape.
    AnnotatorError
        If its type cannot hold the numbers.
    """
    shape = level_shapes(image)[level]
    if tuple(into.shape) != shape:
        raise LayerMismatchError(
            f"the array has shape {tuple(into.shape)}; expected {shape}, that of level {level} of '{image.name}'."
        )
    added: dict[str, int] = {}
    offset = largest_label(into)
    for region, objects in _annotated_parts(viewer, image):
        largest = int(objects.data.max(initial=0))
        if offset + largest > np.iinfo(into.dtype).max:
            raise AnnotatorError(
                f"the array has dtype {into.dtype}, which does not hold {offset + largest} objects; give a wider one."
            )
        _write_part(np.asarray(objects.data), region, level_shapes(image), into, level, offset)
        added[objects.name] = offset
        offset += largest
    return added


def _plane_axes(viewer: Any, image: Any) -> tuple[int, int]:
    missing = viewer.dims.ndim - image.ndim
    first, second = sorted(axis - missing for axis in View.of(viewer).displayed)
    if first < 0:
        raise SliceNotShownError(f"the viewer shows an axis that image '{image.name}' has not; roll the axes (Ctrl+E).")
    return first, second


def _seen(viewer: Any, image: Any, axes: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First row and column of the finest level that the canvas shows, and one past the last.

    Not from the layer's `corner_pixels`: of a multiscale one these are what napari has loaded, which may be far more.
    """
    view = View.of(viewer)
    middle, half = np.array(viewer.camera.center[-2:]), np.array(_canvas_size(viewer)) / viewer.camera.zoom / 2
    corners = np.tile(np.array(view.point), (4, 1))
    corners[:, list(view.displayed)] = middle + half * np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
    in_image = LayerMap.of(image, view).to_data(corners[:, view.ndim - image.ndim :])[:, list(axes)]
    size = np.array([level_shapes(image)[0][axis] for axis in axes], float)
    return np.clip(in_image.min(axis=0) + 0.5, 0, size), np.clip(in_image.max(axis=0) + 0.5, 0, size)


def _canvas_size(viewer: Any) -> tuple[float, float]:
    """(height, width), in the pixels that the camera's zoom counts in."""
    # napari before 0.7 keeps it on the viewer
    size = viewer.canvas.size if hasattr(viewer, "canvas") else viewer._canvas_size
    return float(size[0]), float(size[1])


def _snapped(level: int, axes: tuple[int, int], first: Any, last: Any, size: Any) -> Region:
    step = 2 ** max(0, int(np.log2(max(1, max(last - first) / STEPS))))
    start, stop = first // step * step, np.minimum(-(-last // step) * step, size)
    return Region(level, axes, (int(start[0]), int(start[1])), (int(stop[0]), int(stop[1])))


def _cut(image: Any, region: Region) -> Any:
    array = image.data[region.level] if image.multiscale else image.data
    selector = region.selector(image.ndim)
    n_planes = np.prod([n for axis, n in enumerate(level_shapes(image)[region.level]) if axis not in region.axes])
    if n_planes == 1:
        return np.array(array[selector])
    if not isinstance(array, np.ndarray) and not hasattr(array, "dask"):
        from dask.array import from_array

        array = from_array(array, chunks=getattr(array, "chunks", None) or "auto")  # type: ignore[no-untyped-call]
    return array[selector]


def _annotated_parts(viewer: Any, image: Any) -> Iterator[tuple[Region, Any]]:
    """(region of a part, labels layer of its objects)."""
    for part in viewer.layers:
        made = region_of(part)
        if made is None or made[0] != str(image.unique_id):
            continue
        for layer in viewer.layers:
            note = layer.metadata.get(NOTE, {})
            if role_of(layer) == "objects" and note.get("image_id") == str(part.unique_id):
                yield made[1], layer


def _write_part(
    objects: NDArray[Any], region: Region, shapes: tuple[tuple[int, ...], ...], into: Any, level: int, offset: int
) -> None:
    """Write one part, band by band, into what is free."""
    fine, coarse = (np.array([shapes[one][axis] for axis in region.axes]) for one in (level, region.level))
    ratio = fine / coarse
    start, stop = (np.round(np.array(edge) * ratio).astype(int) for edge in (region.start, region.stop))
    rows, columns = (
        np.clip(np.floor((np.arange(start[i], stop[i]) + 0.5) / ratio[i]).astype(int) - region.start[i], 0, n - 1)
        for i, n in enumerate(region.shape)
    )
    others = [axis for axis in range(objects.ndim) if axis not in region.axes]
    n_rows = max(1, MAX_BLOCK_PX // max(1, len(columns)))
    for place in np.ndindex(*(into.shape[axis] for axis in others)):
        here: list[int | slice] = [slice(None)] * objects.ndim
        there: list[int | slice] = [slice(None)] * objects.ndim
        for axis, index in zip(others, place, strict=True):
            there[axis] = index
            here[axis] = index * objects.shape[axis] // into.shape[axis]
        plane = objects[tuple(here)]
        if not plane.any():
            continue
        for first in range(0, len(rows), n_rows):
            band = plane[np.ix_(rows[first : first + n_rows], columns)]
            there[region.axes[0]] = slice(int(start[0]) + first, int(start[0]) + first + len(band))
            there[region.axes[1]] = slice(int(start[1]), int(stop[1]))
            _write_free(into, tuple(there), band, offset)


def _write_free(into: Any, place: tuple[int | slice, ...], band: NDArray[Any], offset: int) -> None:
    if not band.any():
        return
    held = np.asarray(into[place])
    is_new = (band != 0) & (held == 0)
    into[place] = np.where(is_new, band.astype(held.dtype) + held.dtype.type(offset), held)
