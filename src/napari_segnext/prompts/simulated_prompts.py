"""First prompts of a simulated user who draws with care: a box, polygon, scribble or mask made from the truth.

The same truth gives the same prompt, always.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import csgraph
from skimage import measure
from skimage.morphology import convex_hull_image, skeletonize

from napari_segnext.errors import PromptError
from napari_segnext.prompts.prompt import Box, MaskPrompt, Polygon, Prompt, Scribble
from napari_segnext.prompts.simulated_user import next_click

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext._types import Mask

PromptKind: TypeAlias = Literal["click", "box", "polygon", "scribble", "mask"]

FIRST_PROMPTS: tuple[PromptKind, ...] = ("click", "box", "polygon", "scribble", "mask")
"""Kinds of prompt that a simulated user can begin with."""

OUTLINE_REACH = 0.03
"""Distance of a polygon from its object, over the square root of the object's area."""

DAMAGE = 0.1
"""Depth of the erosion of a mask prompt, and length of its shift, over the square root of the object's area."""

_BOX_MARGIN_PX = 1


def first_prompt(truth: NDArray[Any], kind: PromptKind) -> Prompt:
    """What a careful user gives first for a known object.

    Parameters
    ----------
    truth
        `(H, W)` int8 or bool: 1 object, 0 background, -1 ignored. At least one pixel is 1.
    kind
        ``"click"``: as `next_click` on an empty mask. ``"box"``: see `tight_box`. ``"polygon"``: see `loose_polygon`.
        ``"scribble"``: see `skeleton_scribble`. ``"mask"``: see `damaged_mask`.

    Returns
    -------
    Prompt
        Of that kind.

    Raises
    ------
    PromptError
        If the kind is unknown or there is no object.

    Notes
    -----
    The kinds are those of Liu et al., CVPR 2024, section 3.2; how a simulated user draws them is ours.
    """
    truth = np.asarray(truth)
    if kind not in FIRST_PROMPTS:
        raise PromptError(f"there is no kind of prompt '{kind}'; expected one of {', '.join(FIRST_PROMPTS)}.")
    is_object = np.asarray(truth == 1)
    if not is_object.any():
        raise PromptError("truth holds no object; expected at least one pixel with the value 1. Leave this object out.")
    match kind:
        case "click":
            return next_click(truth, np.zeros(truth.shape, dtype=bool))
        case "box":
            return tight_box(is_object)
        case "polygon":
            return loose_polygon(is_object)
        case "scribble":
            return skeleton_scribble(is_object)
        case "mask":
            return damaged_mask(is_object)


def tight_box(is_object: Mask) -> Box:
    """A box whose edges run along the pixels next to the object, all outside it.

    Parameters
    ----------
    is_object
        `(H, W)` bool, at least one pixel.
    """
    rows, columns = _bounds(is_object)
    return Box(
        top=rows.start - _BOX_MARGIN_PX,
        left=columns.start - _BOX_MARGIN_PX,
        bottom=rows.stop - 1 + _BOX_MARGIN_PX,
        right=columns.stop - 1 + _BOX_MARGIN_PX,
    )


def loose_polygon(is_object: Mask) -> Polygon:
    """A simplified outline slightly outside the object; around all its parts if there are several.

    The object is grown by `OUTLINE_REACH` and its outline simplified by less than that, so that no edge cuts into it.

    Parameters
    ----------
    is_object
        `(H, W)` bool, at least one pixel.
    """
    reach = 1 + OUTLINE_REACH * float(np.sqrt(np.count_nonzero(is_object)))
    margin = int(np.ceil(reach)) + 2
    near = np.pad(is_object[_bounds(is_object)], margin)
    grown = ndimage.distance_transform_edt(~near) <= reach
    if measure.label(grown, connectivity=2).max() > 1:
        grown = convex_hull_image(grown)
    outline = max(measure.find_contours(grown.astype(np.float32), 0.5), key=len)
    vertices = measure.approximate_polygon(outline, tolerance=0.7 * reach)
    if len(vertices) < 4:
        vertices = outline
    rows, columns = _bounds(is_object)
    return Polygon(vertices + np.array([rows.start - margin, columns.start - margin]))


