"""Stitched objects → the label image, core by core: what `selection.py` does where all fits into memory."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_segnext.everything.mask_store import shared_window
from napari_segnext.everything.parts import moved_window
from napari_segnext.everything.selection import SegmentedObject, is_same
from napari_segnext.everything.settings import MAX_CONTAINED_SHARE, MAX_IOU

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_segnext._types import Mask
    from napari_segnext.everything.mask_store import StoredMask
    from napari_segnext.everything.stitching import StitchedObject
    from napari_segnext.everything.tiles import TilePlan


class WritableLabels(Protocol):
    """What labels are written into: numpy arrays, memory maps and zarr arrays have it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns)."""

    @property
    def dtype(self) -> Any:
        """Kind of number."""

    def __setitem__(self, key: Any, value: Any, /) -> None:
        """Write a rectangle, given by two slices."""


def suppress_stitched(
    objects: Iterable[StitchedObject], *, max_iou: float = MAX_IOU, max_contained_share: float = MAX_CONTAINED_SHARE
) -> list[StitchedObject]:
    """As `suppress`, among objects that share a core."""
    kept: list[StitchedObject] = []
    kept_in: defaultdict[int, list[StitchedObject]] = defaultdict(list)
    for one in sorted(objects, key=lambda one: one.rank, reverse=True):
        rivals = {id(other): other for index in one.pieces for other in kept_in[index]}
        if not any(
            is_same(one.n_shared(other), one.n_pixels, other.n_pixels, max_iou, max_contained_share)
            for other in rivals.values()
        ):
            kept.append(one)
            for index in one.pieces:
                kept_in[index].append(one)
    return kept


def paint_stitched(
    objects: Sequence[StitchedObject], plan: TilePlan, labels: WritableLabels, *, min_object_px: int = 1
) -> tuple[SegmentedObject, ...]:
    """Give every pixel to one object at most, as `paint` does, and write the label image core by core.

    Parameters
    ----------
    objects
        In any order.
    plan
        The tiles.
    labels
        `(H, W)` of the image's shape, any integer dtype; all of it is written, 0 is background. The labels are 1 to n
        in the order of the prompts.
    min_object_px
        Least number of pixels of an object.

    Returns
    -------
    tuple of SegmentedObject
        One for each label, in their order.

    Raises
    ------
    ValueError
        If the labels have another shape than the image, or a dtype that has too few numbers; before anything is
        written.
    """
    painted = _settled(objects, min_object_px)
    _check_labels(labels, plan, len(painted))
    in_order = sorted(painted, key=lambda each: (each[0].best.number, each[0].best.tile.index))
    label_of = {id(one): label for label, (one, _) in enumerate(in_order, start=1)}
    in_core: defaultdict[int, list[tuple[int, StoredMask]]] = defaultdict(list)
    for one, _ in painted:
        for index, piece in one.pieces.items():
            in_core[index].append((label_of[id(one)], piece))

    for tile in plan:
        plane = np.zeros(tile.core.shape, labels.dtype)
        # the first to come, which is the smallest, lies on top
        for label, piece in reversed(in_core.get(tile.index, [])):
            place = moved_window(piece.window, -tile.core.top, -tile.core.left)
            plane[place.slices][piece.load().mask] = label
        labels[tile.core.slices] = plane
    return tuple(_object(label, one, n_pixels) for label, (one, n_pixels) in enumerate(in_order, start=1))


def _settled(objects: Sequence[StitchedObject], min_object_px: int) -> list[tuple[StitchedObject, int]]:
    """The objects that get enough pixels, and how many they get; the smallest first, which takes what it wants."""
    painted: list[tuple[StitchedObject, int]] = []
    taken: defaultdict[int, list[StoredMask]] = defaultdict(list)
    for one in sorted(objects, key=lambda one: (one.n_pixels, *(-each for each in one.rank))):
        n_free = sum(
            int(np.count_nonzero(_free_part(piece, taken.get(index, [])))) for index, piece in one.pieces.items()
        )
        if n_free >= max(1, min_object_px):
            painted.append((one, n_free))
            for index, piece in one.pieces.items():
                taken[index].append(piece)
    return painted


def _free_part(piece: StoredMask, taken: Iterable[StoredMask]) -> Mask:
    """What of a piece nobody else has taken."""
    rivals = [other for other in taken if shared_window(piece.window, other.window) is not None]
    free = piece.load().mask.copy()
    for other in rivals:
        free &= ~other.load().over(piece.window)
    return free


def _check_labels(labels: WritableLabels, plan: TilePlan, n_objects: int) -> None:
    shape, dtype = tuple(int(n) for n in labels.shape), np.dtype(labels.dtype)
    if shape != plan.image_shape:
        raise ValueError(f"labels have shape {shape}; expected {plan.image_shape}, that of the image. Make such ones.")
    if dtype.kind not in "ui" or np.iinfo(dtype).max < n_objects:
        raise ValueError(
            f"labels have dtype {dtype}; expected an integer one that counts to {n_objects}. Take int32 or uint32."
        )


def _object(label: int, one: StitchedObject, n_pixels: int) -> SegmentedObject:
    scores = one.best.stability, one.best.agreement, one.best.certainty
    return SegmentedObject(label, one.best.prompt, one.window, n_pixels, *scores)
