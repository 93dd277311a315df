"""Which prompts are asked in which tile of a large image."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.everything.given_prompts import as_boxes, as_clicks, check_places
from napari_segnext.everything.parts import moved_prompt
from napari_segnext.prompts import Box, Click
from napari_segnext.session.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_segnext.everything.settings import EverythingSettings
    from napari_segnext.everything.tiles import Tile, TilePlan


@dataclass(frozen=True, eq=False)
class AskedInTile:
    """The prompts of one tile.

    Attributes
    ----------
    tile
        Which.
    numbers
        Of its prompts among those of all tiles, in the order in which they are asked.
    prompts
        Clicks, then boxes, in pixels of the image; None for a grid of clicks over the tile.
    """

    tile: Tile
    numbers: Sequence[int]
    prompts: tuple[Click | Box, ...] | None

    @property
    def n_prompts(self) -> int:
        """How many there are."""
        return len(self.numbers)

    @property
    def clicks(self) -> list[Click] | None:
        """The clicks in pixels of the tile; None for a grid."""
        return None if self.prompts is None else [one for one in self._moved() if isinstance(one, Click)]

    @property
    def boxes(self) -> list[Box] | None:
        """The boxes in pixels of the tile; None for a grid."""
        return None if self.prompts is None else [one for one in self._moved() if isinstance(one, Box)]

    def given(self, place: int) -> Click | Box | None:
        """The prompt at a place in their order, as it was given; None for a grid."""
        return None if self.prompts is None else self.prompts[place]

    def _moved(self) -> Iterable[Click | Box]:
        outer = self.tile.outer
        return (moved_prompt(prompt, -outer.top, -outer.left) for prompt in self.prompts or ())


def asked_in_tiles(
    plan: TilePlan, settings: EverythingSettings, clicks: Iterable[Any] | None, boxes: Iterable[Any] | None
) -> list[AskedInTile]:
    """Share out the prompts.

    Parameters
    ----------
    plan
        The tiles.
    settings
        Of the grids.
    clicks, boxes
        As of `segment_everything`, in pixels of the image; each goes to the tile in whose core it, or the middle of the
        box, lies. If both are None, every tile gets a grid.

    Returns
    -------
    list of AskedInTile
        One for each tile, in their order.

    Raises
    ------
    PromptError
        If a click is negative, or a prompt lies wholly outside the image.
    """
    if clicks is None and boxes is None:
        return _grids(plan, settings.points_per_side)
    given: list[Click | Box] = [*as_clicks(clicks), *as_boxes(boxes)]
    check_places(given, plan.image_shape)
    numbers: defaultdict[int, list[int]] = defaultdict(list)
    for number, prompt in enumerate(given):
        numbers[_tile_of(prompt, plan)].append(number)
    return [
        AskedInTile(tile, numbers[tile.index], tuple(given[number] for number in numbers[tile.index])) for tile in plan
    ]


def _grids(plan: TilePlan, points_per_side: int) -> list[AskedInTile]:
    """A grid for each tile, numbered one after the other; as many clicks as `grid_clicks` gives."""
    asked, first = [], 0
    for tile in plan:
        n_prompts = math.prod(min(points_per_side, n_pixels) for n_pixels in tile.outer.shape)
        asked.append(AskedInTile(tile, range(first, first + n_prompts), None))
        first += n_prompts
    return asked


def _tile_of(prompt: Click | Box, plan: TilePlan) -> int:
    """Index of the tile in whose core the middle of a prompt lies."""
    if isinstance(prompt, Click):
        middle = prompt.row, prompt.column
    else:
        middle = (prompt.top + prompt.bottom) / 2, (prompt.left + prompt.right) / 2
    row, column = np.clip(np.floor(np.array(middle) + 0.5), 0, np.array(plan.image_shape) - 1).astype(int)
    (index,) = plan.deciding(Window(int(row), int(column), 1, 1))
    return index
