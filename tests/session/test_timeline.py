from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_segnext.session import timeline
from napari_segnext.session.timeline import MAX_UNDO_STEPS, Step, Timeline


@dataclass(eq=False)
class Sized:
    n_bytes: int


def step(n_bytes=10):
    return Step(None, Sized(n_bytes))


def sizes(line):
    """Of each edit from the first that can be reached to the last, the sizes of its answers."""
    n_back = 0
    while line.can_undo:
        line.undo()
        n_back += 1
    found = [[one.prediction.n_bytes for one in line.steps]]
    while line.can_redo:
        line.redo()
        found.append([one.prediction.n_bytes for one in line.steps])
    return found


def test_it_begins_without_steps():
    line = Timeline()
    assert (line.steps, line.can_undo, line.can_redo) == ((), False, False)
    line.undo()
    line.redo()
    assert line.steps == ()


def test_edits_are_taken_back_and_done_again():
    line, first, second = Timeline(), (step(),), (step(), step())
    line.remember(first)
    line.remember(second)
    line.undo()
    assert line.steps is first and line.can_undo and line.can_redo
    line.redo()
    assert line.steps is second and not line.can_redo


def test_what_was_undone_is_gone_with_the_next_edit():
    line = Timeline()
    line.remember((step(1),))
    line.undo()
    line.remember((step(2),))
    assert sizes(line) == [[], [2]]


def test_the_oldest_edits_go_first_when_there_are_too_many():
    line = Timeline()
    for number in range(MAX_UNDO_STEPS + 5):
        line.remember((step(number),))
    assert sizes(line) == [[number] for number in range(4, MAX_UNDO_STEPS + 5)]


def test_answers_that_edits_share_count_once(monkeypatch):
    monkeypatch.setattr(timeline, "MAX_UNDO_BYTES", 30)
    line, steps = Timeline(), ()
    for _ in range(8):
        steps = (*steps, step(10))
        line.remember(steps)
    # all answers belong to the current edit, which stays in any case
    assert len(sizes(line)) == 9
    line.remember(())
    assert sizes(line) == [[]]


@pytest.mark.parametrize("limit", [0, 25, 60])
@given(actions=st.lists(st.one_of(st.sampled_from(["undo", "redo"]), st.integers(0, 20), st.just("keep"))))
def test_it_holds_as_many_edits_as_fit(limit, actions):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timeline, "MAX_UNDO_BYTES", limit)
        line = Timeline()
        for action in actions:
            match action:
                case "undo":
                    line.undo()
                case "redo":
                    line.redo()
                case "keep":
                    line.remember(line.steps[:1])
                case n_bytes:
                    line.remember((*line.steps, step(n_bytes)))
        kept = line._edits
        current = {id(one.prediction) for one in kept[-1]}
        others = {id(one.prediction): one.prediction.n_bytes for edit in kept for one in edit}
        assert line._n_bytes == sum(others.values())
        if action_was_an_edit(actions):
            assert len(kept) == 1 or sum(n for key, n in others.items() if key not in current) <= limit


def action_was_an_edit(actions):
    return bool(actions) and actions[-1] not in ("undo", "redo")
