"""Any image → the three channels in [0, 1] that encoders read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_segnext.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_segnext._types import Image

ContrastLimits: TypeAlias = "tuple[float, float] | Sequence[tuple[float, float]]"

PERCENTILES = (0.1, 99.9)
"""Stretched to [0, 1] where no contrast limits are given and the dtype is not uint8."""

_MAX_PIXELS_FOR_PERCENTILES = 4_000_000


def image_to_rgb(image: Image, contrast_limits: ContrastLimits | None = None) -> NDArray[np.float32]:
    """Bring an image to three channels in [0, 1].

    uint8 is taken as it is; other dtypes are stretched between the contrast limits, or between the 0.1st and 99.9th
    percentile of each channel (of all channels of an RGB image together). Pixels that are not finite, such as NaN
    outside a mask, are taken to be as dark as the darkest one.

    Parameters
    ----------
    image
        `(H, W)` or `(H, W, C)` with 1 to 4 channels, any numeric dtype or bool. One channel is used three times; of two
        channels the third is their mean; the fourth is taken for alpha and left out.
    contrast_limits
        (low, high) for all channels, or one pair for each channel used; low becomes 0 and high becomes 1.

    Returns
    -------
    ndarray
        `(H, W, 3)` float32 in [0, 1], contiguous.

    Raises
    ------
    ImageError
        If the shape is wrong, there is no pixel, the dtype is not numeric, or no pixel is finite.
    ValueError
        If the contrast limits are not finite, not rising, or not as many as channels.
    """
    array = _checked(image)
    channels = array[..., None] if array.ndim == 2 else array[..., :3]
    scaled = _scaled(channels, contrast_limits)
    if scaled.shape[-1] == 1:
        scaled = np.repeat(scaled, 3, axis=-1)
    elif scaled.shape[-1] == 2:
        scaled = np.concatenate([scaled, scaled.mean(axis=-1, keepdims=True)], axis=-1)
    return np.ascontiguousarray(scaled, dtype=np.float32)


def stretch_channel(
    plane: Image, contrast_limits: tuple[float, float] | None = None, gamma: float = 1.0
) -> NDArray[np.uint8]:
    """Bring one channel to uint8 as a viewer shows it.

    Parameters
    ----------
    plane
        `(H, W)`, any numeric dtype or bool.
    contrast_limits
        Values that become black and white; None as `image_to_rgb`.
    gamma
        Exponent of the brightness between them, above 0.

    Returns
    -------
    ndarray
        `(H, W)` uint8.

    Raises
    ------
    ImageError, ValueError
        As `image_to_rgb`.
    """
    bright = image_to_rgb(plane, contrast_limits)[..., 0]
    return np.asarray(np.round(255 * bright**gamma), np.uint8)


def stack_channels(planes: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """One to three channels `(H, W)` as an image: `(H, W)` of one, else `(H, W, 3)` with 0 for absent ones."""
    if len(planes) == 1:
        return planes[0]
    absent = [np.zeros_like(planes[0])] * (3 - len(planes))
    return np.stack([*planes, *absent], axis=-1)


def resolve_contrast_limits(image: Image, contrast_limits: ContrastLimits | None = None) -> ContrastLimits | None:
    """Contrast limits that make `image_to_rgb` treat a part of an image as it treats the whole.

    Parameters
    ----------
    image, contrast_limits
        As of `image_to_rgb`.

    Returns
    -------
    sequence of pairs, or None
        (low, high) of each channel; None for uint8, which is taken as it is.

    Raises
    ------
    ImageError, ValueError
        As `image_to_rgb`.
    """
    array = _checked(image)
    channels = array[..., None] if array.ndim == 2 else array[..., :3]
    if contrast_limits is None and array.dtype == np.uint8:
        return None
    if contrast_limits is None and array.dtype == bool:
        return [(0.0, 1.0)] * channels.shape[-1]
    return [(float(low), float(high)) for low, high in _raised(_limits(channels, contrast_limits))]


def _raised(limits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Limits of flat channels set apart by 1, which is how `_scaled` reads them."""
    low, high = limits[:, 0], limits[:, 1]
    return np.stack([low, np.where(high > low, high, np.maximum(low + 1, np.nextafter(low, np.inf)))], axis=1)


def _checked(image: Image) -> NDArray[Any]:
    array = np.asarray(image)
    wanted = "expected (H, W) or (H, W, C) with 1 to 4 channels"
    if array.ndim not in (2, 3) or (array.ndim == 3 and not 1 <= array.shape[2] <= 4):
        hint = "Move the channel axis last." if _has_channels_first(array) else "Pick one slice, or fewer channels."
        raise ImageError(f"image has shape {array.shape}; {wanted}. {hint}")
    if array.size == 0:
        raise ImageError(f"image has shape {array.shape} and no pixel; {wanted}.")
    if array.dtype.kind not in "buif":
        raise ImageError(f"image has dtype {array.dtype}; expected an integer, floating or bool dtype.")
    return _finite(array) if array.dtype.kind == "f" else array


def _finite(array: NDArray[Any]) -> NDArray[Any]:
    """The array with the darkest finite value wherever it is not finite."""
    is_finite = np.isfinite(array)
    if is_finite.all():
        return array
    if not is_finite.any():
        raise ImageError("image has no finite pixel (all are NaN or infinite); expected some. Pick another slice.")
    return np.where(is_finite, array, array[is_finite].min())


def _has_channels_first(array: NDArray[Any]) -> bool:
    return array.ndim == 3 and 1 <= array.shape[0] <= 4


def _scaled(channels: NDArray[Any], contrast_limits: ContrastLimits | None) -> NDArray[np.float32]:
    if contrast_limits is None and channels.dtype == np.uint8:
        return channels.astype(np.float32) / np.float32(255)
    if contrast_limits is None and channels.dtype == bool:
        return channels.astype(np.float32)
    limits = _limits(channels, contrast_limits)
    low, high = limits[:, 0], limits[:, 1]
    span = np.where(high > low, high - low, 1.0)
    return np.clip((channels.astype(np.float64) - low) / span, 0, 1).astype(np.float32)


def _limits(channels: NDArray[Any], contrast_limits: ContrastLimits | None) -> NDArray[np.float64]:
    """`(C, 2)` low and high of each channel."""
    n_channels = channels.shape[-1]
    if contrast_limits is None:
        return _percentiles(channels)
    limits = np.asarray(contrast_limits, dtype=np.float64)
    if limits.shape == (2,):
        limits = np.tile(limits, (n_channels, 1))
    if limits.shape != (n_channels, 2) or not np.isfinite(limits).all() or not (limits[:, 1] > limits[:, 0]).all():
        raise ValueError(
            f"contrast_limits are {contrast_limits}; expected (low, high) with low below high, "
            f"or {n_channels} such pairs, one for each channel."
        )
    return limits


def _percentiles(channels: NDArray[Any]) -> NDArray[np.float64]:
    step = max(1, int(np.ceil(np.sqrt(channels.shape[0] * channels.shape[1] / _MAX_PIXELS_FOR_PERCENTILES))))
    sample = channels[::step, ::step].astype(np.float64)
    n_channels = channels.shape[-1]
    if n_channels == 3:
        return np.tile(np.percentile(sample, PERCENTILES), (3, 1))
    return np.stack([np.percentile(sample[..., channel], PERCENTILES) for channel in range(n_channels)])
