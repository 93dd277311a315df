"""Keeping the work while it is done, and the question whether to go on with earlier work on the same image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QFrame, QGridLayout, QLabel, QPushButton, QWidget

from napari_segnext.annotator import AnnotatorError
from napari_segnext.annotator.annotation import read_annotation, set_aside
from napari_segnext.annotator.autosave import Autosave, autosave_folder, folder_for

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segnext.annotator import Annotator
    from napari_segnext.annotator.annotation import Annotation
    from napari_segnext.annotator.executor import Executor
    from napari_segnext.annotator.preferences import Preferences


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
    """An exception that kept work from being read or saved."""

    def __init__(self, preferences: Preferences, executor: Executor, parent: QWidget) -> None:
        super().__init__(parent)
        self._preferences = preferences
        self._executor = executor
        self._annotator: Annotator | None = None
        self._autosave: Autosave | None = None
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
        try:
            self._found = self._earlier_work()
        except AnnotatorError as error:
            self.failed.emit(error)
            self._move_aside()
        if self._found is None:
            self._keep()
            return
        prompts = self._found.prompts
        unfinished = f", {len(prompts.drafts)} slices with unfinished work" if prompts.drafts else ""
        self._text.setText(
            f"Earlier work on this image was found: {len(prompts.objects)} objects{unfinished}. Go on with it?"
        )
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
        self._annotator = self._autosave = self._found = None

    def resume(self) -> None:
        """Go on with the earlier work."""
        annotator, found = self._annotator, self._found
        if annotator is None or found is None:
            return
        annotator.objects_changed.disconnect(self.start_anew)
        try:
            annotator.restore(found)
        except AnnotatorError as error:
            annotator.objects_changed.connect(self.start_anew)
            self.failed.emit(error)
            return
        self._found = None
        self.setVisible(False)
        self._keep()
        self.told.emit(f"{len(found.prompts.objects)} objects are back. Go on.")

    def start_anew(self) -> None:
        """Move the earlier work aside, and keep what is done from now on."""
        if self._annotator is None or self._found is None:
            return
        self._annotator.objects_changed.disconnect(self.start_anew)
        self._found = None
        self.setVisible(False)
        self._move_aside()
        self._keep()
        if self._autosave is not None:
            # what was done before the answer
            self._autosave.save_soon()

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

    def _image_folder(self) -> Path:
        assert self._annotator is not None
        return folder_for(self._annotator.layers.image, self._preferences.autosave_folder or autosave_folder())

    def _earlier_work(self) -> Annotation | None:
        found = read_annotation(self._image_folder())
        if found is None or found.prompts.objects or found.prompts.drafts:
            return found
        return found if found.labels is not None and found.labels.any() else None

    def _move_aside(self) -> None:
        try:
            aside = set_aside(self._image_folder())
        except OSError as error:
            self.failed.emit(error)
            return
        if aside is not None:
            self.told.emit(f"The earlier work on this image is kept in '{aside}'.")

    def _keep(self) -> None:
        assert self._annotator is not None
        self._autosave = Autosave(self._annotator, self._image_folder(), self._executor)
        self._autosave.failed.connect(self.failed.emit)
        self._timer.start(1000 * self._preferences.autosave_interval_s)

    def _save_if_needed(self) -> None:
        if self._autosave is not None:
            self._autosave.save_if_needed()
