"""Whatever single tiles tell of the true objects, the stitched labels are the true ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_segnext.everything.mask_store import MaskStore
from napari_segnext.everything.parts import part_from_candidate
from napari_segnext.everything.tiles import plan_tiles
from tests.everything.conftest import candidate_of
from tests.everything.true_objects import KINDS, all_told, connected, off_by_a_pixel, stitched, thick, wide_cells
from tests.session.test_zoom import iou


def assert_same_up_to_numbers(labels, truth):
    """Every true object is one label, every label one true object, and what is free is free."""
    np.testing.assert_array_equal(labels == 0, truth == 0)
    pairs = np.unique(np.stack([labels.ravel(), truth.ravel()]), axis=1)
    assert len(pairs.T) == len(np.unique(truth)) == len(np.unique(labels))


@st.composite
def scenes(draw):
    """(kind of objects, seed, image shape, side of a tile, overlap)."""
    overlap = draw(st.integers(8, 24))
    tile = draw(st.integers(2 * overlap, 72))
    shape = draw(st.tuples(st.integers(1, 150), st.integers(1, 150)))
    return draw(st.sampled_from(KINDS)), draw(st.integers(0, 2**32 - 1)), shape, tile, overlap


@pytest.mark.parametrize("is_split", [True, False], ids=["connected parts", "objects cut to the tile"])
@given(scene=scenes())
@settings(max_examples=40, deadline=None)
def test_nothing_is_cut_nothing_doubled_and_nothing_joined_that_is_apart(is_split, scene):
    draw_objects, seed, shape, *tiles = scene
    generator = np.random.default_rng(seed)
    truth, plan = connected(draw_objects(generator, shape)), plan_tiles(shape, *tiles)
    assert_same_up_to_numbers(stitched(all_told(truth, plan, generator, is_split=is_split), plan), truth)


@given(scene=scenes(), random=st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_the_order_of_tiles_and_parts_does_not_matter(scene, random):
    draw_objects, seed, shape, *tiles = scene
    generator = np.random.default_rng(seed)
    truth, plan = connected(draw_objects(generator, shape)), plan_tiles(shape, *tiles)
    parts = all_told(truth, plan, generator, noise=off_by_a_pixel(generator))
    labels = stitched(parts, plan)
    random.shuffle(parts)
    np.testing.assert_array_equal(stitched(parts, plan), labels)


def touching(generator, shape):
    return thick(generator, shape, gap_px=0)


def apart(generator, shape):
    return thick(generator, shape, gap_px=4)


@st.composite
def wide_scenes(draw):
    """As `scenes`, with objects and strips wide enough to lose a pixel all around."""
    overlap = draw(st.integers(16, 28))
    tile = draw(st.integers(2 * overlap, 90))
    shape = draw(st.tuples(st.integers(60, 180), st.integers(60, 180)))
    return draw(st.sampled_from([touching, apart, wide_cells])), draw(st.integers(0, 2**32 - 1)), shape, tile, overlap


@given(scene=wide_scenes())
@settings(max_examples=40, deadline=None)
def test_where_tiles_are_off_by_a_pixel_every_object_is_still_one_label(scene):
    draw_objects, seed, shape, *tiles = scene
    generator = np.random.default_rng(seed)
    truth, plan = draw_objects(generator, shape), plan_tiles(shape, *tiles)
    labels = stitched(all_told(truth, plan, generator, noise=off_by_a_pixel(generator), min_px=20), plan)
    of_object = []
    for number in np.unique(truth[truth > 0]):
        found = labels[truth == number]
        of_object.append(np.bincount(found[found > 0]).argmax())
        assert iou(labels == of_object[-1], truth == number) > 0.7
    assert sorted(of_object) == [*range(1, labels.max() + 1)], "none is cut, and no two are joined"


class TestTwoTiles:
    """Tiles of 40 × 40 that both see 16 columns, 24 to 39; the seam runs at 32."""

    plan = plan_tiles((40, 64), 40, 16)

    def labels(self, left, right):
        """Of the objects `(rows, columns)` of slices or of masks over the image that each tile tells."""
        store, parts = MaskStore(), []
        for tile, found in zip(self.plan, (left, right), strict=True):
            for number, one in enumerate(found):
                mask = np.zeros((40, 64), bool)
                mask[one] = True
                seen = mask[tile.outer.slices]
                parts.append(part_from_candidate(candidate_of(seen, 10 * tile.index + number), tile, store))
        return stitched(parts, self.plan)

    def test_a_bar_from_end_to_end_is_one_object(self):
        labels = self.labels([np.s_[10:20, 0:40]], [np.s_[10:20, 24:64]])
        assert (labels[10:20] == 1).all() and (labels > 0).sum() == 640

    def test_of_an_object_that_both_see_whole_the_one_in_whose_core_its_middle_lies_is_drawn(self):
        labels = self.labels([np.s_[10:20, 27:37]], [np.s_[10:20, 28:37]])
        assert (labels > 0).sum() == 90 and labels.max() == 1

    def test_what_one_tile_sees_whole_is_not_doubled_by_what_the_other_sees_of_it(self):
        labels = self.labels([np.s_[10:20, 30:40]], [np.s_[10:20, 29:60]])
        assert labels.max() == 1 and (labels[10:20, 29:60] == 1).all() and (labels > 0).sum() == 310

    def test_what_was_seen_whole_is_drawn_as_it_was_seen_there(self):
        labels = self.labels([np.s_[8:22, 30:40]], [np.s_[10:20, 29:60]])
        assert labels.max() == 1 and (labels[10:20, 29:60] == 1).all() and (labels > 0).sum() == 310

    def test_what_the_other_tile_has_missed_stays_cut(self):
        labels = self.labels([np.s_[10:20, 5:40]], [])
        assert (labels > 0).sum() == 350
        assert self.labels([np.s_[10:20, 33:40]], []).max() == 0, "it is for the other tile to decide"

    def test_a_fork_seen_as_two_arms_on_one_side_is_one_object(self):
        fork = np.zeros((40, 64), bool)
        fork[5:12, 20:50] = fork[25:32, 20:50] = fork[5:32, 43:50] = True
        labels = self.labels([np.s_[5:12, 20:40], np.s_[25:32, 20:40]], [fork])
        assert labels.max() == 1
        np.testing.assert_array_equal(labels > 0, fork)

    def test_each_side_of_the_seam_is_drawn_by_its_own_tile(self):
        labels = self.labels([np.s_[10:20, 0:40]], [np.s_[11:21, 24:64]])
        assert labels.max() == 1
        assert (labels[10:20, :32] == 1).all() and (labels[11:21, 32:] == 1).all() and (labels > 0).sum() == 640

    def test_touching_neighbours_stay_apart(self):
        labels = self.labels([np.s_[0:10, 0:40], np.s_[10:20, 0:40]], [np.s_[0:10, 24:64], np.s_[10:20, 24:64]])
        assert labels.max() == 2
        assert len(np.unique(labels[0:10])) == len(np.unique(labels[10:20])) == 1

    def test_two_that_one_tile_takes_for_one_go_to_the_wider_of_them(self):
        """The limit of what can be known: what one tile joins is joined as far as most of it agrees."""
        labels = self.labels([np.s_[0:18, 0:40]], [np.s_[0:12, 24:64], np.s_[12:18, 24:64]])
        assert labels[5, 5] == labels[5, 60] != labels[15, 60] > 0
        labels = self.labels([np.s_[0:18, 0:40]], [np.s_[0:9, 24:64], np.s_[9:18, 24:64]])
        assert len({labels[5, 5], labels[5, 60], labels[15, 60]}) == 3, "half of it each: nothing is joined"

    def test_those_that_disagree_in_the_strip_are_two(self):
        labels = self.labels([np.s_[5:15, 0:40]], [np.s_[12:22, 24:64]])
        assert labels.max() == 2 and (labels > 0).sum() == 2 * 400 - 3 * 16
