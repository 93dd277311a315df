from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_segnext.models.interface import ImageEmbedding, ModelIdentity
from napari_segnext.prompts import Box, Click, MaskPrompt
from napari_segnext.session import EmbeddingCache, Prediction, Session
from napari_segnext.session.corrections import FOLLOWED_AT, WIDER, following, mean_answer, wider_window
from napari_segnext.session.windows import Window

SHAPE = (60, 80)
WINDOW = Window(10, 20, *SHAPE)
IMAGE_SHAPE = (200, 300)


def answer(logit):
    """An answer in `WINDOW` with one logit everywhere, or an array of them."""
    logits = torch.as_tensor(np.broadcast_to(np.float32(logit), SHAPE).copy())
    return Prediction(WINDOW, torch.sigmoid(logits).numpy(), IMAGE_SHAPE)


def clicks(*rows):
    return np.array(rows, np.float32).reshape(-1, 3)


def two_sides():
    """Features of another kind left and right of the middle, `(1, 2, 15, 20)`."""
    features = torch.zeros(1, 2, 15, 20)
    features[:, 0, :, :10] = 1
    features[:, 1, :, 10:] = 1
    return features


def logits_of(prediction):
    return np.log(prediction.window_probability) - np.log1p(-prediction.window_probability)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_click_that_is_not_followed_is_followed_then(sign):
    changed = following(answer(-2.0 * sign), clicks((30, 20, sign)), two_sides())
    assert (changed.window_probability[30, 20] > 0.5) == (sign > 0)


def test_a_click_reaches_what_is_near_and_looks_like_its_place():
    before, after = answer(-2.0), following(answer(-2.0), clicks((30, 35, 1)), two_sides())
    change = logits_of(after) - logits_of(before)
    near_and_like, near_and_unlike, far_and_like = change[30, 30], change[30, 46], change[2, 2]
    assert near_and_like > 1.5
    assert near_and_unlike < 0.5
    assert abs(far_and_like) < 0.1


def test_clicks_that_are_followed_change_nothing():
    followed = answer(FOLLOWED_AT + 0.1)
    assert following(followed, clicks((30, 20, 1)), two_sides()) is followed
    assert following(followed, clicks(), two_sides()) is followed


def test_a_followed_click_holds_its_place_beside_one_that_was_not():
    logits = np.full(SHAPE, -3.0, np.float32)
    logits[:, :30] = 1.5
    changed = following(answer(logits), clicks((30, 27, 1), (30, 33, 1), (30, 22, -1)), two_sides())
    assert changed.mask[WINDOW.top + 30, WINDOW.left + 27]
    assert changed.mask[WINDOW.top + 30, WINDOW.left + 33]
    assert not changed.mask[WINDOW.top + 30, WINDOW.left + 22]


def test_clicks_that_contradict_each_other_leave_a_finite_answer():
    changed = following(answer(0.0), clicks((30, 20, 1), (30, 20, -1), (30, 21, 1)), two_sides())
    assert np.isfinite(changed.window_probability).all()
    far = changed.window_probability[:, 60:]
    np.testing.assert_allclose(far, 0.5, atol=0.05)


def test_features_that_are_the_same_everywhere_let_distance_decide():
    changed = logits_of(following(answer(-2.0), clicks((30, 20, 1)), torch.ones(2, 3, 15, 20)))
    assert changed[30, 20] > 0
    assert changed[30, 30] > changed[30, 50]


def test_the_mean_answer_is_that_of_the_logits_within_the_near_window():
    wide = Prediction(Window.whole(IMAGE_SHAPE), np.full((100, 150), 0.9, np.float32), IMAGE_SHAPE, factor=2)
    mean = mean_answer(answer(0.0), wide)
    assert mean.window == WINDOW
    np.testing.assert_allclose(logits_of(mean), np.log(9) / 2, rtol=1e-4)


def test_a_wider_window_lies_about_the_window_and_ends_with_the_image():
    near = Window(100, 100, 20, 20)
    wide = wider_window(near, IMAGE_SHAPE)
    assert wide.contains(near)
    assert wide.side == 20 * WIDER
    assert wider_window(Window(0, 0, 150, 150), IMAGE_SHAPE) == Window.whole(IMAGE_SHAPE)


class DoubtfulModel:
    """Sees nothing but doubt; keeps how large the images were that it answered on."""

    identity = ModelIdentity("doubtful")
    device = torch.device("cpu")
    prefers_zoom = True

    def __init__(self):
        self.looked_at = []

    def click_radius_px(self, image_shape):
        return 2.0

    def encode_image(self, image):
        return ImageEmbedding((image[None],), (image.shape[-2], image.shape[-1]))

    def predict_logits(self, embedding, clicks, previous_masks):
        self.looked_at.append(embedding.image_shape)
        return torch.where(previous_masks > 0.5, 0.5, -1.5)


@pytest.fixture
def doubtful():
    return DoubtfulModel()


def open_session(model, **options):
    return Session(model, np.zeros((400, 400), np.uint8), cache=EmbeddingCache(), **options)


def with_mask_then_click(session):
    mask = np.zeros((400, 400), dtype=bool)
    mask[180:220, 180:220] = True
    return session.add(MaskPrompt(mask)), session.add(Click(225, 225))


def test_corrections_are_looked_at_twice_and_a_mask_to_start_from_once(doubtful):
    session = open_session(doubtful)
    from_mask, _ = with_mask_then_click(session)
    assert doubtful.looked_at == [(100, 100), (100, 100), (350, 350)]
    np.testing.assert_allclose(from_mask.probability.max(), torch.sigmoid(torch.tensor(0.5)), rtol=1e-5)


def test_corrections_are_looked_at_once_where_no_wider_look_is_wanted(doubtful):
    _, corrected = with_mask_then_click(open_session(doubtful, looks_wider=False))
    assert doubtful.looked_at == [(100, 100), (100, 100)]
    assert corrected.mask[225, 225]


def test_a_first_click_and_a_first_box_are_answered_as_the_model_says(doubtful):
    said = float(torch.sigmoid(torch.tensor(-1.5)))
    assert open_session(doubtful).add(Click(200, 200)).probability.max() == pytest.approx(said)
    box = open_session(doubtful).add(Box(top=180, left=180, bottom=220, right=220))
    np.testing.assert_allclose(np.unique(box.window_probability), [said, 1 / (1 + np.exp(-0.5))], rtol=1e-5)


def test_without_zoom_a_correction_is_answered_as_the_model_says(doubtful):
    _, corrected = with_mask_then_click(open_session(doubtful, zoom=False))
    assert not corrected.mask[225, 225]
    assert set(doubtful.looked_at) == {(400, 400)}
