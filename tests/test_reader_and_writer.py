"""napari's File → Open and Save: volumes as layers in their place, and labels back to files."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import nibabel
import numpy as np
import PIL.Image
import pytest
import zarr

from napari_segnext import Volume, _reader, read_volume
from napari_segnext._reader import get_reader, layers_of_volume
from napari_segnext._writer import write_labels, write_objects
from napari_segnext.errors import VolumeError
from napari_segnext.io import write_labels_volume
from napari_segnext.volumes import VOLUME_NOTE

if TYPE_CHECKING:
    from pathlib import Path

AFFINE = np.array([[-0.5, 0, 0, 90], [0, -0.75, 0, 120], [0, 0, 2, -70], [0, 0, 0, 1.0]])

SHAPE = (5, 6, 7)


def save_nifti(path: Path, array: np.ndarray) -> Path:
    """`array` is (Z, Y, X)."""
    image = nibabel.Nifti1Image(array.T, AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(AFFINE, code=1)
    image.set_qform(AFFINE, code=1)
    nibabel.save(image, path)
    return path


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 3, SHAPE)


@pytest.fixture
def viewer():
    """A viewer without a window, which finds the plugin as napari does."""
    pytest.importorskip("napari")
    import npe2
    from napari.components import ViewerModel

    npe2.PluginManager.instance().discover()
    return ViewerModel()


def layers(path: Path):
    reader = get_reader(str(path))
    assert reader is not None
    return reader(str(path))


# ------------------------------------------------------------------------------------------------------------- reader


def test_image_lies_at_its_scale_with_units_and_axes(tmp_path, array):
    ((data, attributes, kind),) = layers(save_nifti(tmp_path / "a.nii.gz", array))
    assert kind == "image"
    assert np.array_equal(data, array)
    assert attributes["scale"] == (2, 0.75, 0.5)
    assert attributes["units"] == ("millimeter",) * 3
    assert attributes["axis_labels"] == ("z", "y", "x")
    low, high = attributes["contrast_limits"]
    assert array.min() <= low < high <= array.max()


@pytest.mark.parametrize("name", ["case_seg", "case-label", "case_mask", "Segmentation Labels"])
def test_files_named_like_labels_become_labels(tmp_path, labels, name):
    ((data, _, kind),) = layers(save_nifti(tmp_path / f"{name}.nii.gz", labels.astype(np.float32)))
    assert kind == "labels"
    assert data.dtype.kind == "u"
    data[0, 0, 0] = 7


def test_file_named_like_labels_but_with_fractions_is_an_image(tmp_path, array):
    ((_, _, kind),) = layers(save_nifti(tmp_path / "case_mask.nii.gz", array))
    assert kind == "image"


def test_our_own_labels_are_labels_under_any_name(tmp_path, array, labels):
    volume = read_volume(save_nifti(tmp_path / "a.nii.gz", array))
    for name in ("x.nii.gz", "x.zarr"):
        (path,) = write_labels_volume(tmp_path / name, labels, volume)
        ((data, attributes, kind),) = layers(path)
        assert kind == "labels"
        assert attributes["scale"] == (2, 0.75, 0.5)
        assert np.array_equal(data, labels)


def test_large_labels_stay_lazy(tmp_path, array, labels, monkeypatch):
    volume = read_volume(save_nifti(tmp_path / "a.nii.gz", array))
    write_labels_volume(tmp_path / "x.zarr", labels, volume)
    monkeypatch.setattr(_reader, "MAX_LABELS_IN_MEMORY_BYTES", 10)
    ((data, _, _),) = layers(tmp_path / "x.zarr")
    assert isinstance(data, zarr.Array)


def test_brats_case_is_four_images_and_named_labels(tmp_path, array, labels):
    for name in ("t1", "t1ce", "t2", "flair"):
        save_nifti(tmp_path / f"c_{name}.nii.gz", array)
    save_nifti(tmp_path / "c_seg.nii.gz", labels.astype(np.uint8))
    found = layers(tmp_path)
    assert [kind for *_, kind in found] == ["image"] * 4 + ["labels"]
    assert [attributes["name"].split()[-1] for _, attributes, _ in found] == ["t1", "t1ce", "t2", "flair", "seg"]
    assert [attributes["visible"] for _, attributes, _ in found] == [False, False, False, True, True]
    features = found[-1][1]["features"]
    assert dict(zip(features["index"], features["name"], strict=True))[2] == "oedema"
    assert len({attributes["scale"] for _, attributes, _ in found}) == 1


def test_sstem_folder_is_an_image_and_labels(tmp_path):
    for folder in ("raw", "mitochondria", "neurites"):
        (tmp_path / folder).mkdir()
        for number in range(3):
            PIL.Image.fromarray(np.full((6, 7), number, np.uint8)).save(tmp_path / folder / f"{number}.png")
    found = layers(tmp_path)
    assert [kind for *_, kind in found] == ["image", "labels", "labels"]
    assert {attributes["units"] for _, attributes, _ in found} == {("nanometer",) * 3}
    assert {attributes["scale"] for _, attributes, _ in found} == {(50, 4.6, 4.6)}
    assert found[0][1]["contrast_limits"] == (0, 255)


def test_folder_of_numbered_images_is_one_lazy_image(tmp_path):
    for number in range(3):
        PIL.Image.fromarray(np.full((6, 7, 3), number, np.uint8)).save(tmp_path / f"{number}.png")
    ((data, attributes, kind),) = layers(tmp_path)
    assert (kind, attributes["rgb"], data.shape) == ("image", True, (3, 6, 7, 3))
    assert attributes["units"] == ("pixel",) * 3
    assert len(attributes["scale"]) == len(attributes["axis_labels"]) == 3


def test_channels_become_layers(tmp_path):
    volume = Volume(np.random.default_rng(0).normal(size=(*SHAPE, 2)), channel_names=("DNA", "actin"), name="a")
    (dna, dna_attributes, _), (actin, *_) = layers_of_volume(volume)
    assert dna_attributes["name"] == "a DNA"
    assert np.array_equal(np.asarray(dna), volume.array[..., 0])
    assert np.array_equal(np.asarray(actin), volume.array[..., 1])


def test_pyramid_becomes_a_multiscale_layer(array):
    volume = Volume(array, levels=(array, array[:, ::2, ::2]))
    ((data, attributes, _),) = layers_of_volume(volume)
    assert attributes["multiscale"] and [level.shape for level in data] == [(5, 6, 7), (5, 3, 4)]


def test_time_has_its_own_step_and_unit(array):
    volume = Volume(
        np.stack([array, array]),
        axis_names=("t", "z", "y", "x"),
        spacing=(2, 1, 1),
        time_step=5,
        time_unit="s",
        unit="um",
    )
    ((_, attributes, _),) = layers_of_volume(volume)
    assert attributes["scale"] == (5, 2, 1, 1)
    assert attributes["units"] == ("second", "micrometer", "micrometer", "micrometer")
    ((_, film, _),) = layers_of_volume(volume.over_time(0, 1))
    assert film["units"] == ("second", "micrometer", "micrometer")


@pytest.mark.parametrize("fill", [0, np.nan, np.inf])
def test_contrast_limits_of_dull_images_are_finite_and_ascending(fill):
    ((_, attributes, _),) = layers_of_volume(Volume(np.full(SHAPE, fill, np.float32)))
    low, high = attributes["contrast_limits"]
    assert np.isfinite([low, high]).all() and low < high


def test_what_is_not_ours_is_left_to_others(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    assert get_reader(str(tmp_path)) is None
    assert get_reader(str(tmp_path / "notes.txt")) is None
    assert get_reader(str(tmp_path / "a.tif")) is None
    assert get_reader([str(tmp_path / "a.nii"), str(tmp_path / "b.nii")]) is None
    assert get_reader([str(tmp_path / "a.nii")]) is not None


def test_broken_file_is_one_clear_error(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"broken")
    with pytest.raises(VolumeError, match="cannot be read as NIfTI"):
        layers(tmp_path / "a.nii.gz")


# ------------------------------------------------------------------------------------------------------------- writer


def test_labels_are_saved_in_the_place_of_their_volume(tmp_path, array, labels):
    source = save_nifti(tmp_path / "a.nii.gz", array)
    ((_, attributes, _),) = layers(source)
    (path,) = write_labels(str(tmp_path / "l.nii.gz"), labels, attributes)
    one, other = nibabel.load(path), nibabel.load(source)
    assert np.array_equal(one.affine, other.affine)
    assert np.array_equal(np.asanyarray(one.dataobj), labels.T)
    for field in ("qform_code", "sform_code", "xyzt_units"):
        assert one.header[field] == other.header[field]


def test_each_object_is_saved_to_a_file_of_its_own(tmp_path, labels):
    paths = write_objects(str(tmp_path / "l.tif"), labels, {})
    assert [path[-10:] for path in paths] == ["l_0001.tif", "l_0002.tif"]


@pytest.mark.parametrize("name", ["l.nii.gz", "l.tif", "l.zarr"])
def test_labels_of_an_unknown_volume_have_the_scale_of_their_layer(tmp_path, labels, name):
    attributes = {"scale": (2, 0.5, 0.25), "units": ("micrometer",) * 3, "translate": (0, 0, 0), "metadata": {}}
    (path,) = write_labels(str(tmp_path / name), labels, attributes)
    volume = read_volume(path)
    assert (volume.spacing, volume.unit) == (pytest.approx((2, 0.5, 0.25)), "um")


def test_volume_of_another_shape_does_not_count(tmp_path, labels):
    attributes = {"scale": (3, 1, 1), "metadata": {VOLUME_NOTE: Volume(np.zeros((2, 2, 2)), name="other")}}
    (path,) = write_labels(str(tmp_path / "l.zarr"), labels, attributes)
    assert read_volume(path).spacing == (3, 1, 1)


def test_labels_of_one_image_are_one_slice(tmp_path, labels):
    (path,) = write_labels(str(tmp_path / "l.nii"), labels[0], {"scale": (0.5, 0.5), "units": ("millimeter",) * 2})
    assert read_volume(path).shape == (1, 6, 7)
    assert read_volume(path).spacing == (1, 0.5, 0.5)


def test_labels_of_five_axes_are_refused(tmp_path):
    with pytest.raises(VolumeError, match="expected two to four axes"):
        write_labels(str(tmp_path / "l.nii"), np.zeros((1, 2, 3, 4, 5), int), {"name": "a"})


# ------------------------------------------------------------------------------------------------------------- napari


def test_reader_and_writer_load_neither_torch_nor_qt():
    code = (
        "import sys, napari_segnext._writer, napari_segnext._reader;"
        "napari_segnext._reader.get_reader('a.nii');"
        "print(sorted({'torch', 'qtpy', 'napari', 'nibabel', 'zarr', 'tifffile'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_napari_opens_volumes_and_saves_labels(viewer, tmp_path, array, labels):
    source = save_nifti(tmp_path / "a.nii.gz", array)
    (image,) = viewer.open(source, plugin="napari-segnext")
    assert tuple(str(unit) for unit in image.units) == ("millimeter",) * 3
    assert tuple(image.scale) == (2, 0.75, 0.5)
    layer = viewer.add_labels(labels, metadata=dict(image.metadata), scale=image.scale, units=image.units)
    for name in ("l.nii.gz", "l.zarr", "l.tif"):
        (path,) = layer.save(str(tmp_path / name), plugin="napari-segnext")
        assert np.array_equal(np.asarray(read_volume(path).array[...]), labels)
        assert read_volume(path).spacing == pytest.approx((2, 0.75, 0.5))
    assert np.array_equal(nibabel.load(tmp_path / "l.nii.gz").affine, AFFINE)
    (opened,) = viewer.open(tmp_path / "l.zarr", plugin="napari-segnext")
    assert opened.editable and np.array_equal(opened.data, labels)


def test_napari_shows_lazy_volumes_slice_by_slice(viewer, tmp_path):
    array = zarr.create_array(str(tmp_path / "a.zarr"), shape=(4000, 2000, 2500), chunks=(1, 1000, 2500), dtype="u2")
    array[2000] = 7
    (image,) = viewer.open(tmp_path / "a.zarr", plugin="napari-segnext")
    viewer.dims.set_current_step(0, 2000)
    assert image.get_value((2000, 5, 5)) == 7


@pytest.mark.parametrize("layout", ["folder", "rgb folder", "channels", "pyramid", "film", "nii"])
def test_napari_takes_every_kind_of_layer(viewer, tmp_path, array, layout):
    from napari.layers import Layer

    if "folder" in layout:
        for number in range(3):
            shape = (6, 7, 3) if "rgb" in layout else (6, 7)
            PIL.Image.fromarray(np.full(shape, number, np.uint8)).save(tmp_path / f"{number}.png")
        volume = read_volume(tmp_path)
    elif layout == "channels":
        volume = Volume(np.stack([array, array], -1), name="a")
    elif layout == "pyramid":
        volume = Volume(array, levels=(array, array[:, ::2, ::2]))
    elif layout == "film":
        volume = Volume(np.stack([array] * 2), axis_names=("t", "z", "y", "x"), time_unit="s", unit="um").over_time(
            0, 1
        )
    else:
        volume = read_volume(save_nifti(tmp_path / "a.nii", array))
    for data in layers_of_volume(volume):
        viewer.add_layer(Layer.create(*data))
    viewer.dims.set_current_step(0, 1)
    shown = viewer.layers[0]
    expected = volume.plane(0, 1)[..., 0] if layout == "channels" else volume.plane(0, 1)
    if layout != "pyramid":
        assert np.array_equal(shown._slice.image.raw, expected)
