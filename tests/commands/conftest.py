"""A tiny model with random weights, and the command line as a function."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - one import for all
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest
import torch
from typer.testing import CliRunner

from napari_segnext.commands import app
from napari_segnext.models.config import FusionConfig, HybridConfig, SegNextConfig
from napari_segnext.models.segnext import SegNext
from napari_segnext.prompts import Click, Prompts
from napari_segnext.prompts.prompts_file import (
    AnnotatedObject,
    ImageReference,
    PromptsFile,
    SlicePrompts,
    write_prompts_file,
)
from napari_segnext.weights import save_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, empty and of this test alone."""
    monkeypatch.setenv("NAPARI_SEGNEXT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def cli() -> Callable[..., Result]:
    """`cli("models", "list")`: exit code, output (stdout and stderr) and both apart."""

    def run(*arguments: object, keys: str | None = None) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=keys)

    return run


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of a network with random weights; it takes milliseconds and answers nonsense."""
    torch.manual_seed(0)
    encoder = HybridConfig(stage_widths=(4, 6, 8), blocks_per_stage=(1, 1), width=16, depth=1, n_heads=2)
    model = SegNext(SegNextConfig((64, 64), encoder, FusionConfig(depth=1, n_heads=2)))
    path = tmp_path_factory.mktemp("models") / "tiny-random.safetensors"
    return save_weights(path, model, name="tiny-random", licence="BSD-3-Clause", card="# A tiny model")


@pytest.fixture
def image_file(tmp_path: Path) -> Path:
    """40 × 50 pixels of noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(tmp_path / "image.png")
    return tmp_path / "image.png"


@pytest.fixture
def prompts_file(tmp_path: Path) -> Path:
    """Objects 2 and 5, with a click each, on an image of 40 × 50 pixels."""
    objects = tuple(
        AnnotatedObject(label, "", (SlicePrompts(0, 0, Prompts((Click(row, 20, is_positive=True),))),))
        for label, row in ((2, 10), (5, 30))
    )
    path = tmp_path / "prompts.json"
    write_prompts_file(path, PromptsFile(objects, ImageReference("image.png", (40, 50))))
    return path


@pytest.fixture
def folder_dataset(tmp_path: Path) -> Path:
    """Two images of 40 × 40 pixels with two objects each."""
    generator = np.random.default_rng(0)
    for name in ("one", "two"):
        labels = np.zeros((40, 40), np.uint8)
        labels[5:15, 5:15], labels[20:35, 20:35] = 1, 2
        image = np.where(labels > 0, 200, 40) + generator.integers(0, 20, labels.shape)
        for kind, pixels in (("images", image.astype(np.uint8)), ("labels", labels)):
            (tmp_path / "data" / kind).mkdir(parents=True, exist_ok=True)
            PIL.Image.fromarray(pixels).save(tmp_path / "data" / kind / f"{name}.png")
    return tmp_path / "data"
