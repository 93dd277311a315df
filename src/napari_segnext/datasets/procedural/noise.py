"""Random fields that textures, borders and backgrounds are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    from napari_segnext._types import Shape2D

    FloatMap: TypeAlias = NDArray[np.float32]
    """`(H, W)` float32."""


def draw_between(rng: np.random.Generator, low: float, high: float) -> float:
    """One number in `[low, high]`, uniform."""
    return float(rng.uniform(low, high))


def draw_log_between(rng: np.random.Generator, low: float, high: float) -> float:
    """One number in `[low, high]`, of which every doubling is as likely; both above 0."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def resize_map(values: FloatMap, shape: Shape2D, *, smooth: bool = True) -> FloatMap:
    """`(H, W)` float32 of the wanted shape, interpolated by cubic splines, or by boxes if not `smooth`."""
    method = PIL.Image.Resampling.BICUBIC if smooth else PIL.Image.Resampling.BOX
    picture = PIL.Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.array(picture.resize((shape[1], shape[0]), method), np.float32)


def smooth_noise(
    rng: np.random.Generator, shape: Shape2D, scale_px: float, *, stretch: tuple[float, float] = (1.0, 1.0)
) -> FloatMap:
    """Draw a smooth random field.

    Parameters
    ----------
    rng
        Source of the draw.
    shape
        (rows, columns).
    scale_px
        Size of its bumps in pixels; below 1 counts as 1.
    stretch
        Factor of the size along (rows, columns).

    Returns
    -------
    FloatMap
        `(H, W)` float32 with mean 0 and standard deviation 1.
    """
    sizes = (max(1.0, scale_px * stretch[0]), max(1.0, scale_px * stretch[1]))
    grid_shape = (int(shape[0] / sizes[0]) + 3, int(shape[1] / sizes[1]) + 3)
    field = resize_map(rng.standard_normal(grid_shape, dtype=np.float32), shape)
    field -= field.mean()
    return field / np.float32(field.std() + 1e-6)


def fractal_noise(rng: np.random.Generator, shape: Shape2D, scales_px: Sequence[float]) -> FloatMap:
    """`(H, W)` float32: noise of several sizes, coarse ones strongest; mean 0, standard deviation 1."""
    weights = np.sqrt(np.asarray(scales_px) / max(scales_px)).astype(np.float32)
    total = np.zeros(shape, np.float32)
    for weight, scale_px in zip(weights, scales_px, strict=True):
        total += weight * smooth_noise(rng, shape, scale_px)
    return np.asarray(total / np.float32(total.std() + 1e-6), np.float32)


def speckle(rng: np.random.Generator, shape: Shape2D, grain_px: tuple[float, float]) -> FloatMap:
    """`(H, W)` float32: amplitude of coherent speckle (Rayleigh) with grains of (rows, columns) pixels; mean 1."""
    parts = [smooth_noise(rng, shape, 1, stretch=grain_px) for _ in range(2)]
    amplitude = np.hypot(parts[0], parts[1])
    return np.asarray(amplitude / amplitude.mean(), np.float32)


def granules(rng: np.random.Generator, shape: Shape2D, scale_px: float, coverage: float) -> FloatMap:
    """`(H, W)` float32 in `[0, 1]`: soft round spots that cover about that share of the map."""
    field = smooth_noise(rng, shape, scale_px)
    threshold = np.quantile(field[::3, ::3], 1 - coverage)
    return np.asarray(np.clip((field - threshold) * 2.5, 0, 1), np.float32)


def stripes(
    rng: np.random.Generator, shape: Shape2D, angle: FloatMap | float, wavelength_px: FloatMap | float, wobble: float
) -> FloatMap:
    """Draw wavy stripes.

    Parameters
    ----------
    rng
        Source of the draw.
    shape
        (rows, columns).
    angle
        Of the direction across the stripes, in radians, one or `(H, W)`.
    wavelength_px
        Distance of the stripes, one or `(H, W)`.
    wobble
        How far they are bent, in radians of their phase.

    Returns
    -------
    FloatMap
        `(H, W)` float32 in `[-1, 1]`.
    """
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    across = rows * np.sin(angle) + columns * np.cos(angle)
    bend = smooth_noise(rng, shape, 9) * wobble
    return np.asarray(np.sin(across * (2 * np.pi) / wavelength_px + bend), np.float32)


def warp_map(
    rng: np.random.Generator, values: NDArray[np.int32], amplitude_px: float, scale_px: float
) -> NDArray[np.int32]:
    """`(H, W)` int32: the map displaced by smooth noise, by nearest neighbours, so no new values arise."""
    height, width = values.shape
    rows, columns = np.ogrid[:height, :width]
    shape = (height, width)
    warped_rows = rows + smooth_noise(rng, shape, scale_px) * amplitude_px
    warped_columns = columns + smooth_noise(rng, shape, scale_px) * amplitude_px
    row_indices = np.clip(np.rint(warped_rows), 0, height - 1).astype(np.int32)
    column_indices = np.clip(np.rint(warped_columns), 0, width - 1).astype(np.int32)
    return np.asarray(values[row_indices, column_indices], np.int32)


def blur(values: FloatMap, sigma_px: float) -> FloatMap:
    """`(H, W)` float32 blurred by a Gaussian; as it is below 0.2 pixels."""
    if sigma_px < 0.2:
        return values
    return np.asarray(ndimage.gaussian_filter(values, sigma_px, truncate=2.5), np.float32)
