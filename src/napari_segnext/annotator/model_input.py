"""Which pixels the model sees: the image as it is, or one to three channels of it and of other images.

Channels are stretched here, each between its own limits, so that the model sees them as the user does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_segnext.annotator.coordinates import finest_level
from napari_segnext.annotator.errors import LayerMismatchError
from napari_segnext.annotator.layers import has_grid_of
from napari_segnext.prompts import ChannelReference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_segnext._types import Image
    from napari_segnext.annotator.coordinates import ShownSlice
    from napari_segnext.annotator.slice_line import SliceLine
    from napari_segnext.session import SeenChannel, SeenPlanes

MAX_CHANNELS = 3


@dataclass(frozen=True)
class Channel:
    """One channel of what the model sees.

    Attributes
    ----------
    layer
        A grey image layer on the grid of the annotated one.
    axis, index
        An axis of its array along which channels lie, and which one of them is taken; None for the plane that is shown.
    contrast_limits
        Values that become black and white; None for the 0.1st and 99.9th percentile of the plane (uint8 as it is).
    gamma
        Exponent of the brightness between black and white.
    """

    layer: Any
    axis: int | None = None
    index: int = 0
    contrast_limits: tuple[float, float] | None = None
    gamma: float = 1.0

    @classmethod
    def as_shown(cls, layer: Any, *, axis: int | None = None, index: int = 0) -> Channel:
        """The channel with the contrast limits and gamma that its layer has now."""
        low, high = layer.contrast_limits
        return cls(layer, axis, index, (float(low), float(high)), float(layer.gamma))

    @property
    def is_plain(self) -> bool:
        """Whether the layer's plane is taken as it is."""
        return self.axis is None and self.contrast_limits is None and self.gamma == 1

    @property
    def seen(self) -> SeenChannel:
        """The same of the layer's array as it is now."""
        from napari_segnext.session import SeenChannel

        return SeenChannel(finest_level(self.layer), self.axis, self.index, self.contrast_limits, self.gamma)


@dataclass(frozen=True)
class ModelInput:
    """One to three channels; the second and third become green and blue.

    Attributes
    ----------
    channels
        In order.
    """

    channels: tuple[Channel, ...]

    @classmethod
    def of(cls, layer: Any) -> ModelInput:
        """An image layer as it is, RGB or grey."""
        return cls((Channel(layer),))

    @property
    def layers(self) -> tuple[Any, ...]:
        """The layers that are read."""
        return tuple(channel.layer for channel in self.channels)

    def read(self, shown: ShownSlice) -> Image:
        """The plane that the model sees, `(rows, columns)` or `(rows, columns, 3)`. Lazy arrays are computed here."""
        from napari_segnext.session import seen_plane

        return seen_plane([channel.seen for channel in self.channels], shown.selector)

    def planes(self, line: SliceLine) -> SeenPlanes:
        """All planes of a line as the model sees them, read one by one; layers as they are now."""
        from napari_segnext.session import SeenPlanes

        return SeenPlanes([channel.seen for channel in self.channels], line.first.selector, line.axis)

    @property
    def references(self) -> tuple[ChannelReference, ...]:
        """The channels as a prompts file names them; empty for one image as it is."""
        if len(self.channels) == 1 and self.channels[0].is_plain:
            return ()
        return tuple(
            ChannelReference(channel.layer.name, channel.axis, channel.index, channel.contrast_limits, channel.gamma)
            for channel in self.channels
        )

    @classmethod
    def of_references(cls, references: Iterable[ChannelReference], image: Any, layers: Iterable[Any]) -> ModelInput:
        """The channels that a prompts file names.

        Parameters
        ----------
        references
            One to three.
        image
            The annotated image layer, which is looked at first.
        layers
            All layers of the viewer.

        Raises
        ------
        LayerMismatchError
            If an image layer of that name is missing, or does not fit.
        """
        by_name = {layer.name: layer for layer in layers if hasattr(layer, "rgb")} | {image.name: image}
        missing = [one.name for one in references if one.name not in by_name]
        if missing:
            raise LayerMismatchError(
                f"there is no image layer '{missing[0]}', which was a channel; open it and pick it under Channels."
            )
        found = cls(
            tuple(Channel(by_name[one.name], one.axis, one.index, one.contrast_limits, one.gamma) for one in references)
        )
        found.require_fitting(image)
        return found

    def require_fitting(self, image: Any) -> None:
        """Refuse channels that cannot be read together.

        Parameters
        ----------
        image
            The annotated image layer.

        Raises
        ------
        LayerMismatchError
            If there are none or more than three channels, one of them lies on another grid, is one of several and RGB,
            or has no such axis.
        """
        if not 1 <= len(self.channels) <= MAX_CHANNELS:
            raise LayerMismatchError(f"the model got {len(self.channels)} channels; expected 1 to {MAX_CHANNELS}.")
        for channel in self.channels:
            layer = channel.layer
            if not has_grid_of(layer, image):
                raise LayerMismatchError(
                    f"image layer '{layer.name}' has shape {tuple(layer.data.shape)}; expected the grid, scale and "
                    f"position of '{image.name}'. Pick another channel."
                )
            if layer.rgb and (len(self.channels) > 1 or not channel.is_plain):
                raise LayerMismatchError(
                    f"image layer '{layer.name}' is RGB, which fills all three channels; expected grey images. Take it "
                    "alone and as it is, or split it (right click on the layer, 'Split RGB')."
                )
            if channel.axis is not None and not (
                0 <= channel.axis < layer.ndim and 0 <= channel.index < finest_level(layer).shape[channel.axis]
            ):
                raise LayerMismatchError(
                    f"image layer '{layer.name}' has no channel {channel.index} along axis {channel.axis}; its shape "
                    f"is {tuple(finest_level(layer).shape)}. Pick another channel."
                )
