"""Makes docs/images/annotator.png: the real program, the bundled model, real mouse clicks.

xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_pictures.py
"""

from __future__ import annotations

from pathlib import Path

import napari
import skimage.data
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_segnext.widgets import AnnotatorWidget

FOLDER = Path(__file__).parent / "images"
COINS_YX = ((124, 45), (126, 103), (127, 154), (122, 206))
"""Clicked one after another, each accepted but the last."""


def main() -> None:
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1400, 900)
    viewer.add_image(skimage.data.coins(), name="Coins")
    widget = AnnotatorWidget(viewer)
    viewer.window.add_dock_widget(widget, name="SegNext annotator", area="right")
    QTest.qWait(500)
    viewer.reset_view()
    widget.start()
    wait_for(lambda: widget.annotator is not None and not widget.annotator.is_busy)

    for number, place in enumerate(COINS_YX):
        click(viewer, place)
        wait_for(lambda: widget.annotator.mask is not None and not widget.annotator.is_busy)
        if number < len(COINS_YX) - 1:
            widget.annotator.accept()

    QTest.qWait(500)
    FOLDER.mkdir(exist_ok=True)
    viewer.screenshot(FOLDER / "annotator.png", canvas_only=False, flash=False)
    viewer.close()


def click(viewer: napari.Viewer, place_yx: tuple[float, float]) -> None:
    canvas = viewer.window._qt_viewer.canvas
    x, y = canvas.view.scene.transform.map([place_yx[1], place_yx[0]])[:2]
    point = QPoint(round(x), round(y))
    QTest.mouseMove(canvas.native, point)
    QTest.mouseClick(canvas.native, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, point)
    QTest.qWait(200)


def wait_for(condition, timeout_ms: int = 120_000) -> None:
    for _ in range(timeout_ms // 50):
        if condition():
            return
        QTest.qWait(50)
    raise TimeoutError("the program did not answer")


if __name__ == "__main__":
    main()
