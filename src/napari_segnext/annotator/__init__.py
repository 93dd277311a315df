"""Annotating in napari without Qt: an `Annotator` works in a script as it does behind the widget."""

from napari_segnext.annotator.annotator import Annotator
from napari_segnext.annotator.bindings import BINDINGS, KeyBinding, key_label
from napari_segnext.annotator.coordinates import ShownSlice, SliceFrame
from napari_segnext.annotator.draft import Draft
from napari_segnext.annotator.errors import (
    AnnotatorError,
    DraftInTheWayError,
    LayerMismatchError,
    LockedLabelError,
    NoFreeLabelError,
    NoSuchObjectError,
    NothingToAcceptError,
    ReadOnlyLayerError,
    SliceNotShownError,
    StillComputingError,
)
from napari_segnext.annotator.executor import Executor, ImmediateExecutor
from napari_segnext.annotator.layers import AnnotationLayers
from napari_segnext.annotator.objects import AcceptedSlice, ObjectRecord, ObjectRecords
from napari_segnext.annotator.regions import Region, collect_objects, image_in_view, region_in_view
from napari_segnext.annotator.tools import TOOLS, Tool

__all__ = [
    "AcceptedSlice",
    "Draft",
    "DraftInTheWayError",
    "LockedLabelError",
    "NoSuchObjectError",
    "ObjectRecord",
    "ObjectRecords",
    "Annotator",
    "AnnotatorError",
    "AnnotationLayers",
    "BINDINGS",
    "Executor",
    "ImmediateExecutor",
    "KeyBinding",
    "LayerMismatchError",
    "NoFreeLabelError",
    "NothingToAcceptError",
    "ReadOnlyLayerError",
    "Region",
    "ShownSlice",
    "SliceFrame",
    "SliceNotShownError",
    "StillComputingError",
    "TOOLS",
    "Tool",
    "collect_objects",
    "image_in_view",
    "key_label",
    "region_in_view",
]
