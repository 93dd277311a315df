"""A picker of the level of a multiscale image to work at."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QComboBox, QFormLayout

from napari_segnext.annotator.levels import level_shapes


class LevelChoice(QComboBox):  # type: ignore[misc]
    """Levels of the image that is picked, finest first; without a row in the form while there is only one.

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
            "A coarser one becomes an image layer of its own, in the same place; the labels have its pixels."
        )
        form.addRow("Level", self)
        self._title = form.labelForField(self)
        self.show_image(None)

    @property
    def level(self) -> int:
        """The level that is picked, 0 if there is no choice."""
        return max(0, int(self.currentIndex()))

    def show_image(self, image: Any) -> None:
        """Offer the levels of an image layer, or nothing for None; the pick stays while the image does."""
        if image is not None and image == self._image:
            return
        self._image = image
        shapes = level_shapes(image) if image is not None else ()
        self.clear()
        self.addItems([f"{level}: {' × '.join(str(n) for n in shape)}" for level, shape in enumerate(shapes)])
        for widget in (self, self._title):
            widget.setVisible(len(shapes) > 1)
