from __future__ import annotations

import numpy as np
import pytest
import zarr
from scipy import ndimage
from skimage import draw

from napari_segnext.errors import ImageError, PromptError
from napari_segnext.everything import (
    EverythingSettings,
    iterate_everything_tiled,
    segment_everything,
    segment_everything_tiled,
)
from napari_segnext.everything.large_image import SAMPLE_PX, Plane, sample_windows, shared_contrast_limits
from napari_segnext.prompts import Box, Click
from tests.everything.test_segment import assert_same_objects
from tests.session.test_zoom import BrightModel, iou

TILES = {"tile_px": 64, "overlap_px": 16, "zoom": False}
SETTINGS = EverythingSettings(points_per_side=6, max_image_share=1)


class CountingArray:
    """An image, or labels, that can only be read and written by rectangles, and remembers how large they were."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype
        self.read: list[tuple[int, ...]] = []
        self.written: list[tuple[int, ...]] = []

    def __getitem__(self, key):
        part = self._array[key]
        self.read.append(part.shape)
        return part

    def __setitem__(self, key, value):
        self.written.append(self._array[key].shape)
        self._array[key] = value


class SeeingModel(BrightModel):
    """Remembers the brightest and the darkest pixel of what it encoded."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[float, float]] = []

    def encode_image(self, image):
        self.seen.append((round(float(image.min()), 3), round(float(image.max()), 3)))
        return super().encode_image(image)


@pytest.fixture
def model():
    return BrightModel()


@pytest.fixture
def image():
    """`(150, 200)` uint8: disks, some on seams and corners of tiles of 64, and a bar through many tiles."""
    image = np.zeros((150, 200), np.uint8)
    for centre, radius in (((20, 20), 9), ((50, 52), 10), ((100, 75), 12), ((97, 150), 11), ((20, 190), 8)):
        image[draw.disk(centre, radius, shape=image.shape)] = 255
    image[124:136, 10:190] = 255
    return image


def truth_of(image):
    return ndimage.label(image)[0]


def test_on_one_tile_it_is_as_without_tiles(model, disks):
    whole = segment_everything(model, disks, points_per_side=12, zoom=False)
    tiled = segment_everything_tiled(
        model, disks, EverythingSettings(points_per_side=12), tile_px=80, overlap_px=16, zoom=False
    )
    np.testing.assert_array_equal(tiled.labels, whole.labels)
    assert tiled.objects == whole.objects and tiled.labels.dtype == np.int32
    assert (tiled.n_done, tiled.n_prompts, tiled.is_complete) == (144, 144, True)


def test_objects_on_seams_and_through_many_tiles_are_found_once_and_whole(model, image):
    result = segment_everything_tiled(model, image, SETTINGS, **TILES)
    assert_same_objects(result.labels, truth_of(image))
    assert [one.n_pixels for one in result.objects] == np.bincount(result.labels.ravel())[1:].tolist()
    assert result.is_complete and result.n_prompts == 36 * 12


def test_scores_and_prompt_are_those_of_one_of_the_tiles_and_the_prompt_lies_on_the_object(model, image):
    for one in segment_everything_tiled(model, image, SETTINGS, **TILES).objects:
        assert truth_of(image)[round(one.prompt.row), round(one.prompt.column)] > 0
        assert one.stability >= SETTINGS.min_stability and one.agreement >= SETTINGS.min_agreement


def test_any_array_that_can_be_sliced_will_do(model, image, tmp_path):
    import dask.array

    expected = segment_everything_tiled(model, image, SETTINGS, **TILES)
    np.save(tmp_path / "image.npy", image)
    stack = np.stack([np.zeros_like(image), image])
    for lazy in (
        np.load(tmp_path / "image.npy", mmap_mode="r"),
        zarr.array(image, chunks=(50, 70)),
        dask.array.from_array(image, chunks=40),
        Plane(zarr.array(stack), (1, slice(None), slice(None))),
    ):
        result = segment_everything_tiled(BrightModel(), lazy, SETTINGS, **TILES)
        np.testing.assert_array_equal(result.labels, expected.labels)


def test_colour_is_read_with_its_channels(model, image):
    colour = CountingArray(np.stack([image] * 3, axis=-1))
    result = segment_everything_tiled(model, colour, SETTINGS, **TILES)
    assert_same_objects(result.labels, truth_of(image))
    assert {shape[2] for shape in colour.read} == {3}


