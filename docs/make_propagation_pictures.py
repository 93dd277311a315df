"""Makes docs/images/propagation_*.png: panel and review strip in the real program, in both themes, with real clicks.

xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_propagation_pictures.py
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from picture_hand import click, wait_for

FOLDER = Path(__file__).parent / "images"
SIZE = (1500, 940)


def cells() -> np.ndarray:
    """`(24, 200, 260)` uint8: three cells that drift, one of them fading, in noise that was smoothed a little."""
    from scipy import ndimage

    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[:200, :260]
    volume = np.empty((24, 200, 260), np.uint8)
    for z in range(24):
        plane = 60 + ndimage.gaussian_filter(rng.normal(0, 30, rows.shape), 1.2)
        for row, column, drift, radius, light, (first, last) in (
            (60, 60, 1.2, 26, 110, (2, 20)),
            (130, 110, -1.5, 32, 90, (0, 23)),
            (80, 195, 0.8, 22, 100 - 4.2 * abs(z - 9), (3, 18)),
        ):
            if first <= z <= last:
                shrunk = radius * np.sqrt(max(0.05, 1 - ((z - (first + last) / 2) / (last - first) * 1.6) ** 2))
                edge = np.hypot(rows - row - drift * z, (columns - column) * 0.85 - drift * z / 2) - shrunk
                plane += light / (1 + np.exp(edge / 1.5))
        volume[z] = plane.clip(0, 255)
    return volume


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        # before napari is imported: nothing of the user's is shown or changed
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        os.environ["NAPARI_SEGNEXT_HOME"] = str(Path(folder) / "napari-segnext")
        picture()


def picture() -> None:
    import napari
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QScrollArea

    from napari_segnext.widgets import AnnotatorWidget

    viewer = napari.Viewer(show=True)
    viewer.window.resize(*SIZE)
    viewer.add_image(cells(), name="Cells")
    widget = AnnotatorWidget(viewer)
    viewer.window.add_dock_widget(widget, name="SegNext annotator", area="right")
    QTest.qWait(500)
    viewer.reset_view()
    widget.start()
    wait_for(lambda: widget.annotator is not None and not widget.annotator.is_busy)
    annotator = widget.annotator
    for label, places in (
        (1, ((6, 67, 62), (16, 79, 72))),
        (2, ((11, 113, 100),)),
        (3, ((9, 87, 200),)),
    ):
        for place in places:
            viewer.dims.set_current_step(0, place[0])
            QTest.qWait(100)
            if label in annotator.objects:
                annotator.continue_object(label)
            click(viewer, place[1:])
            wait_for(lambda: annotator.mask is not None and not annotator.is_busy)
            annotator.accept(label)
    panel = widget._propagate_panel
    open_only("Propagate", widget)
    panel.propagate_button.click()
    wait_for(lambda: not annotator.propagation.is_running)
    annotator.rename(1, "left")
    viewer.dims.set_current_step(0, 14)
    QTest.qWait(100)
    annotator.accept_slice(2)
    viewer.dims.set_current_step(0, 4)
    annotator.layers.output.brush_size = 6
    annotator.layers.output.paint((4, 62, 90), 1)
    annotator.next_doubtful()
    QTest.qWait(300)
    area = widget.findChild(QScrollArea)
    area.verticalScrollBar().setValue(area.verticalScrollBar().maximum())
    FOLDER.mkdir(exist_ok=True)
    for theme in ("dark", "light"):
        viewer.theme = theme
        QTest.qWait(700)
        viewer.screenshot(FOLDER / f"propagation_{theme}.png", canvas_only=False, flash=False)
    viewer.close()


def open_only(title: str, widget) -> None:
    """Unfold one section and fold the others."""
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QToolButton

    for button in widget.findChildren(QToolButton):
        if button.isCheckable():
            button.setChecked(button.text() == title)
    QTest.qWait(200)


if __name__ == "__main__":
    main()
