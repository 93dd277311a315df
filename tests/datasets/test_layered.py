"""Layered scenes: that what hides something is nearer, that twins look alike, and that depth comes with the image."""

from __future__ import annotations

import zlib
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from napari_segnext.datasets import open_dataset
from napari_segnext.datasets.layered import (
    FAMILIES,
    LayeredScene,
    family_of_scene,
    list_layered,
    make_layered_scene,
)
from napari_segnext.datasets.layered.bodies import MIN_VISIBLE_PX
from napari_segnext.datasets.layered.held_out import HELD_OUT_SEED, MAX_PER_SCENE, MIN_HELD_OUT_PX, N_HELD_OUT

SHAPE = (96, 128)


@cache
def drawn_scenes() -> tuple[LayeredScene, ...]:
    return tuple(make_layered_scene((7, number), 192) for number in range(120))


def scenes_of(family: str) -> list[LayeredScene]:
    return [scene for scene in drawn_scenes() if scene.family == family]


def side_by_side(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`(n, 2)` flat indices of pixels side by side that belong to objects, and `(n, 2)` their labels."""
    flat = np.arange(labels.size).reshape(labels.shape)
    along, across = (flat[:, 1:].ravel(), flat[:, :-1].ravel()), (flat[1:].ravel(), flat[:-1].ravel())
    pairs = np.concatenate([np.stack(along, axis=1), np.stack(across, axis=1)])
    sides = labels.ravel()[pairs]
    are_objects = (sides > 0).all(axis=1)
    return pairs[are_objects], sides[are_objects]


def neighbours(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same, of pixels of different objects."""
    pairs, sides = side_by_side(labels)
    is_seam = sides[:, 0] != sides[:, 1]
    return pairs[is_seam], sides[is_seam]


def seam_against_inside(scene: LayeredScene) -> float:
    """How much pixels on two sides of a seam differ, against neighbours within an object; NaN without a seam."""
    pairs, sides = side_by_side(scene.labels)
    values = scene.image.reshape(-1, 3).astype(float)
    steps = np.abs(values[pairs[:, 0]] - values[pairs[:, 1]]).mean(axis=1)
    is_seam = sides[:, 0] != sides[:, 1]
    return float(steps[is_seam].mean() / (steps[~is_seam].mean() + 0.3)) if is_seam.any() else np.nan


def spread_of_colours(scene: LayeredScene) -> float:
    """Deviation of the objects' mean colours from each other, against that of the pixels of the whole picture."""
    pixels = scene.image.reshape(-1, 3).astype(float)
    sizes = np.bincount(scene.labels.ravel())
    means = [np.bincount(scene.labels.ravel(), channel) / sizes for channel in pixels.T]
    return float(np.mean([mean[1:].std() for mean in means]) / pixels.std(axis=0).mean())


def test_same_seed_gives_the_same_scene():
    for seed in (3, (3, 5)):
        first, second = make_layered_scene(seed, 96), make_layered_scene(seed, 96)
        assert np.array_equal(first.image, second.image)
        assert np.array_equal(first.labels, second.labels)
        assert np.array_equal(first.depth, second.depth)
        assert first.family == second.family


def test_other_seeds_give_other_scenes():
    for name in ("image", "labels", "depth"):
        digests = {zlib.crc32(getattr(scene, name)) for scene in drawn_scenes()}
        assert len(digests) == len(drawn_scenes())


def test_every_family_occurs_and_is_known_without_drawing():
    assert {scene.family for scene in drawn_scenes()} == set(FAMILIES)
    assert [family_of_scene((7, number)) for number in range(120)] == [scene.family for scene in drawn_scenes()]


def test_image_labels_and_depth_have_the_promised_shape_type_and_range():
    for scene in drawn_scenes():
        assert (scene.image.shape, scene.image.dtype) == ((192, 192, 3), np.uint8)
        assert (scene.labels.shape, scene.labels.dtype) == ((192, 192), np.int32)
        assert (scene.depth.shape, scene.depth.dtype) == ((192, 192), np.float32)
        assert scene.depth.min() >= 0
        assert scene.depth.max() <= 1


def test_labels_count_from_one_and_no_object_is_tiny():
    for scene in drawn_scenes():
        sizes = np.bincount(scene.labels.ravel())
        assert len(sizes) > 1, scene.family
        assert sizes[1:].min() >= MIN_VISIBLE_PX, scene.family


def test_depth_is_not_quantised_and_differs_within_a_scene():
    for scene in drawn_scenes():
        assert np.ptp(scene.depth) > 0.15, scene.family
    levels = np.unique(np.concatenate([np.unique(scene.depth) for scene in drawn_scenes()]))
    assert len(levels) > 10_000


@pytest.mark.parametrize("family", ["twins", "clutter", "stack"])
def test_objects_lie_before_the_background(family):
    for scene in scenes_of(family):
        assert scene.depth[scene.labels > 0].min() > scene.depth[scene.labels == 0].max()


@pytest.mark.parametrize("family", ["twins", "clutter", "stack"])
def test_one_of_two_objects_that_touch_is_nearer_along_the_whole_seam(family):
    for scene in scenes_of(family):
        pairs, sides = neighbours(scene.labels)
        ascending = np.where((sides[:, 0] < sides[:, 1])[:, None], pairs, pairs[:, ::-1])
        steps = np.diff(scene.depth.ravel()[ascending], axis=1)[:, 0]
        # Labels are numbered from far to near
        assert (steps > 0).all()


def test_twins_differ_in_depth_where_they_touch():
    smallest = []
    for scene in scenes_of("twins"):
        assert scene.labels.max() >= 2
        means = np.bincount(scene.labels.ravel(), scene.depth.ravel()) / np.bincount(scene.labels.ravel())
        steps = np.diff(np.sort(means[1:]))
        smallest.append(steps.min())
        assert steps.min() > 0.015
    assert np.median(smallest) > 0.04


def test_twins_look_more_alike_than_things_in_clutter():
    twins, clutter = ([spread_of_colours(scene) for scene in scenes_of(name)] for name in ("twins", "clutter"))
    assert np.median(twins) < 0.3
    assert np.median(twins) < 0.5 * np.median(clutter)


def test_before_light_and_air_twins_have_one_colour():
    for seed in range(20):
        view = FAMILIES["twins"](np.random.default_rng(seed), SHAPE)
        means = [view.colours[view.labels == i].mean(axis=0) for i in range(1, view.labels.max() + 1)]
        assert np.ptp(means, axis=0).max() < 0.12 if len(means) else True


def test_many_seams_between_twins_are_weak_and_those_in_clutter_are_not():
    twins, clutter = ([seam_against_inside(scene) for scene in scenes_of(name)] for name in ("twins", "clutter"))
    assert np.nanquantile(twins, 0.25) < 1.5
    assert np.nanmedian(twins) < 0.7 * np.nanmedian(clutter)


def test_some_seams_between_twins_can_be_seen():
    assert np.nanquantile([seam_against_inside(scene) for scene in scenes_of("twins")], 0.6) > 1.5


def test_targets_in_clutter_go_on_behind_thin_things():
    def n_parts(mask: np.ndarray) -> int:
        parts = ndimage.label(mask)[0]
        return int((np.bincount(parts.ravel())[1:] > 30).sum())

    parts = [[n_parts(scene.labels == i) for i in range(1, scene.labels.max() + 1)] for scene in scenes_of("clutter")]
    assert np.mean([max(some) > 1 for some in parts]) > 0.5


def test_depth_of_a_ground_rises_steadily():
    for scene in scenes_of("ground"):
        background = np.where(scene.labels == 0, scene.depth, np.nan)
        inner = background[1:-1, 1:-1]
        curvature = np.abs(background[2:, 1:-1] - 2 * inner + background[:-2, 1:-1])
        assert np.nanquantile(curvature, 0.98) < 1e-4


def test_depth_of_a_relief_varies_within_its_objects():
    ranges = [np.ptp(scene.depth[scene.labels == i]) for scene in scenes_of("relief") for i in (1, 2)]
    assert np.median(ranges) > 0.05


@pytest.mark.parametrize("family", FAMILIES)
def test_family_draws_valid_views_also_when_not_square(family):
    view = FAMILIES[family](np.random.default_rng(3), SHAPE)
    assert view.labels.shape == view.depth.shape == view.colours.shape[:2] == SHAPE
    assert (view.labels.dtype, view.depth.dtype, view.colours.dtype) == (np.int32, np.float32, np.float32)


def test_a_list_of_samples_is_the_start_of_a_longer_one():
    short, long = list_layered(3, seed=2), list_layered(5, seed=2)
    assert long[:3] == short
    assert len({sample.id for sample in long}) == 5
    assert len(set(long) | set(list_layered(5, seed=3))) == 10
    assert {sample.group for sample in long} == {"layered"}
    assert list_layered(0) == []


def test_sample_reads_the_scene_of_its_seed_and_number_with_its_depth():
    loaded, scene = list_layered(3, seed=2, side_px=96)[2].read(), make_layered_scene((2, 2), 96)
    assert np.array_equal(loaded.image, scene.image)
    assert np.array_equal(loaded.labels, scene.labels)
    assert loaded.labels.dtype == np.int64
    assert loaded.depth is not None
    assert np.array_equal(loaded.depth, scene.depth)


@pytest.mark.parametrize("side_px", [0, 63])
def test_too_small_side_is_refused_in_words(side_px):
    message = f"side_px is {side_px}; expected at least 64. Draw"
    with pytest.raises(ValueError, match=message):
        make_layered_scene(0, side_px)
    with pytest.raises(ValueError, match=message):
        list_layered(1, side_px=side_px)


def test_numbers_below_zero_are_refused_in_words():
    with pytest.raises(ValueError, match="n_scenes is -1; expected at least 0"):
        list_layered(-1)
    with pytest.raises(ValueError, match="seed is -1; expected an integer from 0"):
        list_layered(1, seed=-1)
    with pytest.raises(ValueError, match="seed is \\(1, -2\\); expected one or more integers"):
        make_layered_scene((1, -2))


def test_held_out_scenes_are_a_dataset_without_a_root_with_a_group_for_each_family():
    dataset = open_dataset("layered")
    assert len(dataset) == N_HELD_OUT
    assert dataset.groups == tuple(sorted(FAMILIES))
    assert len({image.id for image in dataset}) == N_HELD_OUT


def test_held_out_image_has_its_depth_and_few_objects_of_some_size():
    for number, image in enumerate(open_dataset("layered").images[:6]):
        loaded, scene = image.read(), make_layered_scene((HELD_OUT_SEED, number))
        assert image.group == scene.family
        assert np.array_equal(loaded.image, scene.image)
        assert np.array_equal(loaded.labels, scene.labels)
        assert loaded.depth is not None
        assert np.array_equal(loaded.depth, scene.depth)
        assert 1 <= len(loaded.objects) <= MAX_PER_SCENE
        assert all((loaded.truth_of(item) == 1).sum() >= MIN_HELD_OUT_PX for item in loaded.objects)
        assert [item.id for item in image.read_objects()] == [item.id for item in loaded.objects]


def test_fewer_objects_of_held_out_scenes_can_be_asked_for():
    images = open_dataset("layered", max_objects_per_image=1, min_object_px=500, limit=4).images
    assert len(images) == 4
    for image in images:
        loaded = image.read()
        assert len(loaded.objects) <= 1
        assert all((loaded.truth_of(item) == 1).sum() >= 500 for item in loaded.objects)


def test_root_is_refused_for_scenes_and_asked_for_elsewhere(tmp_path):
    with pytest.raises(ValueError, match="expected none, for its images are drawn"):
        open_dataset("layered", tmp_path)
    with pytest.raises(ValueError, match="dataset 'folder' has no root; expected the folder"):
        open_dataset("folder")
