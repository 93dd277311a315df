from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("napari")

from napari_segnext.annotator.coordinates import ShownSlice
from napari_segnext.annotator.draft import Draft
from napari_segnext.annotator.history import MAX_BYTES, MAX_CHANGES, Change, History
from napari_segnext.annotator.label_edits import LabelEdit
from napari_segnext.annotator.prompts_from_layers import LayersReading, PlacedPrompt, PointMark
from napari_segnext.annotator.slice_state import SliceState
from napari_segnext.prompts import Click, MaskPrompt

A, B = Click(1, 1), Click(2, 2)
PLANE = ShownSlice(axes=(0, 1), index=(), shape=(4, 4))


def reading(*clicks: Click) -> LayersReading:
    marks = [PointMark((click.row, click.column), click.is_positive) for click in clicks]
    return LayersReading(tuple(PlacedPrompt(click, mark, i) for i, (click, mark) in enumerate(zip(clicks, marks))))  # noqa: B905


def change(*prompts: Click, text: str = "click", **others) -> Change:
    return Change(text, PLANE, Draft(), Draft(prompts), **others)


def test_back_and_forth_visits_the_same_change():
    one = change(A)
    undone = History().adding(one).undoing()
    assert undone.undone == (one,)
    assert undone.redoing() == History((one,))


def test_a_new_change_ends_what_could_be_repeated():
    history = History().adding(change(A)).undoing()
    assert history.adding(change(B)).undone == ()


def test_history_is_bounded_in_number():
    history = History()
    for i in range(MAX_CHANGES + 5):
        history = history.adding(change(Click(i, 0)))
    assert len(history.done) == MAX_CHANGES >= 100
    assert history.done[-1].after.prompts == (Click(MAX_CHANGES + 4, 0),)


def test_history_is_bounded_in_bytes_but_keeps_the_newest():
    values = np.broadcast_to(np.uint8(1), (MAX_BYTES // 2 + 1,))
    large = LabelEdit((0,), values.shape, np.zeros(0, np.uint8), values, np.uint8(2))
    history = History()
    for i in range(3):
        history = history.adding(change(Click(i, 0), labels=(large,)))
    assert [one.after.prompts for one in history.done] == [(Click(2, 0),)]


def test_pulling_a_slider_is_one_change():
    history = History().adding(change(A))
    for threshold in (0.6, 0.7, 0.8):
        after = replace(Draft((A,)), threshold=threshold)
        history = history.adding(Change("threshold", PLANE, history.done[-1].after, after, is_merged=True))
    assert len(history.done) == 2
    assert (history.done[-1].before.threshold, history.done[-1].after.threshold) == (0.5, 0.8)


def test_layers_are_read_in_the_order_of_giving():
    state = SliceState(Draft((A, B)))
    assert state.take_in(reading(B, A)) == Draft((A, B))


def test_masks_stay_though_no_layer_shows_them():
    mask = MaskPrompt(np.eye(4))
    state = SliceState(Draft((A, mask)))
    assert state.take_in(reading(A, B)).prompts == (A, mask, B)


def test_marks_are_bounded_and_needed_ones_stay(monkeypatch):
    monkeypatch.setattr("napari_segnext.annotator.slice_state.MAX_MARKS", 10)
    state = SliceState()
    for i in range(11):
        state.draft = state.take_in(reading(Click(i, 0)))
    assert state.has_many_marks
    state.forget_marks([Click(7, 0), Click(8, 0)])
    assert set(state.marks) == {Click(7, 0), Click(8, 0), Click(10, 0)}


def test_prompts_of_a_slice_are_those_that_some_change_can_bring_back():
    other = ShownSlice(axes=(0, 1), index=(1,), shape=(4, 4))
    history = History().adding(change(A)).adding(change(A, B)).undoing()
    history = History(history.done, (*history.undone, replace(change(Click(9, 9)), shown=other)))
    assert history.prompts_on(PLANE) == {A, B}


def test_a_change_that_grew_takes_the_place_of_what_stood_for_it():
    one, grown = change(A), change(A, text="propagate object 1")
    history = History().adding(change(B)).adding(one).adding(change(B)).undoing()
    assert [item.text for item in history.exchanging(one, grown).done] == ["click", "propagate object 1"]
    assert history.undoing().exchanging(one, grown).undone[-1] is grown
    assert len(history.exchanging(one, None).done) == 1
    assert history.exchanging(grown, None) == history
