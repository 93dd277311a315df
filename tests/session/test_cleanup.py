from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_segnext.errors import PromptOutsideImageError
from napari_segnext.prompts import Box, Click, MaskPrompt, Prompts, Scribble
from napari_segnext.session import cleanup as cleanup_module
from napari_segnext.session.cleanup import MAX_RADIUS_PX, Cleanup, clean_mask

TOUCHING = np.ones((3, 3), bool)

RADII = st.sampled_from([0.0, 0.4, 1.0, 1.5, 2.0, 3.7, 8.0])
SPACINGS = st.tuples(*[st.sampled_from([0.1, 0.5, 1.0, 3.0])] * 2)


def drawn(text: str) -> np.ndarray:
    return np.array([[pixel == "#" for pixel in line.split()] for line in text.strip().splitlines()])


def disk(shape, centre, radius, spacing=(1.0, 1.0)):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.hypot((rows - centre[0]) * spacing[0], (columns - centre[1]) * spacing[1]) <= radius


def n_components(mask):
    return ndimage.label(mask, TOUCHING)[1]


def iou(a, b):
    return np.count_nonzero(a & b) / np.count_nonzero(a | b)


@st.composite
def masks(draw, max_side=24):
    """Blobs, dust and lines alike: noise, some of it blurred."""
    shape = draw(st.tuples(st.integers(1, max_side), st.integers(1, max_side)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    noise = ndimage.gaussian_filter(rng.random(shape), draw(st.sampled_from([0.0, 0.7, 2.0])))
    return noise > np.quantile(noise, draw(st.floats(0, 1)))


@st.composite
def prompts_on(draw, shape):
    clicks = st.builds(Click, st.integers(0, shape[0] - 1), st.integers(0, shape[1] - 1), is_positive=st.booleans())
    return Prompts(tuple(draw(st.lists(clicks, max_size=3))))


CLEANUPS = st.builds(
    Cleanup,
    fills_holes=st.booleans(),
    max_hole=st.none() | st.sampled_from([0.0, 1.0, 4.0]),
    keeps_prompted=st.booleans(),
    min_component=st.sampled_from([0.0, 1.0, 5.0, 1000.0]),
    smoothing=RADII,
    opening=RADII,
    closing=RADII,
)


# all steps


@given(data=st.data(), mask=masks(), cleanup=CLEANUPS, spacing=SPACINGS)
@settings(deadline=None)
def test_the_answer_is_a_new_read_only_mask_and_the_input_stays(data, mask, cleanup, spacing):
    before = mask.copy()
    cleaned = clean_mask(mask, cleanup, prompts=data.draw(prompts_on(mask.shape)), spacing=spacing)
    np.testing.assert_array_equal(mask, before)
    assert (cleaned.shape, cleaned.dtype, cleaned.flags.writeable) == (mask.shape, bool, False)
    assert not np.shares_memory(cleaned, mask)


@given(data=st.data(), mask=masks(), cleanup=CLEANUPS, spacing=SPACINGS)
@settings(deadline=None)
def test_cleaning_without_the_outline_steps_twice_is_cleaning_once(data, mask, cleanup, spacing):
    cleanup = replace(cleanup, smoothing=0, opening=0, closing=0)
    prompts = data.draw(prompts_on(mask.shape))
    once = clean_mask(mask, cleanup, prompts=prompts, spacing=spacing)
    np.testing.assert_array_equal(clean_mask(once, cleanup, prompts=prompts, spacing=spacing), once)


@given(mask=masks(), cleanup=CLEANUPS, spacing=SPACINGS, rims=st.tuples(*[st.integers(1, 30)] * 4))
@settings(deadline=None)
def test_where_an_object_lies_on_the_image_does_not_matter(mask, cleanup, spacing, rims):
    """Away from the border, that is; and so it does not matter that only the box about it is looked at."""
    near = np.pad(mask, 40)
    far = np.pad(near, (rims[:2], rims[2:]))
    expected = np.pad(clean_mask(near, cleanup, spacing=spacing), (rims[:2], rims[2:]))
    np.testing.assert_array_equal(clean_mask(far, cleanup, spacing=spacing), expected)


@given(mask=masks(), cleanup=CLEANUPS, spacing=SPACINGS)
@settings(deadline=None)
def test_turning_the_image_turns_the_answer(mask, cleanup, spacing):
    if cleanup.keeps_prompted:
        cleanup = replace(cleanup, keeps_prompted=False)
    turned = clean_mask(np.rot90(mask), cleanup, spacing=spacing[::-1])
    np.testing.assert_array_equal(turned, np.rot90(clean_mask(mask, cleanup, spacing=spacing)))


@given(mask=masks(), cleanup=CLEANUPS, spacing=SPACINGS, factor=st.sampled_from([0.01, 7.3]))
@settings(deadline=None)
def test_only_the_unit_of_spacing_and_sizes_together_matters(mask, cleanup, spacing, factor):
    scaled = Cleanup(
        fills_holes=cleanup.fills_holes,
        max_hole=None if cleanup.max_hole is None else cleanup.max_hole * factor**2,
        keeps_prompted=cleanup.keeps_prompted,
        min_component=cleanup.min_component * factor**2,
        smoothing=cleanup.smoothing * factor,
        opening=cleanup.opening * factor,
        closing=cleanup.closing * factor,
    )
    np.testing.assert_array_equal(
        clean_mask(mask, scaled, spacing=[side * factor for side in spacing]),
        clean_mask(mask, cleanup, spacing=spacing),
    )


@given(mask=masks(), cleanup=CLEANUPS)
@settings(deadline=None)
def test_small_tiles_give_the_answer_of_large_ones(mask, cleanup):
    expected = clean_mask(mask, cleanup)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cleanup_module, "TILE_PX", 3)
        np.testing.assert_array_equal(clean_mask(mask, cleanup), expected)


@given(mask=masks())
@settings(deadline=None)
def test_all_off_changes_nothing(mask):
    assert Cleanup().is_off
    np.testing.assert_array_equal(clean_mask(mask, Cleanup()), mask)


@given(cleanup=CLEANUPS, fill=st.booleans(), shape=st.tuples(st.integers(0, 9), st.integers(0, 9)))
@settings(deadline=None)
def test_empty_and_full_masks_stay_as_they_are(cleanup, fill, shape):
    cleanup = replace(cleanup, min_component=0)
    mask = np.full(shape, fill)
    np.testing.assert_array_equal(clean_mask(mask, cleanup), mask)


# opening and closing


@given(mask=masks(), radius=RADII, spacing=SPACINGS)
@settings(deadline=None)
def test_opening_only_takes_away_and_is_idempotent(mask, radius, spacing):
    opened = clean_mask(mask, Cleanup(opening=radius), spacing=spacing)
    assert not (opened & ~mask).any()
    np.testing.assert_array_equal(clean_mask(opened, Cleanup(opening=radius), spacing=spacing), opened)


@given(mask=masks(), radius=RADII, spacing=SPACINGS)
@settings(deadline=None)
def test_closing_only_adds_within_the_box_of_the_mask_and_is_idempotent(mask, radius, spacing):
    closed = clean_mask(mask, Cleanup(closing=radius), spacing=spacing)
    assert not (mask & ~closed).any()
    for axis in (0, 1):
        span, closed_span = (np.flatnonzero(m.any(axis=axis)) for m in (mask, closed))
        assert len(closed_span) == 0 or (span[0], span[-1]) == (closed_span[0], closed_span[-1])
    np.testing.assert_array_equal(clean_mask(closed, Cleanup(closing=radius), spacing=spacing), closed)


@given(mask=masks(), opening=RADII, closing=RADII, spacing=SPACINGS)
@settings(deadline=None)
def test_opening_then_closing_is_idempotent(mask, opening, closing, spacing):
    cleanup = Cleanup(opening=opening, closing=closing)
    once = clean_mask(mask, cleanup, spacing=spacing)
    np.testing.assert_array_equal(clean_mask(once, cleanup, spacing=spacing), once)


@given(mask=masks(max_side=16), radius=st.sampled_from([1.0, 1.5, 2.0, 3.7]), spacing=SPACINGS)
@settings(max_examples=30, deadline=None)
def test_opening_and_closing_are_those_of_a_disk_in_physical_units(mask, radius, spacing):
    reach = [int(radius / side) + 1 for side in spacing]
    rows, columns = (np.arange(-r, r + 1) * side for r, side in zip(reach, spacing, strict=True))
    footprint = np.hypot(rows[:, None], columns[None]) <= radius * (1 + 1e-6)
    rims = [(2 * r, 2 * r) for r in reach]
    inside = tuple(slice(2 * r, -2 * r) for r in reach)
    closed = ndimage.binary_closing(np.pad(mask, rims), footprint)[inside]
    np.testing.assert_array_equal(clean_mask(mask, Cleanup(closing=radius), spacing=spacing), closed)
    # the erosion of the opening sees objects beyond the border, its dilation starts from what is on the image
    eroded = ndimage.binary_erosion(mask, footprint, border_value=1)
    opened = ndimage.binary_dilation(eroded, footprint)
    np.testing.assert_array_equal(clean_mask(mask, Cleanup(opening=radius), spacing=spacing), opened)


def test_opening_cuts_off_what_is_thin_in_physical_units():
    """A cross of two bars, both 5 pixels thick, on pixels three times as high as wide."""
    cross = np.zeros((61, 61), bool)
    cross[28:33], cross[:, 28:33] = True, True
    opened = clean_mask(cross, Cleanup(opening=4.0), spacing=(3.0, 1.0))
    assert opened[30].all()
    assert not opened[:20].any()


def test_closing_bridges_gaps_in_physical_units():
    """Gaps of 4 pixels between two squares, once beside each other, once above each other."""
    beside = np.zeros((40, 40), bool)
    beside[10:30, 4:18], beside[10:30, 22:36] = True, True
    assert n_components(clean_mask(beside, Cleanup(closing=4.0), spacing=(3.0, 1.0))) == 1
    assert n_components(clean_mask(beside.T, Cleanup(closing=4.0), spacing=(3.0, 1.0))) == 2


@pytest.mark.parametrize("corner", [(0, 0), (0, 20), (25, 59), (59, 59)])
@pytest.mark.parametrize("cleanup", [Cleanup(opening=6), Cleanup(closing=6)], ids=["opening", "closing"])
def test_a_disk_that_is_cut_by_the_border_is_neither_opened_nor_closed_there(corner, cleanup):
    mask = disk((60, 60), corner, 20.5)
    cleaned = clean_mask(mask, cleanup)
    border = np.ones_like(mask)
    border[1:-1, 1:-1] = False
    np.testing.assert_array_equal(cleaned[border], mask[border])
    assert iou(cleaned, mask) > 0.98


def test_closing_does_not_glue_an_object_to_the_border():
    mask = disk((60, 60), (30, 22), 20)
    closed = clean_mask(mask, Cleanup(closing=10))
    assert not closed[:, :2].any()


# smoothing


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (2.5, 1.0), (0.3, 1.1)], ids=str)
@pytest.mark.parametrize("radius", [1.0, 4.0, 9.0])
def test_smoothing_keeps_convex_shapes(radius, spacing):
    shape = tuple(int(120 / side) for side in spacing)
    for mask in (disk(shape, [n / 2 for n in shape], 30, spacing), disk(shape, [n / 2 for n in shape], 10, spacing)):
        smoothed = clean_mask(mask, Cleanup(smoothing=radius), spacing=spacing)
        assert iou(smoothed, mask) > 0.94
        assert 0.99 < smoothed.sum() / mask.sum() < 1.03
    square = np.zeros(shape, bool)
    square[shape[0] // 4 : -shape[0] // 4, shape[1] // 4 : -shape[1] // 4] = True
    assert iou(clean_mask(square, Cleanup(smoothing=radius), spacing=spacing), square) > 0.96


@given(mask=masks(), radius=RADII, spacing=SPACINGS)
@settings(deadline=None)
def test_smoothing_takes_no_area_away_and_no_component(mask, radius, spacing):
    smoothed = clean_mask(mask, Cleanup(smoothing=radius), spacing=spacing)
    assert smoothed.sum() >= mask.sum() * 0.75
    labels, n = ndimage.label(mask, TOUCHING)
    assert all(smoothed[ndimage.binary_dilation(labels == i, iterations=3)].any() for i in range(1, n + 1))


def test_smoothing_levels_frays_and_pinholes():
    rng = np.random.default_rng(0)
    clean = disk((160, 160), (80, 80), 50)
    depth = ndimage.distance_transform_edt(clean) - ndimage.distance_transform_edt(~clean)
    frayed = depth + rng.normal(0, 2.0, clean.shape) > 0
    frayed &= rng.random(clean.shape) > 0.02
    smoothed = clean_mask(frayed, Cleanup(smoothing=6, keeps_prompted=True), prompts=Prompts((Click(80, 80),)))
    assert (n_components(smoothed), n_components(~smoothed)) == (1, 1)
    assert iou(smoothed, clean) > 0.97 > iou(frayed, clean)


def test_smoothing_keeps_a_ring_a_ring_and_a_thin_line_in_one_piece():
    ring = disk((100, 100), (50, 50), 40) & ~disk((100, 100), (50, 50), 25)
    smoothed = clean_mask(ring, Cleanup(smoothing=5))
    assert (n_components(smoothed), ndimage.label(~smoothed)[1]) == (1, 2)
    assert iou(smoothed, ring) > 0.97
    rows = np.rint(50 + 20 * np.sin(np.arange(100) / 8)).astype(int)
    line = np.zeros((100, 100), bool)
    line[rows, np.arange(100)] = line[rows + 1, np.arange(100)] = True
    line = ndimage.binary_dilation(line)
    assert n_components(clean_mask(line, Cleanup(smoothing=12))) == 1


def test_smoothing_does_not_part_two_bodies_at_a_neck():
    mask = disk((60, 100), (30, 28), 20) | disk((60, 100), (30, 72), 20)
    mask[29:32, 40:60] = True
    assert n_components(clean_mask(mask, Cleanup(smoothing=8))) == 1


@pytest.mark.parametrize("corner", [(0, 0), (0, 40), (25, 79), (79, 79)])
def test_smoothing_does_not_round_an_object_where_the_border_cuts_it(corner):
    mask = disk((80, 80), corner, 30)
    smoothed = clean_mask(mask, Cleanup(smoothing=6))
    assert iou(smoothed, mask) > 0.96
    for side, smoothed_side in ((mask[0], smoothed[0]), (mask[:, -1], smoothed[:, -1])):
        assert abs(int(side.sum()) - int(smoothed_side.sum())) <= 4


# holes


def test_holes_are_filled_and_bays_stay():
    mask = drawn("""
    . # # # . # .
    # . . # . # .
    # # # # # # .
    . . . . . . .
    """)
    filled = clean_mask(mask, Cleanup(fills_holes=True))
    np.testing.assert_array_equal(np.argwhere(filled & ~mask), [(1, 1), (1, 2)])


def test_a_hole_at_the_border_of_the_image_is_no_hole():
    mask = np.ones((5, 5), bool)
    mask[0:2, 2] = False
    np.testing.assert_array_equal(clean_mask(mask, Cleanup(fills_holes=True)), mask)


def test_only_holes_up_to_the_given_physical_area_are_filled():
    mask = np.ones((12, 12), bool)
    mask[2, 2:5] = mask[6:8, 6:9] = False
    filled = clean_mask(mask, Cleanup(fills_holes=True, max_hole=0.3), spacing=(0.5, 0.2))
    assert filled[2].all()
    assert not filled[6:8, 6:9].any()


def test_a_hole_with_a_negative_click_stays():
    mask = np.ones((12, 12), bool)
    mask[2:4, 2:5] = mask[6:8, 6:9] = False
    filled = clean_mask(mask, Cleanup(fills_holes=True), prompts=Prompts((Click(6.6, 7.7, is_positive=False),)))
    np.testing.assert_array_equal(~filled, np.pad(np.ones((2, 3), bool), ((6, 4), (6, 3))))


@given(mask=masks())
@settings(deadline=None)
def test_no_hole_is_left(mask):
    filled = clean_mask(mask, Cleanup(fills_holes=True))
    np.testing.assert_array_equal(filled, ndimage.binary_fill_holes(mask))


# components

PARTS = drawn("""
# # . . . . .
# # . . . # .
. . . . . . .
# . . # # # .
. # . # # # .
. . . . . . .
""")
SMALL, SINGLE, DIAGONAL, LARGE = (0, 0), (1, 5), (3, 0), (4, 4)


def parts_kept(*clicks, **settings):
    cleaned = clean_mask(PARTS, Cleanup(**settings), prompts=Prompts(clicks))
    assert not (cleaned & ~PARTS).any()
    return [place for place in (SMALL, SINGLE, DIAGONAL, LARGE) if cleaned[place]]


def test_components_with_a_positive_click_or_scribble_stay():
    assert parts_kept(Click(1, 0), keeps_prompted=True) == [SMALL]
    assert parts_kept(Click(1, 0), Click(4.4, 1.4), Click(4, 4, is_positive=False), keeps_prompted=True) == [
        SMALL,
        DIAGONAL,
    ]
    assert parts_kept(Scribble([(1, -3), (1, 9)]), keeps_prompted=True) == [SMALL, SINGLE]


def test_the_largest_component_stays_if_all_were_missed():
    assert parts_kept(Click(2, 2), keeps_prompted=True) == [LARGE]
    assert parts_kept(Click(5, 6), keeps_prompted=True) == [LARGE]


def test_all_components_stay_if_nothing_says_where_the_object_is():
    everything = [SMALL, SINGLE, DIAGONAL, LARGE]
    assert parts_kept(keeps_prompted=True) == everything
    assert parts_kept(MaskPrompt(PARTS), keeps_prompted=True) == everything
    assert parts_kept(Click(0, 0, is_positive=False), keeps_prompted=True) == everything


def test_a_box_alone_keeps_what_it_encloses():
    assert parts_kept(Box(2.4, 2.4, 5, 6.4), keeps_prompted=True) == [LARGE]
    assert parts_kept(Box(-1, -1, 6, 7), Click(0, 0), keeps_prompted=True) == [SMALL]


def test_specks_below_the_physical_area_are_dropped():
    assert parts_kept(min_component=4) == [SMALL, LARGE]
    assert parts_kept(min_component=100) == []
    cleaned = clean_mask(PARTS, Cleanup(min_component=0.4), spacing=(0.5, 0.2))
    np.testing.assert_array_equal(cleaned, clean_mask(PARTS, Cleanup(min_component=4)))


def test_a_clicked_component_is_no_speck():
    assert parts_kept(Click(1, 5), min_component=4) == [SMALL, SINGLE, LARGE]


# mistakes


@pytest.mark.parametrize("name", ["opening", "closing", "smoothing", "min_component", "max_hole"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "2", True])
def test_sizes_that_are_none_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} is .*; expected a finite number, at least 0"):
        Cleanup(**{name: value})


