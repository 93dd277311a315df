"""Which images a run trains on, and a hash that tells them from others."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from napari_segnext.datasets import ImageSample, open_dataset
from napari_segnext.datasets.layered import LayeredSample, list_layered
from napari_segnext.datasets.procedural import ProceduralSample, list_procedural
from napari_segnext.datasets.procedural.images import MIN_SIDE_PX
from napari_segnext.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_segnext.training.config import DataConfig

Source: TypeAlias = ImageSample | ProceduralSample | LayeredSample
"""Something with a group and `read()`."""


def find_sources(data: DataConfig) -> list[Source]:
    """Images and labels below some folders, procedural ones and layered scenes, in a fixed order.

    Parameters
    ----------
    data
        Its roots are folders with packs (`manifest.csv`), or with `images/` and `labels/` whose files have equal stems.

    Raises
    ------
    FileNotFoundError, ValueError
        If a folder is neither.
    ConfigError
        If the number or side of drawn images is too small.
    """
    for kind in ("procedural", "layered"):
        number, side_px = getattr(data, f"n_{kind}"), getattr(data, f"{kind}_px")
        if number < 0 or (number > 0 and side_px < MIN_SIDE_PX):
            raise ConfigError(
                f"[data]: n_{kind} is {number} and {kind}_px {side_px}; expected at least 0, and at least "
                f"{MIN_SIDE_PX}. Correct them."
            )
    found: list[Source] = [sample for root in data.roots for sample in open_dataset(_layout(Path(root)), root)]
    if data.n_procedural:
        found += list_procedural(data.n_procedural, seed=data.procedural_seed, side_px=data.procedural_px)
    if data.n_layered:
        found += list_layered(data.n_layered, seed=data.layered_seed, side_px=data.layered_px)
    return found


def hash_of_sources(sources: Sequence[Source]) -> str:
    """SHA-256 over names and bytes of all files, and the names of procedural images; stored with the weights."""
    digest = hashlib.sha256()
    for source in sources:
        if not isinstance(source, ImageSample):
            digest.update(source.id.encode())
            continue
        depths = () if source.depth_path is None else (source.depth_path,)
        for path in (source.image_path, source.label_path, *depths):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _layout(root: Path) -> str:
    return "folder" if (root / "images").is_dir() and not (root / "manifest.csv").is_file() else "pack"
