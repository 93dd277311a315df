"""How the answer becomes the mask, and how it is shown: threshold, clean-up, overlap, views, masks as prompts."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QLabel,
    QPushButton,
    QSlider,
    QWidget,
)

from napari_segnext.widgets.layer_choice import LayerChoice
from napari_segnext.widgets.parts import AnnotationPanel, form_layout, row_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari.viewer

    from napari_segnext._types import Image, Mask
    from napari_segnext.annotator import Annotator

OVERLAPS = {
    "keep": "Pixels of other objects stay theirs.",
    "overwrite": "The new mask takes pixels of other objects, but not of locked ones.",
    "ask": "You are asked each time.",
}
_SIZES = {
    "min_component": (
        "Specks",
        "Parts of a smaller area are dropped, but not those you clicked on.",
    ),
    "smoothing": ("Smooth", "Bumps and bays of the outline below this radius are levelled."),
    "opening": ("Opening", "What is thinner than twice this radius is cut off (opening)."),
    "closing": ("Closing", "Gaps that are narrower than twice this radius are closed (closing)."),
}
_MASK_FILES = "Images (*.png *.tif *.tiff)"


class MaskPanel(AnnotationPanel):
    """Settings of the mask; all of them act at once on the mask that is shown, and can be undone.

    Parameters
    ----------
    viewer
        The napari viewer.
    do, parent
        As of `AnnotationPanel`.
    """

    def __init__(
        self, viewer: napari.viewer.Viewer, do: Callable[[Callable[[], object]], None], parent: QWidget
    ) -> None:
        super().__init__(do, parent)
        self._viewer = viewer
        self._build()
        self.setEnabled(False)

    def show_annotator(self, annotator: Annotator | None) -> None:
        """Act on this annotation; on none, nothing can be set."""
        if self._annotator is not None:
            self._annotator.draft_changed.disconnect(self._show_draft)
            self._annotator.history_changed.disconnect(self._show_draft)
        self._annotator = annotator
        self.setEnabled(annotator is not None)
        if annotator is not None:
            annotator.draft_changed.connect(self._show_draft)
            annotator.history_changed.connect(self._show_draft)
            annotator.overlap = self.overlap.currentText()
            self._fit_sizes(min(float(abs(side)) or 1.0 for side in annotator.layers.image.scale))
            self._on_view()
            self._show_draft()

    # building

    def _build(self) -> None:
        form = form_layout(left=4)
        self.setLayout(form)
        form.addRow("Threshold", self._build_threshold())
        self.fills_holes = QCheckBox("fill holes")
        self.fills_holes.setToolTip("Fill what the object encloses, unless you clicked there on the background.")
        self.keeps_prompted = QCheckBox("only parts with prompts")
        self.keeps_prompted.setToolTip("Drop the parts of the mask that no positive prompt lies on.")
        for box in (self.fills_holes, self.keeps_prompted):
            box.toggled.connect(self._on_cleanup)
        form.addRow("Clean-up", self.fills_holes)
        form.addRow("", self.keeps_prompted)
        self.sizes: dict[str, QDoubleSpinBox] = {}
        for name, (title, tooltip) in _SIZES.items():
            spin = QDoubleSpinBox()
            spin.setRange(0, 1e6 if name == "min_component" else 1000)
            spin.setDecimals(2)
            spin.setSpecialValueText("off")
            spin.setToolTip(f"{tooltip} In the units of the image: its pixels, if it has no scale.")
            spin.valueChanged.connect(self._on_cleanup)
            form.addRow(title, spin)
            self.sizes[name] = spin
        self.overlap = QComboBox()
        for row, (name, text) in enumerate(OVERLAPS.items()):
            self.overlap.addItem(name)
            self.overlap.setItemData(row, text, Qt.ItemDataRole.ToolTipRole)
        self.overlap.setToolTip("What becomes of pixels of other objects when a mask is accepted.")
        self.overlap.currentTextChanged.connect(self._on_overlap)
        form.addRow("Overlap", self.overlap)
        form.addRow("Show", self._build_views())
        form.addRow("Mask from", self._build_mask_row())

    def _build_threshold(self) -> QWidget:
        self.threshold = QSlider(Qt.Orientation.Horizontal)
        self.threshold.setRange(1, 99)
        self.threshold.setValue(50)
        self.threshold.setToolTip(
            "Probability above which a pixel belongs to the mask. Lower: larger mask. The model is not asked again."
        )
        self._threshold_text = QLabel("0.50")
        self.threshold.valueChanged.connect(self._on_threshold)
        return row_of(self.threshold, self._threshold_text)

    def _build_views(self) -> QWidget:
        self.contour = QCheckBox("outline")
        self.contour.setToolTip("Show the outline of the mask instead of its area.")
        self.probability = QCheckBox("probability")
        self.probability.setToolTip("Show how probable the model finds each pixel, in a layer of its own.")
        self.changes = QCheckBox("changes")
        self.changes.setChecked(True)
        self.changes.setToolTip("Show for a moment what an answer added to the mask (green) and what it took (red).")
        for box in (self.contour, self.probability, self.changes):
            box.toggled.connect(self._on_view)
        return row_of(self.contour, self.probability, self.changes)

    def _build_mask_row(self) -> QWidget:
        self.mask_layer = LayerChoice(
            self._viewer, lambda layer: isinstance(layer, Labels), prefers=lambda layer: False, parent=self
        )
        self.mask_layer.setToolTip("A labels layer; its selected label is given to the model as a mask to start from.")
        self.take_mask = QPushButton("Take")
        self.take_mask.setToolTip("Give the selected label of that layer, on this slice, as a mask to start from.")
        self.take_mask.clicked.connect(self._on_take_mask)
        self.load_mask = QPushButton("File…")
        self.load_mask.setToolTip("Give a mask from an image file: whatever is not 0.")
        self.load_mask.clicked.connect(self._on_load_mask)
        self.mask_layer.setMinimumContentsLength(4)
        self.take_mask.setEnabled(False)
        self.mask_layer.layer_changed.connect(lambda: self.take_mask.setEnabled(self.mask_layer.layer is not None))
        return row_of(self.mask_layer, self.take_mask, self.load_mask)

    # what the user does

    def _on_threshold(self, percent: int) -> None:
        self._threshold_text.setText(f"{percent / 100:.2f}")
        self._call(lambda one: setattr(one, "threshold", percent / 100))

    def _on_cleanup(self, *_: Any) -> None:
        values: dict[str, Any] = {name: spin.value() for name, spin in self.sizes.items()}
        values |= {"fills_holes": self.fills_holes.isChecked(), "keeps_prompted": self.keeps_prompted.isChecked()}
        self._call(lambda one: setattr(one, "cleanup", replace(one.cleanup, **values)))

    def _on_overlap(self, name: str) -> None:
        self._call(lambda one: setattr(one, "overlap", name))

    def _on_view(self, *_: Any) -> None:
        annotator = self._annotator
        if annotator is None:
            return
        annotator.layers.preview.contour = 2 if self.contour.isChecked() else 0
        annotator.shows_probability = self.probability.isChecked()
        annotator.highlights_changes = self.changes.isChecked()

    def _on_take_mask(self) -> None:
        layer = self.mask_layer.layer
        if layer is not None:
            self._call(lambda one: one.add_mask_from(layer))

    def _on_load_mask(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Mask", "", _MASK_FILES)
        if path:
            self.add_mask_file(path)

    def add_mask_file(self, path: str) -> None:
        """Give a mask from an image file as a prompt."""
        from napari_segnext.io import read_image

        def add(annotator: Annotator) -> None:
            annotator.add_mask(_inside(read_image(path)))

        self._call(add)

    # following the annotation

    def _fit_sizes(self, side: float) -> None:
        """Sizes from a hundredth of a pixel to what can be computed, whatever the unit; `side` is a pixel's."""
        from napari_segnext.session.cleanup import MAX_RADIUS_PX

        for name, spin in self.sizes.items():
            blocker = QSignalBlocker(spin)
            step, n_most = (side**2, 1_000_000) if name == "min_component" else (side, MAX_RADIUS_PX)
            spin.setDecimals(max(2, 2 - math.floor(math.log10(step))))
            spin.setSingleStep(step)
            spin.setRange(0, n_most * step)
            del blocker

    def refresh_layers(self) -> None:
        """Layers came, went or have another name."""
        self.mask_layer.refresh()

    def _show_draft(self) -> None:
        """Show the settings that are in force."""
        annotator = self._annotator
        if annotator is None:
            return
        draft = annotator.draft
        boxes = (self.fills_holes, self.keeps_prompted)
        blockers = [QSignalBlocker(widget) for widget in (self.threshold, *boxes, *self.sizes.values())]
        if round(draft.threshold * 100) != self.threshold.value():
            self.threshold.setValue(round(draft.threshold * 100))
        self._threshold_text.setText(f"{draft.threshold:.2f}")
        for box, name in zip(boxes, ("fills_holes", "keeps_prompted"), strict=True):
            box.setChecked(getattr(draft.cleanup, name))
        for name, spin in self.sizes.items():
            # it rounds to what it shows
            spin.setValue(getattr(draft.cleanup, name))
        del blockers


def _inside(pixels: Image) -> Mask:
    """`(H, W)` bool: what is not 0 in any channel, and not transparent."""
    if pixels.ndim == 2:
        return np.asarray(pixels != 0)
    # of four channels the last one is opacity
    return np.asarray((pixels[..., :3] != 0).any(axis=-1) & (pixels[..., 3:] != 0).all(axis=-1))
