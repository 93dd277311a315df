from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_segnext.everything.tiles import plan_tiles
from napari_segnext.session.windows import Window


@st.composite
def plans(draw):
    """(image shape, side of a tile, overlap), of all kinds."""
    shape = draw(st.tuples(st.integers(1, 160), st.integers(1, 160)))
    overlap = draw(st.integers(8, 30))
    return shape, draw(st.integers(2 * overlap, 90)), overlap


@given(plans())
@settings(max_examples=150, deadline=None)
def test_cores_partition_the_image_exactly(plan):
    shape = plan[0]
    n_owners = np.zeros(shape, int)
    for tile in plan_tiles(*plan):
        n_owners[tile.core.slices] += 1
        assert tile.outer.contains(tile.core) and Window.whole(shape).contains(tile.outer)
        assert tile.outer.height <= plan[1] and tile.outer.width <= plan[1]
    assert (n_owners == 1).all()


@given(plans())
@settings(max_examples=150, deadline=None)
def test_neighbours_see_the_overlap_together_and_half_of_it_lies_on_either_side_of_the_seam(plan):
    (rows, columns), _, overlap = plan
    tiles = plan_tiles(*plan)
    for spans, n_pixels in ((tiles.rows, rows), (tiles.columns, columns)):
        assert spans[0].start == 0 and spans[-1].stop == n_pixels
        for one, other in pairwise(spans):
            assert one.stop - other.start >= overlap
            assert one.stop - one.core_stop >= overlap // 2 and other.core_start - other.start >= overlap // 2


@given(plans(), st.tuples(*[st.integers(0, 159)] * 4))
@settings(max_examples=150, deadline=None)
def test_the_tiles_about_a_window_are_those_that_see_or_decide_a_pixel_of_it(plan, places):
    tiles, (rows, columns) = plan_tiles(*plan), plan[0]
    (top, bottom), (left, right) = (
        sorted((one % n, other % n))
        for one, other, n in ((places[0], places[1], rows), (places[2], places[3], columns))
    )
    window = Window(top, left, bottom - top + 1, right - left + 1)

    def meets(other):
        return other.top < window.bottom and other.bottom > top and other.left < window.right and other.right > left

    assert tiles.seeing(window) == [tile.index for tile in tiles if meets(tile.outer)]
    assert tiles.deciding(window) == [tile.index for tile in tiles if meets(tile.core)]


def test_a_small_image_is_one_tile():
    (tile,) = plan_tiles((300, 400), 512, 64)
    assert tile.outer == tile.core == tile.inside(5) == Window(0, 0, 300, 400)


def test_tiles_are_numbered_row_by_row_and_laid_out_evenly():
    tiles = plan_tiles((100, 190), 100, 10)
    assert [tile.outer for tile in tiles] == [Window(0, 0, 100, 100), Window(0, 90, 100, 100)]
    assert [tile.core for tile in tiles] == [Window(0, 0, 100, 95), Window(0, 95, 100, 95)]
    assert tiles[1].inside(2) == Window(0, 92, 100, 98), "the border of the image is no inner one"
    with pytest.raises(IndexError, match="no tile 2; expected 0 to 1"):
        tiles[2]


def test_a_plan_of_many_tiles_is_not_made_tile_by_tile():
    tiles = plan_tiles((50_000, 50_000), 1024, 128)
    assert len(tiles) == 56 * 56
    assert tiles[len(tiles) - 1].outer == Window(48976, 48976, 1024, 1024)
    assert len(tiles.seeing(Window(20_000, 20_000, 10, 10))) in (1, 2, 4)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (((0, 10), 64, 8), "0 rows and 10 columns; expected 1"),
        (((10, 10), 64, 7), "overlap by 7 pixels; expected 8 at least"),
        (((10, 10), 64, 33), "64 pixels wide and overlap by 33; expected an overlap of half a tile"),
    ],
)
def test_what_cannot_be_cut_is_refused(plan, words):
    with pytest.raises(ValueError, match=words):
        plan_tiles(*plan)
