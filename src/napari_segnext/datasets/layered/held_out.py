"""Layout ``layered``: scenes that are drawn for evaluation; no training sees their seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_segnext.datasets.layered.scenes import LayeredScene, family_of_scene, make_layered_scene
from napari_segnext.datasets.samples import ImageSample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext._types import Image

HELD_OUT_SEED = 1_000_000
"""Of the scenes that are evaluated; others are for training."""

N_HELD_OUT = 100

MIN_HELD_OUT_PX = 100
"""Smaller objects are not asked for."""

MAX_PER_SCENE = 3
"""Objects that are asked for, of those of a scene."""


@dataclass(frozen=True, slots=True)
class SceneImage:
    """Draws the image of a scene; the path is passed over."""

    seed: tuple[int, ...]

    def __call__(self, path: Path) -> Image:
        """`(H, W, 3)` uint8."""
        return _scene(self.seed).image.copy()


@dataclass(frozen=True, slots=True)
class SceneLabels:
    """Draws the labels of a scene; the path is passed over."""

    seed: tuple[int, ...]

    def __call__(self, path: Path) -> NDArray[np.int64]:
        """`(H, W)` int64, 0 is background."""
        return _scene(self.seed).labels.astype(np.int64)


@dataclass(frozen=True, slots=True)
class SceneDepth:
    """Draws the depth of a scene; the path is passed over."""

    seed: tuple[int, ...]

    def __call__(self, path: Path) -> NDArray[np.float32]:
        """`(H, W)` float32, larger is nearer."""
        return _scene(self.seed).depth.copy()


def list_held_out() -> list[ImageSample]:
    """The scenes for evaluation, grouped by family; their paths are names only."""
    return [_sample((HELD_OUT_SEED, number)) for number in range(N_HELD_OUT)]


def _sample(seed: tuple[int, ...]) -> ImageSample:
    family, name = family_of_scene(seed), "-".join(map(str, seed))
    path = Path(f"layered-{name}")
    return ImageSample(
        f"{family}-{seed[-1]:03d}",
        family,
        path,
        path,
        SceneLabels(seed),
        read_pixels=SceneImage(seed),
        depth_path=path,
        read_depth=SceneDepth(seed),
    )


@lru_cache(maxsize=8)
def _scene(seed: tuple[int, ...]) -> LayeredScene:
    # Image, labels and depth of a sample are read one after another
    return make_layered_scene(seed)
