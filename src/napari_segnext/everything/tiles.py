"""How a large image is cut into tiles: what each of them sees, and what each of them decides."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, Literal, NamedTuple

from napari_segnext.everything.settings import MIN_OVERLAP_PX, OVERLAP_PX, TILE_PX
from napari_segnext.session.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_segnext._types import Shape2D


class Span(NamedTuple):
    """A tile along one axis, in pixels; the stops are one past the last pixel."""

    start: int
    stop: int
    core_start: int
    core_stop: int


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of an image that is looked at by itself.

    Attributes
    ----------
    index
        From 0, row by row.
    outer
        What is seen.
    core
        What is decided here, inside `outer`; the cores of all tiles partition the image.
    image_shape
        (rows, columns) of the image.
    """

    index: int
    outer: Window
    core: Window
    image_shape: Shape2D

    def inside(self, margin_px: int) -> Window:
        """`outer` without a margin along its inner borders, those beyond which the image goes on."""
        rows, columns = self.image_shape
        top = self.outer.top + (margin_px if self.outer.top > 0 else 0)
        left = self.outer.left + (margin_px if self.outer.left > 0 else 0)
        bottom = self.outer.bottom - (margin_px if self.outer.bottom < rows else 0)
        right = self.outer.right - (margin_px if self.outer.right < columns else 0)
        return Window(top, left, bottom - top, right - left)


@dataclass(frozen=True, slots=True)
class TilePlan:
    """All tiles of an image.

    Attributes
    ----------
    image_shape
        (rows, columns).
    rows, columns
        The tiles along each axis; every pair of a row and a column is a tile.
    """

    image_shape: Shape2D
    rows: tuple[Span, ...]
    columns: tuple[Span, ...]

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def __iter__(self) -> Iterator[Tile]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Tile:
        if not 0 <= index < len(self):
            raise IndexError(f"there is no tile {index}; expected 0 to {len(self) - 1}.")
        row, column = self.rows[index // len(self.columns)], self.columns[index % len(self.columns)]
        outer = Window(row.start, column.start, row.stop - row.start, column.stop - column.start)
        height, width = row.core_stop - row.core_start, column.core_stop - column.core_start
        core = Window(row.core_start, column.core_start, height, width)
        return Tile(index, outer, core, self.image_shape)

    def seeing(self, window: Window) -> list[int]:
        """Indices of the tiles that see a pixel of a window, ascending."""
        rows = _meeting(self.rows, "", window.top, window.bottom)
        columns = _meeting(self.columns, "", window.left, window.right)
        return self._indices(rows, columns)

    def deciding(self, window: Window) -> list[int]:
        """Indices of the tiles in whose cores a window has a pixel, ascending."""
        rows = _meeting(self.rows, "core_", window.top, window.bottom)
        columns = _meeting(self.columns, "core_", window.left, window.right)
        return self._indices(rows, columns)

    def _indices(self, rows: range, columns: range) -> list[int]:
        return [row * len(self.columns) + column for row in rows for column in columns]


def plan_tiles(image_shape: Shape2D, tile_px: int = TILE_PX, overlap_px: int = OVERLAP_PX) -> TilePlan:
    """Cut an image into tiles of one size that overlap.

    The tiles are laid out evenly, so most of them overlap by a few pixels more than is asked for. The border between
    two cores runs in the middle of what both tiles see.

    Parameters
    ----------
    image_shape
        (rows, columns), each above 0.
    tile_px
        Side of a tile; a side of the image that is shorter is not cut.
    overlap_px
        Least number of rows and columns that neighbours both see: at least 8, at most half of a tile.

    Returns
    -------
    TilePlan
        One tile at least.

    Raises
    ------
    ValueError
        If the shape is empty, or the overlap does not fit the tiles.
    """
    if min(image_shape) < 1:
        raise ValueError(f"image has {image_shape[0]} rows and {image_shape[1]} columns; expected 1 of each at least.")
    if overlap_px < MIN_OVERLAP_PX:
        raise ValueError(
            f"tiles overlap by {overlap_px} pixels; expected {MIN_OVERLAP_PX} at least, better as much as the width of "
            "an object. Set a larger overlap."
        )
    if tile_px < 2 * overlap_px:
        raise ValueError(
            f"tiles are {tile_px} pixels wide and overlap by {overlap_px}; expected an overlap of half a tile at most. "
            "Set larger tiles or a smaller overlap."
        )
    rows, columns = (_spans(n_pixels, tile_px, overlap_px) for n_pixels in image_shape)
    return TilePlan((int(image_shape[0]), int(image_shape[1])), rows, columns)


def _spans(n_pixels: int, tile_px: int, overlap_px: int) -> tuple[Span, ...]:
    """The tiles along an axis, evenly laid out."""
    size = min(tile_px, n_pixels)
    n_gaps = max(0, -(-(n_pixels - size) // (tile_px - overlap_px)))
    starts = [gap * (n_pixels - size) // max(1, n_gaps) for gap in range(n_gaps + 1)]
    cuts = [0, *((one + size + other) // 2 for one, other in pairwise(starts)), n_pixels]
    return tuple(
        Span(start, start + size, core_start, core_stop)
        for start, (core_start, core_stop) in zip(starts, pairwise(cuts), strict=True)
    )


def _meeting(spans: tuple[Span, ...], kind: Literal["", "core_"], start: int, stop: int) -> range:
    """Which of the spans, or of their cores, share a pixel with another stretch of the axis."""
    first = bisect_right(spans, start, key=attrgetter(f"{kind}stop"))
    return range(first, bisect_left(spans, stop, key=attrgetter(f"{kind}start")))
