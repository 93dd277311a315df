"""What propagation gives for one object on one slice."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_segnext._types import Mask, Probability
    from napari_segnext.propagation.evidence import Evidence
    from napari_segnext.propagation.stopping import StopReason


class Source(Enum):
    """Where a mask came from."""

    ANNOTATED = "annotated"
    BETWEEN = "between two annotated slices"
    BEYOND = "beyond the last annotated slice"


@dataclass(frozen=True, slots=True, eq=False)
class SliceResult:
    """One object on one slice.

    Attributes
    ----------
    label
        Number of the object.
    axis, index
        The slice.
    mask
        `(rows, columns)` bool, read-only; empty if the object was not carried on to this slice.
    probability
        `(rows, columns)` float32 in [0, 1], read-only, of what the model answered, also where `stopped` is not None.
    source
        Where the mask came from.
    evidence
        Measurements that speak for and against it; None for annotated slices.
    stopped
        Why the object was not carried on to this slice, and those after it; None if it was.
    """

    label: int
    axis: int
    index: int
    mask: Mask
    probability: Probability
    source: Source
    evidence: Evidence | None = None
    stopped: StopReason | None = None

    def __post_init__(self) -> None:
        for array in (self.mask, self.probability):
            if isinstance(array, np.ndarray) and array.flags.owndata:
                array.setflags(write=False)

    @property
    def confidence(self) -> float:
        """0 to 1: 1 where a person annotated; see `Evidence.confidence`."""
        return 1.0 if self.evidence is None else self.evidence.confidence
