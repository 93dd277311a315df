from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_segnext.errors import PromptError, PromptOutsideImageError
from napari_segnext.prompts import Box, Click, MaskPrompt, Polygon, Prompts, Scribble, clicks_from_prompt

SHAPE = (50, 80)


def clicks(prompt, spacing_px=5.0):
    return clicks_from_prompt(prompt, SHAPE, spacing_px=spacing_px)


def test_click_is_itself_with_its_sign():
    assert clicks(Click(3, 4)).tolist() == [[3, 4, 1]]
    assert clicks(Click(3.5, 4.25, is_positive=False)).tolist() == [[3.5, 4.25, -1]]


def test_box_becomes_its_four_corners_as_negative_clicks():
    assert clicks(Box(10, 20, 30, 60)).tolist() == [[10, 20, -1], [10, 60, -1], [30, 60, -1], [30, 20, -1]]


def test_box_drawn_from_any_corner_is_the_same():
    assert Box(30, 60, 10, 20) == Box(10, 20, 30, 60)


def test_polygon_becomes_its_vertices_as_negative_clicks_without_repeating_the_first():
    polygon = Polygon([(5, 5), (5, 20), (20, 5), (5, 5)])
    assert clicks(polygon).tolist() == [[5, 5, -1], [5, 20, -1], [20, 5, -1]]


def test_scribble_becomes_clicks_whose_disks_overlap():
    rows = clicks(Scribble([(10, 10), (10, 70), (40, 70)]), spacing_px=5)
    assert np.linalg.norm(np.diff(rows[:, :2], axis=0), axis=1).max() <= 5
    assert rows[0].tolist() == [10, 10, 1]
    assert rows[-1].tolist() == [40, 70, 1]


def test_negative_scribble_gives_negative_clicks():
    assert (clicks(Scribble([(10, 10), (20, 20)], is_positive=False))[:, 2] == -1).all()


def test_scribble_of_one_point_is_a_dot():
    assert clicks(Scribble([(10, 10)])).tolist() == [[10, 10, 1]]


def test_mask_gives_no_clicks():
    assert clicks(MaskPrompt(np.ones(SHAPE))).shape == (0, 3)


def test_box_half_outside_is_clipped_to_the_image():
    rows = clicks(Box(-30, -30, 20, 40))
    assert sorted(map(tuple, rows[:, :2].tolist())) == [(0, 0), (0, 40), (20, 0), (20, 40)]


def test_polygon_half_outside_is_clipped_to_the_image():
    rows = clicks(Polygon([(25, -20), (25, 20), (45, 0)]))
    assert (rows[:, 1] >= 0).all()
    assert [25, 0, -1] in rows.tolist()
    assert [25, 20, -1] in rows.tolist()


def test_scribble_half_outside_keeps_the_part_on_the_image():
    rows = clicks(Scribble([(25, -40), (25, 40)]))
    assert rows[:, 1].min() >= 0
    assert rows[:, 1].max() == 40


@pytest.mark.parametrize(
    "prompt",
    [
        Click(50, 4),
        Click(4, -1),
        Box(60, 10, 70, 20),
        Polygon([(-5, 0), (-5, 10), (-9, 5)]),
        Scribble([(90, 90), (95, 95)]),
    ],
    ids=lambda prompt: prompt.kind,
)
def test_prompt_wholly_outside_is_refused(prompt):
    with pytest.raises(PromptOutsideImageError, match="50 rows and 80 columns") as caught:
        clicks(prompt)
    assert caught.value.image_shape == SHAPE


def test_click_within_the_outermost_half_pixel_counts_as_inside():
    assert clicks(Click(-0.4, 79.4)).tolist() == [[0, 79, 1]]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Click(np.nan, 1), "not finite"),
        (lambda: Box(1, 1, 1, 5), "no area"),
        (lambda: Box(1, 1, np.inf, 5), "not finite"),
        (lambda: Polygon([(0, 0), (1, 1)]), "at least 3"),
        (lambda: Polygon([]), "expected \\(n, 2\\)"),
        (lambda: Scribble(np.zeros((0, 2))), "n at least 1"),
        (lambda: Scribble([(1, 2, 3)]), "expected \\(n, 2\\)"),
        (lambda: Scribble([(1, 2)], width=0), "width above 0"),
        (lambda: MaskPrompt(np.zeros((4, 4))), "mask is empty"),
        (lambda: MaskPrompt(np.ones(4)), "expected \\(H, W\\)"),
        (lambda: MaskPrompt(np.full((2, 2), np.nan)), "not finite"),
    ],
    ids=[
        "NaN click",
        "flat box",
        "endless box",
        "two vertices",
        "no vertices",
        "empty scribble",
        "3D scribble",
        "thin scribble",
        "empty mask",
        "1D mask",
        "NaN mask",
    ],
)
def test_prompts_that_say_nothing_are_refused(make, words):
    with pytest.raises(PromptError, match=words):
        make()


def test_mask_prompts_compare_by_value_and_cannot_be_changed():
    mask = np.eye(4)
    one, other = MaskPrompt(mask), MaskPrompt(mask)
    assert one == other
    assert hash(one) == hash(other)
    mask[:] = 0
    assert one.mask.any()
    with pytest.raises(ValueError, match="read-only"):
        one.mask[0, 0] = False


def test_all_kinds_mix_in_the_order_given():
    prompts = Prompts((Click(1, 1), Box(2, 2, 9, 9), MaskPrompt(np.ones(SHAPE)), Scribble([(5, 5)], is_positive=False)))
    rows = prompts.as_clicks(SHAPE, spacing_px=5)
    assert rows[:, 2].tolist() == [1, -1, -1, -1, -1, -1]
    assert prompts.last_mask is not None
    assert Prompts().as_clicks(SHAPE, spacing_px=5).shape == (0, 3)


def test_equal_prompts_are_removed_and_replaced_from_the_end():
    prompts = Prompts((Click(1, 1), Click(2, 2), Click(1, 1)))
    assert prompts.removing(Click(1, 1)).items == (Click(1, 1), Click(2, 2))
    assert prompts.replacing(Click(1, 1), Click(9, 9)).items == (Click(1, 1), Click(2, 2), Click(9, 9))


coordinate = st.floats(-200, 200)


@given(st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=12), st.sampled_from([Polygon, Scribble]))
def test_clicks_of_any_shape_lie_on_the_image(points, kind):
    try:
        rows = clicks(kind(points))
    except PromptError:
        return
    assert len(rows) > 0
    assert (rows[:, :2] >= 0).all()
    assert (rows[:, :2] <= np.array(SHAPE) - 1).all()
