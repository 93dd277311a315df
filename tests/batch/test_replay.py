"""What was annotated in the window, once more on the command line: the same labels, from the same prompts file.

Two bright tubes run through 16 sections of 60 × 80 pixels, at three time points, or in one channel of several.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
import pytest
import tifffile

pytest.importorskip("napari", reason="the annotator lives in napari, which is not installed")

from napari.components import ViewerModel

from napari_segnext import read_volume
from napari_segnext._reader import get_reader
from napari_segnext.annotator import Annotator
from napari_segnext.annotator.model_input import Channel, ModelInput
from napari_segnext.batch import BatchJob, BatchSettings, iterate_batch, run_job
from napari_segnext.errors import BatchError
from napari_segnext.models.interface import ModelIdentity
from napari_segnext.prompts.prompts_file import write_prompts_file
from napari_segnext.session import disk_cache_settings, shared_cache, use_disk_cache
from tests.propagation.conftest import SHAPE, BrightPartsModel, tube

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

N_TIMES = 3
ONE, TWO = tube(2, 12, 20, 2), tube(0, 16, 55, -1, row=42)
TUBES = np.where(ONE | TWO, 200, 20).astype(np.uint8)
SERIES = np.stack([np.roll(TUBES, 2 * time, axis=-1) for time in range(N_TIMES)])


def middle_of(label: int, z: int, time: int = 0) -> tuple[int, int]:
    return (20, 20 + 2 * (z - 2) + 2 * time) if label == 1 else (42, 55 - z + 2 * time)


class Desk:
    """An annotator on an image, a hand that clicks and accepts, and the command line beside it."""

    def __init__(self, folder: Path, path: Path, layers: dict[str, np.ndarray] | None = None, name: str = "") -> None:
        self.path, self.folder = path, folder
        self.viewer = ViewerModel()
        for data, attributes, kind in [] if layers else get_reader(str(path))(str(path)):
            if kind == "image":
                self.viewer.add_image(data, **attributes)
        for layer_name, data in (layers or {}).items():
            self.viewer.add_image(data, name=layer_name)
        self.image = self.viewer.layers[name or next(iter(layers or {}), 0)]
        self.model = BrightPartsModel()
        self.annotator = Annotator(self.viewer, self.image, self.model)
        (folder / "out").mkdir()

    @property
    def labels(self) -> np.ndarray:
        return np.asarray(self.annotator.layers.output.data)

    def sees(self, *channels: Channel) -> None:
        self.annotator.model_input = ModelInput(channels)

    def annotate(self, label: int, *place: int, middle: tuple[int, int]) -> None:
        """`place`: where the slice lies along all axes but the last two."""
        for axis, index in enumerate(place):
            self.viewer.dims.set_point(axis, index * self.image.scale[axis])
        if label in self.labels:
            self.annotator.continue_object(label)
        self.annotator.layers.points.add((*place, *middle))
        self.annotator.accept(label)

    def job(self, suffix: str = ".tif", **settings: Any) -> BatchJob:
        """The same on the command line, from the prompts file that the annotator saves."""
        write_prompts_file(self.folder / "said.json", self.annotator.snapshot().prompts)
        output = self.folder / "out" / f"labels{suffix}"
        return BatchJob(self.path, self.folder / "said.json", output, BatchSettings(**settings))

    def replayed(self, **settings: Any) -> np.ndarray:
        job = self.job(**settings)
        run_job(job, self.model)
        return labels_of(job)


def labels_of(job: BatchJob) -> np.ndarray:
    (name,) = (one["name"] for one in report_of(job)["outputs"])
    return np.asarray(read_volume(job.output.with_name(name)).array[...])


def report_of(job: BatchJob) -> dict[str, Any]:
    return json.loads(job.report.read_text("utf-8"))


@pytest.fixture
def series(tmp_path: Path) -> Desk:
    """(T, Z, Y, X), as napari opens a TIFF file."""
    path = tmp_path / "series.tif"
    tifffile.imwrite(path, SERIES, imagej=True, metadata={"axes": "TZYX"})
    return Desk(tmp_path, path, {"series": SERIES})


class TestTime:
    def test_along_z_at_the_time_point_with_prompts(self, series: Desk) -> None:
        series.annotate(1, 1, 6, middle=middle_of(1, 6, 1))
        series.annotate(2, 1, 4, middle=middle_of(2, 4, 1))
        series.annotate(2, 1, 9, middle=middle_of(2, 9, 1))
        series.annotator.propagate()
        found = series.replayed()
        np.testing.assert_array_equal(found, series.labels)
        assert found.shape == SERIES.shape
        assert (found[1] > 0).sum() > 1000 and not found[[0, 2]].any()
        report = report_of(series.job())
        assert (report["time_points"], report["over_time"], report["axis"]) == ([1], False, 0)
        assert report["volume"]["shape"] == [N_TIMES, *SHAPE]
        assert "0, at time 1" in series.job().page.read_text("utf-8")

    def test_along_another_axis(self, series: Desk) -> None:
        series.viewer.dims.order = (0, 2, 1, 3)
        series.viewer.dims.set_point(0, 2)
        series.viewer.dims.set_point(2, 42)
        series.annotator.layers.points.add((2, 8, 42, 51))
        series.annotator.accept()
        series.annotator.propagate()
        np.testing.assert_array_equal(series.replayed(), series.labels)
        assert report_of(series.job())["axis"] == 1
        assert (series.labels > 0).sum() > 500

    def test_every_time_point_after_the_other(self, series: Desk) -> None:
        for time in (0, 2):
            series.annotate(2, time, 8, middle=middle_of(2, 8, time))
            series.annotator.propagate()
        job = series.job()
        with pytest.raises(BatchError, match=r"time points 0, 2; expected one.*--time all.*--over-time"):
            run_job(job, series.model)
        found = series.replayed(time="all")
        np.testing.assert_array_equal(found, series.labels)
        assert [(one["label"], one["time"]) for one in report_of(job)["objects"]] == [(2, 0), (2, 2)]
        page = job.page.read_text("utf-8")
        assert 'id="object-2-time-0"' in page and 'id="object-2-time-2"' in page

    def test_one_of_several_time_points(self, series: Desk) -> None:
        series.annotate(2, 0, 8, middle=middle_of(2, 8, 0))
        series.annotate(2, 2, 8, middle=middle_of(2, 8, 2))
        series.annotator.propagate()
        found = series.replayed(time=2)
        np.testing.assert_array_equal(found[2], series.labels[2])
        assert not found[:2].any()
        with pytest.raises(BatchError, match="no prompts at time point 1, but at 0, 2"):
            series.replayed(time=1)

    def test_labels_of_the_time_point_alone(self, series: Desk) -> None:
        series.annotate(2, 2, 8, middle=middle_of(2, 8, 2))
        series.annotator.propagate()
        np.testing.assert_array_equal(series.replayed(without_time=True, suffix=".nii.gz"), series.labels[2])

    def test_over_time_on_the_slice_with_prompts(self, series: Desk) -> None:
        series.annotate(1, 0, 6, middle=middle_of(1, 6, 0))
        series.annotate(2, 1, 6, middle=middle_of(2, 6, 1))
        series.annotator.propagate(axis=0)
        found = series.replayed(over_time=True, suffix=".zarr")
        np.testing.assert_array_equal(found, series.labels)
        assert all((found[:, 6] == label).any(axis=(1, 2)).all() for label in (1, 2))
        assert not np.delete(found, 6, axis=1).any()
        job = series.job(suffix=".zarr")
        report = report_of(job)
        assert (report["over_time"], report["at_slice"], report["time_points"]) == (True, 6, [])
        assert report["objects"][1]["ended"]["up"]["reason"] == "the last time point of the volume"
        page = job.page.read_text("utf-8")
        assert "Annotated at time point 0." in page and "time, at slice 6 along axis 0" in page

    def test_slice_that_is_followed_is_chosen(self, series: Desk) -> None:
        series.annotate(1, 0, 6, middle=middle_of(1, 6, 0))
        series.annotate(1, 0, 8, middle=middle_of(1, 8, 0))
        with pytest.raises(BatchError, match=r"prompts on the slices 6, 8; expected one.*--at-slice"):
            series.replayed(over_time=True)
        with pytest.raises(BatchError, match="no prompts on slice 7, but on 6, 8"):
            series.replayed(over_time=True, at_slice=7)
        series.annotator.propagate(axis=0)
        found = series.replayed(over_time=True, at_slice=8)
        np.testing.assert_array_equal(found[:, 8], series.labels[:, 8])
        assert not found[:, 6].any()

    def test_labels_lie_over_the_image_in_every_format(self, series: Desk) -> None:
        series.annotate(2, 1, 8, middle=middle_of(2, 8, 1))
        found = [series.replayed(suffix=suffix, slices=(7, 10)) for suffix in (".tif", ".zarr", ".nii.gz")]
        assert found[0].shape == SERIES.shape
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[0], found[2])

    def test_labels_of_a_nifti_series_keep_its_geometry(self, tmp_path: Path) -> None:
        image = nibabel.Nifti1Image(SERIES.T, np.diag([1.0, 1, 2, 1]))
        image.header.set_zooms((1, 1, 2, 2.5))
        image.header.set_xyzt_units("mm", "sec")
        nibabel.save(image, tmp_path / "bold.nii.gz")
        desk = Desk(tmp_path, tmp_path / "bold.nii.gz", name="bold")
        desk.annotate(2, 1, 8, middle=middle_of(2, 8, 1))
        desk.annotator.propagate()
        np.testing.assert_array_equal(desk.replayed(suffix=".nii.gz", per_object=True), desk.labels == 2)
        written = nibabel.load(tmp_path / "out" / "labels_0002.nii.gz")
        assert written.header.get_zooms() == (1, 1, 2, 2.5)
        np.testing.assert_array_equal(written.affine, image.affine)

    def test_prompts_of_a_time_point_that_was_saved_alone(self, tmp_path: Path, series: Desk) -> None:
        other = tmp_path / "other"
        other.mkdir()
        desk = Desk(other, series.path, {"one": SERIES[1]})
        desk.annotate(2, 8, middle=middle_of(2, 8, 1))
        desk.annotator.propagate()
        with pytest.raises(BatchError, match=r"name no time point, and 'series' has 3; expected one.*--time"):
            desk.replayed()
        np.testing.assert_array_equal(desk.replayed(time=1)[1], desk.labels)

    def test_resume_knows_what_was_asked_of_time(self, series: Desk) -> None:
        series.annotate(2, 1, 8, middle=middle_of(2, 8, 1))
        states = []
        for settings in ({}, {}, {"time": 1}, {"time": 1}, {"over_time": True}, {"over_time": True, "at_slice": 8}):
            (outcome,) = iterate_batch([series.job(**settings)], series.model)
            states.append(outcome.error or outcome.state)
        assert states == ["done", "skipped", "done", "skipped", "done", "done"]

    def test_volume_without_time_has_none_to_choose(self, tmp_path: Path) -> None:
        tifffile.imwrite(tmp_path / "tubes.tif", TUBES)
        desk = Desk(tmp_path, tmp_path / "tubes.tif", {"tubes": TUBES})
        desk.annotate(2, 8, middle=middle_of(2, 8))
        for settings, option in (({"time": 0}, "--time"), ({"over_time": True}, "--over-time")):
            with pytest.raises(BatchError, match=f"has no time points beside its slices. Leave out {option}"):
                desk.replayed(**settings)

    @pytest.mark.parametrize(
        "settings",
        [
            {"time": -1},
            {"time": 1, "over_time": True},
            {"at_slice": 3},
            {"without_time": True, "time": "all"},
            {"channels": ("0", "1", "2", "3")},
        ],
    )
    def test_settings_that_make_no_sense(self, settings: dict[str, Any]) -> None:
        with pytest.raises(BatchError, match=r"expected|leave"):
            BatchSettings(**settings)


@pytest.fixture
def two_channels() -> np.ndarray:
    """`(Z, C, Y, X)` uint16: faint tubes in channel 1, noise in channel 0."""
    noise = np.random.default_rng(0).integers(0, 3000, SHAPE)
    return np.stack([noise, 10 * TUBES.astype(int) + noise // 10], axis=1).astype(np.uint16)


class TestChannels:
    @pytest.fixture
    def stack(self, tmp_path: Path, two_channels: np.ndarray) -> Desk:
        """As napari opens a TIFF file: channels are an axis."""
        tifffile.imwrite(tmp_path / "cells.tif", two_channels, imagej=True, metadata={"axes": "ZCYX"})
        return Desk(tmp_path, tmp_path / "cells.tif", {"cells": two_channels})

    def test_of_an_axis_with_limits_and_gamma(self, stack: Desk) -> None:
        stack.sees(
            Channel(stack.image, 1, 1, contrast_limits=(0, 3000), gamma=0.7),
            Channel(stack.image, 1, 0),
        )
        stack.annotate(1, 6, 0, middle=middle_of(1, 6))
        stack.annotate(2, 8, 0, middle=middle_of(2, 8))
        stack.annotator.propagate(axis=0)
        found = stack.replayed()
        np.testing.assert_array_equal(found, stack.labels[:, 0])
        assert (found > 0).sum() > 2500
        job = stack.job()
        assert report_of(job)["channels"] == [
            {"name": "cells", "axis": 1, "index": 1, "contrast_limits": [0, 3000], "gamma": 0.7},
            {"name": "cells", "axis": 1, "index": 0, "contrast_limits": None, "gamma": 1.0},
        ]
        assert "cells, 1 along axis 1 from 0 to 3000, gamma 0.7; cells, 0 along axis 1" in job.page.read_text("utf-8")

    def test_the_one_that_was_shown(self, stack: Desk) -> None:
        stack.annotate(2, 8, 1, middle=middle_of(2, 8))
        stack.annotator.propagate(axis=0)
        np.testing.assert_array_equal(stack.replayed(), stack.labels[:, 1])
        stack.annotate(1, 6, 0, middle=middle_of(1, 6))
        with pytest.raises(BatchError, match="prompts on the channels 0, 1; expected one of them"):
            stack.replayed()

    def test_with_gamma_of_the_one_image(self, tmp_path: Path) -> None:
        dim = (TUBES // 2).astype(np.uint8)
        tifffile.imwrite(tmp_path / "dim.tif", dim)
        desk = Desk(tmp_path, tmp_path / "dim.tif", {"dim": dim})
        desk.sees(Channel(desk.image, contrast_limits=(0, 220), gamma=0.5))
        desk.annotate(1, 6, middle=middle_of(1, 6))
        desk.annotator.propagate()
        np.testing.assert_array_equal(desk.replayed(), desk.labels)
        assert (desk.labels > 0).sum() > 500

    def test_of_layers_that_the_reader_made_of_one_file(self, tmp_path: Path, two_channels: np.ndarray) -> None:
        path = ome_zarr(tmp_path / "stained.zarr", two_channels.swapaxes(0, 1), ["DAPI", "actin"])
        desk = Desk(tmp_path, path, name="stained actin")
        desk.annotate(2, 8, middle=middle_of(2, 8))
        desk.annotator.propagate()
        np.testing.assert_array_equal(desk.replayed(), desk.labels)
        assert (desk.labels > 0).sum() > 1000
        desk.sees(Channel(desk.image, contrast_limits=(0, 3000)), Channel(desk.viewer.layers["stained DAPI"]))
        np.testing.assert_array_equal(desk.replayed(), desk.labels)
        assert [one["name"] for one in report_of(desk.job())["channels"]] == ["stained actin", "stained DAPI"]

    def test_that_are_asked_for_where_the_file_names_none(self, stack: Desk, two_channels: np.ndarray) -> None:
        stack.annotate(2, 8, 1, middle=middle_of(2, 8))
        expected = stack.replayed()
        for name in ("1", "channel 2", "cells channel 2"):
            np.testing.assert_array_equal(stack.replayed(channels=(name,)), expected)
        assert report_of(stack.job())["channels"][0]["name"] == "cells channel 2"
        assert stack.replayed(channels=("1", "0")).any()
        with pytest.raises(BatchError, match=r"no channel 'actin'; expected one of 0 \(channel 1\), 1 \(channel 2\)"):
            stack.replayed(channels=("actin",))
        stack.sees(Channel(stack.image, 1, 1))
        with pytest.raises(BatchError, match="leave out --channels"):
            stack.replayed(channels=("1",))

    def test_without_a_word_about_them(self, stack: Desk) -> None:
        stack.annotate(2, 8, 1, middle=middle_of(2, 8))
        job = stack.job()
        said = stack.annotator.snapshot().prompts
        slices = (dataclasses.replace(said.objects[0].slices[0], axis=0, index=8, others=()),)
        objects = (dataclasses.replace(said.objects[0], slices=slices),)
        write_prompts_file(job.prompts, dataclasses.replace(said, objects=objects, image=None))
        with pytest.raises(BatchError, match=r"there are 2 images.*Choose with --channels"):
            run_job(job, stack.model)
        run_job(dataclasses.replace(job, settings=BatchSettings(channels=("channel 2",))), stack.model)
        assert labels_of(job).any()


def ome_zarr(path: Path, array: np.ndarray, names: list[str]) -> Path:
    """`(C, Z, Y, X)` as OME-Zarr with names of channels."""
    import zarr

    axes = [{"name": "c", "type": "channel"}, *({"name": name, "type": "space"} for name in "zyx")]
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0, 1.0, 1.0]}]}]
    attributes = {
        "multiscales": [{"version": "0.4", "axes": axes, "datasets": datasets}],
        "omero": {"channels": [{"label": name} for name in names]},
    }
    group = zarr.open_group(str(path), mode="w", zarr_format=2, attributes=attributes)
    group.create_array("0", data=array)
    return path


class TestCase:
    @pytest.fixture
    def case(self, tmp_path: Path) -> Desk:
        """A BraTS case: tubes are bright in FLAIR, dark in T1; 2 × 1 × 1 mm."""
        folder = tmp_path / "patient"
        folder.mkdir()
        contrasts = {"t1": 200 - TUBES // 2, "t1ce": TUBES // 3, "t2": TUBES // 2, "flair": TUBES}
        for name, array in contrasts.items():
            affine = np.diag([1.0, 1, 2, 1])
            nibabel.save(nibabel.Nifti1Image(array.astype(np.int16).T, affine), folder / f"p_{name}.nii.gz")
        return Desk(tmp_path, folder, name="patient flair")

    def test_contrast_that_was_annotated(self, case: Desk) -> None:
        case.annotate(1, 6, middle=middle_of(1, 6))
        case.annotate(2, 4, middle=middle_of(2, 4))
        case.annotator.propagate()
        np.testing.assert_array_equal(case.replayed(suffix=".nii.gz"), case.labels)
        assert (case.labels > 0).sum() > 1500
        written = nibabel.load(case.job(suffix=".nii.gz").output)
        np.testing.assert_array_equal(written.affine, nibabel.load(case.path / "p_t1.nii.gz").affine)

    def test_contrasts_as_channels(self, case: Desk) -> None:
        layers = case.viewer.layers
        case.sees(
            Channel(layers["patient flair"], contrast_limits=(0, 300), gamma=0.6),
            Channel(layers["patient t1"]),
            Channel.as_shown(layers["patient t1ce"]),
        )
        case.annotate(1, 6, middle=middle_of(1, 6))
        case.annotator.propagate()
        np.testing.assert_array_equal(case.replayed(), case.labels)
        assert (case.labels > 0).sum() > 500
        assert [one["name"] for one in report_of(case.job())["channels"]] == [
            "patient flair", "patient t1", "patient t1ce"
        ]  # fmt: skip

    def test_contrasts_that_were_opened_one_by_one(self, tmp_path: Path, case: Desk) -> None:
        alone = tmp_path / "alone"
        alone.mkdir()
        names = ("p_flair", "p_t1")
        arrays = {name: np.asarray(read_volume(case.path / f"{name}.nii.gz").array[...]) for name in names}
        desk = Desk(alone, case.path, arrays)
        desk.sees(Channel(desk.viewer.layers["p_flair"]), Channel(desk.viewer.layers["p_t1"]))
        desk.annotate(2, 6, middle=middle_of(2, 6))
        desk.annotator.propagate()
        np.testing.assert_array_equal(desk.replayed(), desk.labels)
        (warning,) = report_of(desk.job())["warnings"]
        assert "given on pixels of 1 × 1 × 1, and the volume has 2 × 1 × 1" in warning

    def test_labels_beside_the_contrasts_do_not_make_it_another_case(self, case: Desk) -> None:
        case.annotate(2, 4, middle=middle_of(2, 4))
        job = dataclasses.replace(case.job(slices=(3, 6)), output=case.path / "labels.nii.gz")
        states = [outcome.state for _ in range(2) for outcome in iterate_batch([job], case.model)]
        assert states == ["done", "skipped"]


class TestCache:
    """Embeddings of the window are found by the command, and the other way round."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> Iterator[Path]:
        use_disk_cache(disk_cache_settings(tmp_path / "cache", 1))
        yield tmp_path / "cache"
        use_disk_cache(None)

    @pytest.mark.parametrize("is_over_time", [False, True], ids=["along Z", "over time"])
    def test_is_shared(self, is_over_time: bool, series: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(BrightPartsModel, "identity", ModelIdentity("bright parts", "a" * 64))
        layer = series.image
        series.sees(Channel(layer, contrast_limits=(0, 240), gamma=0.8), Channel(layer, contrast_limits=(10, 90)))
        series.annotate(2, 1, 8, middle=middle_of(2, 8, 1))
        series.annotator.propagate(axis=0 if is_over_time else 1)
        shared_cache().flush()
        n_encoded = series.model.n_encoded
        assert n_encoded >= N_TIMES
        found = series.replayed(over_time=is_over_time, cache=disk_cache_settings(folder, 1))
        np.testing.assert_array_equal(found, series.labels)
        assert series.model.n_encoded == n_encoded
