"""How well models and their classical peers answer prompts: metrics, the protocol of the original, reports."""

from napari_segnext.evaluation.methods import ImageWork, Method, SessionMethod
from napari_segnext.evaluation.metrics import (
    bootstrap_interval,
    boundary_iou,
    iou,
    mean_iou_curve,
    miou_at_k,
    noc,
    nof,
)
from napari_segnext.evaluation.protocol import (
    Contestant,
    EvaluationSettings,
    ObjectResult,
    ObjectRun,
    click_on_largest_error,
    evaluate,
    evaluate_object,
    evaluate_side_by_side,
    user_beginning_with,
)
from napari_segnext.evaluation.report import EvaluationReport, draw_iou_curves, write_iou_plot

__all__ = [
    "Contestant",
    "EvaluationReport",
    "EvaluationSettings",
    "ImageWork",
    "Method",
    "ObjectResult",
    "ObjectRun",
    "SessionMethod",
    "boundary_iou",
    "bootstrap_interval",
    "click_on_largest_error",
    "draw_iou_curves",
    "evaluate",
    "evaluate_object",
    "evaluate_side_by_side",
    "iou",
    "mean_iou_curve",
    "miou_at_k",
    "noc",
    "nof",
    "user_beginning_with",
    "write_iou_plot",
]
