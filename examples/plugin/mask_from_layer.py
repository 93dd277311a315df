"""Give an object of another labels layer as a mask to start from; the layer may have another grid.

python examples/plugin/mask_from_layer.py
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

    rows, columns = np.mgrid[:80, :100]
    coarse = ((rows - 27) ** 2 + (columns - 22) ** 2 < 9**2).astype(np.uint8)  # every other pixel of the image
    layer = viewer.add_labels(coarse, name="from elsewhere", scale=(2, 2))

    annotator.add_mask_from(layer, 1)  # without a number: the label that is selected in the layer
    print(f"the mask has {annotator.prompts.items[0].mask.sum()} pixels, the answer {annotator.mask.sum()}")
    annotator.layers.points.add([54, 44])
    annotator.accept()
    return annotator


if __name__ == "__main__":
    main(napari.Viewer())
    napari.run()
