"""Keeping the work while it is done, and the question whether to go on with earlier work on the same image."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QFrame, QGridLayout, QLabel, QPushButton, QWidget

from napari_segnext.annotator import AnnotatorError
from napari_segnext.annotator.annotation import read_annotation, set_aside
from napari_segnext.annotator.autosave import Autosave, autosave_folder, folder_for
from napari_segnext.widgets.messages import words_for

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segnext.annotator import Annotator
    from napari_segnext.annotator.annotation import Annotation
    from napari_segnext.annotator.executor import Executor
    from napari_segnext.annotator.preferences import Preferences

_LOGGER = logging.getLogger(__name__)


class ResumeBar(QFrame):  # type: ignore[misc]
    """Saves an annotation; seen only while earlier work on its image waits for an answer.

    Earlier work is never overwritten: until the user has answered, nothing is saved; whoever goes on without an answer
    has it moved aside.

    Parameters
    ----------
    preferences
        Whether, where and how often to save.
    executor
        Where files are written.
    parent
        The widget that it lies in.
    """

    told = Signal(str)
    """A sentence about what became of the work."""
    failed = Signal(object)
    """An exception that kept work from being saved; it is tried again."""

    def __init__(self, preferences: Preferences, executor: Executor, parent: QWidget) -> None:
        super().__init__(parent)
        self._preferences = preferences
        self._executor = executor
        self._annotator: Annotator | None = None
        self._folder: Path | None = None
        self._autosave: Autosave | None = None
        self._last_autosave: Autosave | None = None
        self._found: Annotation | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._save_if_needed)
        self._build()

    @property
    def folder(self) -> Path | None:
        """Where the work is kept; None while it is not."""
        return self._autosave.folder if self._autosave is not None else None

    def watch(self, annotator: Annotator) -> None:
        """Look for earlier work on the annotator's image, and keep what is done from now on."""
        self.leave()
        if not self._preferences.is_autosave_on:
            return
        self._annotator = annotator
        root = self._preferences.autosave_folder or autosave_folder()
        self._folder = folder = folder_for(annotator.layers.image, root)
        if self._last_autosave is not None and self._last_autosave.folder == folder:
            # whoever ends and starts at once would find what was saved before the last save
            self._last_autosave.wait()
        try:
            self._found = _earlier_work(folder)
        except AnnotatorError:
            _LOGGER.exception("earlier work cannot be read")
            if self._move_aside(folder, "⚠ Earlier work on this image cannot be read; it"):
                self._keep(annotator, folder)
            return
        if self._found is None:
            self._keep(annotator, folder)
            return
        self._text.setText(f"Earlier work on this image was found: {_in_words(self._found)}. Go on with it?")
        self.setVisible(True)
        annotator.objects_changed.connect(self.start_anew)

    def leave(self) -> None:
        """Save what is new, and nothing more after that."""
        if self._found is not None and self._annotator is not None:
            self._annotator.objects_changed.disconnect(self.start_anew)
        self._timer.stop()
        self.setVisible(False)
        if self._autosave is not None:
            self._autosave.close()
            self._last_autosave = self._autosave
        self._annotator = self._folder = self._autosave = self._found = None

    def resume(self) -> None:
        """Go on with the earlier work."""
        annotator, folder, found = self._annotator, self._folder, self._found
        if annotator is None or folder is None or found is None:
            return
        annotator.objects_changed.disconnect(self.start_anew)
        try:
            annotator.restore(found)
        except ValueError as error:
            annotator.objects_changed.connect(self.start_anew)
            self.told.emit(f"⚠ {words_for(error)}")
            return
        self._found = None
        self.setVisible(False)
        self._keep(annotator, folder)
        self.told.emit(f"Back again: {_in_words(found)}.")

    def start_anew(self) -> None:
        """Move the earlier work aside, and keep what is done from now on."""
        annotator, folder = self._annotator, self._folder
        if annotator is None or folder is None or self._found is None:
            return
        annotator.objects_changed.disconnect(self.start_anew)
        self._found = None
        self.setVisible(False)
        if self._move_aside(folder, "The earlier work on this image"):
            # what was done before the answer is saved as well
            self._keep(annotator, folder).save_soon()

    def _build(self) -> None:
        self._text = QLabel()
        self._text.setWordWrap(True)
        self.resume_button = QPushButton("Go on with it")
        self.resume_button.setToolTip("Bring back objects, names, prompts and unfinished work.")
        self.resume_button.clicked.connect(self.resume)
        self.anew_button = QPushButton("Start anew")
        self.anew_button.setToolTip("Begin with nothing; the earlier work is moved aside, not deleted.")
        self.anew_button.clicked.connect(self.start_anew)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        grid = QGridLayout(self)
        grid.addWidget(self._text, 0, 0, 1, 2)
        grid.addWidget(self.resume_button, 1, 0)
        grid.addWidget(self.anew_button, 1, 1)
        self.setVisible(False)

    def _move_aside(self, folder: Path, what: str) -> bool:
        """Whether the earlier work is out of the way; else nothing may be saved in its place."""
        try:
            aside = set_aside(folder)
        except OSError as error:
            self.told.emit(
                f"⚠ {what} cannot be moved out of '{folder}' ({error.strerror or error}), so what you do now is "
                "not saved. Move that folder yourself, then end and start."
            )
            return False
        if aside is not None:
            self.told.emit(f"{what} is kept in '{aside}'.")
        return True

    def _keep(self, annotator: Annotator, folder: Path) -> Autosave:
        autosave = Autosave(annotator, folder, self._executor)
        autosave.failed.connect(self.failed.emit)
        self._autosave = autosave
        self._timer.start(1000 * self._preferences.autosave_interval_s)
        return autosave

    def _save_if_needed(self) -> None:
        if self._autosave is not None:
            self._autosave.save_if_needed()


def _earlier_work(folder: Path) -> Annotation | None:
    found = read_annotation(folder)
    if found is None or found.prompts.objects or found.prompts.drafts:
        return found
    return found if found.labels is not None and found.labels.any() else None


def _in_words(found: Annotation) -> str:
    """How much there is."""
    n_objects, n_drafts = len(found.prompts.objects), len(found.prompts.drafts)
    objects = "1 object" if n_objects == 1 else f"{n_objects} objects"
    drafts = "1 slice" if n_drafts == 1 else f"{n_drafts} slices"
    return f"{objects}, {drafts} with unfinished work" if n_drafts else objects
