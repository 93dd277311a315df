"""Everything mode over tiles on a mosaic of real images: what is found, and what is cut or doubled at the seams.

python benchmarks/everything_tiles.py [--copies 4] [--tile 512] [--overlap 96] [--points-per-side 24]

The mosaic is the coins of scikit-image, again and again, each copy flipped or not, so that its borders fit. The truth
are the coins that a watershed of their edges finds, those cut by the border of the mosaic left out. An object counts
as found if one label has an IoU above 0.5 with it; as cut, if two labels or more cover a tenth of it each.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy import ndimage
from skimage import data, filters, segmentation

from napari_segnext import load_model
from napari_segnext.everything import EverythingSettings, iterate_everything_tiled

SHARE_OF_A_CUT = 0.1


def coins() -> tuple[np.ndarray, np.ndarray]:
    """The image `(303, 384)` uint8, and its coins as labels."""
    image = data.coins()
    markers = np.where(image < 30, 1, np.where(image > 150, 2, 0))
    is_coin = ndimage.binary_fill_holes(segmentation.watershed(filters.sobel(image), markers) == 2)
    labels, _ = ndimage.label(ndimage.binary_opening(is_coin, iterations=3))
    sizes = np.bincount(labels.ravel())
    return image, np.where(sizes[labels] > 500, labels, 0)


def mosaic(tile: np.ndarray, n_copies: int) -> np.ndarray:
    """`n_copies` × `n_copies` of an image, every other one flipped."""
    flip = {0: slice(None), 1: slice(None, None, -1)}
    rows = [np.hstack([tile[flip[i % 2], flip[j % 2]] for j in range(n_copies)]) for i in range(n_copies)]
    return np.vstack(rows)


def true_objects(image: np.ndarray, labels: np.ndarray, n_copies: int) -> np.ndarray:
    """Labels of the mosaic."""
    found, _ = ndimage.label(mosaic(labels, n_copies) > 0)
    for edge in (found[0], found[-1], found[:, 0], found[:, -1]):
        found[np.isin(found, edge[edge > 0])] = 0
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="segnext-tiny")
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--overlap", type=int, default=96)
    parser.add_argument("--points-per-side", type=int, default=24)
    parser.add_argument("--min-agreement", type=float, default=0.5)
    options = parser.parse_args()

    image, labels = coins()
    large, truth = mosaic(image, options.copies), true_objects(image, labels, options.copies)
    settings = EverythingSettings(points_per_side=options.points_per_side, min_agreement=options.min_agreement)
    start = time.process_time()
    *_, last = iterate_everything_tiled(
        load_model(options.model, "cpu"), large, settings, tile_px=options.tile, overlap_px=options.overlap, zoom=False
    )
    seconds_asking = time.process_time() - start
    result = last.result()
    seconds = time.process_time() - start

    seams = np.zeros(large.shape, bool)
    for tile in last.plan:
        seams[tile.core.top, tile.core.left : tile.core.right] |= tile.core.top > 0
        seams[tile.core.top : tile.core.bottom, tile.core.left] |= tile.core.left > 0
    on_seam = set(np.unique(truth[seams])) - {0}
    numbers = [int(number) for number in np.unique(truth) if number]
    found, cut = set(), set()
    for number in numbers:
        is_object = truth == number
        shares = np.bincount(result.labels[is_object], minlength=1)
        shares[0] = 0
        best = result.labels == shares.argmax()
        if shares.any() and (best & is_object).sum() > 0.5 * (best | is_object).sum():
            found.add(number)
        if np.count_nonzero(shares > SHARE_OF_A_CUT * is_object.sum()) > 1:
            cut.add(number)
    print(
        f"{large.shape[0]} x {large.shape[1]} pixels, {last.n_tiles} tiles of {options.tile}, {last.n_prompts} prompts"
    )
    for name, those in (("on a seam", on_seam), ("elsewhere", set(numbers) - on_seam)):
        print(f"objects {name}: {len(those)}, found {len(found & those)}, with two labels or more {len(cut & those)}")
    print(f"{len(result.objects)} labels; candidates held in {last.store.n_bytes_held / 1e3:.0f} kB")
    print(f"processor time {seconds:.0f} s, of which stitching and writing {seconds - seconds_asking:.1f} s")


if __name__ == "__main__":
    main()
