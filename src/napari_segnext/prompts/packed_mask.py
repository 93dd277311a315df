"""Masks of one slice in an eighth of a byte a pixel, and only where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext._types import Mask, Shape2D


@dataclass(frozen=True, eq=False)
class PackedMask:
    """A mask, packed.

    Attributes
    ----------
    shape
        (rows, columns) of the slice.
    corner, size
        First row and column, height and width of the box about the object.
    bits
        Packed bits of the box, in C order; empty for an empty mask.
    """

    shape: Shape2D
    corner: tuple[int, int]
    size: tuple[int, int]
    bits: NDArray[np.uint8]

    @classmethod
    def of(cls, mask: Mask) -> PackedMask:
        """Pack a mask `(rows, columns)` bool."""
        shape = (mask.shape[0], mask.shape[1])
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows) == 0:
            return cls(shape, (0, 0), (0, 0), np.zeros(0, np.uint8))
        top, left, bottom, right = int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
        bits = np.packbits(mask[top:bottom, left:right])
        return cls(shape, (top, left), (bottom - top, right - left), bits)

    def unpacked(self) -> Mask:
        """`(rows, columns)` bool, a new array."""
        mask = np.zeros(self.shape, dtype=bool)
        (top, left), (height, width) = self.corner, self.size
        inside = np.unpackbits(self.bits, count=height * width).astype(bool)
        mask[top : top + height, left : left + width] = inside.reshape(height, width)
        return mask
