"""Working at a coarser level of a multiscale image: the level becomes an image layer of its own, in the same place.

Labels, prompts and measurements then have the grid of that level, and lie where they belong in the world.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_segnext.annotator.errors import LayerMismatchError
from napari_segnext.annotator.layers import NOTE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image

IN_VIEW: Literal["in view"] = "in view"
"""In the place of a level: what the canvas shows, at the finest level that makes it small enough; see `regions.py`."""

LEVEL = "level"
"""Entry of the note in a layer's metadata that tells which level of which image it is."""


def level_shapes(image: Any) -> tuple[tuple[int, ...], ...]:
    """Shape of each level of an image layer, finest first, without the RGB axis; one for an image without levels."""
    levels = image.data if image.multiscale else [image.data]
    return tuple(tuple(int(n) for n in level.shape[: image.ndim]) for level in levels)


def level_of(layer: Any) -> tuple[str, int] | None:
    """(unique id of the image, level) of a layer that `image_at_level` made; None for any other."""
    note = layer.metadata.get(NOTE, {})
    return (str(note["image_id"]), int(note[LEVEL])) if LEVEL in note else None


def image_at_level(viewer: Any, image: Image, level: int | Literal["in view"]) -> Any:
    """The image itself for level 0, else a layer that holds a coarser level or a part, made and put below it at first.

    The layer is hidden, as it would only cover what the image shows; its array is the level's own, lazy or not.

    Parameters
    ----------
    viewer
        The viewer that shows the image.
    image
        A multiscale image layer, or any for level 0.
    level
        0 is the finest; `IN_VIEW` for what is in view, see `image_in_view`, which also says what is raised then.

    Raises
    ------
    LayerMismatchError
        If the image has no such level.
    """
    if level == IN_VIEW:
        from napari_segnext.annotator.regions import image_in_view

        return image_in_view(viewer, image)
    shapes = level_shapes(image)
    if not 0 <= level < len(shapes):
        raise LayerMismatchError(
            f"image '{image.name}' has no level {level}; expected 0 to {len(shapes) - 1}. Pick one of these."
        )
    if level == 0:
        return image
    for layer in viewer.layers:
        if level_of(layer) == (str(image.unique_id), level):
            return layer
    layer = layer_at(image, level, image.data[level], name=f"{image.name} (level {level})", note={LEVEL: level})
    viewer.layers.insert(viewer.layers.index(image), layer)
    return layer


def layer_at(
    image: Any, level: int, array: Any, *, name: str, note: dict[str, Any], start: Sequence[int] | None = None
) -> Any:
    """A hidden layer of an array with the pixels of a level of an image, in their place in the world.

    Parameters
    ----------
    image
        An image layer.
    level
        Whose grid the array has.
    array
        The level, or a part of it.
    name, note
        Of the layer; what is noted besides the image.
    start
        First pixel of the part along each axis of the level; None for its own first one.
    """
    from napari.layers import Image

    shapes = level_shapes(image)
    factors = np.array(shapes[0]) / np.array(shapes[level])
    # a coarse pixel covers `factors` fine ones, and its middle is theirs
    first = np.zeros(len(factors)) if start is None else np.array(start)
    first_middle = image.data_to_world((first + 0.5) * factors - 0.5)
    return Image(
        array,
        name=name,
        rgb=image.rgb,
        multiscale=False,
        scale=np.array(image.scale) * factors,
        translate=image.affine.inverse(np.array(first_middle)),
        rotate=image.rotate,
        shear=image.shear,
        affine=image.affine.affine_matrix,
        units=image.units,
        axis_labels=image.axis_labels,
        visible=False,
        metadata={**image.metadata, NOTE: {"image": image.name, "image_id": str(image.unique_id), **note}},
        **({} if image.rgb else {"contrast_limits": image.contrast_limits, "gamma": image.gamma}),
    )
