"""zarr and OME-Zarr: axes, spacing, levels, laziness, broken folders, labels out."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr

from napari_segnext import Volume, read_volume
from napari_segnext.errors import VolumeError
from napari_segnext.io import read_zarr_labels, write_labels_volume

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (2, 3, 4, 20, 30)
"""(t, c, z, y, x)"""


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 60000, SHAPE).astype(np.uint16)


def multiscales(names: str, scale: list[float], n_levels: int = 1, unit: str = "micrometer", **more) -> dict[str, Any]:
    kinds = {"t": "time", "c": "channel"}
    axes = [
        {"name": name, "type": kinds.get(name, "space")} | ({"unit": unit} if name in "zyx" else {}) for name in names
    ]
    datasets = [
        {"path": str(n), "coordinateTransformations": [{"type": "scale", "scale": [s * 2**n for s in scale]}]}
        for n in range(n_levels)
    ]
    return {"multiscales": [{"version": "0.4", "axes": axes, "datasets": datasets, **more}]}


def save_image(path: Path, array: np.ndarray, attributes: dict[str, Any], zarr_format: int = 2) -> Path:
    if zarr_format == 3:
        attributes = {"ome": attributes}
    group = zarr.open_group(str(path), mode="w", zarr_format=zarr_format, attributes=attributes)
    inner = attributes.get("ome", attributes)
    for n in range(len(inner["multiscales"][0]["datasets"])):
        group.create_array(str(n), data=array[..., :: 2**n, :: 2**n])
    return path


@pytest.mark.parametrize("zarr_format", [2, 3], ids=["0.4", "0.5"])
def test_image_tells_axes_spacing_and_levels(tmp_path, array, zarr_format):
    attributes = multiscales("tczyx", [5, 1, 2, 0.5, 0.25], n_levels=2)
    attributes["omero"] = {"channels": [{"label": "DNA"}, {"label": "actin"}, {}]}
    volume = read_volume(save_image(tmp_path / "a.ome.zarr", array, attributes, zarr_format))
    assert volume.axis_names == ("t", "z", "y", "x")
    assert volume.shape == (2, 4, 20, 30, 3)
    assert (volume.spacing, volume.unit, volume.time_step) == ((2, 0.5, 0.25), "um", 5)
    assert volume.channel_names == ("DNA", "actin", "channel 3")
    assert [level.shape for level in volume.levels] == [(2, 4, 20, 30, 3), (2, 4, 10, 15, 3)]
    assert np.array_equal(volume.plane(0, 2, time=1), np.moveaxis(array[1, :, 2], 0, -1))
    assert volume.name == "a"


def test_axes_of_length_one_are_left_out(tmp_path, array):
    volume = read_volume(save_image(tmp_path / "a.zarr", array[:1, :1], multiscales("tczyx", [1, 1, 2, 1, 1])))
    assert volume.axis_names == ("z", "y", "x")
    assert volume.shape == (4, 20, 30)
    assert np.array_equal(volume.plane(1, 7), array[0, 0, :, 7])


def test_image_without_named_axes_is_tczyx(tmp_path, array):
    attributes = {"multiscales": [{"version": "0.1", "datasets": [{"path": "0"}]}]}
    volume = read_volume(save_image(tmp_path / "a.zarr", array, attributes))
    assert volume.axis_names == ("t", "z", "y", "x")
    assert volume.n_channels == 3


def test_scales_of_image_and_level_are_multiplied(tmp_path, array):
    more = {"coordinateTransformations": [{"type": "scale", "scale": [10, 10, 10]}]}
    volume = read_volume(save_image(tmp_path / "a.zarr", array[0, 0], multiscales("zyx", [2, 0.5, 0.5], **more)))
    assert volume.spacing == (20, 5, 5)


@pytest.mark.parametrize(
    ("shape", "expected", "names"),
    [
        ((20, 30), (1, 20, 30), ("z", "y", "x")),
        ((4, 20, 30), (4, 20, 30), ("z", "y", "x")),
        ((2, 4, 20, 30), (2, 4, 20, 30), ("t", "z", "y", "x")),
        ((4, 20, 30, 3), (4, 20, 30, 3), ("z", "y", "x")),
    ],
    ids=str,
)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_bare_array(tmp_path, shape, expected, names, zarr_format):
    array = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    zarr.save_array(str(tmp_path / "a.zarr"), array, zarr_format=zarr_format)
    volume = read_volume(tmp_path / "a.zarr")
    assert (volume.shape, volume.axis_names, volume.unit) == (expected, names, "")
    assert np.array_equal(np.asarray(volume.array[...]).reshape(shape), array)


def test_names_of_dimensions_are_used(tmp_path, array):
    zarr.create_array(str(tmp_path / "a.zarr"), data=array[0, :, 0], dimension_names=["channel", "y", "x"])
    volume = read_volume(tmp_path / "a.zarr")
    assert volume.shape == (1, 20, 30, 3)


def test_first_series_of_a_converted_file_is_read(tmp_path, array):
    zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=2, attributes={"bioformats2raw.layout": 3})
    save_image(tmp_path / "a.zarr" / "0", array[0, 0], multiscales("zyx", [2, 1, 1]))
    assert read_volume(tmp_path / "a.zarr").spacing == (2, 1, 1)


def test_volume_of_20_gb_opens_and_one_slice_reads_its_chunks_only(tmp_path, monkeypatch):
    shape, chunks = (5000, 2000, 2000), (1, 500, 500)
    array = zarr.create_array(str(tmp_path / "a.zarr"), shape=shape, chunks=chunks, dtype="u1", fill_value=0)
    array[3210] = 7
    volume = read_volume(tmp_path / "a.zarr")
    keys = []
    get = zarr.storage.LocalStore.get

    async def counted(store, key, *args, **kwargs):
        keys.append(key)
        return await get(store, key, *args, **kwargs)

    monkeypatch.setattr(zarr.storage.LocalStore, "get", counted)
    assert (volume.plane(0, 3210) == 7).all()
    assert len(keys) == 16


@pytest.mark.parametrize("data", [b"", b"broken", b"{}", b'{"zarr_format": 3, "node_type": "array"}'], ids=repr)
def test_broken_metadata_are_one_clear_error(tmp_path, data):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").write_bytes(data)
    with pytest.raises(VolumeError, match=r"a\.zarr' (cannot be read as zarr|is a zarr group with nothing in it)"):
        read_volume(tmp_path / "a.zarr")


def test_empty_folder_is_one_clear_error(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(VolumeError, match="cannot be read as zarr"):
        read_volume(tmp_path / "a.zarr")


def test_level_that_is_missing_is_one_clear_error(tmp_path, array):
    path = save_image(tmp_path / "a.zarr", array[0, 0], multiscales("zyx", [2, 1, 1], n_levels=2))
    shutil.rmtree(path / "1")
    with pytest.raises(VolumeError, match="cannot be read as OME-Zarr"):
        read_volume(path)


def test_chunk_that_was_cut_short_is_one_clear_error(tmp_path, array):
    zarr.create_array(str(tmp_path / "a.zarr"), data=array[0, 0], chunks=(1, 20, 30))
    chunk = tmp_path / "a.zarr" / "c" / "2" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:50])
    volume = read_volume(tmp_path / "a.zarr")
    assert np.array_equal(volume.plane(0, 1), array[0, 0, 1])
    with pytest.raises(VolumeError, match="slice 2 along z of 'a' cannot be read"):
        volume.plane(0, 2)


def test_group_of_several_arrays_is_refused(tmp_path, array):
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    group.create_array("one", data=array[0, 0])
    group.create_array("two", data=array[0, 0])
    with pytest.raises(VolumeError, match="is a zarr group with one, two in it; expected an array or one OME-Zarr"):
        read_volume(tmp_path / "a.zarr")
    assert read_volume(tmp_path / "a.zarr" / "one").shape == (4, 20, 30)


def test_array_of_six_axes_is_refused(tmp_path):
    zarr.save_array(str(tmp_path / "a.zarr"), np.zeros((2,) * 6, np.uint8))
    with pytest.raises(VolumeError, match="expected z, y and x"):
        read_volume(tmp_path / "a.zarr")


# ------------------------------------------------------------------------------------------------------- labels out


@pytest.mark.parametrize("most", [200, 60000, 70000])
def test_labels_keep_axes_spacing_unit_and_place(tmp_path, array, most):
    attributes = multiscales("zyx", [2, 0.5, 0.25])
    transformations = attributes["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    transformations.append({"type": "translation", "translation": [10, 20, 30]})
    like = read_volume(save_image(tmp_path / "a.zarr", array[0, 0], attributes))
    assert like.source.translation == (10, 20, 30)
    labels = np.random.default_rng(0).integers(0, most, like.shape)
    labels[0, 0, 0] = most
    (path,) = write_labels_volume(tmp_path / "l.zarr", labels, like)
    volume = read_volume(path)
    assert (volume.spacing, volume.unit, volume.source.translation) == (like.spacing, "um", (10, 20, 30))
    assert volume.is_labels and volume.dtype == np.min_scalar_type(most)
    assert np.array_equal(np.asarray(volume.array[...]), labels)


def test_labels_over_time(tmp_path):
    like = Volume(np.zeros((2, 4, 20, 30)), axis_names=("t", "z", "y", "x"), time_step=5, time_unit="s", unit="nm")
    labels = np.random.default_rng(0).integers(0, 9, like.shape)
    (path,) = write_labels_volume(tmp_path / "l.zarr", labels, like)
    volume = read_volume(path)
    assert (volume.axis_names, volume.time_step, volume.time_unit, volume.unit) == (like.axis_names, 5, "s", "nm")
    assert np.array_equal(volume.plane(2, 3, time=1), labels[1, :, :, 3])


def test_labels_that_are_written_again_are_replaced(tmp_path):
    like = Volume(np.zeros((4, 20, 30)))
    write_labels_volume(tmp_path / "l.zarr", np.ones(like.shape, int), like)
    write_labels_volume(tmp_path / "l.zarr", np.full(like.shape, 2), like)
    assert (np.asarray(read_volume(tmp_path / "l.zarr").array[...]) == 2).all()
    assert [path.name for path in tmp_path.iterdir()] == ["l.zarr"]


def test_what_is_no_zarr_is_not_replaced(tmp_path):
    like = Volume(np.zeros((4, 20, 30)))
    (tmp_path / "l.zarr").mkdir()
    (tmp_path / "l.zarr" / "thesis.txt").write_text("years of work")
    with pytest.raises(VolumeError, match="exists and is no zarr folder"):
        write_labels_volume(tmp_path / "l.zarr", np.ones(like.shape, int), like)
    assert (tmp_path / "l.zarr" / "thesis.txt").exists()


def test_old_labels_stay_if_writing_fails(tmp_path):
    class FailingLabels:
        shape, dtype = (4, 20, 30), np.dtype(np.uint8)

        def __init__(self) -> None:
            self.n_read = 0

        def __getitem__(self, key):
            self.n_read += 1
            if self.n_read > 6:
                raise OSError("the disk is gone")
            return np.ones((20, 30), np.uint8)

    like = Volume(np.zeros((4, 20, 30)))
    write_labels_volume(tmp_path / "l.zarr", np.full(like.shape, 2), like)
    with pytest.raises(OSError, match="the disk is gone"):
        write_labels_volume(tmp_path / "l.zarr", FailingLabels(), like)
    assert (np.asarray(read_volume(tmp_path / "l.zarr").array[...]) == 2).all()
    assert [path.name for path in tmp_path.iterdir()] == ["l.zarr"]


def test_labels_that_lie_in_an_image_are_found(tmp_path, array):
    path = save_image(tmp_path / "a.zarr", array[0, 0], multiscales("zyx", [2, 1, 1]))
    zarr.open_group(str(path / "labels"), mode="w", zarr_format=2, attributes={"labels": ["cells"]})
    like = read_volume(path)
    write_labels_volume(path / "labels" / "cells.zarr", np.ones(like.shape, int), like)
    (path / "labels" / "cells.zarr").rename(path / "labels" / "cells")
    labels = read_zarr_labels(path)
    assert list(labels) == ["cells"] and labels["cells"].is_labels
    assert read_zarr_labels(path / "labels" / "cells") == {}
