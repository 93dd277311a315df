"""The five kinds of prompt. Each is a frozen value in pixel coordinates of one slice.

Coordinates are (row, column); whole numbers are pixel centres, so the pixel (r, c) covers [r - 0.5, r + 0.5) ×
[c - 0.5, c + 0.5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from napari_segnext.errors import PromptError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from napari_segnext._types import Mask

RowColumn: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Click:
    """One hint: the object is here, or it is not.

    Attributes
    ----------
    row, column
        Position in pixels.
    is_positive
        Whether the position belongs to the object.
    """

    kind: ClassVar[str] = "click"

    row: float
    column: float
    is_positive: bool = True

    def __post_init__(self) -> None:
        _require_finite(self.kind, (self.row, self.column))
        object.__setattr__(self, "row", float(self.row))
        object.__setattr__(self, "column", float(self.column))
        object.__setattr__(self, "is_positive", bool(self.is_positive))


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle around the object. SegNext reads its four corners as negative clicks (paper, Fig. 2).

    Attributes
    ----------
    top, left, bottom, right
        Edges in pixels. Edges given the wrong way round are swapped.
    """

    kind: ClassVar[str] = "box"

    top: float
    left: float
    bottom: float
    right: float

    def __post_init__(self) -> None:
        _require_finite(self.kind, (self.top, self.left, self.bottom, self.right))
        top, bottom = sorted((float(self.top), float(self.bottom)))
        left, right = sorted((float(self.left), float(self.right)))
        if top == bottom or left == right:
            raise PromptError(
                f"box from ({top:g}, {left:g}) to ({bottom:g}, {right:g}) has no area; "
                "expected two corners that differ in row and column. Draw it again."
            )
        for name, value in zip(("top", "left", "bottom", "right"), (top, left, bottom, right), strict=True):
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True, init=False)
class Polygon:
    """An outline around the object. SegNext reads its vertices as negative clicks (paper, Fig. 2).

    Attributes
    ----------
    vertices
        At least three (row, column), without the first one repeated at the end.
    """

    kind: ClassVar[str] = "polygon"

    vertices: tuple[RowColumn, ...]

    def __init__(self, vertices: ArrayLike) -> None:
        points = _points(self.kind, vertices)
        if len(points) > 1 and points[0] == points[-1]:
            points = points[:-1]
        if len(points) < 3:
            raise PromptError(f"polygon has {len(points)} vertices; expected at least 3. Draw it again.")
        object.__setattr__(self, "vertices", points)


@dataclass(frozen=True, slots=True, init=False)
class Scribble:
    """A stroke on the object, or beside it. SegNext reads it as clicks along the path (paper, Fig. 2).

    Attributes
    ----------
    path
        At least one (row, column), in drawing order.
    is_positive
        Whether the stroke lies on the object.
    width
        Width of the drawn stroke in pixels; kept for display, the model's disks have their own size.
    """

    kind: ClassVar[str] = "scribble"

    path: tuple[RowColumn, ...]
    is_positive: bool
    width: float

    def __init__(self, path: ArrayLike, is_positive: bool = True, width: float = 1.0) -> None:
        _require_finite(self.kind, (width,))
        if width <= 0:
            raise PromptError(f"scribble has width {width:g}; expected a width above 0 pixels.")
        object.__setattr__(self, "path", _points(self.kind, path))
        object.__setattr__(self, "is_positive", bool(is_positive))
        object.__setattr__(self, "width", float(width))


@dataclass(frozen=True, slots=True, init=False, eq=False)
class MaskPrompt:
    """A mask to start from; it takes the place of the previous mask. Compared by value.

    Attributes
    ----------
    mask
        `(H, W)` bool, read-only, of the shape of the image.
    """

    kind: ClassVar[str] = "mask"

    mask: Mask

    def __init__(self, mask: ArrayLike) -> None:
        array = np.array(mask)
        if array.ndim != 2 or array.size == 0:
            raise PromptError(f"mask has shape {array.shape}; expected (H, W), the shape of the image.")
        if array.dtype != bool and not np.isfinite(array).all():
            raise PromptError("mask has values that are not finite; expected 0 outside and anything else inside.")
        array = array.astype(bool)
        if not array.any():
            raise PromptError("mask is empty; expected at least one pixel of the object. Use reset to start anew.")
        array.setflags(write=False)
        object.__setattr__(self, "mask", array)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MaskPrompt) and np.array_equal(self.mask, other.mask)

    def __hash__(self) -> int:
        return hash((self.mask.shape, self.mask.tobytes()))


Prompt: TypeAlias = Click | Box | Polygon | Scribble | MaskPrompt


def _require_finite(kind: str, numbers: tuple[float, ...]) -> None:
    if not all(math.isfinite(number) for number in numbers):
        raise PromptError(f"{kind} has a coordinate that is not finite: {numbers}. Draw it again.")


def _points(kind: str, points: Any) -> tuple[RowColumn, ...]:
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] != 2:
        raise PromptError(f"{kind} has points of shape {array.shape}; expected (n, 2) of (row, column), n at least 1.")
    if not np.isfinite(array).all():
        raise PromptError(f"{kind} has a coordinate that is not finite. Draw it again.")
    return tuple((float(row), float(column)) for row, column in array)
