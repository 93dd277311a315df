"""Annotating what is in view of an image of 50,000 × 50,000 pixels, and collecting the objects of several parts."""

from __future__ import annotations

import tracemalloc

import dask.array as da
import numpy as np
import pytest
import zarr

pytest.importorskip("napari")

from napari_segnext.annotator import (
    Annotator,
    AnnotatorError,
    LayerMismatchError,
    SliceNotShownError,
    collect_objects,
    image_in_view,
    region_in_view,
)
from napari_segnext.annotator.autosave import folder_for
from napari_segnext.annotator.regions import MAX_REGION_PX, region_of
from napari_segnext.errors import ImageError
from tests.session.test_pyramid import SMALL, DrawnLevel, SavedModel

from .test_levels import PLACED

SIDE = 50_000
NEAR = (31_500, 8_900, 40)


def look_at(viewer, image, top, left, bottom, right):
    """The canvas shows these rows and columns of the finest level, and nothing beyond them."""
    one, other = (np.array(image.data_to_world(corner)) for corner in ((top, left), (bottom, right)))
    viewer.camera.center = (0, *(one + other) / 2)
    size = np.abs(other - one)
    viewer.canvas.size = tuple(int(n) for n in np.round(size / size.max() * 1000))
    viewer.camera.zoom = 1000 / size.max()


def drawn_levels(n_levels=5, side=SIDE, disks=(SMALL, NEAR)):
    return [DrawnLevel(side, 2.0**level, disks) for level in range(n_levels)]


def add_slide(viewer, levels, **kwargs):
    arrays = [da.from_array(level, chunks=1024, name=False) for level in levels]
    return viewer.add_image(arrays, multiscale=True, contrast_limits=(0, 255), name="slide", **kwargs)


def iou(labels, number, disk, start=(0, 0)):
    rows, columns = np.mgrid[tuple(slice(first, first + n) for first, n in zip(start, labels.shape, strict=True))]
    truth = (rows - disk[0]) ** 2 + (columns - disk[1]) ** 2 <= disk[2] ** 2
    return ((labels == number) & truth).sum() / ((labels == number) | truth).sum()


