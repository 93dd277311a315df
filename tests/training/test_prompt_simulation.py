from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_segnext.prompts import Box, Click, Polygon, Scribble
from napari_segnext.training.prompt_simulation import PromptMix, simulate_correction, simulate_start

KINDS = ("click", "box", "polygon", "scribble", "mask")


def only(kind):
    return replace(PromptMix(), **{name: float(name == kind) for name in KINDS})


@pytest.fixture(params=["disk", "ring", "pixel", "everything", "at the border"])
def truth(request):
    rows, columns = np.mgrid[:48, :48]
    radius = np.hypot(rows - 24, columns - 20)
    return {
        "disk": radius < 12,
        "ring": (radius < 15) & (radius > 11),
        "pixel": (rows == 7) & (columns == 9),
        "everything": np.ones((48, 48), bool),
        "at the border": (rows < 10) & (columns < 30),
    }[request.param]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_start_can_be_drawn_on_every_object(kind, truth):
    for seed in range(20):
        start = simulate_start(np.random.default_rng(seed), truth, only(kind))
        clicks = start.prompts.as_clicks(truth.shape, spacing_px=3)
        assert len(clicks) > 0 or start.previous_mask.any()
        assert start.previous_mask.shape == truth.shape


def test_positive_clicks_and_scribbles_lie_on_the_object(truth):
    for kind in ("click", "scribble"):
        for seed in range(20):
            start = simulate_start(np.random.default_rng(seed), truth, only(kind))
            for prompt in start.prompts:
                if isinstance(prompt, Click):
                    assert truth[int(prompt.row), int(prompt.column)] == prompt.is_positive
                if isinstance(prompt, Scribble) and prompt.is_positive:
                    rows, columns = np.round(np.array(prompt.path)).astype(int).T
                    assert truth[rows, columns].all()


def test_box_holds_most_of_the_object(truth):
    start = simulate_start(np.random.default_rng(0), truth, only("box"))
    (box,) = (prompt for prompt in start.prompts if isinstance(prompt, Box))
    rows, columns = np.nonzero(truth)
    inside = (rows >= box.top) & (rows <= box.bottom) & (columns >= box.left) & (columns <= box.right)
    assert inside.mean() > 0.8


def test_polygon_vertices_lie_outside_a_disk():
    rows, columns = np.mgrid[:48, :48]
    truth = np.hypot(rows - 24, columns - 24) < 12
    start = simulate_start(np.random.default_rng(1), truth, only("polygon"))
    (polygon,) = (prompt for prompt in start.prompts if isinstance(prompt, Polygon))
    assert all(np.hypot(row - 24, column - 24) > 11.5 for row, column in polygon.vertices)


def test_mask_start_overlaps_the_object_but_is_not_always_exact():
    rows, columns = np.mgrid[:48, :48]
    truth = np.hypot(rows - 24, columns - 24) < 12
    masks = [simulate_start(np.random.default_rng(seed), truth, only("mask")).previous_mask > 0 for seed in range(10)]
    assert all((mask & truth).any() for mask in masks)
    assert sum(np.array_equal(mask, truth) for mask in masks) < 5


def test_correction_is_positive_where_the_object_was_missed_and_negative_where_too_much_was_taken():
    rng = np.random.default_rng(0)
    truth = np.zeros((40, 40), bool)
    truth[5:20, 5:20] = True
    missed = simulate_correction(rng, truth, np.zeros_like(truth))
    assert missed.is_positive
    assert truth[int(missed.row), int(missed.column)]
    too_much = simulate_correction(rng, truth, np.ones_like(truth))
    assert not too_much.is_positive
    assert not truth[int(too_much.row), int(too_much.column)]


def test_right_answer_needs_no_correction_and_a_single_wrong_pixel_gets_one():
    truth = np.zeros((20, 20), bool)
    truth[5:9, 5:9] = True
    assert simulate_correction(np.random.default_rng(0), truth, truth) is None
    answer = truth.copy()
    answer[13, 13] = True
    assert simulate_correction(np.random.default_rng(0), truth, answer) == Click(13, 13, is_positive=False)


def test_half_of_the_click_starts_are_one_positive_click():
    truth = np.zeros((60, 60), bool)
    truth[10:30, 20:50] = True
    starts = [simulate_start(np.random.default_rng(seed), truth, only("click")).prompts for seed in range(300)]
    assert 0.5 < np.mean([len(prompts) == 1 for prompts in starts]) < 0.75


def test_masks_of_another_slice_differ_in_place_and_size():
    rows, columns = np.mgrid[:96, :96]
    truth = np.hypot(rows - 48, columns - 48) < 16
    masks = [simulate_start(np.random.default_rng(seed), truth, only("mask")).previous_mask for seed in range(60)]
    areas = [(mask > 0.5).sum() / truth.sum() for mask in masks]
    overlaps = [((mask > 0.5) & truth).sum() / ((mask > 0.5) | truth).sum() for mask in masks]
    assert min(areas) < 0.7
    assert max(areas) > 1.3
    assert 0.5 < np.median(overlaps) < 0.95
    assert any(((mask > 0) & (mask < 1)).any() for mask in masks)
    assert any(np.isin(mask, (0, 1)).mean() > 0.95 for mask in masks)
