from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import regionprops

pytest.importorskip("napari")

from napari_segnext.annotator import object_properties
from napari_segnext.annotator.object_properties import ObjectProperties, measure_objects, to_features, write_csv

GUIDE = Path(__file__).parents[2] / "docs/how_to/clean_up_and_measure.md"

DTYPES = ["uint8", "uint16", "int32", "int64", "uint64"]


@st.composite
def label_arrays(draw):
    """Labels in any place, not connected; many numbers are missing, some are large."""
    shape = tuple(draw(st.lists(st.integers(0, 9), min_size=2, max_size=3)))
    dtype = draw(st.sampled_from(DTYPES))
    numbers = draw(st.lists(st.integers(1, np.iinfo(dtype).max), min_size=1, max_size=5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return np.array([0, 0, *numbers], dtype)[rng.integers(0, 2 + len(numbers), shape)]


def expected_of(labels, *, image=None, spacing=None):
    """The same from scikit-image, one object at a time."""
    found = []
    for label in sorted(set(labels.ravel().tolist()) - {0}):
        (region,) = regionprops((labels == label).astype(np.uint8), image, spacing=spacing or (1.0,) * labels.ndim)
        found.append((label, region))
    return found


def check(measured, labels, *, image=None, spacing=None):
    expected = expected_of(labels, image=image, spacing=spacing)
    assert [one.label for one in measured] == [label for label, _ in expected]
    for one, (_, region) in zip(measured, expected, strict=True):
        assert one.n_pixels == region.num_pixels
        assert one.size == pytest.approx(region.area)
        assert one.centroid == pytest.approx(region.centroid)
        assert one.centroid_px == pytest.approx(region.coords.mean(axis=0))
        assert (*one.box_start, *one.box_stop) == region.bbox
        assert one.n_slices == (len(set(region.coords[:, 0])) if labels.ndim == 3 else 1)
        if image is None:
            assert one.mean_intensities == ()
        else:
            assert one.mean_intensities == pytest.approx(np.atleast_1d(region.intensity_mean))


class LazyArray:
    """Gives NumPy arrays of what it is asked for, and remembers how large that was."""

    def __init__(self, array, chunks=None):
        self.array, self.chunks = array, chunks
        self.shape, self.dtype = array.shape, array.dtype
        self.read = np.zeros(array.shape, int)
        self.largest_px = 0

    def __getitem__(self, index):
        block = self.array[index]
        self.read[index] += 1
        self.largest_px = max(self.largest_px, block.size)
        return block


@given(labels=label_arrays(), max_block_px=st.sampled_from([1, 7, 50, 10**6]))
@settings(deadline=None)
def test_measures_are_those_of_scikit_image_however_small_the_blocks(labels, max_block_px):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(object_properties, "MAX_BLOCK_PX", max_block_px)
        patch.setattr(object_properties, "MAX_PENDING_ROWS", 10)
        check(measure_objects(labels), labels)


@pytest.mark.parametrize("shape", [(40, 50), (12, 30, 31)], ids=["2D", "3D"])
@pytest.mark.parametrize("n_channels", [0, 1, 3], ids=["no image", "grey", "RGB"])
def test_measures_in_physical_units_and_of_an_image(shape, n_channels, monkeypatch):
    monkeypatch.setattr(object_properties, "MAX_BLOCK_PX", 777)
    rng = np.random.default_rng(1)
    labels = np.kron(rng.integers(0, 6, [n // 5 + 1 for n in shape]), np.ones([5] * len(shape), int))
    labels = labels[tuple(slice(n) for n in shape)]
    image = {0: None, 1: rng.random(shape), 3: rng.integers(0, 255, (*shape, 3), np.uint8)}[n_channels]
    spacing = (3.0, 0.5, 0.2)[-len(shape) :]
    measured = measure_objects(labels, image=image, spacing=spacing, unit="um")
    check(measured, labels, image=image, spacing=spacing)
    assert {one.unit for one in measured} == {"um"}


def test_lazy_arrays_give_the_same():
    da = pytest.importorskip("dask.array")
    zarr = pytest.importorskip("zarr")
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 9, (20, 33, 34)).astype(np.uint16)
    image = rng.random(labels.shape)
    expected = measure_objects(labels, image=image)
    lazy_labels = da.from_array(labels, chunks=(7, (10, 23), 34))
    lazy_image = da.from_array(image, chunks=(20, 5, 10))
    assert_close(measure_objects(lazy_labels, image=lazy_image), expected)
    stored = zarr.array(labels, chunks=(6, 16, 16))
    assert_close(measure_objects(stored, image=image), expected)


def test_a_memory_map_gives_the_same(tmp_path):
    labels = np.random.default_rng(3).integers(0, 9, (6, 20, 20)).astype(np.int32)
    np.save(tmp_path / "labels.npy", labels)
    assert measure_objects(np.load(tmp_path / "labels.npy", mmap_mode="r")) == measure_objects(labels)


def assert_close(measured, expected):
    for columns, wanted in zip(*(to_features(each).items() for each in (measured, expected)), strict=True):
        assert columns[0] == wanted[0]
        np.testing.assert_allclose(columns[1], wanted[1])


@pytest.mark.parametrize("chunks", [None, (4, 16, 16), (40, 3, 50)], ids=["no chunks", "chunks", "bars"])
def test_every_pixel_is_read_once_and_few_at_a_time(chunks, monkeypatch):
    monkeypatch.setattr(object_properties, "MAX_BLOCK_PX", 6000)
    labels = LazyArray(np.random.default_rng(4).integers(0, 9, (40, 50, 50)), chunks)
    check(measure_objects(labels), labels.array)
    assert (labels.read == 1).all()
    assert labels.largest_px <= 6000


def test_chunks_are_never_torn():
    first = next(object_properties._blocks((10, 10**4, 10**4), (1, 10**4, 10**4)))
    assert first == (slice(0, 1), slice(0, 10**4), slice(0, 10**4))


def test_only_wanted_labels_are_measured():
    labels = np.array([[1, 2, 2], [0, 3, 200]], np.uint8)
    measured = measure_objects(labels, labels_wanted={2, 200, 7, 300, -1, 0})
    assert [(one.label, one.n_pixels) for one in measured] == [(2, 2), (200, 1)]
    assert measure_objects(labels, labels_wanted=()) == []


def test_a_mask_is_one_object_and_negative_labels_are_objects():
    (one,) = measure_objects(np.array([[True, False], [True, True]]))
    assert (one.label, one.n_pixels) == (1, 3)
    assert [one.label for one in measure_objects(np.array([[-2, 0], [5, 5]]))] == [-2, 5]


def test_all_that_is_measured_of_one_object():
    labels = np.zeros((3, 4, 4), int)
    labels[0, 1, 1] = labels[2, 1, 2:4] = 5
    assert measure_objects(labels, spacing=(2.0, 0.5, 0.5), unit="um") == [
        ObjectProperties(
            label=5,
            n_pixels=3,
            size=1.5,
            centroid=(pytest.approx(8 / 3), 0.5, 1.0),
            centroid_px=(pytest.approx(4 / 3), 1.0, 2.0),
            box_start=(0, 1, 1),
            box_stop=(3, 2, 4),
            n_slices=2,
            unit="um",
        )
    ]


# tables


def test_features_name_axis_and_unit():
    labels = np.zeros((3, 4, 4), np.uint8)
    labels[1, 1, 1], labels[2, 2] = 9, 4
    image = np.stack([labels, labels * 2], axis=-1)
    features = to_features(measure_objects(labels, image=image, spacing=(2, 1, 1), unit="um"))
    assert list(features) == [
        "index",
        "n_pixels",
        "volume_um3",
        "centroid_z_um",
        "centroid_y_um",
        "centroid_x_um",
        "centroid_z_px",
        "centroid_y_px",
        "centroid_x_px",
        "box_z_start_px",
        "box_z_stop_px",
        "box_y_start_px",
        "box_y_stop_px",
        "box_x_start_px",
        "box_x_stop_px",
        "n_slices",
        "mean_intensity_0",
        "mean_intensity_1",
    ]
    np.testing.assert_array_equal(features["index"], [4, 9])
    np.testing.assert_array_equal(features["centroid_z_um"], [4, 2])
    np.testing.assert_array_equal(features["mean_intensity_1"], [8, 18])


def test_features_in_pixels_name_each_centroid_once():
    labels = np.eye(3, dtype=int)
    features = to_features(measure_objects(labels, image=labels))
    assert list(features)[:5] == ["index", "n_pixels", "area_px2", "centroid_y_px", "centroid_x_px"]
    assert list(features)[-1] == "mean_intensity"
    assert "area_unit2" in to_features(measure_objects(labels, spacing=(2, 2)))


def test_napari_finds_the_measures_of_each_label():
    from napari.layers import Labels

    labels = np.array([[0, 3], [7, 7]])
    layer = Labels(labels, features=to_features(measure_objects(labels)))
    assert "n_pixels: 2" in layer._get_properties((1, 0), view_direction=None, dims_displayed=None)


def test_the_table_holds_all_digits(tmp_path):
    labels = np.array([[1, 1, 0], [1, 0, 300]])
    properties = measure_objects(labels, spacing=(0.1, 0.3), unit="µm")
    write_csv(properties, tmp_path / "objects.csv")
    with (tmp_path / "objects.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["1", "300"]
    assert [float(row["area_µm2"]) for row in rows] == [one.size for one in properties]
    assert [float(row["centroid_x_µm"]) for row in rows] == [one.centroid[1] for one in properties]
    assert list(tmp_path.iterdir()) == [tmp_path / "objects.csv"]


def test_no_objects_give_an_empty_table(tmp_path):
    assert measure_objects(np.zeros((4, 0), int)) == measure_objects(np.zeros((4, 4), int)) == []
    assert {name: column.tolist() for name, column in to_features([]).items()} == {"index": [], "n_pixels": []}
    write_csv([], tmp_path / "objects.csv")
    assert (tmp_path / "objects.csv").read_text().splitlines() == ["label,n_pixels"]


def test_objects_that_were_measured_in_different_ways_are_no_table():
    labels = np.eye(3, dtype=int)
    with pytest.raises(ValueError, match="measured in 2 ways"):
        to_features(measure_objects(labels) + measure_objects(labels, spacing=(2, 2)))


def test_pixels_of_an_image_that_are_not_finite_show():
    labels = np.array([[1, 1, 2]])
    first, second = measure_objects(labels, image=np.array([[1, np.nan, 4]]))
    assert math.isnan(first.mean_intensities[0])
    assert second.mean_intensities == (4,)


# mistakes


@pytest.mark.parametrize(
    ("labels", "settings", "error", "words"),
    [
        ([np.eye(4), np.eye(2)], {}, TypeError, "is a list; expected an array.*first level"),
        (np.eye(4), {}, TypeError, "dtype float64; expected whole numbers"),
        (np.zeros((2, 2, 2, 2), int), {}, ValueError, "expected \\(H, W\\) or \\(Z, Y, X\\)"),
        (np.eye(4, dtype=int), {"spacing": (1, 1, 1)}, ValueError, "expected 2 finite numbers above 0"),
        (np.eye(4, dtype=int), {"spacing": (1, -1)}, ValueError, "expected 2 finite numbers above 0"),
        (np.eye(4, dtype=int), {"spacing": (2, 2), "unit": "px"}, ValueError, "Name the unit"),
        (np.eye(4, dtype=int), {"image": np.zeros((3, 4, 4))}, ValueError, "Move that axis last"),
        (np.eye(4, dtype=int), {"image": np.zeros((4, 5))}, ValueError, "image has shape \\(4, 5\\)"),
    ],
)
def test_what_does_not_fit_is_refused(labels, settings, error, words):
    with pytest.raises(error, match=words):
        measure_objects(labels, **settings)


# the guide


def test_the_examples_of_the_guide_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cleaning, measuring = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf8"), re.DOTALL)
    names = {}
    exec(compile(cleaning, GUIDE.name, "exec"), names)
    assert names["cleaned"].sum() == pytest.approx(80 * 100, abs=20)
    exec(compile(measuring, GUIDE.name, "exec"), names)
    first, second = names["objects"]
    assert (first.size, first.centroid, first.n_slices) == (600.0, (3.0, 14.75, 22.25), 2)
    assert (second.label, second.size) == (7, 50.0)
    assert (tmp_path / "objects.csv").exists()
    explained = set(re.findall(r"`([a-z0-9_]+)`", GUIDE.read_text(encoding="utf8")))
    assert {name for name in names["features"] if not re.match("box_[yx]", name)} <= explained
