"""TIFF stacks: axes and spacing of ImageJ and OME, laziness, broken files, labels out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest
import tifffile

from napari_segnext import Volume, read_volume
from napari_segnext.errors import VolumeError
from napari_segnext.io import write_labels_volume

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (4, 3, 20, 30)


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 60000, SHAPE).astype(np.uint16)


def save(path: Path, array: np.ndarray, **options) -> Path:
    tifffile.imwrite(path, array, **{"photometric": "minisblack", **options})
    return path


@pytest.mark.parametrize(
    "options", [{}, {"compression": "zlib"}, {"byteorder": ">"}, {"tile": (16, 16)}, {"bigtiff": True}]
)
def test_pages_are_slices(tmp_path, array, options):
    volume = read_volume(save(tmp_path / "a.tif", array[:, 0], **options))
    assert volume.shape == (4, 20, 30)
    assert volume.dtype == np.uint16
    assert (volume.spacing, volume.unit, volume.name) == ((1, 1, 1), "", "a")
    for axis in range(3):
        assert np.array_equal(volume.plane(axis, 2), array[:, 0].take(2, axis))


def test_imagej_tells_axes_spacing_and_unit(tmp_path, array):
    metadata = {"axes": "TZYX", "spacing": 2.5, "unit": "micron", "finterval": 3}
    volume = read_volume(save(tmp_path / "a.tif", array, imagej=True, metadata=metadata, resolution=(4, 5)))
    assert volume.axis_names == ("t", "z", "y", "x")
    assert volume.spacing == pytest.approx((2.5, 0.2, 0.25))
    assert (volume.unit, volume.time_step, volume.time_unit) == ("um", 3, "s")
    assert np.array_equal(volume.plane(1, 2, time=1), array[1, :, 2])


def test_channels_of_imagej_come_last_and_are_no_colours(tmp_path, array):
    volume = read_volume(save(tmp_path / "a.tif", array, imagej=True, metadata={"axes": "ZCYX"}))
    assert volume.shape == (4, 20, 30, 3)
    assert volume.channel_names == ("channel 1", "channel 2", "channel 3")
    assert not volume.is_rgb
    assert np.array_equal(volume.plane(0, 2), np.moveaxis(array[2], 0, -1))


def test_colours_come_last(tmp_path, array):
    colours = np.moveaxis(array, 1, -1).astype(np.uint8)
    volume = read_volume(save(tmp_path / "a.tif", colours, photometric="rgb"))
    assert volume.is_rgb
    assert np.array_equal(volume.plane(0, 2), colours[2])


def test_film_without_z_runs_along_time(tmp_path, array):
    metadata = {"axes": "TYX", "unit": "um", "finterval": 3}
    volume = read_volume(save(tmp_path / "a.tif", array[:, 0], imagej=True, metadata=metadata, resolution=(4, 4)))
    assert volume.axis_names == ("t", "y", "x")
    assert volume.spacing == (3, 0.25, 0.25)


def test_ome_tells_axes_spacing_unit_and_channels(tmp_path, array):
    sizes = {"PhysicalSizeX": 4.6, "PhysicalSizeY": 4.6, "PhysicalSizeZ": 0.05}
    units = {"PhysicalSizeXUnit": "nm", "PhysicalSizeYUnit": "nm", "PhysicalSizeZUnit": "µm"}
    metadata = {"axes": "CZYX", **sizes, **units, "Channel": {"Name": ["a", "b", "c", "d"]}}
    volume = read_volume(save(tmp_path / "a.ome.tif", array, metadata=metadata))
    assert volume.shape == (3, 20, 30, 4)
    assert volume.spacing == pytest.approx((50, 4.6, 4.6))
    assert (volume.unit, volume.channel_names, volume.name) == ("nm", ("a", "b", "c", "d"), "a")


def test_levels_of_a_pyramid_are_kept(tmp_path, array):
    options = {"tile": (16, 16), "photometric": "minisblack"}
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        file.write(array[:, 0], subifds=1, metadata={"axes": "ZYX"}, **options)
        file.write(array[:, 0, ::2, ::2], subfiletype=1, **options)
    volume = read_volume(tmp_path / "a.ome.tif")
    assert [level.shape for level in volume.levels] == [(4, 20, 30), (4, 10, 15)]
    assert np.array_equal(volume.plane(0, 1), array[1, 0])


def test_dots_per_inch_say_nothing_of_voxels(tmp_path, array):
    volume = read_volume(save(tmp_path / "a.tif", array[:, 0], resolution=(72, 72), resolutionunit="INCH"))
    assert (volume.spacing, volume.unit) == ((1, 1, 1), "")


def test_one_image_is_one_slice(tmp_path, array):
    volume = read_volume(save(tmp_path / "a.tif", array[0, 0]))
    assert volume.shape == (1, 20, 30)


def test_uncompressed_stack_of_20_gb_opens_and_gives_one_slice(tmp_path):
    shape = (5000, 2000, 2000)
    path = tmp_path / "a.tif"
    mapped = tifffile.memmap(path, shape=shape, dtype=np.uint8, bigtiff=True, photometric="minisblack")
    mapped[4321] = 7
    del mapped
    volume = read_volume(path)
    assert volume.shape == shape
    assert (volume.plane(0, 4321) == 7).all()
    assert isinstance(volume.array, np.memmap)


def test_one_slice_of_a_compressed_stack_decodes_that_page_only(tmp_path, array):
    path = save(tmp_path / "a.tif", array[:, 0], compression="zlib")
    with tifffile.TiffFile(path) as file:
        offset, n_bytes = file.pages[1].dataoffsets[0], file.pages[1].databytecounts[0]
    data = bytearray(path.read_bytes())
    data[offset : offset + n_bytes] = b"\xff" * n_bytes
    path.write_bytes(data)
    volume = read_volume(path)
    assert np.array_equal(volume.plane(0, 2), array[2, 0])
    with pytest.raises(VolumeError, match="slice 1 along z of 'a' cannot be read"):
        volume.plane(0, 1)


def test_compression_that_needs_another_package_says_so(tmp_path, array, monkeypatch):
    PIL.Image.fromarray(array[0, 0]).save(tmp_path / "a.tif", compression="tiff_lzw")
    monkeypatch.setattr(type(tifffile.TIFF.DECOMPRESSORS), "__getitem__", lambda codecs, key: {}[key])
    with pytest.raises(VolumeError, match="compressed by LZW, which needs the package imagecodecs"):
        read_volume(tmp_path / "a.tif")


@pytest.mark.parametrize("data", [b"", b"broken", b"II*\0\x08\0\0\0\0\0", b"II*\0\xff\xff\xff\x7f"], ids=repr)
def test_broken_file_is_one_clear_error(tmp_path, data):
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(VolumeError, match=r"a\.tif' "):
        read_volume(tmp_path / "a.tif")


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}], ids=["plain", "compressed"])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_file_that_was_cut_short_is_one_clear_error(tmp_path, array, options, kept):
    path = save(tmp_path / "a.tif", array[:, 0], **options)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(VolumeError, match="cannot be read"):
        read_volume(path).plane(0, 3)


def test_images_of_different_sizes_are_refused(tmp_path, array):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(array[0, 0])
        file.write(array[0, 0, :9])
    with pytest.raises(VolumeError, match="holds 2 images of different kinds or sizes; expected one stack"):
        read_volume(tmp_path / "a.tif")


def test_complex_numbers_are_refused(tmp_path):
    with pytest.raises(VolumeError, match="expected bool, whole or real numbers"):
        read_volume(save(tmp_path / "a.tif", np.zeros((4, 20, 30), np.complex64)))


def test_six_axes_are_refused(tmp_path):
    array = np.zeros((2, 2, 2, 2, 20, 30), np.uint8)
    with pytest.raises(VolumeError, match="expected z, y and x, and at most time and channels"):
        read_volume(save(tmp_path / "a.tif", array, metadata={"axes": "QTZCYX"}))


# ------------------------------------------------------------------------------------------------------- labels out


@pytest.mark.parametrize("name", ["l.tif", "l.tiff", "l.ome.tif"])
@pytest.mark.parametrize("most", [200, 60000, 70000])
@pytest.mark.parametrize("unit", ["nm", "um", "mm", ""])
def test_labels_keep_spacing_unit_and_axes(tmp_path, name, most, unit):
    like = Volume(np.zeros((4, 20, 30)), spacing=(50, 4.6, 2.3), unit=unit)
    labels = np.random.default_rng(0).integers(0, most, (4, 20, 30))
    labels[0, 0, 0] = most
    (path,) = write_labels_volume(tmp_path / name, labels, like)
    volume = read_volume(path)
    assert volume.spacing == pytest.approx((50, 4.6, 2.3), rel=1e-6)
    assert (volume.unit, volume.axis_names, volume.dtype) == (unit, ("z", "y", "x"), np.min_scalar_type(most))
    assert np.array_equal(np.asarray(volume.array[...]), labels)
    assert tifffile.TiffFile(path).is_imagej == (most < 65536 and "ome" not in name)


@pytest.mark.parametrize("name", ["l.tif", "l.ome.tif"])
def test_labels_over_time(tmp_path, name):
    like = Volume(
        np.zeros((2, 4, 20, 30)),
        spacing=(2, 1, 1),
        unit="um",
        axis_names=("t", "z", "y", "x"),
        time_step=5,
        time_unit="s",
    )
    labels = np.random.default_rng(0).integers(0, 9, (2, 4, 20, 30))
    (path,) = write_labels_volume(tmp_path / name, labels, like)
    volume = read_volume(path)
    assert (volume.axis_names, volume.spacing, volume.time_step) == (like.axis_names, (2, 1, 1), 5)
    assert np.array_equal(volume.plane(0, 3, time=1), labels[1, 3])
    (film,) = write_labels_volume(tmp_path / f"film_{name}", labels[:, 1], like.over_time(0, 1))
    assert read_volume(film).axis_names == ("t", "y", "x")
    assert read_volume(film).spacing == (5, 1, 1)


def test_one_slice_of_labels(tmp_path):
    like = Volume(np.zeros((1, 20, 30)))
    (path,) = write_labels_volume(tmp_path / "l.tif", np.ones((1, 20, 30), int), like)
    assert read_volume(path).shape == (1, 20, 30)
