"""Which images a run trains on, and a hash that tells them from others."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from napari_segnext.datasets import open_dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_segnext.datasets import ImageSample


def find_sources(roots: Sequence[str]) -> list[ImageSample]:
    """Images and labels below some folders, in a fixed order.

    Parameters
    ----------
    roots
        Folders with packs (`manifest.csv`), or with `images/` and `labels/` whose files have equal stems.

    Raises
    ------
    FileNotFoundError, ValueError
        If a folder is neither.
    """
    return [sample for root in roots for sample in open_dataset(_layout(Path(root)), root)]


def hash_of_sources(sources: Sequence[ImageSample]) -> str:
    """SHA-256 over names and bytes of all files; stored with the weights."""
    digest = hashlib.sha256()
    for source in sources:
        for path in (source.image_path, source.label_path):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _layout(root: Path) -> str:
    return "folder" if (root / "images").is_dir() and not (root / "manifest.csv").is_file() else "pack"
