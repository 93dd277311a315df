"""Image embeddings in a folder: shared by processes, bounded, the least recently used dropped first.

1. An entry is one file. It is written under a name of its own and then renamed, so it is there whole or not at all.
2. On reading, every byte is verified; what does not fit its checksum is deleted and counts as absent.
3. The time of a file's last use is its modification time; eviction deletes the oldest files. No process holds a lock:
   a file that another process has deleted is absent, one that it has written meanwhile is as good as ours.
4. A folder that cannot be written (full, read-only, gone) is told once, and not written to any more by this store.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import sys
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from napari_segnext.session.embedding_file import (
    FORMAT,
    BrokenEntryError,
    pack_embedding,
    require_whole,
    unpack_embedding,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from napari_segnext._disk_cache import DiskCacheSettings
    from napari_segnext.models.interface import ImageEmbedding

SUFFIX = ".embedding.zarr.zip"
PART_SUFFIX = ".embedding.part"

KEPT_SHARE = 0.95
"""Of the greatest size, to which eviction goes down, so that it need not look at all files for each new one."""

WRITES_BETWEEN_LOOKS = 16
"""Own writes after which the folder is measured again, for what other processes have written."""

STALE_PART_S = 600.0
"""Age of an unfinished file after which whoever wrote it is gone, where locks cannot tell."""

MAX_PENDING = 16
"""Entries that wait for being written; whoever brings one more waits for the first."""

QUIET_S = 0.5
"""What `write_later` was given is written once so long nothing more came, or half of `MAX_PENDING` wait: packing takes
the interpreter's lock, and the answer to a click shall not wait for it."""

_LOGGER = logging.getLogger(__name__)


