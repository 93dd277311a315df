"""What speaks for a propagated mask and against it: measured from the mask, its neighbour and the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_segnext.propagation.window import window_about

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext._types import Mask, Probability
    from napari_segnext.propagation.window import Window

N_BINS = 24
"""Of the histograms that tell an object from its surroundings."""

RING_SHARE = 0.5
"""Width of the surroundings over the radius of a disk of the object's area, at least `MIN_RING_PX`."""

MIN_RING_PX = 3

CERTAINTY_BAND = 0.25
"""Probabilities nearer than this to the threshold are in doubt."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Measurements of one object on one slice.

    Attributes
    ----------
    area
        Pixels of the mask.
    overlap
        Intersection over union with the mask on the slice that it came from.
    area_ratio
        Its area over that of the slice that it came from.
    certainty
        Share of the pixels that may belong to the object of which the model is certain, 0 to 1.
    likeness
        How much the pixels under the mask look like the object on the annotated slices, 0 (like its surroundings
        there) to 1.
    agreement
        Intersection over union of the answers from both sides; None where there is one side only.
    reaches_border
        Whether the mask touches the border of the image.
    """

    area: int
    overlap: float
    area_ratio: float
    certainty: float
    likeness: float
    agreement: float | None = None
    reaches_border: bool = False

    @property
    def confidence(self) -> float:
        """0 to 1: the geometric mean of what is known: certainty, likeness, overlap and, between slices, agreement."""
        if self.area == 0:
            return 0.0
        factors = [self.certainty, self.likeness, self.overlap]
        if self.agreement is not None:
            factors.append(self.agreement)
        return float(np.prod(factors) ** (1 / len(factors)))


def iou(one: Mask, other: Mask) -> float:
    """Intersection over union of two masks; 1 if both are empty."""
    union = int(np.count_nonzero(one | other))
    return int(np.count_nonzero(one & other)) / union if union else 1.0


def dice(one: Mask, other: Mask) -> float:
    """Twice the intersection over the sum of the sizes; 1 if both are empty."""
    size = int(np.count_nonzero(one)) + int(np.count_nonzero(other))
    return 2 * int(np.count_nonzero(one & other)) / size if size else 1.0


def certainty_of(probability: Probability, threshold: float) -> float:
    """Pixels surely inside over pixels perhaps inside; 0 if there are none."""
    perhaps = int(np.count_nonzero(probability > threshold * (1 - 2 * CERTAINTY_BAND)))
    surely = int(np.count_nonzero(probability > threshold + (1 - threshold) * 2 * CERTAINTY_BAND))
    return surely / perhaps if perhaps else 0.0


def reaches_border(mask: Mask) -> bool:
    """Whether a mask touches the border of its image."""
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


class Looks:
    """How bright an object is, and how bright its surroundings are, on its annotated slices.

    Each annotated slice adds to two histograms; a pixel speaks for the object as far as its brightness is commoner in
    it than about it.
    """

    def __init__(self) -> None:
        self._edges: NDArray[np.float64] | None = None
        self._inside = np.zeros(N_BINS)
        self._outside = np.zeros(N_BINS)

    def add(self, plane: NDArray[Any], mask: Mask) -> None:
        """Learn from an annotated slice.

        Parameters
        ----------
        plane
            `(H, W)` or `(H, W, C)`; of channels, the mean counts.
        mask
            `(H, W)` bool.
        """
        if not mask.any():
            return
        window = _window(mask)
        mask = mask[window]
        bright, ring = _brightness(plane[window]), _ring(mask)
        if self._edges is None:
            known = bright[mask | ring]
            low, high = np.percentile(known, (1, 99))
            self._edges = np.linspace(low, max(high, low + 1e-6), N_BINS - 1)
        self._inside += self._counted(bright[mask])
        self._outside += self._counted(bright[ring])

    def likeness(self, plane: NDArray[Any], mask: Mask) -> float:
        """Mean evidence of the pixels under a mask, scaled so that the object itself has 1 and its surroundings 0."""
        if self._edges is None or not mask.any():
            return 0.0
        inside, outside = ((counts + 1) / (counts.sum() + N_BINS) for counts in (self._inside, self._outside))
        speaks = inside / (inside + outside)
        own, others = float((inside * speaks).sum()), float((outside * speaks).sum())
        if own - others < 0.02:
            # brightness does not tell this object from its surroundings
            return 1.0
        window = _window(mask)
        found = self._counted(_brightness(plane[window])[mask[window]])
        mean = float((found * speaks).sum() / found.sum())
        return float(np.clip((mean - others) / (own - others), 0, 1))

    def _counted(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        edges = np.zeros(N_BINS - 1) if self._edges is None else self._edges
        return np.bincount(np.searchsorted(edges, values), minlength=N_BINS).astype(float)


def _brightness(plane: NDArray[Any]) -> NDArray[np.float64]:
    bright = plane.astype(np.float64)
    bright = bright if bright.ndim == 2 else bright.mean(axis=2)
    # a little smoothed: what counts is the look of a place, not of a pixel
    return np.asarray(ndimage.uniform_filter(np.nan_to_num(bright), 3))


def _reach_px(mask: Mask) -> int:
    """How far the surroundings of a mask go."""
    return max(MIN_RING_PX, round(RING_SHARE * float(np.sqrt(mask.sum() / np.pi))))


def _window(mask: Mask) -> Window:
    """The box about a mask with its surroundings: nothing else of a slice is looked at."""
    return window_about(mask, _reach_px(mask))


def _ring(mask: Mask) -> Mask:
    """The surroundings of a mask, as far as half its radius."""
    return np.asarray((ndimage.distance_transform_edt(~mask) <= _reach_px(mask)) & ~mask)
