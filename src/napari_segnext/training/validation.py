"""Validation during training, by the protocol of the papers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segnext.datasets import open_dataset
from napari_segnext.evaluation.protocol import EvaluationSettings, evaluate
from napari_segnext.evaluation.report import compute_metrics

if TYPE_CHECKING:
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.training.config import ValidationConfig


def validate(model: InteractiveModel, config: ValidationConfig) -> dict[str, float | int | None]:
    """Metrics of a model on the objects that the config draws, the same ones each time.

    Parameters
    ----------
    model
        In evaluation mode.
    config
        Dataset and numbers; an empty root gives no metrics.

    Returns
    -------
    dict
        As `napari_segnext.evaluation.report.compute_metrics`; empty if there is nothing to validate on.
    """
    if not config.root:
        return {}
    images = open_dataset(config.dataset, config.root, max_objects=config.max_objects)
    results = list(evaluate(model, images, settings=EvaluationSettings(max_clicks=config.max_clicks)))
    return compute_metrics(results, max_clicks=config.max_clicks) if results else {}
