"""What the user did, to be taken back and repeated. Values; nothing here touches a layer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_segnext.annotator.coordinates import ShownSlice
    from napari_segnext.annotator.draft import Draft
    from napari_segnext.annotator.label_edits import LabelEdit
    from napari_segnext.annotator.objects import ObjectRecords
    from napari_segnext.annotator.review import ReviewEdit
    from napari_segnext.prompts import Prompt

MAX_CHANGES = 200
MAX_BYTES = 256_000_000
"""Of the pixels that the history keeps; the oldest changes go first, the newest one stays."""

NOTE_BYTES = 500
"""About what the note of one propagated slice takes."""


@dataclass(frozen=True, eq=False)
class Change:
    """One thing the user did.

    Attributes
    ----------
    text
        What it was, in words, such as "accept object 3".
    shown
        The slice on which it was done.
    before, after
        The draft of that slice.
    labels
        What was written into the labels layer.
    objects
        Records before and after it; None if they stayed as they were.
    review
        What is noted of propagated slices before and after it.
    is_merged
        Whether it makes one change with the last one, if that was of the same kind on the same slice: a slider is
        pulled in many steps, and taken back in one.
    """

    text: str
    shown: ShownSlice
    before: Draft
    after: Draft
    labels: tuple[LabelEdit, ...] = ()
    objects: tuple[ObjectRecords, ObjectRecords] | None = None
    is_merged: bool = False
    review: ReviewEdit = field(default_factory=dict)

    @property
    def n_bytes(self) -> int:
        """Size of the pixels it keeps."""
        return sum(edit.n_bytes for edit in self.labels) + NOTE_BYTES * len(self.review)


@dataclass(frozen=True)
class History:
    """Changes that can be taken back, newest last, and changes that can be repeated, next one last.

    Attributes
    ----------
    done, undone
        At most 200 changes and 256 MB each.
    """

    done: tuple[Change, ...] = ()
    undone: tuple[Change, ...] = ()

    def adding(self, change: Change) -> History:
        """History with one more change; what was taken back before can no longer be repeated."""
        if change.is_merged and self.done and _are_alike(self.done[-1], change):
            return History((*self.done[:-1], replace(self.done[-1], after=change.after)))
        done = (*self.done, change)[-MAX_CHANGES:]
        n_bytes = sum(one.n_bytes for one in done)
        while len(done) > 1 and n_bytes > MAX_BYTES:
            n_bytes -= done[0].n_bytes
            done = done[1:]
        return History(done)

    def exchanging(self, change: Change, other: Change | None) -> History:
        """History with another change in the place of one, wherever it is; with none, it is taken out."""

        def exchanged(changes: tuple[Change, ...]) -> tuple[Change, ...]:
            one_by_one = (other if one is change else one for one in changes)
            return tuple(one for one in one_by_one if one is not None)

        return replace(self, done=exchanged(self.done), undone=exchanged(self.undone))

    def prompts_on(self, shown: ShownSlice) -> set[Prompt]:
        """All prompts that some change of a slice can bring back."""
        changes = [change for change in (*self.done, *self.undone) if change.shown == shown]
        return {prompt for change in changes for prompt in change.before.prompts + change.after.prompts}

    def undoing(self) -> History:
        """History after the newest change was taken back."""
        return History(self.done[:-1], (*self.undone, self.done[-1]))

    def redoing(self) -> History:
        """History after the change that was taken back last was repeated."""
        return History((*self.done, self.undone[-1]), self.undone[:-1])


def _are_alike(one: Change, other: Change) -> bool:
    return one.is_merged and (one.text, one.shown) == (other.text, other.shown)
