"""The Qt side: the only part of the package that imports qtpy. Widgets are loaded on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_segnext.widgets.annotator_widget import AnnotatorWidget

__all__ = ["AnnotatorWidget"]

_HOMES = {"AnnotatorWidget": "annotator_widget"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
