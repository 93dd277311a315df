"""Measure objects in micrometres: hover over them in napari to read it, and write a CSV file.

Writes objects.csv into the current folder.

python examples/plugin/measure.py
"""

from __future__ import annotations

from typing import Any

import napari
from napari.components import ViewerModel
from skimage import data

from napari_segnext import load_model
from napari_segnext.annotator import Annotator
from napari_segnext.annotator.object_properties import measure_objects, to_features, write_csv


def main(viewer: Any = None) -> Annotator:
    """Without a viewer, everything is done in one that has no window."""
    viewer = ViewerModel() if viewer is None else viewer
    image = viewer.add_image(data.coins()[:160, :200], name="coins", scale=(0.5, 0.5), units="um")
    annotator = Annotator(viewer, image, load_model("segnext-tiny"), zoom=False)
    for place in ([54, 44], [124, 45]):
        annotator.layers.points.add(place)
        annotator.accept()

    labels = annotator.layers.output
    objects = measure_objects(labels.data, image=image.data, spacing=labels.scale, unit="um")
    labels.features = to_features(objects)
    write_csv(objects, "objects.csv")
    for one in objects:
        print(f"object {one.label}: {one.size:.1f} µm², mean intensity {one.mean_intensities[0]:.1f}")
    return annotator


if __name__ == "__main__":
    main(napari.Viewer())
    napari.run()
