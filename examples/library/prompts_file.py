"""Write what was said about an object as JSON, and let the command line make the same mask of it.

Writes coins.png, prompts.json and mask.tif into the current folder.

python examples/library/prompts_file.py
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import tifffile
from skimage import data, io

from napari_segnext import Click, Session, load_model
from napari_segnext.prompts import AnnotatedObject, ImageReference, PromptsFile, SlicePrompts, write_prompts_file

if TYPE_CHECKING:
    import numpy as np


def main() -> tuple[np.ndarray, np.ndarray]:
    image = data.coins()[:160, :200]
    session = Session(load_model("segnext-tiny"), image, zoom=False)
    session.add(Click(row=54, column=44))
    prediction = session.add(Click(row=72, column=75, is_positive=False))

    io.imsave("coins.png", image)
    coin = AnnotatedObject(label=1, name="coin", slices=(SlicePrompts(axis=0, index=0, prompts=session.prompts),))
    write_prompts_file(
        "prompts.json", PromptsFile((coin,), ImageReference("coins.png", image.shape), zoom=session.zoom)
    )

    # napari-segnext predict coins.png --prompts prompts.json -o mask.tif
    command = ["predict", "coins.png", "--prompts", "prompts.json", "-o", "mask.tif", "--device", "cpu"]
    subprocess.run([sys.executable, "-m", "napari_segnext", *command], check=True)
    labels = tifffile.imread("mask.tif")
    print(f"the session gave {prediction.mask.sum()} pixels, the command line {(labels == 1).sum()}")
    return prediction.mask, labels


if __name__ == "__main__":
    main()