def skeleton_scribble(is_object: Mask) -> Scribble:
    """A stroke along the middle of the object's largest part, from one end to the other.

    It is the longest of the shortest paths on the skeleton (found by going to the furthest pixel twice), without those
    ends that run out into corners.

    Parameters
    ----------
    is_object
        `(H, W)` bool, at least one pixel.
    """
    rows, columns = _bounds(is_object)
    near = np.pad(is_object[rows, columns], 1)
    parts = measure.label(near, connectivity=2)
    part = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    pixels = np.argwhere(skeletonize(part))
    depths = ndimage.distance_transform_edt(part)
    if len(pixels) == 0:
        pixels = np.argwhere(depths == depths.max())[:1]
    path = pixels[_longest_path(pixels)]
    deep = np.flatnonzero(depths[tuple(path.T)] >= 0.5 * np.median(depths[tuple(path.T)]))
    return Scribble(path[deep[0] : deep[-1] + 1] + np.array([rows.start - 1, columns.start - 1]))


def damaged_mask(is_object: Mask, *, seed: int = 0) -> MaskPrompt:
    """The object shrunk and shifted, as a neighbouring slice or a poor earlier mask shows it.

    Parameters
    ----------
    is_object
        `(H, W)` bool, at least one pixel.
    seed
        Of the direction of the shift, which depends on the object, too.
    """
    damage_px = DAMAGE * float(np.sqrt(np.count_nonzero(is_object)))
    rows, columns = _bounds(is_object)
    near = np.pad(is_object[rows, columns], 1)
    depths = ndimage.distance_transform_edt(near)[1:-1, 1:-1]
    # thin objects keep their middle
    eroded = depths > min(damage_px, 0.5 * float(depths.max()))
    rng = np.random.default_rng([seed, zlib.crc32(np.packbits(near).tobytes())])
    angle = rng.uniform(0, 2 * np.pi)
    shift = np.round(damage_px * np.array([np.sin(angle), np.cos(angle)])).astype(int)
    moved = np.argwhere(eroded) + np.array([rows.start, columns.start]) + shift
    moved = moved[((moved >= 0) & (moved < is_object.shape)).all(axis=1)]
    mask = np.zeros(is_object.shape, dtype=bool)
    mask[tuple(moved.T)] = True
    return MaskPrompt(mask if mask.any() else is_object)


def _longest_path(pixels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices, in order, of pixels on the way between two that are far apart, over neighbours (diagonal ones, too)."""
    graph = _neighbour_graph(pixels)
    start = _furthest(graph, 0)[0]
    end, before = _furthest(graph, start)
    path = [end]
    while path[-1] != start:
        path.append(int(before[path[-1]]))
    return np.array(path)


def _furthest(graph: sparse.csr_array, start: int) -> tuple[int, NDArray[np.int64]]:
    """Index of the furthest pixel that can be reached, and of the pixel before each pixel on the way there."""
    distances, before = csgraph.dijkstra(graph, directed=False, indices=start, return_predecessors=True)
    return int(np.argmax(np.where(np.isfinite(distances), distances, -1))), before


def _neighbour_graph(pixels: NDArray[np.int64]) -> sparse.csr_array:
    """Distances between pixels that touch, `(n, n)`, each pair once."""
    shape = pixels.max(axis=0) + 2
    numbers = np.full(shape, -1)
    numbers[tuple(pixels.T)] = np.arange(len(pixels))
    pairs, lengths = [], []
    for step in ((0, 1), (1, 0), (1, 1), (1, -1)):
        others = numbers[tuple((pixels + step).T)]
        touching = np.flatnonzero(others >= 0)
        pairs.append(np.stack([touching, others[touching]]))
        lengths.append(np.full(len(touching), np.hypot(*step)))
    n = len(pixels)
    return sparse.csr_array((np.concatenate(lengths), np.concatenate(pairs, axis=1)), shape=(n, n))


def _bounds(is_object: Mask) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(is_object.any(axis=1)), np.flatnonzero(is_object.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
