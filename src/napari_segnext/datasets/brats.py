"""Layout ``brats``: image/*.png and annotation/*.png with equal stems; one object, the whole tumour, on each slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_segnext.datasets.files import image_files, matched_by_stem, read_first_channel
from napari_segnext.datasets.samples import ImageSample

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def list_brats(root: Path) -> list[ImageSample]:
    """Slices sorted by file name."""
    slices = matched_by_stem(image_files(root / "image"), image_files(root / "annotation"))
    return [ImageSample(stem, "tumour", image, mask, read_whole_tumour) for stem, image, mask in slices]


def read_whole_tumour(path: Path) -> NDArray[np.int64]:
    """`(H, W)` int64: 1 where the first channel is above 0, all its labels merged; 0 elsewhere."""
    return (read_first_channel(path) > 0).astype(np.int64)
