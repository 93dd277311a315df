"""Draw a box around a coin, then correct the mask; move the correction, and the mask follows.

python examples/plugin/box_and_correction.py
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
    annotator = Annotator(viewer, image, load_model("segnext-tiny"))  # zooms as the model prefers

    corners = np.array([(34, 22), (34, 67), (75, 67), (75, 22)])
    annotator.layers.shapes.add(corners, shape_type="rectangle")
    print(f"from the box: {annotator.mask.sum()} pixels")

    annotator.set_sign(is_positive=False)
    annotator.layers.points.add([70, 90])
    annotator.set_sign(is_positive=True)
    print(f"with a click on the background: {annotator.mask.sum()} pixels")

    annotator.layers.points.data = [[74, 72]]  # any prompt can be moved or deleted at any time
    print(f"with the click moved: {annotator.mask.sum()} pixels")
    annotator.accept()
    return annotator


if __name__ == "__main__":
    main(napari.Viewer())
    napari.run()
