"""Click on coins and accept them as objects 1 and 2.

python examples/plugin/click_and_accept.py
"""

from __future__ import annotations

from typing import Any

import napari
from napari.components import ViewerModel
from skimage import data

from napari_segnext import load_model
from napari_segnext.annotator import Annotator


def main(viewer: Any = None) -> Annotator:
    """Without a viewer, everything is done in one that has no window."""
    viewer = ViewerModel() if viewer is None else viewer
    image = viewer.add_image(data.coins()[:160, :200], name="coins")
    annotator = Annotator(viewer, image, load_model("segnext-tiny"), zoom=False)

    annotator.layers.points.add([54, 44])  # (row, column) in the layer's data coordinates
    print(f"the preview shows {annotator.mask.sum()} pixels")
    print(f"accepted as object {annotator.accept()}")

    annotator.layers.points.add([124, 45])
    annotator.set_sign(is_positive=False)  # what is drawn next lies beside the object
    annotator.layers.points.add([95, 45])
    annotator.set_sign(is_positive=True)
    print(f"accepted as object {annotator.accept()}")
    return annotator


if __name__ == "__main__":
    main(napari.Viewer())
    napari.run()
