"""The objects of an annotation as values: their names, their locks, and what they were made from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari_segnext.annotator.coordinates import ShownSlice
    from napari_segnext.annotator.draft import Draft
    from napari_segnext.prompts.packed_mask import PackedMask


@dataclass(frozen=True)
class AcceptedSlice:
    """What an object was accepted from on one slice.

    Attributes
    ----------
    draft
        Prompts, threshold and clean-up.
    mask
        The mask that they gave. Where the labels differ from it, others were there first or somebody painted.
    """

    draft: Draft
    mask: PackedMask


@dataclass(frozen=True)
class ObjectRecord:
    """An object that was accepted, or that the user's labels layer held before.

    Attributes
    ----------
    label
        Its value in the labels layer, at least 1.
    name, class_name
        What the user calls it, and what kind of thing it is; may be empty.
    is_locked
        Whether its pixels are protected.
    slices
        What it was made from, by slice; empty if that is not known.
    """

    label: int
    name: str = ""
    class_name: str = ""
    is_locked: bool = False
    slices: Mapping[ShownSlice, AcceptedSlice] = field(default_factory=dict)

    @property
    def n_prompts(self) -> int:
        """Prompts on all slices."""
        return sum(len(accepted.draft.prompts) for accepted in self.slices.values())

    def accepting(self, shown: ShownSlice, accepted: AcceptedSlice) -> ObjectRecord:
        """The record after the object was accepted on a slice."""
        return replace(self, slices={**self.slices, shown: accepted})


@dataclass(frozen=True)
class ObjectRecords:
    """All records, by label; a value, so that a change can be taken back by going back to an older one.

    Attributes
    ----------
    by_label
        Label → record.
    """

    by_label: Mapping[int, ObjectRecord] = field(default_factory=dict)

    def __iter__(self) -> Iterator[ObjectRecord]:
        return iter(self.by_label[label] for label in sorted(self.by_label))

    def __len__(self) -> int:
        return len(self.by_label)

    def __contains__(self, label: int) -> bool:
        return label in self.by_label

    def get(self, label: int) -> ObjectRecord:
        """The record of a label; a blank one if there is none."""
        return self.by_label.get(label) or ObjectRecord(label)

    @property
    def locked(self) -> frozenset[int]:
        """Labels that are protected."""
        return frozenset(record.label for record in self.by_label.values() if record.is_locked)

    def having(self, record: ObjectRecord) -> ObjectRecords:
        """Records with this one in the place of an older one of its label."""
        return ObjectRecords({**self.by_label, record.label: record})

    def without(self, label: int) -> ObjectRecords:
        """Records but for this label."""
        return ObjectRecords({key: record for key, record in self.by_label.items() if key != label})

    def relabelled(self, old: int, new: int) -> ObjectRecords:
        """Records in which `old` has another label; what `new` was made from is gone if it was there."""
        if old not in self.by_label:
            return self
        return self.without(old).having(replace(self.by_label[old], label=new))
