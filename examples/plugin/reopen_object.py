"""Reopen an accepted object with its prompts and change it; what was painted by hand stays.

python examples/plugin/reopen_object.py
"""

from __future__ import annotations

from typing import Any

import napari
import numpy as np
from napari.components import ViewerModel
from skimage import data

from napari_segnext import load_model
from napari_segnext.annotator import Annotator


def main(viewer: Any = None) -> Annotator:
    """Without a viewer, everything is done in one that has no window."""
    viewer = ViewerModel() if viewer is None else viewer
    image = viewer.add_image(data.coins()[:160, :200], name="coins")
    annotator = Annotator(viewer, image, load_model("segnext-tiny"), zoom=False)

    annotator.layers.points.add([54, 44])
    annotator.accept()

    labels = annotator.layers.output
    labels.brush_size = 5
    labels.paint([10, 10], 1)  # napari's own brush

    annotator.reopen(1)
    print(f"its prompts are back: {annotator.prompts.items}")
    annotator.layers.points.add([70, 50])
    annotator.accept()  # no new object: object 1 is changed
    print(f"labels: {np.unique(labels.data)}, painted by hand: {labels.data[10, 10] == 1}")
    return annotator


if __name__ == "__main__":
    main(napari.Viewer())
    napari.run()
