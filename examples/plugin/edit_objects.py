"""Rename, classify, lock, merge, relabel and delete objects.

python examples/plugin/edit_objects.py
"""

from __future__ import annotations

from typing import Any

import napari
from napari.components import ViewerModel
from skimage import data

from napari_segnext import load_model
from napari_segnext.annotator import Annotator, LockedLabelError


def main(viewer: Any = None) -> Annotator:
    """Without a viewer, everything is done in one that has no window."""
    viewer = ViewerModel() if viewer is None else viewer
    image = viewer.add_image(data.coins()[:160, :200], name="coins")
    annotator = Annotator(viewer, image, load_model("segnext-tiny"), zoom=False)

    for place in ([54, 44], [56, 100], [124, 45]):
        annotator.layers.points.add(place)
        annotator.accept()

    annotator.rename(1, "the worn one")
    annotator.classify(1, 2, 3, class_name="coin")
    annotator.merge(2, 3)  # under the label of the first
    annotator.relabel(2, 20)
    annotator.lock(1)
    try:
        annotator.delete(1)
    except LockedLabelError as error:
        print(error)
    annotator.lock(1, is_locked=False)
    annotator.delete(20)
    annotator.undo()  # everything here can be taken back
    for record in annotator.objects:
        print(record.label, record.name, record.class_name, f"{record.n_prompts} prompts")
    return annotator


if __name__ == "__main__":
    main(napari.Viewer())
    napari.run()
