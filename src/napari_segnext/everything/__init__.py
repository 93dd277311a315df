"""Segment everything: a grid of clicks, or given clicks and boxes, → candidate masks → one label image.

The names are loaded on first use: whoever needs the settings alone loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_segnext.everything.candidate import Candidate, candidate_from_prediction, stability_score
    from napari_segnext.everything.segment import (
        EverythingProgress,
        EverythingResult,
        grid_clicks,
        iterate_everything,
        segment_everything,
    )
    from napari_segnext.everything.selection import SegmentedObject, paint, suppress
    from napari_segnext.everything.settings import EverythingSettings

_HOMES = {
    "Candidate": "candidate",
    "EverythingProgress": "segment",
    "EverythingResult": "segment",
    "EverythingSettings": "settings",
    "SegmentedObject": "selection",
    "candidate_from_prediction": "candidate",
    "grid_clicks": "segment",
    "iterate_everything": "segment",
    "paint": "selection",
    "segment_everything": "segment",
    "stability_score": "candidate",
    "suppress": "selection",
}

__all__ = [
    "Candidate",
    "EverythingProgress",
    "EverythingResult",
    "EverythingSettings",
    "SegmentedObject",
    "candidate_from_prediction",
    "grid_clicks",
    "iterate_everything",
    "paint",
    "segment_everything",
    "stability_score",
    "suppress",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
