from __future__ import annotations

import numpy as np
import pytest

from napari_segnext.everything import candidate_from_prediction, stability_score
from napari_segnext.prompts import Box, Click
from napari_segnext.session import Prediction
from napari_segnext.session.windows import Window
from tests.everything.conftest import candidate_of, full, square


def prediction_of(probability: np.ndarray, threshold: float = 0.5) -> Prediction:
    return Prediction.whole(probability.astype(np.float32), threshold)


@pytest.fixture
def two_parts() -> np.ndarray:
    """`(8, 12)`: one square of 0.9, one of 0.7, and 0.1 elsewhere."""
    probability = np.full((8, 12), 0.1)
    probability[1:5, 1:5], probability[2:6, 7:11] = 0.9, 0.7
    return probability


class TestStability:
    def test_sharp_mask_is_stable_and_a_slope_is_not(self):
        sharp = np.where(np.arange(100) < 30, 0.9, 0.1)[None]
        slope = np.linspace(0.3, 0.7, 100)[None]
        assert stability_score(sharp, 0.5) == 1
        assert stability_score(slope, 0.5) < 0.7

    def test_it_is_the_iou_of_the_two_masks(self):
        probability = np.random.default_rng(0).random((30, 30))
        high, low = probability > 0.7, probability > 0.3
        assert stability_score(probability, 0.5, delta=0.2) == (high & low).sum() / (high | low).sum()

    def test_empty_is_not_stable(self):
        assert stability_score(np.zeros((4, 4)), 0.5) == 0

    @pytest.mark.parametrize("threshold", [0.02, 0.98])
    def test_extreme_thresholds_leave_room_on_both_sides(self, threshold):
        sharp = np.where(np.arange(100) < 30, 0.995, 0.001)[None]
        assert stability_score(sharp, threshold) == 1


class TestFromPrediction:
    def test_click_takes_the_part_it_lies_on(self, two_parts):
        candidate = candidate_from_prediction(3, Click(3, 8), prediction_of(two_parts))
        assert candidate.number == 3
        assert candidate.window == Window(2, 7, 4, 4)
        assert candidate.n_pixels == 16
        assert candidate.stability == 1
        assert candidate.certainty == pytest.approx(0.7)

    def test_click_beside_its_answer_finds_nothing(self, two_parts):
        assert candidate_from_prediction(0, Click(7, 0), prediction_of(two_parts)) is None

    def test_box_takes_the_whole_answer(self, two_parts):
        candidate = candidate_from_prediction(0, Box(0, 0, 7, 11), prediction_of(two_parts))
        np.testing.assert_array_equal(full(candidate, (8, 12)), two_parts > 0.5)

    def test_empty_answer_is_no_candidate(self):
        for prompt in (Click(3, 3), Box(1, 1, 4, 4)):
            assert candidate_from_prediction(0, prompt, prediction_of(np.zeros((8, 8)))) is None

    def test_parts_that_hang_together_at_the_lowered_threshold_are_less_stable(self, two_parts):
        joined = two_parts.copy()
        joined[3, 5:7] = 0.48
        candidate = candidate_from_prediction(0, Click(3, 3), prediction_of(joined))
        assert candidate.n_pixels == 16
        assert candidate.stability < 1

    def test_answer_in_a_window_keeps_its_place(self, two_parts):
        prediction = Prediction(Window(20, 30, 8, 12), two_parts.astype(np.float32), (100, 120))
        candidate = candidate_from_prediction(0, Click(23, 38), prediction)
        assert candidate.window == Window(22, 37, 4, 4)

    def test_answer_in_blocks_is_drawn_in_pixels(self, two_parts):
        prediction = Prediction(Window(0, 0, 32, 48), two_parts.astype(np.float32), (32, 48), factor=4)
        candidate = candidate_from_prediction(0, Click(13, 34), prediction)
        assert candidate.holds(13, 34)
        np.testing.assert_array_equal(full(candidate, (32, 48)), prediction.mask & (np.arange(48) >= 24))

    @pytest.mark.parametrize("place", [(-0.5, -0.5), (3.4, 3.4)])
    def test_click_at_the_very_edge_of_the_image_counts(self, place):
        candidate = candidate_from_prediction(0, Click(*place), prediction_of(np.full((4, 4), 0.9)))
        assert candidate is not None and candidate.n_pixels == 16


class TestGeometry:
    def test_overlap_and_iou_are_those_of_the_whole_masks(self):
        generator = np.random.default_rng(0)
        for _ in range(50):
            one, other = generator.random((2, 12, 14)) > 0.8
            pair = candidate_of(one), candidate_of(other)
            assert pair[0].overlap(pair[1]) == pair[1].overlap(pair[0]) == (one & other).sum()
            assert pair[0].iou(pair[1]) == pytest.approx((one & other).sum() / (one | other).sum())

    def test_holds_asks_for_the_pixel_under_a_place(self):
        candidate = square(0, 2, 3, 4)
        assert candidate.holds(1.5, 2.5) and candidate.holds(5.4, 6.4)
        assert not candidate.holds(1.4, 3) and not candidate.holds(5.5, 4)

    def test_click_elsewhere_lies_well_inside_and_away_from_the_first(self):
        mask = np.zeros((20, 40), bool)
        mask[5:12, 4:36] = True
        candidate = candidate_of(mask)  # its click is in the upper left corner
        click = candidate.click_elsewhere()
        assert candidate.holds(click.row, click.column)
        assert click.column > 28 and 6 <= click.row <= 10
