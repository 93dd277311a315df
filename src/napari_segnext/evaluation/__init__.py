"""How well a model answers clicks: metrics, the protocol of the original, reports."""

from napari_segnext.evaluation.metrics import bootstrap_interval, iou, mean_iou_curve, miou_at_k, noc, nof
from napari_segnext.evaluation.protocol import (
    EvaluationSettings,
    ObjectResult,
    ObjectRun,
    click_on_largest_error,
    evaluate,
    evaluate_object,
)
from napari_segnext.evaluation.report import EvaluationReport, draw_iou_curves, write_iou_plot

__all__ = [
    "EvaluationReport",
    "EvaluationSettings",
    "ObjectResult",
    "ObjectRun",
    "bootstrap_interval",
    "click_on_largest_error",
    "draw_iou_curves",
    "evaluate",
    "evaluate_object",
    "iou",
    "mean_iou_curve",
    "miou_at_k",
    "noc",
    "nof",
    "write_iou_plot",
]
