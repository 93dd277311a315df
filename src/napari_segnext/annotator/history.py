"""What the user did on one slice, to be taken back and repeated. Values; nothing here touches a layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_segnext.annotator.label_edits import LabelEdit
    from napari_segnext.prompts import Prompt

MAX_EDITS = 100


@dataclass(frozen=True)
class Edit:
    """One change of the prompts of a slice, with the labels that were written by it.

    Attributes
    ----------
    before, after
        All prompts before and after it.
    labels
        What accepting wrote; None if nothing was accepted.
    """

    before: tuple[Prompt, ...]
    after: tuple[Prompt, ...]
    labels: LabelEdit | None = None


@dataclass(frozen=True)
class History:
    """Edits that can be taken back, newest last, and edits that can be repeated, next one last.

    Attributes
    ----------
    done, undone
        At most 100 edits each.
    """

    done: tuple[Edit, ...] = ()
    undone: tuple[Edit, ...] = ()

    def adding(self, edit: Edit) -> History:
        """History with one more edit; what was taken back before can no longer be repeated."""
        return History((*self.done, edit)[-MAX_EDITS:])

    def undoing(self) -> tuple[Edit | None, History]:
        """The edit to take back, None if there is none, and the history after that."""
        if not self.done:
            return None, self
        return self.done[-1], History(self.done[:-1], (*self.undone, self.done[-1]))

    def redoing(self) -> tuple[Edit | None, History]:
        """The edit to repeat, None if there is none, and the history after that."""
        if not self.undone:
            return None, self
        return self.undone[-1], History((*self.done, self.undone[-1]), self.undone[:-1])
