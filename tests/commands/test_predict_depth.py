"""`predict --depth`: the depth of a file, for a model that reads depth."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest
import tifffile

from napari_segnext import Session, load_model
from napari_segnext.io import read_image
from napari_segnext.prompts import Click
from napari_segnext.weights import save_weights
from tests.models.test_ois import HYBRID, network

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def tiny_ois(tmp_path_factory) -> Path:
    """A weights file of an OIS with random weights."""
    return save_weights(tmp_path_factory.mktemp("models") / "tiny-ois.safetensors", network(HYBRID), name="tiny-ois")


@pytest.fixture
def depth() -> np.ndarray:
    """`(40, 50)` float32, two steps, and unknown in a corner."""
    steps = np.zeros((40, 50), np.float32)
    steps[:20], steps[:, 25:] = 1, 3
    steps[30:, :10] = np.nan
    return steps


@pytest.fixture
def run(cli, image_file, prompts_file, tiny_ois, tmp_path):
    """done = run(more arguments); writes `out.png`."""
    out = tmp_path / "out.png"
    return lambda *more: cli("predict", image_file, "-p", prompts_file, "-m", tiny_ois, "-o", out, *more)


def test_the_labels_are_those_of_a_session_with_that_depth(run, depth, image_file, tiny_ois, tmp_path, monkeypatch):
    given = []
    tifffile.imwrite(tmp_path / "depth.tif", depth)
    model = load_model(tiny_ois, "cpu")
    monkeypatch.setattr(
        "napari_segnext.session.Session", lambda *args, **options: given.append(options) or Session(*args, **options)
    )
    done = run("--depth", tmp_path / "depth.tif", "--no-cache")
    assert done.exit_code == 0, done.output
    np.testing.assert_array_equal(given[0]["depth"], depth)
    session = Session(model, read_image(image_file), depth=depth)
    expected = np.zeros((40, 50), int)
    for label, row in ((2, 10), (5, 30)):
        session.reset()
        expected[session.add(Click(row, 20)).mask & (expected == 0)] = label
    np.testing.assert_array_equal(read_image(tmp_path / "out.png"), expected)


def test_a_png_of_16_bits_will_do(run, tmp_path):
    PIL.Image.fromarray(np.arange(2000, dtype=np.uint16).reshape(40, 50)).save(tmp_path / "depth.png")
    assert run("--depth", tmp_path / "depth.png").exit_code == 0


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((41, 50), np.uint8), "the depth has shape (41, 50); expected (40, 50)"),
        (np.zeros((40, 50, 3), np.uint8), "Give one number for each pixel"),
    ],
    ids=["size", "RGB"],
)
def test_a_file_that_is_no_depth_of_the_image_is_refused(run, tmp_path, pixels, words):
    PIL.Image.fromarray(pixels).save(tmp_path / "depth.png")
    done = run("--depth", tmp_path / "depth.png")
    assert done.exit_code == 2 and words in done.stderr
    assert not (tmp_path / "out.png").exists()


def test_a_file_that_is_not_there_and_a_model_that_reads_none_are_refused(
    run, cli, image_file, prompts_file, tiny_model, tmp_path
):
    done = run("--depth", tmp_path / "nowhere.tif")
    assert done.exit_code == 2 and "nowhere.tif" in done.stderr
    done = cli(
        "predict", image_file, "-p", prompts_file, "-m", tiny_model, "-o", tmp_path / "o.png", "--depth", image_file
    )
    assert done.exit_code == 2 and "reads none" in done.stderr


def test_prompts_that_were_answered_with_a_depth_are_warned_of_without_one(run, prompts_file, depth, tmp_path):
    data = json.loads(prompts_file.read_text())
    data["image"]["depth"] = "height map"
    prompts_file.write_text(json.dumps(data))
    done = run()
    assert done.exit_code == 0 and "answered with a depth from 'height map'; without --depth" in done.stderr
    tifffile.imwrite(tmp_path / "depth.tif", depth)
    assert "warning" not in run("--depth", tmp_path / "depth.tif").stderr
