"""`propagate` on this machine: volumes, failures, resuming, options."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from napari_segnext import Volume, load_model, read_volume
from napari_segnext.batch import write as write_module
from napari_segnext.models.segnext import SegNext
from napari_segnext.prompts.prompts_file import (
    ChannelReference,
    ImageReference,
    read_prompts_file,
    write_prompts_file,
)
from napari_segnext.propagation import StopRules, propagate
from napari_segnext.session import stretch_channel
from tests.commands.volumes_to_propagate import SHAPE, write_volumes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    Cli = Callable[..., Result]


@pytest.fixture
def volumes(tmp_path: Path) -> list[Path]:
    return write_volumes(tmp_path / "in", 3)


@pytest.fixture
def prompts(volumes: list[Path]) -> Path:
    return volumes[0].parent / "prompts"


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def labels_of(path: Path) -> np.ndarray:
    return np.asarray(read_volume(path).array[:])


def summary_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "batch.report.json").read_text("utf-8"))


class TestVolumes:
    def test_one_volume_into_one_file(
        self, cli: Cli, volumes: list[Path], prompts: Path, tiny_model: Path, tmp_path: Path
    ) -> None:
        output = tmp_path / "labels.nii.gz"
        done = cli("propagate", volumes[0], "-p", prompts / "case0.json", "-m", tiny_model, "-o", output)
        assert done.exit_code == 0, done.output
        assert f"case0.tif: wrote '{output}' (2 objects, " in done.stdout
        expected = np.zeros(SHAPE, int)
        said = read_prompts_file(prompts / "case0.json")
        for result in propagate(load_model(tiny_model, "cpu"), read_volume(volumes[0]), said):
            expected[result.index][result.mask & (expected[result.index] == 0)] = result.label
        np.testing.assert_array_equal(labels_of(output), expected)
        assert (expected == 1).any()
        assert {"labels.report.json", "labels.report.html"} < set(names_in(tmp_path))
        assert "batch.report.json" not in names_in(tmp_path)

    def test_many_volumes_into_a_folder(
        self, cli: Cli, volumes: list[Path], prompts: Path, tiny_model: Path, tmp_path: Path
    ) -> None:
        (prompts / "case1.json").rename(prompts / "case1.prompts.json")
        pattern = volumes[0].with_name("case*.tif")
        done = cli("propagate", pattern, "-p", prompts, "-m", tiny_model, "-o", tmp_path / "new" / "out")
        assert done.exit_code == 0, done.output
        expected = [f"case{n}{end}" for n in range(3) for end in (".report.html", ".report.json", ".tif")]
        assert names_in(tmp_path / "new" / "out") == ["batch.report.json", *expected]
        summary = summary_of(tmp_path / "new" / "out")
        assert (summary["done"], summary["skipped"], summary["failed"], summary["left"]) == (3, 0, 0, 0)
        assert summary["volumes"][2]["objects"] == 2
        assert summary["volumes"][2]["volume"] == str(volumes[2])

    def test_one_prompts_file_for_all_and_a_suffix(
        self, cli: Cli, volumes: list[Path], prompts: Path, tiny_model: Path, tmp_path: Path
    ) -> None:
        options = ("-p", prompts / "case0.json", "-m", tiny_model, "-o", tmp_path / "out", "--suffix", ".zarr")
        done = cli("propagate", *volumes[:2], *options)
        assert done.exit_code == 0, done.output
        assert (tmp_path / "out" / "case1.zarr").is_dir()
        assert "2 skipped" not in done.stdout
        again = cli("propagate", *volumes[:2], *options)
        assert again.stdout.count("skipped") == 2

    def test_bad_ones_do_not_stop_the_rest(
        self, cli: Cli, volumes: list[Path], prompts: Path, tiny_model: Path, tmp_path: Path
    ) -> None:
        volumes[0].write_bytes(b"no tiff")
        (prompts / "case1.json").unlink()
        out = tmp_path / "out"
        done = cli("propagate", *volumes, tmp_path / "absent.nii", "-p", prompts, "-m", tiny_model, "-o", out)
        assert done.exit_code == 2
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 4
        assert lines[0].startswith("error: case1.tif: the folder") and "neither is there" in lines[0]
        assert lines[1].startswith("error: absent.nii: the folder")
        assert lines[2].startswith("error: case0.tif: ")
        assert lines[3] == f"3 of 4 volumes failed. '{out / 'batch.report.json'}' tells which."
        assert (out / "case2.tif").is_file()
        summary = summary_of(out)
        assert (summary["done"], summary["failed"]) == (1, 3)
        assert summary["volumes"][2]["error"] in lines[2]

    def test_stop_rules_and_range_are_passed_on(
        self, cli: Cli, volumes: list[Path], prompts: Path, tiny_model: Path, tmp_path: Path
    ) -> None:
        options = ("-p", prompts / "case0.json", "-m", tiny_model)
        rules = ("--min-overlap", 0, "--min-area", 9, "--max-area-ratio", 0, "--min-confidence", 0.1)
        more = (*rules, "--min-likeness", 0, "--stop-at-border", "--slices", "2:11", "--direction", "up", "--no-zoom")
        done = cli("propagate", volumes[0], *options, *more, "--doubtful", 0.8, "-o", tmp_path / "a.tif")
        assert done.exit_code == 0, done.output
        settings = json.loads((tmp_path / "a.report.json").read_text())["made_of"]["settings"]
        assert settings == {
            "axis": None,
            "time": None,
            "over_time": False,
            "at_slice": None,
            "slices": [2, 11],
            "direction": "up",
            "stop_rules": {
                "min_area": 9,
                "min_overlap": None,
                "max_area_ratio": None,
                "min_confidence": 0.1,
                "min_likeness": None,
                "stops_at_border": True,
            },
            "zoom": False,
            "contrast_limits": None,
            "channels": [],
            "per_object": False,
            "without_time": False,
            "doubtful": 0.8,
        }
        assert not labels_of(tmp_path / "a.tif")[[0, 1, 2, 3, 11]].any()
        done = cli("propagate", volumes[0], *options, "--no-stop", "-o", tmp_path / "b.tif")
        expected = np.zeros(SHAPE, int)
        said = read_prompts_file(prompts / "case0.json")
        volume = Volume(tifffile.imread(volumes[0]))
        for result in propagate(load_model(tiny_model, "cpu"), volume, said, rules=StopRules.none()):
            expected[result.index][result.mask & (expected[result.index] == 0)] = result.label
        np.testing.assert_array_equal(labels_of(tmp_path / "b.tif"), expected)

    def test_labels_do_not_depend_on_the_cache(
        self, cli: Cli, volumes: list[Path], prompts: Path, tiny_model: Path, tmp_path: Path
    ) -> None:
        options = ("-p", prompts, "-m", tiny_model, "--cache-folder", tmp_path / "cache", "--cache-size", 1)
        for number, more in enumerate([("--no-cache",), options[-4:], options[-4:]]):
            done = cli("propagate", volumes[0], *options[:4], *more, "-o", tmp_path / f"out{number}")
            assert done.exit_code == 0, done.output
        first, *others = ((tmp_path / f"out{number}" / "case0.tif").read_bytes() for number in range(3))
        assert others == [first, first]
        assert any((tmp_path / "cache").iterdir())

    def test_ctrl_c_says_what_is_done_and_how_to_go_on(
        self,
        cli: Cli,
        volumes: list[Path],
        prompts: Path,
        tiny_model: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        write, calls = write_module.write_labels_volume, []

        def interrupted(*arguments: Any, **options: Any) -> Any:
            calls.append(arguments)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return write(*arguments, **options)

        monkeypatch.setattr(write_module, "write_labels_volume", interrupted)
        command = ("propagate", *volumes, "-p", prompts, "-m", tiny_model, "-o", tmp_path / "out")
        done = cli(*command)
        assert done.exit_code == 130
        assert "interrupted. 1 of 3 volumes are done; the same command goes on from there." in done.stderr
        assert (summary_of(tmp_path / "out")["done"], summary_of(tmp_path / "out")["left"]) == (1, 2)
        assert not (tmp_path / "out" / "case1.tif").exists()
        done = cli(*command)
        assert done.exit_code == 0
        assert (summary_of(tmp_path / "out")["done"], summary_of(tmp_path / "out")["skipped"]) == (2, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no SIGKILL")
class TestKilled:
    """`kill -9`, then the same command once more."""

    def command(self, volumes: list[Path], prompts: Path, model: Path, out: Path) -> list[str]:
        return [str(one) for one in ("propagate", *volumes, "-p", prompts, "-m", model, "-o", out)]

    def test_goes_on_with_the_volumes_that_are_left(self, cli: Cli, tiny_model: Path, tmp_path: Path) -> None:
        volumes = write_volumes(tmp_path / "many", 5)
        command = self.command(volumes, volumes[0].parent / "prompts", tiny_model, tmp_path / "out")
        process = subprocess.Popen([sys.executable, "-m", "napari_segnext", *command], stdout=subprocess.DEVNULL)
        first, last = (tmp_path / "out" / f"case{number}.report.json" for number in (0, 4))
        deadline = time.monotonic() + 120
        while not first.exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert first.exists() and not last.exists()
        for path in (tmp_path / "out").glob("case*.tif"):
            labels_of(path)
        n_done = len([*(tmp_path / "out").glob("*.report.json")])
        done = cli(*command)
        assert done.exit_code == 0, done.output
        assert done.stdout.count("skipped") >= n_done - 1 > -1
        assert done.stdout.count("wrote") + done.stdout.count("skipped") == 5
        assert cli("propagate", *command[1:-1], tmp_path / "whole").exit_code == 0
        for number in range(5):
            one, other = (tmp_path / where / f"case{number}.tif" for where in ("out", "whole"))
            assert one.read_bytes() == other.read_bytes()
        assert not [name for name in names_in(tmp_path / "out") if name.startswith(".")]

    @pytest.mark.parametrize("at", ["page", "report"])
    def test_between_labels_and_report(
        self, at: str, cli: Cli, volumes: list[Path], prompts: Path, tiny_model: Path, tmp_path: Path
    ) -> None:
        command = self.command(volumes[:1], prompts, tiny_model, tmp_path / "out")
        code = f"""
