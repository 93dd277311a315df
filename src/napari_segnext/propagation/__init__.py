"""Annotate a few slices, get the volume: plan, motion, evidence, stop rules, and the generator that uses them."""

from napari_segnext.propagation.annotated import ObjectToPropagate
from napari_segnext.propagation.embed import EmbeddedSlice, embed_volume
from napari_segnext.propagation.evidence import Evidence
from napari_segnext.propagation.interpolation import interpolate_masks
from napari_segnext.propagation.plan import Span, plan_spans, spans_after_correction
from napari_segnext.propagation.propagate import propagate
from napari_segnext.propagation.results import SliceResult, Source
from napari_segnext.propagation.stopping import StopReason, StopRules

__all__ = [
    "EmbeddedSlice",
    "Evidence",
    "ObjectToPropagate",
    "SliceResult",
    "Source",
    "Span",
    "StopReason",
    "StopRules",
    "embed_volume",
    "interpolate_masks",
    "plan_spans",
    "propagate",
    "spans_after_correction",
]
