"""Masks of a few objects or of very many: packed, and beyond a budget on disk."""

from __future__ import annotations

import tempfile
import threading
import weakref
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import IO, TYPE_CHECKING

import numpy as np

from napari_segnext.session.windows import Window

if TYPE_CHECKING:
    from napari_segnext._types import Mask

MAX_HELD_BYTES = 256_000_000
"""Of packed masks in memory; an object of 100 × 100 pixels takes some 300 bytes."""

_COMPRESSION = 1
"""zlib's fastest: most rows of a mask are like the ones above, which all levels see."""


@dataclass(frozen=True, eq=False)
class PlacedMask:
    """A mask and its place in the image.

    Attributes
    ----------
    window
        Where it lies.
    mask
        `(h, w)` bool, over the window.
    """

    window: Window
    mask: Mask

    @cached_property
    def n_pixels(self) -> int:
        """Pixels that are true."""
        return int(np.count_nonzero(self.mask))

    def over(self, window: Window) -> Mask:
        """`(rows, columns)` bool: the mask over another window, false where it does not reach."""
        if window == self.window:
            return self.mask
        whole = np.zeros(window.shape, bool)
        shared = shared_window(window, self.window)
        if shared is not None:
            whole[_places(shared, window)] = self.mask[_places(shared, self.window)]
        return whole

    def n_shared(self, other: PlacedMask) -> int:
        """Number of pixels that both masks have."""
        shared = shared_window(self.window, other.window)
        if shared is None:
            return 0
        ours, theirs = self.mask[_places(shared, self.window)], other.mask[_places(shared, other.window)]
        return int(np.count_nonzero(ours & theirs))

    def n_pixels_in(self, window: Window) -> int:
        """Number of its pixels in a window."""
        shared = shared_window(self.window, window)
        return 0 if shared is None else int(np.count_nonzero(self.mask[_places(shared, self.window)]))


@dataclass(frozen=True, eq=False, slots=True)
class StoredMask:
    """A mask in a store.

    Attributes
    ----------
    window
        Where it lies.
    n_pixels
        Pixels that are true.
    bits
        The packed mask, or (offset, length) of it in the file of the store.
    store
        Where it is.
    """

    window: Window
    n_pixels: int
    bits: bytes | tuple[int, int]
    store: MaskStore

    def load(self) -> PlacedMask:
        """The mask, unpacked into a new array."""
        bits = self.bits if isinstance(self.bits, bytes) else self.store.read(*self.bits)
        packed = np.frombuffer(zlib.decompress(bits), np.uint8)
        flat = np.unpackbits(packed, count=self.window.height * self.window.width)
        return PlacedMask(self.window, flat.view(bool).reshape(self.window.shape))


class MaskStore:
    """Keeps masks packed in memory; once they are more than a budget, further ones go to a temporary file.

    The file has no name, and is gone with the store, or with the process.

    Parameters
    ----------
    max_bytes
        Greatest size of the packed masks in memory.

    Attributes
    ----------
    max_bytes
        As given.
    n_bytes_held, n_bytes_on_disk
        Size of what was put into memory, and into the file.
    """

    def __init__(self, max_bytes: int = MAX_HELD_BYTES) -> None:
        self.max_bytes = max_bytes
        self.n_bytes_held = 0
        self.n_bytes_on_disk = 0
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()

    def put(self, window: Window, mask: Mask) -> StoredMask:
        """Keep a mask `(h, w)` bool over a window."""
        bits = zlib.compress(np.packbits(mask).tobytes(), _COMPRESSION)
        n_pixels = int(np.count_nonzero(mask))
        with self._lock:
            if self.n_bytes_held + len(bits) <= self.max_bytes:
                self.n_bytes_held += len(bits)
                return StoredMask(window, n_pixels, bits, self)
            return StoredMask(window, n_pixels, self._write(bits), self)

    def read(self, offset: int, length: int) -> bytes:
        """What was written to the file there."""
        with self._lock:
            file = self._opened()
            file.seek(offset)
            return file.read(length)

    def _write(self, bits: bytes) -> tuple[int, int]:
        file, offset = self._opened(), self.n_bytes_on_disk
        file.seek(offset)
        file.write(bits)
        self.n_bytes_on_disk += len(bits)
        return offset, len(bits)

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            # open as long as the store is in use
            self._file = tempfile.TemporaryFile(prefix="napari-segnext-masks-")  # noqa: SIM115
            weakref.finalize(self, self._file.close)
        return self._file


def shared_window(one: Window, other: Window) -> Window | None:
    """What lies in both windows; None if nothing does."""
    top, left = max(one.top, other.top), max(one.left, other.left)
    bottom, right = min(one.bottom, other.bottom), min(one.right, other.right)
    return Window(top, left, bottom - top, right - left) if top < bottom and left < right else None


def _places(part: Window, window: Window) -> tuple[slice, slice]:
    """To index an array over a window by a part of it."""
    top, left = part.top - window.top, part.left - window.left
    return slice(top, top + part.height), slice(left, left + part.width)
