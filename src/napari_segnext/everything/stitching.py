"""Parts of objects in single tiles → objects of the image, whichever order they come in.

1. A part that keeps away from the inner borders of its tile is the whole object. Of several such ones for the same
   object, from neighbouring tiles, one is kept: one whose middle lies in the core of its tile, of these the better.
2. Any other part is cut off at a border. It is left out where it does not reach the core of its tile, as that part of
   the image is for other tiles to decide, or where another tile saw the object whole.
3. What is left of the cut ones is joined with the parts in neighbouring tiles with which it agrees in the strip that
   both tiles see; and so on from tile to tile, so that an object may be larger than a tile.
4. Of a joined object, every pixel is decided by the tile in whose core it lies, if that tile has a part of it.

Objects are kept as pieces, one for each core, so that none of them is ever unpacked as a whole.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage, sparse

from napari_segnext.everything.mask_store import MaskStore, PlacedMask, StoredMask, shared_window
from napari_segnext.everything.parts import BORDER_PX, Part, moved_window
from napari_segnext.everything.settings import MAX_CONTAINED_SHARE, MAX_IOU, MIN_SEAM_IOU
from napari_segnext.session.windows import Window, extent_of_mask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_segnext._types import Mask
    from napari_segnext.everything.tiles import TilePlan

    PartsOfTiles = Mapping[int, Sequence[Part]]
    """Index of the tile → its parts."""

_MAX_LOADED = 16
"""Masks that are unpacked at a time while an object is composed."""


@dataclass(frozen=True, eq=False)
class StitchedObject:
    """An object of the image.

    Attributes
    ----------
    best
        The best of its parts, which says what found it, and how well.
    n_parts
        How many there are.
    pieces
        Index of a tile → its pixels in the core of that tile.
    """

    best: Part
    n_parts: int
    pieces: Mapping[int, StoredMask]

    @property
    def rank(self) -> tuple[float, float, int, int]:
        """That of the best part."""
        return self.best.rank

    @cached_property
    def n_pixels(self) -> int:
        """Area."""
        return sum(piece.n_pixels for piece in self.pieces.values())

    @property
    def window(self) -> Window:
        """Bounding box."""
        first, *others = (piece.window for piece in self.pieces.values())
        for other in others:
            first = first.joined(other)
        return first

    def n_shared(self, other: StitchedObject) -> int:
        """Number of pixels that both have."""
        fewer, more = sorted((self.pieces, other.pieces), key=len)
        return sum(_n_shared(piece, more[index]) for index, piece in fewer.items() if index in more)


def stitch(
    parts: Iterable[Part],
    plan: TilePlan,
    *,
    max_iou: float = MAX_IOU,
    max_contained_share: float = MAX_CONTAINED_SHARE,
    min_seam_iou: float = MIN_SEAM_IOU,
    store: MaskStore | None = None,
) -> list[StitchedObject]:
    """Make objects of the image out of the parts of all tiles.

    Parameters
    ----------
    parts
        In any order; those of one tile are taken for different objects.
    plan
        The tiles.
    max_iou
        Of masks of two tiles; above it a part is taken for what another tile saw whole.
    max_contained_share
        Greatest share of a cut part in an object that another tile saw whole; above it the part is taken for it.
    min_seam_iou
        Of two masks, or of connected parts of them, in what both tiles see; above it they are joined.
    store
        Where the pieces are kept; by default in memory, up to a budget.

    Returns
    -------
    list of StitchedObject
        In the order of their best parts' prompts. They may overlap where tiles disagree.
    """
    ordered = sorted(parts, key=lambda part: (part.tile.index, part.number))
    whole = _distinct([part for part in ordered if not part.is_cut], plan, max_iou)
    is_whole = _by_tile(whole)
    cut = [
        part
        for part in ordered
        if part.is_cut
        and part.n_core_pixels > 0
        and not any(_is_of(part, other, max_iou, max_contained_share) for other in _near(part, is_whole, plan))
    ]
    groups = _joined([*whole, *cut], plan, min_seam_iou)
    store = MaskStore() if store is None else store
    objects = [_composed(group, plan, store) for group in groups]
    return sorted(objects, key=lambda one: (one.best.number, one.best.tile.index))


def _distinct(whole: list[Part], plan: TilePlan, max_iou: float) -> list[Part]:
    """Of whole objects that several tiles found, one each."""
    kept: defaultdict[int, list[Part]] = defaultdict(list)
    for part in sorted(whole, key=lambda part: (part.is_central, part.rank), reverse=True):
        mask = None
        for other in _near(part, kept, plan):
            mask = part.load() if mask is None else mask
            n_shared = mask.n_shared(other.load())
            if n_shared > max_iou * (part.n_pixels + other.n_pixels - n_shared):
                break
        else:
            kept[part.tile.index].append(part)
    return [part for index in sorted(kept) for part in kept[index]]


def _is_of(part: Part, whole: Part, max_iou: float, max_contained_share: float) -> bool:
    """Whether a cut part is of an object that another tile saw whole."""
    mask, other = part.load(), whole.load()
    n_shared, n_seen = mask.n_shared(other), other.n_pixels_in(part.tile.outer)
    is_same = n_shared > max_iou * (part.n_pixels + n_seen - n_shared)
    return is_same or n_shared > max_contained_share * part.n_pixels


def _joined(parts: list[Part], plan: TilePlan, min_seam_iou: float) -> list[list[Part]]:
    """Groups of parts that agree with each other, from tile to tile."""
    numbers = {part: number for number, part in enumerate(parts)}
    pairs = [
        (numbers[one], numbers[other])
        for one, other in _neighbours(parts, plan)
        if (one.is_cut or other.is_cut) and _agree(one, other, min_seam_iou)
    ]
    firsts, seconds = np.array(pairs, np.intp).reshape(-1, 2).T
    graph = sparse.coo_array((np.ones(len(pairs), bool), (firsts, seconds)), shape=(len(parts), len(parts)))
    _, group_of = sparse.csgraph.connected_components(graph, directed=False)
    groups: defaultdict[int, list[Part]] = defaultdict(list)
    for part, group in zip(parts, group_of, strict=True):
        groups[int(group)].append(part)
    return list(groups.values())


def _neighbours(parts: list[Part], plan: TilePlan) -> Iterator[tuple[Part, Part]]:
    """Pairs of parts of different tiles whose boxes overlap, each once."""
    by_tile = _by_tile(parts)
    for part in parts:
        for other in _near(part, by_tile, plan):
            if part.tile.index < other.tile.index:
                yield part, other


def _agree(one: Part, other: Part, min_seam_iou: float) -> bool:
    """Whether two parts are of one object, by what both tiles see.

    They are compared as a whole, and connected part by connected part: the tile on one side of a seam may see as one
    object what comes into the other tile at several places. Only what runs across the seam between the cores counts.
    """
    strip = shared_window(one.tile.outer, other.tile.outer)
    about = None if strip is None else shared_window(strip, one.window.joined(other.window))
    if about is None:
        return False
    ours, theirs = one.load().over(about), other.load().over(about)
    cores = [_places(about, _grown(part.tile.core, BORDER_PX)) for part in (one, other)]

    def crosses(mask: Mask) -> bool:
        return all(bool(mask[places].any()) for places in cores)

    n_shared, n_all = np.count_nonzero(ours & theirs), np.count_nonzero(ours | theirs)
    if n_shared == 0:
        return False
    if n_shared > min_seam_iou * n_all and crosses(ours | theirs):
        return True
    return any(crosses(pair) for pair in _same_components(ours, theirs, min_seam_iou))


def _same_components(ours: Mask, theirs: Mask, min_iou: float) -> Iterator[Mask]:
    """Connected parts of two masks that are the same; both together."""
    (our_parts, n_ours), (their_parts, n_theirs) = ndimage.label(ours), ndimage.label(theirs)
    pairs = our_parts.astype(np.int64) * (n_theirs + 1) + their_parts
    n_shared = np.bincount(pairs[ours & theirs], minlength=(n_ours + 1) * (n_theirs + 1)).reshape(n_ours + 1, -1)
    our_sizes, their_sizes = (np.bincount(each.ravel()) for each in (our_parts, their_parts))
    n_all = our_sizes[:, None] + their_sizes[None] - n_shared
    for i, j in zip(*np.nonzero((n_shared > min_iou * n_all) & (n_shared > 0)), strict=True):
        yield (our_parts == i) | (their_parts == j)


def _composed(group: list[Part], plan: TilePlan, store: MaskStore) -> StitchedObject:
    """One object out of its parts, cut into pieces along the cores."""
    by_tile = _by_tile(group)
    load = lru_cache(_MAX_LOADED)(Part.load)
    pieces = {}
    for index in sorted({index for part in group for index in plan.deciding(part.window)}):
        core = plan[index].core
        own = by_tile.get(index)
        seen_by = own if own is not None else [part for near in plan.seeing(core) for part in by_tile.get(near, ())]
        piece = _piece([load(part) for part in seen_by], core)
        if piece is not None:
            pieces[index] = store.put(piece.window, piece.mask)
    return StitchedObject(max(group, key=lambda part: part.rank), len(group), pieces)


def _piece(masks: list[PlacedMask], core: Window) -> PlacedMask | None:
    """What lies in a core of any of the masks."""
    windows = [shared for mask in masks if (shared := shared_window(mask.window, core)) is not None]
    if not windows:
        return None
    about = windows[0]
    for window in windows[1:]:
        about = about.joined(window)
    together: NDArray[np.bool_] = np.zeros(about.shape, bool)
    for mask in masks:
        together |= mask.over(about)
    box = extent_of_mask(together)
    return None if box is None else PlacedMask(moved_window(box, about.top, about.left), together[box.slices])


def _by_tile(parts: Iterable[Part]) -> dict[int, list[Part]]:
    by_tile: defaultdict[int, list[Part]] = defaultdict(list)
    for part in parts:
        by_tile[part.tile.index].append(part)
    return dict(by_tile)


def _near(part: Part, parts: PartsOfTiles, plan: TilePlan) -> Iterator[Part]:
    """Parts of other tiles whose boxes overlap with that of a part."""
    for index in plan.seeing(part.window):
        if index != part.tile.index:
            for other in parts.get(index, ()):
                if shared_window(part.window, other.window) is not None:
                    yield other


def _n_shared(one: StoredMask, other: StoredMask) -> int:
    return 0 if shared_window(one.window, other.window) is None else one.load().n_shared(other.load())


def _grown(window: Window, margin_px: int) -> Window:
    margins = 2 * margin_px
    return Window(window.top - margin_px, window.left - margin_px, window.height + margins, window.width + margins)


def _places(about: Window, window: Window) -> tuple[slice, slice]:
    """To index an array over `about` by what of it lies in another window."""
    shared = shared_window(about, window)
    if shared is None:
        return slice(0), slice(0)
    return moved_window(shared, -about.top, -about.left).slices
