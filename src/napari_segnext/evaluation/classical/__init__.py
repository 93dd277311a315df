"""Classical methods that answer the same prompts, to see what a network is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segnext.evaluation.classical.grabcut import GrabCut
from napari_segnext.evaluation.classical.random_walker import RandomWalker
from napari_segnext.evaluation.classical.watershed import Watershed

if TYPE_CHECKING:
    from napari_segnext.evaluation.methods import Method

__all__ = ["GrabCut", "RandomWalker", "Watershed", "classical_methods"]


def classical_methods() -> tuple[Method, ...]:
    """All of them.

    Raises
    ------
    ModuleNotFoundError
        If OpenCV is not installed.
    """
    return RandomWalker(), GrabCut(), Watershed()
