"""Label images that are the truth, and an oracle that tells each tile of it, exactly or with noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage import draw

from napari_segnext.everything import Candidate
from napari_segnext.everything.mask_store import MaskStore
from napari_segnext.everything.mosaic import paint_stitched, suppress_stitched
from napari_segnext.everything.parts import Part, part_from_candidate
from napari_segnext.everything.stitching import stitch
from napari_segnext.prompts import Click
from napari_segnext.session.windows import extent_of_mask

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_segnext.everything.tiles import Tile, TilePlan

    Shape = tuple[int, int]
    Noise = Callable[[np.ndarray], np.ndarray]


def blobs(generator: np.random.Generator, shape: Shape, n_objects: int = 12) -> np.ndarray:
    """Round ones of any size, many of which touch or cover each other."""
    truth = np.zeros(shape, np.int32)
    for label in range(1, n_objects + 1):
        centre = generator.uniform((0, 0), shape)
        truth[draw.disk(centre, generator.uniform(1, 2 + min(shape) / 3), shape=shape)] = label
    return truth


def worms(generator: np.random.Generator, shape: Shape, n_objects: int = 6) -> np.ndarray:
    """Long ones that turn and cross many tiles, and each other."""
    truth = np.zeros(shape, np.int32)
    for label in range(1, n_objects + 1):
        place, heading = generator.uniform((0, 0), shape), generator.uniform(0, 2 * np.pi)
        radius = generator.uniform(1, 5)
        for _ in range(int(generator.integers(20, 150))):
            truth[draw.disk(place, radius, shape=shape)] = label
            heading += generator.normal(0, 0.3)
            place = place + radius * np.array([np.cos(heading), np.sin(heading)])
    return truth


def cells(generator: np.random.Generator, shape: Shape, n_objects: int = 15) -> np.ndarray:
    """Neighbours that touch all around and leave nothing free, like cells of a tissue."""
    seeds = generator.uniform((0, 0), shape, (n_objects, 2))
    places = np.stack(np.mgrid[: shape[0], : shape[1]], axis=-1)
    return 1 + np.argmin(((places[:, :, None] - seeds) ** 2).sum(axis=-1), axis=-1).astype(np.int32)


def net(generator: np.random.Generator, shape: Shape) -> np.ndarray:
    """One object that spans the image with holes, and objects in the holes: what is apart comes very near."""
    step, width = int(generator.integers(9, 40)), int(generator.integers(1, 5))
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    is_net = (rows % step < width) | (columns % step < width)
    fill, _ = ndimage.label(~is_net)
    return np.where(is_net, 1, np.where(generator.random(shape[0] * shape[1] + 2)[fill] < 0.5, fill + 1, 0))


def everything(generator: np.random.Generator, shape: Shape) -> np.ndarray:
    """One object, all of the image."""
    del generator
    return np.ones(shape, np.int32)


def thick(generator: np.random.Generator, shape: Shape, gap_px: int = 0, n_tries: int = 25) -> np.ndarray:
    """Disks and worms, wide enough to lose a pixel all around; they touch at most, or keep a gap."""
    truth = np.zeros(shape, np.int32)
    for _ in range(n_tries):
        is_disk = generator.random() < 0.5
        radius = generator.uniform(9, 35) if is_disk else generator.uniform(6, 9)
        place, heading = generator.uniform((0, 0), shape), generator.uniform(0, 2 * np.pi)
        mask = np.zeros(shape, bool)
        for _ in range(1 if is_disk else int(generator.integers(5, 60))):
            if not ((place > radius + 1) & (place < np.array(shape) - radius - 1)).all():
                break
            mask[draw.disk(place, radius, shape=shape)] = True
            heading += generator.normal(0, 0.12)
            place = place + radius / 2 * np.array([np.cos(heading), np.sin(heading)])
        near = ndimage.binary_dilation(mask, iterations=gap_px) if gap_px else mask
        if not (truth[near] > 0).any():
            truth[mask] = truth.max() + 1
    return truth


def wide_cells(generator: np.random.Generator, shape: Shape) -> np.ndarray:
    """As `cells`, with their middles at least 18 pixels apart."""
    seeds: list[np.ndarray] = []
    for seed in generator.uniform((0, 0), shape, (30, 2)):
        if all(np.hypot(*(seed - other)) > 18 for other in seeds):
            seeds.append(seed)
    places = np.stack(np.mgrid[: shape[0], : shape[1]], axis=-1)
    nearest = np.argmin(((places[:, :, None] - np.array(seeds)) ** 2).sum(axis=-1), axis=-1)
    return 1 + nearest.astype(np.int32)


def off_by_a_pixel(generator: np.random.Generator) -> Noise:
    """Grows or shrinks a mask by a pixel, or leaves it."""

    def noise(mask: np.ndarray) -> np.ndarray:
        change = generator.choice([ndimage.binary_dilation, ndimage.binary_erosion, np.copy])
        return np.asarray(change(mask))

    return noise


KINDS = (blobs, worms, cells, net, everything)


def connected(truth: np.ndarray) -> np.ndarray:
    """Each connected part of each label as a label of its own."""
    split = np.zeros(truth.shape, np.int32)
    for label in np.unique(truth[truth > 0]):
        parts, _ = ndimage.label(truth == label)
        split[parts > 0] = parts[parts > 0] + split.max()
    return split


def told(
    truth: np.ndarray,
    tile: Tile,
    generator: np.random.Generator,
    store: MaskStore,
    *,
    is_split: bool = True,
    noise: Noise | None = None,
    min_px: int = 1,
) -> list[Part]:
    """The true objects in a tile, in any order, numbered anyhow.

    What of an object lies in the tile is one part, or with `is_split` as many as are connected there, as answers to
    clicks are.
    """
    seen = truth[tile.outer.slices]
    masks = [seen == label for label in np.unique(seen[seen > 0])]
    if noise is not None:
        masks = [noise(mask) for mask in masks]
    if is_split:
        masks = [parts == i for mask in masks for parts, n in [ndimage.label(mask)] for i in range(1, n + 1)]
    masks = [mask for mask in masks if np.count_nonzero(mask) >= min_px]
    generator.shuffle(masks)
    numbers = generator.permutation(10 * len(masks))
    return [
        part_from_candidate(_candidate(mask, int(number), generator), tile, store)
        for mask, number in zip(masks, numbers, strict=False)
    ]


def stitched(parts: list[Part], plan: TilePlan) -> np.ndarray:
    """`(H, W)` int32: the labels that the parts of all tiles give."""
    labels = np.full(plan.image_shape, -1, np.int32)
    objects = suppress_stitched(stitch(parts, plan))
    segmented = paint_stitched(objects, plan, labels)
    assert [one.label for one in segmented] == [*range(1, len(segmented) + 1)]
    assert [one.n_pixels for one in segmented] == np.bincount(labels.ravel(), minlength=1)[1:].tolist()
    return labels


def all_told(truth: np.ndarray, plan: TilePlan, generator: np.random.Generator, **kwargs: object) -> list[Part]:
    """What the oracle tells of all tiles, in any order."""
    store = MaskStore()
    parts = [part for tile in plan for part in told(truth, tile, generator, store, **kwargs)]  # type: ignore[arg-type]
    generator.shuffle(parts)  # type: ignore[arg-type]
    return parts


def _candidate(mask: np.ndarray, number: int, generator: np.random.Generator) -> Candidate:
    window = extent_of_mask(mask)
    assert window is not None
    row, column = np.argwhere(mask)[0]
    stability, certainty = generator.uniform(0.7, 1, 2)
    return Candidate(number, Click(row, column), window, mask[window.slices], stability, certainty)
