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
    from napari_segnext.everything.stitching import StitchedObject, stitch
    from napari_segnext.everything.tiled import TiledProgress, iterate_everything_tiled, segment_everything_tiled
    from napari_segnext.everything.tiles import Tile, TilePlan, plan_tiles

_HOMES = {
    "Candidate": "candidate",
    "EverythingProgress": "segment",
    "EverythingResult": "segment",
    "EverythingSettings": "settings",
    "SegmentedObject": "selection",
    "StitchedObject": "stitching",
    "Tile": "tiles",
    "TilePlan": "tiles",
    "TiledProgress": "tiled",
    "candidate_from_prediction": "candidate",
    "grid_clicks": "segment",
    "iterate_everything": "segment",
    "iterate_everything_tiled": "tiled",
    "paint": "selection",
    "plan_tiles": "tiles",
    "segment_everything": "segment",
    "segment_everything_tiled": "tiled",
    "stability_score": "candidate",
    "stitch": "stitching",
    "suppress": "selection",
}

__all__ = [
    "Candidate",
    "EverythingProgress",
    "EverythingResult",
    "EverythingSettings",
    "SegmentedObject",
    "StitchedObject",
    "Tile",
    "TilePlan",
    "TiledProgress",
    "candidate_from_prediction",
    "grid_clicks",
    "iterate_everything",
    "iterate_everything_tiled",
    "paint",
    "plan_tiles",
    "segment_everything",
    "segment_everything_tiled",
    "stability_score",
    "stitch",
    "suppress",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
