"""Interactive segmentation of microscopy and MRI with SegNext, in napari, from Python and from the command line.

The public names are loaded on first use: importing this package loads neither torch nor Qt.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_segnext.everything import (
        EverythingResult,
        iterate_everything,
        segment_everything,
        segment_everything_tiled,
    )
    from napari_segnext.io import read_volume
    from napari_segnext.prompts import Box, Click, MaskPrompt, Polygon, Prompt, Prompts, Scribble
    from napari_segnext.propagation import SliceResult, StopRules, embed_volume, propagate
    from napari_segnext.session import ImagePyramid, Prediction, Session
    from napari_segnext.volumes import Volume
    from napari_segnext.weights import load_model

_HOMES = {
    "Box": "prompts",
    "Click": "prompts",
    "EverythingResult": "everything",
    "ImagePyramid": "session",
    "MaskPrompt": "prompts",
    "Polygon": "prompts",
    "Prompt": "prompts",
    "Prompts": "prompts",
    "Scribble": "prompts",
    "Prediction": "session",
    "Session": "session",
    "Volume": "volumes",
    "iterate_everything": "everything",
    "SliceResult": "propagation",
    "StopRules": "propagation",
    "embed_volume": "propagation",
    "load_model": "weights",
    "propagate": "propagation",
    "read_volume": "io",
    "segment_everything": "everything",
    "segment_everything_tiled": "everything",
}

__all__ = [
    "Box",
    "Click",
    "EverythingResult",
    "ImagePyramid",
    "MaskPrompt",
    "Polygon",
    "Prediction",
    "Prompt",
    "Prompts",
    "Scribble",
    "Session",
    "SliceResult",
    "StopRules",
    "Volume",
    "embed_volume",
    "iterate_everything",
    "load_model",
    "propagate",
    "read_volume",
    "segment_everything",
    "segment_everything_tiled",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        try:
            return importlib.import_module("napari_segnext._version").__version__
        except ModuleNotFoundError:
            return "0+unknown"
    if name in _HOMES:
        return getattr(importlib.import_module(f"napari_segnext.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'napari_segnext' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
