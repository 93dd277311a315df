"""A fake graphics card whose memory is full; its tensors lie in the machine's, so that no card is needed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_segnext.models.interface import InteractiveModel
from napari_segnext.prompts import Click
from napari_segnext.session import Session
from napari_segnext.session.cpu_fallback import FELL_BACK, CpuFallback, load_with_fallback
from tests.conftest import FakeModel


class ModelOnCard(FakeModel):
    """Has room on the card for so many sets of prompts at once, and for encoding only once the card is cleared."""

    def __init__(self, room: int = 1, *, n_failures: int = 0):
        super().__init__()
        self.place = "card"
        self.room, self.n_failures = room, n_failures
        self.batches: list[tuple[str, int]] = []

    def to(self, device):
        assert device == "cpu"
        self.place = "processor"
        return self

    def encode_image(self, image):
        if self.place == "card" and self.n_failures > 0:
            self.n_failures -= 1
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super().encode_image(image)

    def predict_logits(self, embedding, clicks, previous_masks):
        self.batches.append((self.place, len(clicks)))
        if self.place == "card" and len(clicks) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super().predict_logits(embedding, clicks, previous_masks)


@pytest.fixture(autouse=True)
def place_of_fakes(monkeypatch):
    monkeypatch.setattr(
        "napari_segnext.session.cpu_fallback._is_on_processor",
        lambda model: getattr(model, "place", "processor") == "processor",
    )


def prompts(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One positive click in each of `n` sets, on 8 × 8 pixels."""
    return torch.tensor([[[3.0, i, 1.0]] for i in range(n)]), torch.zeros(n, 8, 8)


def test_it_is_a_model_like_any_other():
    model = CpuFallback(FakeModel("mine"))
    assert isinstance(model, InteractiveModel)
    assert (model.identity.name, model.prefers_zoom, model.notice) == ("mine", False, "")


def test_nothing_changes_while_there_is_memory(disk_image):
    plain = Session(FakeModel(), disk_image).add(Click(3, 3))
    guarded = Session(CpuFallback(ModelOnCard()), disk_image).add(Click(3, 3))
    np.testing.assert_array_equal(guarded.probability, plain.probability)


def test_what_is_cached_is_let_go_first(disk_image):
    from napari_segnext.session import session

    Session(FakeModel(), disk_image)
    model = CpuFallback(inner := ModelOnCard(n_failures=1))
    model.encode_image(torch.zeros(3, 8, 8))
    assert (inner.place, model.notice) == ("card", "")
    assert len(session._SHARED_CACHE) == 0


def test_sets_of_prompts_are_answered_one_by_one_before_it_falls_back():
    model = CpuFallback(inner := ModelOnCard(room=1))
    embedding = model.encode_image(torch.zeros(3, 8, 8))
    logits = model.predict_logits(embedding, *prompts(3))
    assert inner.batches == [("card", 3), *[("card", 1)] * 3]
    torch.testing.assert_close(logits, FakeModel().predict_logits(embedding, *prompts(3)))
    assert model.notice == ""


def test_at_last_it_goes_on_on_the_processor_and_says_so(caplog):
    told = []
    model = CpuFallback(inner := ModelOnCard(room=0), lambda: told.append(model.notice))
    embedding = model.encode_image(torch.zeros(3, 8, 8))
    logits = model.predict_logits(embedding, *prompts(2))
    assert inner.batches == [("card", 2), ("card", 1), ("processor", 2)]
    torch.testing.assert_close(logits, FakeModel().predict_logits(embedding, *prompts(2)))
    assert told == [FELL_BACK] == caplog.messages
    model.predict_logits(embedding, *prompts(2))
    assert inner.batches[-1] == ("processor", 2)
    assert len(told) == 1


def test_a_session_in_the_middle_gets_the_same_answers(disk_image):
    model = ModelOnCard()
    session = Session(CpuFallback(model), disk_image)
    session.add(Click(3, 3))
    model.room = 0
    plain = Session(FakeModel(), disk_image)
    plain.add(Click(3, 3))
    np.testing.assert_array_equal(session.add(Click(6, 6)).mask, plain.add(Click(6, 6)).mask)
    assert model.place == "processor"


def test_other_errors_and_models_that_cannot_move_are_left_alone():
    class Stuck(FakeModel):
        place = "card"

        def encode_image(self, image):
            raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(torch.OutOfMemoryError):
        CpuFallback(Stuck()).encode_image(torch.zeros(3, 8, 8))
    inner = ModelOnCard()
    inner.encode_image = lambda image: 1 / 0
    with pytest.raises(ZeroDivisionError):
        CpuFallback(inner).encode_image(torch.zeros(3, 8, 8))
    assert inner.place == "card"


def test_weights_that_find_no_room_are_loaded_on_the_processor():
    calls, told = [], []

    def load(name, device):
        calls.append((name, device))
        if device != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return FakeModel()

    model = load_with_fallback(load, "large", "auto", lambda: told.append(True))
    assert calls == [("large", "auto"), ("large", "cpu")]
    assert model.notice == FELL_BACK and told == [True]


def test_a_machine_without_memory_is_told():
    def load(name, device):
        raise MemoryError

    with pytest.raises(MemoryError):
        load_with_fallback(load, "large", "cpu")
