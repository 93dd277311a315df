"""Volumes with known truth, made by chance: a head with a lesion like those of BraTS, and serial sections of tissue.

Shapes are level sets of smooth random fields in three dimensions, so that objects begin, end, bend and touch as real
ones do. Nothing of them is taken from any data set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Field = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A volume and what is in it.

    Attributes
    ----------
    image
        `(Z, Y, X)` uint8.
    labels
        `(Z, Y, X)` uint16; 0 is background, each object has a number.
    spacing
        (Z, Y, X) size of a voxel.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint16]
    spacing: tuple[float, float, float]


def make_head_phantom(seed: int, shape: tuple[int, int, int] = (64, 128, 128)) -> Phantom:
    """A head as FLAIR shows it: skull, brain, dark ventricles, and one bright lesion with a core of another brightness.

    Parameters
    ----------
    seed
        The same number gives the same volume.
    shape
        (Z, Y, X); voxels are cubes of 1 mm.
    """
    rng = np.random.default_rng((seed, 1))
    distance = _ellipsoid(shape, (0.5, 0.5, 0.5), (0.46, 0.44, 0.38)) + 0.03 * _noise(rng, shape, 12)
    is_head, is_brain = distance > 0, distance > 0.12
    cortex = _noise(rng, shape, 5)
    grey = 0.45 + 0.06 * (np.clip(distance * 3, 0, 1) < 0.6) * (cortex > 0) + 0.03 * _noise(rng, shape, 8)
    ventricles = _ellipsoid(shape, (0.5, 0.5, 0.5), (0.14, 0.16, 0.07)) + 0.2 * _noise(rng, shape, 6)
    image = np.where(is_brain, grey, np.where(is_head, 0.18 + 0.5 * (distance < 0.05), 0.02)).astype(np.float32)
    image[is_brain & (ventricles > 0.1)] = 0.15

    place = [
        0.5 + rng.uniform(-0.14, 0.14),
        0.5 + rng.uniform(-0.16, 0.16),
        0.5 + rng.choice([-1, 1]) * rng.uniform(0.1, 0.18),
    ]
    radii = rng.uniform(0.1, 0.2, 3) * (1.2, 1.0, 1.0)
    lesion = _ellipsoid(shape, place, radii) + 0.35 * _noise(rng, shape, 7)
    is_lesion = is_brain & (lesion > 0.15)
    is_lesion = _largest(is_lesion)
    image[is_lesion] = 0.75 + 0.05 * _noise(rng, shape, 4)[is_lesion]
    image[is_lesion & (lesion > 0.75)] = 0.75 + rng.choice([-0.25, 0.12])
    return _photographed(rng, image, is_lesion.astype(np.uint16), (1.0, 1.0, 1.0), drift=0.0, jitter_px=0.0)


def make_section_phantom(seed: int, shape: tuple[int, int, int] = (24, 256, 256), n_objects: int = 12) -> Phantom:
    """Serial sections of tissue in an electron microscope: membranes, and dark bodies that begin and end within.

    Parameters
    ----------
    seed
        The same number gives the same volume.
    shape
        (Z, Y, X); voxels are 10 times as thick as wide.
    n_objects
        How many bodies are tried; some of them may not fit.
    """
    rng = np.random.default_rng((seed, 2))
    spacing = (50.0, 5.0, 5.0)
    tissue = _noise(rng, shape, 9, thickness=3.5)
    membranes = np.abs(ndimage.gaussian_filter(np.sin(5 * tissue), (0.3, 0.8, 0.8)))
    image = 0.62 - 0.42 * np.exp(-((membranes / 0.22) ** 2)) + 0.03 * _noise(rng, shape, 1.2, thickness=0.6)
    labels = np.zeros(shape, np.uint16)
    grid = np.indices(shape, np.float32)
    ripple, folds = (_noise(rng, shape, scale, thickness=1.8) for scale in (6, 4))
    for label in range(1, n_objects + 1):
        body = _bent_tube(rng, grid, ripple)
        is_free = body & (labels == 0) & ~ndimage.binary_dilation(labels > 0, iterations=2)
        is_free = _largest(is_free)
        if np.count_nonzero(is_free) < 200:
            continue
        labels[is_free] = label
        plane_wise = np.stack([ndimage.distance_transform_edt(plane) for plane in is_free])
        cristae = np.sin(0.9 * plane_wise + 2 * folds)
        image = np.where(is_free, np.where(plane_wise < 2.5, 0.18, 0.36 + 0.09 * cristae), image)
    return _photographed(rng, image.astype(np.float32), labels, spacing, drift=0.05, jitter_px=1.0)


def _bent_tube(rng: Generator, grid: Field, ripple: Field) -> NDArray[np.bool_]:
    """A tube with round ends that runs obliquely through some of the sections; `ripple` makes its surface uneven."""
    n_sections, rows, columns = ripple.shape
    middle = rng.uniform(2, n_sections - 3)
    half_length = rng.uniform(2, max(3.0, 0.4 * n_sections))
    along = (grid[0] - middle) / half_length
    slope, bend = rng.uniform(-1, 1, 2) * 3.0, rng.uniform(-1, 1, 2) * 6.0
    centre = [rng.uniform(0.12, 0.88) * size for size in (rows, columns)]
    offsets = [
        grid[axis + 1] - centre[axis] - slope[axis] * (grid[0] - middle) - bend[axis] * along**2 for axis in range(2)
    ]
    radius = rng.uniform(9, 20) * np.sqrt(np.clip(1 - along**2, 0, None))
    stretch, angle = rng.uniform(1, 1.8), rng.uniform(0, np.pi)
    major = np.cos(angle) * offsets[0] + np.sin(angle) * offsets[1]
    minor = -np.sin(angle) * offsets[0] + np.cos(angle) * offsets[1]
    return np.asarray((major / stretch) ** 2 + (minor * stretch) ** 2 < (radius * (1 + 0.12 * ripple)) ** 2)


def _photographed(
    rng: Generator,
    image: Field,
    labels: NDArray[np.uint16],
    spacing: tuple[float, float, float],
    *,
    drift: float,
    jitter_px: float,
) -> Phantom:
    """With noise and blur; `drift` of brightness and `jitter_px` of place from section to section."""
    planes, moved = [], []
    for plane, truth in zip(image, labels, strict=True):
        shift = np.round(rng.normal(0, jitter_px, 2)) if jitter_px else np.zeros(2)
        bright = ndimage.shift(ndimage.gaussian_filter(plane, 0.7), shift, order=0, mode="nearest")
        planes.append(bright * (1 + drift * rng.normal()) + rng.normal(0, 0.03, plane.shape))
        moved.append(ndimage.shift(truth, shift, order=0))
    pixels = np.clip(np.round(255 * np.stack(planes)), 0, 255).astype(np.uint8)
    return Phantom(pixels, np.stack(moved).astype(np.uint16), spacing)


def _ellipsoid(shape: tuple[int, ...], centre: object, radii: object) -> Field:
    """1 in the middle, 0 on the surface, falling outwards; centre and radii as parts of the shape."""
    grid = np.indices(shape, np.float32)
    scaled = [
        (along / size - c) / r
        for along, size, c, r in zip(grid, shape, np.asarray(centre), np.asarray(radii), strict=True)
    ]
    return np.asarray(1 - np.sqrt(sum(one**2 for one in scaled)), np.float32)


def _noise(rng: Generator, shape: tuple[int, int, int], scale_px: float, *, thickness: float | None = None) -> Field:
    """A smooth field of mean 0 and deviation 1; `thickness` is its scale along Z."""
    scales = (scale_px if thickness is None else thickness, scale_px, scale_px)
    values = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), scales, mode="reflect")
    return np.asarray((values - values.mean()) / values.std(), np.float32)


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, n_parts = ndimage.label(mask)
    if n_parts < 2:
        return mask
    return np.asarray(parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:])))
