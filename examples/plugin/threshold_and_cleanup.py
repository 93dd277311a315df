"""Cut the answer at another probability and clean it up; the model is not asked again.

python examples/plugin/threshold_and_cleanup.py
"""

from __future__ import annotations

from typing import Any

import napari
from napari.components import ViewerModel
from skimage import data

from napari_segnext import load_model
from napari_segnext.annotator import Annotator
from napari_segnext.session.cleanup import Cleanup


def main(viewer: Any = None) -> Annotator:
    """Without a viewer, everything is done in one that has no window."""
    viewer = ViewerModel() if viewer is None else viewer
    image = viewer.add_image(data.coins()[:160, :200], name="coins")
    annotator = Annotator(viewer, image, load_model("segnext-tiny"), zoom=False)

    annotator.layers.points.add([124, 45])
    print(f"threshold {annotator.threshold}: {annotator.mask.sum()} pixels")
    annotator.threshold = 0.6
    print(f"threshold {annotator.threshold}: {annotator.mask.sum()} pixels")
    annotator.cleanup = Cleanup(smoothing=2.0, fills_holes=True)  # lengths in the units of the image layer
    print(f"cleaned up: {annotator.mask.sum()} pixels")
    annotator.accept()
    print(f"for the next object both stay: {annotator.threshold}, {annotator.cleanup}")
    return annotator


if __name__ == "__main__":
    main(napari.Viewer())
    napari.run()
