"""One image, many prompts: preprocessing, embedding, prediction, history."""

from napari_segnext._disk_cache import DiskCacheSettings, disk_cache_settings, use_disk_cache
from napari_segnext.session.cpu_fallback import CpuFallback, load_with_fallback
from napari_segnext.session.embedding_cache import EmbeddingCache
from napari_segnext.session.embedding_store import EmbeddingStore
from napari_segnext.session.predict import PredictionCancelled, predict
from napari_segnext.session.prediction import DEFAULT_THRESHOLD, Prediction
from napari_segnext.session.preprocess import image_to_rgb, stack_channels, stretch_channel
from napari_segnext.session.pyramid import ImagePyramid
from napari_segnext.session.seen_planes import SeenChannel, SeenPlanes, seen_plane
from napari_segnext.session.session import Session, shared_cache
from napari_segnext.session.timeline import Step

__all__ = [
    "DEFAULT_THRESHOLD",
    "CpuFallback",
    "DiskCacheSettings",
    "EmbeddingCache",
    "EmbeddingStore",
    "ImagePyramid",
    "Prediction",
    "PredictionCancelled",
    "SeenChannel",
    "SeenPlanes",
    "Session",
    "Step",
    "disk_cache_settings",
    "image_to_rgb",
    "load_with_fallback",
    "predict",
    "seen_plane",
    "shared_cache",
    "stack_channels",
    "stretch_channel",
    "use_disk_cache",
]
