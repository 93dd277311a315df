"""Layout ``sstem``: the ssTEM stack of a fly's nerve cord (Gerhard et al., 2013), stack1 as published.

raw/*.tif are the slices, mitochondria/*.png their masks, matched by the file name up to its first dot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_segnext.datasets.files import image_files, matched_by_stem, read_first_channel
from napari_segnext.datasets.samples import ImageSample

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def list_sstem(root: Path) -> list[ImageSample]:
    """Slices sorted by file name; every mitochondrion of every slice is one object."""
    slices = matched_by_stem(image_files(root / "raw"), image_files(root / "mitochondria"), up_to_first_dot=True)
    return [ImageSample(stem, "mitochondria", image, mask, read_components) for stem, image, mask in slices]


def read_components(path: Path) -> NDArray[np.int64]:
    """Read a mask and number its 8-connected parts.

    Parameters
    ----------
    path
        Grey or 1-bit image; every pixel that is not 0 belongs to some object.

    Returns
    -------
    ndarray
        `(H, W)` int64: 0 background, 1 and up one part each, in row-major order of their first pixels.
    """
    components, _ = ndimage.label(read_first_channel(path) != 0, structure=np.ones((3, 3), dtype=bool))
    return np.asarray(components, dtype=np.int64)
