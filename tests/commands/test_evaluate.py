from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    Cli = Callable[..., Result]


SLOW_EVALUATION = """
import signal
# a shell that starts tests in the background lets its children ignore Ctrl-C
signal.signal(signal.SIGINT, signal.default_int_handler)
import time
import napari_segnext.evaluation
from napari_segnext.commands import main

evaluate = napari_segnext.evaluation.evaluate_side_by_side

def slowly(*arguments, **options):
    for results in evaluate(*arguments, **options):
        yield results
        print("one done", flush=True)
        time.sleep(30)

napari_segnext.evaluation.evaluate_side_by_side = slowly
main()
"""


def test_table_json_and_plot_are_written(cli: Cli, folder_dataset: Path, tiny_model: Path, tmp_path: Path) -> None:
    done = cli(
        *("evaluate", "--dataset", "folder", "--root", folder_dataset, "--model", tiny_model, "--max-clicks", 3),
        *("--json", tmp_path / "out.json", "--plot", tmp_path / "out.png"),
    )
    assert done.exit_code == 0, done.output
    assert "mIoU@3" in done.stdout
    report = json.loads((tmp_path / "out.json").read_text())
    assert (report["model"], report["dataset"], report["n_objects"]) == ("tiny-random", "folder", 4)
    assert {"mIoU@1", "NoC@90", "NoF@95", "seconds_per_click", "seconds_encode"} <= set(report["metrics"])
    assert all(len(item["ious"]) == 3 for item in report["objects"])
    assert (tmp_path / "out.png").read_bytes()[:4] == b"\x89PNG"


