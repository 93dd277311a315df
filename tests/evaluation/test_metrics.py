"""The numbers by which models are compared."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import ndimage

from napari_segnext.evaluation.metrics import (
    bootstrap_interval,
    boundary_iou,
    iou,
    mean_iou_curve,
    miou_at_k,
    noc,
    noc_std,
    nof,
)

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


def square(top: int, left: int, side: int, shape: tuple[int, int] = (100, 100)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def by_erosion(truth: np.ndarray, mask: np.ndarray) -> float:
    """As the programme of Cheng et al. does it: the image is padded and eroded pixel by pixel."""
    n_times = max(1, round(0.02 * math.hypot(*truth.shape)))
    boundaries = []
    for region in (truth, mask):
        eroded = ndimage.binary_erosion(np.pad(region, 1), np.ones((3, 3)), iterations=n_times)[1:-1, 1:-1]
        boundaries.append(region & ~eroded)
    return (boundaries[0] & boundaries[1]).sum() / (boundaries[0] | boundaries[1]).sum()


@pytest.mark.parametrize(
    ("truth", "mask"),
    [
        (square(20, 30, 40), square(21, 30, 40)),
        (square(0, 0, 50), square(0, 2, 47)),
        (square(60, 60, 40), square(10, 10, 85)),
        (square(50, 50, 1), square(50, 50, 3)),
        (square(0, 0, 100), square(0, 0, 100)),
    ],
    ids=["shifted by a pixel", "at the border of the image", "much too large", "a speck", "all of the image"],
)
def test_boundary_iou_is_that_of_the_paper(truth, mask):
    assert boundary_iou(truth, mask) == by_erosion(truth, mask)


def test_boundary_iou_of_a_large_object_falls_faster_than_its_iou():
    truth, mask = square(10, 10, 80), square(11, 11, 80)
    assert iou(truth, mask) > 0.94
    assert boundary_iou(truth, mask) < 0.6


def test_boundary_iou_leaves_ignored_pixels_out():
    truth, mask = square(20, 20, 40).astype(np.int8), square(20, 20, 40)
    mask[80:90] = True
    assert boundary_iou(truth, mask) < 1
    truth[80:90] = -1
    assert boundary_iou(truth, mask) == 1


def test_boundary_iou_of_two_shapes_is_refused():
    with pytest.raises(ValueError, match="expected the same shape"):
        boundary_iou(np.zeros((2, 2), np.int8), np.zeros((2, 3), bool))


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
