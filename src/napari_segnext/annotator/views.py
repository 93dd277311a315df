"""What the user sees of the model's answer: the mask, for a moment what changed in it, and the probability."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.annotator.layers import probability_layer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext._types import Mask
    from napari_segnext.annotator.coordinates import ShownSlice
    from napari_segnext.annotator.layers import AnnotationLayers
    from napari_segnext.session import Prediction

MAX_GLIMPSED_PIXELS = 16_000_000
"""Of the largest plane of which glimpses are shown: each is written whole, on the viewer's thread."""

MASK, ADDED, REMOVED = 1, 2, 3
"""Values of the preview: the mask, what has just come to it, what has just gone."""


class AnswerViews:
    """Writes answers into the preview and, if wanted, into a layer of probabilities.

    Parameters
    ----------
    viewer, layers
        Where to.
    """

    def __init__(self, viewer: Any, layers: AnnotationLayers) -> None:
        self._viewer = viewer
        self._layers = layers
        self._probability: Any = None
        self._unsettled: set[ShownSlice] = set()
        # what was in the preview when a glimpse took its place
        self._before_glimpses: dict[ShownSlice, NDArray[Any]] = {}
        self.highlights_changes = False

    @property
    def shows_probability(self) -> bool:
        """Whether there is a layer of probabilities."""
        return self._probability is not None and self._probability in self._viewer.layers

    def show_probability_layer(self, *, is_shown: bool) -> None:
        """Add the layer of probabilities, or remove it; the selection of layers stays."""
        if is_shown == self.shows_probability:
            return
        active = self._viewer.layers.selection.active
        if is_shown:
            self._probability = probability_layer(self._layers.image)
            index = self._viewer.layers.index(self._layers.image) + 1
            self._viewer.layers.insert(index, self._probability)
        else:
            self._viewer.layers.remove(self._probability)
            self._probability = None
        self._viewer.layers.selection.active = active

    def show_mask(self, shown: ShownSlice, mask: Mask | None) -> bool:
        """Show a mask `(rows, columns)`, or none; whether something else was shown before."""
        now = np.asarray(self._layers.preview.data[shown.selector])
        old = self._before_glimpses.pop(shown, now)
        plane = np.zeros(shown.shape, now.dtype) if mask is None else mask.astype(now.dtype)
        if self.highlights_changes and mask is not None and old.any():
            was_inside = (old == MASK) | (old == ADDED)
            plane[mask & ~was_inside] = ADDED
            plane[was_inside & ~mask] = REMOVED
            self._unsettled.add(shown)
        return self._write(shown, plane)

    def show_glimpse(self, shown: ShownSlice, mask: Mask) -> None:
        """Show a mask until the next one comes; what that changes is told from what was shown before."""
        now = np.asarray(self._layers.preview.data[shown.selector])
        self._before_glimpses.setdefault(shown, now.copy())
        self._write(shown, mask.astype(now.dtype))

    def _write(self, shown: ShownSlice, plane: NDArray[Any]) -> bool:
        """Bring a plane into the preview, unless it is there already; whether it was not."""
        preview = self._layers.preview
        if np.array_equal(preview.data[shown.selector], plane):
            return False
        # written in place and not by data_setitem: the preview is not the user's to undo
        preview.data[shown.selector] = plane
        preview.refresh()
        return True

    def settle(self) -> None:
        """Show masks alone, no longer what changed in them."""
        preview = self._layers.preview
        for shown in self._unsettled:
            plane = np.asarray(preview.data[shown.selector])
            preview.data[shown.selector] = np.where((plane == MASK) | (plane == ADDED), MASK, 0)
        if self._unsettled:
            self._unsettled.clear()
            preview.refresh()

    def show_probability(self, shown: ShownSlice, prediction: Prediction | None) -> None:
        """Show how probable the model finds each pixel, if that is wanted."""
        if not self.shows_probability:
            return
        plane = _in_percent(prediction, shown)
        self._probability.data[shown.selector] = plane
        self._probability.refresh()

    def close(self) -> None:
        """Remove the preview and the layer of probabilities."""
        if self.shows_probability:
            self._viewer.layers.remove(self._probability)
        if self._layers.preview in self._viewer.layers:
            self._viewer.layers.remove(self._layers.preview)


def _in_percent(prediction: Prediction | None, shown: ShownSlice) -> NDArray[np.uint8]:
    if prediction is None:
        return np.zeros(shown.shape, np.uint8)
    return np.round(prediction.probability * 100).astype(np.uint8)
