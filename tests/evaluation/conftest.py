"""A dataset of two images: on one a disk and a square, on the other a disk and a speck."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest

from napari_segnext.datasets import Dataset, open_dataset

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def two_images(tmp_path: Path) -> Dataset:
    rows, columns = np.mgrid[:12, :16]
    disk = (rows - 5) ** 2 + (columns - 4) ** 2 <= 4
    first, second = disk.astype(np.uint8), disk.astype(np.uint8)
    first[6:11, 9:14] = 2
    second[1, 14] = 2
    lines = ["id,domain,image,label"]
    for name, labels in (("one", first), ("two", second)):
        for kind, array in (("image", labels * 100), ("label", labels)):
            PIL.Image.fromarray(array).save(tmp_path / f"{name}_{kind}.png")
        lines.append(f"{name},domain of {name},{name}_image.png,{name}_label.png")
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    return open_dataset("pack", tmp_path)
