"""The part of a slice that matters: nothing else is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from napari_segnext._types import Mask

Window: TypeAlias = tuple[slice, slice]
"""(rows, columns) of a slice."""


def bounds(mask: Mask) -> Window:
    """The bounding box of a mask `(H, W)` bool that is not empty."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def window_about(mask: Mask, margin_px: int) -> Window:
    """The bounding box of a mask that is not empty, wider by a margin on every side, within the slice."""
    rows, columns = (
        slice(max(0, along.start - margin_px), min(n, along.stop + margin_px))
        for along, n in zip(bounds(mask), mask.shape, strict=True)
    )
    return rows, columns
