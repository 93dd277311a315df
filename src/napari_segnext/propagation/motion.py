"""Where a mask lies on the neighbouring slice: it is carried along with what the image shows about it.

Slices are cut from different places, and sections of an electron microscope do not lie quite on each other. The optical
flow between two slices, about the object, says where each of its parts went; the mask follows before the model sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_segnext.propagation.flow import local_flow
from napari_segnext.propagation.interpolation import signed_distance
from napari_segnext.propagation.window import bounds, window_about

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext._types import Mask
    from napari_segnext.propagation.window import Window

FLOW_RADIUS_PX = 5
"""Of the neighbourhood that moves as one."""

BLUR_PX = 1.0

MARGIN = 0.5
"""About the object, over its longer side, of what is compared."""

LEAST_MARGIN_PX = 12

MAX_SIDE_PX = 256
"""Larger windows are compared at a coarser resolution."""


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Where each place of a window went from one slice to its neighbour.

    Attributes
    ----------
    window
        (rows, columns) of the slice that were compared; what lies outside stays where it is.
    rows, columns
        `(h, w)` float32: from each pixel of the window on the neighbour, how far away it was on the slice before;
        None where the slices show nothing to follow.
    """

    window: Window
    rows: NDArray[np.float32] | None = None
    columns: NDArray[np.float32] | None = None

    @classmethod
    def about(cls, mask: Mask, here: NDArray[Any], there: NDArray[Any]) -> Motion:
        """Compare two slices about an object.

        Parameters
        ----------
        mask
            `(H, W)` bool, on the slice `here`; not empty.
        here, there
            `(H, W)` or `(H, W, C)`, the two slices; of channels, the mean counts.
        """
        window = _window(mask)
        step = max(1, -(-max(along.stop - along.start for along in window) // MAX_SIDE_PX))
        first, second = (_normalised(_coarsened(_grey(plane[window]), step)) for plane in (here, there))
        if min(first.shape) < 2 * FLOW_RADIUS_PX + 1 or not (first.any() and second.any()):
            return cls(window)
        rows, columns = (
            _refined(flow * step, mask[window].shape, step) for flow in local_flow(second, first, FLOW_RADIUS_PX)
        )
        return cls(window, rows, columns)

    def carry(self, mask: Mask) -> Mask:
        """Carry a mask `(H, W)` bool from the one slice to the other.

        Returns
        -------
        ndarray
            `(H, W)` bool. The mask itself if it is empty or there was nothing to follow. What is carried is the signed
            distance, so outlines stay smooth; what lies outside the window is lost.
        """
        if self.rows is None or self.columns is None or not mask[self.window].any():
            return mask
        distance = signed_distance(mask[self.window])
        grid = np.indices(distance.shape, np.float32)
        moved = ndimage.map_coordinates(
            distance, [grid[0] + self.rows, grid[1] + self.columns], order=1, mode="nearest"
        )
        carried = np.zeros_like(mask)
        carried[self.window] = moved > 0
        return carried


def carry_mask(mask: Mask, here: NDArray[Any], there: NDArray[Any]) -> Mask:
    """Carry a mask from one slice to its neighbour, along the `Motion` about it.

    Parameters
    ----------
    mask
        `(H, W)` bool, on the slice `here`.
    here, there
        `(H, W)` or `(H, W, C)`, the two slices; of channels, the mean counts.

    Returns
    -------
    ndarray
        `(H, W)` bool, on the slice `there`. The mask itself if it is empty or the slices show nothing to follow.
    """
    return Motion.about(mask, here, there).carry(mask) if mask.any() else mask


def _window(mask: Mask) -> Window:
    side = max(along.stop - along.start for along in bounds(mask))
    return window_about(mask, max(LEAST_MARGIN_PX, int(MARGIN * side)))


def _grey(plane: NDArray[Any]) -> NDArray[np.float32]:
    grey = plane.astype(np.float32)
    grey = grey if grey.ndim == 2 else grey.mean(axis=2)
    return np.nan_to_num(grey, posinf=0.0, neginf=0.0)


def _coarsened(plane: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    if step == 1:
        return np.asarray(ndimage.gaussian_filter(plane, BLUR_PX), np.float32)
    return np.asarray(ndimage.gaussian_filter(plane, BLUR_PX * step)[::step, ::step], np.float32)


def _normalised(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean 0 and deviation 1; all 0 where there is nothing to see."""
    spread = float(plane.std())
    return np.asarray((plane - plane.mean()) / spread, np.float32) if spread > 0 else np.zeros_like(plane)


def _refined(flow: NDArray[np.float32], shape: tuple[int, ...], step: int) -> NDArray[np.float32]:
    """A flow at every `step`-th pixel, at all of them."""
    if step == 1:
        return flow
    rows, columns = (np.minimum(np.arange(n) / step, m - 1) for n, m in zip(shape, flow.shape, strict=True))
    return np.asarray(
        ndimage.map_coordinates(flow, np.meshgrid(rows, columns, indexing="ij"), order=1, mode="nearest"), np.float32
    )
