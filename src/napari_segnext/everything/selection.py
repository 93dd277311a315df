"""Which candidates are objects, and which pixels each of them gets. Pure functions of the candidates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_segnext.everything.settings import MAX_CONTAINED_SHARE, MAX_IOU

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_segnext._types import Shape2D
    from napari_segnext.everything.candidate import Candidate
    from napari_segnext.prompts import Box, Click
    from napari_segnext.session.windows import Window


@dataclass(frozen=True)
class SegmentedObject:
    """An object of a label image.

    Attributes
    ----------
    label
        Its number there, from 1.
    prompt
        The click or box that found it.
    window
        Bounding box of the mask that was found.
    n_pixels
        Pixels that have the label.
    stability, agreement, certainty
        As of `Candidate`.
    """

    label: int
    prompt: Click | Box
    window: Window
    n_pixels: int
    stability: float
    agreement: float
    certainty: float


def suppress(
    candidates: Iterable[Candidate], *, max_iou: float = MAX_IOU, max_contained_share: float = MAX_CONTAINED_SHARE
) -> list[Candidate]:
    """Leave out every candidate that is the same as, part of, or made up of a better one.

    Candidates are taken best first, as `Candidate.rank` says, and kept unless they are the same as one kept before.

    Parameters
    ----------
    candidates
        In any order.
    max_iou
        Greatest IoU of two that are kept.
    max_contained_share
        Greatest share of the smaller of two in the larger one.

    Returns
    -------
    list of Candidate
        Best first. No two of them overlap by more than is allowed, and every one left out overlaps by more with a
        better one that is in it.
    """
    kept: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda candidate: candidate.rank, reverse=True):
        if not any(
            is_same(candidate.overlap(other), candidate.n_pixels, other.n_pixels, max_iou, max_contained_share)
            for other in kept
        ):
            kept.append(candidate)
    return kept


def paint(
    candidates: Sequence[Candidate], image_shape: Shape2D, *, min_object_px: int = 1
) -> tuple[NDArray[np.int32], tuple[SegmentedObject, ...]]:
    """Give every pixel to one candidate at most.

    Where candidates overlap, the smaller one gets the pixels, of equal ones the better: as if all were painted one over
    the other, the largest first. A candidate that less than `min_object_px` pixels are left for gets none, and leaves
    them to larger ones.

    Parameters
    ----------
    candidates
        In any order.
    image_shape
        (rows, columns).
    min_object_px
        Least number of pixels of an object.

    Returns
    -------
    labels
        `(H, W)` int32, read-only, 0 is background; the labels are 1 to n in the order of the prompts.
    objects
        One for each label, in their order.
    """
    places = np.zeros(image_shape, np.int32)
    painted = []
    for candidate in sorted(
        candidates, key=lambda candidate: (candidate.n_pixels, *(-each for each in candidate.rank))
    ):
        part = places[candidate.window.slices]
        is_free = candidate.mask & (part == 0)
        n_pixels = int(np.count_nonzero(is_free))
        if n_pixels >= max(1, min_object_px):
            painted.append((candidate, n_pixels))
            part[is_free] = len(painted)

    # numbered in the order of the prompts
    order = sorted(range(len(painted)), key=lambda i: painted[i][0].number)
    label_of = np.zeros(len(painted) + 1, np.int32)
    label_of[np.array(order, np.intp) + 1] = np.arange(1, len(order) + 1)
    labels = label_of[places]
    labels.setflags(write=False)
    objects = (_object(label, *painted[i]) for label, i in enumerate(order, start=1))
    return labels, tuple(objects)


def is_same(n_shared: int, n_one: int, n_other: int, max_iou: float, max_contained_share: float) -> bool:
    """Whether two masks are one object, or one is a part of the other, by the numbers of their pixels."""
    return n_shared > max_iou * (n_one + n_other - n_shared) or n_shared > max_contained_share * min(n_one, n_other)


def _object(label: int, candidate: Candidate, n_pixels: int) -> SegmentedObject:
    scores = candidate.stability, candidate.agreement, candidate.certainty
    return SegmentedObject(label, candidate.prompt, candidate.window, n_pixels, *scores)
