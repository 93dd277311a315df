"""Images of 50,000 × 50,000 pixels that are drawn where they are read: what is read, seen and kept of them."""

from __future__ import annotations

import tracemalloc

import dask.array as da
import numpy as np
import pytest
import torch
import zarr
from scipy import ndimage
from torch.nn import functional as F

from napari_segnext import ImagePyramid, load_model, read_volume
from napari_segnext.errors import ImageError, PromptError
from napari_segnext.models.interface import ModelIdentity
from napari_segnext.prompts import Box, Click, MaskPrompt, Polygon
from napari_segnext.session import EmbeddingCache, EmbeddingStore, Prediction, Session
from napari_segnext.session.blocks import block_means
from napari_segnext.session.pyramid import MAX_READ_PX
from napari_segnext.session.views import MAX_VIEW_PX, ImageViews
from napari_segnext.session.windows import Lattice, Window, approach_windows, square_window, window_about

from .test_zoom import BrightModel

SIDE = 50_000
SMALL, LARGE = (31_200, 8_125, 30), (20_000, 30_000, 4_500)
"""Row, column and radius of the disks."""


class DrawnLevel:
    """Bright disks on noise, drawn where it is indexed; counts the pixels that were asked for."""

    def __init__(self, side=SIDE, scale=1.0, disks=(SMALL, LARGE), dtype=np.uint8):
        n = int(np.ceil(side / scale))
        self.shape, self.ndim, self.dtype = (n, n), 2, np.dtype(dtype)
        self.scale, self.disks = scale, disks
        self.n_read = self.largest_read = 0

    def __getitem__(self, key):
        rows, columns = (np.arange(*along.indices(n), dtype=np.int64) for along, n in zip(key, self.shape, strict=True))
        self.n_read += len(rows) * len(columns)
        self.largest_read = max(self.largest_read, len(rows) * len(columns))
        noise = ((rows[:, None] * 73_856_093) ^ (columns * 19_349_663)).astype(np.uint32) * np.uint32(2_654_435_761)
        drawn = (30 + (noise >> np.uint32(27))).astype(self.dtype)
        for row, column, radius in self.disks:
            y, x = ((along + 0.5) * self.scale - 0.5 - middle for along, middle in ((rows, row), (columns, column)))
            drawn[y[:, None] ** 2 + x**2 <= radius**2] = 200
        return drawn


def drawn_pyramid(n_levels=5, **kwargs):
    return ImagePyramid.of([DrawnLevel(scale=2.0**level, **kwargs) for level in range(n_levels)])


def n_read(pyramid):
    return sum(level.n_read for level in pyramid.levels)


def disk_in(window, disk):
    row, column, radius = disk
    rows, columns = np.mgrid[window.slices]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def iou(prediction, disk):
    """Of a prediction and a disk, in a box about both."""
    row, column, radius = disk
    about = Window(row - radius, column - radius, 2 * radius + 1, 2 * radius + 1)
    box, mask = prediction.object_mask()
    both = about.joined(box)
    truth = disk_in(both, disk)
    drawn = np.zeros(both.shape, bool)
    drawn[box.slices_in(both)] = mask
    return (drawn & truth).sum() / (drawn | truth).sum()


class SavedModel(BrightModel):
    """Answers also what the previous mask lies on, and has a key that lasts."""

    identity = ModelIdentity("saved", "ab" * 32)

    def predict_logits(self, embedding, clicks, previous_masks):
        logits = super().predict_logits(embedding, clicks, previous_masks)
        parts, _ = ndimage.label(logits[0].numpy() > 0)
        if not parts.any():
            parts, _ = ndimage.label(
                F.interpolate(embedding.levels[0][:, :1], embedding.image_shape, mode="nearest")[0, 0].numpy() > 0.5
            )
        chosen = np.isin(parts, [*{*parts[previous_masks[0].numpy() > 0.5]} - {0}])
        return torch.where(torch.from_numpy(chosen)[None], 4.0, logits)