import os, signal, sys
from napari_segnext.batch import write
from napari_segnext.commands import app
whole_file = write.whole_file
def killed(path):
    if path.name.endswith({".html" if at == "page" else ".json"!r}):
        os.kill(os.getpid(), signal.SIGKILL)
    return whole_file(path)
write.whole_file = killed
app({command!r})
"""
        died = subprocess.run([sys.executable, "-c", code], env=dict(os.environ), capture_output=True, text=True)
        assert died.returncode == -signal.SIGKILL, died.stderr
        assert "case0.tif" in names_in(tmp_path / "out")
        assert "case0.report.json" not in names_in(tmp_path / "out")
        done = cli(*command)
        assert done.exit_code == 0, done.output
        expected = ["batch.report.json", "case0.report.html", "case0.report.json", "case0.tif"]
        assert names_in(tmp_path / "out") == expected


class TestWrongUsage:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--slices", "4"), "--slices is '4'; expected A:B"),
            (("--slices", "7:4"), "slices are 7:4; expected the first below the second"),
            (("--axis", "5"), "axis is 5; expected 0, 1 or 2"),
            (("--time", "soon"), "--time is 'soon'; expected the number of a time point, from 0, or all"),
            (("--time", "1", "--over-time"), "leave one of them out"),
            (("--at-slice", "1"), "--at-slice is 1; expected the number of a slice, from 0, and --over-time with it"),
            (("--channels", "a,b,c,d"), "there are 4 channels; expected 1 to 3"),
            (("--direction", "left"), "direction is 'left'; expected both, up or down"),
            (("--min-overlap", "2"), "min_overlap is 2.0; expected 0 to 1"),
            (("--max-area-ratio", "0.5"), "max_area_ratio is 0.5; expected a number above 1"),
            (("--doubtful", "3"), "is 3.0; expected 0 to 1"),
            (("--contrast-limits", "9", "1"), "contrast limits are 9 and 1; expected the first below the second"),
            (("--suffix", ".png"), "the suffix is '.png'; expected one of"),
            (("--device", "abacus"), "device is 'abacus'"),
            (("--model", "unet"), "no model 'unet'"),
            (("--cache-size", "-1"), "the size of the cache is -1.0 GB"),
            (("--no-cache", "--cache-size", "1"), "--no-cache goes with neither"),
            (("--prompts", "absent"), "there is no prompts file or folder"),
            (("--output", "out.tif"), "the output 'out.tif' is one file, but there are 3 volumes"),
            (("--output", "a.txt"), "is a file that ends in '.txt'; expected a folder"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
    )
    def test_is_one_line_and_nothing_is_written(
        self,
        options: tuple[str, ...],
        words: str,
        cli: Cli,
        volumes: list[Path],
        prompts: Path,
        tiny_model: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "a.txt").touch()
        before = names_in(tmp_path)
        done = cli("propagate", *volumes, "-p", prompts, "-m", tiny_model, "-o", "out", *options)
        assert done.exit_code == 2, done.output
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert names_in(tmp_path) == before

    def test_names_that_collide(
        self, cli: Cli, volumes: list[Path], prompts: Path, tiny_model: Path, tmp_path: Path
    ) -> None:
        other = tmp_path / "other" / "case0.nii"
        other.parent.mkdir()
        for output, words in (
            (tmp_path / "out", "would have the same name"),
            (volumes[0].parent, "would take the place of the volume"),
        ):
            done = cli("propagate", *volumes, other, "-p", prompts, "-m", tiny_model, "-o", output)
            assert done.exit_code == 2
            assert words in done.stderr and len(done.stderr.strip().splitlines()) == 1
        summary = volumes[0].with_name("batch.tif")
        done = cli("propagate", summary, "-p", prompts, "-m", tiny_model, "-o", tmp_path / "out")
        assert "has the name of the summary" in done.stderr
        assert not (tmp_path / "out").exists()

    def test_pattern_without_a_volume(self, cli: Cli, prompts: Path, tiny_model: Path, tmp_path: Path) -> None:
        done = cli("propagate", tmp_path / "*.mha", "-p", prompts, "-m", tiny_model, "-o", tmp_path / "out")
        assert (done.exit_code, "no volume matches" in done.stderr) == (2, True)

    def test_ambiguous_prompts(
        self, cli: Cli, volumes: list[Path], prompts: Path, tiny_model: Path, tmp_path: Path
    ) -> None:
        (prompts / "case0.prompts.json").write_text("{}")
        done = cli("propagate", volumes[0], "-p", prompts, "-m", tiny_model, "-o", tmp_path / "out")
        assert (done.exit_code, "both are there" in done.stderr) == (2, True)


class TestTimeAndChannels:
    """`series.tif`: (T, Z, C, Y, X), a ball that is only in channel 1, annotated at time point 1."""

    @pytest.fixture
    def series(self, volumes: list[Path], tmp_path: Path) -> Path:
        ball = tifffile.imread(volumes[0])
        pixels = np.stack([np.stack([255 - ball, np.roll(ball, time, -1)], 1) for time in range(2)])
        tifffile.imwrite(tmp_path / "series.tif", pixels, imagej=True, metadata={"axes": "TZCYX"})
        return tmp_path / "series.tif"

    @pytest.fixture
    def said(self, prompts: Path, tmp_path: Path) -> Path:
        """As the annotator writes prompts: axes are counted as in the file, the channel axis is the nearest."""
        file = read_prompts_file(prompts / "case0.json")
        objects = tuple(
            replace(
                item,
                slices=tuple(replace(one, axis=2, index=1, others=((1, one.index), (0, 1))) for one in item.slices),
            )
            for item in file.objects
        )
        channels = (ChannelReference("series", 2, 1, (20, 200), 0.8), ChannelReference("series", 2, 0))
        image = ImageReference("series", (2, SHAPE[0], 2, *SHAPE[1:]), channels=channels)
        write_prompts_file(tmp_path / "said.json", replace(file, objects=objects, image=image))
        return tmp_path / "said.json"

    def expected(self, series: Path, prompts: Path, tiny_model: Path) -> np.ndarray:
        pixels = tifffile.imread(series)[1]
        red, green = (
            np.stack([stretch_channel(plane, *how) for plane in pixels[:, channel]])
            for channel, how in ((1, ((20, 200), 0.8)), (0, ()))
        )
        seen = np.stack([red, green, np.zeros_like(red)], -1)
        found = np.zeros((2, *SHAPE), int)
        said = read_prompts_file(prompts / "case0.json")
        for result in propagate(load_model(tiny_model, "cpu"), Volume(seen), said):
            plane = found[1, result.index]
            plane[result.mask & (plane == 0)] = result.label
        return found

    def test_as_the_prompts_file_says(
        self, cli: Cli, series: Path, said: Path, prompts: Path, tiny_model: Path, tmp_path: Path
    ) -> None:
        options = ("-p", said, "-m", tiny_model, "-o", tmp_path / "out.zarr")
        done = cli("propagate", series, *options)
        assert done.exit_code == 0, done.output
        found = labels_of(tmp_path / "out.zarr")
        np.testing.assert_array_equal(found, self.expected(series, prompts, tiny_model))
        assert (found == 1).any()
        assert "skipped" in cli("propagate", series, *options).stdout
        done = cli("propagate", series, *options, "--time", 1, "--without-time")
        assert "wrote" in done.stdout
        np.testing.assert_array_equal(labels_of(tmp_path / "out.zarr"), found[1])

    def test_over_time(self, cli: Cli, series: Path, said: Path, tiny_model: Path, tmp_path: Path) -> None:
        options = ("-p", said, "-m", tiny_model, "-o", tmp_path / "out.tif", "--over-time", "--no-stop")
        done = cli("propagate", series, *options)
        assert done.exit_code == 2 and "there are prompts on the slices 4, 6, 8; expected one" in done.stderr
        done = cli("propagate", series, *options, "--at-slice", 8)
        assert done.exit_code == 0, done.output
        found = labels_of(tmp_path / "out.tif")
        assert found.shape == (2, *SHAPE)
        assert (found[:, 8] == 1).any(axis=(1, 2)).all() and not np.delete(found, 8, axis=1).any()

    def test_what_was_encoded_ahead_is_found(
        self,
        cli: Cli,
        series: Path,
        said: Path,
        tiny_model: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        cache = ("--cache-folder", tmp_path / "cache", "--cache-size", 1)
        done = cli("embed", series, "-p", said, "-m", tiny_model, "--no-zoom", *cache)
        assert done.exit_code == 0, done.output
        assert f"{SHAPE[0]} slices are in the cache ({SHAPE[0]} new" in done.stdout
        monkeypatch.setattr(SegNext, "encode_image", None)
        options = ("-p", said, "-m", tiny_model, "--no-zoom", "-o", tmp_path / "out.tif")
        done = cli("propagate", series, *options, *cache)
        assert done.exit_code == 0, done.output

    def test_embed_goes_through_all_time_points(self, cli: Cli, series: Path, tiny_model: Path, tmp_path: Path) -> None:
        command = ("embed", series, "-m", tiny_model, "--cache-folder", tmp_path / "cache", "--cache-size", 1)
        done = cli(*command)
        assert done.exit_code == 2 and "Choose with --channels" in done.stderr
        done = cli(*command, "--channels", "channel 2", "--time", 1)
        assert f"{SHAPE[0]} slices are in the cache ({SHAPE[0]} new" in done.stdout
        done = cli(*command, "--channels", "1")
        assert f"{2 * SHAPE[0]} slices are in the cache ({SHAPE[0]} new" in done.stdout
        assert "--time is 7; expected 0 to 1" in cli(*command, "--channels", "1", "--time", 7).stderr
