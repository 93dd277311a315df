"""Layout ``davis``: img/ and gt/ with equal stems, as in the DAVIS frames of the interactive benchmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segnext.datasets.files import image_files, matched_by_stem, read_mask_file
from napari_segnext.datasets.samples import ImageSample

if TYPE_CHECKING:
    from pathlib import Path


def list_davis(root: Path) -> list[ImageSample]:
    """Frames sorted by file name; every frame holds one object, all that is not black in its mask."""
    frames = matched_by_stem(image_files(root / "img"), image_files(root / "gt"))
    return [ImageSample(stem, "davis", image, mask, read_mask_file) for stem, image, mask in frames]
