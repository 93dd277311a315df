"""An image that is too large to be held: read window by window, from the level that is fine enough.

Nothing is read when an `ImagePyramid` is made. Positions and sizes are in pixels of its finest level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.errors import ImageError
from napari_segnext.session.blocks import block_means, padded_to, stretch_means
from napari_segnext.session.windows import Window
from napari_segnext.volumes import RearrangedArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext._types import Shape2D
    from napari_segnext.volumes import LazyArray, Volume

MAX_READ_PX = 4096 * 4096
"""Pixels of a level that one look at an image may read."""

MAX_SAMPLE_PX = 4_200_000
"""Pixels of the coarsest level that brightness is taken from; of a larger one, spots all over it are read."""

N_SPOTS = 8
"""Along each axis."""

SPOT_PX = 256
"""Side of a spot; it touches few chunks of an array on disk."""


@dataclass(frozen=True, eq=False)
class ImagePyramid:
    """A large image and coarser copies of it, read window by window.

    Attributes
    ----------
    levels
        Arrays `(H, W)` or `(H, W, C)` with 1 to 4 channels, of one dtype, finest first; one is enough, but then only
        windows of up to 4096 × 4096 pixels can be looked at. They need not be halves of each other.

    Raises
    ------
    ImageError
        If there is no level, one is no array of such a shape and dtype, or a level is not coarser than the one before.

    Examples
    --------
    >>> Session(model, ImagePyramid.of(dask_array_or_list_of_levels))  # doctest: +SKIP
    >>> Session(model, ImagePyramid.of_volume(read_volume("slide.zarr")))  # doctest: +SKIP
    """

    levels: tuple[LazyArray, ...]

    def __post_init__(self) -> None:
        if not self.levels:
            raise ImageError("the pyramid has no level; expected one array or more, finest first.")
        for number, level in enumerate(self.levels):
            _require_level(level, number)
        for number in range(1, len(self.levels)):
            _require_coarser(self.levels[number], self.levels[number - 1], number)

    @classmethod
    def of(cls, image: Any) -> ImagePyramid:
        """The pyramid of an array, or of a list of levels, finest first; a pyramid is given back. Raises as the class.

        Parameters
        ----------
        image
            Anything with `shape`, `dtype` and slicing, or several such.
        """
        if isinstance(image, ImagePyramid):
            return image
        is_one = hasattr(image, "shape") and not isinstance(image, Sequence)
        return cls((image,) if is_one else tuple(image))

    @classmethod
    def of_volume(cls, volume: Volume, index: int = 0, *, channel: int | None = None) -> ImagePyramid:
        """A plane of a volume with all levels that its file has, such as a slide in OME-Zarr.

        Parameters
        ----------
        volume
            From `read_volume`; of one with time, the first point is taken, see `Volume.at_time`.
        index
            Of the plane along Z, at the finest level.
        channel
            One channel, grey; None for all of them, up to 4.

        Raises
        ------
        ImageError
            If there is no such plane or channel; see also the class.
        """
        volume = volume.at_time(0)
        n_planes = volume.shape_zyx[0]
        if not 0 <= index < n_planes:
            raise ImageError(f"plane {index} was asked of '{volume.name}'; expected 0 to {n_planes - 1}.")
        if channel is not None and not 0 <= channel < volume.n_channels:
            raise ImageError(f"channel {channel} was asked of '{volume.name}'; expected 0 to {volume.n_channels - 1}.")
        levels = volume.levels or (volume.array,)
        return cls(tuple(_plane(level, index, n_planes, channel) for level in levels))

    @property
    def image_shape(self) -> Shape2D:
        """(rows, columns) of the finest level."""
        return _image_shape(self.levels[0])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of number in the machine's byte order; `read` gives float32 where it averages other than uint8."""
        dtype: np.dtype[Any] = np.dtype(self.levels[0].dtype).newbyteorder("=")
        return dtype

    @property
    def n_channels(self) -> int | None:
        """Length of the last axis if that is channels, else None."""
        return int(self.levels[0].shape[2]) if len(self.levels[0].shape) == 3 else None

    @cached_property
    def max_side(self) -> int:
        """The longest side of windows that can be looked at; that of the image if it can be seen whole."""
        rows, columns = self.image_shape
        coarsest = max(self._scales[-1])
        if rows * columns <= MAX_READ_PX * coarsest**2:
            return max(rows, columns)
        return math.floor(math.sqrt(MAX_READ_PX) * coarsest)

    def factor_for(self, window: Window, least: int) -> int:
        """The smallest side of blocks, from `least` on, with which reading a window is bounded.

        Raises
        ------
        ImageError
            If there is none, as the image has no level that is coarse enough.
        """
        for factor in (least, *(math.ceil(max(scales)) for scales in self._scales)):
            if factor >= least and self._n_px_read(window, factor) <= MAX_READ_PX:
                return factor
        raise ImageError(
            f"a window of {window.height} × {window.width} pixels cannot be looked at: at its coarsest level the image "
            f"has {self._n_px_read(window, 2**62):,} pixels there; expected at most {MAX_READ_PX:,}. Give coarser "
            "levels: ImagePyramid.of([array, array[::4, ::4], …]), averaged if you can."
        )

    def read(self, window: Window, factor: int = 1) -> NDArray[Any]:
        """A window, averaged over blocks, read from the coarsest level that is still as fine as the blocks.

        Parameters
        ----------
        window
            In pixels of the finest level, within the image.
        factor
            Side of the blocks in pixels of the finest level, at least 1. Blocks begin at the window's corner; the last
            ones may reach beyond it and are filled with its last pixels.

        Returns
        -------
        ndarray
            `(ceil(height / factor), ceil(width / factor)[, C])`: the level's own pixels where a block is one of them,
            else their means, uint8 of uint8 and float32 of all else.

        Raises
        ------
        ImageError
            If the window does not lie within the image.
        """
        if factor < 1 or not Window.whole(self.image_shape).contains(window):
            raise ImageError(
                f"{window} in blocks of {factor} was asked of an image of shape {self.image_shape}; expected a window "
                "within it, and blocks of 1 pixel or more."
            )
        number = self._level_for(factor)
        rows, columns = (
            _Stretch.of(start, length, factor, scale, n)
            for start, length, scale, n in zip(
                (window.top, window.left),
                window.shape,
                self._scales[number],
                _image_shape(self.levels[number]),
                strict=True,
            )
        )
        pixels = np.asarray(self.levels[number][rows.read, columns.read])
        pixels = padded_to(pixels.astype(self.dtype, copy=False), rows.n_padded, columns.n_padded)
        if rows.is_whole and columns.is_whole and rows.pixels_per_block == columns.pixels_per_block:
            return block_means(pixels, round(rows.pixels_per_block))
        return stretch_means(pixels, rows.edges, columns.edges)

    def sample(self) -> NDArray[Any]:
        """Pixels that tell how bright the image is, `(h, w[, C])`: the coarsest level, or spots all over it."""
        level = self.levels[-1]
        rows, columns = _image_shape(level)
        if rows * columns <= MAX_SAMPLE_PX:
            return np.asarray(level[:, :]).astype(self.dtype, copy=False)
        row_spots, column_spots = (_spots(n) for n in (rows, columns))
        lines = [np.concatenate([np.asarray(level[r, c]) for c in column_spots], axis=1) for r in row_spots]
        return np.concatenate(lines, axis=0).astype(self.dtype, copy=False)

    @cached_property
    def _scales(self) -> tuple[tuple[float, float], ...]:
        """Rows and columns of the finest level in one of each level."""
        rows, columns = self.image_shape
        shapes = [_image_shape(level) for level in self.levels]
        return tuple((_scale(rows, shape[0]), _scale(columns, shape[1])) for shape in shapes)

    def _level_for(self, factor: int) -> int:
        """The coarsest level whose pixels are no larger than blocks of `factor`."""
        number = 0
        while number + 1 < len(self.levels) and max(self._scales[number + 1]) <= factor:
            number += 1
        return number

    def _n_px_read(self, window: Window, factor: int) -> int:
        along_rows, along_columns = self._scales[self._level_for(factor)]
        return math.ceil(window.height / along_rows) * math.ceil(window.width / along_columns)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A stretch of an axis in blocks, in pixels of a level.

    Attributes
    ----------
    read
        What is read of the level.
    edges
        `(n + 1,)` where blocks begin and end, from the first pixel that is read.
    pixels_per_block
        Length of a block.
    """

    read: slice
    edges: NDArray[np.float64]
    pixels_per_block: float

    @classmethod
    def of(cls, start: int, length: int, factor: int, scale: float, n: int) -> _Stretch:
        """From pixels of the finest level: where it starts, how long it and a block are; `n` is the level's size."""
        n_blocks = -(-length // factor)
        edges = (start + factor * np.arange(n_blocks + 1)) / scale
        # a level may lack the last pixels of the image
        first = min(math.floor(edges[0]), n - 1)
        last = min(math.ceil((start + length) / scale), n)
        return cls(slice(first, last), edges - first, factor / scale)

    @property
    def is_whole(self) -> bool:
        """Whether blocks begin and end between pixels."""
        return bool(self.edges[0] == 0 and self.pixels_per_block.is_integer())

    @property
    def n_padded(self) -> int:
        """Pixels from the first one that is read to the end of the last block."""
        return int(max(self.read.stop - self.read.start, np.ceil(self.edges[-1])))


def _require_level(level: Any, number: int) -> None:
    shape = tuple(getattr(level, "shape", ()))
    if len(shape) not in (2, 3) or 0 in shape or (len(shape) == 3 and shape[2] > 4):
        raise ImageError(
            f"level {number} of the pyramid is a {type(level).__name__} of shape {shape}; expected (H, W) or (H, W, C) "
            "with 1 to 4 channels. Pick one slice, or move the channel axis last."
        )
    if np.dtype(level.dtype).kind not in "buif":
        raise ImageError(f"level {number} has dtype {level.dtype}; expected an integer, floating or bool dtype.")


def _require_coarser(level: LazyArray, finer: LazyArray, number: int) -> None:
    if level.dtype != finer.dtype or tuple(level.shape[2:]) != tuple(finer.shape[2:]):
        raise ImageError(
            f"level {number} has shape {tuple(level.shape)} and dtype {level.dtype}, the one before it "
            f"{tuple(finer.shape)} and {finer.dtype}; expected the same channels and dtype. Convert it."
        )
    one, other = _image_shape(level), _image_shape(finer)
    if one == other or one[0] > other[0] or one[1] > other[1]:
        raise ImageError(
            f"level {number} has {one[0]} × {one[1]} pixels, the one before it {other[0]} × {other[1]}; expected "
            "fewer. Give levels finest first."
        )


def _plane(level: Any, index: int, n_planes: int, channel: int | None) -> RearrangedArray:
    """A plane of a level `(Z, Y, X[, C])`, which may have fewer planes than the finest one."""
    n_here = int(level.shape[0])
    fixed = {0: min(n_here - 1, int((index + 0.5) * n_here / n_planes))}
    axes = tuple(range(1, len(level.shape)))
    if len(level.shape) == 4 and (channel is not None or level.shape[3] == 1):
        fixed[3] = channel or 0
        axes = (1, 2)
    return RearrangedArray(level, axes, fixed)


def _image_shape(level: LazyArray) -> Shape2D:
    return int(level.shape[0]), int(level.shape[1])


def _scale(n_finest: int, n: int) -> float:
    """Pixels of the finest level in one of a level; whole where the level's size is a rounded one."""
    nearest = round(n_finest / n)
    return float(nearest) if abs(n_finest - nearest * n) < nearest else n_finest / n


def _spots(n: int) -> list[slice]:
    """Spots along an axis; where it is too short for them, all of it in parts."""
    if n <= N_SPOTS * SPOT_PX:
        return [slice(0, n)]
    starts = np.linspace(0, n - SPOT_PX, N_SPOTS).astype(int)
    return [slice(int(start), int(start) + SPOT_PX) for start in starts]
