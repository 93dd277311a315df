"""The five layers of an annotation: made beside the image, or adopted if the user has them, and how signs look.

Positive is a blue disc, negative an orange ×: told apart by colour and by symbol, also by colour-blind eyes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Points, Shapes
from napari.utils import DirectLabelColormap

from napari_segnext.annotator.coordinates import LayerMap, View, finest_level
from napari_segnext.annotator.errors import LayerMismatchError, ReadOnlyLayerError
from napari_segnext.volumes import VOLUME_NOTE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

SIGN = "is_positive"
"""Name of the feature that tells positive prompts from negative ones."""

POSITIVE_COLOUR = "#1e90ff"
NEGATIVE_COLOUR = "#ff7f0e"
PREVIEW_COLOUR = "#ffe119"
ADDED_COLOUR = "#3cb44b"
REMOVED_COLOUR = "#e6194b"
POSITIVE_SYMBOL = "disc"
NEGATIVE_SYMBOL = "x"

OBJECT_STROKE = 1
BACKGROUND_STROKE = 2

NOTE = "napari-segnext"
"""Key of `layer.metadata` under which a made layer's role and image are noted, so that the next start finds it."""

MARK_SCREEN_PX = (4, 20)
"""Least and greatest size of a click's mark on the screen: it must not hide a small object that one is close to."""

OUTPUT_DTYPE = np.int32
VIEW_ROLES = ("probability", "depth", "order")
_LINE_TYPES = ("path", "line")


@dataclass(frozen=True, eq=False)
class AnnotationLayers:
    """The layers of one annotation.

    Attributes
    ----------
    image
        What is segmented.
    points
        Clicks; the feature `is_positive` holds their sign.
    shapes
        Boxes, polygons and lines; the feature `is_positive` counts for lines only.
    scribbles
        Brush strokes on the image's grid: 1 is object, 2 is background.
    preview
        The current mask on the image's grid, 1 inside; for a moment 2 where it grew and 3 where it shrank. Written by
        the annotator alone.
    output
        The accepted objects on the image's grid, 0 is background.
    """

    image: Any
    points: Points
    shapes: Shapes
    scribbles: Labels
    preview: Labels
    output: Labels

    def __contains__(self, layer: object) -> bool:
        return layer in self.all

    @property
    def all(self) -> tuple[Any, ...]:
        """All six, the image first."""
        return (self.image, self.points, self.shapes, self.scribbles, self.preview, self.output)

    @property
    def prompts(self) -> tuple[Points, Shapes, Labels]:
        """The three that the user draws on."""
        return (self.points, self.shapes, self.scribbles)


def prepare_layers(
    viewer: Any,
    image: Any,
    *,
    points: Points | None = None,
    shapes: Shapes | None = None,
    scribbles: Labels | None = None,
    output: Labels | None = None,
) -> AnnotationLayers:
    """Adopt the layers that are given, make the others, and put those in the viewer that are not there yet.

    Nothing is added to the viewer unless all layers fit.

    Raises
    ------
    LayerMismatchError
        If a given labels layer is not on the image's grid, or one layer is given for two roles.
    ReadOnlyLayerError
        If a given labels layer cannot be written into.
    """
    if not viewer.layers or image not in viewer.layers:
        raise LayerMismatchError(f"image layer '{image.name}' is not in the viewer; add it first.")
    if scribbles is not None and scribbles == output:
        raise LayerMismatchError(
            f"labels layer '{output.name}' was given for the scribbles and for the objects; pick two layers."
        )
    for labels, role in ((scribbles, "scribbles"), (output, "objects")):
        if labels is not None:
            _require_grid(labels, image, role)
    layers = AnnotationLayers(
        image=image,
        output=output if output is not None else _labels(image, "objects", OUTPUT_DTYPE),
        preview=_preview(image),
        scribbles=scribbles if scribbles is not None else _scribbles(image),
        shapes=shapes if shapes is not None else _shapes(image),
        points=points if points is not None else _points(image),
    )
    for layer in (layers.output, layers.preview, layers.scribbles, layers.shapes, layers.points):
        if layer not in viewer.layers:
            viewer.add_layer(layer)
    restyle(layers)
    return layers


def role_of(layer: Any) -> str:
    """The role that a layer had in an annotation: "clicks", "shapes", "scribbles", "objects", or empty."""
    return str(layer.metadata.get(NOTE, {}).get("role", ""))


def was_made_for(layer: Any, image: Any, role: str) -> bool:
    """Whether an earlier annotation of an image of this name made the layer for this role."""
    note = layer.metadata.get(NOTE, {})
    return bool((note.get("role"), note.get("image")) == (role, image.name))


