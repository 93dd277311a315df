"""An array whose axes are put in another order without reading it."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


class RearrangedArray:
    """Another array with its axes reordered, added or dropped; what is indexed is read from it, and no more.

    Indices are whole numbers, slices with a positive step and `...`, as napari and `Volume` use them; the result is a
    numpy array in the machine's byte order.

    Parameters
    ----------
    source
        Array with `shape`, `dtype` and indexing by numbers and slices.
    axes
        For each axis of this array the axis of the source, or None for a new axis of length 1.
    fixed
        Axis of the source → the index at which it is held, for axes that are dropped.

    Raises
    ------
    ValueError
        If `axes` and `fixed` do not name each axis of the source once.
    """

    def __init__(self, source: Any, axes: Sequence[int | None], fixed: Mapping[int, int] | None = None) -> None:
        self._source = source
        self._axes = tuple(axes)
        self._fixed = dict(fixed or {})
        n_axes = len(source.shape)
        named = sorted([axis for axis in self._axes if axis is not None] + list(self._fixed))
        if named != list(range(n_axes)):
            raise ValueError(
                f"axes {self._axes} and fixed axes {tuple(self._fixed)} do not fit an array of {n_axes} axes; "
                "expected each axis once. Name each, in `axes` or in `fixed`."
            )
        self.shape = tuple(1 if axis is None else int(source.shape[axis]) for axis in self._axes)
        self.dtype: np.dtype[Any] = np.dtype(source.dtype).newbyteorder("=")

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        size = 1
        for length in self.shape:
            size *= length
        return size

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        keys = key_of_each_axis(key, self.shape)
        source_key: list[int | slice] = [self._fixed.get(axis, slice(None)) for axis in range(len(self._source.shape))]
        for axis, part in zip(self._axes, keys, strict=True):
            if axis is not None:
                source_key[axis] = part
        read = np.asarray(self._source[tuple(source_key)])

        # The axes that are left, in our order, then the new ones put between
        left = [(axis, part) for axis, part in zip(self._axes, keys, strict=True) if not isinstance(part, int)]
        ours = [axis for axis, _ in left if axis is not None]
        read = read.transpose([sorted(ours).index(axis) for axis in ours])
        read = read[tuple(None if axis is None else slice(None) for axis, _ in left)]
        read = read[tuple(part if axis is None else slice(None) for axis, part in left)]
        return read.astype(self.dtype, copy=False)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        del copy
        array = self[...]
        return array if dtype is None else array.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"RearrangedArray(shape={self.shape}, dtype={self.dtype})"


def key_of_each_axis(key: Any, shape: tuple[int, ...]) -> tuple[int | slice, ...]:
    """Whatever picks from an array of that shape, as one part for each axis: a number from 0, or a slice.

    Raises
    ------
    IndexError
        If there are too many parts, a number lies outside, or a part is neither number nor slice.
    """
    parts = list(key) if isinstance(key, tuple) else [key]
    if any(part is Ellipsis for part in parts):
        place = next(i for i, part in enumerate(parts) if part is Ellipsis)
        parts[place : place + 1] = [slice(None)] * (len(shape) - len(parts) + 1)
    parts += [slice(None)] * (len(shape) - len(parts))
    if len(parts) != len(shape):
        raise IndexError(f"{len(parts)} indices for an array of {len(shape)} axes; expected at most {len(shape)}.")
    return tuple(_key_of_axis(part, length) for part, length in zip(parts, shape, strict=True))


def _key_of_axis(part: Any, length: int) -> int | slice:
    if isinstance(part, slice):
        if part.step is not None and part.step < 1:
            raise IndexError(f"a slice has step {part.step}; expected 1 or more. Read it, then turn it round.")
        return part
    try:
        index = operator.index(part)
    except TypeError:
        raise IndexError(
            f"index is a {type(part).__name__}; expected whole numbers and slices. Read it with np.asarray first."
        ) from None
    if not -length <= index < length:
        raise IndexError(f"index {index} lies outside an axis of length {length}.")
    return index % length
