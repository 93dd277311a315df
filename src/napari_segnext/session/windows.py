"""Where to look: the windows of an image that a model predicts on, chosen from the prompts and the last answer.

1. A box or polygon encloses the object: the first window is laid about it.
2. Clicks and scribbles do not say how large the object is. The first look is at windows of several sizes about them,
   from the whole image down, and the answer that is most certain of its outline is taken.
3. With an answer, the window stays as long as object and prompts sit well in it, so that its embedding serves again;
   otherwise a new one is laid about them with a margin.
4. Where the answer reaches the edge of its window, the window grows.

Corrections are looked at on a wider window, too; see `corrections.py`. Windows of images that are too large to be held
lie on a `Lattice`, and are no larger than what can be read of them at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_segnext.prompts import Box, Click, MaskPrompt, Polygon, Scribble

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_segnext._types import Mask, Shape2D
    from napari_segnext.prompts import Prompts

MARGIN = 2.5
"""Side of a new window over the longer side of the object in it."""

APPROACH_RATIO = 2.2
"""Of the sides of neighbouring windows at the first look."""

GROWTH = 2.0
"""Of a window whose answer runs on beyond it."""

MIN_WINDOW_PX = 64
"""Least side of a window; smaller objects do not fill it."""

GREATEST_MAGNIFICATION = 4
"""Of a new window over the view in which the object was found: coarse views show sizes badly."""

KEPT_SPAN = (0.2, 0.85)
"""A window is kept while the object spans such a part of its side."""

TOUCHING_SHARE = 0.02
"""A window grows where the object covers more than this share of its inner edges."""

LATTICE_RATIO = 2**0.25
"""Of neighbouring sides of windows on a lattice."""

LATTICE_STEPS = 8
"""Places of such a window along its own side."""


@dataclass(frozen=True, slots=True)
class Window:
    """An upright rectangle of whole pixels of an image.

    Attributes
    ----------
    top, left, height, width
        First row and column, and numbers of rows and columns, above 0.
    """

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def whole(cls, image_shape: Shape2D) -> Window:
        """All of an image."""
        return cls(0, 0, *image_shape)

    @property
    def bottom(self) -> int:
        """One past the last row."""
        return self.top + self.height

    @property
    def right(self) -> int:
        """One past the last column."""
        return self.left + self.width

    @property
    def shape(self) -> Shape2D:
        """(rows, columns)."""
        return self.height, self.width

    @property
    def side(self) -> int:
        """The longer side."""
        return max(self.height, self.width)

    @property
    def slices(self) -> tuple[slice, slice]:
        """To index `(H, W)` arrays of the image."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def slices_in(self, other: Window) -> tuple[slice, slice]:
        """To index `(h, w)` arrays of another window, which contains this one."""
        top, left = self.top - other.top, self.left - other.left
        return slice(top, top + self.height), slice(left, left + self.width)

    def shared_with(self, other: Window) -> Window | None:
        """What lies in both; None if nothing does."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        height, width = min(self.bottom, other.bottom) - top, min(self.right, other.right) - left
        return Window(top, left, height, width) if height > 0 and width > 0 else None

    def contains(self, other: Window) -> bool:
        """Whether no pixel of the other lies outside."""
        return (
            self.top <= other.top
            and self.left <= other.left
            and other.bottom <= self.bottom
            and other.right <= self.right
        )

    def joined(self, other: Window) -> Window:
        """The smallest window that contains both."""
        top, left = min(self.top, other.top), min(self.left, other.left)
        return Window(top, left, max(self.bottom, other.bottom) - top, max(self.right, other.right) - left)


@dataclass(frozen=True, slots=True)
class Lattice:
    """Few sizes and places for windows, so that who works about the same place finds the same windows again.

    Attributes
    ----------
    max_side
        The longest side of a window.
    """

    max_side: int

    def side(self, least: int) -> int:
        """The smallest side on the lattice that is no smaller; `max_side` where that is too large."""
        power = max(0, math.floor(math.log(max(1, least) / MIN_WINDOW_PX, LATTICE_RATIO)) - 1)
        while (side := self._side_at(power)) < least:
            power += 1
        return min(side, self.max_side)

    def start(self, wanted: float, side: int) -> int:
        """The place along an axis that is nearest to the wanted one."""
        step = max(1, side // LATTICE_STEPS)
        return round(wanted / step) * step

    def _side_at(self, power: int) -> int:
        return math.ceil(MIN_WINDOW_PX * LATTICE_RATIO**power / LATTICE_STEPS) * LATTICE_STEPS


def square_window(needed: Window, side: int, image_shape: Shape2D, lattice: Lattice | None = None) -> Window:
    """A square about the middle of `needed`, moved into the image and cut where the image is smaller.

    On a lattice it may be larger and its middle somewhat off; where it reaches its greatest side it is smaller.
    """
    starts, sizes = [], []
    middles = (needed.top + needed.height / 2, needed.left + needed.width / 2)
    side = side if lattice is None else lattice.side(side)
    for middle, n in zip(middles, image_shape, strict=True):
        size = min(side, n)
        wanted = middle - size / 2
        start = round(wanted) if lattice is None else lattice.start(wanted, side)
        starts.append(int(np.clip(start, 0, n - size)))
        sizes.append(size)
    return Window(*starts, *sizes)


def window_about(
    needed: Window, image_shape: Shape2D, *, seen_in: Window | None = None, lattice: Lattice | None = None
) -> Window:
    """A square window with a margin about what must be seen.

    Parameters
    ----------
    needed
        What must be seen.
    image_shape
        (rows, columns).
    seen_in
        The view in which it was found; None if its extent is known and not estimated.
    lattice
        On which the window lies; None for none.
    """
    least = MIN_WINDOW_PX if seen_in is None else max(MIN_WINDOW_PX, seen_in.side / GREATEST_MAGNIFICATION)
    return square_window(needed, int(np.ceil(max(least, MARGIN * needed.side))), image_shape, lattice)


def approach_windows(about: Window, image_shape: Shape2D, lattice: Lattice | None = None) -> list[Window]:
    """Windows about the first prompts, from the whole image (or the largest window) down to the least side.

    Parameters
    ----------
    about
        Box around the prompts; all windows contain it.
    image_shape
        (rows, columns).
    lattice
        On which the windows lie; None for none.
    """
    largest = max(image_shape)
    windows = [Window.whole(image_shape)]
    if lattice is not None and lattice.max_side < largest:
        largest = lattice.max_side
        windows = [square_window(about, largest, image_shape, lattice)]
    least = max(MIN_WINDOW_PX, 1.2 * about.side)
    side = largest / APPROACH_RATIO
    while side >= least:
        windows.append(square_window(about, int(side), image_shape, lattice))
        side /= APPROACH_RATIO
    return windows


def next_window(needed: Window, current: Window, image_shape: Shape2D, lattice: Lattice | None = None) -> Window:
    """`current` if what must be seen sits well in it, or else a new window about it."""
    low, high = KEPT_SPAN
    is_small = needed.side < low * current.side and current.side > MIN_WINDOW_PX
    if not is_small and _has_margin(needed, current, image_shape, margin_px=(1 - high) / 2 * current.side):
        return current
    return window_about(needed, image_shape, seen_in=current, lattice=lattice)


def grown_window(needed: Window, current: Window, image_shape: Shape2D, lattice: Lattice | None = None) -> Window:
    """A larger window about what must be seen, for an answer that reaches the edge of the current one."""
    return square_window(needed, int(np.ceil(GROWTH * max(needed.side, current.side))), image_shape, lattice)


def touches_edge(mask: Mask, window: Window, image_shape: Shape2D) -> bool:
    """Whether an answer runs on beyond its window.

    Parameters
    ----------
    mask
        `(h, w)` bool, the answer in the window, at any resolution.
    window
        The window.
    image_shape
        (rows, columns); edges of the window on the border of the image do not count.
    """
    edges = [
        (mask[0], window.top > 0),
        (mask[-1], window.bottom < image_shape[0]),
        (mask[:, 0], window.left > 0),
        (mask[:, -1], window.right < image_shape[1]),
    ]
    inner = [edge for edge, is_inner in edges if is_inner]
    if not inner:
        return False
    covered = sum(int(np.count_nonzero(edge)) for edge in inner)
    return covered > TOUCHING_SHARE * sum(len(edge) for edge in inner)


def extent_of_mask(mask: Mask) -> Window | None:
    """Bounding box of what is true in a `(H, W)` mask; None if nothing is."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return None
    return Window(int(rows[0]), int(columns[0]), int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1)


