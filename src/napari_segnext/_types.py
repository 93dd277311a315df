"""Names of array types that every floor may use."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Mask: TypeAlias = NDArray[np.bool_]
"""`(H, W)` bool, one object."""

Probability: TypeAlias = NDArray[np.float32]
"""`(H, W)` float32 in [0, 1]."""

Image: TypeAlias = NDArray[Any]
"""`(H, W)` or `(H, W, C)`, any numeric dtype."""

LabelImage: TypeAlias = NDArray[Any]
"""`(H, W)` integer, 0 is background."""

Shape2D: TypeAlias = tuple[int, int]
"""(rows, columns)."""
