"""Which pixels the model sees: as the prompts file says, as the options ask, or the image as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_segnext.errors import BatchError
from napari_segnext.prompts import ChannelReference
from napari_segnext.session import SeenChannel

if TYPE_CHECKING:
    from napari_segnext.batch.images import Images
    from napari_segnext.batch.job import BatchSettings
    from napari_segnext.prompts import ImageReference, PromptsFile
    from napari_segnext.volumes import Volume


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the model sees.

    Attributes
    ----------
    channels
        One to three.
    axes
        Of their arrays, such as `("t", "z", "y", "x")`, colours left out.
    references
        The same in words; empty for the one image as it is.
    contrast_limits
        As of `Session`: of what `channels` give.
    """

    channels: tuple[SeenChannel, ...]
    axes: tuple[str, ...]
    references: tuple[ChannelReference, ...] = ()
    contrast_limits: tuple[float, float] | None = None


def what_is_seen(said: PromptsFile, images: Images, settings: BatchSettings, names: tuple[str, ...]) -> Seen:
    """What the model sees of a volume.

    Parameters
    ----------
    said
        A prompts file; one that names channels says it all.
    images
        What lies at the path.
    settings
        Channels that are asked for, and contrast limits.
    names
        The axes that the file counts (`axes_of_image`).

    Raises
    ------
    BatchError
        If channels are missing or contradict each other, or none of several images is named.
    """
    reference = said.image
    if reference is not None and reference.channels:
        return _as_told(reference, images, settings, names)
    if settings.channels:
        return chosen_channels(images, settings.channels, settings.contrast_limits)
    base, axes = _base("" if reference is None else reference.name, images, names)
    is_chosen = not images.is_one and "c" not in names
    references = (ChannelReference(base.name, contrast_limits=settings.contrast_limits),) if is_chosen else ()
    return Seen((SeenChannel(base.array),), axes, references, settings.contrast_limits)


def chosen_channels(images: Images, names: tuple[str, ...], contrast_limits: tuple[float, float] | None = None) -> Seen:
    """Channels by name or number; one is taken as it is, several are stretched each.

    Parameters
    ----------
    images
        What lies at the path.
    names
        One to three; none for the image as it is, if there is one only.
    contrast_limits
        Of each of them.

    Raises
    ------
    BatchError
        If there is no such channel, or a colour image is one of several.
    """
    members = images.chosen(names) if names else images.members
    if not names and not images.is_one:
        raise BatchError(_none_named(images))
    references = tuple(ChannelReference(one.name, contrast_limits=contrast_limits) for one in members if names)
    axes = _axes_of(members[0])
    if len(members) == 1:
        return Seen((SeenChannel(members[0].array),), axes, references, contrast_limits)
    _require_grey(members)
    return Seen(tuple(SeenChannel(one.array, contrast_limits=contrast_limits) for one in members), axes, references)


def _as_told(reference: ImageReference, images: Images, settings: BatchSettings, names: tuple[str, ...]) -> Seen:
    """The channels that a prompts file names, read as the annotator reads them."""
    for option, asked in (("--contrast-limits", settings.contrast_limits), ("--channels", settings.channels)):
        if asked:
            raise BatchError(f"the prompts file names channels with limits of their own; leave out {option}.")
    found: list[tuple[ChannelReference, Volume]] = []
    axes: tuple[str, ...] = ()
    for one in reference.channels:
        if one.name == reference.name:
            volume, axes = _base(one.name, images, names)
        else:
            volume, axes = _other(one.name, images), axes or _axes_of(images.members[0])
        found.append((one, volume))
    if "c" in axes and any(one.name != reference.name for one in reference.channels):
        raise BatchError(
            f"the prompts file names channels of '{reference.name}' and of other images; expected those of one file. "
            "Save them as one volume with channels, or propagate in the window."
        )
    if len(found) > 1:
        _require_grey([volume for _, volume in found])
    return Seen(tuple(_channel(one, volume, axes, names) for one, volume in found), axes, reference.channels)


def _channel(one: ChannelReference, volume: Volume, axes: tuple[str, ...], names: tuple[str, ...]) -> SeenChannel:
    axis = None
    if one.axis is not None:
        name = names[one.axis] if one.axis < len(names) else ""
        axis = axes.index(name) if name in axes else None
        if axis is None or one.index >= volume.shape[axis]:
            raise BatchError(
                f"the prompts file names channel {one.index} along axis {one.axis} of '{one.name}', which the volume "
                f"of shape {volume.shape} does not have. Give the volume that belongs to the prompts."
            )
    return SeenChannel(volume.array, axis, one.index, one.contrast_limits, one.gamma)


def _base(name: str, images: Images, names: tuple[str, ...]) -> tuple[Volume, tuple[str, ...]]:
    """The image on which prompts were given, and the axes of its array."""
    if "c" in names:
        return images.volume, _axes_of(images.volume)
    member = images.members[0] if images.is_one else images.find(name)
    if member is None:
        raise BatchError(_none_named(images, name))
    return member, _axes_of(member)


def _other(name: str, images: Images) -> Volume:
    found = images.find(name)
    if found is None:
        raise BatchError(
            f"the prompts file names '{name}' among the channels of the model's input; expected {images.listed}. Give "
            "the volume with all channels, or the folder of the BraTS case, or propagate in the window."
        )
    return found


def _axes_of(volume: Volume) -> tuple[str, ...]:
    spatial = (*(("t",) if volume.has_time else ()), "z", "y", "x")
    return (*spatial, "c") if volume.has_channels and not volume.is_rgb else spatial


def _require_grey(volumes: list[Volume] | tuple[Volume, ...]) -> None:
    coloured = [one.name for one in volumes if one.is_rgb]
    if coloured:
        raise BatchError(
            f"'{coloured[0]}' is a colour image, which fills all three channels; expected grey images. Take it alone."
        )


def _none_named(images: Images, name: str = "") -> str:
    given = f"the prompts were given on '{name}'" if name else "no channel is named"
    return f"there are {len(images.members)} images, and {given}; expected {images.listed}. Choose with --channels."
