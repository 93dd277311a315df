"""Image embeddings: kept in memory, beneath it on disk, and computed only where neither has them.

Every embedding is rounded to what float16 can hold before anything uses it, whether it is kept or not. So an answer
does not depend on where its embedding came from: the disk gives back the very numbers that the encoder's were rounded
to. `EmbeddingCache(is_exact=True)` leaves them as they are, for comparisons with the original; it has no disk.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from napari_segnext.models.precision import is_in_autocast

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from napari_segnext.models.interface import ImageEmbedding, InteractiveModel
    from napari_segnext.session.embedding_store import EmbeddingStore

_TOKENS: weakref.WeakKeyDictionary[object, str] = weakref.WeakKeyDictionary()
_TOKEN_NUMBERS = itertools.count()

_CODE = (
    "models/*.py",
    "session/preprocess.py",
    "session/blocks.py",
    "session/views.py",
    "session/embedding_cache.py",
)
"""What makes embeddings of pixels; entries of other versions of it are never found."""


_GREATEST_HALF = torch.finfo(torch.float16).max


@dataclass(frozen=True, slots=True)
class CacheKey:
    """What an embedding is of, and by which model.

    Attributes
    ----------
    model
        Key of the weights and their arithmetic.
    device
        Where the tensors lie; not part of the key on disk.
    image
        Hash of the image and its contrast limits, and the window.
    is_lasting
        Whether another process would know the model by the same key; only then is the embedding kept on disk.
    """

    model: str
    device: str
    image: str
    is_lasting: bool = False

    @classmethod
    def of(cls, model: InteractiveModel, image: str) -> CacheKey:
        """The key of an image under a model; one that was never saved is told apart by its object."""
        sha256 = model.identity.sha256
        is_lasting = bool(sha256) and not is_in_autocast(model.device.type)
        name = sha256 or _token_of(model)
        return cls(f"{name} {getattr(model, 'precision', 'float32')}", str(model.device), image, is_lasting)

    @property
    def on_disk(self) -> str:
        """The key in a store: weights, arithmetic, image, and the code in between."""
        return f"{self.model} {self.image} {_code_digest()}"


class EmbeddingCache:
    """Embeddings by model and image, bounded in number and in bytes; safe to share between threads.

    The cache owns its entries: they live until evicted or cleared. An embedding larger than the whole budget is
    handed out and not kept.

    Parameters
    ----------
    max_entries
        Greatest number of embeddings in memory.
    max_bytes
        Greatest sum of their sizes.
    store
        Where they are kept on disk, with a bound of its own; None for nowhere.
    is_exact
        Whether embeddings stay as the encoder made them instead of being rounded to float16; not with a store.

    Attributes
    ----------
    store
        As given; may be changed.
    """

    def __init__(
        self,
        *,
        max_entries: int = 128,
        max_bytes: int = 1_000_000_000,
        store: EmbeddingStore | None = None,
        is_exact: bool = False,
    ) -> None:
        if is_exact and store is not None:
            raise ValueError("the cache is exact and has a store, which keeps float16; expected one or the other.")
        if max_entries < 1 or max_bytes < 1:
            raise ValueError(f"max_entries={max_entries}, max_bytes={max_bytes}; expected both above 0.")
        self.store = store
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._prepared = _unchanged if is_exact else rounded
        self._entries: OrderedDict[CacheKey, ImageEmbedding] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: CacheKey) -> bool:
        return key in self._entries

    @property
    def n_bytes(self) -> int:
        """Size of all entries in memory, in bytes."""
        with self._lock:
            return self._n_bytes()

    def get_or_compute(self, key: CacheKey, compute: Callable[[], ImageEmbedding]) -> ImageEmbedding:
        """The entry for `key` from memory or disk, or the result of `compute()`, rounded, which is then kept.

        It is written to disk by another thread: who asks does not wait for it.
        """
        found = self._in_memory(key)
        if found is not None:
            return found
        store = self.store if key.is_lasting else None
        embedding = store.read(key.on_disk) if store is not None else None
        if embedding is not None:
            embedding = embedding.to(key.device)
        else:
            embedding = self._prepared(compute())
            if store is not None:
                store.write_later(key.on_disk, embedding)
        self._keep_in_memory(key, embedding)
        return embedding

    def ensure(self, key: CacheKey, compute: Callable[[], ImageEmbedding]) -> bool:
        """Compute and keep an embedding unless it is kept already: on disk, else in memory.

        Returns
        -------
        bool
            Whether it was there. If not, it is on disk now, without being in memory; or in memory only, if there is no
            store, the store cannot keep it, or the model has no lasting key.
        """
        store = self.store if key.is_lasting else None
        if store is not None and store.holds(key.on_disk):
            return True
        known = self._in_memory(key)
        embedding = known if known is not None else self._prepared(compute())
        if (store is None or not store.write(key.on_disk, embedding)) and known is None:
            self._keep_in_memory(key, embedding)
        return known is not None

    def flush(self) -> None:
        """Wait until what was computed is on disk."""
        if self.store is not None:
            self.store.flush()

    def clear(self) -> None:
        """Drop all entries in memory; those on disk stay."""
        with self._lock:
            self._entries.clear()

    def _in_memory(self, key: CacheKey) -> ImageEmbedding | None:
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def _keep_in_memory(self, key: CacheKey, embedding: ImageEmbedding) -> None:
        with self._lock:
            self._entries[key] = embedding
            self._entries.move_to_end(key)
            while self._entries and (len(self._entries) > self._max_entries or self._n_bytes() > self._max_bytes):
                self._entries.popitem(last=False)

    def _n_bytes(self) -> int:
        return sum(embedding.n_bytes for embedding in self._entries.values())


def rounded(embedding: ImageEmbedding) -> ImageEmbedding:
    """The embedding with all numbers rounded to those of float16; dtypes stay.

    Levels with numbers beyond float16 (65504) stay as they are. All become contiguous, as they come from disk, since
    convolutions add up in another order where they are not.
    """
    return replace(embedding, levels=tuple(_rounded_level(level) for level in embedding.levels))


def _unchanged(embedding: ImageEmbedding) -> ImageEmbedding:
    return embedding


def _rounded_level(level: Tensor) -> Tensor:
    if level.numel() == 0:
        return level.contiguous()
    low, high = torch.aminmax(level)
    fits = float(low) >= -_GREATEST_HALF and float(high) <= _GREATEST_HALF
    return (level.to(torch.float16).to(level.dtype) if fits else level).contiguous()


@functools.cache
def _code_digest() -> str:
    """SHA-256 (hexadecimal) of the code between pixels and embeddings; the version where there is no code to read."""
    package = Path(__file__).parents[1]
    sources = [path.read_bytes() for pattern in _CODE for path in sorted(package.glob(pattern))]
    return hashlib.sha256(b"".join(sources) or version("napari-segnext").encode()).hexdigest()


def _token_of(model: InteractiveModel) -> str:
    """A name for a model object that no other one gets, not even after its end (unlike `id`)."""
    if model not in _TOKENS:
        _TOKENS[model] = f"unsaved-{next(_TOKEN_NUMBERS)}"
    return _TOKENS[model]
