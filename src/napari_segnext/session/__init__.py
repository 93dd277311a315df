"""One image, many prompts: preprocessing, embedding, prediction, history."""

from napari_segnext.session.cpu_fallback import CpuFallback, load_with_fallback
from napari_segnext.session.embedding_cache import EmbeddingCache
from napari_segnext.session.predict import DEFAULT_THRESHOLD, Prediction, PredictionCancelled, predict
from napari_segnext.session.preprocess import image_to_rgb, stack_channels, stretch_channel
from napari_segnext.session.session import Session, Step

__all__ = [
    "DEFAULT_THRESHOLD",
    "CpuFallback",
    "EmbeddingCache",
    "Prediction",
    "PredictionCancelled",
    "Session",
    "Step",
    "image_to_rgb",
    "load_with_fallback",
    "predict",
    "stack_channels",
    "stretch_channel",
]
