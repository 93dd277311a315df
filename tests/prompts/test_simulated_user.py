"""The simulated user's clicks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import distance_transform_edt

from napari_segnext.errors import PromptError
from napari_segnext.prompts import Click
from napari_segnext.prompts.simulated_user import next_click

SHAPE = (9, 11)


def test_all_recorded_clicks_of_the_original_are_met_exactly(golden_folder):
    recorded = np.load(golden_folder / "click_sim.npz")
    n_cases = sum(name.startswith("gt_") for name in recorded.files)
    assert n_cases == 10
    for case in range(n_cases):
        clicks: list[Click] = []
        for prediction in recorded[f"preds_{case}"]:
            clicks.append(next_click(recorded[f"gt_{case}"], prediction, already_clicked=clicks))
        ours = [(click.row, click.column, click.is_positive) for click in clicks]
        assert ours == [tuple(click) for click in recorded[f"clicks_{case}"]]


def test_first_click_is_the_centre_of_the_object():
    truth = np.zeros((9, 9), np.int8)
    truth[2:7, 3:8] = 1
    assert next_click(truth, np.zeros((9, 9), bool)) == Click(4, 5, True)


def test_click_is_negative_in_the_middle_of_what_is_too_much():
    truth = np.zeros((12, 12), np.int8)
    truth[0, 0] = 1
    prediction = np.zeros((12, 12), bool)
    prediction[5:10, 5:10] = True
    assert next_click(truth, prediction) == Click(7, 7, False)


def test_equally_deep_errors_give_a_negative_click():
    truth = np.zeros((5, 10), np.int8)
    truth[1:4, 1:4] = 1
    prediction = np.zeros((5, 10), bool)
    prediction[1:4, 6:9] = True
    assert next_click(truth, prediction) == Click(2, 7, False)


def test_border_of_the_image_counts_as_an_edge():
    truth = np.ones((7, 7), np.int8)
    assert next_click(truth, np.zeros((7, 7), bool)) == Click(3, 3, True)


def test_first_of_equally_deep_pixels_is_taken_in_row_major_order():
    truth = np.zeros((6, 8), np.int8)
    truth[2:4, 1:7] = 1
    assert next_click(truth, np.zeros((6, 8), bool)) == Click(2, 1, True)


def test_pixel_that_was_clicked_is_not_chosen_again():
    truth = np.zeros((5, 5), np.int8)
    truth[1:4, 1:4] = 1
    first = next_click(truth, np.zeros((5, 5), bool))
    second = next_click(truth, np.zeros((5, 5), bool), already_clicked=[first])
    assert (first, second) == (Click(2, 2, True), Click(1, 1, True))


def test_ignored_pixels_are_no_error():
    truth = np.full((6, 6), -1, np.int8)
    truth[4, 4] = 1
    prediction = np.ones((6, 6), bool)
    prediction[4, 4] = False
    assert next_click(truth, prediction) == Click(4, 4, True)


@pytest.mark.parametrize("already_clicked", [[], [Click(0, 0, False)]], ids=["for the first time", "again"])
def test_perfect_prediction_gives_a_negative_click_at_the_origin(already_clicked):
    truth = np.eye(4, dtype=np.int8)
    assert next_click(truth, truth == 1, already_clicked=already_clicked) == Click(0, 0, False)


def test_error_whose_every_pixel_was_clicked_gives_a_negative_click_at_the_origin():
    truth = np.zeros((4, 4), np.int8)
    truth[2, 2] = 1
    assert next_click(truth, np.zeros((4, 4), bool), already_clicked=[Click(2, 2)]) == Click(0, 0, False)


@settings(max_examples=60, deadline=None)
@given(
    truth=arrays(np.int8, SHAPE, elements=st.sampled_from([-1, 0, 1])),
    prediction=arrays(bool, SHAPE),
    clicked=st.lists(st.tuples(st.integers(0, SHAPE[0] - 1), st.integers(0, SHAPE[1] - 1)), max_size=4),
)
def test_bounding_boxes_give_the_clicks_of_the_whole_image(truth, prediction, clicked):
    def depths(part: np.ndarray) -> np.ndarray:
        map_of_depths = distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1].astype(np.float32)
        for row, column in clicked:
            map_of_depths[row, column] = 0
        return map_of_depths

    missed, surplus = depths((truth == 1) & ~prediction), depths((truth == 0) & prediction)
    is_positive = missed.max() > surplus.max()
    row, column = np.unravel_index(np.argmax(missed if is_positive else surplus), SHAPE)
    clicks = [Click(row, column) for row, column in clicked]
    assert next_click(truth, prediction, already_clicked=clicks) == Click(row, column, is_positive)


def test_arrays_of_two_images_are_refused():
    with pytest.raises(PromptError, match="truth has shape \\(4, 4\\) and prediction \\(4, 5\\)"):
        next_click(np.zeros((4, 4), np.int8), np.zeros((4, 5), bool))
