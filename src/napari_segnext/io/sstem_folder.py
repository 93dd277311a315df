"""Folders laid out like the ssTEM stack of Gerhard et al. (2013): slices in raw/, labels in folders beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_segnext.errors import VolumeError
from napari_segnext.io.image_folder import list_images, read_image_folder
from napari_segnext.io.volume_parts import required_folder
from napari_segnext.volumes import VolumeCase

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segnext.volumes import Volume

RAW = "raw"

_MASK_FOLDERS = frozenset({"membranes", "mitochondria", "synapses"})
"""Published folders that hold masks, smoothed at the rim: what is not 0 belongs to an object."""

_PUBLISHED_SPACING_NM = (50.0, 4.6, 4.6)
"""Of the published stack, whose sections are said to be 45-50 nm thick."""


def is_sstem_folder(folder: Path) -> bool:
    """Whether the folder has images in raw/."""
    return (folder / RAW).is_dir() and bool(list_images(folder / RAW))


def read_sstem_folder(folder: Path | str) -> VolumeCase:
    """Read a folder with raw/ and label folders beside it, lazily.

    A folder that has a mitochondria/ beside raw/ is taken for the published stack: its spacing is (50, 4.6, 4.6) nm,
    and membranes/, mitochondria/ and synapses/ are masks. Other folders have spacing 1 without unit.

    Parameters
    ----------
    folder
        Holds raw/ and any number of folders with one label image for each image of raw/.

    Returns
    -------
    VolumeCase
        One image, `"raw"`, and labels by the names of their folders.

    Raises
    ------
    FileNotFoundError
        If there are no images in raw/.
    VolumeError
        If a label folder has another number of images, or images differ in size.
    ImageError
        If an image cannot be read.
    """
    folder = required_folder(folder)
    raw = read_image_folder(folder / RAW)
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    beside = [path for path in folders if path.name != RAW and list_images(path)]
    is_published = any(path.name == "mitochondria" for path in beside)
    labels = {
        path.name: _read_labels(path, raw, is_mask=is_published and path.name in _MASK_FOLDERS) for path in beside
    }

    def placed(volume: Volume, name: str) -> Volume:
        named = replace(volume, name=name)
        return replace(named, spacing=_PUBLISHED_SPACING_NM, unit="nm") if is_published else named

    return VolumeCase(
        folder.name,
        {RAW: placed(raw, folder.name)},
        {name: placed(volume, f"{folder.name} {name}") for name, volume in labels.items()},
    )


def _read_labels(folder: Path, raw: Volume, *, is_mask: bool) -> Volume:
    labels = read_image_folder(folder, is_labels=True, is_mask=is_mask)
    if labels.n_slices(0) != raw.n_slices(0):
        raise VolumeError(
            f"'{folder}' holds {labels.n_slices(0)} images and '{folder.with_name(RAW)}' {raw.n_slices(0)}; "
            "expected a label image for each slice. Add what is missing, or move the folder away."
        )
    return labels
