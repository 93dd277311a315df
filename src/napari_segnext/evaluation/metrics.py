"""The numbers by which interactive segmentation is compared: IoU, boundary IoU, NoC, NoF, mIoU@k."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_segnext._types import Mask

    IoUs: TypeAlias = Sequence[Sequence[float] | NDArray[np.floating[Any]]]
    """For each object, its IoU after each click; the lists may differ in length, but none is empty."""

BOUNDARY_SHARE = 0.02
"""Width of a boundary over the diagonal of the image."""


def iou(truth: NDArray[Any], mask: Mask) -> float:
    """Intersection over union of truth and mask, ignored pixels left out.

    Parameters
    ----------
    truth
        `(H, W)` int8 or bool: 1 object, 0 background, -1 ignored.
    mask
        `(H, W)` bool.

    Returns
    -------
    float
        In [0, 1]; NaN if both are empty.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    truth, mask = np.asarray(truth), np.asarray(mask, dtype=bool)
    _require_same_shape(truth, mask)
    is_object = truth == 1
    n_both = np.count_nonzero(is_object & mask)
    n_either = np.count_nonzero(is_object | (mask & (truth == 0)))
    return n_both / n_either if n_either else float("nan")


def boundary_iou(truth: NDArray[Any], mask: Mask, *, share: float = BOUNDARY_SHARE) -> float:
    """Intersection over union of the two boundaries: it sees a jagged outline where the IoU of a large object does not.

    A boundary is all pixels of an object within a distance from its edge; the border of the image is an edge, too.

    Parameters
    ----------
    truth
        `(H, W)` int8 or bool: 1 object, 0 background, -1 ignored.
    mask
        `(H, W)` bool.
    share
        The distance over the diagonal of the image, above 0; rounded to whole pixels, at least 1.

    Returns
    -------
    float
        In [0, 1]; NaN if both are empty.

    Raises
    ------
    ValueError
        If the shapes differ.

    Notes
    -----
    Cheng et al., Boundary IoU, CVPR 2021, section 4, with the 2 % of the diagonal of their section 4.3. Their programme
    erodes with a 3 × 3 square as often as the boundary is wide; that is the least value in a square window, which is
    taken here, within the bounding box of both objects.
    """
    truth, mask = np.asarray(truth), np.asarray(mask, dtype=bool)
    _require_same_shape(truth, mask)
    width_px = max(1, round(share * float(np.hypot(*truth.shape))))
    near = _bounding_box((truth == 1) | mask)
    is_counted = truth[near] >= 0
    ours, theirs = (_boundary(region[near], width_px) & is_counted for region in (truth == 1, mask))
    n_either = np.count_nonzero(ours | theirs)
    return np.count_nonzero(ours & theirs) / n_either if n_either else float("nan")


def n_clicks_to_reach(ious: IoUs, threshold: float, *, max_clicks: int = 20) -> NDArray[np.int64]:
    """For each object, the number of clicks until its IoU first reaches a threshold.

    Parameters
    ----------
    ious
        For each object, its IoU after each click.
    threshold
        IoU to reach, in (0, 1]; compared in float32, as the original stores IoUs.
    max_clicks
        What counts for an object that never gets there.

    Returns
    -------
    ndarray
        `(n,)` int64, in [1, max_clicks] where no list is longer than `max_clicks`.

    Raises
    ------
    ValueError
        If there is no object, or one without any click.
    """
    _require_clicks(ious)
    counts = []
    for values in ious:
        is_reached = np.asarray(values, dtype=np.float32) >= np.float32(threshold)
        counts.append(int(np.argmax(is_reached)) + 1 if is_reached.any() else max_clicks)
    return np.array(counts, dtype=np.int64)


def noc(ious: IoUs, threshold: float, *, max_clicks: int = 20) -> float:
    """Mean number of clicks to reach an IoU (NoC); parameters as of `n_clicks_to_reach`."""
    return float(n_clicks_to_reach(ious, threshold, max_clicks=max_clicks).mean())


def noc_std(ious: IoUs, threshold: float, *, max_clicks: int = 20) -> float:
    """Population standard deviation of the number of clicks; parameters as of `n_clicks_to_reach`."""
    return float(n_clicks_to_reach(ious, threshold, max_clicks=max_clicks).std())


def nof(ious: IoUs, threshold: float, *, max_clicks: int = 20) -> int:
    """Number of objects that fail to reach an IoU within `max_clicks` (NoF).

    As in the original, an object that succeeds exactly at the last click counts as failed, too.
    """
    return int((n_clicks_to_reach(ious, threshold, max_clicks=max_clicks) == max_clicks).sum())


def mean_iou_curve(ious: IoUs) -> NDArray[np.float64]:
    """Mean IoU over the objects after each click.

    Parameters
    ----------
    ious
        For each object, its IoU after each click.

    Returns
    -------
    ndarray
        `(k,)` float64; element i belongs to click i + 1. `k` is the length of the shortest list: where a run ended
        early its last IoU is not carried on, as in the original.

    Raises
    ------
    ValueError
        If there is no object, or one without any click.
    """
    _require_clicks(ious)
    n_common = min(len(values) for values in ious)
    table = np.array([values[:n_common] for values in ious], dtype=np.float64)
    return np.asarray(table.mean(axis=0))


def miou_at_k(ious: IoUs, k: int) -> float | None:
    """Mean IoU over the objects after click `k` (from 1); None if some object has fewer clicks."""
    if k < 1:
        raise ValueError(f"k is {k}; expected the number of a click, from 1.")
    curve = mean_iou_curve(ious)
    return float(curve[k - 1]) if k <= len(curve) else None


def bootstrap_interval(
    values: Sequence[float] | NDArray[np.floating[Any]], *, level: float = 0.95, n_resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean.

    Parameters
    ----------
    values
        `(n,)` float, one per object; objects of one image count as independent. At least one.
    level
        Confidence, in (0, 1).
    n_resamples
        How often the objects are drawn anew.
    seed
        Of the draws.

    Returns
    -------
    tuple of float
        Low and high end.

    Raises
    ------
    ValueError
        If there is no value or `level` is out of range.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"values have shape {array.shape}; expected (n,) with n at least 1.")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; expected a confidence between 0 and 1, such as 0.95.")
    rng = np.random.default_rng(seed)
    means = [array[rng.integers(len(array), size=len(array))].mean() for _ in range(n_resamples)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _boundary(region: Mask, width_px: int) -> Mask:
    """Pixels of a region that an erosion by so many pixels takes away; outside of the array is not of the region."""
    inside = ndimage.minimum_filter(region.astype(np.uint8), size=2 * width_px + 1, mode="constant", cval=0)
    return np.asarray(region & (inside == 0))


def _bounding_box(region: Mask) -> tuple[slice, slice]:
    """The smallest rectangle with all that is True; empty if there is nothing."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    if len(rows) == 0:
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _require_same_shape(truth: NDArray[Any], mask: Mask) -> None:
    if truth.shape != mask.shape:
        raise ValueError(f"truth has shape {truth.shape} and mask {mask.shape}; expected the same shape twice.")


def _require_clicks(ious: IoUs) -> None:
    lengths = [len(values) for values in ious]
    if not lengths or min(lengths) == 0:
        raise ValueError(
            f"{len(lengths)} objects of which {lengths.count(0)} have no click; "
            "expected at least one object and one IoU for each. Evaluate at least one object first."
        )