class EmbeddingStore:
    """Embeddings in a folder, safe to share between threads and processes.

    Parameters
    ----------
    folder
        Made when the first entry is written.
    max_bytes
        Greatest sum of the sizes of the files. Another process that writes at the same time with a greater bound, or
        less than `WRITES_BETWEEN_LOOKS` entries ago, is seen late; as long as less than half of the bound is used, less
        than an eighth as many entries ago as there are.
    on_problem
        Called once with a sentence if the folder cannot be used; by default it is logged as a warning.

    Attributes
    ----------
    folder, max_bytes
        As given.
    """

    def __init__(self, folder: Path, *, max_bytes: int, on_problem: Callable[[str], object] | None = None) -> None:
        if max_bytes < 1:
            raise ValueError(f"max_bytes={max_bytes}; expected at least 1.")
        self.folder = Path(folder)
        self.max_bytes = max_bytes
        self._on_problem = _LOGGER.warning if on_problem is None else on_problem
        self._problem = ""
        self._lock = threading.Lock()
        self._n_bytes_known: int | None = None
        self._n_written = self._next_look = 0
        self._writer: ThreadPoolExecutor | None = None
        self._pending: deque[Future[bool]] = deque()
        self._quiet_at = 0.0
        # of the writer, when it waits for quiet and should not any more
        self._wake = threading.Event()
        self._n_flushing = 0

    @classmethod
    def of(cls, settings: DiskCacheSettings) -> EmbeddingStore:
        """The store that settings describe."""
        return cls(settings.folder, max_bytes=settings.max_bytes, on_problem=settings.on_problem)

    @property
    def problem(self) -> str:
        """Why nothing is written any more, in a sentence; empty as long as all is well."""
        return self._problem

    @property
    def n_bytes(self) -> int:
        """Size of all files, unfinished ones included."""
        return sum(size for _, size, _ in self._files())

    def __len__(self) -> int:
        return sum(1 for path, _, _ in self._files() if path.name.endswith(SUFFIX))

    def read(self, key: str) -> ImageEmbedding | None:
        """The entry of a key, on the CPU; None if there is none that is whole."""
        packed = self._read_bytes(key)
        if packed is None:
            return None
        try:
            return unpack_embedding(key, packed)
        except BrokenEntryError as error:
            self._drop(key, error)
            return None

    def holds(self, key: str) -> bool:
        """Whether there is an entry whose bytes are whole; it counts as used."""
        packed = self._read_bytes(key)
        if packed is None:
            return False
        try:
            require_whole(packed)
        except BrokenEntryError as error:
            self._drop(key, error)
            return False
        return True

    def write(self, key: str, embedding: ImageEmbedding) -> bool:
        """Keep an embedding, now; whether that was done."""
        if self._problem:
            return False
        try:
            return self._written(self._path(key), key, embedding)
        except OSError as error:
            self._give_up(error)
            return False

    def write_later(self, key: str, embedding: ImageEmbedding) -> None:
        """Keep an embedding, written by another thread; see `flush`."""
        if self._problem:
            return
        with self._lock:
            if self._writer is None:
                self._writer = ThreadPoolExecutor(1, thread_name_prefix="embeddings")
            while self._pending and self._pending[0].done():
                self._pending.popleft()
            first = self._pending.popleft() if len(self._pending) >= MAX_PENDING else None
            self._quiet_at = time.monotonic() + QUIET_S
            future = self._writer.submit(self._write_in_quiet, key, embedding)
            self._pending.append(future)
        if len(self._pending) >= MAX_PENDING // 2:
            self._wake.set()
        future.add_done_callback(_log_failure)
        if first is not None:
            first.exception()

    def flush(self) -> None:
        """Wait for what `write_later` was given."""
        with self._lock:
            pending = [*self._pending]
            self._n_flushing += 1
        self._wake.set()
        for future in pending:
            future.exception()
        with self._lock:
            self._n_flushing -= 1

    def clear(self) -> tuple[int, int]:
        """Delete all entries, and unfinished files that nobody writes; (number of entries, bytes) that are gone."""
        self.flush()
        n_entries = n_bytes = 0
        for path, size, used in self._files():
            is_entry = path.name.endswith(SUFFIX)
            if (is_entry or _is_left_behind(path, used)) and _is_deleted(path):
                n_entries += is_entry
                n_bytes += size
        with self._lock:
            self._n_bytes_known = None
        return n_entries, n_bytes

    def _write_in_quiet(self, key: str, embedding: ImageEmbedding) -> bool:
        while self._n_flushing == 0 and len(self._pending) < MAX_PENDING // 2:
            wait_s = self._quiet_at - time.monotonic()
            if wait_s <= 0:
                break
            self._wake.wait(wait_s)
            self._wake.clear()
        return self.write(key, embedding)

    def _path(self, key: str) -> Path:
        return self.folder / f"{hashlib.sha256(f'{FORMAT} {key}'.encode()).hexdigest()}{SUFFIX}"

    def _read_bytes(self, key: str) -> bytes | None:
        path = self._path(key)
        try:
            packed = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._give_up(error)
            return None
        with suppress(OSError):
            # finer than the clock of the file system
            os.utime(path, ns=(time.time_ns(), time.time_ns()))
        return packed

    def _drop(self, key: str, error: BrokenEntryError) -> None:
        path = self._path(key)
        _LOGGER.info("'%s' is deleted and computed anew: %s", path, error)
        _is_deleted(path)

    def _written(self, path: Path, key: str, embedding: ImageEmbedding) -> bool:
        self.folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            return True
        packed = pack_embedding(key, embedding)
        if len(packed) > self.max_bytes:
            return False
        part = path.with_name(f".{path.name.removesuffix(SUFFIX)}.{os.getpid()}.{secrets.token_hex(4)}{PART_SUFFIX}")
        # room first, so that the bound holds at every moment
        with self._lock:
            self._make_room(len(packed))
            try:
                _write_file(part, packed)
                part.replace(path)
            except FileNotFoundError:
                # swept away by another process in the moment before it was locked, or the folder was deleted
                return False
            except PermissionError:
                # on Windows a file cannot be replaced while another process reads it; it is as good as ours
                if not path.exists():
                    raise
            finally:
                part.unlink(missing_ok=True)
            self._n_bytes_known = (self._n_bytes_known or 0) + len(packed)
            self._n_written += 1
        return True

    def _make_room(self, n_bytes: int) -> None:
        """Delete the least recently used entries until `n_bytes` more find room."""
        if self._n_bytes_known is None or self._n_written >= self._next_look:
            found = self._swept()
            self._n_bytes_known = sum(size for _, size, _ in found)
            # far below the bound, the more files there are, the more rarely they are listed
            is_far = self._n_bytes_known < self.max_bytes / 2
            pause = max(WRITES_BETWEEN_LOOKS, len(found) // 8) if is_far else WRITES_BETWEEN_LOOKS
            self._next_look = self._n_written + pause
        if self._n_bytes_known + n_bytes <= self.max_bytes:
            return
        files = sorted(self._swept(), key=lambda file: file[2])
        known = sum(size for _, size, _ in files)
        wanted = min(self.max_bytes - n_bytes, int(KEPT_SHARE * self.max_bytes))
        for path, size, _ in files:
            if known > wanted and path.name.endswith(SUFFIX) and _is_deleted(path):
                known -= size
        self._n_bytes_known = known

    def _swept(self) -> list[tuple[Path, int, int]]:
        """All files, once those that killed processes have left unfinished are deleted."""
        return [
            (path, size, used)
            for path, size, used in self._files()
            if path.name.endswith(SUFFIX) or not (_is_left_behind(path, used) and _is_deleted(path))
        ]

    def _files(self) -> Iterator[tuple[Path, int, int]]:
        """(path, bytes, time of the last use in ns) of all files of stores, of whatever version, in the folder."""
        try:
            found = [*os.scandir(self.folder)]
        except OSError:
            return
        for entry in found:
            if entry.name.endswith((SUFFIX, PART_SUFFIX)):
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    yield Path(entry.path), status.st_size, status.st_mtime_ns

    def _give_up(self, error: OSError) -> None:
        """Write no more, and say so once."""
        with self._lock:
            is_told = bool(self._problem)
            self._problem = self._problem or (
                f"Image embeddings are kept in memory only from now on: the cache folder '{self.folder}' cannot be "
                f"used ({error.strerror or error}). Free some space there, or choose another folder."
            )
        if not is_told:
            self._on_problem(self._problem)


def _write_file(path: Path, data: bytes) -> None:
    """Write a new file, locked as long as this process lives and writes it."""
    with path.open("xb") as file:
        if sys.platform != "win32":
            import fcntl

            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.write(data)


def _is_left_behind(path: Path, written_ns: int) -> bool:
    """Whether whoever wrote an unfinished file is gone. On Windows no file can be deleted that is being written."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return False
    except OSError:
        return time.time_ns() - written_ns > STALE_PART_S * 1e9
    return True


def _is_deleted(path: Path) -> bool:
    """Delete a file; whether it is gone."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _log_failure(future: Future[bool]) -> None:
    error = future.exception()
    if error is not None:
        _LOGGER.error("an image embedding could not be kept on disk", exc_info=error)
