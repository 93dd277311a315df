"""One history over all slices of a stack: undo takes back the last change, wherever it was made.

python examples/plugin/undo_and_redo.py
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
    coins = data.coins()[:160, :200]
    image = viewer.add_image(np.stack([coins, coins[::-1]]), name="stack")
    annotator = Annotator(viewer, image, load_model("segnext-tiny"), zoom=False)

    viewer.dims.set_point(0, 0)
    annotator.layers.points.add([0, 54, 44])  # (slice, row, column)
    annotator.accept()
    annotator.rename(1, "coin")
    viewer.dims.set_point(0, 1)
    annotator.layers.points.add([1, 105, 44])
    annotator.accept()

    while annotator.can_undo:
        print(f"slice {viewer.dims.current_step[0]}; undo would take back: {annotator.undo_text}")
        annotator.undo()
    print(f"nothing is left: {annotator.layers.output.data.max()}")
    while annotator.redo():
        pass
    print(f"objects after redo: {[record.label for record in annotator.objects]}")
    return annotator


if __name__ == "__main__":
    main(napari.Viewer())
    napari.run()
