"""Candidates drawn as squares, and an image with three disks."""

from __future__ import annotations

import numpy as np
import pytest

from napari_segnext.everything import Candidate
from napari_segnext.prompts import Click
from napari_segnext.session.windows import Window, extent_of_mask

DISKS = (((16, 20), 8), ((40, 60), 10), ((48, 24), 6))
"""(centre, radius) of each, on 64 × 80 pixels."""


def square(number: int, top: int, left: int, side: int, *, stability: float = 0.9, certainty: float = 0.8) -> Candidate:
    """A full square."""
    mask = np.ones((side, side), bool)
    middle = (side - 1) / 2
    return Candidate(
        number, Click(top + middle, left + middle), Window(top, left, side, side), mask, stability, certainty
    )


def candidate_of(mask: np.ndarray, number: int = 0, stability: float = 0.9) -> Candidate:
    """What is true in a `(H, W)` mask."""
    window = extent_of_mask(mask)
    assert window is not None
    row, column = np.argwhere(mask)[0]
    return Candidate(number, Click(row, column), window, mask[window.slices], stability, 0.8)


def full(candidate: Candidate, shape: tuple[int, int]) -> np.ndarray:
    """Its mask over the whole image."""
    mask = np.zeros(shape, bool)
    mask[candidate.window.slices] = candidate.mask
    return mask


@pytest.fixture
def disks() -> np.ndarray:
    """`(64, 80)` uint8, 255 on three disks."""
    rows, columns = np.mgrid[:64, :80]
    image = np.zeros((64, 80), np.uint8)
    for (row, column), radius in DISKS:
        image[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = 255
    return image
