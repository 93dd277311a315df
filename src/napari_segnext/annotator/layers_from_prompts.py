"""Prompts → layers: after an edit was taken back, the layers show the prompts of that moment again.

Only what differs is touched: marks that still stand for a wanted prompt stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_segnext.annotator.label_edits import write_pixels
from napari_segnext.annotator.layers import (
    BACKGROUND_STROKE,
    OBJECT_STROKE,
    restyle,
    set_signs,
    signs_of,
)
from napari_segnext.annotator.prompts_from_layers import Mark, PlacedPrompt, PointMark, ShapeMark, StrokeMark
from napari_segnext.prompts import Box, Click, Polygon, Prompt, Scribble

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike

    from napari_segnext.annotator.coordinates import SliceFrame
    from napari_segnext.annotator.layers import AnnotationLayers


def show_prompts(
    layers: AnnotationLayers,
    frame: SliceFrame,
    *,
    placed: Sequence[PlacedPrompt],
    wanted: Iterable[Prompt],
    marks: Mapping[Prompt, Mark],
) -> None:
    """Make the layers show these prompts on the slice, and no other ones.

    Parameters
    ----------
    layers, frame
        Where to.
    placed
        What the layers show now; see `read_layers`.
    wanted
        What they shall show.
    marks
        The marks that prompts were once read from; other prompts are drawn anew.
    """
    missing = list(wanted)
    surplus = []
    for one in placed:
        if one.prompt in missing:
            missing.remove(one.prompt)
        else:
            surplus.append(one)
    _remove(layers, surplus)
    for prompt in missing:
        mark = marks.get(prompt) or draw_mark(prompt, layers, frame)
        if mark is not None:
            _add(layers, mark)
    restyle(layers)


def draw_mark(prompt: Prompt, layers: AnnotationLayers, frame: SliceFrame) -> Mark | None:
    """A mark that stands for a prompt; None for a mask, which no layer shows."""
    match prompt:
        case Click():
            data = frame.to_layer(layers.points, [(prompt.row, prompt.column)])[0]
            return PointMark(tuple(data.tolist()), prompt.is_positive)
        case Box():
            top, left, bottom, right = prompt.top, prompt.left, prompt.bottom, prompt.right
            corners = [(top, left), (top, right), (bottom, right), (bottom, left)]
            return _shape_mark(corners, "rectangle", layers, frame)
        case Polygon():
            return _shape_mark(prompt.vertices, "polygon", layers, frame)
        case Scribble():
            if len(prompt.path) > 1:
                return _shape_mark(prompt.path, "path", layers, frame, is_positive=prompt.is_positive)
            row, column = np.round(prompt.path[0]).astype(np.intp)
            indices = frame.shown.to_array_indices(np.array([row]), np.array([column]))
            return StrokeMark(indices, OBJECT_STROKE if prompt.is_positive else BACKGROUND_STROKE)
    return None


def _shape_mark(
    outline: ArrayLike, shape_type: str, layers: AnnotationLayers, frame: SliceFrame, *, is_positive: bool = True
) -> ShapeMark:
    vertices = frame.to_layer(layers.shapes, outline)
    return ShapeMark(tuple(tuple(vertex) for vertex in vertices.tolist()), shape_type, is_positive)


def _remove(layers: AnnotationLayers, surplus: Sequence[PlacedPrompt]) -> None:
    layers.points.remove([one.place for one in surplus if isinstance(one.mark, PointMark)])
    layers.shapes.remove([one.place for one in surplus if isinstance(one.mark, ShapeMark)])
    for one in surplus:
        if isinstance(one.mark, StrokeMark):
            write_pixels(layers.scribbles, one.mark.indices, 0)


def _add(layers: AnnotationLayers, mark: Mark) -> None:
    match mark:
        case PointMark():
            signs = signs_of(layers.points)
            layers.points.add(np.array(mark.data))
            layers.points.selected_data = set()
            set_signs(layers.points, np.append(signs, mark.is_positive))
        case ShapeMark():
            signs = signs_of(layers.shapes)
            layers.shapes.add(np.array(mark.vertices), shape_type=mark.shape_type)
            set_signs(layers.shapes, np.append(signs, mark.is_positive))
        case StrokeMark():
            write_pixels(layers.scribbles, mark.indices, mark.label)
