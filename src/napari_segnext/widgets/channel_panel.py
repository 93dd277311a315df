"""Which channels the model sees: the image as it is, or up to three of it and of other images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QSignalBlocker, QTimer
from qtpy.QtWidgets import QCheckBox, QComboBox, QWidget

from napari_segnext.annotator.coordinates import finest_level
from napari_segnext.annotator.layers import has_grid_of, is_view
from napari_segnext.annotator.model_input import Channel, ModelInput
from napari_segnext.widgets.parts import AnnotationPanel, form_layout

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari.viewer

    from napari_segnext.annotator import Annotator

MAX_OFFERED = 8
"""Planes along an axis that are offered as channels; longer axes are no channels."""

FOLLOW_AFTER_MS = 500
"""Rest after the last move of a contrast slider before the image is encoded anew."""

_AS_IT_IS = "the image, as it is"
_NOTHING = "nothing"
_COLOURS = ("Red", "Green", "Blue")


class ChannelPanel(AnnotationPanel):
    """Pickers for the three channels of what the model sees.

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
        self._offered: list[Channel] = []
        self._followed: list[Any] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(FOLLOW_AFTER_MS)
        self._timer.timeout.connect(self._apply)
        self._build()
        self.setEnabled(False)

    def show_annotator(self, annotator: Annotator | None) -> None:
        """Act on this annotation; on none, nothing can be picked."""
        self._annotator = annotator
        self.setEnabled(annotator is not None)
        self._unfollow()
        self.refresh_layers()

    def refresh_layers(self) -> None:
        """Layers came, went or have another name: offer those that fit; picks stay."""
        before = [self._picked(picker) for picker in self.pickers]
        self._offered = self._channels()
        for number, (picker, picked) in enumerate(zip(self.pickers, before, strict=True)):
            blocker = QSignalBlocker(picker)
            picker.clear()
            picker.addItem(_AS_IT_IS if number == 0 else _NOTHING)
            picker.addItems([_name_of(channel) for channel in self._offered])
            picker.setCurrentIndex(self._offered.index(picked) + 1 if picked in self._offered else 0)
            del blocker
        if any(picked is not None and picked not in self._offered for picked in before):
            self._apply()

    def _build(self) -> None:
        self.pickers: list[QComboBox] = []
        form = form_layout(left=4)
        self.setLayout(form)
        for colour in _COLOURS:
            picker = QComboBox()
            picker.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            picker.setMinimumContentsLength(8)
            picker.setToolTip(f"What the model sees as {colour.lower()}: a grey image, or one channel of a stack.")
            picker.currentIndexChanged.connect(self._apply)
            form.addRow(colour, picker)
            self.pickers.append(picker)
        self.as_shown = QCheckBox("contrast and gamma as shown")
        self.as_shown.setToolTip(
            "Let the model see the image with the contrast limits and gamma of its layer; otherwise the range is found "
            "by itself."
        )
        self.as_shown.toggled.connect(self._apply)
        form.addRow("", self.as_shown)

    def _channels(self) -> list[Channel]:
        """All channels that fit the image."""
        annotator = self._annotator
        if annotator is None:
            return []
        image = annotator.layers.image
        fitting = [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Image) and not layer.rgb and has_grid_of(layer, image)
            if not is_view(layer)
        ]
        channels = [Channel(layer) for layer in fitting]
        for layer in fitting:
            shape = finest_level(layer).shape[: layer.ndim - 2]
            for axis, n_planes in enumerate(shape):
                if 1 < n_planes <= MAX_OFFERED:
                    channels += [Channel(layer, axis, index) for index in range(n_planes)]
        return channels

    def _picked(self, picker: QComboBox) -> Channel | None:
        place = picker.currentIndex() - 1
        return self._offered[place] if 0 <= place < len(self._offered) else None

    def _apply(self, *_: Any) -> None:
        annotator = self._annotator
        if annotator is None:
            return
        image = annotator.layers.image
        first, *others = (self._picked(picker) for picker in self.pickers)
        channels = [first or Channel(image), *(channel for channel in others if channel is not None)]
        if self.as_shown.isChecked() and not image.rgb:
            channels = [Channel.as_shown(one.layer, axis=one.axis, index=one.index) for one in channels]
        self._follow([channel.layer for channel in channels] if self.as_shown.isChecked() else [])

        def change() -> None:
            annotator.model_input = ModelInput(tuple(channels))

        self._do(change)

    def _follow(self, layers: list[Any]) -> None:
        """Encode anew when the contrast of these layers changes."""
        self._unfollow()
        self._followed = list(dict.fromkeys(layers))
        for layer in self._followed:
            layer.events.contrast_limits.connect(self._on_contrast)
            layer.events.gamma.connect(self._on_contrast)

    def _unfollow(self) -> None:
        for layer in self._followed:
            layer.events.contrast_limits.disconnect(self._on_contrast)
            layer.events.gamma.disconnect(self._on_contrast)
        self._followed = []

    def _on_contrast(self, _: Any = None) -> None:
        self._timer.start()


def _name_of(channel: Channel) -> str:
    name = str(channel.layer.name)
    return name if channel.axis is None else f"{name}, {channel.index} along axis {channel.axis}"
