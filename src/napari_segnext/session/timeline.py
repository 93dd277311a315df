"""What was done in a session, in order, so that it can be taken back and done again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_segnext.prompts import Prompt
    from napari_segnext.session.prediction import Prediction

MAX_UNDO_STEPS = 100
MAX_UNDO_BYTES = 256_000_000
"""Of the probabilities that the timeline of one session keeps; the oldest edits go first, the current one stays."""


@dataclass(frozen=True)
class Step:
    """One prompt and the answer after it.

    Attributes
    ----------
    prompt
        What was added.
    prediction
        The answer to it and to all prompts before it.
    """

    prompt: Prompt
    prediction: Prediction


class Timeline:
    """The steps after each edit, and which edit is the current one. It begins without steps."""

    def __init__(self) -> None:
        self._edits: list[tuple[Step, ...]] = [()]
        self._now = 0
        # of each answer, by its id, how many edits hold it; and the size of all together
        self._n_holders: Counter[int] = Counter()
        self._n_bytes = 0

    @property
    def steps(self) -> tuple[Step, ...]:
        """The current steps, oldest first."""
        return self._edits[self._now]

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to take back."""
        return self._now > 0

    @property
    def can_redo(self) -> bool:
        """Whether there is an edit to repeat."""
        return self._now < len(self._edits) - 1

    def undo(self) -> None:
        """Go one edit back; does nothing if there is none."""
        self._now = max(0, self._now - 1)

    def redo(self) -> None:
        """Go one edit ahead; does nothing if there is none."""
        self._now = min(len(self._edits) - 1, self._now + 1)

    def remember(self, steps: tuple[Step, ...]) -> None:
        """Make these the current steps, dropping what was undone and what is too old."""
        for undone in self._edits[self._now + 1 :]:
            self._let_go(undone)
        edits = [*self._edits[: self._now + 1], steps]
        self._take(steps)
        n_current = sum(prediction.n_bytes for prediction in _answers(steps).values())
        while len(edits) > 1 and (len(edits) > MAX_UNDO_STEPS + 1 or self._n_bytes - n_current > MAX_UNDO_BYTES):
            self._let_go(edits.pop(0))
        self._edits = edits
        self._now = len(edits) - 1

    def _take(self, steps: tuple[Step, ...]) -> None:
        for key, prediction in _answers(steps).items():
            if self._n_holders[key] == 0:
                self._n_bytes += prediction.n_bytes
            self._n_holders[key] += 1

    def _let_go(self, steps: tuple[Step, ...]) -> None:
        for key, prediction in _answers(steps).items():
            self._n_holders[key] -= 1
            if self._n_holders[key] == 0:
                del self._n_holders[key]
                self._n_bytes -= prediction.n_bytes


def _answers(steps: tuple[Step, ...]) -> dict[int, Prediction]:
    """The answers of some steps, each once."""
    return {id(step.prediction): step.prediction for step in steps}
