"""Objects as single tiles found them: the whole of an object, or what of it lies in one tile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from napari_segnext.everything.mask_store import PlacedMask
from napari_segnext.prompts import Box, Click
from napari_segnext.session.windows import Window

if TYPE_CHECKING:
    from napari_segnext.everything.candidate import Candidate
    from napari_segnext.everything.mask_store import MaskStore, StoredMask
    from napari_segnext.everything.tiles import Tile

BORDER_PX = 2
"""A mask that comes as near to an inner border of its tile may run on beyond it."""


@dataclass(frozen=True, eq=False)
class Part:
    """What one tile found of an object.

    Attributes
    ----------
    tile
        Which.
    number
        Of the prompt.
    prompt
        The click or box that was answered, in pixels of the image.
    stored
        The mask, placed in the image.
    n_core_pixels
        How many of its pixels lie in the core of the tile.
    stability, certainty, agreement
        As of `Candidate`.
    """

    tile: Tile
    number: int
    prompt: Click | Box
    stored: StoredMask
    n_core_pixels: int
    stability: float
    certainty: float
    agreement: float

    @property
    def window(self) -> Window:
        """Bounding box in the image."""
        return self.stored.window

    @property
    def n_pixels(self) -> int:
        """Area of the mask."""
        return self.stored.n_pixels

    @cached_property
    def is_cut(self) -> bool:
        """Whether it reaches an inner border of the tile, so that it may run on beyond."""
        return not self.tile.inside(BORDER_PX).contains(self.window)

    @cached_property
    def is_central(self) -> bool:
        """Whether its middle lies in the core of the tile."""
        row, column = self.window.top + self.window.height // 2, self.window.left + self.window.width // 2
        return self.tile.core.contains(Window(row, column, 1, 1))

    @property
    def rank(self) -> tuple[float, float, int, int]:
        """As of `Candidate`; of equal ones the earlier tile's is greater."""
        return self.stability * self.agreement, self.certainty, -self.number, -self.tile.index

    def load(self) -> PlacedMask:
        """The mask, unpacked."""
        return self.stored.load()


def part_from_candidate(candidate: Candidate, tile: Tile, store: MaskStore, prompt: Click | Box | None = None) -> Part:
    """A candidate of a tile as a part of an object of the image.

    Parameters
    ----------
    candidate
        In pixels of the tile.
    tile
        Where it was found.
    store
        Where its mask is kept from now on.
    prompt
        The prompt in pixels of the image; by default that of the candidate, moved there.
    """
    top, left = tile.outer.top, tile.outer.left
    window = moved_window(candidate.window, top, left)
    return Part(
        tile,
        candidate.number,
        moved_prompt(candidate.prompt, top, left) if prompt is None else prompt,
        store.put(window, candidate.mask),
        PlacedMask(window, candidate.mask).n_pixels_in(tile.core),
        candidate.stability,
        candidate.certainty,
        candidate.agreement,
    )


def moved_window(window: Window, rows: int, columns: int) -> Window:
    """A window, moved down and to the right."""
    return Window(window.top + rows, window.left + columns, window.height, window.width)


def moved_prompt(prompt: Click | Box, rows: int, columns: int) -> Click | Box:
    """A click or box, moved down and to the right."""
    if isinstance(prompt, Click):
        return replace(prompt, row=prompt.row + rows, column=prompt.column + columns)
    return Box(prompt.top + rows, prompt.left + columns, prompt.bottom + rows, prompt.right + columns)
