"""Layout ``folder``: images/ and labels/ with files of equal stems, and depth/ if depth is known.

Each value above 0 of a label image is one object, so a binary mask holds one and an instance image many. Depth is
inverse depth: larger is nearer, in any unit (a disparity, a height, a focus map), NaN where it is unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segnext.datasets.files import image_files, matched_by_stem
from napari_segnext.datasets.samples import ImageSample

if TYPE_CHECKING:
    from pathlib import Path


def list_folder(root: Path) -> list[ImageSample]:
    """Images of a folder, sorted by file name; their group is the folder's name."""
    images = image_files(root / "images")
    pairs = matched_by_stem(images, image_files(root / "labels"))
    depths: dict[str, Path] = {}
    if (root / "depth").is_dir():
        with_depth = matched_by_stem(images, image_files(root / "depth"), kind="depth")
        depths = {stem: depth for stem, _, depth in with_depth}
    return [ImageSample(stem, root.name, image, label, depth_path=depths.get(stem)) for stem, image, label in pairs]
