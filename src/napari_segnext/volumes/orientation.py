"""Which way the axes of a volume run in the body, by its affine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np

from napari_segnext.errors import VolumeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

View: TypeAlias = Literal["axial", "coronal", "sagittal"]
"""A family of parallel slices: across the feet-head, back-front or left-right direction."""

VIEWS: tuple[View, ...] = get_args(View)
"""In the order of the world axes that they cut across: (feet → head, back → front, left → right)."""

_LETTERS = (("I", "S"), ("P", "A"), ("L", "R"))
"""Of each world axis the letters of its beginning and its end."""


def axis_letters(affine: NDArray[Any]) -> tuple[str, str, str]:
    """Letter of the direction in which the index of each axis grows, such as `("S", "P", "L")`.

    Parameters
    ----------
    affine
        `(4, 4)` float, voxel (Z, Y, X) → world (towards the head, the front, the right).
    """
    first, second, third = (
        _LETTERS[world][int(affine[world, axis] > 0)] for axis, world in enumerate(_world_axis_of(affine))
    )
    return first, second, third


def axis_of_view(affine: NDArray[Any], view: View) -> int:
    """The array axis along which slices of that view follow each other; of an oblique volume the nearest.

    Parameters
    ----------
    affine
        `(4, 4)` float, voxel (Z, Y, X) → world (towards the head, the front, the right).
    view
        Which slices.

    Raises
    ------
    VolumeError
        If there is no such view.
    """
    if view not in VIEWS:
        raise VolumeError(f"view is {view!r}; expected one of {', '.join(VIEWS)}. Name one of these.")
    return _world_axis_of(affine).index(VIEWS.index(view))


def _world_axis_of(affine: NDArray[Any]) -> tuple[int, ...]:
    """For each array axis a world axis of its own: the most parallel pair first, then the next."""
    directions = np.abs(affine[:3, :3]) / np.linalg.norm(affine[:3, :3], axis=0)
    world_axis_of = [0, 0, 0]
    for _ in range(3):
        world, axis = np.unravel_index(int(np.argmax(directions)), directions.shape)
        world_axis_of[int(axis)] = int(world)
        directions[world, :] = -1
        directions[:, axis] = -1
    return tuple(world_axis_of)
