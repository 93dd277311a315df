"""Changes of accepted objects as a whole, planned as values from labels and records."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.annotator.errors import LockedLabelError, NoSuchObjectError
from napari_segnext.annotator.label_edits import blocks_of, plan_relabel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_segnext.annotator.label_edits import LabelEdit
    from napari_segnext.annotator.objects import ObjectRecord, ObjectRecords


@dataclass(frozen=True, eq=False)
class ObjectEdit:
    """A change of whole objects.

    Attributes
    ----------
    text
        What it is, in words.
    labels
        What is written into the labels array.
    records
        Records after it.
    removed
        Labels that are no objects any more after it.
    """

    text: str
    labels: tuple[LabelEdit, ...]
    records: ObjectRecords
    removed: frozenset[int] = frozenset()


def plan_delete(labels: Any, records: ObjectRecords, doomed: Sequence[int]) -> ObjectEdit:
    """Free all pixels of some objects.

    Raises
    ------
    LockedLabelError
        If one of them is locked.
    NoSuchObjectError
        If no object is named, or none of them is in the labels or records.
    """
    _require_unlocked(records, doomed)
    edits = plan_relabel(labels, dict.fromkeys(doomed, 0))
    after = records
    for label in doomed:
        after = after.without(label)
    if not edits and len(after) == len(records):
        raise NoSuchObjectError(f"there is no object {_listed(doomed)} to delete; pick one that is in the labels.")
    return ObjectEdit(f"delete object {_listed(doomed)}", edits, after, frozenset(doomed))


def plan_merge(labels: Any, records: ObjectRecords, merged: Sequence[int]) -> ObjectEdit:
    """Make several objects one, under the label of the first.

    On slices that only one of them has prompts on, these are kept with the object. Where several have, those of the
    first are: what came from the others then counts as painted by hand.

    Raises
    ------
    LockedLabelError
        If one of them is locked.
    NoSuchObjectError
        If fewer than two are named, or none of the others has a pixel.
    """
    if len(set(merged)) < 2:
        raise NoSuchObjectError("one object cannot be merged; pick two or more.")
    first, *others = dict.fromkeys(merged)
    _require_unlocked(records, merged)
    edits = plan_relabel(labels, dict.fromkeys(others, first))
    if not edits:
        raise NoSuchObjectError(f"there is no object {_listed(others)} to merge; pick some that are in the labels.")
    record = records.get(first)
    after = records
    for label in others:
        record = replace(record, slices={**records.get(label).slices, **record.slices})
        after = after.without(label)
    return ObjectEdit(f"merge objects {_listed(merged)}", edits, after.having(record), frozenset(others))


def plan_new_label(labels: Any, records: ObjectRecords, old: int, new: int) -> ObjectEdit:
    """Give an object another label that is not in use.

    Raises
    ------
    LockedLabelError
        If the object is locked.
    NoSuchObjectError
        If there is no object `old`, if `new` is in use or out of the range of the array's type.
    """
    _require_unlocked(records, [old])
    limit = int(np.iinfo(labels.dtype).max)
    if not 0 < new <= limit:
        raise NoSuchObjectError(f"the new label is {new}; expected 1 to {limit}, what the labels layer can hold.")
    if new in records or has_label(labels, new):
        raise NoSuchObjectError(f"label {new} is in use; pick a free one, or merge the two objects.")
    edits = plan_relabel(labels, {old: new})
    if not edits:
        raise NoSuchObjectError(f"there is no object {old}; pick one that is in the labels.")
    return ObjectEdit(f"relabel object {old} as {new}", edits, records.relabelled(old, new), frozenset([old]))


def plan_records(records: ObjectRecords, changed: Sequence[ObjectRecord], verb: str) -> ObjectEdit:
    """Change what is noted about objects; no pixel is touched."""
    after = records
    for record in changed:
        after = after.having(record)
    return ObjectEdit(f"{verb} object {_listed([record.label for record in changed])}", (), after)


def has_label(labels: Any, label: int) -> bool:
    """Whether a labels array holds a label anywhere; lazy ones are read block by block."""
    return any(bool((np.asarray(labels[block]) == label).any()) for block in blocks_of(labels))


def first_place_of(labels: Any, label: int) -> tuple[int, ...] | None:
    """Index of a pixel of an object near its middle on the first plane that has it; None if there is none."""
    for block in blocks_of(labels):
        holds = np.asarray(labels[block]) == label
        if not holds.any():
            continue
        # the first plane along the leading axes, and there the pixel nearest to the middle of all
        places = np.argwhere(holds)
        n_leading = max(0, holds.ndim - 2)
        places = places[(places[:, :n_leading] == places[0, :n_leading]).all(axis=1)]
        middle = places[np.argmin(((places - places.mean(axis=0)) ** 2).sum(axis=1))]
        return tuple(int(start.start + i) for start, i in zip(block, middle, strict=True))
    return None


def _require_unlocked(records: ObjectRecords, labels: Sequence[int]) -> None:
    locked = [label for label in labels if label in records.locked]
    if locked:
        raise LockedLabelError(f"object {_listed(locked)} is locked; unlock it first.")
    if not labels:
        raise NoSuchObjectError("no object is picked; pick one in the table.")


def _listed(labels: Sequence[int]) -> str:
    return ", ".join(str(label) for label in labels)
