"""Save an annotation with unfinished work, and go on with it in another viewer.

Writes a folder coins_annotation into the current one.

python examples/plugin/save_and_restore.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari
from napari.components import ViewerModel
from skimage import data

from napari_segnext import load_model
from napari_segnext.annotator import Annotator
from napari_segnext.annotator.annotation import read_annotation, write_annotation


def main(viewer: Any = None) -> Annotator:
    """Without a viewer, everything is done in one that has no window."""
    model = load_model("segnext-tiny")
    coins = data.coins()[:160, :200]

    first_viewer = ViewerModel()
    first = Annotator(first_viewer, first_viewer.add_image(coins, name="coins"), model, zoom=False)
    first.layers.points.add([54, 44])
    first.accept()
    first.rename(1, "coin")
    first.layers.points.add([124, 45])  # not accepted
    write_annotation(Path("coins_annotation"), first.snapshot())

    viewer = ViewerModel() if viewer is None else viewer
    annotator = Annotator(viewer, viewer.add_image(coins, name="coins"), model, zoom=False)
    annotator.restore(read_annotation(Path("coins_annotation")))
    print(f"objects: {[record.name for record in annotator.objects]}, prompts: {annotator.prompts.items}")
    annotator.accept()
    return annotator


if __name__ == "__main__":
    main(napari.Viewer())
    napari.run()
