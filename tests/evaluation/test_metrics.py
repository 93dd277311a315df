"""The numbers by which models are compared."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from napari_segnext.evaluation.metrics import bootstrap_interval, iou, mean_iou_curve, miou_at_k, noc, noc_std, nof

IOUS = [[0.2, 0.86, 0.91], [0.5, 0.6, 0.96, 0.97], [0.1, 0.2, 0.3]]


def test_recorded_numbers_of_the_original_are_met(golden_folder):
    recorded = json.loads((golden_folder / "metrics.json").read_text())
    ious, max_clicks = recorded["ious"], recorded["max_clicks"]
    for i, threshold in enumerate(recorded["thresholds"]):
        assert noc(ious, threshold, max_clicks=max_clicks) == pytest.approx(recorded["noc"][i], abs=1e-12)
        assert noc_std(ious, threshold, max_clicks=max_clicks) == pytest.approx(recorded["noc_std"][i], abs=1e-12)
        assert nof(ious, threshold, max_clicks=max_clicks) == recorded["nof"][i]


def test_recorded_ious_of_the_original_are_met(golden_folder):
    recorded = np.load(golden_folder / "click_sim.npz")
    for case in range(10):
        ours = [iou(recorded[f"gt_{case}"], mask) for mask in recorded[f"preds_{case}"]]
        np.testing.assert_array_equal(ours, recorded[f"ious_{case}"])


def test_iou_leaves_ignored_pixels_out():
    truth = np.array([[1, 1, 0, 0, -1, -1]])
    mask = np.array([[True, False, True, False, True, False]])
    assert iou(truth, mask) == 1 / 3


def test_iou_of_nothing_with_nothing_is_not_a_number():
    assert math.isnan(iou(np.zeros((2, 2), np.int8), np.zeros((2, 2), bool)))


def test_iou_of_two_shapes_is_refused():
    with pytest.raises(ValueError, match="expected the same shape"):
        iou(np.zeros((2, 2), np.int8), np.zeros((2, 3), bool))


def test_noc_counts_clicks_up_to_the_first_that_is_good_enough():
    assert noc([[0.2, 0.86, 0.5, 0.9]], 0.85) == 2


def test_object_that_never_gets_there_takes_all_clicks():
    assert noc(IOUS, 0.95, max_clicks=20) == (20 + 3 + 20) / 3
    assert nof(IOUS, 0.95, max_clicks=20) == 2


def test_success_at_the_very_last_click_counts_as_failure_as_in_the_original():
    assert nof([[0.1, 0.2, 0.99]], 0.9, max_clicks=3) == 1


def test_thresholds_are_compared_as_float32():
    assert noc([[0.5, float(np.float32(0.9)), 1.0]], 0.9) == 2


def test_mean_curve_ends_with_the_shortest_list():
    np.testing.assert_allclose(mean_iou_curve(IOUS), [0.8 / 3, 1.66 / 3, 2.17 / 3])
    assert miou_at_k(IOUS, 3) == pytest.approx(2.17 / 3)
    assert miou_at_k(IOUS, 4) is None


def test_click_numbers_start_at_1():
    with pytest.raises(ValueError, match="k is 0"):
        miou_at_k(IOUS, 0)


@pytest.mark.parametrize("ious", [[], [[0.5], []]], ids=["no object", "no click"])
def test_nothing_to_average_is_refused(ious):
    with pytest.raises(ValueError, match="expected at least one object"):
        noc(ious, 0.9)
    with pytest.raises(ValueError, match="expected at least one object"):
        mean_iou_curve(ious)


def test_bootstrap_interval_is_that_of_the_normal_law_for_many_values():
    values = np.random.default_rng(0).normal(0.8, 0.1, size=2000)
    half = 1.96 * values.std() / math.sqrt(len(values))
    low, high = bootstrap_interval(values)
    assert low == pytest.approx(values.mean() - half, abs=half / 10)
    assert high == pytest.approx(values.mean() + half, abs=half / 10)


def test_bootstrap_interval_is_the_same_at_every_call():
    values = [0.1, 0.5, 0.9]
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval([0.5]) == (0.5, 0.5)


def test_bootstrap_of_nothing_is_refused():
    with pytest.raises(ValueError, match="n at least 1"):
        bootstrap_interval([])
    with pytest.raises(ValueError, match="level is 95"):
        bootstrap_interval([0.5], level=95)
