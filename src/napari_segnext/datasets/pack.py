"""Layout ``pack``: manifest.csv with the columns id, domain, image and label; paths relative to its folder.

The root is one pack, or a folder of packs.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from napari_segnext.datasets.samples import ImageSample

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = "manifest.csv"
_COLUMNS = ("id", "domain", "image", "label")


def list_pack(root: Path) -> list[ImageSample]:
    """Images of one pack in the manifest's order, or of all packs right below `root`; their group is the domain."""
    if (root / MANIFEST).is_file():
        return _list_one(root, prefix="")
    packs = sorted(path.parent for path in root.glob(f"*/{MANIFEST}"))
    if not packs:
        raise FileNotFoundError(
            f"there is no {MANIFEST} in '{root}' nor in a folder right below it; "
            f"expected one with the columns {', '.join(_COLUMNS)}. Check the dataset's root."
        )
    return [sample for pack in packs for sample in _list_one(pack, prefix=f"{pack.name}/")]


def _list_one(pack: Path, *, prefix: str) -> list[ImageSample]:
    path = pack / MANIFEST
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(
            f"'{path}' cannot be read as a table ({error}); expected CSV in UTF-8. Save it anew."
        ) from error
    if not rows:
        raise ValueError(f"'{path}' lists no image; expected a heading and at least one row.")
    samples = [_sample(row, number, path, prefix) for number, row in enumerate(rows, start=1)]
    _require_unique_ids(samples, path)
    return samples


def _sample(row: dict[str, str], number: int, path: Path, prefix: str) -> ImageSample:
    missing = [column for column in _COLUMNS if not row.get(column)]
    if missing:
        raise ValueError(
            f"'{path}' has nothing in column '{missing[0]}' of entry {number}; "
            f"expected entries in {', '.join(_COLUMNS)}. Complete the table."
        )
    return ImageSample(prefix + row["id"], row["domain"], path.parent / row["image"], path.parent / row["label"])


def _require_unique_ids(samples: list[ImageSample], path: Path) -> None:
    seen: set[str] = set()
    for sample in samples:
        if sample.id in seen:
            raise ValueError(f"'{path}' lists the id '{sample.id}' twice; expected each id once. Rename one.")
        seen.add(sample.id)
