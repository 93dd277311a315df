"""Rows of the table of objects, as values."""

from __future__ import annotations

import numpy as np
import pytest

from napari_segnext.annotator.draft import Draft
from napari_segnext.annotator.object_properties import measure_objects
from napari_segnext.annotator.object_rows import object_rows
from napari_segnext.annotator.objects import ObjectRecord, ObjectRecords


@pytest.fixture
def measured():
    """Of an array with objects 1 and 4."""
    labels = np.zeros((8, 8), np.uint8)
    labels[:2, :2], labels[5:, 5:] = 1, 4
    return {one.label: one for one in measure_objects(labels)}


def test_what_is_recorded_and_what_is_found_has_a_row_each(measured):
    records = ObjectRecords({2: ObjectRecord(2, "gone"), 4: ObjectRecord(4, "here", is_locked=True)})
    rows = object_rows(records, measured, Draft())
    assert [(row.label, row.size, row.state) for row in rows] == [
        (1, "4 px", "accepted"), (2, "", "empty"), (4, "9 px", "locked")
    ]  # fmt: skip


def test_an_object_that_is_not_measured_yet_is_not_called_empty(measured):
    records = ObjectRecords({2: ObjectRecord(2)})
    states = {row.label: row.state for row in object_rows(records, measured, Draft(), is_up_to_date=False)}
    assert states[2] == "accepted"
    assert [row.state for row in object_rows(records, None, Draft())] == ["accepted"]


def test_what_is_being_changed_is_a_draft(measured):
    assert [row.state for row in object_rows(ObjectRecords(), measured, Draft(label=4))] == ["accepted", "draft"]


def test_there_is_a_cell_for_each_column(measured):
    assert object_rows(ObjectRecords(), measured, Draft())[0].cells == ("", 1, "", "", "4 px", 0, "accepted")
