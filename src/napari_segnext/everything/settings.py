"""What everything mode asks of objects. No torch is loaded for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_segnext._types import Shape2D

POINTS_PER_SIDE = 16
MAX_POINTS_PER_SIDE = 1024
MIN_STABILITY = 0.7
MIN_AGREEMENT = 0.5
MIN_OBJECT_PX = 20
MAX_IMAGE_SHARE = 0.4

TILE_PX = 1024
"""Side of a tile of a large image: what encoders with a view of 1024 pixels see at full size."""

OVERLAP_PX = 128
"""What neighbouring tiles both see."""

MIN_OVERLAP_PX = 8

LARGE_IMAGE_PX = 4096
"""Images with a longer side are worked through in tiles unless something else is asked for."""

MIN_SEAM_IOU = 0.5
"""Of the masks of two tiles in what both see; above it they are taken for one object."""

MAX_IOU = 0.5
"""Of two masks that are kept; above it they are taken for one object."""

MAX_CONTAINED_SHARE = 0.7
"""Of the smaller of two masks that are kept, in the larger one; above it one is taken for a part of the other."""


@dataclass(frozen=True)
class EverythingSettings:
    """What is asked of candidates, and how densely the grid asks for them.

    Attributes
    ----------
    points_per_side
        Clicks of the grid along each side of the image.
    min_stability
        Least stability of an object, 0 to 1; 0 keeps all.
    min_agreement
        Least agreement of an object found by a click of the grid with the answer to a second click elsewhere on it, 0
        to 1; 0 asks for no second answer.
    min_object_px
        Least area of an object in pixels.
    max_image_share
        Greatest share of the image that an object found by a click of the grid may have: what is larger is background.
    max_iou, max_contained_share
        As of `suppress`.
    skips_found
        Whether clicks of the grid that lie on a candidate found before are skipped.
    """

    points_per_side: int = POINTS_PER_SIDE
    min_stability: float = MIN_STABILITY
    min_agreement: float = MIN_AGREEMENT
    min_object_px: int = MIN_OBJECT_PX
    max_image_share: float = MAX_IMAGE_SHARE
    max_iou: float = MAX_IOU
    max_contained_share: float = MAX_CONTAINED_SHARE
    skips_found: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.points_per_side <= MAX_POINTS_PER_SIDE:
            raise ValueError(
                f"points_per_side is {self.points_per_side}; expected 1 to {MAX_POINTS_PER_SIDE}, for example 16."
            )
        if self.min_object_px < 0:
            raise ValueError(f"min_object_px is {self.min_object_px}; expected 0 or more pixels.")
        for name in ("min_stability", "min_agreement", "max_image_share", "max_iou", "max_contained_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a number from 0 to 1.")


def is_large(image_shape: Shape2D) -> bool:
    """Whether an image of (rows, columns) is worked through in tiles by default."""
    return max(image_shape) > LARGE_IMAGE_PX
