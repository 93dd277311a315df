"""Small volumes with prompts files, for tests of `propagate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tifffile

from napari_segnext.prompts import Click, MaskPrompt, Prompts
from napari_segnext.prompts.prompts_file import AnnotatedObject, PromptsFile, SlicePrompts, write_prompts_file

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (12, 40, 50)


def write_volumes(folder: Path, n_volumes: int) -> list[Path]:
    """`case0.tif`, … with a bright ball in noise; `prompts/case0.json`, … with a mask on two slices, and a click."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prompts").mkdir()
    z, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    paths = []
    for number in range(n_volumes):
        ball = ((z - 6) * 2) ** 2 + (y - 18 - number) ** 2 + (x - 25) ** 2 < 11**2
        noise = np.random.default_rng(number).normal(0, 12, SHAPE)
        paths.append(folder / f"case{number}.tif")
        tifffile.imwrite(paths[-1], np.clip(50 + 120 * ball + noise, 0, 255).astype(np.uint8))
        masks = tuple(SlicePrompts(0, index, Prompts(), mask=MaskPrompt(ball[index])) for index in (4, 8))
        objects = (
            AnnotatedObject(1, "ball", masks),
            AnnotatedObject(2, "", (SlicePrompts(0, 6, Prompts((Click(5, 5),))),)),
        )
        write_prompts_file(folder / "prompts" / f"case{number}.json", PromptsFile(objects))
    return paths
