"""A model's answer to one prompt, as a candidate for an object: its mask, and how far it can be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_segnext.prompts import Box, Click
from napari_segnext.session.windows import Window, extent_of_mask

if TYPE_CHECKING:
    from napari_segnext._types import Mask, Probability
    from napari_segnext.session import Prediction

STABILITY_DELTA = 0.05
"""What the threshold is raised and lowered by, in probability. SegNext's probabilities stay near its threshold: SAM's
offset, 1 in logits, would leave nothing of most of its masks."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A mask that may be an object.

    Attributes
    ----------
    number
        Of the prompt, from 0, in the order in which they were given.
    prompt
        The click or box that was answered.
    window
        Bounding box of the mask.
    mask
        `(h, w)` bool, over the window; at least one pixel is true.
    stability
        IoU of the masks at the raised and at the lowered threshold, 0 to 1.
    certainty
        Mean probability on the mask, above the threshold and at most 1.
    agreement
        IoU with the answer to a second click elsewhere on the mask; 1 if no second one was asked for.
    """

    number: int
    prompt: Click | Box
    window: Window
    mask: Mask
    stability: float
    certainty: float
    agreement: float = 1.0

    @cached_property
    def n_pixels(self) -> int:
        """Area of the mask."""
        return int(np.count_nonzero(self.mask))

    @property
    def rank(self) -> tuple[float, float, int]:
        """The greater, the rather it is kept: by stability times agreement, then certainty, then the earlier prompt."""
        return self.stability * self.agreement, self.certainty, -self.number

    def holds(self, row: float, column: float) -> bool:
        """Whether a place lies on the mask."""
        r, c = _pixel(row) - self.window.top, _pixel(column) - self.window.left
        return 0 <= r < self.window.height and 0 <= c < self.window.width and bool(self.mask[r, c])

    def overlap(self, other: Candidate) -> int:
        """Number of pixels that both masks have."""
        top, left = max(self.window.top, other.window.top), max(self.window.left, other.window.left)
        bottom, right = min(self.window.bottom, other.window.bottom), min(self.window.right, other.window.right)
        if top >= bottom or left >= right:
            return 0
        shared = Window(top, left, bottom - top, right - left)
        return int(np.count_nonzero(self._part(shared) & other._part(shared)))

    def iou(self, other: Candidate) -> float:
        """Shared pixels over all pixels of both."""
        n_shared = self.overlap(other)
        return n_shared / (self.n_pixels + other.n_pixels - n_shared)

    def click_elsewhere(self) -> Click:
        """A click well inside the mask, as far from its prompt as can be.

        Answers to clicks beside any object are often blobs about the click, which move along with it; answers to clicks
        on an object stay. A round blob that moves along has an agreement of 0.4 or so.
        """
        depth = ndimage.distance_transform_edt(np.pad(self.mask, 1))[1:-1, 1:-1]
        rows, columns = np.nonzero(depth >= depth.max() / 3)
        rows, columns = rows + self.window.top, columns + self.window.left
        row, column = _middle(self.prompt)
        farthest = int(np.argmax((rows - row) ** 2 + (columns - column) ** 2))
        return Click(float(rows[farthest]), float(columns[farthest]))

    def _part(self, window: Window) -> Mask:
        """The mask in a window within its own."""
        top, left = window.top - self.window.top, window.left - self.window.left
        return self.mask[top : top + window.height, left : left + window.width]


def candidate_from_prediction(number: int, prompt: Click | Box, prediction: Prediction) -> Candidate | None:
    """The candidate that an answer gives.

    Of the answer to a click only the connected part under the click counts: one click asks for one object. Of the
    answer to a box everything counts.

    Parameters
    ----------
    number, prompt
        What was asked.
    prediction
        The answer.

    Returns
    -------
    Candidate or None
        None if the answer is empty or does not hold its click.
    """
    found = prediction.extent
    if found is None:
        return None
    mask = prediction.mask[found.slices]
    probability = prediction.window_probability
    if isinstance(prompt, Click):
        mask = _part_at(mask, prompt.row - found.top, prompt.column - found.left)
        probability = _about_click(prediction, prompt)
    box = extent_of_mask(mask)
    is_inside = probability > prediction.threshold
    if box is None or not is_inside.any():
        return None
    return Candidate(
        number,
        prompt,
        Window(found.top + box.top, found.left + box.left, box.height, box.width),
        mask[box.slices].copy(),
        stability_score(probability, prediction.threshold),
        float(probability[is_inside].mean()),
    )


def stability_score(probability: Probability, threshold: float, *, delta: float = STABILITY_DELTA) -> float:
    """How little a mask depends on the threshold.

    Parameters
    ----------
    probability
        `(H, W)` float in [0, 1].
    threshold
        Probability above which a pixel belongs to the mask.
    delta
        What the threshold is raised and lowered by, but at most half of the way to 0 and to 1.

    Returns
    -------
    float
        IoU of the masks at the raised and at the lowered threshold, 0 to 1; 0 if both are empty.

    Notes
    -----
    The stability score of Segment Anything, in probability instead of logits. The one mask lies within the other, so
    the IoU is the ratio of their areas.
    """
    outer = int(np.count_nonzero(probability > max(threshold - delta, threshold / 2)))
    inner = int(np.count_nonzero(probability > min(threshold + delta, (1 + threshold) / 2)))
    return inner / max(outer, 1)


def _about_click(prediction: Prediction, click: Click) -> Probability:
    """The window's probability, 0 but in the part that hangs together with the click at the lowered threshold."""
    row, column = (
        (place - start + 0.5) / prediction.factor - 0.5
        for place, start in ((click.row, prediction.window.top), (click.column, prediction.window.left))
    )
    probability = prediction.window_probability
    lowered = max(prediction.threshold - STABILITY_DELTA, prediction.threshold / 2)
    part = _part_at(probability > lowered, row, column)
    return np.where(part, probability, np.float32(0))


def _part_at(mask: Mask, row: float, column: float) -> Mask:
    """The connected part of a mask that holds a place; nothing of it where the place lies beside the mask."""
    r, c = _pixel(row), _pixel(column)
    if not (0 <= r < mask.shape[0] and 0 <= c < mask.shape[1] and mask[r, c]):
        return np.zeros_like(mask)
    parts, _ = ndimage.label(mask)
    return np.asarray(parts == parts[r, c])


def _middle(prompt: Click | Box) -> tuple[float, float]:
    """(row, column)."""
    if isinstance(prompt, Click):
        return prompt.row, prompt.column
    return (prompt.top + prompt.bottom) / 2, (prompt.left + prompt.right) / 2


def _pixel(place: float) -> int:
    """The pixel whose square holds a coordinate."""
    return math.floor(place + 0.5)
