"""What a process keeps from volume to volume: models, the cache of embeddings, the digests of files."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_segnext.batch.images import Images, files_of, read_images
from napari_segnext.session import EmbeddingCache, EmbeddingStore
from napari_segnext.weights import find_weights, load_model
from napari_segnext.weights.load import sha256_of

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segnext._disk_cache import DiskCacheSettings
    from napari_segnext.models.interface import InteractiveModel

_LOCK = threading.Lock()
"""Tasks in threads of one worker load a model once."""

_N_MODELS = 2


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What tells whether a file, or a folder of files, is still the same without reading it.

    Attributes
    ----------
    n_bytes
        Sum of all sizes.
    modified_ns
        When the newest one changed.
    """

    n_bytes: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> FileStamp:
        """The stamp of a path that exists."""
        states = [one.stat() for one in files_of(path)]
        return cls(sum(one.st_size for one in states), max((one.st_mtime_ns for one in states), default=0))

    def to_json(self) -> dict[str, int]:
        """JSON-ready."""
        return {"bytes": self.n_bytes, "modified_ns": self.modified_ns}


def digest_of(path: Path) -> str:
    """SHA-256 (hexadecimal) of a file; read once as long as it does not change."""
    return _digest(path, FileStamp.of(path))


def digest_of_weights(model: str) -> str:
    """SHA-256 (hexadecimal) of the weights that `model_for` would load."""
    return digest_of(find_weights(model))


def model_for(model: str, device: str) -> InteractiveModel:
    """A model by name or path, loaded once in each process."""
    with _LOCK:
        return _loaded(model, device, digest_of_weights(model))  # type: ignore[no-any-return]


def cache_for(settings: DiskCacheSettings | None) -> EmbeddingCache:
    """The cache of this process with that folder beneath it."""
    with _LOCK:
        return _cache(settings)


def writing_cache_for(settings: DiskCacheSettings | None) -> EmbeddingCache:
    """The same, tried anew if its folder could not be written: there may be room since."""
    with _LOCK:
        store = _cache(settings).store
        if store is not None and store.problem:
            _cache.cache_clear()
        return _cache(settings)


@functools.lru_cache(maxsize=64)
def _digest(path: Path, stamp: FileStamp) -> str:
    return sha256_of(path)


@functools.lru_cache(maxsize=_N_MODELS)
def _loaded(model: str, device: str, sha256: str) -> Any:
    return load_model(model, device)


@functools.lru_cache(maxsize=1)
def _cache(settings: DiskCacheSettings | None) -> EmbeddingCache:
    return EmbeddingCache(store=None if settings is None else EmbeddingStore.of(settings))


def last_images(path: Path, stamp: FileStamp) -> Images:
    """Images that stay open for the next task: compressed files are read once for all chunks of slices."""
    with _LOCK:
        return _images(path, stamp)


@functools.lru_cache(maxsize=1)
def _images(path: Path, stamp: FileStamp) -> Images:
    return read_images(path)
