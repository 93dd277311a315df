"""NIfTI in: axes, scaling, orientation, laziness, broken files. Out: the same geometry."""

from __future__ import annotations

import gzip
import pickle
from typing import TYPE_CHECKING

import nibabel
import numpy as np
import pytest

from napari_segnext import Volume, read_volume
from napari_segnext.errors import VolumeError
from napari_segnext.io import read_nifti_shape, write_labels_volume

if TYPE_CHECKING:
    from pathlib import Path

SHAPE_XYZ = (7, 6, 5)

LPS = np.array([[-0.5, 0, 0, 90], [0, -0.75, 0, 120], [0, 0, 2, -70], [0, 0, 0, 1.0]])

ANGLES = np.deg2rad([10, -20, 35])


def oblique() -> np.ndarray:
    """Rotated about all axes, with sheared-free columns of length 0.5, 0.75 and 2."""
    affine = np.eye(4)
    affine[:3, :3] = nibabel.eulerangles.euler2mat(*ANGLES) @ np.diag([0.5, 0.75, 2])
    affine[:3, 3] = [5, -6, 7]
    return affine


@pytest.fixture
def array() -> np.ndarray:
    """(x, y, z) as files have it."""
    return np.random.default_rng(0).integers(-500, 500, SHAPE_XYZ).astype(np.int16)


def save(
    path: Path, array: np.ndarray, affine: np.ndarray = LPS, kind=nibabel.Nifti1Image, unit="mm", **header
) -> Path:
    image = kind(array, affine)
    image.header.set_xyzt_units(unit, "sec")
    for name, value in header.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII.GZ"])
def test_axes_are_turned_round(tmp_path, array, name):
    volume = read_volume(save(tmp_path / name, array))
    assert volume.shape == (5, 6, 7)
    assert volume.spacing == (2, 0.75, 0.5)
    assert (volume.unit, volume.name, volume.dtype) == ("mm", name[:1], np.int16)
    assert np.array_equal(volume.plane(0, 2), array[:, :, 2].T)
    assert np.array_equal(volume.plane(1, 3), array[:, 3].T)
    assert np.array_equal(volume.plane(2, 4), array[4].T)
    assert read_nifti_shape(tmp_path / name) == volume.shape


def test_affine_leads_from_array_order_to_array_order(tmp_path, array):
    volume = read_volume(save(tmp_path / "a.nii", array, oblique()))
    x, y, z, _ = oblique() @ [1, 2, 3, 1]
    assert np.allclose(volume.affine @ [3, 2, 1, 1], [z, y, x, 1], atol=1e-5)
    assert volume.spacing == pytest.approx((2, 0.75, 0.5))


def test_orientation_tells_the_views(tmp_path, array):
    volume = read_volume(save(tmp_path / "a.nii", array))
    assert volume.orientation == ("S", "P", "L")
    assert volume.axis_of_view("axial") == 0
    # z of this file runs from left to right
    sagittal = read_volume(save(tmp_path / "b.nii", array, LPS[[2, 0, 1, 3]]))
    assert sagittal.axis_of_view("sagittal") == 0


def test_slope_and_intercept_are_applied(tmp_path, array):
    for name in ("a.nii", "a.nii.gz"):
        image = nibabel.Nifti1Image(array, LPS)
        image.header.set_slope_inter(0.5, -20)
        path = tmp_path / name
        data = image.to_bytes()
        path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
        stored = np.asarray(nibabel.load(path).dataobj.get_unscaled())
        volume = read_volume(path)
        assert volume.dtype.kind == "f"
        assert volume.plane(0, 1).dtype == volume.dtype
        assert np.allclose(volume.plane(0, 1), stored[:, :, 1].T * 0.5 - 20)


