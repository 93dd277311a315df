from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("napari")

from napari_segnext.annotator.strokes import stroke_masks, stroke_path


def drawn(text: str) -> np.ndarray:
    return np.array([[pixel == "#" for pixel in line.split()] for line in text.strip().splitlines()])


def test_touching_pixels_are_one_stroke_and_others_are_another():
    masks = stroke_masks(
        drawn("""
        . # . . .
        . . # . .
        . . . . .
        # # . . .
        """)
    )
    assert [(stroke.corner, int(stroke.mask.sum())) for stroke in masks] == [((0, 1), 2), ((3, 0), 2)]


def test_strokes_away_from_the_border_lie_where_they_were_painted():
    painted = np.zeros((40, 50), bool)
    painted[10, 20:25], painted[30, 15] = True, True
    one, other = stroke_masks(painted)
    assert (one.corner, one.mask.shape) == ((10, 20), (1, 5))
    assert (other.corner, other.mask.shape) == ((30, 15), (1, 1))


def test_nothing_painted_gives_no_stroke():
    assert stroke_masks(np.zeros((5, 5), bool)) == []


def test_straight_stroke_is_walked_from_end_to_end():
    path, width = stroke_path(np.ones((1, 9), bool))
    assert path.tolist() == [[0, 0], [0, 8]]
    assert width == 1


def test_single_pixel_is_a_path_of_one():
    path, width = stroke_path(np.ones((1, 1), bool))
    assert path.tolist() == [[0, 0]]
    assert width == 1


def test_thick_stroke_has_its_width_and_runs_in_the_middle():
    path, width = stroke_path(np.ones((5, 40), bool))
    assert (abs(path[:, 0] - 2) <= 1).all()
    assert np.ptp(path[:, 1]) > 30
    assert 4 < width < 7


def test_branches_are_all_visited_and_the_path_stays_on_the_stroke():
    cross = drawn("""
    . . . # . . .
    . . . # . . .
    . . . # . . .
    # # # # # # #
    . . . # . . .
    . . . # . . .
    """)
    path, _ = stroke_path(cross)
    ends = {(0, 3), (3, 0), (3, 6), (5, 3)}
    assert ends <= {(int(row), int(column)) for row, column in path}
    for start, end in pairwise(path):
        for fraction in np.linspace(0, 1, 20):
            distance = np.linalg.norm(np.argwhere(cross) - (start + fraction * (end - start)), axis=1)
            assert distance.min() < 1


def test_ring_is_walked_round():
    rows, columns = np.mgrid[:21, :21]
    radius = np.hypot(rows - 10, columns - 10)
    path, _ = stroke_path((radius > 7) & (radius < 9))
    assert len(path) > 6
    assert path[:, 0].min() < 4 and path[:, 0].max() > 16


def test_path_does_not_depend_on_anything_but_the_pixels():
    blob = np.random.default_rng(3).random((30, 30)) > 0.4
    strokes = stroke_masks(blob)
    for stroke in strokes:
        one, other = stroke_path(stroke.mask), stroke_path(stroke.mask.copy())
        np.testing.assert_array_equal(one[0], other[0])
