"""Image embeddings kept in memory, bounded, the least recently used dropped first."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_segnext.models.interface import ImageEmbedding, InteractiveModel

_TOKENS: weakref.WeakKeyDictionary[object, str] = weakref.WeakKeyDictionary()
_TOKEN_NUMBERS = itertools.count()

CacheKey = tuple[str, str]
"""(key of the model, hash of the image and its contrast limits, and the window)."""


class EmbeddingCache:
    """Embeddings by model and image, bounded in number and in bytes; safe to share between threads.

    The cache owns its entries: they live until evicted or cleared. An embedding larger than the whole budget is
    handed out and not kept.

    Parameters
    ----------
    max_entries
        Greatest number of embeddings.
    max_bytes
        Greatest sum of their sizes.
    """

    def __init__(self, *, max_entries: int = 128, max_bytes: int = 1_000_000_000) -> None:
        if max_entries < 1 or max_bytes < 1:
            raise ValueError(f"max_entries={max_entries}, max_bytes={max_bytes}; expected both above 0.")
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries: OrderedDict[CacheKey, ImageEmbedding] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: CacheKey) -> bool:
        return key in self._entries

    @property
    def n_bytes(self) -> int:
        """Size of all entries in bytes."""
        with self._lock:
            return self._n_bytes()

    def get_or_compute(self, key: CacheKey, compute: Callable[[], ImageEmbedding]) -> ImageEmbedding:
        """The entry for `key`, or the result of `compute()`, which is then kept."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key]
        embedding = compute()
        with self._lock:
            self._entries[key] = embedding
            self._entries.move_to_end(key)
            while self._entries and (len(self._entries) > self._max_entries or self._n_bytes() > self._max_bytes):
                self._entries.popitem(last=False)
        return embedding

    def clear(self) -> None:
        """Drop all entries."""
        with self._lock:
            self._entries.clear()

    def _n_bytes(self) -> int:
        return sum(embedding.n_bytes for embedding in self._entries.values())


def model_key(model: InteractiveModel) -> str:
    """Key of a model on its device; one that was never saved is told apart by its object."""
    return f"{model.identity.sha256 or _token_of(model)}@{model.device}"


def _token_of(model: InteractiveModel) -> str:
    """A name for a model object that no other one gets, not even after its end (unlike `id`)."""
    if model not in _TOKENS:
        _TOKENS[model] = f"unsaved-{next(_TOKEN_NUMBERS)}"
    return _TOKENS[model]
