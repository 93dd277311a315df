"""Makes docs/images/annotator.png: the real program, the bundled model, real mouse clicks.

xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_pictures.py
"""

from __future__ import annotations

from pathlib import Path

import napari
import skimage.data
from picture_hand import click, wait_for
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


if __name__ == "__main__":
    main()