def follow_names(layers: Iterable[Any]) -> None:
    """Images may have been renamed: what is noted in the layers that were made for them follows."""
    all_layers = list(layers)
    names = {str(layer.unique_id): layer.name for layer in all_layers}
    for layer in all_layers:
        note = layer.metadata.get(NOTE, {})
        name = names.get(note.get("image_id", ""))
        if name is not None and name != note["image"]:
            layer.metadata = {**layer.metadata, NOTE: {**note, "image": name}}


def is_on_grid(labels: Any, image: Any) -> bool:
    """Whether a labels layer has the shape and the place of an image, pixel by pixel."""
    return not labels.multiscale and has_grid_of(labels, image)


def has_grid_of(labels: Any, image: Any) -> bool:
    """Whether a layer of pixels has the shape and the place of an image at its finest level."""
    if labels.ndim != image.ndim or _grid_shape(labels) != _grid_shape(image):
        return False
    nowhere = View((0.0,) * image.ndim, (0, 1))
    one, other = LayerMap.of(labels, nowhere), LayerMap.of(image, nowhere)
    same_place = np.allclose(one.matrix, other.matrix) and np.allclose(one.offset, other.offset)
    return bool(same_place) and tuple(labels.units) == tuple(image.units)


def require_writable(labels: Any) -> None:
    """Refuse a labels layer that pixels cannot be written into, now.

    Raises
    ------
    ReadOnlyLayerError
        If the user has made the layer not editable, or its array is read-only.
    """
    if not labels.editable and not labels.multiscale:
        raise ReadOnlyLayerError(
            f"labels layer '{labels.name}' is not editable; make it editable, or start with 'new layer'."
        )
    array = labels.data
    flags = getattr(array, "flags", None)
    if not getattr(flags, "writeable", True) or getattr(array, "read_only", False):
        raise ReadOnlyLayerError(
            f"the array of labels layer '{labels.name}' is read-only; open it for writing, copy it into "
            "memory, or start with 'new layer'."
        )


def signs_of(layer: Points | Shapes) -> NDArray[np.bool_]:
    """`(n,)` bool sign of each point or shape; positive where the layer does not say."""
    n_data = len(layer.data)
    if SIGN not in layer.features:
        return np.ones(n_data, bool)
    values = list(layer.features[SIGN])[:n_data]
    # missing values of a features table (None, NaN) count as positive, and so does what is not in the table yet
    known = [True if value is None or value != value else bool(value) for value in values]
    return np.array(known + [True] * (n_data - len(known)), bool)


def set_signs(layer: Points | Shapes, signs: NDArray[np.bool_]) -> None:
    """Give each point or shape its sign, leaving its other features."""
    features = layer.features.iloc[: len(layer.data)].reset_index(drop=True).reindex(range(len(layer.data)))
    features[SIGN] = np.asarray(signs, bool)
    layer.features = features


def set_next_sign(layers: AnnotationLayers, *, is_positive: bool) -> None:
    """What is drawn next, on any of the three layers, has this sign."""
    for layer in (layers.points, layers.shapes):
        set_default_sign(layer, is_positive=is_positive)
    layers.scribbles.selected_label = OBJECT_STROKE if is_positive else BACKGROUND_STROKE


def set_default_sign(layer: Points | Shapes, *, is_positive: bool) -> None:
    """The next point or shape of a layer has this sign."""
    layer.feature_defaults = {**layer.feature_defaults.iloc[0].to_dict(), SIGN: is_positive}


def restyle(layers: AnnotationLayers) -> None:
    """Show the sign of every point and line by colour and symbol; boxes and polygons have none."""
    _restyle_points(layers.points)
    _restyle_shapes(layers.shapes)


def _restyle_points(points: Points) -> None:
    if SIGN not in points.features or len(points.features) != len(points.data):
        set_signs(points, signs_of(points))
    if len(points.data) == 0:
        return
    signs = signs_of(points)
    symbols = np.where(signs, POSITIVE_SYMBOL, NEGATIVE_SYMBOL)
    if [str(symbol) for symbol in points.symbol] != list(symbols):
        points.symbol = list(symbols)
    colours = _colours(signs)
    if not np.allclose(points.face_color, colours):
        points.face_color = colours


def _restyle_shapes(shapes: Shapes) -> None:
    if SIGN not in shapes.features or len(shapes.features) != len(shapes.data):
        set_signs(shapes, signs_of(shapes))
    if len(shapes.data) == 0:
        return
    is_line = np.array([kind in _LINE_TYPES for kind in shapes.shape_type])
    colours = _colours(signs_of(shapes) | ~is_line)
    if not np.allclose(shapes.edge_color, colours):
        shapes.edge_color = colours


