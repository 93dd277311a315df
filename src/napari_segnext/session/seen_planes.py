"""What the model sees of images: a plane as it is, or one to three channels, each stretched as a viewer shows it.

The annotator and the command line both read planes here, so that one sees what the other saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.session.preprocess import stack_channels, stretch_channel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_segnext._types import Image

Selector = tuple[int | slice, ...]
"""Index of an array that cuts out a plane: a number along each axis but two."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenChannel:
    """One channel of what the model sees.

    Attributes
    ----------
    array
        Grey planes, lazy or not; alone and plain also RGB, with the colours as last axis.
    axis, index
        An axis of the array along which channels lie, and which one of them is taken; None for the plane itself.
    contrast_limits
        Values that become black and white; None for the 0.1st and 99.9th percentile of the plane (uint8 as it is).
    gamma
        Exponent of the brightness between black and white.
    """

    array: Any
    axis: int | None = None
    index: int = 0
    contrast_limits: tuple[float, float] | None = None
    gamma: float = 1.0

    @property
    def is_plain(self) -> bool:
        """Whether the plane is taken as it is."""
        return self.axis is None and self.contrast_limits is None and self.gamma == 1

    def plane(self, selector: Selector) -> NDArray[np.uint8]:
        """`(rows, columns)` uint8: the plane, stretched."""
        places = list(selector)
        if self.axis is not None and not isinstance(places[self.axis], slice):
            places[self.axis] = self.index
        return stretch_channel(np.asarray(self.array[tuple(places)]), self.contrast_limits, self.gamma)


def seen_plane(channels: Sequence[SeenChannel], selector: Selector) -> Image:
    """A plane as the model sees it. Lazy arrays are read here.

    Parameters
    ----------
    channels
        One to three; the second and third become green and blue.
    selector
        Cuts the plane out of each of their arrays.

    Returns
    -------
    ndarray
        Of one plain channel `(rows, columns[, C])` as it is; of another `(rows, columns)` uint8; of several
        `(rows, columns, 3)` uint8.
    """
    if len(channels) == 1 and channels[0].is_plain:
        return np.asarray(channels[0].array[selector])
    return stack_channels([channel.plane(selector) for channel in channels])


class SeenPlanes:
    """Planes that follow each other along an axis, as a lazy array `(n, rows, columns[, C])`.

    Parameters
    ----------
    channels
        As of `seen_plane`.
    selector
        Cuts one of the planes out.
    along
        The axis of the arrays along which they follow each other.
    """

    def __init__(self, channels: Sequence[SeenChannel], selector: Selector, along: int) -> None:
        self._channels, self._selector, self._along = tuple(channels), selector, along
        array = self._channels[0].array
        is_plain = len(self._channels) == 1 and self._channels[0].is_plain
        lengths = [int(n) for n in array.shape]
        rows, columns = (lengths[axis] for axis, part in enumerate(selector) if isinstance(part, slice))
        colours: tuple[int, ...] = (3,) if len(self._channels) > 1 else ()
        if is_plain:
            colours = tuple(lengths[len(selector) :])
        self.dtype = np.dtype(array.dtype) if is_plain else np.dtype(np.uint8)
        self.shape = (lengths[along], rows, columns, *colours)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """What whole numbers along the first axis, and anything along the others, pick; one plane is read."""
        index, *rest = key if isinstance(key, tuple) else (key,)
        places = (*self._selector[: self._along], int(index), *self._selector[self._along + 1 :])
        return np.asarray(seen_plane(self._channels, places)[tuple(rest)])
