"""One channel of a volume of several dyes or contrasts, named as the layer is that shows it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_segnext.errors import VolumeError
from napari_segnext.volumes.rearranged import RearrangedArray

if TYPE_CHECKING:
    from napari_segnext.volumes.volume import Volume


def channel_names(volume: Volume) -> tuple[str, ...]:
    """A name for each channel, such as `"channel 1"` where the file tells none; empty for grey volumes and colours."""
    if not volume.has_channels or volume.is_rgb:
        return ()
    return volume.channel_names or tuple(f"channel {number}" for number in range(1, volume.n_channels + 1))


def channel_of(volume: Volume, index: int) -> Volume:
    """A channel as a volume of its own, lazy where the volume is; called by the names of both.

    Parameters
    ----------
    volume
        With channels that are no colours.
    index
        Number of the channel, from 0.

    Raises
    ------
    VolumeError
        If there is no such channel.
    """
    names = channel_names(volume)
    if not 0 <= index < len(names):
        raise VolumeError(f"volume '{volume.name}' has no channel {index}; expected one of {len(names)}, from 0.")
    last = volume.ndim - 1
    return replace(
        volume,
        array=RearrangedArray(volume.array, range(last), {last: index}),
        levels=tuple(RearrangedArray(level, range(last), {last: index}) for level in volume.levels),
        channel_names=(),
        name=f"{volume.name} {names[index]}",
    )
