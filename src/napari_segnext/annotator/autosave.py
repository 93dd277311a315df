"""Saving in the background: after each accept, and while there is something new, once in a while.

The annotation of an image is kept in a folder of its own, found again by the image's name, shape and some pixels.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from platformdirs import user_data_path
from psygnal import Signal

from napari_segnext.annotator.annotation import write_annotation
from napari_segnext.annotator.coordinates import finest_level
from napari_segnext.weights.folder import HOME_VARIABLE

if TYPE_CHECKING:
    from napari_segnext.annotator.annotation import Annotation
    from napari_segnext.annotator.annotator import Annotator
    from napari_segnext.annotator.executor import Executor

SAMPLED_PIXELS = 65_536
"""Of the image, that tell it from another one of the same name and shape."""

SPOT_PX = 64
"""Side of each of the nine spots that are read of an array that is not in memory."""


def autosave_folder() -> Path:
    """Where annotations are kept if the preferences name no folder.

    `$NAPARI_SEGNEXT_HOME/autosave` where that variable is set, else `napari-segnext/autosave` in the user's data
    folder.
    """
    home = os.environ.get(HOME_VARIABLE, "")
    if home:
        return Path(home).expanduser() / "autosave"
    return user_data_path("napari-segnext", appauthor=False) / "autosave"


def folder_for(image_layer: Any, root: Path) -> Path:
    """The folder of one image's annotation below `root`, the same in every session; nothing is made.

    Some pixels of one plane are read: of an array in memory all over it, of any other one at nine spots, so that few of
    its chunks are.
    """
    array = finest_level(image_layer)
    shape = tuple(int(n) for n in array.shape)
    digest = hashlib.sha256(f"{shape} {array.dtype}".encode())
    n_planes = max(0, image_layer.ndim - 2)
    place = tuple(n // 2 for n in shape[:n_planes])
    for rows, columns in _sampled(shape[n_planes : n_planes + 2], is_in_memory=type(array) is np.ndarray):
        digest.update(np.ascontiguousarray(np.asarray(array[(*place, rows, columns)])).tobytes())
    name = re.sub(r"[^\w-]+", "_", str(image_layer.name))[:40].strip("_") or "image"
    return root / f"{name}-{digest.hexdigest()[:16]}"


def _sampled(shape: tuple[int, ...], *, is_in_memory: bool) -> list[tuple[slice, slice]]:
    """Which pixels of a plane are looked at."""
    if is_in_memory:
        step = max(1, int(np.ceil(np.sqrt(np.prod(shape) / SAMPLED_PIXELS))))
        return [(slice(None, None, step), slice(None, None, step))]
    rows, columns = ([slice(start, start + SPOT_PX) for start in (0, n // 2, max(0, n - SPOT_PX))] for n in shape)
    return list(product(rows, columns))


class Autosave:
    """Keeps the annotation of an annotator on disk. All methods belong to the viewer's thread.

    Parameters
    ----------
    annotator
        Whose work is saved: accepts and changes of objects at once, other work when `save_if_needed` is called.
    folder
        Where to; see `folder_for`.
    executor
        Where files are written.
    """

    saved = Signal(object)
    """The folder in which everything is now."""
    failed = Signal(object)
    """The exception that kept it from being saved; it is tried again the next time."""

    def __init__(self, annotator: Annotator, folder: Path, executor: Executor) -> None:
        self._annotator = annotator
        self._folder = folder
        self._executor = executor
        self._is_needed = False
        self._is_due = False
        self._is_writing = False
        self._is_closed = False
        self._has_new_labels = True
        self._lock = threading.Lock()
        self._n_submitted = self._n_written = 0
        self._is_written = threading.Event()
        self._is_written.set()
        annotator.edited.connect(self._note)
        annotator.objects_changed.connect(self.save_soon)
        annotator.review.changed.connect(self._note_labels)

    @property
    def folder(self) -> Path:
        """Where everything is kept."""
        return self._folder

    @property
    def is_needed(self) -> bool:
        """Whether there is something that was not saved yet."""
        return self._is_needed

    def save_if_needed(self) -> None:
        """Save what is new, if anything is; to be called once in a while."""
        if self._is_needed and not self._is_closed:
            self._save()

    def close(self) -> None:
        """Save what is new, if need be once what is being written is written, and nothing more after that."""
        if self._is_needed:
            # what is being written now may fail, or come later, so the last save holds everything
            self._has_new_labels |= self._is_writing
            self._submit()
        self._is_closed = True
        self._annotator.edited.disconnect(self._note)
        self._annotator.objects_changed.disconnect(self.save_soon)
        self._annotator.review.changed.disconnect(self._note_labels)

    def wait(self) -> None:
        """Wait until what was to be saved is written, or could not be."""
        self._is_written.wait()
        with self._lock:
            pass

    def _note(self) -> None:
        self._is_needed = True

    def _note_labels(self) -> None:
        """Slices were propagated: they are saved once in a while, with the labels, and when the run is over."""
        self._is_needed = self._has_new_labels = True

    def save_soon(self) -> None:
        """There is something new, labels perhaps: save it once what is going on has come to its end."""
        self._is_needed = self._has_new_labels = True
        # a stroke or a merge tells of many changes; one save follows them
        if not self._is_due:
            self._is_due = True
            self._executor.defer(self._save_if_due)

    def _save_if_due(self) -> None:
        if self._is_due and not self._is_closed:
            self._save()

    def _save(self) -> None:
        self._is_due = False
        if self._is_writing:
            # the next one follows when this one is done
            return
        self._submit()

    def _submit(self) -> None:
        annotation = self._annotator.snapshot(with_labels=self._has_new_labels)
        self._is_writing, self._is_needed, self._has_new_labels = True, False, False
        self._n_submitted += 1
        number, is_written = self._n_submitted, threading.Event()
        self._is_written = is_written
        self._executor.submit(lambda: self._write(number, annotation, is_written), self._on_saved, self._on_failed)

    def _write(self, number: int, annotation: Annotation, is_written: threading.Event) -> None:
        try:
            # the last save may be asked for while another one is under way, and threads need not keep their order
            with self._lock:
                if number > self._n_written:
                    write_annotation(self._folder, annotation)
                    self._n_written = number
        finally:
            is_written.set()

    def _on_saved(self, _: Any) -> None:
        self._is_writing = False
        self.saved.emit(self._folder)
        if self._has_new_labels:
            self.save_if_needed()

    def _on_failed(self, error: Exception) -> None:
        self._is_writing = False
        self._is_needed = self._has_new_labels = True
        self.failed.emit(error)
