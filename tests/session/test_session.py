from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_segnext.errors import PromptError, PromptOutsideImageError
from napari_segnext.prompts import Box, Click, MaskPrompt, Prompts, Scribble
from napari_segnext.session import EmbeddingCache, PredictionCancelled, Session
from tests.conftest import FakeModel

A, B, C = Click(2, 2), Click(5, 5), Click(2, 5, is_positive=False)


@pytest.fixture
def session(fake_model, disk_image):
    return Session(fake_model, disk_image, cache=EmbeddingCache())


def test_first_click_gives_a_mask_and_a_probability_of_the_image_shape(session):
    prediction = session.add(A)
    assert prediction.mask.shape == (8, 8)
    assert prediction.mask.dtype == bool
    assert prediction.probability.dtype == np.float32
    assert prediction.mask[2, 2]


def test_second_click_reuses_the_image_embedding(session, fake_model):
    session.add(A)
    session.add(B)
    assert fake_model.n_encoded == 1
    assert fake_model.n_predicted == 2


def test_previous_probability_is_fed_back_unthresholded(session, fake_model):
    first = session.add(A)
    session.add(B)
    assert not fake_model.previous_masks[0].any()
    np.testing.assert_array_equal(fake_model.previous_masks[1], first.probability)


def test_undo_restores_the_previous_prediction_and_redo_brings_it_back(session, fake_model):
    first, second = session.add(A), session.add(B)
    assert session.undo() is first
    assert session.prompts == Prompts((A,))
    assert session.redo() is second
    assert fake_model.n_predicted == 2


def test_undo_and_redo_at_the_ends_do_nothing(session):
    assert session.undo() is None
    assert session.redo() is None
    first = session.add(A)
    assert session.redo() is first
    assert not session.can_redo


def test_new_prompt_after_undo_drops_what_was_undone(session):
    session.add(A)
    session.add(B)
    session.undo()
    session.add(C)
    assert session.prompts == Prompts((A, C))
    assert not session.can_redo


def test_removing_an_earlier_prompt_replays_the_later_ones(session, fake_model, disk_image):
    for prompt in (A, B, C):
        session.add(prompt)
    replayed = session.remove(A)
    fresh = Session(fake_model, disk_image, cache=EmbeddingCache())
    fresh.add(B)
    np.testing.assert_array_equal(replayed.probability, fresh.add(C).probability)


def test_replacing_a_prompt_keeps_the_steps_before_it(session, fake_model):
    for prompt in (A, B, C):
        session.add(prompt)
    session.replace(C, Click(6, 1))
    assert fake_model.n_predicted == 4
    assert session.prompts == Prompts((A, B, Click(6, 1)))


def test_undo_takes_back_a_removal(session):
    session.add(A)
    before = session.add(B)
    session.remove(A)
    assert session.undo() is before


def test_removing_the_only_prompt_leaves_no_prediction(session):
    session.add(A)
    assert session.remove(A) is None
    assert session.prediction is None
    assert len(session.prompts) == 0


def test_removing_a_prompt_that_is_not_there_is_refused(session):
    session.add(A)
    with pytest.raises(PromptError, match="not among the 1 prompts"):
        session.remove(B)


def test_reset_removes_all_prompts_and_can_be_undone(session):
    before = session.add(A)
    session.reset()
    assert session.prediction is None
    assert session.undo() is before


def test_update_predicts_only_what_changed(session, fake_model):
    session.update([A, B])
    session.update([A, B, C])
    assert fake_model.n_predicted == 3
    session.update([A, B, C])
    assert fake_model.n_predicted == 3


def test_update_that_is_no_longer_wanted_changes_nothing(session):
    session.add(A)
    answers = iter([True, False])
    with pytest.raises(PredictionCancelled):
        session.update([A, B, C], is_wanted=lambda: next(answers))
    assert session.prompts == Prompts((A,))


def test_refused_prompt_leaves_the_session_as_it_was(session):
    before = session.add(A)
    with pytest.raises(PromptOutsideImageError, match="rows in 0 to 7"):
        session.add(Click(30, 2))
    assert session.prediction is before


def test_mask_prompt_takes_the_place_of_the_previous_mask(session, fake_model):
    mask = np.zeros((8, 8), bool)
    mask[1:4, 1:4] = True
    session.add(A)
    session.set_mask(mask)
    np.testing.assert_array_equal(fake_model.previous_masks[-1], mask)
    assert session.prompts.last_mask is not None


