"""Everything mode on layers: prompts of the shown slice come out of them, objects go into one, on that slice only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Points, Shapes

from napari_segnext.annotator.coordinates import finest_level
from napari_segnext.annotator.errors import LayerMismatchError, NoFreeLabelError
from napari_segnext.annotator.layers import NOTE, is_on_grid, kept_volume, note_of, require_writable, signs_of
from napari_segnext.errors import ImageError, PromptError
from napari_segnext.prompts import Box, Click, clicks_from_prompt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext._types import LabelImage
    from napari_segnext.annotator.coordinates import ShownSlice, SliceFrame

ROLE = "everything"
"""Noted in the metadata of the labels layers that are made here."""


MAX_PAINTABLE_PIXELS = 400_000_000
"""Of a slice; napari holds all of its labels in memory, four bytes each, and a run as many."""


def require_paintable(shown: ShownSlice) -> None:
    """Refuse a slice whose labels would not fit into memory, by its shape alone.

    Raises
    ------
    ImageError
        With words about what to do instead.
    """
    rows, columns = shown.shape
    if rows * columns > MAX_PAINTABLE_PIXELS:
        raise ImageError(
            f"{shown} has {rows} rows and {columns} columns, {rows * columns / 1e6:.0f} million pixels; expected at "
            f"most {MAX_PAINTABLE_PIXELS / 1e6:g} million. Use 'napari-segnext everything', which writes larger labels "
            "to a file; or crop it, or work at a coarser level of a multiscale image."
        )


def clicks_on_slice(points: Points, frame: SliceFrame) -> list[Click]:
    """The positive points of a layer that lie on the slice and on the image."""
    rows_columns, is_on_slice = frame.from_layer(points, points.data)
    clicks = [Click(row, column) for row, column in rows_columns[is_on_slice & signs_of(points)]]
    return [click for click in clicks if _is_on_image(click, frame.shown)]


def boxes_on_slice(shapes: Shapes, frame: SliceFrame) -> list[Box]:
    """The rectangles of a layer that lie on the slice and reach onto the image; of a turned one, the box around it."""
    boxes = []
    for vertices, shape_type in zip(shapes.data, shapes.shape_type, strict=True):
        outline, is_on_slice = frame.from_layer(shapes, vertices)
        is_flat = (np.ptp(outline, axis=0) == 0).any()
        if shape_type == "rectangle" and is_on_slice.all() and not is_flat:
            (top, left), (bottom, right) = outline.min(axis=0), outline.max(axis=0)
            boxes.append(Box(top, left, bottom, right))
    return [box for box in boxes if _is_on_image(box, frame.shown)]


def new_objects_layer(image: Any, shown: ShownSlice, labels: LabelImage) -> Labels:
    """A labels layer on the image's grid and in its place, which holds a label image on one slice.

    Parameters
    ----------
    image
        The image layer.
    shown
        The slice.
    labels
        `(rows, columns)` integer, 0 is background; of a 2D image, the layer takes int32 that can be written as it is.
    """
    shape = _grid_shape(image)
    if labels.shape == shape and labels.dtype == np.int32 and labels.flags.writeable:
        # of a large image, not twice
        data = labels
    else:
        data = np.zeros(shape, np.int32)
        data[shown.selector] = labels
    return Labels(
        data,
        name=f"SegNext {ROLE}",
        metadata={**kept_volume(image), NOTE: note_of(image, ROLE)},
        scale=image.scale,
        translate=image.translate,
        rotate=image.rotate,
        shear=image.shear,
        affine=image.affine,
        units=image.units,
        axis_labels=image.axis_labels,
    )


def add_objects(output: Labels, image: Any, shown: ShownSlice, labels: LabelImage) -> int:
    """Write a label image into the free pixels of one slice of a labels layer, numbered on from its greatest label.

    What the layer holds is never overwritten. napari's Ctrl+Z on the layer takes all of it back at once.

    Parameters
    ----------
    output
        A labels layer on the image's grid.
    image, shown, labels
        As of `new_objects_layer`.

    Returns
    -------
    int
        Number of objects that got at least one pixel.

    Raises
    ------
    LayerMismatchError
        If the layer is not on the image's grid, or cannot be written pixel by pixel.
    NoFreeLabelError
        If its dtype has not enough numbers left.
    """
    require_output(output, image)
    plane = np.asarray(output.data[shown.selector])
    rows, columns = np.nonzero((labels > 0) & (plane == 0))
    if len(rows) == 0:
        return 0
    # numbered without gaps, also where an object lies wholly under others
    written, numbers = np.unique(labels[rows, columns], return_inverse=True)
    first = _first_free(output, n_wanted=len(written))
    _write(output, shown.to_array_indices(rows, columns), (numbers + first).astype(output.data.dtype))
    return len(written)


def require_output(output: Labels, image: Any) -> None:
    """Refuse a labels layer that `add_objects` cannot write to.

    Raises
    ------
    LayerMismatchError, ReadOnlyLayerError
        With words about why.
    """
    if not is_on_grid(output, image):
        raise LayerMismatchError(
            f"labels layer '{output.name}' has shape {output.data.shape}; expected {_grid_shape(image)} with the scale "
            f"and position of image '{image.name}'. Pick another layer or 'new layer'."
        )
    if type(output.data).__module__.startswith("dask."):
        raise LayerMismatchError(
            f"labels layer '{output.name}' is a dask array, which cannot be written pixel by pixel. "
            "Pick another layer or 'new layer'."
        )
    require_writable(output)


def _first_free(output: Labels, *, n_wanted: int) -> int:
    """The number after the greatest label."""
    first = max(0, int(np.max(np.asarray(output.data)))) + 1
    limit = int(np.iinfo(output.data.dtype).max)
    if first + n_wanted - 1 > limit:
        raise NoFreeLabelError(
            f"labels layer '{output.name}' of dtype {output.data.dtype} has its labels up to {first - 1} in use and "
            f"cannot take {n_wanted} more; the greatest is {limit}. Pick 'new layer'."
        )
    return first


def _write(output: Labels, indices: tuple[NDArray[np.intp], ...], values: NDArray[Any]) -> None:
    """Write pixels so that napari's undo knows; a hidden layer, which napari does not slice, is shown meanwhile."""
    was_visible, output.visible = output.visible, True
    output.data_setitem(indices, values)
    output.visible = was_visible


def _grid_shape(image: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in finest_level(image).shape[: image.ndim])


def _is_on_image(prompt: Click | Box, shown: ShownSlice) -> bool:
    try:
        clicks_from_prompt(prompt, shown.shape, spacing_px=1)
    except PromptError:
        return False
    return True