def extent_of_prompts(prompts: Prompts, image_shape: Shape2D) -> Window | None:
    """Box around all that says where the object is: positive clicks and scribbles, boxes, polygons; None if none."""
    points = [point for prompt in prompts for point in _points_on_object(prompt)]
    return _extent_of_points(points, image_shape)


def extent_of_outlines(prompts: Prompts, image_shape: Shape2D) -> Window | None:
    """Box around boxes and polygons, which enclose the object; None if there is neither."""
    outlines = [prompt for prompt in prompts if isinstance(prompt, Box | Polygon)]
    return _extent_of_points([point for prompt in outlines for point in _points_on_object(prompt)], image_shape)


def _points_on_object(prompt: Click | Box | Polygon | Scribble | MaskPrompt) -> Iterable[tuple[float, float]]:
    match prompt:
        case Click() if prompt.is_positive:
            return [(prompt.row, prompt.column)]
        case Scribble() if prompt.is_positive:
            return prompt.path
        case Box():
            return [(prompt.top, prompt.left), (prompt.bottom, prompt.right)]
        case Polygon():
            return prompt.vertices
    return []


def _extent_of_points(points: Iterable[tuple[float, float]], image_shape: Shape2D) -> Window | None:
    array = np.array([*points], dtype=np.float64).reshape(-1, 2)
    if len(array) == 0:
        return None
    last = np.array(image_shape) - 1
    low = np.clip(np.floor(array.min(axis=0)), 0, last).astype(int)
    high = np.clip(np.ceil(array.max(axis=0)), 0, last).astype(int)
    return Window(int(low[0]), int(low[1]), int(high[0] - low[0]) + 1, int(high[1] - low[1]) + 1)


def _has_margin(needed: Window, window: Window, image_shape: Shape2D, *, margin_px: float) -> bool:
    """Whether `needed` keeps a distance from the edges of the window that are not the border of the image."""
    return (
        (window.top == 0 or needed.top - window.top >= margin_px)
        and (window.left == 0 or needed.left - window.left >= margin_px)
        and (window.bottom == image_shape[0] or window.bottom - needed.bottom >= margin_px)
        and (window.right == image_shape[1] or window.right - needed.right >= margin_px)
        and window.contains(needed)
    )
