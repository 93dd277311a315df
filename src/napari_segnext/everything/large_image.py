"""Reading images that do not fit into memory: window by window, from whatever can be sliced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_segnext.errors import ImageError
from napari_segnext.session.preprocess import resolve_contrast_limits
from napari_segnext.session.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext._types import Image, Shape2D
    from napari_segnext.session.preprocess import ContrastLimits

SAMPLE_PX = 4_000_000
"""Of an image that is larger, at most so many pixels are read for its contrast limits."""

SAMPLE_BLOCK_PX = 256
"""Side of the blocks that are read for them."""


class LargeImage(Protocol):
    """What is needed of an image that is read by windows: numpy, memory maps, zarr and dask arrays have it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns) or (rows, columns, channels)."""

    @property
    def dtype(self) -> Any:
        """Kind of number."""

    def __getitem__(self, key: Any, /) -> Any:
        """What two slices pick; only that is read."""


class Plane:
    """One plane of an array of more axes, as an image that is read by windows.

    Parameters
    ----------
    array
        Array with `shape`, `dtype` and indexing by numbers and slices.
    selector
        For each of its axes, in order, an index, or `slice(None)` for rows and columns; axes after them are channels.
    """

    def __init__(self, array: Any, selector: tuple[int | slice, ...]) -> None:
        self._array = array
        self._selector = selector
        kept = [axis for axis, part in enumerate(selector) if isinstance(part, slice)]
        channels = array.shape[len(selector) :]
        self.shape = (*(int(array.shape[axis]) for axis in kept), *(int(n) for n in channels))
        self.dtype: np.dtype[Any] = np.dtype(array.dtype)

    def __getitem__(self, key: tuple[slice, slice]) -> Image:
        parts = iter(key)
        return np.asarray(
            self._array[tuple(next(parts) if isinstance(part, slice) else part for part in self._selector)]
        )


def shape_of(image: LargeImage) -> Shape2D:
    """(rows, columns).

    Raises
    ------
    ImageError
        If the image is none.
    """
    shape = tuple(int(n) for n in image.shape)
    if len(shape) not in (2, 3) or 0 in shape or (len(shape) == 3 and shape[2] > 4):
        raise ImageError(
            f"image has shape {shape}; expected (H, W) or (H, W, C) with 1 to 4 channels. "
            "Move the channel axis last, or pick one slice."
        )
    return shape[0], shape[1]


def read_window(image: LargeImage, window: Window) -> Image:
    """The pixels of a window, `(h, w)` or `(h, w, C)`; nothing else is read."""
    return np.asarray(image[window.slices])


def has_numbers(pixels: Image) -> bool:
    """Whether a pixel is finite; around what was measured, images of real numbers are NaN."""
    return pixels.dtype.kind != "f" or bool(np.isfinite(pixels).any())


def shared_contrast_limits(image: LargeImage, contrast_limits: ContrastLimits | None = None) -> ContrastLimits | None:
    """Contrast limits for all windows of an image, as `resolve_contrast_limits` has them.

    Those of an image above `SAMPLE_PX` pixels come from blocks that are spread evenly over it.

    Parameters
    ----------
    image
        `(H, W)` or `(H, W, C)`.
    contrast_limits
        As of `Session`; if they are given, nothing is read.

    Raises
    ------
    ImageError
        If no pixel is finite.
    ValueError
        If the contrast limits are wrong.
    """
    dtype = np.dtype(image.dtype)
    if contrast_limits is None and dtype not in (np.uint8, bool):
        return resolve_contrast_limits(_sample(image))
    return resolve_contrast_limits(np.zeros((1, 1, *image.shape[2:]), dtype), contrast_limits)


def _sample(image: LargeImage) -> NDArray[Any]:
    """`(rows, columns[, C])`: all of a small image, blocks of a large one, one below the other."""
    blocks = sample_windows(shape_of(image))
    return np.concatenate([read_window(image, block) for block in blocks])


def sample_windows(image_shape: Shape2D) -> list[Window]:
    """Windows of one size, spread evenly over an image, of `SAMPLE_PX` pixels together at most."""
    rows, columns = image_shape
    if rows * columns <= SAMPLE_PX:
        return [Window.whole(image_shape)]
    height, width = min(rows, SAMPLE_BLOCK_PX), min(columns, SAMPLE_BLOCK_PX)
    n_blocks = SAMPLE_PX // (height * width)
    n_rows = int(np.clip(np.sqrt(n_blocks * rows / columns), 1, min(n_blocks, rows // height)))
    n_columns = int(np.clip(n_blocks // n_rows, 1, columns // width))
    tops, lefts = (
        np.linspace(0, rows - height, n_rows, dtype=int),
        np.linspace(0, columns - width, n_columns, dtype=int),
    )
    return [Window(int(top), int(left), height, width) for top in tops for left in lefts]
