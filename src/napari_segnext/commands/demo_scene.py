"""What the demo shows: a real image, a few prompts, and the truth where it is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_segnext.prompts import Click, Prompt, Prompts

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segnext._types import Image, Mask


@dataclass(frozen=True, eq=False)
class Scene:
    """An image with one object to segment.

    Attributes
    ----------
    name, source
        What it shows; where it comes from, with its licence.
    image
        `(H, W)` or `(H, W, C)`.
    prompts
        What the user says, in order.
    truth
        `(H, W)` bool; None if unknown.
    file_name
        What a prompts file calls the image.
    """

    name: str
    source: str
    image: Image
    prompts: Prompts
    truth: Mask | None = None
    file_name: str = "image.png"


CELL_PROMPTS: tuple[Prompt, ...] = (
    Click(row=374, column=428, is_positive=True),
    Click(row=374, column=345, is_positive=False),
    Click(row=325, column=440, is_positive=True),
)
"""On the cell, on the dark halo beside it, near its upper border."""

CELL_CENTRE_YX = (374.3, 428.1)
CELL_RADIUS_PX = 62.5
"""The cell is round; its outline was measured at half height between cell and halo."""


def bundled_scene() -> Scene:
    """A cell under a quantitative phase microscope: `skimage.data.cell`, which comes with scikit-image."""
    import skimage.data

    image = skimage.data.cell()
    rows, columns = np.ogrid[: image.shape[0], : image.shape[1]]
    row, column = CELL_CENTRE_YX
    truth = (rows - row) ** 2 + (columns - column) ** 2 <= CELL_RADIUS_PX**2
    return Scene("cell", "skimage.data.cell (CC0)", image, Prompts(CELL_PROMPTS), truth)


def scene_from_file(path: Path) -> Scene:
    """An image of the user's own, with one click in its middle.

    Raises
    ------
    FileNotFoundError, ImageError
        If there is no such image, or it cannot be read.
    """
    from napari_segnext.io import read_image

    image = read_image(path)
    middle = Click(row=(image.shape[0] - 1) // 2, column=(image.shape[1] - 1) // 2)
    return Scene(path.stem, str(path), image, Prompts((middle,)), file_name=path.name)