def test_drawn_objects_are_the_same_at_every_run(
    cli: Cli, folder_dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    drawn = []
    for name in ("a.json", "b.json"):
        arguments = ("--model", tiny_model, "--max-clicks", 1, "--max-objects", 2, "--json", tmp_path / name)
        assert cli("evaluate", "--dataset", "folder", "--root", folder_dataset, *arguments).exit_code == 0
        drawn.append([item["id"] for item in json.loads((tmp_path / name).read_text())["objects"]])
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 2


def test_layered_scenes_need_no_root_and_have_a_domain_for_each_family(
    cli: Cli, tiny_model: Path, tmp_path: Path
) -> None:
    written = tmp_path / "out.json"
    done = cli(
        *("evaluate", "--dataset", "layered", "-m", tiny_model, "--max-clicks", 1, "--per-domain", 1, "--json", written)
    )
    assert done.exit_code == 0, done.output
    assert set(json.loads(written.read_text())["groups"]) == {"twins", "clutter", "stack", "ground", "relief"}


def test_root_is_asked_for_where_files_are_read(cli: Cli, tiny_model: Path) -> None:
    done = cli("evaluate", "--dataset", "folder", "-m", tiny_model)
    assert done.exit_code == 2
    assert "dataset 'folder' has no root" in done.output


def test_several_roots_are_joined(cli: Cli, folder_dataset: Path, tiny_model: Path, tmp_path: Path) -> None:
    roots = ("--root", folder_dataset, "--root", folder_dataset)
    done = cli(
        *("evaluate", "--dataset", "folder", *roots, "-m", tiny_model),
        *("--max-clicks", 1, "--json", tmp_path / "a.json"),
    )
    assert done.exit_code == 0, done.output
    ids = [item["id"] for item in json.loads((tmp_path / "a.json").read_text())["objects"]]
    one_root = ["one:1", "one:2", "two:1", "two:2"]
    assert ids == [f"data-{number}/{name}" for number in (1, 2) for name in one_root]


def test_equal_ids_of_two_roots_are_told_apart(
    cli: Cli, folder_dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder_dataset, tmp_path / "other")
    for folder in ("images", "labels"):  # other pixels under the same names
        (tmp_path / "other" / folder / "two.png").unlink()
        path = tmp_path / "other" / folder / "one.png"
        pixels = np.asarray(PIL.Image.open(path))
        PIL.Image.fromarray(np.pad(pixels, ((0, 20), (0, 0)))).save(path)
    roots = ("--root", folder_dataset, "--root", tmp_path / "other")
    done = cli(
        *("evaluate", "--dataset", "folder", *roots, "-m", tiny_model, "--max-clicks", 1),
        *("--json", tmp_path / "out.json", "--failures", tmp_path / "failures"),
    )
    assert done.exit_code == 0, done.output
    ious = {item["id"]: item["ious"][0] for item in json.loads((tmp_path / "out.json").read_text())["objects"]}
    assert sorted(ious) == ["data/one:1", "data/one:2", "data/two:1", "data/two:2", "other/one:1", "other/one:2"]
    with (tmp_path / "failures" / "failures.csv").open(newline="") as file:
        replayed = {row["id"]: float(row["iou"]) for row in csv.DictReader(file)}
    assert replayed == pytest.approx(ious, abs=1e-4)


def test_ids_of_a_single_root_stay_as_they_are(
    cli: Cli, folder_dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    arguments = ("-m", tiny_model, "--max-clicks", 1, "--json", tmp_path / "out.json")
    assert cli("evaluate", "--dataset", "folder", "--root", folder_dataset, *arguments).exit_code == 0
    ids = [item["id"] for item in json.loads((tmp_path / "out.json").read_text())["objects"]]
    assert ids == ["one:1", "one:2", "two:1", "two:2"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"--dataset": "imagenet"}, "no dataset layout 'imagenet'"),
        ({"--root": "nowhere"}, "there is no folder"),
        ({"--json": "nowhere/a.json"}, "no folder"),
        ({"--plot": "a.xyz"}, "ends in '.xyz'"),
        ({"--model": "unet"}, "no model 'unet'"),
        ({"--threshold": "1.5"}, "threshold is 1.5"),
        ({"--first-prompt": "lasso"}, "'lasso' is not one of 'click', 'box'"),
        ({"--failures": "nowhere/failures"}, "no folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_wrong_input_is_one_line(
    changes: dict[str, str],
    words: str,
    cli: Cli,
    folder_dataset: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    options: dict[str, Any] = {"--dataset": "folder", "--root": folder_dataset, "--model": tiny_model, **changes}
    done = cli("evaluate", *(each for pair in options.items() for each in pair))
    assert done.exit_code == 2, done.output
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_peers_and_first_prompts_are_evaluated_in_the_same_run(
    cli: Cli, folder_dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    pytest.importorskip("cv2")
    done = cli(
        *("evaluate", "--dataset", "folder", "--root", folder_dataset, "-m", tiny_model, "--max-clicks", 3),
        *("--first-prompt", "all", "--peers", "--peer-clicks", 1, "--no-zoom", "--json", tmp_path / "out.json"),
    )
    assert done.exit_code == 0, done.output
    assert "side by side" in done.stdout and "by first prompt" in done.stdout
    report = json.loads((tmp_path / "out.json").read_text())
    assert list(report["prompts"]) == ["click", "box", "polygon", "scribble", "mask"]
    assert list(report["peers"]) == ["random_walker", "grabcut", "watershed"]
    assert report["zoom"] is False
    for peer in report["peers"].values():
        assert (peer["n_objects"], peer["max_clicks"]) == (report["n_objects"], 1)
        assert list(peer["prompts"]) == list(report["prompts"])
    assert report["prompts"]["click"] == report["metrics"]


def test_one_first_prompt_is_that_of_the_main_numbers(
    cli: Cli, folder_dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    arguments = ("--first-prompt", "box", "--max-clicks", 1, "--zoom", "--json", tmp_path / "out.json")
    done = cli("evaluate", "--dataset", "folder", "--root", folder_dataset, "-m", tiny_model, *arguments)
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out.json").read_text())
    assert (report["first_prompt"], report["prompts"], report["zoom"]) == ("box", {}, True)


def test_worst_cases_are_written_as_picture_and_table(
    cli: Cli, folder_dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    arguments = ("--max-clicks", 2, "--failures", tmp_path / "failures", "--max-objects-per-image", 1)
    done = cli("evaluate", "--dataset", "folder", "--root", folder_dataset, "-m", tiny_model, *arguments)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "failures" / "failures.png").read_bytes()[:4] == b"\x89PNG"
    assert len((tmp_path / "failures" / "failures.csv").read_text().splitlines()) == 1 + 2


def test_so_many_objects_are_drawn_of_every_domain(
    cli: Cli, folder_dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    arguments = ("--max-clicks", 1, "--per-domain", 3, "--json", tmp_path / "out.json")
    done = cli("evaluate", "--dataset", "folder", "--root", folder_dataset, "-m", tiny_model, *arguments)
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "out.json").read_text())["n_objects"] == 3


def test_peers_without_opencv_are_refused_in_one_line(
    cli: Cli, folder_dataset: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    done = cli("evaluate", "--dataset", "folder", "--root", folder_dataset, "-m", tiny_model, "--peers")
    assert done.exit_code == 2, done.output
    assert "pip install 'napari-segnext[peers]'" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent otherwise there")
def test_ctrl_c_reports_the_objects_done_so_far(folder_dataset: Path, tiny_model: Path, tmp_path: Path) -> None:
    arguments = ["evaluate", "--dataset", "folder", "--root", str(folder_dataset), "-m", str(tiny_model)]
    arguments += ["--max-clicks", "2", "--json", str(tmp_path / "part.json")]
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_EVALUATION, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "one done\n"
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "first 1 objects" in said and "run the same command again" in said
    assert json.loads((tmp_path / "part.json").read_text())["n_objects"] == 1