def _colours(signs: NDArray[np.bool_]) -> NDArray[np.float64]:
    """`(n, 4)` RGBA."""
    return np.array([_rgba(POSITIVE_COLOUR if sign else NEGATIVE_COLOUR) for sign in signs]).reshape(-1, 4)


def _rgba(colour: str) -> tuple[float, ...]:
    return (*(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)), 1.0)


def _require_grid(labels: Any, image: Any, role: str) -> None:
    if type(labels.data).__module__.startswith("dask."):
        raise LayerMismatchError(
            f"labels layer '{labels.name}', chosen for the {role}, is a dask array, which cannot be written pixel by "
            "pixel; expected one in memory, a memory map or a zarr array. Compute it first, or pick 'new layer'."
        )
    if is_on_grid(labels, image):
        require_writable(labels)
        return
    got = "several resolutions" if labels.multiscale else f"shape {labels.data.shape}"
    raise LayerMismatchError(
        f"labels layer '{labels.name}', chosen for the {role}, has {got}; expected shape {_grid_shape(image)} with the "
        f"scale and position of image '{image.name}'. Pick another layer or 'new layer'."
    )


def _grid_shape(image: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in finest_level(image).shape[: image.ndim])


def note_of(image: Any, role: str) -> dict[str, str]:
    """What is noted in a layer that is made for an image."""
    return {"role": role, "image": image.name, "image_id": str(image.unique_id)}


def kept_volume(image: Any) -> dict[str, Any]:
    """The volume that an image's metadata keep, if any, for layers on its grid: labels are then saved in its place."""
    return {key: volume for key, volume in image.metadata.items() if key == VOLUME_NOTE}


def placed_on(image: Any, role: str) -> dict[str, Any]:
    """Arguments that put a new layer on the image's grid and note its role."""
    return {
        "name": f"SegNext {role}",
        "metadata": {**kept_volume(image), NOTE: note_of(image, role)},
        "scale": image.scale,
        "translate": image.translate,
        "rotate": image.rotate,
        "shear": image.shear,
        "affine": image.affine,
        "units": image.units,
        "axis_labels": image.axis_labels,
    }


def _points(image: Any) -> Points:
    return Points(
        np.empty((0, image.ndim)),
        ndim=image.ndim,
        features={SIGN: np.empty(0, bool)},
        feature_defaults={SIGN: True},
        size=_mark_size(image),
        canvas_size_limits=MARK_SCREEN_PX,
        border_width=0.15,
        border_color="white",
        face_color=POSITIVE_COLOUR,
        symbol=POSITIVE_SYMBOL,
        **placed_on(image, "clicks"),
    )


def _shapes(image: Any) -> Shapes:
    return Shapes(
        ndim=image.ndim,
        features={SIGN: np.empty(0, bool)},
        feature_defaults={SIGN: True},
        edge_width=max(1.0, _mark_size(image) / 6),
        edge_color=POSITIVE_COLOUR,
        face_color="transparent",
        **placed_on(image, "shapes"),
    )


def _scribbles(image: Any) -> Labels:
    layer = _labels(image, "scribbles", np.uint8)
    layer.colormap = _colormap({OBJECT_STROKE: POSITIVE_COLOUR, BACKGROUND_STROKE: NEGATIVE_COLOUR})
    layer.selected_label = OBJECT_STROKE
    layer.brush_size = max(1, round(_mark_size(image) / 2))
    layer.opacity = 0.8
    return layer


def _preview(image: Any) -> Labels:
    layer = _labels(image, "preview", np.uint8)
    layer.colormap = _colormap({1: PREVIEW_COLOUR, 2: ADDED_COLOUR, 3: REMOVED_COLOUR})
    layer.opacity = 0.45
    layer.editable = False
    return layer


def probability_layer(image: Any) -> Image:
    """A new layer for the probability of each pixel, in percent (uint8), on the image's grid."""
    return Image(
        np.zeros(_grid_shape(image), np.uint8),
        contrast_limits=(0, 100),
        colormap="magma",
        blending="additive",
        opacity=0.6,
        **placed_on(image, "probability"),
    )


def is_view(layer: Any) -> bool:
    """Whether a layer only shows what the model says: no image to annotate, no channel, no depth."""
    return role_of(layer) in VIEW_ROLES


def _colormap(colours: dict[int, str]) -> DirectLabelColormap:
    """These labels in these colours, all others unseen."""
    colour_of: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    colour_of.update(colours.items())
    return DirectLabelColormap(color_dict=colour_of)


def _labels(image: Any, role: str, dtype: Any) -> Labels:
    return Labels(np.zeros(_grid_shape(image), dtype), **placed_on(image, role))


def _mark_size(image: Any) -> float:
    """Size of a click's mark in data pixels: visible, and small beside the image."""
    return float(np.clip(min(_grid_shape(image)[-2:]) / 40, 1, 40))
