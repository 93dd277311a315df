"""What boxes and polygons enclose, as a mask to start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from skimage import draw

from napari_segnext.prompts.prompt import Box, Polygon

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_segnext._types import Probability, Shape2D
    from napari_segnext.prompts.prompt import Prompt

ENCLOSED_PROBABILITY = 0.6
"""Of what a first box or polygon encloses, as the previous mask of a session that zooms."""


def draw_enclosed(prompts: Iterable[Prompt], shape: Shape2D, *, origin: tuple[int, int] = (0, 0)) -> Probability:
    """Draw what outlines enclose.

    The paper gives outlines as negative clicks at their corners; alone, these do not say on which side of them the
    object is.

    Parameters
    ----------
    prompts
        Those that are no outlines are passed over.
    shape
        (rows, columns) of the part of the image that is drawn.
    origin
        (row, column) of its upper left pixel.

    Returns
    -------
    ndarray
        `(rows, columns)` float32: `ENCLOSED_PROBABILITY` in polygons and in the ellipses of boxes; 0 elsewhere.
    """
    top, left = origin
    enclosed = np.zeros(shape, np.float32)
    for prompt in prompts:
        if isinstance(prompt, Box):
            centre = (prompt.top + prompt.bottom) / 2 - top, (prompt.left + prompt.right) / 2 - left
            radii = max(1.0, (prompt.bottom - prompt.top) / 2), max(1.0, (prompt.right - prompt.left) / 2)
            enclosed[draw.ellipse(*centre, *radii, shape=shape)] = ENCLOSED_PROBABILITY
        elif isinstance(prompt, Polygon):
            rows, columns = np.array(prompt.vertices).T
            enclosed[draw.polygon(rows - top, columns - left, shape)] = ENCLOSED_PROBABILITY
    return enclosed