def test_mask_of_another_shape_is_refused(session):
    with pytest.raises(PromptError, match="expected \\(8, 8\\)"):
        session.set_mask(np.ones((4, 4)))


def test_all_kinds_mix_in_one_session(session):
    for prompt in (Box(0, 0, 7, 7), A, Scribble([(1, 1), (6, 6)]), C, MaskPrompt(np.eye(8))):
        session.add(prompt)
    assert len(session.prompts) == 5


def test_two_sessions_on_one_image_share_the_embedding(fake_model, disk_image):
    cache = EmbeddingCache()
    Session(fake_model, disk_image, cache=cache)
    Session(fake_model, disk_image.copy(), cache=cache)
    assert fake_model.n_encoded == 1


def test_two_models_do_not_share_an_embedding(disk_image):
    cache = EmbeddingCache()
    one, other = FakeModel(sha256="aa"), FakeModel(sha256="bb")
    Session(one, disk_image, cache=cache)
    Session(other, disk_image, cache=cache)
    assert (one.n_encoded, other.n_encoded) == (1, 1)


def test_unsaved_model_never_gets_the_embedding_of_one_that_is_gone(disk_image):
    cache = EmbeddingCache()
    for _ in range(20):
        model = FakeModel()
        Session(model, disk_image, cache=cache)
        assert model.n_encoded == 1
        del model


def test_timeline_is_bounded_in_bytes_and_keeps_the_current_answer(fake_model, monkeypatch):
    monkeypatch.setattr("napari_segnext.session.timeline.MAX_UNDO_BYTES", 4 * 64 * 5)
    session = Session(fake_model, np.zeros((8, 8), np.uint8), cache=EmbeddingCache())
    for number in range(8):
        session.reset()
        session.add(Click(number, number))
    n_undone = 0
    while session.can_undo:
        session.undo()
        n_undone += 1
    assert 2 <= n_undone <= 10
    while session.can_redo:
        session.redo()
    assert session.prompts == Prompts((Click(7, 7),))


def test_cache_drops_the_least_recently_used(fake_model):
    cache = EmbeddingCache(max_entries=2)
    images = [np.full((4, 4), value, np.uint8) for value in (1, 2, 3)]
    for image in (images[0], images[1], images[0], images[2]):
        Session(fake_model, image, cache=cache)
    assert fake_model.n_encoded == 3
    Session(fake_model, images[0], cache=cache)
    assert fake_model.n_encoded == 3
    Session(fake_model, images[1], cache=cache)
    assert fake_model.n_encoded == 4


def test_cache_is_bounded_in_bytes(fake_model):
    cache = EmbeddingCache(max_bytes=500)
    for value in range(5):
        Session(fake_model, np.full((4, 4), value, np.uint8), cache=cache)
    assert cache.n_bytes <= 500
    assert len(cache) == 2


def test_prediction_is_read_only(session):
    prediction = session.add(A)
    with pytest.raises(ValueError, match="read-only"):
        prediction.mask[0, 0] = True


def test_threshold_decides_the_mask(fake_model, disk_image):
    low = Session(fake_model, disk_image, threshold=0.001, cache=EmbeddingCache()).add(A)
    assert low.mask.all()
    with pytest.raises(ValueError, match="between 0 and 1"):
        Session(fake_model, disk_image, threshold=1.5)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(["add", "undo", "redo", "remove", "replace", "reset"]), max_size=20), st.randoms())
def test_any_edits_leave_the_answer_of_a_fresh_session_with_the_same_prompts(edits, random):
    image = np.zeros((8, 8), np.uint8)
    model, cache = FakeModel(), EmbeddingCache()
    session = Session(model, image, cache=cache)

    def any_click():
        return Click(random.randrange(8), random.randrange(8), random.random() < 0.6)

    for edit in edits:
        items = session.prompts.items
        if edit == "add":
            session.add(any_click())
        elif edit == "remove" and items:
            session.remove(random.choice(items))
        elif edit == "replace" and items:
            session.replace(random.choice(items), any_click())
        elif edit in ("undo", "redo", "reset"):
            getattr(session, edit)()
    fresh = Session(model, image, cache=cache).update(session.prompts)
    if fresh is None:
        assert session.prediction is None
    else:
        np.testing.assert_array_equal(session.prediction.probability, fresh.probability)
