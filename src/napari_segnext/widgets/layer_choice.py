"""A combo box of the viewer's layers that keeps itself up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable


class LayerChoice(QComboBox):  # type: ignore[misc]
    """Pick a layer.

    Parameters
    ----------
    viewer
        Whose layers are offered.
    accepts
        Which of them.
    none_text
        First entry, which stands for no layer; no such entry if empty.
    prefers
        Which layer is picked where the user has not picked one; none if it accepts none.
    """

    layer_changed = Signal()
    """Another layer is picked, by the user or because the one picked has gone."""

    def __init__(
        self,
        viewer: Any,
        accepts: Callable[[Any], bool],
        *,
        none_text: str = "",
        prefers: Callable[[Any], bool] = lambda layer: True,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._accepts = accepts
        self._prefers = prefers
        self._none_text = none_text
        self._layers: list[Any] = []
        self._picked: Any = None
        self._is_picked_by_hand = False
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(10)
        self.activated.connect(self._on_activated)
        self.currentIndexChanged.connect(self._on_index_changed)
        self.refresh()

    @property
    def layer(self) -> Any:
        """The layer that is picked, or None."""
        return self._picked

    def pick(self, layer: Any) -> None:
        """Pick a layer that is offered."""
        self._is_picked_by_hand = True
        self.setCurrentIndex(self._layers.index(layer))

    def forget_pick(self) -> None:
        """Pick what is preferred, whatever the user had picked."""
        self._is_picked_by_hand = False
        self._picked = None
        self.refresh()

    def refresh(self, *_: object) -> None:
        """Offer the layers that there are now; the pick stays if it is still among them."""
        offered = [layer for layer in reversed(self._viewer.layers) if self._accepts(layer)]
        self._layers = [None, *offered] if self._none_text else offered
        target = self._picked if self._is_picked_by_hand and self._picked in self._layers else self._preferred()
        self.blockSignals(True)
        self.clear()
        self.addItems([self._none_text if layer is None else layer.name for layer in self._layers])
        self.setCurrentIndex(self._layers.index(target) if target in self._layers else -1)
        self.blockSignals(False)
        self._set_picked(target)

    def _preferred(self) -> Any:
        """The pick that nobody made: the present one, else the uppermost that is preferred."""
        preferred = [layer for layer in self._layers if layer is not None and self._prefers(layer)]
        if self._picked in preferred:
            return self._picked
        return preferred[0] if preferred else None

    def _on_activated(self, _: int) -> None:
        self._is_picked_by_hand = True

    def _on_index_changed(self, index: int) -> None:
        self._set_picked(self._layers[index] if 0 <= index < len(self._layers) else None)

    def _set_picked(self, layer: Any) -> None:
        if layer != self._picked:
            self._picked = layer
            self.layer_changed.emit()