@pytest.mark.parametrize("dtype", [">i2", ">f4", "<u2", "u1", "i1", "<i4", "<u4", "<i8", "<f8"])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_every_kind_of_number_is_read_in_the_byte_order_of_the_machine(tmp_path, dtype, name):
    array = np.arange(210).reshape(SHAPE_XYZ).astype(dtype)
    image = nibabel.Nifti1Image(
        array, LPS, nibabel.Nifti1Header(endianness=">" if dtype[0] == ">" else "<"), dtype=dtype
    )
    nibabel.save(image, tmp_path / name)
    assert nibabel.load(tmp_path / name).header.endianness == (">" if dtype[0] == ">" else "<")
    volume = read_volume(tmp_path / name)
    assert volume.dtype == np.dtype(dtype).newbyteorder("=")
    plane = volume.plane(1, 2)
    assert plane.dtype.isnative
    assert np.array_equal(plane, array[:, 2].T)
    labels = np.ones(volume.shape, np.uint8)
    (written,) = write_labels_volume(tmp_path / "labels.nii", labels, volume)
    assert np.allclose(nibabel.load(written).affine, LPS)


def test_nifti_2_is_read_and_written_back_as_such(tmp_path, array):
    volume = read_volume(save(tmp_path / "a.nii", array, kind=nibabel.Nifti2Image))
    assert np.array_equal(volume.plane(0, 2), array[:, :, 2].T)
    (written,) = write_labels_volume(tmp_path / "labels.nii.gz", np.ones((5, 6, 7), int), volume)
    assert isinstance(nibabel.load(written), nibabel.Nifti2Image)


def test_rgb_becomes_channels(tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (*SHAPE_XYZ, 3)).astype(np.uint8)
    structured = np.ascontiguousarray(colours).view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    volume = read_volume(save(tmp_path / "a.nii.gz", structured))
    assert volume.shape == (5, 6, 7, 3)
    assert volume.is_rgb
    assert np.array_equal(volume.plane(0, 2), colours[:, :, 2].transpose(1, 0, 2))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_time_comes_first(tmp_path, array, name):
    path = save(tmp_path / name, np.stack([array, array + 1], -1), pixdim=[1, 0.5, 0.75, 2, 2.5, 0, 0, 0])
    volume = read_volume(path)
    assert volume.shape == (2, 5, 6, 7)
    assert (volume.axis_names, volume.time_step, volume.time_unit) == (("t", "z", "y", "x"), 2.5, "s")
    assert np.array_equal(volume.plane(0, 2, time=1), array[:, :, 2].T + 1)


@pytest.mark.parametrize("shape", [(*SHAPE_XYZ, 1), (*SHAPE_XYZ, 1, 1)])
def test_axes_of_length_one_are_no_time(tmp_path, array, shape):
    volume = read_volume(save(tmp_path / "a.nii", array.reshape(shape)))
    assert volume.axis_names == ("z", "y", "x")
    assert np.array_equal(volume.plane(0, 2), array[:, :, 2].T)


def test_image_of_two_axes_is_one_slice(tmp_path, array):
    volume = read_volume(save(tmp_path / "a.nii", array[:, :, 0]))
    assert volume.shape == (1, 6, 7)
    assert np.array_equal(volume.plane(0, 0), array[:, :, 0].T)


def test_unit_that_is_not_told_is_mm(tmp_path, array):
    assert read_volume(save(tmp_path / "a.nii", array, unit="unknown")).unit == "mm"
    assert read_volume(save(tmp_path / "b.nii", array, unit="micron")).unit == "um"


def test_one_slice_of_an_uncompressed_file_reads_one_slice(tmp_path, monkeypatch):
    """20 GB, of which the file system stores next to nothing."""
    path = save(tmp_path / "a.nii", np.zeros((2, 2, 2), np.int16))
    header = nibabel.load(path).header
    header.set_data_shape((2000, 2000, 2500))
    with path.open("wb") as file:
        header.write_to(file)
        file.truncate(int(header.get_data_offset()) + 2000 * 2000 * 2500 * 2)
        file.seek(int(header.get_data_offset()) + 2000 * 2000 * 2 * 1234)
        file.write(np.full(2000 * 2000, 7, np.int16).tobytes())
    volume = read_volume(path)
    n_read = []
    read_segments = nibabel.fileslice.read_segments
    monkeypatch.setattr(
        nibabel.fileslice,
        "read_segments",
        lambda file, segments, n_bytes, *a: n_read.append(n_bytes) or read_segments(file, segments, n_bytes, *a),
    )
    assert (volume.plane(0, 1234) == 7).all()
    assert volume.shape == (2500, 2000, 2000)
    assert sum(n_read) <= 2000 * 2000 * 2


