"""Drawn images with labels: any number, the same for the same seed, free of any licence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_segnext.datasets.procedural import painting
from napari_segnext.datasets.procedural.camera import take_picture
from napari_segnext.datasets.procedural.label_maps import FAMILIES, LabelMap
from napari_segnext.datasets.samples import LoadedImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext.datasets.procedural.painting import Painter

MIN_SIDE_PX = 64
"""Smaller images have no room for most families."""

PAINTERS: dict[str, tuple[Painter, ...]] = {
    "tissue_cells": (
        painting.paint_fluorescence,
        painting.paint_bright_field,
        painting.paint_electron_cells,
        painting.paint_stained,
        painting.paint_textures,
    ),
    "neuropil": (painting.paint_electron_cells,),
    "nuclei": (
        painting.paint_fluorescence,
        painting.paint_channels,
        painting.paint_bright_field,
        painting.paint_stained,
        painting.paint_textures,
    ),
    "clustered_nuclei": (painting.paint_fluorescence, painting.paint_bright_field, painting.paint_stained),
    "fibres": (painting.paint_fluorescence, painting.paint_dark_lines, painting.paint_bright_field),
    "vessels": (painting.paint_dark_lines, painting.paint_fluorescence),
    "cracks": (painting.paint_dark_lines,),
    "blobs": (
        painting.paint_textures,
        painting.paint_bright_field,
        painting.paint_stained,
        painting.paint_scene,
        painting.paint_fluorescence,
    ),
    "polygons": (painting.paint_scene, painting.paint_textures, painting.paint_fluorescence),
    "cells_with_nuclei": (
        painting.paint_bright_field,
        painting.paint_channels,
        painting.paint_stained,
        painting.paint_electron_cells,
    ),
    "axons": (painting.paint_axons,),
    "mitochondria": (painting.paint_mitochondria,),
    "head_lesions": (painting.paint_head,),
    "organs": (painting.paint_trunk,),
    "single_lesion": (
        painting.paint_ultrasound,
        painting.paint_ultrasound,
        painting.paint_endoscopy,
        painting.paint_endoscopy,
        painting.paint_stained,
    ),
    "bacteria": (
        painting.paint_bright_field,
        painting.paint_fluorescence,
        painting.paint_dark_lines,
        painting.paint_stained,
    ),
    "grids": (painting.paint_scene, painting.paint_textures, painting.paint_bright_field, painting.paint_fluorescence),
    "scenes": (painting.paint_scene, painting.paint_scene, painting.paint_textures),
}
"""Family of label maps → painters that suit it, one of which is drawn."""

FAMILY_WEIGHTS = {
    "mitochondria": 2.5,
    "neuropil": 1.5,
    "scenes": 2.0,
    "head_lesions": 3.0,
    "single_lesion": 1.5,
    "vessels": 1.5,
    "cracks": 1.5,
}
"""Relative chances of families; 1 where not named. The named ones stand for what real free images lack most."""


@dataclass(frozen=True, slots=True, eq=False)
class ProceduralImage:
    """A drawn image.

    Attributes
    ----------
    image
        `(H, W, 3)` uint8; grey images have three equal channels.
    labels
        `(H, W)` int32: 0 background, 1 … N one object each, all of at least `MIN_OBJECT_PX`; N is at least 1.
    family
        Name of the family of its label map, a key of `FAMILIES`.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.int32]
    family: str


@dataclass(frozen=True, slots=True)
class ProceduralSample:
    """A drawn image with labelled objects, not drawn yet.

    Attributes
    ----------
    id
        Unique among the images of all seeds and sizes.
    group
        Always "procedural".
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
        """Image, labels and no objects; drawn anew at every call, always the same.

        Raises
        ------
        ValueError
            If `side_px` is too small.
        """
        drawn = make_procedural_image((self.seed, self.number), self.side_px)
        return LoadedImage(drawn.image, drawn.labels.astype(np.int64), ())


def make_procedural_image(seed: int | tuple[int, ...], side_px: int = 256) -> ProceduralImage:
    """Draw an image and its labels.

    Parameters
    ----------
    seed
        One or more integers from 0; the same ones give the same image.
    side_px
        Height and width in pixels, at least `MIN_SIDE_PX`. Objects grow with it.

    Returns
    -------
    ProceduralImage
        `(side_px, side_px, 3)` uint8 image and `(side_px, side_px)` int32 labels with at least one object.

    Raises
    ------
    ValueError
        If `side_px` or a seed is too small.
    """
    if side_px < MIN_SIDE_PX:
        raise ValueError(
            f"side_px is {side_px}; expected at least {MIN_SIDE_PX}. Draw a larger image and cut or shrink it."
        )
    numbers = (seed,) if isinstance(seed, int) else seed
    if min(numbers, default=-1) < 0:
        raise ValueError(f"seed is {seed}; expected one or more integers from 0. Choose other ones.")
    rng = np.random.default_rng(numbers)
    weights = np.array([FAMILY_WEIGHTS.get(name, 1.0) for name in FAMILIES])
    family = str(rng.choice(list(FAMILIES), p=weights / weights.sum()))
    label_map = _draw_label_map(rng, family, side_px)
    layout = painting.measure_layout(label_map)
    painters = PAINTERS[family]
    painted = painters[int(rng.integers(len(painters)))](rng, layout)
    return ProceduralImage(take_picture(rng, painted, layout), label_map.labels, family)


def list_procedural(n_images: int, *, seed: int = 0, side_px: int = 256) -> list[ProceduralSample]:
    """List images that are drawn when they are read.

    Parameters
    ----------
    n_images
        How many; a longer list starts with the shorter one. May be 0.
    seed
        From 0; other seeds give other images.
    side_px
        Height and width in pixels, at least `MIN_SIDE_PX`.

    Returns
    -------
    list[ProceduralSample]
        In order of their numbers.

    Raises
    ------
    ValueError
        If `n_images` or `seed` is below 0 or `side_px` too small.
    """
    if n_images < 0:
        raise ValueError(f"n_images is {n_images}; expected at least 0. Say how many images to draw.")
    if seed < 0:
        raise ValueError(f"seed is {seed}; expected an integer from 0. Choose another one.")
    if side_px < MIN_SIDE_PX:
        raise ValueError(f"side_px is {side_px}; expected at least {MIN_SIDE_PX}. Draw larger images and cut them.")
    return [
        ProceduralSample(f"procedural-{seed}-{side_px}-{number}", "procedural", seed, number, side_px)
        for number in range(n_images)
    ]


def _draw_label_map(rng: np.random.Generator, family: str, side_px: int) -> LabelMap:
    # A draw may come out empty, such as vessels outside the map
    for _ in range(20):
        label_map = FAMILIES[family](rng, (side_px, side_px))
        if label_map.labels.any():
            return label_map
    # a square, of 441 pixels at the least side
    labels = np.zeros((side_px, side_px), np.int32)
    labels[side_px // 3 : 2 * side_px // 3, side_px // 3 : 2 * side_px // 3] = 1
    return LabelMap(labels, np.zeros_like(labels))
