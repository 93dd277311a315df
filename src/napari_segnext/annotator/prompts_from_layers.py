"""Layers → prompts of the slice that is shown, in the order in which the user gave them.

Each prompt keeps the *mark* it was read from (a point, a shape, or the pixels of a stroke), so that taking an edit back
can put the very same mark into the layer again.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_segnext.annotator.layers import BACKGROUND_STROKE, OBJECT_STROKE, signs_of
from napari_segnext.annotator.strokes import stroke_masks, stroke_path
from napari_segnext.errors import PromptError
from napari_segnext.prompts import Box, Click, Polygon, Prompt, Scribble, clicks_from_prompt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_segnext.annotator.coordinates import SliceFrame
    from napari_segnext.annotator.layers import AnnotationLayers

ELLIPSE_VERTICES = 16
"""An ellipse is read as a polygon of this many vertices."""

MIN_SHAPE_PX = 1.0
"""A box, polygon or line that is smaller than this in both directions is a slip of the mouse and is not read."""

MAX_STROKE_PLANES = 32
"""Planes whose strokes are kept."""

Coordinates: TypeAlias = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class PointMark:
    """A point: its data coordinates and sign."""

    data: tuple[float, ...]
    is_positive: bool


@dataclass(frozen=True)
class ShapeMark:
    """A shape: its vertices in data coordinates, napari's name of its type, and its sign."""

    vertices: Coordinates
    shape_type: str
    is_positive: bool


@dataclass(frozen=True, eq=False)
class StrokeMark:
    """A connected stroke: the index arrays of its pixels in the scribbles layer, and their label."""

    indices: tuple[NDArray[np.intp], ...]
    label: int


Mark: TypeAlias = PointMark | ShapeMark | StrokeMark


@dataclass(frozen=True)
class PlacedPrompt:
    """A prompt and the mark in the layers that it was read from.

    Attributes
    ----------
    prompt
        In pixels of the slice.
    mark
        In data coordinates of its layer.
    place
        Index of the point or shape in its layer; -1 for a stroke.
    """

    prompt: Prompt
    mark: Mark
    place: int = -1


