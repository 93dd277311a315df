"""Means over blocks of pixels: how a large part of an image becomes small enough to be encoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def block_means(image: NDArray[Any], factor: int) -> NDArray[Any]:
    """Means over `factor` × `factor` pixels; the last row and column are repeated to fill the last blocks.

    Parameters
    ----------
    image
        `(H, W)` or `(H, W, C)`, any numeric dtype or bool.
    factor
        Side of a block; 1 gives the image itself.

    Returns
    -------
    ndarray
        `(ceil(H / factor), ceil(W / factor)[, C])`: uint8, rounded, of uint8, else float32.
    """
    if factor == 1:
        return image
    padded = padded_to(image, *(n + -n % factor for n in image.shape[:2]))
    rows, columns = (n // factor for n in padded.shape[:2])
    blocks = padded.reshape(rows, factor, columns, factor, *image.shape[2:])
    means: NDArray[np.float32] = blocks.mean(axis=(1, 3), dtype=np.float32)
    return _like(image, means)


def stretch_means(image: NDArray[Any], rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[Any]:
    """Means over rectangles that need not begin and end between pixels: those at their edges count in part.

    Parameters
    ----------
    image
        `(H, W)` or `(H, W, C)`, any numeric dtype or bool.
    rows, columns
        `(n + 1,)` and `(m + 1,)` edges of the rectangles, from 0 to the image's size, each at least 1 from the last.

    Returns
    -------
    ndarray
        `(n, m[, C])`: uint8, rounded, of uint8, else float32.
    """
    along_rows = _means_along_rows(image, rows)
    both = _means_along_rows(along_rows.swapaxes(0, 1), columns).swapaxes(0, 1)
    return _like(image, np.ascontiguousarray(both))


def padded_to(image: NDArray[Any], n_rows: int, n_columns: int) -> NDArray[Any]:
    """The image with its last row and column repeated up to a size that is no smaller than its own."""
    missing = [(0, n_rows - image.shape[0]), (0, n_columns - image.shape[1])] + [(0, 0)] * (image.ndim - 2)
    return np.pad(image, missing, mode="edge") if any(after for _, after in missing) else image


def _means_along_rows(image: NDArray[Any], edges: NDArray[np.float64]) -> NDArray[np.float32]:
    starts = np.floor(edges).astype(np.intp)
    # of the pixel in which a stretch begins, what belongs to the stretch before it
    share = (edges - starts).astype(np.float32).reshape(-1, *(1,) * (image.ndim - 1))
    shared = share * image[np.minimum(starts, len(image) - 1)]
    sums = np.add.reduceat(image[: starts[-1]], starts[:-1], axis=0, dtype=np.float32)
    lengths = np.diff(edges).astype(np.float32).reshape(-1, *(1,) * (image.ndim - 1))
    means: NDArray[np.float32] = (sums - shared[:-1] + shared[1:]) / lengths
    return means


def _like(image: NDArray[Any], means: NDArray[np.float32]) -> NDArray[Any]:
    return np.round(means).astype(np.uint8) if image.dtype == np.uint8 else means
