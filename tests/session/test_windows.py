from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_segnext.prompts import Box, Click, MaskPrompt, Polygon, Prompts, Scribble
from napari_segnext.session.windows import (
    GREATEST_MAGNIFICATION,
    MARGIN,
    MIN_WINDOW_PX,
    Window,
    approach_windows,
    extent_of_mask,
    extent_of_outlines,
    extent_of_prompts,
    grown_window,
    next_window,
    touches_edge,
    window_about,
)

SHAPE = (1000, 1400)
WHOLE = Window.whole(SHAPE)


@st.composite
def windows(draw):
    top, left = draw(st.integers(0, SHAPE[0] - 1)), draw(st.integers(0, SHAPE[1] - 1))
    return Window(top, left, draw(st.integers(1, SHAPE[0] - top)), draw(st.integers(1, SHAPE[1] - left)))


@given(needed=windows())
def test_a_new_window_lies_in_the_image_and_shows_what_is_needed(needed):
    window = window_about(needed, SHAPE)
    assert WHOLE.contains(window)
    assert window.contains(needed)


@given(needed=windows(), current=windows())
def test_the_next_window_always_shows_what_is_needed(needed, current):
    assert next_window(needed, current, SHAPE).contains(needed)


@given(needed=windows(), current=windows())
def test_a_window_that_was_chosen_is_kept_when_asked_again(needed, current):
    chosen = next_window(needed, current, SHAPE)
    assert next_window(needed, chosen, SHAPE) == chosen or chosen.side / GREATEST_MAGNIFICATION > needed.side


def test_a_window_has_the_margin_about_an_object_in_the_middle():
    assert window_about(Window(400, 600, 100, 60), SHAPE).shape == (100 * MARGIN, 100 * MARGIN)


def test_a_window_about_a_tiny_object_keeps_a_least_side():
    assert window_about(Window(400, 600, 3, 3), SHAPE).shape == (MIN_WINDOW_PX, MIN_WINDOW_PX)


def test_what_a_coarse_view_shows_tiny_is_approached_in_steps():
    assert window_about(Window(400, 600, 3, 3), SHAPE, seen_in=WHOLE).side == pytest.approx(
        1400 / GREATEST_MAGNIFICATION, abs=1
    )


def test_an_object_that_fills_the_window_or_is_lost_in_it_makes_a_new_one():
    current = Window(300, 300, 300, 300)
    fitting, filling, lost = Window(380, 380, 150, 150), Window(305, 305, 290, 290), Window(440, 440, 20, 20)
    assert next_window(fitting, current, SHAPE) == current
    assert next_window(filling, current, SHAPE).side > 300
    assert next_window(lost, current, SHAPE).side < 300


def test_an_object_at_the_border_of_the_image_needs_no_margin_there():
    current = Window(0, 0, 300, 300)
    assert next_window(Window(0, 0, 150, 150), current, SHAPE) == current


def test_a_grown_window_is_larger_and_never_leaves_the_image():
    grown = grown_window(Window(0, 0, 100, 100), Window(0, 0, 150, 150), SHAPE)
    assert grown.side > 150
    assert WHOLE.contains(grown)
    assert grown_window(WHOLE, WHOLE, SHAPE) == WHOLE


def test_an_answer_touches_an_inner_edge_but_not_the_border_of_the_image():
    mask = np.zeros((100, 100), dtype=bool)
    mask[:, :20] = True
    assert touches_edge(mask, Window(0, 100, 100, 100), SHAPE)
    assert not touches_edge(mask[:60], Window(0, 0, SHAPE[0], 100), SHAPE)


def test_extents_are_those_of_what_says_where_the_object_is():
    prompts = Prompts(
        (
            Click(5, 7),
            Click(500, 500, is_positive=False),
            Scribble([(20, 30), (25, 60)]),
            MaskPrompt(np.ones(SHAPE, dtype=bool)),
        )
    )
    assert extent_of_prompts(prompts, SHAPE) == Window(5, 7, 21, 54)
    assert extent_of_outlines(prompts, SHAPE) is None
    outlines = Prompts((Box(top=10, left=20, bottom=40, right=90), Polygon([(5, 30), (60, 30), (50, 40)])))
    assert extent_of_outlines(outlines, SHAPE) == Window(5, 20, 56, 71)
    assert extent_of_prompts(Prompts((Click(3, 3, is_positive=False),)), SHAPE) is None


def test_a_box_over_the_border_is_cut_there():
    box = Prompts((Box(top=-30, left=-30, bottom=40, right=5000),))
    assert extent_of_outlines(box, SHAPE) == Window(0, 0, 41, 1400)


def test_the_extent_of_an_empty_mask_is_none():
    assert extent_of_mask(np.zeros((4, 5), dtype=bool)) is None
    mask = np.zeros((4, 5), dtype=bool)
    mask[1:3, 2] = True
    assert extent_of_mask(mask) == Window(1, 2, 2, 1)


def test_the_first_look_goes_from_the_whole_image_down_about_the_prompts():
    about = Window(900, 1300, 30, 10)
    approach = approach_windows(about, SHAPE)
    assert approach[0] == WHOLE
    sides = [window.side for window in approach]
    assert sides == sorted(sides, reverse=True)
    assert MIN_WINDOW_PX <= sides[-1] < 2.2 * MIN_WINDOW_PX
    assert all(window.contains(about) and WHOLE.contains(window) for window in approach)


def test_the_first_look_at_a_small_image_is_at_the_whole():
    assert approach_windows(Window(3, 3, 1, 1), (50, 40)) == [Window(0, 0, 50, 40)]
