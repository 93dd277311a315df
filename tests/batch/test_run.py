"""One volume: labels, report, page, and what a kill leaves."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
import PIL.Image
import pytest

from napari_segnext import read_volume
from napari_segnext.batch import BatchJob, BatchSettings, iterate_batch, run_job
from napari_segnext.errors import BatchError
from napari_segnext.prompts import Click, MaskPrompt, Prompts
from napari_segnext.prompts.prompts_file import (
    ChannelReference,
    ImageReference,
    PromptsFile,
    PropagatedSlice,
    SlicePrompts,
    write_prompts_file,
)
from napari_segnext.propagation import StopRules, propagate
from tests.batch.conftest import FIRST, SECOND
from tests.propagation.conftest import SHAPE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.propagation.conftest import BrightPartsModel


def labels_of(path: Path) -> np.ndarray:
    return np.asarray(read_volume(path).array[:])


def report_of(job: BatchJob) -> dict[str, Any]:
    return json.loads(job.report.read_text("utf-8"))


def with_settings(job: BatchJob, **settings: Any) -> BatchJob:
    return dataclasses.replace(job, settings=BatchSettings(**settings))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestLabels:
    def test_are_what_propagate_gives(self, job: BatchJob, model: BrightPartsModel, said: PromptsFile) -> None:
        run_job(job, model)
        expected = np.zeros(SHAPE, int)
        for result in propagate(model, read_volume(job.volume), said):
            expected[result.index][result.mask & (expected[result.index] == 0)] = result.label
        np.testing.assert_array_equal(labels_of(job.output), expected)
        assert (labels_of(job.output) == np.where(FIRST, 1, 0) + np.where(SECOND, 7, 0)).mean() > 0.99
        assert names_in(job.output.parent) == ["case.nii.gz", "case.report.html", "case.report.json"]

    def test_have_the_geometry_of_the_volume(self, job: BatchJob, model: BrightPartsModel) -> None:
        run_job(job, model)
        np.testing.assert_array_equal(nibabel.load(job.output).affine, nibabel.load(job.volume).affine)

    def test_accepted_masks_stay_as_they_are(self, job: BatchJob, model: BrightPartsModel, said: PromptsFile) -> None:
        odd = SECOND[4].copy()
        odd[:, ::2] = False
        objects = (said.objects[0], dataclasses.replace(said.objects[1], slices=(masked(4, odd),)))
        write_prompts_file(job.prompts, dataclasses.replace(said, objects=objects))
        run_job(job, model)
        np.testing.assert_array_equal(labels_of(job.output)[4] == 7, odd)

    def test_each_object_in_a_file_of_its_own(self, job: BatchJob, model: BrightPartsModel) -> None:
        run_job(job, model)
        whole = labels_of(job.output)
        job.output.unlink()
        job = with_settings(job, per_object=True)
        run_job(job, model)
        assert [name for name in names_in(job.output.parent) if "_" in name] == ["case_0001.nii.gz", "case_0007.nii.gz"]
        for label in (1, 7):
            written = labels_of(job.output.with_name(f"case_{label:04d}.nii.gz"))
            np.testing.assert_array_equal(written == 1, whole == label)
        assert not next(iterate_batch([job], model)).error
        assert next(iterate_batch([job], model)).state == "skipped"

    def test_axis_is_that_of_the_prompts_file(self, job: BatchJob, model: BrightPartsModel, said: PromptsFile) -> None:
        slices = (SlicePrompts(2, 28, Prompts((Click(6, 20),))),)
        write_prompts_file(job.prompts, PromptsFile((dataclasses.replace(said.objects[0], slices=slices),)))
        run_job(job, model)
        assert report_of(job)["axis"] == 2
        found = labels_of(job.output) > 0
        assert (found & FIRST).sum() > 0.5 * FIRST.sum()

    def test_threshold_and_clean_up_are_those_of_the_prompts_file(
        self, job: BatchJob, model: BrightPartsModel, said: PromptsFile
    ) -> None:
        areas = []
        for cleanup in ((), (("opening", 3.0), ("min_component", 1e6))):
            one = SlicePrompts(0, 6, Prompts((Click(20, 28),)), threshold=0.9, cleanup=cleanup)
            objects = (dataclasses.replace(said.objects[0], slices=(one,)),)
            write_prompts_file(job.prompts, dataclasses.replace(said, objects=objects))
            run_job(with_settings(job, slices=(6, 7)), model)
            areas.append(int((labels_of(job.output)[6] > 0).sum()))
        assert areas[0] > 0 == areas[1]

    def test_nothing_is_written_once_it_is_not_wanted(self, job: BatchJob, model: BrightPartsModel) -> None:
        answers = iter([True] * 6)
        assert run_job(job, model, is_wanted=lambda: next(answers, False)) is None
        assert names_in(job.output.parent) == []

    def test_progress_runs_to_its_end(self, job: BatchJob, model: BrightPartsModel) -> None:
        seen: list[tuple[int, int]] = []
        run_job(job, model, on_progress=lambda done, total: seen.append((done, total)))
        assert seen == sorted(seen)
        assert len(seen) > 20
        assert seen[-1][0] == seen[-1][1]


class TestReport:
    def test_numbers_are_right(self, job: BatchJob, model: BrightPartsModel) -> None:
        run_job(with_settings(job, doubtful=0.95), model)
        report, labels = report_of(job), labels_of(job.output)
        first, second = report["objects"]
        assert (first["label"], first["name"], first["class_name"]) == (1, "left <b>& one</b>", "tube")
        assert first["annotated_slices"] == [6] and second["annotated_slices"] == [4, 9]
        there = {label: np.flatnonzero((labels == label).any(axis=(1, 2))).tolist() for label in (1, 7)}
        assert first["filled_slices"] == [z for z in there[1] if z != 6]
        assert second["filled_slices"] == [z for z in there[7] if z not in (4, 9)]
        assert second["n_filled"] == 14
        for entry in (first, second):
            assert entry["voxels"] == (labels == entry["label"]).sum()
            assert entry["physical_volume"] == pytest.approx(entry["voxels"] * 2 * 0.5 * 0.5)
            known = entry["confidence_by_slice"]
            filled = [known[str(z)] for z in entry["filled_slices"]]
            assert entry["mean_confidence"] == pytest.approx(np.mean(filled), abs=1e-4)
            assert entry["min_confidence"] == min(filled)
            assert entry["doubtful_slices"] == [z for z in entry["filled_slices"] if known[str(z)] < 0.95]
        assert report["n_doubtful"] == sum(len(one["doubtful_slices"]) for one in report["objects"]) > 0
        assert report["physical_unit"] == "mm³"
        assert report["model"]["name"] == "bright parts"
        assert report["seconds_per_slice"] == pytest.approx(report["seconds"] / report["n_filled"], abs=1e-3)

    def test_says_where_objects_ended_and_why(self, job: BatchJob, model: BrightPartsModel) -> None:
        run_job(with_settings(job, direction="up"), model)
        first, second = report_of(job)["objects"]
        assert first["ended"]["up"] == {"slice": 12, "reason": "nothing was found", "by_rule": True}
        assert first["ended"]["down"] == {
            "slice": 6,
            "reason": "as nothing more was asked for in this direction",
            "by_rule": False,
        }
        assert second["ended"]["up"] == {"slice": 15, "reason": "the last slice of the volume", "by_rule": False}

    def test_says_so_where_the_range_ended_it(self, job: BatchJob, model: BrightPartsModel) -> None:
        run_job(with_settings(job, slices=(3, 11)), model)
        second = report_of(job)["objects"][1]
        assert second["ended"]["up"] == {"slice": 10, "reason": "the last slice that was asked for", "by_rule": False}
        assert second["ended"]["down"]["slice"] == 3

    def test_warns_of_what_may_differ(self, job: BatchJob, model: BrightPartsModel, said: PromptsFile) -> None:
        by_hand = dataclasses.replace(said.objects[0], propagated=(PropagatedSlice(0, 7, mark="edited"),))
        image = ImageReference("case", SHAPE, sha256="0" * 64, depth="heights")
        write_prompts_file(job.prompts, dataclasses.replace(said, objects=(by_hand,), image=image))
        run_job(job, model)
        warnings = report_of(job)["warnings"]
        assert any("with the depth 'heights'; batches read none" in one for one in warnings)
        assert any("edited or accepted by hand" in one for one in warnings)
        assert any("not the very file" in one for one in warnings)


class TestPage:
    def test_is_well_formed_and_needs_nothing_else(self, job: BatchJob, model: BrightPartsModel) -> None:
        run_job(job, model)
        page = job.page.read_text("utf-8")
        root = ET.fromstring(page.removeprefix("<!DOCTYPE html>"))
        namespace = "{http://www.w3.org/1999/xhtml}"
        assert len(root.findall(f".//{namespace}section")) == 2
        assert len(root.findall(".//{http://www.w3.org/2000/svg}svg")) == 2
        sources = [image.attrib["src"] for image in root.iter(f"{namespace}img")]
        assert len(sources) == 6
        for source in sources:
            assert source.startswith("data:image/png;base64,")
            picture = PIL.Image.open(io.BytesIO(base64.b64decode(source.split(",")[1])))
            assert max(picture.size) == 280
            assert (np.asarray(picture.convert("RGB")) == (255, 225, 25)).all(axis=-1).sum() > 50
        addresses = re.findall(r"https?://[^\"'\s<]+", page)
        assert {*addresses} == {"http://www.w3.org/1999/xhtml", "http://www.w3.org/2000/svg"}
        assert not any(tag in page for tag in ("<script", "<link", "url(", "@import"))

    def test_names_are_escaped(self, job: BatchJob, model: BrightPartsModel, said: PromptsFile) -> None:
        objects = (dataclasses.replace(said.objects[0], name="<script>\x00 & \"'"),)
        write_prompts_file(job.prompts, dataclasses.replace(said, objects=objects))
        run_job(job, model)
        page = job.page.read_text("utf-8")
        assert "<script" not in page and "&lt;script&gt;" in page
        ET.fromstring(page.removeprefix("<!DOCTYPE html>"))

    def test_object_that_was_not_found_has_a_section_too(
        self, job: BatchJob, model: BrightPartsModel, said: PromptsFile
    ) -> None:
        objects = (dataclasses.replace(said.objects[0], slices=(SlicePrompts(0, 6, Prompts((Click(50, 10),))),)),)
        write_prompts_file(job.prompts, dataclasses.replace(said, objects=objects))
        run_job(job, model)
        (entry,) = report_of(job)["objects"]
        assert (entry["voxels"], entry["mean_confidence"]) == (0, None)
        ET.fromstring(job.page.read_text("utf-8").removeprefix("<!DOCTYPE html>"))


def masked(index: int, mask: np.ndarray) -> SlicePrompts:
    return SlicePrompts(0, index, Prompts(), mask=MaskPrompt(mask))


class TestWhatCannotBeDone:
    def refusal(self, job: BatchJob, model: BrightPartsModel, said: PromptsFile) -> str:
        write_prompts_file(job.prompts, said)
        with pytest.raises(ValueError) as caught:
            run_job(job, model)
        assert names_in(job.output.parent) == []
        return str(caught.value)

    def test_channels_that_one_volume_does_not_hold(
        self, job: BatchJob, model: BrightPartsModel, said: PromptsFile
    ) -> None:
        for channels in (
            (ChannelReference("case"), ChannelReference("other")),
            (ChannelReference("other"),),
        ):
            image = ImageReference("case", SHAPE, channels=channels)
            assert "channels of the model's input" in self.refusal(job, model, dataclasses.replace(said, image=image))

    def test_limits_beside_those_of_the_prompts_file(
        self, job: BatchJob, model: BrightPartsModel, said: PromptsFile
    ) -> None:
        image = ImageReference("case", SHAPE, channels=(ChannelReference("case", contrast_limits=(10, 90)),))
        write_prompts_file(job.prompts, dataclasses.replace(said, image=image))
        with pytest.raises(BatchError, match="leave out --contrast-limits"):
            run_job(with_settings(job, contrast_limits=(0, 9)), model)

    def test_volume_of_another_size(self, job: BatchJob, model: BrightPartsModel, said: PromptsFile) -> None:
        image = ImageReference("other", (9, 60, 80))
        words = self.refusal(job, model, dataclasses.replace(said, image=image))
        assert "has shape (16, 60, 80), but the prompts were given on 'other' of shape (9, 60, 80)" in words

    def test_several_axes(self, job: BatchJob, model: BrightPartsModel, said: PromptsFile) -> None:
        more = (*said.objects[0].slices, SlicePrompts(1, 20, Prompts((Click(6, 28),))))
        said = dataclasses.replace(said, objects=(dataclasses.replace(said.objects[0], slices=more),))
        assert "along the axes 0, 1; expected one axis" in self.refusal(job, model, said)
        run_job(with_settings(job, axis=1), model)
        with pytest.raises(BatchError, match=r"along axis 2; there are some along axis 0, 1"):
            run_job(with_settings(job, axis=2), model)

    def test_nothing_annotated(self, job: BatchJob, model: BrightPartsModel) -> None:
        assert "no object has prompts" in self.refusal(job, model, PromptsFile())

    def test_slices_of_further_axes(self, job: BatchJob, model: BrightPartsModel, said: PromptsFile) -> None:
        one = SlicePrompts(1, 6, Prompts((Click(20, 28),)), others=((0, 3),))
        said = PromptsFile((dataclasses.replace(said.objects[0], slices=(one,)),))
        assert "more than three axes" in self.refusal(job, model, said)

    @pytest.mark.parametrize(
        "settings",
        [{"axis": 3}, {"direction": "left"}, {"slices": (4, 4)}, {"contrast_limits": (3, 1)}, {"doubtful": 2}],
    )
    def test_settings_that_make_no_sense(self, settings: dict[str, Any]) -> None:
        with pytest.raises(BatchError, match="expected"):
            BatchSettings(**settings)


class TestResume:
    @pytest.fixture
    def done(self, job: BatchJob, model: BrightPartsModel) -> BatchJob:
        assert self.state(job, model) == "done"
        return job

    def state(self, job: BatchJob, model: BrightPartsModel, **options: Any) -> str:
        (outcome,) = iterate_batch([job], model, **options)
        return outcome.error or outcome.state

    def test_what_is_done_is_skipped(self, done: BatchJob, model: BrightPartsModel) -> None:
        n_encoded = model.n_encoded
        (outcome,) = iterate_batch([done], model)
        assert (outcome.state, outcome.n_objects) == ("skipped", 2)
        assert outcome.n_filled == report_of(done)["n_filled"]
        assert "skipped, " in outcome.line
        assert model.n_encoded == n_encoded
        assert self.state(done, model, overwrite=True) == "done"

    def test_other_settings_prompts_or_volumes_are_done_again(
        self, done: BatchJob, model: BrightPartsModel, said: PromptsFile
    ) -> None:
        other = with_settings(done, rules=StopRules.none())
        assert self.state(other, model) == "done"
        assert self.state(other, model) == "skipped"
        write_prompts_file(done.prompts, dataclasses.replace(said, objects=said.objects[:1]))
        assert self.state(other, model) == "done"
        assert set(np.unique(labels_of(done.output))) == {0, 1}
        done.volume.touch()
        assert self.state(other, model) == "done"

    @pytest.mark.parametrize("name", ["report", "page", "output"])
    def test_what_is_missing_is_done_again(self, name: str, done: BatchJob, model: BrightPartsModel) -> None:
        getattr(done, name).unlink()
        if name == "report":
            assert "was not written by this command" in self.state(done, model)
            assert self.state(done, model, overwrite=True) == "done"
        else:
            assert self.state(done, model) == "done"
        assert self.state(done, model) == "skipped"

    def test_labels_that_somebody_corrected_are_not_replaced(self, done: BatchJob, model: BrightPartsModel) -> None:
        corrected = done.output.read_bytes() + b" "
        done.output.write_bytes(corrected)
        assert "or was changed since" in self.state(done, model)
        assert done.output.read_bytes() == corrected
        assert self.state(done, model, overwrite=True) == "done"

    def test_objects_that_are_gone_leave_no_file(
        self, job: BatchJob, model: BrightPartsModel, said: PromptsFile
    ) -> None:
        job = with_settings(job, per_object=True)
        assert self.state(job, model) == "done"
        write_prompts_file(job.prompts, dataclasses.replace(said, objects=said.objects[:1]))
        assert self.state(job, model) == "done"
        assert names_in(job.output.parent) == ["case.report.html", "case.report.json", "case_0001.nii.gz"]

    def test_leftovers_of_a_killed_process_are_replaced_and_removed(
        self, done: BatchJob, model: BrightPartsModel
    ) -> None:
        expected = labels_of(done.output)
        done.mark.touch()
        done.report.unlink()
        done.output.write_bytes(b"half")
        (done.output.parent / ".case.nii.gz.4711.part").write_bytes(b"half")
        other = done.output.parent / ".case2.nii.gz.4711.part"
        other.write_bytes(b"of somebody else")
        assert self.state(done, model) == "done"
        np.testing.assert_array_equal(labels_of(done.output), expected)
        assert names_in(done.output.parent) == [
            other.name, "case.nii.gz", "case.report.html", "case.report.json"
        ]  # fmt: skip


def test_a_fault_of_ours_in_one_volume_does_not_stop_the_rest(
    job: BatchJob, model: BrightPartsModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = iter([TypeError("no such thing\nat all")])

    def broken(*arguments: Any, **options: Any) -> Any:
        error = next(faults, None)
        if error is not None:
            raise error
        return propagate(*arguments, **options)

    monkeypatch.setattr("napari_segnext.batch.run.propagate", broken)
    other = dataclasses.replace(job, output=job.output.with_name("other.tif"))
    first, second = iterate_batch([job, other], model)
    assert first.error == "fault of napari-segnext: TypeError: no such thing at all"
    assert second.state == "done"
