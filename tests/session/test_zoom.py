from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage import draw
from torch.nn import functional as F

from napari_segnext.errors import PromptError, PromptOutsideImageError
from napari_segnext.models.interface import ImageEmbedding, ModelIdentity
from napari_segnext.prompts import Box, Click, MaskPrompt, Polygon, Prompts
from napari_segnext.prompts.enclosed import ENCLOSED_PROBABILITY
from napari_segnext.session import EmbeddingCache, Prediction, PredictionCancelled, Session
from napari_segnext.session.views import ImageViews
from napari_segnext.session.windows import Window

INPUT_PX = 64


class BrightModel:
    """Sees an image at 64 × 64, and answers the bright parts that hold a positive click or the previous mask."""

    identity = ModelIdentity("bright")
    device = torch.device("cpu")
    prefers_zoom = True

    def __init__(self) -> None:
        self.encoded_shapes: list[tuple[int, ...]] = []

    def click_radius_px(self, image_shape):
        return 3 * min(image_shape) / INPUT_PX

    def encode_image(self, image):
        self.encoded_shapes.append(tuple(image.shape[-2:]))
        level = F.interpolate(image[None], (INPUT_PX, INPUT_PX), mode="bilinear", antialias=True)
        return ImageEmbedding((level,), (image.shape[-2], image.shape[-1]))

    def predict_logits(self, embedding, clicks, previous_masks):
        parts, _ = ndimage.label(embedding.levels[0][0, 0].numpy() > 0.5)
        scales = INPUT_PX / np.array(embedding.image_shape)
        rows, columns = (clicks[0, clicks[0, :, 2] > 0, :2].numpy() * scales).astype(int).T
        chosen = {*parts[rows, columns]} - {0}
        logits = torch.from_numpy(np.where(np.isin(parts, [*chosen]), 4.0, -4.0).astype(np.float32))
        return F.interpolate(logits[None, None], embedding.image_shape, mode="bilinear")[0]


def image_with_disk(shape=(1500, 2000), centre=(700, 1200), radius=30, value=255):
    image = np.zeros(shape, np.uint8)
    image[draw.disk(centre, radius, shape=shape)] = value
    return image


def iou(mask, truth):
    return (mask & truth).sum() / (mask | truth).sum()


@pytest.fixture
def model():
    return BrightModel()


def test_a_small_object_on_a_large_image_is_drawn_exactly_with_zoom_and_coarsely_without(model):
    image = image_with_disk()
    zoomed = Session(model, image, zoom=True).add(Click(700, 1200))
    whole = Session(model, image, zoom=False).add(Click(700, 1200))
    assert iou(zoomed.mask, image > 0) > 0.93
    assert iou(whole.mask, image > 0) < 0.8
    assert zoomed.mask.shape == zoomed.probability.shape == image.shape


def test_zoom_follows_the_preference_of_the_model_unless_it_is_given(model, fake_model, disk_image):
    assert Session(model, disk_image).zoom
    assert not Session(fake_model, disk_image).zoom
    assert not Session(model, disk_image, zoom=False).zoom


def test_windows_are_encoded_once_and_serve_later_clicks(model):
    session = Session(model, image_with_disk())
    session.add(Click(700, 1200))
    n_encoded = len(model.encoded_shapes)
    assert n_encoded > 1
    session.add(Click(702, 1205))
    n_with_wider = len(model.encoded_shapes)
    assert n_with_wider <= n_encoded + 1
    session.add(Click(698, 1195))
    session.undo()
    session.reset()
    session.add(Click(700, 1200))
    session.add(Click(702, 1205))
    assert len(model.encoded_shapes) == n_with_wider


def test_the_object_is_nowhere_outside_the_window(model):
    image = image_with_disk()
    image[10:40, 10:40] = 255
    prediction = Session(model, image).add(Click(700, 1200))
    outside = np.ones(image.shape, dtype=bool)
    outside[prediction.window.slices] = False
    assert not prediction.probability[outside].any()
    assert not prediction.mask[outside].any()


def test_a_window_grows_with_an_object_that_runs_on(model):
    image = np.zeros((1000, 1000), np.uint8)
    image[480:520, 50:950] = 255
    session = Session(model, image)
    mask = np.zeros(image.shape, dtype=bool)
    mask[470:530, 470:530] = True
    first = session.add(MaskPrompt(mask))
    assert first.window.side < 400
    second = session.add(Click(500, 500))
    assert second.window.side > 800
    assert iou(second.mask, image > 0) > 0.7


def test_a_later_click_far_away_widens_the_window(model):
    image = image_with_disk(radius=40) | image_with_disk(centre=(300, 300), radius=40)
    session = Session(model, image)
    session.add(Click(700, 1200))
    both = session.add(Click(300, 300))
    assert both.window.side > 900
    assert both.mask[300, 300]
    assert both.mask[700, 1200]


