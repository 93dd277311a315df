"""Depth and order map of the slice that is shown, as two layers of the viewer that nobody draws on.

Each holds one plane, which stands on every slice of the image's grid and is emptied when another slice is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from napari.utils import Colormap
from napari.utils.colormaps import ensure_colormap
from psygnal import Signal

from napari_segnext.annotator.layers import placed_on
from napari_segnext.annotator.levels import level_shapes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext.annotator.answers import Answer
    from napari_segnext.annotator.coordinates import ShownSlice
    from napari_segnext.annotator.layers import AnnotationLayers
    from napari_segnext.prompts import Prompt

ROLES = ("depth", "order")

Subject = tuple["ShownSlice", tuple["Prompt", ...] | None]
"""What a plane is about: a slice and, of an order map, prompts; None where it is out of date."""


class DepthLayers:
    """The two layers, where they are wanted. All methods belong to the viewer's thread.

    Parameters
    ----------
    viewer, layers
        Where to.
    """

    changed = Signal()
    """Somebody removed one of them from the viewer."""

    def __init__(self, viewer: Any, layers: AnnotationLayers) -> None:
        self._viewer = viewer
        self._image = layers.image
        self._layers: dict[str, Any] = {}
        self._about: dict[str, Subject] = {}
        self._is_empty: dict[str, bool] = {}
        viewer.layers.events.removed.connect(self._on_removed)

    def shows(self, role: str) -> bool:
        """Whether the layer is there."""
        return role in self._layers

    def set_shown(self, role: str, *, is_shown: bool) -> None:
        """Add a layer just above the image, order above depth, or remove it; the selection of layers stays."""
        if is_shown == self.shows(role):
            return
        active = self._viewer.layers.selection.active
        if is_shown:
            layer = self._layers[role] = _layer_of(self._image, role)
            self._is_empty[role] = True
            below = self._layers.get("depth", self._image) if role == "order" else self._image
            self._viewer.layers.insert(self._viewer.layers.index(below) + 1, layer)
        else:
            self._viewer.layers.remove(self._forget_layer(role))
        self._viewer.layers.selection.active = active

    def wanted(self, shown: ShownSlice, prompts: tuple[Prompt, ...]) -> frozenset[str]:
        """Which maps have to be computed; what is shown of another slice, or without prompts, is emptied."""
        missing = set()
        for role in self._layers:
            about = self._about.get(role)
            if about is not None and about[0] != shown:
                self._show(role, shown, None)
            if role == "order" and not prompts:
                self._show(role, shown, None)
                self._about.pop(role, None)
            elif about != _subject(role, shown, prompts):
                missing.add(role)
        return frozenset(missing)

    def take_in(self, answer: Answer) -> None:
        """Show the maps of an answer."""
        request = answer.request
        for role, plane in answer.maps.items():
            if role in self._layers:
                self._about[role] = _subject(role, request.shown, request.prompts)
                self._show(role, request.shown, plane)

    def void(self) -> None:
        """What is shown was computed from something else; it stays until there is something new."""
        self._about = {role: (shown, None) for role, (shown, _) in self._about.items()}

    def close(self) -> None:
        """Remove the layers."""
        for role in ROLES:
            self.set_shown(role, is_shown=False)
        self._viewer.layers.events.removed.disconnect(self._on_removed)

    def _show(self, role: str, shown: ShownSlice, plane: NDArray[np.float32] | None) -> None:
        """Put a plane on all slices, without a copy of it; None for nothing."""
        if plane is None:
            if self._is_empty[role]:
                return
            plane = np.broadcast_to(np.float32(np.nan), shown.shape)
            self._is_empty[role] = True
        else:
            self._is_empty[role] = False
        layer = self._layers[role]
        layer.data = np.broadcast_to(np.expand_dims(plane, shown.other_axes), layer.data.shape)

    def _forget_layer(self, role: str) -> Any:
        self._about.pop(role, None)
        self._is_empty.pop(role, None)
        return self._layers.pop(role)

    def _on_removed(self, event: Any) -> None:
        for role in ROLES:
            if self._layers.get(role) is event.value:
                self._forget_layer(role)
                self.changed.emit()


def _layer_of(image: Any, role: str) -> Image:
    """A new layer for a map of one slice, from 0 to 1, on the image's grid; it shows nothing yet.

    Parameters
    ----------
    image
        Whose grid.
    role
        "depth", where nearer is brighter, or "order", where what lies at the depth of the clicks is brightest.
    """
    colours = ensure_colormap("viridis" if role == "depth" else "magma").colors
    return Image(
        np.broadcast_to(np.float32(np.nan), level_shapes(image)[0]),
        rgb=False,
        contrast_limits=(0, 1),
        colormap=Colormap(colours if role == "depth" else colours[::-1], name=f"SegNext {role}"),
        blending="translucent",
        opacity=0.7,
        **placed_on(image, role),
    )


def _subject(role: str, shown: ShownSlice, prompts: tuple[Prompt, ...]) -> Subject:
    return shown, (prompts if role == "order" else ())
