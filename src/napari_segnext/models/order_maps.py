"""Depth → order maps: how far each place lies, in depth, from what was clicked (OIS, section 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from napari_segnext._types import Shape2D

LOW, HIGH = 0.02, 0.98
"""Quantiles of a depth map that become 0 and 1."""

FLAT = 1e-6
"""A depth map whose quantiles lie nearer together, relative to its size, is constant."""


def scale_depth(depth: Tensor) -> Tensor:
    """Bring depth maps of any unit to one scale, so that an order distance means the same for every image.

    Parameters
    ----------
    depth
        `(B, 1, H, W)` float, any unit and direction; values that are not finite are unknown.

    Returns
    -------
    Tensor
        `(B, 1, H, W)` float32 in [0, 1]: the 2nd percentile of the known values becomes 0, the 98th 1. Unknown places
        get the median, which is as near to all others as can be. A constant map, or one of which nothing is known,
        becomes 0, so that attention is plain there.
    """
    return torch.stack([_scaled(one) for one in depth.float()])


def compute_order_maps(depth: Tensor, clicks: Tensor, image_shape: Shape2D, grid_shape: Shape2D) -> Tensor:
    """Order distance of each place of a grid to each click.

    Parameters
    ----------
    depth
        `(B, 1, h, w)` float in [0, 1] over the whole image, of `scale_depth`.
    clicks
        `(B, n, 3)` float in pixels of the image: row, column, sign (1 positive, -1 negative, 0 padding).
    image_shape
        (rows, columns) of the image.
    grid_shape
        (rows, columns) of the maps that come out; depth is averaged over their cells.

    Returns
    -------
    Tensor
        `(B, n, rows, columns)` float in [0, 1]: 0 at the depth of the click; 0 everywhere for padding. All positive
        clicks of an image have one map in common, the distance to their mean depth; each negative click has its own.

    Notes
    -----
    Wang et al., ICLR 2025, equations 1 and 2.
    """
    clicked = _depth_at(depth, clicks, image_shape)
    is_positive = clicks[..., 2] > 0
    reference = torch.where(is_positive, _mean_of_positive(clicked, is_positive), clicked)
    distances = (_cells(depth, grid_shape) - reference[:, :, None, None]).abs()
    return distances * (clicks[..., 2] != 0)[:, :, None, None]


def compute_positive_order(depth: Tensor, clicks: Tensor, image_shape: Shape2D, grid_shape: Shape2D) -> Tensor:
    """The one order map that all positive clicks share.

    Parameters
    ----------
    depth, clicks, image_shape, grid_shape
        As of `compute_order_maps`.

    Returns
    -------
    Tensor
        `(B, 1, rows, columns)` float in [0, 1]; 0 everywhere where there is no positive click.
    """
    is_positive = clicks[..., 2] > 0
    mean = _mean_of_positive(_depth_at(depth, clicks, image_shape), is_positive)
    distances = (_cells(depth, grid_shape) - mean[:, :, None, None]).abs()
    return distances * is_positive.any(dim=1)[:, None, None, None]


def _scaled(depth: Tensor) -> Tensor:
    is_known = depth.isfinite()
    known = depth[is_known]
    if known.numel() == 0:
        return torch.zeros_like(depth)
    ordered = known.sort().values
    low, middle, high = (ordered[round(q * (len(ordered) - 1))] for q in (LOW, 0.5, HIGH))
    size = torch.maximum(low.detach().abs(), high.detach().abs()).clamp(min=1e-12)
    if (high - low).detach() <= FLAT * size:
        return torch.zeros_like(depth)
    filled = torch.where(is_known, depth, middle)
    return ((filled - low) / (high - low)).clamp(0, 1)


def _depth_at(depth: Tensor, clicks: Tensor, image_shape: Shape2D) -> Tensor:
    """`(B, n)`: depth of the cell of the depth map in which each click lies."""
    rows, columns = depth.shape[-2:]
    row = ((clicks[..., 0] + 0.5) * (rows / image_shape[0])).floor().long().clamp(0, rows - 1)
    column = ((clicks[..., 1] + 0.5) * (columns / image_shape[1])).floor().long().clamp(0, columns - 1)
    flat = depth.flatten(1).expand(len(clicks), -1)
    return flat.gather(1, row * columns + column)


def _mean_of_positive(clicked: Tensor, is_positive: Tensor) -> Tensor:
    """`(B, 1)`: mean depth of the positive clicks."""
    n_positive = is_positive.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.where(is_positive, clicked, 0).sum(dim=1, keepdim=True) / n_positive


def _cells(depth: Tensor, grid_shape: Shape2D) -> Tensor:
    """Depth of the cells of a grid: its mean over them, or between its own cells where the grid is finer."""
    return F.adaptive_avg_pool2d(depth, grid_shape) if _is_finer(depth, grid_shape) else _resized(depth, grid_shape)


def _is_finer(depth: Tensor, grid_shape: Shape2D) -> bool:
    return all(size >= n for size, n in zip(depth.shape[-2:], grid_shape, strict=True))


def _resized(depth: Tensor, grid_shape: Shape2D) -> Tensor:
    return F.interpolate(depth, grid_shape, mode="bilinear", align_corners=False)
