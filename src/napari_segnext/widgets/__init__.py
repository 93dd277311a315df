"""The Qt side: the only part of the package that imports qtpy. Widgets are loaded on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_segnext.widgets.annotator_widget import AnnotatorWidget
    from napari_segnext.widgets.everything_widget import EverythingWidget
    from napari_segnext.widgets.models_dialog import ModelsDialog, open_models_dialog
    from napari_segnext.widgets.review_commands import propagate_objects, show_next_doubtful

__all__ = [
    "AnnotatorWidget",
    "EverythingWidget",
    "ModelsDialog",
    "open_models_dialog",
    "propagate_objects",
    "show_next_doubtful",
]

_HOMES = {
    "AnnotatorWidget": "annotator_widget",
    "EverythingWidget": "everything_widget",
    "ModelsDialog": "models_dialog",
    "open_models_dialog": "models_dialog",
    "propagate_objects": "review_commands",
    "show_next_doubtful": "review_commands",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
