"""What an annotator remembers about one slice: its prompts in order, their marks, its history, its last answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_segnext.annotator.history import Edit, History
from napari_segnext.annotator.prompts_from_layers import in_given_order

if TYPE_CHECKING:
    from napari_segnext._types import Mask
    from napari_segnext.annotator.answers import Answer
    from napari_segnext.annotator.label_edits import LabelEdit
    from napari_segnext.annotator.prompts_from_layers import LayersReading, Mark
    from napari_segnext.prompts import Prompt

MAX_MARKS = 1000


@dataclass
class SliceState:
    """The live work on one slice.

    Attributes
    ----------
    prompts
        All prompts, in the order in which the user gave them.
    marks
        What prompts looked like in the layers, also those that were taken back.
    history
        Edits of this slice.
    answer
        The newest answer that was shown.
    """

    prompts: tuple[Prompt, ...] = ()
    marks: dict[Prompt, Mark] = field(default_factory=dict)
    history: History = field(default_factory=History)
    answer: Answer | None = None

    @property
    def is_answered(self) -> bool:
        """Whether the last answer is the one to the present prompts."""
        return self.answer is not None and self.answer.request.prompts == self.prompts

    @property
    def mask(self) -> Mask | None:
        """`(rows, columns)` bool answer to the present prompts; None if there are none, or no answer yet."""
        return self.answer.mask if self.answer is not None and self.is_answered else None

    def take_in(self, reading: LayersReading, *, is_first: bool) -> None:
        """Follow what the layers show.

        What is there at the first reading was not done here, so it cannot be taken back.
        """
        self._remember_marks(reading)
        prompts = in_given_order(self.prompts, reading.prompts)
        if is_first:
            self.prompts = prompts
        elif prompts != self.prompts:
            self.change(prompts)

    def change(self, prompts: tuple[Prompt, ...], labels: LabelEdit | None = None) -> None:
        """Make the prompts these, as an edit that can be taken back."""
        self.history = self.history.adding(Edit(self.prompts, prompts, labels))
        self.prompts = prompts

    def go_back(self) -> Edit | None:
        """Take back the last edit of the prompts and return it; None if there is none."""
        edit, self.history = self.history.undoing()
        if edit is not None:
            self.prompts = edit.before
        return edit

    def go_ahead(self) -> Edit | None:
        """Repeat the edit that was taken back last and return it; None if there is none."""
        edit, self.history = self.history.redoing()
        if edit is not None:
            self.prompts = edit.after
        return edit

    def _remember_marks(self, reading: LayersReading) -> None:
        self.marks.update((placed.prompt, placed.mark) for placed in reading.placed)
        if len(self.marks) > MAX_MARKS:
            edits = (*self.history.done, *self.history.undone)
            needed = set(self.prompts).union(reading.prompts, *(edit.before + edit.after for edit in edits))
            self.marks = {prompt: mark for prompt, mark in self.marks.items() if prompt in needed}
