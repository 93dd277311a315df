"""Makes docs/images/depth.png: OIS on a drawn scene, with a depth layer and the order map of one real click.

xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_depth_picture.py [weights]

`weights` is a name or a file of an OIS model, by default ois-tiny.
"""

from __future__ import annotations

import sys
from pathlib import Path

import napari
import numpy as np
from picture_hand import click, wait_for
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QScrollArea, QToolButton
from scipy.ndimage import distance_transform_edt

from napari_segnext.datasets.layered import make_layered_scene
from napari_segnext.widgets import AnnotatorWidget

FOLDER = Path(__file__).parent / "images"
SEED, LABEL = 910, 3
"""Of the scene, and of the object that is clicked on."""


def main(weights: str) -> None:
    scene = make_layered_scene(SEED)
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1400, 900)
    viewer.add_image(scene.depth, name="Depth of the scene", visible=False)
    viewer.add_image(scene.image, name="Layered scene")
    widget = AnnotatorWidget(viewer)
    widget.models.add_file(weights)
    viewer.window.add_dock_widget(widget, name="SegNext annotator", area="right")
    QTest.qWait(500)
    viewer.reset_view()
    widget.start()
    wait_for(lambda: widget.annotator is not None and not widget.annotator.is_busy)

    show_depth(viewer, widget)
    inside = distance_transform_edt(scene.labels == LABEL)
    place = np.unravel_index(inside.argmax(), inside.shape)
    click(viewer, (float(place[0]), float(place[1])))
    wait_for(lambda: widget.annotator.mask is not None and not widget.annotator.is_busy)
    QTest.qWait(1000)
    FOLDER.mkdir(exist_ok=True)
    viewer.screenshot(FOLDER / "depth.png", canvas_only=False, flash=False)
    viewer.close()


def show_depth(viewer: napari.Viewer, widget: AnnotatorWidget) -> None:
    """Unfold the section Depth, take the layer as depth, and show the order map."""
    for button in widget.findChildren(QToolButton):
        if button.text() in ("Depth", "List of objects"):
            button.click()
    section = widget._depth_section
    section.source.pick(viewer.layers["Depth of the scene"])
    section.shows_order.setChecked(True)
    QTest.qWait(300)
    widget.findChild(QScrollArea).ensureWidgetVisible(section)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "ois-tiny")
