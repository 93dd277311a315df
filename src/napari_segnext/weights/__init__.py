"""Weights by name or path: registry, download, import of original checkpoints, loading.

Importing this loads no torch; loading a model does.
"""

from napari_segnext.weights.delete_model import delete_model
from napari_segnext.weights.depth_anything import load_depth_model
from napari_segnext.weights.download import DownloadCancelled, DownloadError, discard_download, download_model
from napari_segnext.weights.families import ModelKind
from napari_segnext.weights.folder import prefer_weights_folder, weights_folder
from napari_segnext.weights.import_model import import_model
from napari_segnext.weights.load import ModelInfo, find_device, find_weights, list_models, load_model, model_info
from napari_segnext.weights.registry import DEFAULT_MODEL, ModelEntry
from napari_segnext.weights.safetensors_file import (
    WeightsHeader,
    read_weights,
    read_weights_header,
    save_weights,
    write_weights,
)

__all__ = [
    "DEFAULT_MODEL",
    "DownloadCancelled",
    "DownloadError",
    "ModelEntry",
    "ModelInfo",
    "ModelKind",
    "WeightsHeader",
    "delete_model",
    "discard_download",
    "download_model",
    "find_device",
    "find_weights",
    "import_model",
    "list_models",
    "load_depth_model",
    "load_model",
    "model_info",
    "prefer_weights_folder",
    "read_weights",
    "read_weights_header",
    "save_weights",
    "weights_folder",
    "write_weights",
]
