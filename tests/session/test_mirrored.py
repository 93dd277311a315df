"""Mirror images: models that see them are asked one way at a time by sessions that zoom."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_segnext.prompts import Box, Click, Prompts
from napari_segnext.session import EmbeddingCache, Session
from napari_segnext.session.views import ImageViews
from napari_segnext.session.windows import Window
from napari_segnext.weights import load_model


@pytest.fixture
def model():
    return load_model("segnext-tiny", "cpu")


def test_one_way_and_the_mirror_image_make_both(model):
    # the size of the model's input, so that clicks fall on whole pixels of it
    image = torch.rand(3, 256, 384)
    clicks, masks = torch.tensor([[[30.0, 40.0, 1.0]]]), torch.rand(1, 256, 384)
    flipped = torch.tensor([[[30.0, 343.0, 1.0]]])
    with torch.inference_mode():
        both = model.predict_logits(model.encode_image(image), clicks, masks)
        plain = model.predict_logits(model.encode_one_way(image), clicks, masks)
        mirrored = model.predict_logits(model.encode_one_way(image.flip(-1)), flipped, masks.flip(-1)).flip(-1)
    torch.testing.assert_close((plain + mirrored) / 2, both, atol=1e-4, rtol=1e-4)


def test_a_mirrored_view_answers_in_the_places_of_the_image(model):
    rows, columns = np.mgrid[:120, :160]
    image = np.where((rows - 40) ** 2 + (columns - 110) ** 2 < 25**2, 220, 40).astype(np.uint8)
    views = ImageViews(model, image, None, EmbeddingCache())
    view = views.of(Window(0, 0, 120, 160), is_mirrored=True)
    clicks = views.clicks(Prompts((Click(40, 110),)), view)
    assert clicks.tolist() == [[40, 159 - 110, 1]]
    answers = [Session(model, image).add(Click(40, 110)), Session(model, image[:, ::-1]).add(Click(40, 49))]
    truth = image > 128
    for mask in (answers[0].mask, answers[1].mask[:, ::-1]):
        assert (mask & truth).sum() / (mask | truth).sum() > 0.8


def test_both_ways_are_kept_apart_in_the_cache(model):
    views = ImageViews(model, np.zeros((64, 64), np.uint8) + 9, None, EmbeddingCache())
    window = Window(0, 0, 64, 64)
    plain, mirrored = views.of(window), views.of(window, is_mirrored=True)
    assert len(plain.embedding.levels[0]) == 1
    assert plain.embedding is not mirrored.embedding
    assert views.of(window).embedding is plain.embedding
    assert len(views.whole(at_full_size=True).embedding.levels[0]) == 2


@pytest.mark.parametrize(("looks_wider", "n_looks"), [(True, 2), (False, 1)])
def test_a_correction_takes_two_looks_or_one(model, looks_wider, n_looks, monkeypatch):
    image = np.random.default_rng(0).integers(0, 255, (200, 200)).astype(np.uint8)
    session = Session(model, image, looks_wider=looks_wider, cache=EmbeddingCache())
    session.add(Box(60, 60, 120, 120))
    asked = []
    predict_logits = model.predict_logits
    monkeypatch.setattr(
        model, "predict_logits", lambda e, c, p: asked.append(len(e.levels[0])) or predict_logits(e, c, p)
    )
    session.add(Click(90, 90))
    # an answer that runs on beyond its window is looked at again
    assert len(asked) % n_looks == 0
    assert set(asked) == {1}


def test_the_first_look_chooses_its_window_one_way_and_answers_both_ways(model, monkeypatch):
    rows, columns = np.mgrid[:512, :512]
    image = np.where((rows - 200) ** 2 + (columns - 300) ** 2 < 30**2, 220, 40).astype(np.uint8)
    looks = []
    of = ImageViews.of

    def noted(views, window, **kwargs):
        looks.append((window, kwargs.get("is_mirrored", False)))
        return of(views, window, **kwargs)

    session = Session(model, image, cache=EmbeddingCache())
    monkeypatch.setattr(ImageViews, "of", noted)
    prediction = session.add(Click(200, 300))
    mirrored = [window for window, is_mirrored in looks if is_mirrored]
    plain = [window for window, is_mirrored in looks if not is_mirrored]
    assert prediction.window in mirrored
    # three windows to choose from, and at most one more for a closer look
    assert len(set(plain)) in (3, 4) and len(mirrored) == len(set(mirrored)) <= 2
    assert ((prediction.mask & (image > 128)).sum() / (prediction.mask | (image > 128)).sum()) > 0.8


def test_glimpses_are_of_the_last_prompt_alone_and_never_kept(model):
    rows, columns = np.mgrid[:512, :512]
    image = np.where((rows - 200) ** 2 + (columns - 300) ** 2 < 30**2, 220, 40).astype(np.uint8)
    session, glimpses = Session(model, image, cache=EmbeddingCache()), []
    session.update([Click(200, 300)], on_glimpse=glimpses.append)
    assert 1 <= len(glimpses) <= 5 and all(glimpse.mask.any() for glimpse in glimpses)
    kept = [session.steps[-1].prediction]
    n_first, glimpses[:] = len(glimpses), []
    session.update([Click(200, 300), Click(200, 310)], on_glimpse=glimpses.append)
    kept.append(session.steps[-1].prediction)
    # of the second click alone, the look before the wider one; more if the answer grew
    assert 1 <= len(glimpses) <= 4
    assert not {id(glimpse) for glimpse in glimpses} & {id(prediction) for prediction in kept}

    again: list[object] = []
    session.update([])
    session.update([Click(200, 300), Click(200, 310)], on_glimpse=again.append)
    assert len(again) == len(glimpses) < n_first + len(glimpses)
