"""Run by a test as a process of its own, which is then killed: the widget in a real viewer, with work going on.

Argument: a folder. When everything is done and saved, the labels are written there and "ready" is written out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import napari
import numpy as np
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_segnext.annotator.annotation import read_annotation
from napari_segnext.session.cleanup import Cleanup
from napari_segnext.widgets import AnnotatorWidget
from tests.conftest import FakeModel

STACK = np.random.default_rng(7).integers(0, 255, (3, 80, 100), dtype=np.uint8)
"""The image, the same in both processes."""

INTERVAL_MS = 200


def wait_until(condition) -> None:
    for _ in range(600):
        QApplication.processEvents()
        if condition():
            return
        QTest.qWait(50)
    raise TimeoutError


def main(folder: Path) -> None:
    viewer = napari.Viewer()
    viewer.add_image(STACK, name="cells")
    viewer.dims.set_current_step(0, 1)
    widget = AnnotatorWidget(viewer, load_model=lambda name, device: FakeModel())
    viewer.window.add_dock_widget(widget)
    widget.start()
    wait_until(lambda: widget.annotator is not None and not widget.annotator.is_busy)
    annotator, points = widget.annotator, widget.annotator.layers.points
    for place in ((1, 20, 30), (1, 50, 60)):
        points.add(place)
        wait_until(lambda: annotator.mask is not None)
        annotator.accept()
        wait_until(lambda: not annotator.is_busy)
    annotator.rename(1, "first")
    annotator.classify(2, class_name="cell")
    annotator.lock(1)
    annotator.layers.output.data_setitem((np.array([1]), np.array([70]), np.array([90])), 2)
    annotator.threshold = 0.3
    points.add((1, 10, 80))
    wait_until(lambda: annotator.mask is not None)
    annotator.cleanup = Cleanup(fills_holes=True)
    viewer.dims.set_current_step(0, 2)
    points.add((2, 40, 40))
    points.add((2, 40, 44))
    wait_until(lambda: annotator.mask is not None and len(annotator.prompts) == 2)
    # nobody asks for a save: it is time for one now and then
    widget._resume_bar._timer.start(INTERVAL_MS)
    kept = widget._resume_bar.folder
    wait_until(lambda: (found := read_annotation(kept)) is not None and len(found.prompts.drafts) == 2)
    np.save(folder / "labels.npy", annotator.layers.output.data)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        QTest.qWait(1000)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
