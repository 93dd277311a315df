"""Draw docs/images/layered_scenes.png: 24 layered scenes, each as image, labels and depth (brighter is nearer).

python docs/make_layered_sheet.py [OUTPUT.png] [FIRST_NUMBER] [FAMILY]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import PIL.Image

from napari_segnext.datasets.layered import FAMILIES, LayeredScene, family_of_scene, make_layered_scene

N_ROWS, N_COLUMNS, SHOWN_PX, DRAWN_PX, GAP_PX = 6, 4, 128, 256, 4
SEED = 5
GREY_STEP = 8
COLOURS = np.array([[255, 80, 60], [60, 220, 90], [80, 150, 255], [255, 210, 40], [240, 90, 240], [40, 220, 230]])


def tile_of(scene: LayeredScene) -> np.ndarray:
    """`(SHOWN_PX, 3 × SHOWN_PX, 3)` uint8: image, labels, depth."""
    step = DRAWN_PX // SHOWN_PX
    image = np.array(PIL.Image.fromarray(scene.image).resize((SHOWN_PX, SHOWN_PX), PIL.Image.Resampling.BOX))
    labels = scene.labels[::step, ::step]
    coloured = np.where(labels[..., None] > 0, COLOURS[labels % len(COLOURS)], 30).astype(np.uint8)
    depth = np.round(255 * scene.depth[::step, ::step]).astype(np.uint8)
    return np.concatenate([image, coloured, np.repeat(depth[..., None], 3, axis=2)], axis=1)


def choose_numbers(first: int, family: str | None) -> list[int]:
    """Families in turn, or one of them."""
    wanted = [family] * 24 if family else (list(FAMILIES) * 5)[: N_ROWS * N_COLUMNS]
    numbers: list[int] = []
    for name in wanted:
        number = first
        while number in numbers or family_of_scene((SEED, number)) != name:
            number += 1
        numbers.append(number)
    return numbers


def main(path: Path, first: int, family: str | None) -> None:
    tiles = [tile_of(make_layered_scene((SEED, number), DRAWN_PX)) for number in choose_numbers(first, family)]
    framed = [np.pad(tile, ((0, GAP_PX), (0, GAP_PX), (0, 0)), constant_values=255) for tile in tiles]
    rows = [np.concatenate(framed[start : start + N_COLUMNS], axis=1) for start in range(0, len(framed), N_COLUMNS)]
    # Fewer greys: below a megabyte
    sheet = PIL.Image.fromarray(np.concatenate(rows, axis=0) // GREY_STEP * GREY_STEP + GREY_STEP // 2)
    path.parent.mkdir(exist_ok=True)
    sheet.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    default = Path(__file__).parent / "images" / "layered_scenes.png"
    main(
        Path(sys.argv[1]) if len(sys.argv) > 1 else default,
        int(sys.argv[2]) if len(sys.argv) > 2 else 0,
        sys.argv[3] if len(sys.argv) > 3 else None,
    )
