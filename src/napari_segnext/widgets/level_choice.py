"""A picker of the level of a multiscale image to work at."""

from __future__ import annotations

from typing import Any, Literal

from qtpy.QtWidgets import QComboBox, QFormLayout

from napari_segnext.annotator.levels import IN_VIEW, level_shapes
from napari_segnext.annotator.regions import MAX_REGION_PX


class LevelChoice(QComboBox):  # type: ignore[misc]
    """Levels of the image that is picked, finest first, and what is in view; no row for a small image of one level.

    Parameters
    ----------
    form
        The form that shows it, under the title "Level".
    """

    def __init__(self, form: QFormLayout) -> None:
        super().__init__()
        self._image: Any = None
        self.setToolTip(
            "Which resolution of the image to work at; 0 is the finest.\n"
            "A coarser one becomes an image layer of its own, in the same place; the labels have its pixels.\n"
            "'What is in view' does so with what you see now, at the level that fits: for images of any size."
        )
        form.addRow("Level", self)
        self._title = form.labelForField(self)
        self.show_image(None)

    @property
    def level(self) -> int | Literal["in view"]:
        """The level that is picked, 0 if there is no choice."""
        if self.currentData() == IN_VIEW:
            return IN_VIEW
        return max(0, int(self.currentIndex()))

    def show_image(self, image: Any) -> None:
        """Offer the levels of an image layer, or nothing for None; the pick stays while the image does."""
        if image is not None and image == self._image:
            return
        self._image = image
        shapes = level_shapes(image) if image is not None else ()
        self.clear()
        self.addItems([f"{level}: {' × '.join(str(n) for n in shape)}" for level, shape in enumerate(shapes)])
        is_large = bool(shapes) and max(shapes[0]) > MAX_REGION_PX
        if is_large:
            self.addItem("what is in view", IN_VIEW)
        for widget in (self, self._title):
            widget.setVisible(len(shapes) > 1 or is_large)