class TestMemory:
    def test_it_reads_and_writes_no_more_than_a_tile_at_a_time_and_each_tile_once(self, model, image):
        counting, labels = CountingArray(image), CountingArray(np.full(image.shape, 99, np.uint16))
        segment_everything_tiled(model, counting, SETTINGS, labels=labels, **TILES)
        assert len(counting.read) == len(labels.written) == 12
        assert max(rows * columns for rows, columns in counting.read) == 64 * 64
        assert max(rows * columns for rows, columns in labels.written) < 64 * 64
        assert sum(rows * columns for rows, columns in labels.written) == image.size
        assert 99 not in labels[:, :]

    def test_it_does_not_grow_with_the_image_but_with_the_objects(self, image):
        read, held = [], []
        for side in (1, 2):
            large = np.zeros((side * 150, side * 200), np.uint8)
            large[:150, :200] = image
            counting = CountingArray(large)
            *_, last = iterate_everything_tiled(BrightModel(), counting, SETTINGS, **TILES)
            read.append(max(np.prod(shape) for shape in counting.read))
            held.append(last.store.n_bytes_held)
        assert read[0] == read[1]
        # the tiles are laid out anew, so the masks differ a little
        assert 0.7 < held[1] / held[0] < 1.4
        assert last.store.n_bytes_on_disk == 0

    def test_beyond_the_budget_masks_go_to_disk_and_the_result_is_the_same(self, model, image):
        expected = segment_everything_tiled(model, image, SETTINGS, **TILES)
        *_, last = iterate_everything_tiled(model, image, SETTINGS, max_held_bytes=100, **TILES)
        assert last.store.n_bytes_held <= 100 < last.store.n_bytes_on_disk
        result = last.result()
        np.testing.assert_array_equal(result.labels, expected.labels)
        assert result.objects == expected.objects

    @pytest.mark.parametrize("shape", [(50_000, 50_000), (10, 4_000_000), (4_000_000, 300), (3000, 1500)])
    def test_contrast_limits_come_from_a_few_small_blocks(self, shape):
        windows = sample_windows(shape)
        assert sum(window.height * window.width for window in windows) <= SAMPLE_PX
        assert len(windows) > 4 and max(window.side for window in windows) <= 256
        assert len({(window.top, window.left) for window in windows}) == len(windows)
        assert max(window.bottom for window in windows) > shape[0] - 256
        assert max(window.right for window in windows) > shape[1] - 256


class TestContrast:
    def test_all_tiles_are_seen_with_the_contrast_of_the_whole_image(self, image):
        model = SeeingModel()
        segment_everything_tiled(model, image.astype(np.uint16) * 50 + 100, SETTINGS, **TILES)
        assert {low for low, _ in model.seen} == {0.0} and {high for _, high in model.seen} <= {0.0, 1.0}

    def test_limits_that_are_given_count_and_nothing_is_read_for_them(self, model, image):
        counting = CountingArray(image.astype(np.float32))
        assert shared_contrast_limits(counting, (0, 10)) == [(0, 10)]
        assert shared_contrast_limits(CountingArray(image)) is None
        assert counting.read == []

    def test_a_small_image_has_the_limits_that_a_session_takes(self):
        from napari_segnext.session.preprocess import resolve_contrast_limits

        noise = np.random.default_rng(0).normal(size=(70, 90, 3))
        assert shared_contrast_limits(noise) == resolve_contrast_limits(noise)

    def test_tiles_without_a_number_are_passed_over(self, model, image):
        partly = np.where(np.arange(200) < 100, image.astype(np.float32), np.nan)
        result = segment_everything_tiled(model, partly, SETTINGS, **TILES)
        assert result.is_complete and result.labels.max() >= 4
        assert not result.labels[:, 110:].any()
        assert len(model.encoded_shapes) < 12


class TestGivenPrompts:
    def test_each_is_asked_in_its_tile_and_the_others_are_not_read(self, model, image):
        counting = CountingArray(image)
        prompts = {"clicks": [(100.25, 75.1), Click(20, 20)], "boxes": [Box(84, 137, 110, 163)]}
        result = segment_everything_tiled(model, counting, SETTINGS, **prompts, **TILES)
        assert [one.prompt for one in result.objects] == [Click(100.25, 75.1), Click(20, 20), Box(84, 137, 110, 163)]
        assert [result.labels[place] for place in ((100, 75), (20, 20), (97, 150))] == [1, 2, 3]
        assert iou(result.labels == 3, truth_of(image) == truth_of(image)[97, 150]) > 0.7
        assert len(counting.read) == 3 and result.n_prompts == 3 and result.is_complete

    def test_two_clicks_on_one_object_in_two_tiles_give_one_object(self, model, image):
        result = segment_everything_tiled(model, image, SETTINGS, clicks=[(130, 40), (130, 90)], **TILES)
        assert len(result.objects) == 1 and result.labels[130, 40] == result.labels[130, 90] == 1

    def test_none_finds_nothing_and_reads_nothing(self, model, image):
        counting = CountingArray(image)
        result = segment_everything_tiled(model, counting, SETTINGS, clicks=[], **TILES)
        assert result.is_complete and not result.labels.any() and counting.read == []