def test_numpy_numbers_are_sizes():
    assert Cleanup(opening=np.float32(2)) == Cleanup(opening=2)


@pytest.mark.parametrize(
    ("mask", "spacing", "error", "words"),
    [
        (np.zeros((4, 4)), (1, 1), TypeError, "dtype float64; expected bool"),
        (np.zeros((2, 4, 4), bool), (1, 1), ValueError, "expected \\(H, W\\)"),
        (np.zeros((4, 4), bool), (1, 1, 1), ValueError, "spacing is .*two finite numbers above 0"),
        (np.zeros((4, 4), bool), (1, 0), ValueError, "spacing is .*two finite numbers above 0"),
    ],
    ids=["not bool", "volume", "spacing of a volume", "pixels without height"],
)
def test_masks_and_spacings_that_do_not_fit_are_refused(mask, spacing, error, words):
    with pytest.raises(error, match=words):
        clean_mask(mask, Cleanup(opening=1), spacing=spacing)


def test_a_radius_in_another_unit_is_noticed():
    with pytest.raises(ValueError, match=f"closing of 500 spans 5000 pixels of 0.1; expected at most {MAX_RADIUS_PX}"):
        clean_mask(PARTS, Cleanup(closing=500), spacing=(0.1, 0.2))


def test_a_prompt_outside_the_image_is_told():
    with pytest.raises(PromptOutsideImageError):
        clean_mask(PARTS, Cleanup(keeps_prompted=True), prompts=Prompts((Click(100, 0),)))


# speed

EVERYTHING = Cleanup(fills_holes=True, keeps_prompted=True, min_component=20, smoothing=4, opening=3, closing=5)


def test_a_small_object_on_a_large_image_is_fast():
    mask = np.zeros((10_000, 10_000), bool)
    mask[6000:6400, 2000:2400] = disk((400, 400), (200, 200), 180)
    started = time.process_time()
    cleaned = clean_mask(mask, EVERYTHING, prompts=Prompts((Click(6200, 2200),)))
    assert time.process_time() - started < 2
    assert iou(cleaned, mask) > 0.98
