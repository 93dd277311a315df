"""Decide what becomes of pixels that belong to another object: they stay, they are taken, or you are asked.

python examples/plugin/overlap.py
"""

from __future__ import annotations

from typing import Any

import napari
import numpy as np
from napari.components import ViewerModel
from skimage import data

from napari_segnext import load_model
from napari_segnext.annotator import Annotator, NothingToAcceptError


def main(viewer: Any = None) -> Annotator:
    """Without a viewer, everything is done in one that has no window."""
    viewer = ViewerModel() if viewer is None else viewer
    image = viewer.add_image(data.coins()[:160, :200], name="coins")
    annotator = Annotator(viewer, image, load_model("segnext-tiny"), zoom=False)

    def ask(others: tuple[int, ...]) -> str:
        print(f"asked about object {others}")
        return "keep"  # or "overwrite" or "cancel"

    annotator.layers.points.add([124, 45])
    annotator.accept()

    annotator.layers.points.add([124, 45])  # the same coin once more
    annotator.overlap = "ask"
    annotator.ask_overlap = ask
    try:
        annotator.accept()
    except NothingToAcceptError as error:
        print(error)

    annotator.overlap = "overwrite"  # "keep" to begin with
    annotator.accept()
    print(f"labels now: {np.unique(annotator.layers.output.data)}")
    return annotator


if __name__ == "__main__":
    main(napari.Viewer())
    napari.run()
