"""Probabilities of one slice at half precision, and only where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_segnext.propagation.window import bounds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext._types import Probability, Shape2D
    from napari_segnext.propagation.window import Window

LEAST_PROBABILITY = 0.02
"""Where nothing is likelier, 0 is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A probability, packed.

    Attributes
    ----------
    shape
        (rows, columns) of the slice.
    window
        Where it is above `LEAST_PROBABILITY`; None if nowhere.
    values
        `(h, w)` float16, there.
    """

    shape: Shape2D
    window: Window | None
    values: NDArray[np.float16]

    @classmethod
    def of(cls, probability: Probability) -> Patch:
        """Pack a probability `(rows, columns)`."""
        shape = (probability.shape[0], probability.shape[1])
        is_likely = probability > LEAST_PROBABILITY
        if not is_likely.any():
            return cls(shape, None, np.zeros((0, 0), np.float16))
        window = bounds(is_likely)
        return cls(shape, window, probability[window].astype(np.float16))

    def unpacked(self) -> Probability:
        """`(rows, columns)` float32, a new array."""
        probability = np.zeros(self.shape, np.float32)
        if self.window is not None:
            probability[self.window] = self.values
        return probability
