"""The protocol: who is asked what, and when it ends."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from napari_segnext.datasets import ObjectFilter
from napari_segnext.evaluation import (
    Contestant,
    EvaluationSettings,
    SessionMethod,
    evaluate,
    evaluate_object,
    evaluate_side_by_side,
    user_beginning_with,
)
from napari_segnext.evaluation.classical import Watershed
from napari_segnext.prompts import Box, Click, MaskPrompt, Polygon, Scribble
from napari_segnext.prompts.simulated_user import next_click
from napari_segnext.session import Session


@pytest.fixture
def work(fake_model, disk_image):
    return SessionMethod(fake_model, zoom=False).open_image(disk_image)


@pytest.fixture
def disk_truth(disk_image) -> np.ndarray:
    return (disk_image > 100).astype(np.int8)


def test_click_on_a_disk_is_enough_for_a_model_that_answers_disks(fake_model, work, disk_truth):
    run = evaluate_object(work, disk_truth, settings=EvaluationSettings(target_iou=0.95))
    assert run.prompts.items == (Click(3, 3, True),)
    assert run.ious == (1.0,)


def test_all_clicks_are_made_unless_told_otherwise(fake_model, work, disk_truth):
    run = evaluate_object(work, disk_truth, settings=EvaluationSettings(max_clicks=7))
    assert len(run.ious) == len(run.prompts) == fake_model.n_predicted == 7


def test_original_makes_20_clicks(fake_model, work, disk_truth):
    assert len(evaluate_object(work, disk_truth).ious) == 20


def test_each_click_is_where_the_last_answer_is_worst(fake_model, work):
    truth = np.ones(work.image_shape, np.int8)
    run = evaluate_object(work, truth, settings=EvaluationSettings(max_clicks=6))
    session = Session(fake_model, np.zeros(work.image_shape, np.uint8), threshold=0.49, zoom=False)
    mask, clicks = np.zeros(truth.shape, bool), []
    for _ in range(6):
        clicks.append(next_click(truth, mask, already_clicked=clicks))
        mask = session.add(clicks[-1]).mask
    assert list(run.prompts) == clicks
    assert run.ious[-1] == np.float32(mask.mean())


def test_last_probability_is_fed_back(fake_model, work, disk_truth):
    evaluate_object(work, disk_truth, settings=EvaluationSettings(max_clicks=2))
    first, second = fake_model.previous_masks
    assert (first == 0).all()
    assert second[3, 3] == pytest.approx(1 / (1 + np.exp(-4)))
    assert second[0, 0] == pytest.approx(1 / (1 + np.exp(4)))


def test_mask_is_cut_at_049(fake_model, work, disk_truth, monkeypatch):
    def answer_just_below_half(embedding, clicks, previous_masks):
        return 0 * previous_masks - 0.02  # probability 0.495

    monkeypatch.setattr(fake_model, "predict_logits", answer_just_below_half)
    run = evaluate_object(work, disk_truth, settings=EvaluationSettings(max_clicks=1))
    assert run.ious == (pytest.approx(disk_truth.mean()),)


def test_another_user_may_begin_with_a_box(fake_model, work, disk_truth):
    def box_then_clicks(truth, mask, prompts):
        clicks = [prompt for prompt in prompts if isinstance(prompt, Click)]
        return next_click(truth, mask, already_clicked=clicks) if len(prompts) else Box(1, 1, 6, 6)

    settings = EvaluationSettings(max_clicks=2)
    run = evaluate_object(work, disk_truth, settings=settings, user=box_then_clicks)
    assert run.prompts.items == (Box(1, 1, 6, 6), Click(3, 3, True))
    assert run.ious == (0.0, 1.0)


def test_ignored_pixels_do_not_count(fake_model, work, disk_truth):
    truth = np.where(disk_truth == 1, disk_truth, -1).astype(np.int8)
    truth[3, 3] = 0
    run = evaluate_object(work, truth, settings=EvaluationSettings(max_clicks=1))
    n_disk = int(disk_truth.sum())
    assert run.prompts.items != (Click(3, 3, True),)
    assert run.ious[0] <= np.float32((n_disk - 1) / n_disk)


def test_truth_of_another_shape_is_refused(fake_model, work):
    with pytest.raises(ValueError, match=r"truth has shape \(3, 3\); expected \(8, 8\)"):
        evaluate_object(work, np.ones((3, 3), np.int8))


def test_truth_without_an_object_is_refused(fake_model, work):
    with pytest.raises(ValueError, match="truth holds no object"):
        evaluate_object(work, np.zeros((8, 8), np.int8))


@pytest.mark.parametrize(
    "values",
    [{"max_clicks": 0}, {"threshold": 0.0}, {"threshold": 1.0}, {"target_iou": 1.01}, {"target_iou": 0.0}],
    ids=str,
)
def test_settings_out_of_range_are_refused(values):
    (name,) = values
    with pytest.raises(ValueError, match=f"{name} is"):
        EvaluationSettings(**values)


def test_each_image_is_encoded_once_for_all_its_objects(fake_model, two_images):
    results = list(evaluate(fake_model, two_images, settings=EvaluationSettings(max_clicks=3)))
    assert [result.id for result in results] == ["one:1", "one:2", "two:1", "two:2"]
    assert [result.group for result in results] == ["domain of one"] * 2 + ["domain of two"] * 2
    assert (fake_model.n_encoded, fake_model.n_predicted) == (2, 12)


def test_evaluation_encodes_anew_what_a_session_has_encoded_before(fake_model, two_images):
    Session(fake_model, two_images.images[0].read_image())
    list(evaluate(fake_model, two_images.images[:1], settings=EvaluationSettings(max_clicks=1)))
    assert fake_model.n_encoded == 2


def test_caller_may_stop_and_keep_what_he_has(fake_model, two_images):
    results = list(islice(evaluate(fake_model, two_images, settings=EvaluationSettings(max_clicks=3)), 1))
    assert [result.id for result in results] == ["one:1"]
    assert (fake_model.n_encoded, fake_model.n_predicted) == (1, 3)


def test_image_without_objects_is_not_encoded(fake_model, two_images):
    images = [image.filtering(ObjectFilter(min_object_px=20)) for image in two_images]
    results = list(evaluate(fake_model, images, settings=EvaluationSettings(max_clicks=1)))
    assert [result.id for result in results] == ["one:2"]
    assert fake_model.n_encoded == 1


def test_time_of_a_click_leaves_encoding_and_user_out(fake_model, two_images, monkeypatch):
    now = [0.0]
    encode_image, predict_logits = fake_model.encode_image, fake_model.predict_logits

    def encode_for_5_seconds(image):
        now[0] += 5
        return encode_image(image)

    def predict_for_2_seconds(embedding, clicks, previous_masks):
        now[0] += 2
        return predict_logits(embedding, clicks, previous_masks)

    def think_for_100_seconds(truth, mask, prompts):
        now[0] += 100
        return Click(0, 0)

    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    monkeypatch.setattr(fake_model, "encode_image", encode_for_5_seconds)
    monkeypatch.setattr(fake_model, "predict_logits", predict_for_2_seconds)
    settings = EvaluationSettings(max_clicks=3)
    (result, *_) = evaluate(fake_model, two_images, settings=settings, user=think_for_100_seconds)
    assert (result.seconds_encode, result.run.seconds_per_click) == (5, 2)


def test_objects_of_one_image_do_not_see_each_others_prompts(fake_model, work, disk_truth):
    settings = EvaluationSettings(max_clicks=2)
    first = evaluate_object(work, disk_truth, settings=settings)
    assert evaluate_object(work, disk_truth, settings=settings).ious == first.ious
    assert (fake_model.previous_masks[2] == 0).all()


def test_boundary_iou_is_measured_after_each_click(work, disk_truth):
    run = evaluate_object(work, disk_truth, settings=EvaluationSettings(max_clicks=3))
    assert run.boundary_ious == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("kind", "prompt"),
    [("click", Click), ("box", Box), ("polygon", Polygon), ("scribble", Scribble), ("mask", MaskPrompt)],
)
def test_user_begins_with_one_prompt_of_a_kind_and_goes_on_with_clicks(work, kind, prompt):
    truth = np.zeros(work.image_shape, np.int8)
    truth[1:7, 1:6] = 1
    run = evaluate_object(work, truth, settings=EvaluationSettings(max_clicks=3), user=user_beginning_with(kind))
    assert [type(each) for each in run.prompts] == [prompt, Click, Click]


def test_all_methods_are_asked_about_each_object_with_all_first_prompts(fake_model, two_images):
    contestants = [
        Contestant(SessionMethod(fake_model), EvaluationSettings(max_clicks=2)),
        Contestant(Watershed(), EvaluationSettings(max_clicks=1)),
    ]
    rounds = list(evaluate_side_by_side(contestants, two_images, first_prompts=("click", "box")))
    assert [results[0].id for results in rounds] == ["one:1", "one:2", "two:1", "two:2"]
    asked = [(each.method, each.first_prompt, len(each.ious)) for each in rounds[0]]
    assert asked == [("fake", "click", 2), ("fake", "box", 2), ("watershed", "click", 1), ("watershed", "box", 1)]
    assert fake_model.n_encoded == 2


def test_methods_of_one_name_are_refused_before_any_image_is_opened(fake_model, two_images):
    contestants = [Contestant(SessionMethod(fake_model, zoom=zoom)) for zoom in (False, True)]
    with pytest.raises(ValueError, match=r"called 'fake', 'fake'; expected a different name.*Rename one"):
        next(evaluate_side_by_side(contestants, two_images))
    assert fake_model.n_encoded == 0


def test_network_zooms_as_it_prefers_unless_told(fake_model):
    assert not SessionMethod(fake_model).zoom
    assert SessionMethod(fake_model, zoom=True).zoom
    fake_model.prefers_zoom = True
    assert SessionMethod(fake_model).zoom
    assert not SessionMethod(fake_model, zoom=False).zoom


def test_threshold_of_a_method_out_of_range_is_refused(fake_model):
    with pytest.raises(ValueError, match="threshold is 1"):
        SessionMethod(fake_model, threshold=1.0)
