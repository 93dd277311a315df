"""Write what was annotated as a prompts file; the command line makes the same objects of it.

Writes coins.png, prompts.json and labels.tif into the current folder.

python examples/plugin/prompts_for_predict.py
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import napari
import numpy as np
import tifffile
from napari.components import ViewerModel
from skimage import data, io

from napari_segnext import load_model
from napari_segnext.annotator import Annotator
from napari_segnext.prompts import write_prompts_file


def main(viewer: Any = None) -> Annotator:
    """Without a viewer, everything is done in one that has no window."""
    viewer = ViewerModel() if viewer is None else viewer
    image = viewer.add_image(data.coins()[:160, :200], name="coins")
    annotator = Annotator(viewer, image, load_model("segnext-tiny"), zoom=False)

    for place in ([54, 44], [124, 45]):
        annotator.layers.points.add(place)
        annotator.accept()

    write_prompts_file("prompts.json", annotator.snapshot(with_labels=False).prompts)
    io.imsave("coins.png", image.data)
    # napari-segnext predict coins.png --prompts prompts.json -o labels.tif
    command = ["predict", "coins.png", "--prompts", "prompts.json", "-o", "labels.tif", "--device", "cpu"]
    subprocess.run([sys.executable, "-m", "napari_segnext", *command], check=True)
    is_same = np.array_equal(tifffile.imread("labels.tif"), annotator.layers.output.data)
    print(f"the command line made the same labels: {is_same}")
    return annotator


if __name__ == "__main__":
    main(napari.Viewer())
    napari.run()
