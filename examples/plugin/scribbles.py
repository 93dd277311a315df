"""Paint on the object and on the background, and draw a line.

python examples/plugin/scribbles.py
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

    scribbles = annotator.layers.scribbles
    scribbles.brush_size = 4
    scribbles.paint([50, 40], 1)  # 1 lies on the object
    scribbles.paint([95, 100], 2)  # 2 on the background
    print(f"from two strokes: {annotator.mask.sum()} pixels")

    annotator.layers.shapes.add(np.array([(45, 35), (60, 55)]), shape_type="path")
    print(f"with a line along the coin: {annotator.mask.sum()} pixels")
    print([prompt.kind for prompt in annotator.prompts])
    annotator.accept()
    return annotator


if __name__ == "__main__":
    main(napari.Viewer())
    napari.run()
