"""Masks between two others, by signed distances, and soft masks from hard ones (numpy and scipy only)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext._types import Mask, Probability

FAR_PX = 1e6
"""Signed distance to a mask that is empty (negative) or full."""


def signed_distance(mask: Mask, spacing: tuple[float, float] = (1.0, 1.0)) -> NDArray[np.float32]:
    """Distance of each pixel to the outline of a mask, positive inside.

    Parameters
    ----------
    mask
        `(H, W)` bool.
    spacing
        (row, column) size of a pixel, in the unit of the distance.

    Returns
    -------
    ndarray
        `(H, W)` float32; half a pixel is the distance of pixels on either side of the outline. `FAR_PX` times the pixel
        where there is no outline, negative for an empty mask.
    """
    half = min(spacing) / 2
    if mask.all() or not mask.any():
        return np.full(mask.shape, (FAR_PX if mask.all() else -FAR_PX) * min(spacing), np.float32)
    inside = ndimage.distance_transform_edt(mask, sampling=spacing)
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing)
    distance: NDArray[np.float32] = np.where(mask, inside - half, half - outside).astype(np.float32)
    return distance


def soft_mask(distance: NDArray[np.float32], softness: float) -> Probability:
    """Probability in place of a signed distance: 0.5 on the outline, a logistic function of the distance about it.

    Parameters
    ----------
    distance
        `(H, W)`, positive inside.
    softness
        Distance from the outline at which the probability is 0.73 or 0.27; above 0.
    """
    return np.asarray(1 / (1 + np.exp(-np.clip(distance / softness, -60, 60))), np.float32)


def interpolate_masks(first: Mask, last: Mask, fraction: float) -> Mask:
    """The mask a fraction of the way from one to another: where the mean of their signed distances is above 0.

    Parameters
    ----------
    first, last
        `(H, W)` bool.
    fraction
        0 is `first`, 1 is `last`.

    Notes
    -----
    Shape-based interpolation (Raya and Udupa 1990), which 3D Slicer's fill between slices uses, too. Masks that do not
    overlap are moved onto each other first: their centres of mass are interpolated apart from their shapes, so that an
    object that runs obliquely does not vanish half way.
    """
    if not first.any() or not last.any():
        return np.zeros_like(first)
    centres = [np.array(ndimage.center_of_mass(mask)) for mask in (first, last)]
    middle = (1 - fraction) * centres[0] + fraction * centres[1]
    moved = [
        _moved(signed_distance(mask), middle - centre) for mask, centre in zip((first, last), centres, strict=True)
    ]
    return np.asarray((1 - fraction) * moved[0] + fraction * moved[1] > 0)


def _moved(distance: NDArray[np.float32], shift: NDArray[np.float64]) -> NDArray[np.float32]:
    """Shifted by so many (rows, columns), to whole pixels; what comes in is as far outside as the border was."""
    rows, columns = (round(float(along)) for along in shift)
    if rows == 0 and columns == 0:
        return distance
    return ndimage.shift(distance, (rows, columns), order=0, mode="nearest")  # type: ignore[no-any-return]
