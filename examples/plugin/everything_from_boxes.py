"""Segment everything in rectangles of a shapes layer, and go on with the result in the annotator.

python examples/plugin/everything_from_boxes.py
"""

from __future__ import annotations

from typing import Any

import napari
import numpy as np
from napari.components import ViewerModel
from skimage import data

from napari_segnext import load_model, segment_everything
from napari_segnext.annotator import Annotator, SliceFrame
from napari_segnext.annotator.everything_layers import boxes_on_slice, new_objects_layer


def main(viewer: Any = None) -> Annotator:
    """Without a viewer, everything is done in one that has no window."""
    viewer = ViewerModel() if viewer is None else viewer
    image = viewer.add_image(data.coins()[:160, :200], name="coins")
    rectangles = [np.array([(34, 22), (75, 67)]), np.array([(28, 131), (75, 180)])]  # opposite corners
    shapes = viewer.add_shapes(rectangles, shape_type="rectangle", face_color="transparent", edge_color="yellow")

    model = load_model("segnext-tiny")
    frame = SliceFrame.of(viewer, image)  # the slice that the viewer shows
    result = segment_everything(model, image.data, boxes=boxes_on_slice(shapes, frame))
    labels = viewer.add_layer(new_objects_layer(image, frame.shown, result.labels))
    print(f"{len(result.objects)} objects in the layer '{labels.name}'")

    annotator = Annotator(viewer, image, model, output=labels)
    annotator.reopen(1)  # it goes to the model as a mask
    annotator.layers.points.add([54, 44])
    annotator.accept()
    return annotator


if __name__ == "__main__":
    main(napari.Viewer())
    napari.run()
