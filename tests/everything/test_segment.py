from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

import napari_segnext
from napari_segnext.errors import ImageError, PromptError
from napari_segnext.everything import EverythingSettings, grid_clicks, iterate_everything, segment_everything
from napari_segnext.prompts import Box, Click
from napari_segnext.session import Session
from tests.everything.conftest import DISKS
from tests.session.test_zoom import BrightModel, iou


class ChangingModel(BrightModel):
    """Answers blobs about the click where nothing is bright, as networks do."""

    def predict_logits(self, embedding, clicks, previous_masks):
        logits = super().predict_logits(embedding, clicks, previous_masks)
        if not (logits > 0).any():
            rows, columns = np.mgrid[: logits.shape[1], : logits.shape[2]]
            row, column, _ = clicks[0, 0].tolist()
            logits[0][(rows - row) ** 2 + (columns - column) ** 2 <= 16] = 4.0
        return logits


@pytest.fixture
def model():
    return BrightModel()


def truth_of(image):
    return ndimage.label(image)[0]


def assert_same_objects(labels, truth, least_iou=0.7):
    assert labels.max() == truth.max()
    for number in range(1, truth.max() + 1):
        found = labels[truth == number]
        label = np.bincount(found[found > 0]).argmax()
        assert iou(labels == label, truth == number) > least_iou


@pytest.mark.parametrize("zoom", [True, False], ids=["zoom", "no zoom"])
def test_the_grid_finds_every_disk_once(model, disks, zoom):
    result = segment_everything(model, disks, points_per_side=12, zoom=zoom)
    assert result.labels.dtype == np.int32 and result.labels.shape == disks.shape
    assert_same_objects(result.labels, truth_of(disks))
    assert result.is_complete and result.n_prompts == 144
    assert [one.label for one in result.objects] == [1, 2, 3]
    assert all(one.stability > 0.6 and one.agreement > 0.9 for one in result.objects)


def test_without_zoom_the_image_is_encoded_once(model, disks):
    segment_everything(model, disks, points_per_side=8, zoom=False)
    assert len(model.encoded_shapes) == 1


def test_embeddings_are_shared_with_sessions(model, disks):
    Session(model, disks, zoom=False)
    segment_everything(model, disks, points_per_side=2, zoom=False)
    assert len(model.encoded_shapes) == 1


def test_clicks_on_what_was_found_are_skipped_unless_all_are_wanted(fake_model):
    image = np.zeros((20, 20), np.uint8)  # a disk of 13 pixels about any click
    settings = {"points_per_side": 20, "min_agreement": 0, "min_object_px": 5}
    segment_everything(fake_model, image, **settings)
    n_skipping, fake_model.n_predicted = fake_model.n_predicted, 0
    segment_everything(fake_model, image, skips_found=False, **settings)
    assert fake_model.n_predicted == 400
    assert n_skipping < 200


def test_each_click_and_each_box_that_is_given_asks_for_one_object(model, disks):
    truth = truth_of(disks)
    (first, _), (second, _), _ = DISKS
    by_clicks = segment_everything(model, disks, clicks=[first, Click(*second)], zoom=True)
    assert [one.prompt for one in by_clicks.objects] == [Click(*first), Click(*second)]
    assert by_clicks.labels[second] == 2
    assert by_clicks.n_prompts == 2
    by_boxes = segment_everything(model, disks, boxes=[Box(30, 48, 51, 71), (6, 10, 26, 30)], zoom=False)
    assert by_boxes.labels[second] == 1 and by_boxes.labels[first] == 2
    assert iou(by_boxes.labels == 1, truth == truth[second]) > 0.7


def test_two_clicks_on_one_object_give_one_object(model, disks):
    (place, _), *_ = DISKS
    result = segment_everything(model, disks, clicks=[place, (place[0] + 2, place[1])], zoom=False)
    assert len(result.objects) == 1 and result.n_done == 2


def test_no_prompt_finds_nothing(model, disks):
    result = segment_everything(model, disks, clicks=[])
    assert not result.labels.any() and result.is_complete and result.n_prompts == 0


