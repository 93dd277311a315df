"""One image embedding as one file: a zarr group in a zip archive, under a checksum of every byte.

1. Each feature level is an array of one chunk: float16 where that loses nothing, which is so for what `ImageViews`
   rounds, else as it is. What is read is what was written, bit for bit.
2. The group's attributes say under which key it was written and how to come back to the tensors.
3. The archive's comment, the last 64 bytes of the file, is the SHA-256 of all bytes before it; it is verified before
   anything else is looked at. `zarr.open_group(zarr.storage.ZipStore(path))` reads the file, too.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_segnext.models.interface import ImageEmbedding

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

FORMAT = 1
"""Raised whenever older files can no longer be read."""

_N_DIGEST = 64
_FORMAT_NAME = "napari-segnext embedding"


class BrokenEntryError(ValueError):
    """Bytes that are not a whole entry of this format under this key."""


def pack_embedding(key: str, embedding: ImageEmbedding) -> bytes:
    """The bytes of an entry.

    Parameters
    ----------
    key
        What the embedding is of, and by which model.
    embedding
        On any device; levels of any floating dtype.
    """
    import zarr
    from zarr.storage import MemoryStore

    parts: dict[str, Any] = {}
    attributes = {
        _FORMAT_NAME: FORMAT,
        "key": key,
        "image_shape": [int(n) for n in embedding.image_shape],
        "dtypes": [str(level.dtype).removeprefix("torch.") for level in embedding.levels],
    }
    group = zarr.create_group(MemoryStore(parts), attributes=attributes, zarr_format=3)
    for number, level in enumerate(embedding.levels):
        values = _as_array(level)
        array = group.create_array(
            str(number), shape=values.shape, dtype=values.dtype, chunks=values.shape, compressors=None
        )
        array[...] = values
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part.to_bytes())
        archive.comment = bytes(_N_DIGEST)
    body = packed.getvalue()[:-_N_DIGEST]
    return body + _digest(body)


def unpack_embedding(key: str, packed: bytes) -> ImageEmbedding:
    """The embedding of an entry, on the CPU.

    Parameters
    ----------
    key
        Under which it was packed.
    packed
        From `pack_embedding`.

    Raises
    ------
    BrokenEntryError
        If a byte is wrong or missing, or the entry has another key or format.
    """
    require_whole(packed)
    import zarr
    from zarr.core.buffer import default_buffer_prototype
    from zarr.storage import MemoryStore

    as_buffer = default_buffer_prototype().buffer.from_bytes
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            parts = {name: as_buffer(archive.read(name)) for name in archive.namelist()}
        group: Any = zarr.open_group(MemoryStore(parts), mode="r")
        said: dict[str, Any] = group.attrs.asdict()
        if (said[_FORMAT_NAME], said["key"]) != (FORMAT, key):
            raise BrokenEntryError(f"the entry is of format {said[_FORMAT_NAME]} under the key '{said['key']}'")
        levels = tuple(
            _as_tensor(np.asarray(group[str(number)][...]), dtype) for number, dtype in enumerate(said["dtypes"])
        )
        rows, columns = said["image_shape"]
    except (OSError, ValueError, TypeError, LookupError, AttributeError, zipfile.BadZipFile) as error:
        # whole, but not ours: some other program has written it
        raise BrokenEntryError(f"it is no entry: {error}") from error
    return ImageEmbedding(levels, (rows, columns))


def require_whole(packed: bytes) -> None:
    """Compare the checksum of an entry with its bytes.

    Raises
    ------
    BrokenEntryError
        If they do not fit.
    """
    if len(packed) <= _N_DIGEST or _digest(memoryview(packed)[:-_N_DIGEST]) != packed[-_N_DIGEST:]:
        raise BrokenEntryError(f"its {len(packed)} bytes do not fit its checksum")


def _digest(body: bytes | memoryview) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _as_array(level: Tensor) -> NDArray[Any]:
    """float16 where nothing is lost, else a dtype that numpy has and that loses nothing."""
    values = level.detach().cpu().contiguous()
    half = values.to(torch.float16)
    if torch.equal(half.to(values.dtype), values):
        return np.asarray(half.numpy())
    return np.asarray((values.float() if values.dtype == torch.bfloat16 else values).numpy())


def _as_tensor(values: NDArray[Any], dtype: str) -> Tensor:
    return torch.from_numpy(np.array(values)).to(getattr(torch, dtype))
