"""The world of the tests: an 8 × 8 image with one disk, and a model that answers disks.

. . . . . . . .
. . . # # . . .
. . # # # # . .
. . # # # # . .
. . . # # . . .
. . . . . . . .
"""

from __future__ import annotations

import gc
import importlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_segnext.models.interface import ImageEmbedding, ModelIdentity
from napari_segnext.session import EmbeddingCache
from tests.workers import share_threads

# napari reads this when it is imported; an empty one keeps its settings, and those of plugins, in memory
os.environ["NAPARI_CONFIG"] = ""

SHARED = Path(os.environ.get("NAPARI_SEGNEXT_SHARED", Path(__file__).parents[2] / "shared"))


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Where Qt's libraries are missing pytest-qt would end the whole run; only the GUI tests shall be skipped there."""
    if os.environ.get("CI"):
        return
    try:
        importlib.import_module("qtpy.QtWidgets")
    except Exception:  # noqa: BLE001 - qtpy raises its own kinds
        if pluginmanager.has_plugin("pytest-qt"):
            pluginmanager.unregister(name="pytest-qt")


def pytest_configure(config: pytest.Config) -> None:
    """Workers, which are started after this, inherit what is set here."""
    if getattr(config.option, "numprocesses", None):
        share_threads(os.environ)


def pytest_collection_finish() -> None:
    """What is imported by now is no garbage, and need not be searched for it again and again."""
    gc.collect()
    gc.freeze()


class FakeModel:
    """Counts its calls and answers a disk of radius 2 about each positive click, less those about negative ones.

    The previous mask is kept, too, so that replays can be told from single predictions.
    """

    def __init__(self, name: str = "fake", sha256: str = "") -> None:
        self.identity = ModelIdentity(name, sha256)
        self.n_encoded = 0
        self.n_predicted = 0
        self.previous_masks: list[np.ndarray] = []

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def click_radius_px(self, image_shape: tuple[int, int]) -> float:
        return 2.0

    def encode_image(self, image: torch.Tensor) -> ImageEmbedding:
        self.n_encoded += 1
        rows, columns = image.shape[-2:]
        return ImageEmbedding(levels=(image[None],), image_shape=(rows, columns))

    def predict_logits(
        self, embedding: ImageEmbedding, clicks: torch.Tensor, previous_masks: torch.Tensor
    ) -> torch.Tensor:
        self.n_predicted += 1
        self.previous_masks.append(previous_masks[0].numpy().copy())
        rows, columns = embedding.image_shape
        r, c = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        logits = torch.where(previous_masks > 0.5, 1.0, -4.0)
        for b in range(len(clicks)):
            for row, column, sign in clicks[b].tolist():
                if sign:
                    logits[b][(r - row) ** 2 + (c - column) ** 2 <= 4] = 4.0 * sign
        return logits


@pytest.fixture(autouse=True)
def own_embeddings(monkeypatch) -> None:
    """Every test begins with an empty cache of image embeddings, and without one on disk."""
    monkeypatch.setattr("napari_segnext.session.session._SHARED_CACHE", EmbeddingCache())
    monkeypatch.setattr("napari_segnext._disk_cache._in_use", None)
    monkeypatch.setenv("NAPARI_SEGNEXT_CACHE_GB", "0")


@pytest.fixture
def fake_model() -> FakeModel:
    return FakeModel()


@pytest.fixture
def disk_image() -> np.ndarray:
    """`(8, 8)` uint8, 200 on a disk in the middle and 20 elsewhere."""
    rows, columns = np.mgrid[:8, :8]
    return np.where((rows - 3) ** 2 + (columns - 3) ** 2 <= 4, 200, 20).astype(np.uint8)


@pytest.fixture(scope="session")
def golden_folder() -> Path:
    """Recorded tensors of the original program, or a skip where they are absent."""
    folder = SHARED / "golden"
    if not folder.is_dir():
        pytest.skip(f"recorded tensors of the original program are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Real images with labels, or a skip where they are absent."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"real images are not at {folder}")
    return folder