def test_an_object_of_60_px_is_annotated_in_what_is_in_view_with_little_memory(viewer):
    levels = drawn_levels()
    image = add_slide(viewer, levels, scale=(0.5, 0.5))
    look_at(viewer, image, 31_000, 8_000, 31_800, 9_200)
    tracemalloc.start()
    try:
        annotator = Annotator(viewer, image, SavedModel(), level="in view")
        points = annotator.layers.points
        points.add(points.world_to_data(image.data_to_world(SMALL[:2])))
        assert annotator.accept() == 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    output = annotator.layers.output
    assert output.data.shape == (896, 1280)
    assert iou(output.data, 1, SMALL, start=(31_000 // 128 * 128, 8_000 // 128 * 128)) > 0.9
    middle = np.argwhere(output.data == 1).mean(axis=0)
    np.testing.assert_allclose(output.data_to_world(middle), image.data_to_world(SMALL[:2]), atol=0.5)
    assert levels[0].n_read < 10_000_000
    assert peak < 200_000_000


@pytest.mark.parametrize(
    ("span", "level", "rows"),
    [(3000, 0, "6400 to 9471"), (9000, 2, "1536 to 4095"), (42_000, 4, "256 to 3071")],
    ids=["near", "further off", "nearly all"],
)
def test_the_finest_level_that_is_small_enough_is_taken(viewer, span, level, rows):
    image = add_slide(viewer, drawn_levels())
    look_at(viewer, image, 6400, 6400, 6400 + span, 6400 + span)
    region = region_in_view(viewer, image)
    assert region.level == level
    assert max(region.shape) <= 1.5 * MAX_REGION_PX
    assert str(region) == f"level {level}, rows {rows}, columns {rows}"


@pytest.mark.parametrize("placed", PLACED.values(), ids=PLACED)
def test_the_part_lies_where_it_lies_in_the_image(viewer, placed):
    image = add_slide(viewer, drawn_levels(3, 8192), **placed)
    middle = np.array(image.data_to_world((4000, 4200)))
    viewer.camera.center, viewer.camera.zoom = (0, *middle), 1 / np.abs(image.scale).max()
    layer = image_in_view(viewer, image)
    _, region = region_of(layer)
    factor = 2**region.level
    for pixel in ((0, 0), (3, 8)):
        fine = [factor * (start + x + 0.5) - 0.5 for start, x in zip(region.start, pixel, strict=True)]
        np.testing.assert_allclose(layer.data_to_world(pixel), image.data_to_world(fine), atol=1e-6)
    level = image.data[region.level]
    np.testing.assert_array_equal(layer.data[:5, :7], np.asarray(level[region.selector(2)][:5, :7]))


def test_the_same_view_gives_the_same_layer_and_a_closer_one_too(viewer):
    image = add_slide(viewer, drawn_levels())
    look_at(viewer, image, 31_000, 8_000, 31_800, 9_200)
    layer = image_in_view(viewer, image)
    look_at(viewer, image, 31_010, 8_003, 31_790, 9_180)
    assert image_in_view(viewer, image) is layer
    look_at(viewer, image, 31_400, 8_300, 31_500, 8_400)
    assert image_in_view(viewer, image) is layer
    look_at(viewer, image, 41_000, 8_000, 41_800, 9_200)
    other = image_in_view(viewer, image)
    assert other is not layer
    assert [one.name for one in viewer.layers][-1] == "slide"
    assert not layer.visible


def test_saved_work_of_parts_lies_in_folders_of_their_own(viewer, tmp_path):
    image = add_slide(viewer, drawn_levels())
    look_at(viewer, image, 31_000, 8_000, 31_800, 9_200)
    one = image_in_view(viewer, image)
    look_at(viewer, image, 41_000, 8_000, 41_800, 9_200)
    other = image_in_view(viewer, image)
    viewer.layers.remove(one)
    look_at(viewer, image, 31_000, 8_000, 31_800, 9_200)
    again = image_in_view(viewer, image)
    assert folder_for(one, tmp_path) == folder_for(again, tmp_path) != folder_for(other, tmp_path)


def test_slices_of_a_part_of_a_large_stack_are_read_when_they_are_needed(viewer):
    level = DrawnLevel(6000, disks=((5000, 3000, 30),))
    stack = da.stack([da.from_array(level, chunks=1024, name=False)] * 3)
    image = viewer.add_image([stack, stack[:, ::4, ::4]], multiscale=True, contrast_limits=(0, 255), scale=(2, 1, 1))
    viewer.dims.set_point(0, 2)
    viewer.camera.center, viewer.camera.zoom = (0, 5000, 3000), 1
    layer = image_in_view(viewer, image)
    assert layer.data.shape == (3, 896, 640)
    assert not isinstance(layer.data, np.ndarray)
    assert layer.scale.tolist() == [2, 1, 1]
    row, column = (x - start for x, start in zip((5000, 3000), region_of(layer)[1].start, strict=True))
    assert np.asarray(layer.data[1, row, column]) == 200


def test_objects_of_parts_are_collected_in_one_array_on_disk(viewer, tmp_path):
    image = add_slide(viewer, drawn_levels())
    model = SavedModel()
    for disk in (SMALL, NEAR, SMALL):
        look_at(viewer, image, disk[0] - 200, disk[1] - 200, disk[0] + 200, disk[1] + 200)
        annotator = Annotator(viewer, image_in_view(viewer, image), model)
        points = annotator.layers.points
        if not annotator.layers.output.data.any():
            points.add(points.world_to_data(image.data_to_world(disk[:2])))
            annotator.accept()
        annotator.close()
    into = zarr.create_array(str(tmp_path / "labels.zarr"), shape=(SIDE, SIDE), chunks=(1024, 1024), dtype=np.int32)
    added = collect_objects(viewer, image, into)
    # what was annotated twice stays with the layer that comes first
    assert sorted(added.values()) == [0, 1, 2]
    around = into[31_000:31_800, 8_000:9_200]
    for disk in (SMALL, NEAR):
        number = into[disk[0], disk[1]]
        assert number > 0
        assert iou(around, number, disk, start=(31_000, 8_000)) > 0.9
    # and once more: nothing is overwritten
    before = around.copy()
    collect_objects(viewer, image, into)
    np.testing.assert_array_equal(into[31_000:31_800, 8_000:9_200], before)
    assert sum(1 for path in (tmp_path / "labels.zarr").rglob("*") if path.is_file()) < 10


def test_parts_of_coarser_levels_are_resampled(viewer):
    image = add_slide(viewer, drawn_levels(3, 12_000, ((6_000, 6_400, 1_000),)))
    look_at(viewer, image, 1000, 1000, 11_000, 11_000)
    annotator = Annotator(viewer, image_in_view(viewer, image), SavedModel())
    points = annotator.layers.points
    points.add(points.world_to_data(image.data_to_world((6_000, 6_400))))
    annotator.accept()
    into = np.zeros((6000, 6000), np.uint16)
    collect_objects(viewer, image, into, level=1)
    assert iou(into, 1, (3_000, 3_200, 500)) > 0.95


def test_what_does_not_fit_is_refused(viewer, fake_model):
    image = add_slide(viewer, drawn_levels(1, 20_000))
    with pytest.raises(AnnotatorError, match=r"20000 × 20000 pixels of 'slide' are in view .* Zoom in"):
        image_in_view(viewer, image)
    with pytest.raises(ImageError, match="what is in view"):
        Annotator(viewer, image, fake_model)
    with pytest.raises(LayerMismatchError, match=r"shape \(5, 5\); expected \(20000, 20000\)"):
        collect_objects(viewer, image, np.zeros((5, 5), int))
    viewer.camera.center = (0, -9000, 70_000)
    viewer.camera.zoom = 1
    with pytest.raises(SliceNotShownError, match="not in view"):
        region_in_view(viewer, image)
    viewer.dims.ndisplay = 3
    with pytest.raises(SliceNotShownError):
        region_in_view(viewer, image)


def test_numbers_that_the_type_cannot_hold_are_refused(viewer):
    image = add_slide(viewer, drawn_levels())
    look_at(viewer, image, 31_000, 8_000, 31_400, 8_400)
    annotator = Annotator(viewer, image_in_view(viewer, image), SavedModel())
    annotator.layers.points.add(annotator.layers.points.world_to_data(image.data_to_world(SMALL[:2])))
    annotator.accept(300)
    into = zarr.create_array({}, shape=(SIDE, SIDE), chunks=(5000, 5000), dtype=np.uint8)
    with pytest.raises(AnnotatorError, match="dtype uint8, which does not hold 300 objects"):
        collect_objects(viewer, image, into)
