"""How far each way to the next mask is to be trusted, learned from the annotated slices themselves.

There are three ways from one annotated slice towards the next: the model carries the object from slice to slice, the
optical flow alone carries it, or the shapes of both annotated masks are interpolated without a look at the image. Where
a way arrives at the next annotated slice, what it brought is compared with what the annotator said. The nearer it came,
the more it counts between annotated slices.

The model also draws outlines its own way, a little wider or tighter than the annotator. What it answers on an annotated
slice, given that slice's mask, tells at which probability the annotator's outline lies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_segnext.propagation.evidence import dice
from napari_segnext.propagation.interpolation import interpolate_masks, signed_distance, soft_mask
from napari_segnext.propagation.window import window_about

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext._types import Mask, Probability

OUTLINES = np.linspace(0.2, 0.8, 13)
"""Probabilities at which the annotator's outline may lie."""

SHARPNESS = 3
"""Power of the error by which a way's weight falls."""

LEAST_ERROR = 0.01
"""No way is believed to be better than this."""

UNKNOWN_WEIGHTS = (0.6, 0.25, 0.15)
"""Of model, flow and shape where none arrived."""

SOFT_PX = 1.5
"""Width of the outline of flow and shape, against the model's probabilities."""

CARRIED_SHARE = 0.2
"""Of an answer, that the mask has which the model was given, where slices lie close together."""

MARGIN_PX = 8
"""About all masks, of what is looked at."""


@dataclass(slots=True)
class Trust:
    """What the annotated slices of one object taught.

    Attributes
    ----------
    model, flow, shape
        Dice of what each way brought to annotated slices.
    """

    model: list[float] = field(default_factory=list)
    flow: list[float] = field(default_factory=list)
    shape: list[float] = field(default_factory=list)
    _scores: list[NDArray[np.float64]] = field(default_factory=list)

    def learn_outline(self, answer: Probability, mask: Mask) -> None:
        """Learn from the model's answer on an annotated slice to the mask that was annotated there."""
        self._scores.append(np.array([dice(answer > outline, mask) for outline in OUTLINES]))

    @property
    def outline(self) -> float:
        """Probability at which the annotator's outline lies; of equally good ones the nearest to 0.5."""
        if not self._scores:
            return 0.5
        means = np.mean(self._scores, axis=0)
        best = OUTLINES[means >= means.max() - 1e-9]
        return float(best[np.argmin(np.abs(best - 0.5))])

    def calibrated(self, answer: Probability) -> Probability:
        """An answer with the annotator's outline at 0.5; 0 and 1 stay."""
        exponent = np.log(0.5) / np.log(self.outline)
        return np.asarray(np.power(answer, exponent), np.float32) if abs(exponent - 1) > 1e-9 else answer

    def arrived(self, model: Mask, flow: Mask, start: Mask, truth: Mask) -> None:
        """What model and flow brought from the mask `start` to the next annotated slice, whose mask is `truth`."""
        self.model.append(dice(model, truth))
        self.flow.append(dice(flow, truth))
        self.shape.append(dice(_centred(start, truth), truth))

    @property
    def weights(self) -> tuple[float, float, float]:
        """Of model, flow and shape; they sum to 1."""
        if not self.model:
            return UNKNOWN_WEIGHTS
        errors = [max(LEAST_ERROR, 1 - float(np.mean(known))) for known in (self.model, self.flow, self.shape)]
        trusted = np.array(errors) ** -float(SHARPNESS)
        first, second, third = (trusted / trusted.sum()).tolist()
        return first, second, third


def leaning_on(answer: Probability, carried: Mask, step_px: float) -> Probability:
    """The model's answer to a mask that the flow carried, a part of it the mask itself.

    Where the model sees no outline, as in a lesion that fades away, it stays near what it was told. The part is a fifth
    where slices lie close together, and less where they are thick: a half of that where the next slice is as far away
    as the object's radius.

    Parameters
    ----------
    answer
        `(H, W)` in [0, 1].
    carried
        `(H, W)` bool.
    step_px
        From one slice to the next, in pixels of the slice.
    """
    if not carried.any():
        return answer
    share = CARRIED_SHARE / (1 + step_px / float(np.sqrt(carried.sum() / np.pi)))
    leaning = np.asarray((1 - share) * answer, np.float32)
    window = window_about(carried, MARGIN_PX)
    leaning[window] += share * soft_mask(signed_distance(carried[window]), SOFT_PX)
    return leaning


def blend(
    weights: tuple[float, float, float],
    model: Probability,
    flowed: tuple[Mask, Mask],
    ends: tuple[Mask, Mask],
    fraction: float,
) -> Probability:
    """One probability from three ways between two annotated slices.

    Parameters
    ----------
    weights
        Of model, flow and shape.
    model
        `(H, W)` in [0, 1].
    flowed
        Masks `(H, W)` bool that the flow brought from either side.
    ends
        The annotated masks.
    fraction
        How far from the first annotated slice to the second.
    """
    blended = np.asarray(weights[0] * model, np.float32)
    known = flowed[0] | flowed[1] | ends[0] | ends[1]
    if not known.any():
        return blended
    # farther out, flow and shape say no
    window = window_about(known, MARGIN_PX)
    distances = [signed_distance(mask[window]) for mask in flowed]
    flow = soft_mask((1 - fraction) * distances[0] + fraction * distances[1], SOFT_PX)
    shape = interpolate_masks(ends[0][window], ends[1][window], fraction)
    blended[window] += weights[1] * flow + weights[2] * soft_mask(signed_distance(shape), SOFT_PX)
    return blended


def _centred(mask: Mask, other: Mask) -> Mask:
    """A mask with its centre of mass on that of another one, which is what interpolating shapes does with it."""
    if not mask.any() or not other.any():
        return mask
    shift = np.subtract(ndimage.center_of_mass(other), ndimage.center_of_mass(mask))
    return np.asarray(ndimage.shift(mask, [round(float(along)) for along in shift], order=0) > 0)
