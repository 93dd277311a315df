"""How well volumes are filled from a few annotated slices, beside copying, interpolation and the usual rules."""

from napari_segnext.evaluation.volumes.protocol import (
    BY_HAND,
    FillResult,
    VolumeSettings,
    clicked_mask,
    evaluate_volumes,
    slices_to_annotate,
)
from napari_segnext.evaluation.volumes.report import VolumeReport
from napari_segnext.evaluation.volumes.rules import (
    Copying,
    Filled,
    FillRule,
    FillTask,
    Interpolation,
    Projection,
    Propagation,
    default_rules,
    projection_rules,
)

__all__ = [
    "BY_HAND",
    "Copying",
    "FillResult",
    "FillRule",
    "FillTask",
    "Filled",
    "Interpolation",
    "Projection",
    "Propagation",
    "VolumeReport",
    "VolumeSettings",
    "clicked_mask",
    "default_rules",
    "evaluate_volumes",
    "projection_rules",
    "slices_to_annotate",
]
