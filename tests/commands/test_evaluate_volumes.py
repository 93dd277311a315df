from __future__ import annotations

import json
import re

import numpy as np
import pytest
import tifffile


@pytest.fixture
def two_files(tmp_path):
    """A volume of a bright box, and its labels."""
    labels = np.zeros((6, 40, 48), np.uint8)
    labels[1:5, 10:30, 12:30] = 2
    for name, array in (("image", 40 + 80 * labels), ("labels", labels)):
        tifffile.imwrite(tmp_path / f"{name}.tif", array.astype(np.uint8), imagej=True, metadata={"axes": "ZYX"})
    return tmp_path / "image.tif", tmp_path / "labels.tif"


def test_table_and_json_are_written(cli, two_files, tiny_model, tmp_path):
    image, labels = two_files
    done = cli(
        *("evaluate-volumes", "--dataset", "files", "--image", image, "--labels", labels, "--model", tiny_model),
        *("--slices", 2, "--clicks", 2, "--min-slices", 2, "--json", tmp_path / "out.json"),
    )
    assert done.exit_code == 0, done.output
    assert "Mean Dice (%) with clicks on 2 slices" in done.stdout
    assert "| signed-distance interpolation |" in done.stdout
    assert "| every slice by hand |" in done.stdout
    report = json.loads((tmp_path / "out.json").read_text())
    assert len(report["objects"]) == 9
    assert {one["label"] for one in report["objects"]} == {2}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--dataset", "files"), "--image and --labels name the two files"),
        (("--dataset", "packs"), "expected 'pack' or 'phantoms'"),
        (("--dataset", "phantoms", "--only", "mitochondria*"), "no volume matches 'mitochondria\\*'"),
        (("--dataset", "phantoms", "--rule", "guessing"), "no rule matches 'guessing'; expected one of 'propagation'"),
        (("--dataset", "phantoms", "--json", "nowhere/out.json"), "there is no folder"),
    ],
)
def test_wrong_options_are_told_in_one_line(cli, tiny_model, options, said):
    done = cli("evaluate-volumes", "--model", tiny_model, *options)
    assert done.exit_code == 2
    (line,) = done.stderr.strip().splitlines()
    assert re.search(said, line)


def test_rules_are_chosen_by_name(cli, two_files, tiny_model):
    image, labels = two_files
    done = cli(
        *("evaluate-volumes", "--dataset", "files", "--image", image, "--labels", labels, "--model", tiny_model),
        *("--slices", 1, "--clicks", 1, "--min-slices", 2, "--rule", "propagation", "--no-by-hand"),
    )
    assert done.exit_code == 0, done.output
    assert [line for line in done.stdout.splitlines() if line.startswith("| propagation")]
    assert "interpolation" not in done.stdout
    assert "by hand |" not in done.stdout.replace("clicks per object by hand* |", "")


def test_no_object_that_is_large_enough(cli, two_files, tiny_model):
    image, labels = two_files
    done = cli(
        *("evaluate-volumes", "--dataset", "files", "--image", image, "--labels", labels, "--model", tiny_model),
        *("--min-voxels", 100_000),
    )
    assert done.exit_code == 2
    assert "--min-voxels" in done.stderr