def test_a_box_is_looked_into_at_once(model):
    session = Session(model, image_with_disk())
    session.add(Box(top=665, left=1165, bottom=735, right=1235))
    assert max(model.encoded_shapes[-1]) < 200


def test_answers_do_not_depend_on_the_order_of_sessions_or_what_is_cached(model):
    image = image_with_disk(radius=50)
    one = Session(model, image, cache=EmbeddingCache())
    other = Session(model, image, cache=EmbeddingCache(max_entries=1))
    for click in (Click(700, 1200), Click(710, 1190), Click(400, 400, is_positive=False)):
        np.testing.assert_array_equal(one.add(click).probability, other.add(click).probability)


def test_replaying_the_prompts_gives_the_same_answer(model):
    image = image_with_disk(radius=50)
    session = Session(model, image)
    clicks = (Click(700, 1200), Click(710, 1190), Click(690, 1210))
    for click in clicks:
        last = session.add(click)
    replayed = Session(model, image).update(clicks)
    np.testing.assert_array_equal(replayed.probability, last.probability)


def test_windows_keep_the_contrast_of_the_whole_image(model):
    image = image_with_disk().astype(np.float32) * 3
    image[0, :1000] = 3000  # rare and bright: the disk is dark beside it
    assert not Session(model, image, contrast_limits=(0, 3000)).add(Click(700, 1200)).mask.any()
    assert Session(model, image, contrast_limits=(0, 700)).add(Click(700, 1200)).mask[700, 1200]


def test_a_click_off_the_image_is_refused_and_changes_nothing(model):
    session = Session(model, image_with_disk())
    session.add(Click(700, 1200))
    with pytest.raises(PromptOutsideImageError):
        session.add(Click(3000, 10))
    assert len(session.steps) == 1


def test_a_huge_image_is_seen_in_blocks_and_never_as_floats_of_its_own_size(model):
    image = image_with_disk(shape=(6000, 6000), centre=(4000, 1500), radius=60)
    session = Session(model, image)
    prediction = session.add(Click(4000, 1500))
    assert max(max(shape) for shape in model.encoded_shapes) <= 1024
    assert prediction.window_probability.size < 200_000
    assert iou(prediction.mask, image > 0) > 0.93


def test_a_window_of_blocks_gives_clicks_in_blocks(model):
    views = ImageViews(model, np.zeros((3000, 4000), np.uint8), None, EmbeddingCache())
    view = views.whole()
    assert (view.factor, view.shape) == (4, (750, 1000))
    clicks = views.clicks(Prompts((Click(1.5, 5.5), Click(2999, 3999))), view)
    np.testing.assert_allclose(clicks, [[0, 1, 1], [749, 999, 1]], atol=0.5)


def test_blocks_at_the_edge_are_filled_with_the_last_pixels(model):
    image = np.full((1025, 10), 100, np.uint8)
    ImageViews(model, image, None, EmbeddingCache()).whole()
    assert model.encoded_shapes == [(513, 5)]


def test_probability_of_another_window_is_resampled_and_zero_where_nothing_is_known():
    probability = np.linspace(0, 1, 20 * 30, dtype=np.float32).reshape(20, 30)
    prediction = Prediction(Window(10, 5, 20, 30), probability, (60, 60))
    np.testing.assert_allclose(prediction.probability_in(Window(10, 5, 20, 30), (20, 30)), probability)
    shifted = prediction.probability_in(Window(15, 0, 20, 20), (20, 20))
    np.testing.assert_allclose(shifted[:15, 5:], probability[5:, :15], atol=1e-5)
    assert not shifted[16:].any()
    assert not shifted[:, :4].any()
    halved = prediction.probability_in(Window(10, 5, 20, 30), (10, 15), factor=2)
    np.testing.assert_allclose(halved, probability.reshape(10, 2, 15, 2).mean(axis=(1, 3)), atol=1e-5)


def test_the_extent_of_a_coarse_answer_covers_it_in_pixels_of_the_image():
    probability = np.zeros((10, 10), np.float32)
    probability[2:4, 5:10] = 1
    prediction = Prediction(Window(100, 200, 48, 48), probability, (500, 500), factor=5)
    assert prediction.extent == Window(110, 225, 10, 23)
    rows, columns = np.nonzero(prediction.mask)
    assert (rows.min(), rows.max()) == (110, 119)
    assert (columns.min(), columns.max()) == (225, 247)


def test_a_mask_prompt_starts_in_a_window_about_it(model):
    image = image_with_disk()
    session = Session(model, image)
    session.add(MaskPrompt(image > 0))
    assert model.encoded_shapes[-1][0] < 200


def test_an_image_that_is_changed_later_does_not_change_the_session(model):
    image = image_with_disk()
    session = Session(model, image)
    truth = image > 0
    image[:] = 0
    assert iou(session.add(Click(700, 1200)).mask, truth) > 0.9


