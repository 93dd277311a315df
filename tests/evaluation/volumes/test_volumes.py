"""Rules, protocol and report on a volume of two tubes, with a model that finds bright parts."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_segnext.datasets.volumes import LoadedVolume, VolumeSample
from napari_segnext.evaluation.volumes import (
    BY_HAND,
    Copying,
    FillResult,
    FillTask,
    Interpolation,
    Propagation,
    VolumeReport,
    VolumeSettings,
    clicked_mask,
    evaluate_volumes,
    projection_rules,
    slices_to_annotate,
)
from napari_segnext.prompts import Box
from napari_segnext.propagation.slices import Slices
from napari_segnext.session import EmbeddingCache, Session
from napari_segnext.volumes import Volume
from tests.propagation.conftest import BrightPartsModel, tube

SETTINGS = VolumeSettings((1, 3), 2, min_voxels=1)


@pytest.fixture
def labels():
    labels = np.zeros(tube(0, 1, 20, 0).shape, np.uint8)
    labels[tube(2, 12, 20, 2)] = 1
    labels[tube(0, 16, 55, -1, row=42)] = 2
    return labels


@pytest.fixture
def image(labels):
    return np.where(labels > 0, 220, 40).astype(np.uint8)


@pytest.fixture
def sample(image, labels):
    return VolumeSample("tubes", "tubes", lambda: LoadedVolume(Volume(image), labels))


@pytest.fixture
def task(image, labels):
    model, volume, cache = BrightPartsModel(), Volume(image), EmbeddingCache()
    annotated = {index: labels[index] == 1 for index in (4, 9)}
    return FillTask(model, volume, cache, Slices(model, volume, 0, cache=cache), annotated, (2, 11))


class TestRules:
    def test_copying_takes_the_nearest_annotated_slice_within_the_extent(self, task, labels):
        masks = Copying().fill(task).masks
        for index in range(16):
            expected = np.zeros_like(masks[0])
            if 2 <= index <= 11:
                expected = labels[4 if index <= 6 else 9] == 1
            np.testing.assert_array_equal(masks[index], expected)

    def test_interpolation_follows_a_straight_tube(self, task, labels):
        masks = Interpolation().fill(task).masks
        between = slice(4, 10)
        overlap = (masks[between] & (labels[between] == 1)).sum() / (masks[between] | (labels[between] == 1)).sum()
        assert overlap > 0.9
        np.testing.assert_array_equal(masks[3], labels[4] == 1)

    # the model of these tests does not understand boxes
    @pytest.mark.parametrize("rule", projection_rules()[1:], ids=lambda rule: rule.name)
    def test_projection_finds_the_tube_within_the_extent(self, task, labels, rule):
        masks = rule.fill(task).masks
        np.testing.assert_array_equal(masks[4], labels[4] == 1)
        found, truth = masks & (labels == 1), labels == 1
        assert found.sum() / (masks | truth).sum() > 0.95
        assert not masks[12:].any()

    def test_box_is_that_of_the_mask_before_and_stays_on_the_slice(self):
        asked = []

        class Listener:
            image_shape = (20, 30)

            def update(self, prompts):
                asked.extend(prompts)

        mask = np.zeros((20, 30), bool)
        mask[0:5, 6:9] = True
        assert not projection_rules()[0].ask(Listener(), mask).any()
        assert asked == [Box(0.0, 5.5, 4.5, 8.5)]

    def test_propagation_finds_the_ends_by_itself_and_knows_how_sure_it_is(self, task, labels):
        filled = Propagation().fill(task)
        np.testing.assert_array_equal(filled.masks.any(axis=(1, 2)), (labels == 1).any(axis=(1, 2)))
        assert set(filled.confidence) >= set(range(2, 12)) - {4, 9}
        told = Propagation(knows_extent=True).fill(task)
        np.testing.assert_array_equal(told.masks, filled.masks)


class TestProtocol:
    def test_slices_are_spread_over_those_that_hold_the_object(self):
        truth = np.zeros((30, 4, 4), bool)
        truth[10:20, 1, 1] = True
        assert slices_to_annotate(truth, 1) == (15,)
        assert slices_to_annotate(truth, 3) == (11, 15, 18)
        assert slices_to_annotate(truth, 50) == tuple(range(10, 20))
        truth[12:19] = False
        assert set(slices_to_annotate(truth, 2)) <= {10, 11, 19}

    def test_clicks_find_what_the_model_can_find(self, image, labels):
        session = Session(BrightPartsModel(), image[5])
        np.testing.assert_array_equal(clicked_mask(session, labels[5] == 1, 2), labels[5] == 1)
        assert len(session.prompts) == 2

    def test_each_object_gets_every_rule_and_is_clicked_by_hand(self, sample):
        first, second = evaluate_volumes(BrightPartsModel(), [sample], SETTINGS)
        assert {one.label for one in first} == {1}
        assert {one.label for one in second} == {2}
        rules = [one.rule for one in first if one.n_slices == 3]
        assert rules[0] == "propagation"
        assert len(rules) == len(set(rules)) == 8
        assert [one.rule for one in first if one.n_slices == 0] == [BY_HAND]
        assert {one.n_clicks for one in first if one.n_slices == 3} == {6}
        assert next(one for one in first if one.rule == BY_HAND).n_clicks == 20
        assert all(one.dice > 0.9 for one in first if one.rule in ("propagation", BY_HAND))
        assert all(0 <= one.iou <= one.dice <= 1 for one in first + second)

    def test_leak_is_counted_where_the_end_was_not_told(self, sample):
        first = next(iter(evaluate_volumes(BrightPartsModel(), [sample], SETTINGS)))
        leaks = {one.rule: one.leak for one in first}
        assert leaks["propagation"] == 0
        assert leaks["copy of the nearest slice"] is None

    def test_true_masks_take_no_clicks(self, sample):
        settings = VolumeSettings((2,), takes_true_masks=True, clicks_by_hand=False, min_voxels=1)
        results = next(iter(evaluate_volumes(BrightPartsModel(), [sample], settings, rules=[Copying()])))
        assert [(one.rule, one.n_clicks) for one in results] == [("copy of the nearest slice", 0)]

    def test_annotated_slices_on_which_nothing_was_found_give_nothing(self, sample):
        class BlindModel(BrightPartsModel):
            def predict_logits(self, embedding, clicks, previous_masks):
                return super().predict_logits(embedding, clicks, previous_masks) * 0 - 4

        results = next(iter(evaluate_volumes(BlindModel(), [sample], SETTINGS)))
        assert {one.dice for one in results} == {0.0}

    def test_settings_refuse_nonsense(self):
        with pytest.raises(ValueError, match="annotated slices"):
            VolumeSettings(())
        with pytest.raises(ValueError, match="n_clicks is 0"):
            VolumeSettings(n_clicks=0)


def result(rule, dice, *, group="a", n_slices=2, leak=None, confidences=(), slice_dices=()):
    return FillResult("v", group, 1, rule, n_slices, 4, dice, dice / 2, leak, 10, confidences, slice_dices, 0.5)


class TestReport:
    def test_table_has_rules_by_groups_and_marks_the_best(self):
        report = VolumeReport(
            "model",
            (
                result("propagation", 0.9, leak=3, confidences=(0.1, 0.5, 0.9), slice_dices=(0.2, 0.85, 0.95)),
                result("copy", 0.5),
                result(BY_HAND, 0.95, n_slices=0),
                result("propagation", 0.6, group="b", leak=0),
                result("copy", 0.7, group="b"),
            ),
        )
        table = report.to_markdown()
        assert "| propagation | **90.0** | 60.0 |" in table
        assert "| copy | 50.0 | **70.0** |" in table
        assert f"| {BY_HAND} | 95.0 | nan |" in table
        assert "| *objects that leak more than 2 slices (%)* | 100 | 0 |" in table
        assert "| *confidence against Dice, Spearman* | 1 | – |" in table
        assert "| *AUC of confidence for slices below Dice 0.8* | 1 | – |" in table

    def test_json_holds_each_object_and_the_summary(self):
        report = VolumeReport("model", (result("propagation", 0.9, leak=0), result("propagation", 0.7, leak=5)))
        read = json.loads(report.to_json())
        (entry,) = read["summary"]
        assert entry["dice"] == pytest.approx(0.8)
        assert entry["leaks"] == 50
        assert len(read["objects"]) == 2
