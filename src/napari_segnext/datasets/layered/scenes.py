"""Scenes with layered objects of known depth: any number, the same for the same seed, free of any licence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_segnext.datasets.layered.bodies import MIN_VISIBLE_PX
from napari_segnext.datasets.layered.cues import draw_cues, light_and_air
from napari_segnext.datasets.layered.families import FAMILIES
from napari_segnext.datasets.procedural.camera import take_picture
from napari_segnext.datasets.procedural.images import MIN_SIDE_PX
from napari_segnext.datasets.procedural.label_maps import LabelMap
from napari_segnext.datasets.procedural.painting import measure_layout
from napari_segnext.datasets.samples import LoadedImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext.datasets.layered.bodies import View

FAMILY_WEIGHTS = {"twins": 3.0, "clutter": 2.5, "stack": 1.5, "ground": 1.5, "relief": 1.0}
"""Relative chances of the families."""

MIN_OBJECTS = {"twins": 2, "clutter": 2, "stack": 2, "ground": 2, "relief": 1}
"""Scenes with fewer are drawn again."""

CHANCE_OF_GREY = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class LayeredScene:
    """A drawn scene.

    Attributes
    ----------
    image
        `(H, W, 3)` uint8; grey images have three equal channels.
    labels
        `(H, W)` int32: 0 background, 1 … N one object each with the pixels of it that are seen, which need not hang
        together; none has fewer than `MIN_VISIBLE_PX`. N is at least 1, in twins 2.
    depth
        `(H, W)` float32 inverse depth in [0, 1]: larger is nearer, background included.
    family
        A key of `FAMILIES`.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.int32]
    depth: NDArray[np.float32]
    family: str


@dataclass(frozen=True, slots=True)
class LayeredSample:
    """A scene, not drawn yet.

    Attributes
    ----------
    id
        Unique among the scenes of all seeds and sizes.
    group
        Always "layered".
    seed
        Of the list it belongs to.
    number
        Its place in the list.
    side_px
        Height and width.
    """

    id: str
    group: str
    seed: int
    number: int
    side_px: int = 256

    def read(self) -> LoadedImage:
        """Image, labels, depth and no objects; drawn anew at every call, always the same.

        Raises
        ------
        ValueError
            If `side_px` is too small.
        """
        scene = make_layered_scene((self.seed, self.number), self.side_px)
        return LoadedImage(scene.image, scene.labels.astype(np.int64), (), scene.depth)


def make_layered_scene(seed: int | tuple[int, ...], side_px: int = 256) -> LayeredScene:
    """Draw a scene of objects at known depths.

    Parameters
    ----------
    seed
        One or more integers from 0; the same ones give the same scene.
    side_px
        Height and width in pixels, at least `MIN_SIDE_PX`. Objects grow with it.

    Raises
    ------
    ValueError
        If `side_px` or a seed is too small.
    """
    _check_side(side_px)
    rng, family = _begin(seed)
    view = _draw_view(rng, family, side_px)
    shown = light_and_air(rng, view, draw_cues(rng))
    image = take_picture(rng, shown, measure_layout(LabelMap(view.labels, np.zeros_like(view.labels))))
    if rng.random() < CHANCE_OF_GREY:
        image = np.repeat(image.mean(axis=-1, keepdims=True).round().astype(np.uint8), 3, axis=-1)
    return LayeredScene(image, view.labels, view.depth, family)


def family_of_scene(seed: int | tuple[int, ...]) -> str:
    """Family of the scene with that seed, found without drawing it."""
    return _begin(seed)[1]


def list_layered(n_scenes: int, *, seed: int = 0, side_px: int = 256) -> list[LayeredSample]:
    """List scenes that are drawn when they are read.

    Parameters
    ----------
    n_scenes
        How many; a longer list starts with the shorter one. May be 0.
    seed
        From 0; other seeds give other scenes.
    side_px
        Height and width in pixels, at least `MIN_SIDE_PX`.

    Raises
    ------
    ValueError
        If `n_scenes` or `seed` is below 0 or `side_px` too small.
    """
    if n_scenes < 0:
        raise ValueError(f"n_scenes is {n_scenes}; expected at least 0. Say how many scenes to draw.")
    if seed < 0:
        raise ValueError(f"seed is {seed}; expected an integer from 0. Choose another one.")
    _check_side(side_px)
    return [
        LayeredSample(f"layered-{seed}-{side_px}-{number}", "layered", seed, number, side_px)
        for number in range(n_scenes)
    ]


def _begin(seed: int | tuple[int, ...]) -> tuple[np.random.Generator, str]:
    numbers = (seed,) if isinstance(seed, int) else seed
    if min(numbers, default=-1) < 0:
        raise ValueError(f"seed is {seed}; expected one or more integers from 0. Choose other ones.")
    rng = np.random.default_rng(numbers)
    weights = np.array([FAMILY_WEIGHTS[name] for name in FAMILIES])
    return rng, str(rng.choice(list(FAMILIES), p=weights / weights.sum()))


def _draw_view(rng: np.random.Generator, family: str, side_px: int) -> View:
    # A draw may hide all but one of its bodies
    for _ in range(50):
        view = FAMILIES[family](rng, (side_px, side_px))
        sizes = np.bincount(view.labels.ravel())[1:]
        if len(sizes) >= MIN_OBJECTS[family] and sizes.min() >= MIN_VISIBLE_PX:
            break
    return replace(view, depth=np.clip(view.depth, 0, 1))


def _check_side(side_px: int) -> None:
    if side_px < MIN_SIDE_PX:
        raise ValueError(f"side_px is {side_px}; expected at least {MIN_SIDE_PX}. Draw larger scenes and shrink them.")