@pytest.mark.parametrize("n", [6000, 6001, 6005], ids=["whole blocks", "one pixel more", "five pixels more"])
def test_coarse_answers_lie_where_the_clicks_lie(model, n):
    image = np.zeros((n, n), np.uint8)
    image[5400:5900, 5400:5900] = 255
    view = ImageViews(model, image, None, EmbeddingCache()).whole()
    probability = np.zeros(view.shape, np.float32)
    probability[5400 // view.factor :, :] = 1
    prediction = Prediction(view.window, probability, image.shape, factor=view.factor)
    assert int(np.argmax(prediction.mask[:, 0])) == pytest.approx(5400, abs=1)
    seen = prediction.probability_in(Window(5300, 0, 200, 200), (200, 200))
    assert int(np.argmax(seen[:, 0] > 0.5)) == pytest.approx(100, abs=1)


def test_an_answer_does_not_fade_at_the_border_of_the_image():
    prediction = Prediction(Window(0, 0, 400, 400), np.ones((100, 100), np.float32), (400, 400), factor=4)
    np.testing.assert_allclose(prediction.probability_in(Window(0, 0, 64, 64), (64, 64)), 1)


def test_many_clicks_on_a_large_image_can_be_undone(model):
    image = image_with_disk(shape=(8000, 8000), centre=(4000, 1500), radius=60)
    session = Session(model, image)
    for column in range(1490, 1500):
        session.add(Click(4000, column))
    n_undone = 0
    while session.can_undo:
        session.undo()
        n_undone += 1
    assert n_undone == 10


@pytest.mark.parametrize("zoom", [True, False])
def test_a_mask_of_another_shape_is_refused_in_the_same_words(model, zoom):
    mask = np.zeros((2000, 2000), bool)
    mask[1500:1600, 1500:1600] = True
    session = Session(model, np.zeros((100, 100), np.uint8), zoom=zoom)
    with pytest.raises(PromptError, match=r"mask has shape \(2000, 2000\); expected \(100, 100\)"):
        session.add(MaskPrompt(mask))


def test_black_and_white_images_keep_their_contrast_in_blocks_and_windows(model):
    dots = np.zeros((1500, 1500), bool)
    dots[::2] = True
    views = ImageViews(model, dots, None, EmbeddingCache())
    level = views.whole().embedding.levels[0]
    assert float(level.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(level.std()) < 0.05


def test_flat_images_of_huge_values_are_taken(model):
    for image in (np.full((80, 80), 1e17), np.full((80, 80), 2**60, np.int64)):
        Session(model, image, zoom=True)


def test_high_and_low_thresholds_are_no_reason_to_stay_far_away(model):
    image = image_with_disk()
    for threshold in (0.03, 0.97):
        prediction = Session(model, image, threshold=threshold).add(Click(700, 1200))
        assert iou(prediction.mask, image > 0) > 0.65


def test_looks_that_are_no_longer_wanted_are_not_taken(model):
    session = Session(model, image_with_disk())
    n_encoded = len(model.encoded_shapes)
    answers = iter([True, True, False])
    with pytest.raises(PredictionCancelled):
        session.update([Click(700, 1200)], is_wanted=lambda: next(answers))
    assert len(model.encoded_shapes) == n_encoded
    assert not session.steps


def test_a_session_without_zoom_keeps_no_pixels(model):
    image = np.zeros((500, 500))
    session = Session(model, image, zoom=False)
    assert session._views is None
    assert session.image_shape == (500, 500)


def test_what_a_first_box_or_polygon_encloses_is_the_mask_to_start_from(fake_model):
    image = np.zeros((40, 40), np.uint8)
    Session(fake_model, image, zoom=True).add(Box(top=10, left=5, bottom=30, right=35))
    ellipse = fake_model.previous_masks[0]
    assert ellipse[20, 20] == ellipse[20, 8] == ENCLOSED_PROBABILITY
    assert ellipse[11, 6] == ellipse[5, 20] == 0
    Session(fake_model, image, zoom=True).add(Polygon([(5, 5), (5, 30), (30, 5)]))
    triangle = fake_model.previous_masks[-1]
    assert triangle[10, 10] == ENCLOSED_PROBABILITY
    assert triangle[28, 28] == 0


def test_without_zoom_a_box_is_corners_only_as_in_the_paper(fake_model):
    Session(fake_model, np.zeros((40, 40), np.uint8), zoom=False).add(Box(top=10, left=5, bottom=30, right=35))
    assert not fake_model.previous_masks[0].any()


def test_a_box_over_the_border_still_encloses_its_part_of_the_image(fake_model):
    Session(fake_model, np.zeros((40, 40), np.uint8), zoom=True).add(Box(top=-10, left=-10, bottom=20, right=20))
    assert fake_model.previous_masks[0][5, 5] == ENCLOSED_PROBABILITY
