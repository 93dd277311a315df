from __future__ import annotations

import pytest

pytest.importorskip("napari")

from napari_segnext.annotator.history import MAX_EDITS, Edit, History
from napari_segnext.annotator.prompts_from_layers import LayersReading, PlacedPrompt, PointMark
from napari_segnext.annotator.slice_state import SliceState
from napari_segnext.prompts import Click

A, B = Click(1, 1), Click(2, 2)


def reading(*clicks: Click) -> LayersReading:
    marks = [PointMark((click.row, click.column), click.is_positive) for click in clicks]
    return LayersReading(tuple(PlacedPrompt(click, mark, i) for i, (click, mark) in enumerate(zip(clicks, marks))))  # noqa: B905


def test_back_and_forth_visits_the_same_edit():
    edit = Edit((), (A,))
    undone, history = History().adding(edit).undoing()
    redone, history = history.redoing()
    assert undone is redone is edit
    assert history == History((edit,))


def test_nothing_to_take_back_changes_nothing():
    assert History().undoing() == (None, History())
    assert History().redoing() == (None, History())


def test_a_new_edit_ends_what_could_be_repeated():
    _, history = History().adding(Edit((), (A,))).undoing()
    assert history.adding(Edit((), (B,))).undone == ()


def test_history_is_bounded():
    history = History()
    for i in range(MAX_EDITS + 5):
        history = history.adding(Edit((), (Click(i, 0),)))
    assert len(history.done) == MAX_EDITS
    assert history.done[-1].after == (Click(MAX_EDITS + 4, 0),)


def test_what_was_there_at_first_cannot_be_taken_back():
    state = SliceState()
    state.take_in(reading(A), is_first=True)
    assert state.prompts == (A,)
    assert state.go_back() is None


def test_changes_can_be_taken_back_and_repeated():
    state = SliceState()
    state.take_in(reading(A), is_first=True)
    state.take_in(reading(A, B), is_first=False)
    state.go_back()
    assert state.prompts == (A,)
    state.go_ahead()
    assert state.prompts == (A, B)


def test_reading_the_same_is_no_edit():
    state = SliceState()
    state.take_in(reading(A, B), is_first=True)
    state.take_in(reading(B, A), is_first=False)
    assert state.history == History()
    assert state.prompts == (A, B)


def test_marks_are_bounded_and_those_of_the_history_stay(monkeypatch):
    monkeypatch.setattr("napari_segnext.annotator.slice_state.MAX_MARKS", 10)
    state = SliceState()
    for i in range(10):
        state.take_in(reading(Click(i, 0)), is_first=i == 0)
    state.history = History(state.history.done[-2:])
    state.take_in(reading(A), is_first=False)
    assert set(state.marks) == {Click(7, 0), Click(8, 0), Click(9, 0), A}
