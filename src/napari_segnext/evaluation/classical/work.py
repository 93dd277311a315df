"""One image under a classical method: prompts are gathered, and each answer is made from all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from skimage import transform

from napari_segnext.evaluation.classical.markers import BACKGROUND, OBJECT, UNKNOWN
from napari_segnext.prompts import Prompts

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_segnext._types import Mask, Shape2D
    from napari_segnext.prompts import Prompt

    Look: TypeAlias = Callable[[NDArray[np.float32], NDArray[np.uint8]], NDArray[np.float64]]
    """(`(h, w, 3)` image, `(h, w)` markers) → `(h, w)` probability of the object."""

MAX_WINDOW_SHARE = 0.75
"""Of the image's longer side: a second look at more than that would show nothing new."""

MIN_MARGIN_PX = 16
"""Around what a second look is at."""


@dataclass(frozen=True, eq=False)
class MaskAnswer:
    """An answer that is a mask only.

    Attributes
    ----------
    mask
        `(H, W)` bool.
    """

    mask: Mask


class ClassicalWork:
    """The prompts of one object after another on one image.

    Parameters
    ----------
    image_shape
        (rows, columns).
    segment
        All prompts so far → `(H, W)` bool.
    """

    def __init__(self, image_shape: Shape2D, segment: Callable[[Prompts], Mask]) -> None:
        self._image_shape = image_shape
        self._segment = segment
        self._prompts = Prompts()

    @property
    def image_shape(self) -> Shape2D:
        """(rows, columns)."""
        return self._image_shape

    def add(self, prompt: Prompt) -> MaskAnswer:
        """Answer all prompts so far and this one."""
        prompts = self._prompts.adding(prompt)
        answer = MaskAnswer(self._segment(prompts))
        self._prompts = prompts
        return answer

    def reset(self) -> None:
        """Forget the prompts."""
        self._prompts = Prompts()


def two_looks(
    rgb: NDArray[np.float32],
    labels: NDArray[np.uint8],
    look: Look,
    *,
    max_side_px: int,
    enclosed: Mask | None = None,
) -> NDArray[np.float64]:
    """Probability of the object from a method that is too slow for large images.

    The first look is at a copy of the whole image whose longer side is `max_side_px`. Of larger images a second one is
    at what was found or marked, with as much again around it, as a user would have cut it out; its border is
    background. Where an outline has said where the object is, only the second look is taken.

    Parameters
    ----------
    rgb
        `(H, W, 3)` float32 in [0, 1].
    labels
        `(H, W)` uint8 markers of both signs.
    look
        Image and markers, of fewer pixels → probability.
    max_side_px
        Longer side of what the method is asked for.
    enclosed
        `(H, W)` bool, within an outline, at least one pixel; None if there is none.

    Returns
    -------
    ndarray
        `(H, W)` float64 in [0, 1]; 0 outside of what was cut out.
    """
    longest = max(labels.shape)
    if longest <= max_side_px:
        return look(rgb, labels)
    if enclosed is None:
        whole = _looked_at(rgb, labels, look, max_side_px)
        enclosed = whole > 0.5
    else:
        whole = None
    window = _around(enclosed | (labels == OBJECT))
    if max(part.stop - part.start for part in window) > MAX_WINDOW_SHARE * longest:
        return _looked_at(rgb, labels, look, max_side_px) if whole is None else whole
    probability = np.zeros(labels.shape)
    probability[window] = _looked_at(rgb[window], _with_border(labels[window]), look, max_side_px)
    return probability


def _looked_at(
    rgb: NDArray[np.float32], labels: NDArray[np.uint8], look: Look, max_side_px: int
) -> NDArray[np.float64]:
    """One look at a shrunk copy; the probability is brought back to full size, bilinearly."""
    scale = min(1.0, max_side_px / max(labels.shape))
    if scale == 1:
        return look(rgb, labels)
    shape = (max(1, round(scale * labels.shape[0])), max(1, round(scale * labels.shape[1])))
    small = transform.resize(rgb, shape, order=1, anti_aliasing=True).astype(np.float32)
    probability = look(small, _shrunk_labels(labels, shape))
    return np.asarray(transform.resize(probability, labels.shape, order=1, anti_aliasing=False), dtype=np.float64)


def _shrunk_labels(labels: NDArray[np.uint8], shape: Shape2D) -> NDArray[np.uint8]:
    """A pixel of the copy gets a marker if any pixel that falls on it has one, the object's before the background's."""
    shrunk = np.full(shape, UNKNOWN, np.uint8)
    for value in (BACKGROUND, OBJECT):
        positions = np.argwhere(labels == value) * (np.array(shape) / labels.shape)
        shrunk[tuple(positions.astype(int).T)] = value
    return shrunk


def _around(region: Mask) -> tuple[slice, slice]:
    """The bounding box of a region, with half its longer side (and at least some pixels) on each side of it."""
    where = [np.flatnonzero(region.any(axis=1 - axis)) for axis in (0, 1)]
    margin = MIN_MARGIN_PX + max(int(each[-1] - each[0]) for each in where) // 2
    rows, columns = (
        slice(max(0, int(each[0]) - margin), min(n, int(each[-1]) + 1 + margin))
        for each, n in zip(where, region.shape, strict=True)
    )
    return rows, columns


def _with_border(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Markers with background on the border where nothing is known."""
    border = np.ones(labels.shape, dtype=bool)
    border[1:-1, 1:-1] = False
    return np.where(border & (labels == UNKNOWN), np.uint8(BACKGROUND), labels)
