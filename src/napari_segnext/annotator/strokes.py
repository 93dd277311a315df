"""Painted strokes → paths: connected pixels, their skeleton, and a walk along it. Deterministic, numpy only.

scikit-image takes longer to import than all else of the annotator, and comes with the first stroke.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext._types import Mask

Pixel = tuple[int, int]

PATH_TOLERANCE_PX = 0.5
"""A path may leave the skeleton by this much where it is drawn with fewer corners."""


@dataclass(frozen=True, eq=False)
class StrokeMask:
    """One connected stroke.

    Attributes
    ----------
    mask
        `(h, w)` bool, cropped to the stroke.
    corner
        (row, column) of the crop's first pixel on the slice.
    """

    mask: Mask
    corner: Pixel


def stroke_masks(painted: Mask) -> list[StrokeMask]:
    """Connected strokes (pixels that touch at a corner are connected), ordered by their first pixel.

    Parameters
    ----------
    painted
        `(H, W)` bool; nothing painted gives no stroke.
    """
    rows, columns = np.flatnonzero(painted.any(axis=1)), np.flatnonzero(painted.any(axis=0))
    if len(rows) == 0:
        return []
    # numbering a whole large plane would cost eight bytes for each of its pixels
    top, left = int(rows[0]), int(columns[0])
    from skimage.measure import label, regionprops

    regions = regionprops(label(painted[top : rows[-1] + 1, left : columns[-1] + 1], connectivity=2))
    return [
        StrokeMask(region.image.astype(bool), (top + int(region.bbox[0]), left + int(region.bbox[1])))
        for region in regions
    ]


def stroke_path(stroke: Mask) -> tuple[NDArray[np.float64], float]:
    """A path along the middle of a stroke, and the stroke's width.

    A stroke that branches is walked branch by branch, back along the skeleton to the next branch, so that the path
    never leaves the stroke.

    Parameters
    ----------
    stroke
        `(h, w)` bool, one connected component.

    Returns
    -------
    path
        `(n, 2)` float, (row, column), at least one.
    width
        Mean width in pixels, at least 1.
    """
    from skimage.measure import approximate_polygon
    from skimage.morphology import skeletonize

    skeleton = skeletonize(stroke)
    if not skeleton.any():  # cannot happen with today's skimage; the middle pixel is then good enough
        skeleton = _middle_pixel(stroke)
    walk = _walk({(int(row), int(column)) for row, column in np.argwhere(skeleton)})
    path = np.array(walk, np.float64)
    if len(path) > 2:
        path = approximate_polygon(path, PATH_TOLERANCE_PX)
    return path, max(1.0, float(stroke.sum()) / float(skeleton.sum()))


def _walk(pixels: set[Pixel]) -> list[Pixel]:
    """Visit every pixel depth first, stepping to neighbours only; ends at the last new pixel."""
    start = min(pixels, key=lambda pixel: (len(_neighbours(pixel, pixels)), pixel))
    walk, trail, unseen = [start], [start], pixels - {start}
    last_new = 0
    while trail and unseen:
        ahead = _neighbours(trail[-1], unseen)
        if ahead:
            trail.append(ahead[0])
            unseen.remove(ahead[0])
            walk.append(ahead[0])
            last_new = len(walk) - 1
        else:
            trail.pop()
            if trail:
                walk.append(trail[-1])
    return walk[: last_new + 1]


def _neighbours(pixel: Pixel, among: set[Pixel]) -> list[Pixel]:
    """Pixels of a set that touch this one, sides before corners, in a fixed order."""
    row, column = pixel
    steps = ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, -1), (-1, 1))
    return [(row + dr, column + dc) for dr, dc in steps if (row + dr, column + dc) in among]


def _middle_pixel(stroke: Mask) -> Mask:
    pixels = np.argwhere(stroke)
    row, column = pixels[len(pixels) // 2]
    middle = np.zeros_like(stroke)
    middle[row, column] = True
    return middle
