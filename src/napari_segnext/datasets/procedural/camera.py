"""From a painted map to the picture of an instrument: blur, uneven light, contrast, noise, compression."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
from scipy import ndimage

from napari_segnext.datasets.procedural.noise import blur, draw_between, draw_log_between, resize_map, smooth_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext.datasets.procedural.painting import Layout

MAX_NOISE = 0.4
"""Noise at most, as a share of the step of grey at the borders of the objects; less where they are thin."""


def take_picture(rng: np.random.Generator, painted: NDArray[np.float32], layout: Layout) -> NDArray[np.uint8]:
    """Degrade a painted map as instruments do, so far that its objects stay visible.

    Parameters
    ----------
    rng
        Source of the draws.
    painted
        `(H, W)` or `(H, W, 3)` float32, about 0 to 1.
    layout
        Of the same size; says how thick the objects are and where their borders lie.

    Returns
    -------
    NDArray[np.uint8]
        `(H, W, 3)`; grey pictures have three equal channels.
    """
    channels = painted[..., None] if painted.ndim == 2 else painted
    is_grey = channels.shape[-1] == 1
    values = _soften(rng, channels, layout.thickness_px)
    values = _light(rng, _stretch(values))
    if is_grey and rng.random() < 0.18:
        values = 1 - values
    values = _add_noise(rng, values, MAX_NOISE * _border_step(values, layout) * min(1, 0.3 + layout.thickness_px / 6))
    contrast = 1.0 if rng.random() < 0.6 else draw_between(rng, 0.35, 1)
    values = values * contrast + draw_between(rng, 0, 1 - contrast)
    picture = np.clip(values * 255 + 0.5, 0, 255).astype(np.uint8)
    picture = np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))
    return _compress(picture, int(rng.integers(35, 90))) if rng.random() < (0.1 if is_grey else 0.4) else picture


def _soften(rng: np.random.Generator, values: NDArray[np.float32], thickness_px: float) -> NDArray[np.float32]:
    sigma_px = draw_between(rng, 0.3, min(1.7, 0.35 + 0.12 * thickness_px))
    coarseness = draw_between(rng, 1.3, min(3.0, 1.3 + 0.15 * thickness_px)) if rng.random() < 0.15 else 1.0
    axis = int(rng.integers(2))
    return np.stack([_defocus(channel, sigma_px, coarseness, axis) for channel in np.moveaxis(values, -1, 0)], axis=-1)


def _defocus(values: NDArray[np.float32], sigma_px: float, coarseness: float, axis: int) -> NDArray[np.float32]:
    values = blur(values, sigma_px)
    if coarseness == 1:
        return values
    # Anisotropic resolution: thick slices, seen from the side
    height, width = values.shape
    small = (max(2, round(height / coarseness)), width) if axis == 0 else (height, max(2, round(width / coarseness)))
    return resize_map(resize_map(values, small), (height, width))


def _stretch(values: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.quantile(values[::3, ::3], [0.003, 0.997])
    stretched = np.clip((values - low) / max(float(high - low), 1e-3), -0.05, 1.05)
    return np.asarray(stretched * 0.92 + 0.04, np.float32)


def _light(rng: np.random.Generator, values: NDArray[np.float32]) -> NDArray[np.float32]:
    shape = (values.shape[0], values.shape[1])
    if rng.random() < 0.4:
        field = smooth_noise(rng, shape, max(shape) * draw_between(rng, 0.5, 1.2))
        values = values * np.exp(draw_between(rng, 0.05, 0.25) * field)[..., None]
    if rng.random() < 0.5:
        values = np.clip(values, 0, None) ** np.float32(draw_log_between(rng, 0.6, 1.6))
    return np.clip(values, 0, 1.1).astype(np.float32)


def _border_step(values: NDArray[np.float32], layout: Layout) -> float:
    # Range of grey across the borders, 5 pixels wide, as the median over the borders
    grey = np.ascontiguousarray(values.mean(axis=-1))
    is_border = layout.border_distance <= 0.5
    if not is_border.any():
        return 0.0
    reach = ndimage.maximum_filter(grey, 5) - ndimage.minimum_filter(grey, 5)
    return float(np.quantile(reach[is_border], 0.35))


def _add_noise(rng: np.random.Generator, values: NDArray[np.float32], max_sigma: float) -> NDArray[np.float32]:
    strongest = min(0.25, max_sigma)
    if strongest < 0.005:
        return values
    sigma = draw_log_between(rng, 0.004, strongest)
    noise = rng.standard_normal(values.shape, dtype=np.float32)
    if rng.random() < 0.3:
        # Correlated noise, of the same strength
        noise = np.asarray(ndimage.uniform_filter(noise, (2, 2, 1)) * 2, np.float32)
    if rng.random() < 0.5:
        noise = noise * np.sqrt(np.clip(values, 0.05, None)) * 1.5
    return np.asarray(values + sigma * noise, np.float32)


def _compress(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    file = io.BytesIO()
    PIL.Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.array(PIL.Image.open(file), np.uint8)
