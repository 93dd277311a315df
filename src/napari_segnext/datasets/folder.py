"""Layout ``folder``: images/ and labels/ with files of equal stems.

Each value above 0 of a label image is one object, so a binary mask holds one and an instance image many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segnext.datasets.files import image_files, matched_by_stem
from napari_segnext.datasets.samples import ImageSample

if TYPE_CHECKING:
    from pathlib import Path


def list_folder(root: Path) -> list[ImageSample]:
    """Images of a folder, sorted by file name; their group is the folder's name."""
    pairs = matched_by_stem(image_files(root / "images"), image_files(root / "labels"))
    return [ImageSample(stem, root.name, image, label) for stem, image, label in pairs]
