"""Pictures of an object on a slice, as PNG."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from napari_segnext.propagation.window import bounds
from napari_segnext.session import image_to_rgb

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from napari_segnext._types import Mask
    from napari_segnext.propagation.window import Window
    from napari_segnext.session.preprocess import ContrastLimits

PNG_LEVEL = 3
"""How hard pictures are compressed, 0 to 9; above it they take several times as long and hardly a tenth less room."""

SIDE_PX = 280
"""Of the longer side of a picture."""

OUTLINE_PX = 2
OUTLINE_COLOUR = np.array([255, 225, 25], np.uint8)

LEAST_MARGIN_PX = 12
"""Of surroundings about the object, in pixels of the slice; at least half of its size."""


def picture_window(masks: list[Mask]) -> Window:
    """A window (rows, columns) about all masks of an object, with surroundings; everything if they are empty.

    Parameters
    ----------
    masks
        `(rows, columns)` bool, at least one, all of one shape.
    """
    union = np.logical_or.reduce(masks)
    if not union.any():
        rows, columns = union.shape
        return slice(0, rows), slice(0, columns)
    box = bounds(union)
    margin = max(LEAST_MARGIN_PX, max(along.stop - along.start for along in box) // 2)
    rows_columns = [
        slice(max(0, along.start - margin), min(n, along.stop + margin))
        for along, n in zip(box, union.shape, strict=True)
    ]
    return rows_columns[0], rows_columns[1]


def picture_of(
    plane: NDArray[Any],
    mask: Mask,
    window: Window,
    spacing: tuple[float, float],
    contrast_limits: ContrastLimits | None = None,
) -> bytes:
    """A window of a slice with the outline of a mask, in true proportions.

    Parameters
    ----------
    plane
        `(rows, columns)` or `(rows, columns, C)`.
    mask
        `(rows, columns)` bool.
    window
        What of it is shown.
    spacing
        (row, column) size of a pixel.
    contrast_limits
        As of `Session`.

    Returns
    -------
    bytes
        A PNG file.
    """
    import PIL.Image
    from scipy import ndimage

    pixels = np.round(image_to_rgb(plane, contrast_limits)[window] * 255).astype(np.uint8)
    sides = [n * size for n, size in zip(pixels.shape[:2], spacing, strict=True)]
    height, width = (max(1, round(SIDE_PX * side / max(sides))) for side in sides)
    shown = np.array(PIL.Image.fromarray(pixels).resize((width, height), PIL.Image.Resampling.BILINEAR))
    inside = np.round(mask[window].astype(np.float32) * 255).astype(np.uint8)
    drawn = np.asarray(PIL.Image.fromarray(inside).resize((width, height), PIL.Image.Resampling.BILINEAR)) > 127
    outline = ndimage.binary_dilation(drawn, iterations=OUTLINE_PX) & ~drawn
    shown[outline] = OUTLINE_COLOUR
    file = io.BytesIO()
    PIL.Image.fromarray(shown).save(file, format="PNG", compress_level=PNG_LEVEL)
    return file.getvalue()