def test_answers_that_move_along_with_the_click_are_no_objects(disks):
    truth = truth_of(disks)
    settings = {"points_per_side": 12, "min_object_px": 5, "zoom": False}
    strict = segment_everything(ChangingModel(), disks, **settings)
    assert_same_objects(strict.labels, truth)
    easy = segment_everything(ChangingModel(), disks, min_agreement=0, **settings)
    assert len(easy.objects) > 20


def test_an_object_that_was_clicked_on_may_be_as_large_as_the_image(model):
    image = np.full((64, 80), 255, np.uint8)
    assert not segment_everything(model, image, points_per_side=4, zoom=False).objects
    (found,) = segment_everything(model, image, clicks=[(30, 30)], zoom=False).objects
    assert found.n_pixels == image.size


def test_small_and_unstable_answers_are_left_out(model, disks):
    sizes = [one.n_pixels for one in segment_everything(model, disks, points_per_side=12, zoom=False).objects]
    larger = segment_everything(model, disks, points_per_side=12, zoom=False, min_object_px=min(sizes) + 1)
    assert len(larger.objects) == 2
    assert not segment_everything(model, disks, points_per_side=12, zoom=False, min_stability=1).objects


class TestSteps:
    def test_progress_rises_to_the_end_and_has_a_result_on_the_way(self, model, disks):
        steps = list(iterate_everything(model, disks, EverythingSettings(points_per_side=8), zoom=False))
        assert [step.n_done for step in steps] == [*range(65)]
        assert {step.n_prompts for step in steps} == {64}
        assert [step.n_found for step in steps] == sorted(step.n_found for step in steps)
        half = steps[32].result()
        assert not half.is_complete and 0 < len(half.objects) < len(steps[-1].result().objects)

    def test_giving_up_keeps_what_was_found(self, model, disks):
        is_wanted = iter([True] * 30 + [False] * 1000)
        result = segment_everything(model, disks, points_per_side=12, zoom=False, is_wanted=lambda: next(is_wanted))
        assert 0 < result.n_done < result.n_prompts
        assert len(result.objects) in (1, 2)

    def test_zoom_can_be_given_up_between_looks(self, model, disks):
        asked = []
        result = segment_everything(model, disks, zoom=True, is_wanted=lambda: bool(asked.append(1)) or len(asked) < 3)
        assert result.n_done <= 1 and len(asked) == 3


class TestGrid:
    def test_clicks_are_the_middles_of_equal_parts(self):
        assert grid_clicks((8, 4), 2) == [Click(1.5, 0.5), Click(1.5, 2.5), Click(5.5, 0.5), Click(5.5, 2.5)]

    def test_a_side_gets_no_more_clicks_than_pixels(self):
        assert grid_clicks((2, 300), 16)[::16] == [Click(0, 300 / 32 - 0.5), Click(1, 300 / 32 - 0.5)]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"points_per_side": 0}, ValueError, "points_per_side is 0; expected 1 to"),
        ({"min_stability": 1.5}, ValueError, "min_stability is 1.5; expected a number from 0 to 1"),
        ({"min_agreement": float("nan")}, ValueError, "min_agreement is nan"),
        ({"min_object_px": -1}, ValueError, "min_object_px is -1"),
        ({"clicks": [Click(3, 3, False)]}, PromptError, "negative; expected one positive click for each object"),
        ({"clicks": [(3, 3), (900, 3)]}, PromptError, r"lies outside the image of 64 rows"),
        ({"clicks": [(3, 3, 3)]}, PromptError, r"shape \(3,\); expected 2 numbers, \(row, column\)"),
        ({"boxes": [(1, 1, 1)]}, PromptError, r"expected 4 numbers, \(top, left, bottom, right\)"),
        ({"threshold": 2}, ValueError, "threshold is 2"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_predicted(fake_model, disks, arguments, error, words):
    with pytest.raises(error, match=words):
        segment_everything(fake_model, disks, **arguments)
    assert fake_model.n_predicted == 0


def test_an_image_that_cannot_be_used_is_refused(fake_model):
    with pytest.raises(ImageError, match="expected \\(H, W\\)"):
        segment_everything(fake_model, np.zeros((3, 4, 5, 6)))


def test_it_is_a_public_name():
    assert napari_segnext.segment_everything is segment_everything
    assert napari_segnext.iterate_everything is iterate_everything
