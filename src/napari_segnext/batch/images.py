"""What lies at the path of a volume: one image, or several of one grid, by the names that their layers have."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_segnext.errors import BatchError
from napari_segnext.io import is_brats_case, is_zarr, read_brats_case, read_volume
from napari_segnext.io.brats_case import contrast_files
from napari_segnext.io.volume_parts import name_of
from napari_segnext.volumes import channel_names, channel_of

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segnext.volumes import Volume

_OPENED_AGAIN = re.compile(r" \[\d+\]$")
"""What napari adds to the name of a layer if there is one of that name."""


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """A volume, or the contrasts of a case.

    Attributes
    ----------
    volume
        Where labels belong: the volume with all its channels, or the first contrast.
    names
        Short name of each image, such as `"flair"` or that of a channel.
    members
        Each image, without channels but those of a colour image; named as its layer in napari.
    stems
        Names of their files without suffix, as layers have that were opened one by one; empty for one file.
    """

    volume: Volume
    names: tuple[str, ...]
    members: tuple[Volume, ...]
    stems: tuple[str, ...] = ()

    @property
    def is_one(self) -> bool:
        """Whether there is one image only, whatever it is called."""
        return len(self.members) == 1

    def find(self, name: str) -> Volume | None:
        """The image of that layer, of that short name, or of that file; None if there is none."""
        known = tuple(member.name for member in self.members)
        for wanted in (name, _OPENED_AGAIN.sub("", name)):
            for called in (known, self.names, self.stems):
                if wanted in called:
                    return self.members[called.index(wanted)]
        return None

    def chosen(self, names: tuple[str, ...]) -> tuple[Volume, ...]:
        """Images by name, or by number from 0.

        Raises
        ------
        BatchError
            If there is no such image.
        """
        return tuple(self._chosen(name) for name in names)

    def _chosen(self, name: str) -> Volume:
        found = self.find(name)
        if found is None and name.isdecimal() and int(name) < len(self.members):
            return self.members[int(name)]
        if found is None:
            raise BatchError(f"there is no channel '{name}'; expected {self.listed}. Choose one with --channels.")
        return found

    @property
    def listed(self) -> str:
        """What there is to choose from, in words."""
        numbered = ", ".join(f"{number} ({name})" for number, name in enumerate(self.names))
        return f"one of {numbered}" if len(self.names) > 1 else f"the one image there is, {numbered}"


def read_images(path: Path) -> Images:
    """Open what lies there, lazily where its format allows.

    Parameters
    ----------
    path
        As of `read_volume`, or the folder of a BraTS case.

    Raises
    ------
    FileNotFoundError, VolumeError, ImageError
        As `read_volume` and `read_brats_case`.
    """
    if is_case(path):
        images = read_brats_case(path).images
        stems = tuple(name_of(file) for file in contrast_files(path))
        return Images(next(iter(images.values())), tuple(images), tuple(images.values()), stems)
    volume = read_volume(path)
    names = channel_names(volume)
    if not names:
        return Images(volume, (volume.name,), (volume,))
    return Images(volume, names, tuple(channel_of(volume, index) for index in range(len(names))))


def files_of(path: Path) -> list[Path]:
    """All files that `read_images` may read at a path that exists; of a case, none but the contrasts."""
    if path.is_file():
        return [path]
    if is_case(path):
        return [*contrast_files(path)]
    return [one for one in path.rglob("*") if one.is_file()]


def is_case(path: Path) -> bool:
    """Whether the folder of a BraTS case lies there."""
    return path.is_dir() and not is_zarr(path) and is_brats_case(path)