def test_lazy_volume_can_be_sent_to_another_process(tmp_path, array):
    volume = pickle.loads(pickle.dumps(read_volume(save(tmp_path / "a.nii", array))))
    assert np.array_equal(volume.plane(0, 2), array[:, :, 2].T)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize(
    "data", [b"", b"broken", b"\0" * 400, b"\x1f\x8b broken"], ids=["empty", "text", "zeros", "gzip"]
)
def test_broken_file_is_one_clear_error(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(VolumeError, match=f"{name}' cannot be read as NIfTI"):
        read_volume(tmp_path / name)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("kept", [0.3, 0.9, 0.98])
def test_file_that_was_cut_short_is_one_clear_error(tmp_path, name, kept):
    path = save(tmp_path / name, np.random.default_rng(0).integers(0, 9999, (30, 30, 30)).astype(np.int16))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(VolumeError, match="is cut short or broken"):
        read_volume(path)


def test_damaged_compressed_file_is_one_clear_error(tmp_path):
    path = save(tmp_path / "a.nii.gz", np.random.default_rng(0).integers(0, 9999, (30, 30, 30)).astype(np.int16))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 50] = b"\xff" * 50
    path.write_bytes(data)
    with pytest.raises(VolumeError, match="is cut short or broken"):
        read_volume(path)


def test_header_with_absurd_shape_is_one_clear_error(tmp_path, array):
    path = save(tmp_path / "a.nii", array)
    header = nibabel.load(path).header
    header["dim"] = [3, 30000, 30000, 30000, 1, 1, 1, 1]
    path.write_bytes(header.binaryblock + path.read_bytes()[348:])
    with pytest.raises(VolumeError, match="is cut short"):
        read_volume(path)
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(VolumeError, match="is cut short"):
        read_volume(tmp_path / "b.nii.gz")


def test_complex_numbers_are_refused(tmp_path, array):
    with pytest.raises(VolumeError, match="holds complex numbers"):
        read_volume(save(tmp_path / "a.nii", array.astype(np.complex64)))


def test_five_axes_are_refused(tmp_path):
    with pytest.raises(VolumeError, match=r"shape \(4, 4, 4, 1, 3\); expected a volume of three axes"):
        read_volume(save(tmp_path / "a.nii", np.zeros((4, 4, 4, 1, 3), np.float32)))


def test_affine_without_extent_is_refused(tmp_path, array):
    image = nibabel.Nifti1Image(array, None)
    image.header.set_sform(LPS * [[1], [1], [0], [1]], code=1)
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(VolumeError, match=r"a\.nii' cannot be used as a volume: .* expected"):
        read_volume(tmp_path / "a.nii")


# ------------------------------------------------------------------------------------------------------- labels out


def geometry(path: Path) -> dict:
    header = nibabel.load(path).header
    return {
        "affine": nibabel.load(path).affine.tolist(),
        "qform": (header["qform_code"].item(), [header[f"quatern_{x}"].item() for x in "bcd"]),
        "offsets": [header[f"qoffset_{x}"].item() for x in "xyz"],
        "sform": (header["sform_code"].item(), [header[f"srow_{x}"].tolist() for x in "xyz"]),
        "pixdim": header["pixdim"][:4].tolist(),
        "units": header.get_xyzt_units(),
    }