@dataclass(frozen=True)
class LayersReading:
    """What the layers say about the slice that is shown.

    Attributes
    ----------
    placed
        Points, then shapes, then strokes, each in the order of its layer.
    problems
        Sentences about marks that cannot be used, such as a click beside the image.
    """

    placed: tuple[PlacedPrompt, ...]
    problems: tuple[str, ...] = ()

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts alone."""
        return tuple(placed.prompt for placed in self.placed)


@dataclass(frozen=True, eq=False)
class _Stroke:
    """A stroke and its pixels on the plane, `(n,)` row and column indices."""

    prompt: Scribble
    label: int
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]


class StrokeCache:
    """Strokes of the planes that were read last, known by the bytes of the plane.

    The paths of strokes are much dearer than looking whether pixels have changed, and whoever changes pixels need not
    tell.
    """

    def __init__(self) -> None:
        self._strokes: OrderedDict[bytes, tuple[_Stroke, ...]] = OrderedDict()

    def strokes(self, plane: NDArray[Any]) -> tuple[_Stroke, ...]:
        """The strokes of a plane `(rows, columns)` of a scribbles layer."""
        key = _digest(plane)
        if key not in self._strokes:
            self._strokes[key] = tuple(_find_strokes(plane))
        self._strokes.move_to_end(key)
        while len(self._strokes) > MAX_STROKE_PLANES:
            self._strokes.popitem(last=False)
        return self._strokes[key]


def read_layers(layers: AnnotationLayers, frame: SliceFrame, known: StrokeCache | None = None) -> LayersReading:
    """Read every point, shape and stroke that lies on the slice; what cannot be used is left out and told.

    Parameters
    ----------
    layers, frame
        What to read, and the slice.
    known
        Strokes that were found before; without it, all are found anew.
    """
    usable: list[PlacedPrompt] = []
    problems: list[str] = []
    for candidate in _candidates(layers, frame, StrokeCache() if known is None else known):
        if isinstance(candidate, str):
            problems.append(candidate)
            continue
        try:
            clicks_from_prompt(candidate.prompt, frame.shown.shape, spacing_px=1)
        except PromptError as error:
            problems.append(str(error))
        else:
            usable.append(candidate)
    return LayersReading(tuple(usable), tuple(problems))


def in_given_order(previous: Sequence[Prompt], present: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """Order prompts as the user gave them.

    Layers know no order among each other, so it is carried on: prompts that were there before keep their places, a
    changed one (as many of a kind gone as come) takes the place of the old one, and new ones go to the end.

    Parameters
    ----------
    previous
        Prompts in the order known so far.
    present
        Prompts there are now, in any order.
    """
    come = list(present)
    places: list[Prompt | None] = []
    for prompt in previous:
        if prompt in come:
            come.remove(prompt)
            places.append(prompt)
        else:
            places.append(None)
    for kind in {prompt.kind for prompt in come}:
        gone = [i for i, prompt in enumerate(previous) if places[i] is None and prompt.kind == kind]
        successors = [prompt for prompt in come if prompt.kind == kind]
        if len(gone) == len(successors):
            for i, prompt in zip(gone, successors, strict=True):
                places[i] = prompt
                come.remove(prompt)
    return (*(prompt for prompt in places if prompt is not None), *come)


def _candidates(layers: AnnotationLayers, frame: SliceFrame, known: StrokeCache) -> Iterator[PlacedPrompt | str]:
    yield from _read_points(layers.points, frame)
    yield from _read_shapes(layers.shapes, frame)
    yield from _read_strokes(layers.scribbles, frame, known)


def _read_points(points: Any, frame: SliceFrame) -> Iterator[PlacedPrompt | str]:
    rows_columns, is_on_slice = frame.from_layer(points, points.data)
    signs = signs_of(points)
    for i in np.flatnonzero(is_on_slice):
        row, column = rows_columns[i].tolist()
        click = Click(row, column, bool(signs[i]))
        yield PlacedPrompt(click, PointMark(tuple(points.data[i].tolist()), click.is_positive), int(i))


def _read_shapes(shapes: Any, frame: SliceFrame) -> Iterator[PlacedPrompt | str]:
    signs = signs_of(shapes)
    widths = shapes.edge_width
    for i, (vertices, shape_type) in enumerate(zip(shapes.data, shapes.shape_type, strict=True)):
        outline, is_on_slice = frame.from_layer(shapes, vertices)
        if not is_on_slice.all():
            continue
        shape_type = str(shape_type)
        if (np.ptp(outline, axis=0) < MIN_SHAPE_PX).all():
            yield f"{shape_type} at ({outline[0, 0]:g}, {outline[0, 1]:g}) is smaller than a pixel; drag to draw it."
            continue
        try:
            prompt = _prompt_from_shape(outline, shape_type, is_positive=bool(signs[i]), width=float(widths[i]))
        except PromptError as error:
            yield str(error)
            continue
        mark = ShapeMark(tuple(tuple(vertex) for vertex in vertices.tolist()), shape_type, bool(signs[i]))
        yield PlacedPrompt(prompt, mark, i)


def _prompt_from_shape(outline: NDArray[np.float64], shape_type: str, *, is_positive: bool, width: float) -> Prompt:
    """The prompt that a shape with these `(n, 2)` vertices on the slice stands for."""
    if shape_type in ("path", "line"):
        return Scribble(outline, is_positive=is_positive, width=width)
    if shape_type == "ellipse":
        return Polygon(_ellipse_outline(outline))
    if shape_type == "rectangle" and _is_upright(outline):
        (top, left), (bottom, right) = outline.min(axis=0), outline.max(axis=0)
        return Box(top, left, bottom, right)
    return Polygon(outline)


def _is_upright(corners: NDArray[np.float64]) -> bool:
    """Whether four corners form a rectangle along rows and columns."""
    steps = np.abs(np.diff(corners, axis=0, append=corners[:1]))
    return bool((steps.min(axis=1) < 0.01).all())


def _ellipse_outline(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vertices on the ellipse within a (rotated, sheared) rectangle of four corners."""
    centre = corners.mean(axis=0)
    one, other = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angles = np.arange(ELLIPSE_VERTICES) * (2 * np.pi / ELLIPSE_VERTICES)
    outline = centre + np.cos(angles)[:, None] * one + np.sin(angles)[:, None] * other
    return np.asarray(np.round(outline, 3))


def _read_strokes(scribbles: Any, frame: SliceFrame, known: StrokeCache) -> Iterator[PlacedPrompt]:
    for stroke in known.strokes(np.asarray(scribbles.data[frame.shown.selector])):
        indices = frame.shown.to_array_indices(stroke.rows, stroke.columns)
        yield PlacedPrompt(stroke.prompt, StrokeMark(indices, stroke.label))


def _find_strokes(plane: NDArray[Any]) -> Iterator[_Stroke]:
    for label in (OBJECT_STROKE, BACKGROUND_STROKE):
        for stroke in stroke_masks(plane == label):
            path, width = stroke_path(stroke.mask)
            prompt = Scribble(path + np.array(stroke.corner), is_positive=label == OBJECT_STROKE, width=width)
            rows, columns = np.nonzero(stroke.mask)
            yield _Stroke(prompt, label, rows + stroke.corner[0], columns + stroke.corner[1])


def _digest(plane: NDArray[Any]) -> bytes:
    """Of shape, type and pixels."""
    digest = hashlib.blake2b(f"{plane.shape} {plane.dtype}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(plane).data)
    return digest.digest()