@pytest.fixture(scope="module")
def bundled():
    return load_model("segnext-tiny", "cpu")


@pytest.fixture(scope="module")
def seen():
    """What the bundled model has encoded in these tests; pixels are read all the same."""
    return EmbeddingCache()


@pytest.fixture
def bright():
    return SavedModel()


class TestRead:
    @pytest.mark.parametrize("factor", [1, 2, 3, 7])
    def test_one_level_gives_what_a_held_image_gives(self, factor):
        image = np.random.default_rng(0).integers(0, 255, (101, 87, 3), np.uint8)
        window = Window(13, 5, 88, 71)
        read = ImagePyramid.of(image).read(window, factor)
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, block_means(image[window.slices], factor))

    @pytest.mark.parametrize("sizes", [(600, 300, 150), (601, 301, 151), (601, 300, 150), (600, 222, 61)], ids=str)
    @pytest.mark.parametrize("factor", [1, 2, 3, 4, 6, 11])
    def test_blocks_lie_where_they_lie_at_the_finest_level(self, sizes, factor):
        # pixels hold where their middle is, in rows and columns of the finest level
        levels = []
        for n in sizes:
            scale = round(sizes[0] / n) if abs(sizes[0] - round(sizes[0] / n) * n) < 4 else sizes[0] / n
            middles = (np.arange(n) + 0.5) * scale - 0.5
            levels.append(np.add.outer(1000 * middles, middles).astype(np.float32))
        window = Window(117, 52, 300, 411)
        read = ImagePyramid.of(levels).read(window, factor)
        rows, columns = (
            start + factor * (np.arange(-(-n // factor)) + 0.5) - 0.5
            for start, n in ((window.top, window.height), (window.left, window.width))
        )
        # the last blocks reach beyond the window
        expected = np.add.outer(1000 * rows, columns)[:-1, :-1]
        # the mean over a part of a coarse pixel is that pixel's
        tolerance = 0 if all(sizes[0] % n == 0 for n in sizes) and factor in (1, 2, 4) and not window.top % 2 else 1.6
        assert read.shape == (len(rows), len(columns))
        np.testing.assert_allclose(read[:-1, :-1], expected, atol=1001 * tolerance + 0.1)

    def test_means_over_parts_of_pixels_are_weighted(self):
        fine = np.zeros((24, 24), np.float32)
        coarse = np.arange(12, dtype=np.float32)[:, None] * np.ones(12, np.float32)
        read = ImagePyramid.of([fine, coarse]).read(Window(3, 0, 9, 9), 3)
        # rows 3 to 6 are half of coarse row 1 and all of row 2, and so on
        np.testing.assert_allclose(read[:, 0], [(0.5 * 1 + 2) / 1.5, (3 + 0.5 * 4) / 1.5, (0.5 * 4 + 5) / 1.5])

    def test_the_coarsest_level_that_is_fine_enough_is_read(self):
        pyramid = drawn_pyramid()
        for factor, number in ((1, 0), (2, 1), (3, 1), (4, 2), (15, 3), (49, 4)):
            before = [level.n_read for level in pyramid.levels]
            pyramid.read(Window(1000, 2000, 960, 960), factor)
            after = [level.n_read for level in pyramid.levels]
            assert [i for i in range(5) if after[i] > before[i]] == [number]

    def test_the_last_pixels_that_a_level_lacks_are_its_last_ones(self):
        fine = np.zeros((1003, 1003), np.uint8)
        coarse = np.full((250, 250), 7, np.uint8)
        assert (ImagePyramid.of([fine, coarse]).read(Window(1001, 1000, 2, 3), 4) == 7).all()

    @pytest.mark.parametrize("shape", [(50_000, 50_000), (200, 3_000_000), (9_000, 9_000)], ids=str)
    @pytest.mark.parametrize("n_levels", [1, 3, 6])
    def test_no_window_up_to_the_greatest_side_reads_more_than_the_bound(self, shape, n_levels):
        base = np.broadcast_to(np.uint8(0), shape)
        pyramid = ImagePyramid.of([base[:: 3**level, :: 3**level] for level in range(n_levels)])
        for part in (1.0, 0.7, 0.3, 0.1, 0.01):
            side = max(1, int(part * pyramid.max_side))
            window = square_window(Window(5, 5, 1, 1), side, shape)
            factor = pyramid.factor_for(window, max(1, -(-side // MAX_VIEW_PX)))
            assert side / factor <= MAX_VIEW_PX
            assert pyramid._n_px_read(window, factor) <= MAX_READ_PX

    def test_a_gap_between_levels_is_bridged_by_larger_blocks(self):
        fine = np.broadcast_to(np.uint8(0), (64_000, 64_000))
        pyramid = ImagePyramid.of([fine, fine[::64, ::64]])
        assert pyramid.factor_for(Window(0, 0, 60_000, 60_000), 59) == 64

    def test_what_cannot_be_bounded_is_refused(self):
        pyramid = drawn_pyramid(1)
        assert pyramid.max_side == 4096
        with pytest.raises(ImageError, match=r"expected at most 16,777,216.* Give coarser levels"):
            pyramid.factor_for(Window(0, 0, SIDE, SIDE), 49)

    @pytest.mark.parametrize("lazily", [da.from_array, zarr.array], ids=["dask", "zarr"])
    def test_lazy_arrays_are_read(self, lazily):
        image = np.random.default_rng(0).integers(0, 60_000, (90, 80)).astype(">u2")
        read = ImagePyramid.of([lazily(image), lazily(image[::2, ::2])]).read(Window(8, 6, 40, 30), 2)
        np.testing.assert_array_equal(read, image[8:48:2, 6:36:2])
        assert read.dtype == np.dtype("uint16")


class TestLevels:
    @pytest.mark.parametrize(
        ("levels", "words"),
        [
            ([], "no level"),
            ([np.zeros((3, 40, 50))], r"shape \(3, 40, 50\); expected \(H, W\)"),
            ([np.zeros((40, 50), complex)], "dtype complex128; expected an integer"),
            ([np.zeros((20, 25)), np.zeros((40, 50))], "has 40 × 50 pixels, the one before it 20 × 25; expected fewer"),
            ([np.zeros((40, 50)), np.zeros((40, 50))], "expected fewer"),
            ([np.zeros((40, 50)), np.zeros((20, 25), np.uint8)], "expected the same channels and dtype"),
            ([np.zeros((40, 50, 3)), np.zeros((20, 25))], "expected the same channels and dtype"),
            (["slide.zarr"], "is a str"),
        ],
        ids=["none", "channels first", "complex", "coarsest first", "equal", "dtypes", "channels", "no array"],
    )
    def test_levels_that_make_no_pyramid_are_refused(self, levels, words):
        with pytest.raises(ImageError, match=words):
            ImagePyramid.of(levels)

    def test_windows_outside_the_image_are_refused(self):
        with pytest.raises(ImageError, match="expected a window within it"):
            ImagePyramid.of(np.zeros((40, 50))).read(Window(30, 0, 20, 20))

    def test_a_pyramid_is_itself(self):
        pyramid = drawn_pyramid()
        assert ImagePyramid.of(pyramid) is pyramid

    def test_brightness_of_one_huge_level_is_sampled_all_over_it(self):
        pyramid = drawn_pyramid(1, dtype=np.uint16)
        sample = pyramid.sample()
        assert sample.shape == (2048, 2048)
        assert n_read(pyramid) == sample.size
        assert 0.01 < (sample == 200).mean() < 0.1

    def test_levels_of_an_ome_zarr_image_are_taken(self, tmp_path):
        planes = np.random.default_rng(0).integers(0, 255, (3, 2, 64, 48), np.uint8)
        group = zarr.open_group(str(tmp_path / "slide.zarr"), mode="w", zarr_format=2)
        for level in range(3):
            part = planes[:, :, :: 2**level, :: 2**level]
            group.create_array(str(level), shape=part.shape, dtype=part.dtype, chunks=(1, 1, 16, 16))[:] = part
        group.attrs["multiscales"] = [
            {
                "version": "0.4",
                "axes": [{"name": "c", "type": "channel"}, *({"name": name, "type": "space"} for name in "zyx")],
                "datasets": [
                    {
                        "path": str(level),
                        "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 2**level, 2**level]}],
                    }
                    for level in range(3)
                ],
            }
        ]
        volume = read_volume(tmp_path / "slide.zarr")
        colours = ImagePyramid.of_volume(volume, 1)
        assert [level.shape for level in colours.levels] == [(64, 48, 3), (32, 24, 3), (16, 12, 3)]
        np.testing.assert_array_equal(
            colours.read(Window(8, 4, 16, 16), 4), planes[:, 1, 8:24:4, 4:20:4].transpose(1, 2, 0)
        )
        grey = ImagePyramid.of_volume(volume, channel=2)
        np.testing.assert_array_equal(grey.read(Window(0, 0, 64, 48)), planes[2, 0])
        with pytest.raises(ImageError, match=r"plane 2 was asked of 'slide'; expected 0 to 1"):
            ImagePyramid.of_volume(volume, 2)
        with pytest.raises(ImageError, match=r"channel 3 .* expected 0 to 2"):
            ImagePyramid.of_volume(volume, channel=3)


class TestLattice:
    def test_windows_on_it_hold_what_they_must_and_lie_in_the_image(self):
        generator, lattice, shape = np.random.default_rng(0), Lattice(SIDE), (SIDE, 30_011)
        for _ in range(500):
            side = int(10 ** generator.uniform(0, 4))
            needed = Window(*(int(generator.integers(0, n - side)) for n in shape), side, side)
            window = window_about(needed, shape, lattice=lattice)
            assert window.contains(needed)
            assert Window.whole(shape).contains(window)
            assert all(one.contains(needed) for one in approach_windows(needed, shape, lattice))

    def test_sides_are_few_and_never_smaller_than_wanted(self):
        lattice = Lattice(SIDE)
        sides = {lattice.side(least) for least in range(1, 5000)}
        assert all(lattice.side(least) >= least for least in range(1, 5000))
        assert len(sides) < 30
        assert all(lattice.side(side) == side for side in sides)

    def test_the_neighbourhood_shares_windows(self):
        lattice, shape = Lattice(SIDE), (SIDE, SIDE)
        here, there = (approach_windows(Window(20_000, c, 1, 1), shape, lattice) for c in (30_000, 30_020))
        assert len(set(here) - set(there)) <= 3
        assert (
            len({window_about(Window(20_000 + i, 30_000, 60 + i, 60), shape, lattice=lattice) for i in range(4)}) == 1
        )

    def test_the_first_look_begins_at_the_largest_window_that_can_be_read(self):
        windows = approach_windows(Window(20_000, 30_000, 1, 1), (SIDE, SIDE), Lattice(4096))
        assert windows[0].shape == (4096, 4096)
        assert all(window.contains(Window(20_000, 30_000, 1, 1)) for window in windows)


class TestSession:
    @pytest.mark.parametrize("disk", [SMALL, LARGE], ids=["an object of 60 px", "an object of 9,000 px"])
    def test_a_click_finds_the_object_and_reads_little(self, bundled, seen, disk):
        pyramid = drawn_pyramid()
        tracemalloc.start()
        try:
            session = Session(bundled, pyramid, cache=seen)
            prediction = session.add(Click(disk[0], disk[1]))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert prediction.image_shape == (SIDE, SIDE)
        assert n_read(pyramid) < 60_000_000
        assert max(level.largest_read for level in pyramid.levels) <= MAX_READ_PX
        # drawing 3125 × 3125 pixels with numbers of 8 bytes is what takes most; torch's memory is not in it
        assert peak < 500_000_000
        assert prediction.window_probability.size <= MAX_VIEW_PX**2
        assert iou(prediction, disk) > 0.7

    def test_a_crop_in_memory_gives_nearly_the_same_mask(self, bundled, seen):
        row, column, _ = SMALL
        crop = Window(row - 600, column - 500, 1200, 1000)
        held = DrawnLevel()[crop.slices]
        from_crop = Session(bundled, held).add(Click(600, 500)).mask
        from_pyramid = Session(bundled, drawn_pyramid(), cache=seen).add(Click(row, column)).mask_in(crop)
        assert (from_crop & from_pyramid).sum() / (from_crop | from_pyramid).sum() > 0.9

    def test_a_second_session_about_the_same_place_encodes_nothing(self, tmp_path):
        clicks = [Click(SMALL[0], SMALL[1]), Click(SMALL[0] + 40, SMALL[1], is_positive=False)]
        masks = []
        for is_first in (True, False):
            model, cache = SavedModel(), EmbeddingCache(store=EmbeddingStore(tmp_path, max_bytes=10**9))
            session = Session(model, drawn_pyramid(), cache=cache)
            masks.append([session.add(click).object_mask()[1] for click in clicks])
            cache.flush()
            n_encoded = len(model.encoded_shapes)
            assert n_encoded > 5 if is_first else n_encoded == 0
        for one, other in zip(*masks, strict=True):
            np.testing.assert_array_equal(one, other)

    def test_who_comes_back_reads_nothing(self, bright):
        pyramid = drawn_pyramid()
        session = Session(bright, pyramid)
        session.add(Click(*SMALL[:2]))
        session.reset()
        session.add(Click(*LARGE[:2]))
        before = n_read(pyramid), len(bright.encoded_shapes)
        session.reset()
        session.add(Click(*SMALL[:2]))
        session.undo()
        session.undo()
        assert (n_read(pyramid), len(bright.encoded_shapes)) == before

    def test_the_neighbouring_object_is_mostly_seen_in_the_same_windows(self, bright):
        neighbours = ((31_200, 8_125, 30), (31_200, 8_245, 30))
        session = Session(bright, drawn_pyramid(disks=neighbours))
        session.add(Click(31_200, 8_125))
        n_first = len(bright.encoded_shapes)
        session.reset()
        assert iou(session.add(Click(31_200, 8_245)), neighbours[1]) > 0.7
        # all but those that are hardly larger than the two
        assert len(bright.encoded_shapes) - n_first <= 0.6 * n_first

    def test_one_level_is_enough_for_objects_that_fit_what_can_be_read(self, bright):
        pyramid = drawn_pyramid(1)
        session = Session(bright, pyramid)
        assert n_read(pyramid) == 0
        prediction = session.add(Click(*SMALL[:2]))
        assert iou(prediction, SMALL) > 0.7
        assert n_read(pyramid) < 60_000_000
        with pytest.raises(ImageError, match="cannot be seen whole"):
            _ = session.embedding

    def test_an_object_larger_than_any_window_ends_at_the_window(self, bright):
        prediction = Session(bright, drawn_pyramid(1)).add(Click(*LARGE[:2]))
        assert prediction.window.shape == (4096, 4096)
        assert prediction.extent == prediction.window

    def test_outlines_and_masks_of_large_objects_are_drawn_in_blocks(self, bright):
        row, column, _ = LARGE
        session = Session(bright, drawn_pyramid())
        outline = [(row - 4600, column), (row, column + 4600), (row + 4600, column), (row, column - 4600)]
        for prompt in (Box(row - 4500, column - 4500, row + 4500, column + 4500), Polygon(outline)):
            assert iou(session.add(prompt), LARGE) > 0.9
            session.reset()

    def test_a_mask_is_kept_about_the_object_only(self, bright):
        disk = (5_000, 2_000, 400)
        pyramid = drawn_pyramid(3, side=6_000, disks=(disk,))
        session = Session(bright, pyramid)
        mask = disk_in(Window.whole((6_000, 6_000)), disk)
        session.add(MaskPrompt(mask))
        assert iou(session.prediction, disk) > 0.9
        assert iou(session.answer_from(mask.astype(np.float32)), disk) > 0.9
        with pytest.raises(PromptError, match=r"mask has shape \(60, 60\)"):
            session.add(MaskPrompt(mask[4970:5030, 1970:2030]))

    def test_corrections_of_a_large_object_can_all_be_undone(self, bright):
        session = Session(bright, drawn_pyramid())
        for step in range(12):
            session.add(Click(LARGE[0] + 10 * step, LARGE[1]))
        assert session.prediction.window.side > 20_000
        n_undone = 0
        while session.can_undo:
            session.undo()
            n_undone += 1
        assert n_undone == 12

    def test_zoom_is_always_on(self, fake_model):
        pyramid = drawn_pyramid()
        assert Session(fake_model, pyramid).zoom
        with pytest.raises(ImageError, match="expected zoom=True"):
            Session(fake_model, pyramid, zoom=False)

    def test_a_depth_is_refused(self, fake_model):
        with pytest.raises(ImageError, match="Leave it out"):
            Session(fake_model, drawn_pyramid(), depth=np.zeros((8, 8)))

    def test_contrast_of_other_dtypes_comes_from_the_coarsest_level(self, bright):
        disk = (3_000, 7_000, 900)
        pyramid = drawn_pyramid(3, side=12_000, disks=(disk,), dtype=np.uint16)
        assert iou(Session(bright, pyramid).add(Click(*disk[:2])), disk) > 0.9
        dark = Session(bright, pyramid, contrast_limits=(0, 100_000))
        assert dark.add(Click(*disk[:2])).extent is None

    def test_pixels_that_change_meanwhile_are_told(self, bright):
        image = np.zeros((3000, 3000), np.uint8)
        views = ImageViews(bright, ImagePyramid.of(image), None, EmbeddingCache(max_entries=1))
        window = Window(0, 0, 400, 400)
        views.of(window)
        views.of(Window(2000, 2000, 320, 320))
        views.of(window)
        views.of(Window(2000, 2000, 320, 320))
        image[:] = 9
        with pytest.raises(ImageError, match="have changed"):
            views.of(window)

    def test_a_pyramid_of_one_held_image_answers_as_the_image_does_where_windows_are_equal(self, bright):
        image = np.asarray(DrawnLevel(side=900, disks=((400, 300, 200),))[:, :])
        held, lazy = (ImageViews(bright, one, None, EmbeddingCache()) for one in (image, ImagePyramid.of(image)))
        click = Session(bright, image).add(Click(400, 300)).window
        for window in (click, Window.whole(image.shape)):
            np.testing.assert_array_equal(
                held.of(window).embedding.levels[0].numpy(), lazy.of(window).embedding.levels[0].numpy()
            )


class TestPartsOfMasks:
    @pytest.mark.parametrize("factor", [1, 3, 8])
    def test_a_part_is_what_the_whole_mask_holds_there(self, factor):
        blocks = np.random.default_rng(0).random((40, 50)).astype(np.float32)
        window = Window(20, 30, 40 * factor - factor // 2, 50 * factor - factor // 3)
        prediction = Prediction(window, blocks, (500, 600), factor=factor)
        for part in (Window(0, 0, 500, 600), Window(25, 41, 33, 7), Window(10, 60, 20, 100), window):
            np.testing.assert_array_equal(prediction.mask_in(part), prediction.mask[part.slices])
        np.testing.assert_array_equal(prediction.window_mask, prediction.mask[window.slices])
        box, mask = prediction.object_mask()
        np.testing.assert_array_equal(mask, prediction.mask[box.slices])
        assert mask.sum() == prediction.mask.sum()
        assert not prediction.mask_in(Window(480, 0, 20, 20)).any()
