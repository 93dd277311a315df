"""Which slices of a volume are to be encoded ahead, and as what the model sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_segnext.batch.images import read_images
from napari_segnext.batch.lines import Where, lines_of, planes_of_line, require_time
from napari_segnext.batch.seen import chosen_channels

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segnext.batch.images import Images
    from napari_segnext.batch.job import BatchSettings
    from napari_segnext.prompts import PromptsFile
    from napari_segnext.volumes import Volume


@dataclass(frozen=True, slots=True, eq=False)
class SlicesToEmbed:
    """Slices that follow each other.

    Attributes
    ----------
    volume
        `(n, rows, columns)` or `(n, rows, columns, C)`, lazy.
    contrast_limits, zoom
        As of `Session`.
    """

    volume: Volume
    contrast_limits: tuple[float, float] | None
    zoom: bool | None


def slices_to_embed(
    path: Path, settings: BatchSettings, said: PromptsFile | None = None, images: Images | None = None
) -> tuple[SlicesToEmbed, ...]:
    """The slices that work on a volume will look at.

    Parameters
    ----------
    path
        Of the volume, or of a BraTS case.
    settings
        Axis (0 by default), time point (all by default), channels and contrast limits that are asked for.
    said
        The prompts file that is to be propagated, if there is one: then all that as it says.
    images
        What lies at the path, if it is open already.

    Raises
    ------
    FileNotFoundError, VolumeError, ImageError
        If the volume cannot be read.
    BatchError
        If there is no such axis, time point or channel, or the prompts belong to another image.
    """
    images = read_images(path) if images is None else images
    volume = images.volume
    if said is not None:
        lines = lines_of(said, images, settings, path.name)
        return tuple(SlicesToEmbed(line.volume, line.seen.contrast_limits, line.zoom) for line in lines)
    require_time(volume, settings, path.name)
    seen = chosen_channels(images, settings.channels, settings.contrast_limits)
    times: tuple[int | None, ...] = tuple(range(volume.n_times)) if volume.has_time else (None,)
    if isinstance(settings.time, int):
        times = (settings.time,)
    sizes = (volume.time_step, *volume.spacing)
    planes = [planes_of_line(Where(settings.axis or 0, time), seen, sizes, volume) for time in times]
    return tuple(SlicesToEmbed(one, seen.contrast_limits, settings.zoom) for one in planes)
