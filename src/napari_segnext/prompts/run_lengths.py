"""Masks as run lengths: short numbers for large areas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_segnext.errors import PromptError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_segnext._types import Mask

MAX_MASK_PX = 2**30
"""Pixels of the largest mask that is unpacked; a few characters could ask for any amount of memory."""


def run_lengths_of_mask(mask: Mask) -> list[int]:
    """Lengths of the runs of equal pixels in row-major order, the first of False (0 if the first pixel is True).

    Parameters
    ----------
    mask
        `(H, W)` bool.
    """
    flat = np.asarray(mask, dtype=bool).ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return [0, *lengths] if flat[0] else lengths


def mask_from_run_lengths(lengths: Sequence[int], shape: Sequence[int]) -> Mask:
    """Mask of its run lengths.

    Parameters
    ----------
    lengths
        As from `run_lengths_of_mask`: alternately of False and True, none below 0, only the first may be 0.
    shape
        (rows, columns), both above 0.

    Returns
    -------
    ndarray
        `shape` bool.

    Raises
    ------
    PromptError
        If the lengths do not fill the shape exactly, or the shape is not (rows, columns) of a sensible size.
    """
    if len(shape) != 2 or math.prod(shape) > MAX_MASK_PX:
        raise PromptError(f"mask has shape {list(shape)}; expected [rows, columns] of at most {MAX_MASK_PX} pixels.")
    if sum(lengths) != math.prod(shape) or any(length < (i > 0) for i, length in enumerate(lengths)):
        raise PromptError(
            f"run lengths of the mask sum up to {sum(lengths)}; expected {math.prod(shape)}, its number of pixels, "
            "and no length of 0 but the first. Write the mask again."
        )
    is_object = np.arange(len(lengths)) % 2 == 1
    return np.repeat(is_object, lengths).reshape(tuple(shape))
