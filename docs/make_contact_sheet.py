"""Draw docs/images/procedural_contact_sheet.png: 64 procedural training images with the outlines of their objects.

python docs/make_contact_sheet.py [OUTPUT.png] [FIRST_NUMBER] [FAMILY]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import PIL.Image
from skimage.segmentation import find_boundaries

from napari_segnext.datasets.procedural import FAMILIES, ProceduralImage, make_procedural_image

N_ROWS, N_COLUMNS, SHOWN_PX, DRAWN_PX = 8, 8, 128, 256
GREY_STEP = 8
COLOURS = np.array([[255, 80, 60], [60, 220, 90], [80, 150, 255], [255, 210, 40], [240, 90, 240], [40, 220, 230]])


def shrink_with_outlines(drawn: ProceduralImage) -> np.ndarray:
    """`(SHOWN_PX, SHOWN_PX, 3)` uint8."""
    small = PIL.Image.fromarray(drawn.image).resize((SHOWN_PX, SHOWN_PX), PIL.Image.Resampling.BOX)
    step = DRAWN_PX // SHOWN_PX
    labels = drawn.labels[::step, ::step]
    tile = np.array(small, np.float32)
    outline = find_boundaries(labels, mode="inner")
    tile[outline] = 0.45 * tile[outline] + 0.55 * COLOURS[labels % len(COLOURS)][outline]
    return tile.astype(np.uint8)


def choose_images(first: int, family: str | None) -> list[ProceduralImage]:
    """One image of each family in turn, or all of one family."""
    wanted = [family] * 64 if family else (list(FAMILIES) * 4)[: N_ROWS * N_COLUMNS]
    found: list[ProceduralImage | None] = [None] * len(wanted)
    number = first
    while None in found:
        drawn = make_procedural_image((0, number), DRAWN_PX)
        number += 1
        for place, name in enumerate(wanted):
            if found[place] is None and name == drawn.family:
                found[place] = drawn
                break
    return [drawn for drawn in found if drawn is not None]


def main(path: Path, first: int, family: str | None) -> None:
    tiles = [shrink_with_outlines(drawn) for drawn in choose_images(first, family)]
    rows = [np.concatenate(tiles[start : start + N_COLUMNS], axis=1) for start in range(0, len(tiles), N_COLUMNS)]
    # Fewer greys, then a palette: below a megabyte
    sheet = PIL.Image.fromarray(np.concatenate(rows, axis=0) // GREY_STEP * GREY_STEP + GREY_STEP // 2)
    path.parent.mkdir(exist_ok=True)
    sheet.quantize(256).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    default = Path(__file__).parent / "images" / "procedural_contact_sheet.png"
    main(
        Path(sys.argv[1]) if len(sys.argv) > 1 else default,
        int(sys.argv[2]) if len(sys.argv) > 2 else 0,
        sys.argv[3] if len(sys.argv) > 3 else None,
    )
