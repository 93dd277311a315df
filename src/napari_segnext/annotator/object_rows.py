"""What a table of objects shows: records, sizes and the draft, put together row by row. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_segnext.annotator.draft import Draft
    from napari_segnext.annotator.object_properties import ObjectProperties
    from napari_segnext.annotator.objects import ObjectRecords


@dataclass(frozen=True)
class ObjectRow:
    """One object.

    Attributes
    ----------
    label
        Its value in the labels layer.
    name, class_name
        As the user gave them.
    size
        Area or volume in words; empty while it is not measured.
    n_prompts
        Prompts that it was made from.
    state
        "draft" while it is being changed, else "locked", "accepted", or "empty" if no pixel holds its label.
    """

    label: int
    name: str
    class_name: str
    size: str
    n_prompts: int
    state: str

    @property
    def cells(self) -> tuple[str | int, ...]:
        """One for each column of the table; the first shows the colour alone."""
        return ("", self.label, self.name, self.class_name, self.size, self.n_prompts, self.state)


def object_rows(
    records: ObjectRecords,
    properties: Mapping[int, ObjectProperties] | None,
    draft: Draft,
    *,
    is_up_to_date: bool = True,
) -> tuple[ObjectRow, ...]:
    """Rows of all objects that are recorded or measured, by label.

    Parameters
    ----------
    records
        What is known of objects.
    properties
        What the labels layer holds; None while it is not measured.
    draft
        Of the slice that is shown.
    is_up_to_date
        Whether it was measured since it changed last; else an object that was not found may be there all the same.
    """
    found = properties or {}
    rows = []
    for label in sorted({*records.by_label, *found}):
        record, measured = records.get(label), found.get(label)
        state = "locked" if record.is_locked else "accepted"
        if draft.label == label:
            state = "draft"
        elif is_up_to_date and properties is not None and measured is None:
            state = "empty"
        size = "" if measured is None else _size_in_words(measured)
        rows.append(ObjectRow(label, record.name, record.class_name, size, record.n_prompts, state))
    return tuple(rows)


def _size_in_words(measured: ObjectProperties) -> str:
    if measured.unit in ("px", "pixel"):
        return f"{measured.n_pixels:,} px"
    return f"{measured.size:.4g} {measured.unit}{'²' if measured.ndim == 2 else '³'}"