class TestSteps:
    def test_progress_rises_to_the_end(self, model, image):
        steps = list(iterate_everything_tiled(model, image, SETTINGS, **TILES))
        for counts in (
            [step.n_done for step in steps],
            [step.n_tiles_done for step in steps],
            [step.n_found for step in steps],
        ):
            assert counts == sorted(counts)
        assert (steps[0].n_done, steps[0].n_found, steps[0].n_tiles) == (0, 0, 12)
        assert steps[-1].n_done == steps[-1].n_prompts and steps[-1].n_tiles_done == 12

    def test_every_step_has_a_valid_result_and_what_it_tells_is_true(self, model, image):
        truth = truth_of(image)
        for step in list(iterate_everything_tiled(model, image, SETTINGS, **TILES))[::41]:
            labels = step.result().labels
            for label in range(1, labels.max() + 1):
                found = truth[labels == label]
                assert np.bincount(found).argmax() > 0, "on an object, whole or cut where the work has ended"

    def test_giving_up_keeps_what_was_found_and_reads_no_further_tile(self, model, image):
        counting, n_asked = CountingArray(image), 0

        def is_wanted():
            nonlocal n_asked
            n_asked += 1
            return n_asked < 25

        result = segment_everything_tiled(model, counting, SETTINGS, is_wanted=is_wanted, **TILES)
        assert not result.is_complete and 0 < result.n_done < result.n_prompts
        assert 0 < len(result.objects) < 6 and len(counting.read) < 12
        done = segment_everything_tiled(model, counting, SETTINGS, is_wanted=lambda: False, **TILES)
        assert done.n_done == 0 and not done.labels.any()

    def test_embeddings_are_shared_with_later_runs(self, model, image):
        segment_everything_tiled(model, image, SETTINGS, **TILES)
        n_encoded = len(model.encoded_shapes)
        segment_everything_tiled(model, image, EverythingSettings(points_per_side=2), **TILES)
        assert len(model.encoded_shapes) == n_encoded == 12


class TestLabels:
    def test_they_are_written_into_zarr(self, model, image):
        labels = zarr.zeros(image.shape, dtype=np.uint8, chunks=(32, 32))
        result = segment_everything_tiled(model, image, SETTINGS, labels=labels, **TILES)
        assert result.labels is labels
        np.testing.assert_array_equal(labels[:], segment_everything_tiled(model, image, SETTINGS, **TILES).labels)

    @pytest.mark.parametrize(
        ("labels", "words"),
        [
            (np.zeros((150, 199), np.int32), r"labels have shape \(150, 199\); expected \(150, 200\)"),
            (np.zeros((150, 200), np.float32), "dtype float32; expected an integer one that counts to"),
            (np.zeros((150, 200), bool), "dtype bool; expected an integer one"),
        ],
    )
    def test_those_that_do_not_fit_are_refused(self, labels, words, model, image):
        first = next(iterate_everything_tiled(model, image, SETTINGS, **TILES))
        with pytest.raises(ValueError, match=words):
            first.result(labels)


@pytest.mark.parametrize(
    ("shape", "options", "error", "words"),
    [
        ((3, 40, 50), {}, ImageError, r"shape \(3, 40, 50\); expected \(H, W\) or \(H, W, C\)"),
        ((40,), {}, ImageError, r"shape \(40,\); expected"),
        ((40, 0), {}, ImageError, r"shape \(40, 0\); expected"),
        ((40, 50), {"tile_px": 20}, ValueError, "tiles are 20 pixels wide and overlap by 16"),
        ((40, 50), {"clicks": [Click(3, 3, False)]}, PromptError, "negative; expected one positive click"),
        ((40, 50), {"boxes": [(90, 3, 95, 8)]}, PromptError, "lies outside the image of 40 rows"),
        ((40, 50), {"contrast_limits": (3, 3)}, ValueError, "contrast_limits are"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_read(fake_model, shape, options, error, words):
    counting = CountingArray(np.zeros(shape, np.uint8))
    with pytest.raises(error, match=words):
        segment_everything_tiled(fake_model, counting, **{**TILES, **options})
    assert counting.read == [] and fake_model.n_encoded == 0
