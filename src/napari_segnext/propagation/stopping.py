"""When propagation beyond the last annotated slice ends, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from napari_segnext.errors import PropagationError

if TYPE_CHECKING:
    from napari_segnext.propagation.evidence import Evidence


class StopReason(Enum):
    """Why an object was not carried on to a slice; the value says it in words."""

    EMPTY = "nothing was found"
    SMALL = "what was found is too small"
    OVERLAP = "it overlaps too little with the slice before"
    AREA_GREW = "its area grew too much"
    AREA_SHRANK = "its area shrank too much"
    CONFIDENCE = "the model is too unsure"
    APPEARANCE = "it looks too different from the annotated slices"
    BORDER = "it reaches the border of the image"


@dataclass(frozen=True, slots=True)
class StopRules:
    """Limits beyond which an object is not carried on. A rule that is None is off.

    Attributes
    ----------
    min_area
        Least area in pixels.
    min_overlap
        Least intersection over union with the slice before, 0 to 1.
    max_area_ratio
        Greatest ratio of the areas of neighbouring slices, either way; above 1.
    min_confidence
        Least confidence, 0 to 1; see `SliceResult`.
    min_likeness
        Least likeness to the annotated slices, 0 to 1; see `Evidence`.
    stops_at_border
        Whether an object ends where it reaches the border of the image and did not on the annotated slice.
    """

    min_area: int | None = 4
    min_overlap: float | None = 0.2
    max_area_ratio: float | None = 3.0
    min_confidence: float | None = 0.25
    min_likeness: float | None = 0.3
    stops_at_border: bool = False

    def __post_init__(self) -> None:
        for name in ("min_overlap", "min_confidence", "min_likeness"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise PropagationError(f"{name} is {value}; expected 0 to 1, or None to switch the rule off.")
        if self.min_area is not None and self.min_area < 0:
            raise PropagationError(f"min_area is {self.min_area}; expected 0 or more pixels, or None.")
        if self.max_area_ratio is not None and self.max_area_ratio <= 1:
            raise PropagationError(f"max_area_ratio is {self.max_area_ratio}; expected a number above 1, or None.")

    @classmethod
    def none(cls) -> StopRules:
        """All rules off: an object ends only where nothing is found."""
        return cls(None, None, None, None, None)

    def reason(self, evidence: Evidence) -> StopReason | None:
        """The first rule that a slice breaks, in the order of `StopReason`; None if it keeps them all."""
        if evidence.area == 0:
            return StopReason.EMPTY
        broken = {
            StopReason.SMALL: self.min_area is not None and evidence.area < self.min_area,
            StopReason.OVERLAP: self.min_overlap is not None and evidence.overlap < self.min_overlap,
            StopReason.AREA_GREW: self.max_area_ratio is not None and evidence.area_ratio > self.max_area_ratio,
            StopReason.AREA_SHRANK: self.max_area_ratio is not None and evidence.area_ratio < 1 / self.max_area_ratio,
            StopReason.CONFIDENCE: self.min_confidence is not None and evidence.confidence < self.min_confidence,
            StopReason.APPEARANCE: self.min_likeness is not None and evidence.likeness < self.min_likeness,
            StopReason.BORDER: self.stops_at_border and evidence.reaches_border,
        }
        return next((reason for reason, is_broken in broken.items() if is_broken), None)