@pytest.mark.parametrize("affine", [LPS, oblique(), LPS[[2, 0, 1, 3]]], ids=["LPS", "oblique", "turned"])
@pytest.mark.parametrize("codes", [(1, 1), (0, 2), (1, 0), (4, 2), (0, 0)], ids=str)
@pytest.mark.parametrize("name", ["labels.nii", "labels.nii.gz"])
def test_labels_have_the_geometry_of_their_source(tmp_path, array, affine, codes, name):
    image = nibabel.Nifti1Image(array, None)
    image.header.set_qform(affine, code=codes[0])
    image.header.set_sform(affine, code=codes[1])
    image.header.set_xyzt_units("mm", "msec")
    nibabel.save(image, tmp_path / "image.nii.gz")
    labels = np.random.default_rng(1).integers(0, 300, (5, 6, 7))
    (written,) = write_labels_volume(tmp_path / name, labels, read_volume(tmp_path / "image.nii.gz"))
    assert geometry(written) == geometry(tmp_path / "image.nii.gz")
    assert np.array_equal(np.asanyarray(nibabel.load(written).dataobj), labels.T)
    assert nibabel.load(written).get_data_dtype() == np.uint16


def test_sform_and_qform_that_differ_both_stay(tmp_path, array):
    image = nibabel.Nifti1Image(array, None)
    image.header.set_qform(LPS, code=1)
    image.header.set_sform(oblique(), code=4)
    nibabel.save(image, tmp_path / "image.nii")
    (written,) = write_labels_volume(
        tmp_path / "l.nii.gz", np.ones((5, 6, 7), bool), read_volume(tmp_path / "image.nii")
    )
    assert geometry(written) == geometry(tmp_path / "image.nii")


def test_scaling_and_display_range_of_the_source_are_not_taken_over(tmp_path, array):
    image = nibabel.Nifti1Image(array.astype(np.float32) / 7, LPS)
    image.set_data_dtype(np.int16)
    image.header["cal_max"] = 100
    nibabel.save(image, tmp_path / "image.nii")
    volume = read_volume(tmp_path / "image.nii")
    (written,) = write_labels_volume(tmp_path / "l.nii", np.full((5, 6, 7), 200), volume)
    labels = nibabel.load(written)
    assert (labels.dataobj.slope, labels.dataobj.inter, labels.header["cal_max"]) == (1, 0, 0)
    assert (np.asanyarray(labels.dataobj) == 200).all()
    assert read_volume(written).is_labels and not volume.is_labels


def test_labels_of_one_time_point_and_of_all(tmp_path, array):
    path = save(tmp_path / "a.nii", np.stack([array, array], -1), pixdim=[1, 0.5, 0.75, 2, 2.5, 0, 0, 0])
    volume = read_volume(path)
    (one,) = write_labels_volume(tmp_path / "one.nii", np.ones((5, 6, 7), int), volume)
    (all_,) = write_labels_volume(tmp_path / "all.nii", np.ones((2, 5, 6, 7), int), volume)
    assert read_volume(one).shape == (5, 6, 7)
    assert (read_volume(all_).shape, read_volume(all_).time_step) == ((2, 5, 6, 7), 2.5)
    assert np.allclose(read_volume(one).affine, volume.affine)


@pytest.mark.parametrize(
    ("unit", "spacing", "stored"),
    [("nm", (50, 4.6, 4.6), (0.0046, 0.0046, 0.05)), ("um", (2, 1, 0.5), (0.5, 1, 2)), ("", (2, 1, 1), (1, 1, 2))],
)
def test_volume_of_another_format_gives_its_spacing(tmp_path, unit, spacing, stored):
    volume = Volume(np.zeros((5, 6, 7)), spacing=spacing, unit=unit)
    (written,) = write_labels_volume(tmp_path / "l.nii", np.ones((5, 6, 7), int), volume)
    header = nibabel.load(written).header
    assert header.get_zooms() == pytest.approx(stored)
    assert header.get_xyzt_units()[0] == ("micron" if unit else "unknown")


def test_real_volume_round_trip(tmp_path, data_folder):
    path = data_folder / "eval_dev" / "volumes" / "hippocampus_001.nii.gz"
    volume = read_volume(path)
    assert volume.orientation == ("S", "A", "R")
    (written,) = write_labels_volume(tmp_path / "l.nii.gz", np.ones(volume.shape, int), volume)
    assert geometry(written) == geometry(path)
