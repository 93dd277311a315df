"""Edits of a labels layer: planned as values, then applied, taken back, repeated.

An edit knows of each of its pixels what it held before and what it holds after. Applying it touches only pixels that
still hold the former, taking it back only those that still hold the latter: whatever was painted in between, by hand or
with napari's own undo, stays.

Pixels are written with `Labels.data_setitem`, so that napari's undo history stays true: its undo after an edit takes
that edit back, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_segnext.annotator.errors import LockedLabelError, NoFreeLabelError, NothingToAcceptError
from napari_segnext.annotator.layers import require_writable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from numpy.typing import NDArray

    from napari_segnext._types import Mask
    from napari_segnext.annotator.coordinates import ShownSlice

Overlap = Literal["keep", "overwrite"]
"""What happens to pixels of a mask that belong to other objects: they stay theirs, or change hands."""

MAX_BLOCK_PX = 4_000_000
"""Pixels of a labels array that are looked at together."""

MAX_BATCH = 64
"""Edits that are written together."""


@dataclass(frozen=True, eq=False)
class LabelEdit:
    """Pixels within a box of a labels array that get other values.

    Attributes
    ----------
    corner, shape
        The box: its first pixel and its size, along each axis of the array.
    changed
        Packed bits of the box, in C order: which pixels change.
    before, after
        `(n,)` values of these pixels in C order, or `()` where all are equal.
    """

    corner: tuple[int, ...]
    shape: tuple[int, ...]
    changed: NDArray[np.uint8]
    before: NDArray[Any]
    after: NDArray[Any]

    @classmethod
    def between(cls, before: NDArray[Any], after: NDArray[Any], corner: tuple[int, ...]) -> LabelEdit | None:
        """The edit from one block of an array to another of the same shape; None if they are equal.

        Parameters
        ----------
        before, after
            Integer blocks.
        corner
            Where they lie in the array.
        """
        changed = before != after
        if not changed.any():
            return None
        box = _extent(changed)
        changed = changed[box]
        return cls(
            corner=tuple(start + along.start for start, along in zip(corner, box, strict=True)),
            shape=changed.shape,
            changed=np.packbits(changed),
            before=_compact(before[box][changed]),
            after=_compact(after[box][changed]),
        )

    @property
    def indices(self) -> tuple[NDArray[np.intp], ...]:
        """One `(n,)` index array for each axis of the labels array."""
        flat = np.flatnonzero(np.unpackbits(self.changed, count=int(np.prod(self.shape))))
        within = np.unravel_index(flat, self.shape)
        return tuple(axis + start for axis, start in zip(within, self.corner, strict=True))

    @property
    def n_pixels(self) -> int:
        """Number of pixels."""
        return int(np.bitwise_count(self.changed).sum())

    @property
    def n_bytes(self) -> int:
        """Size in memory."""
        return self.changed.nbytes + self.before.nbytes + self.after.nbytes


def plan_accept(
    labels: Any,
    shown: ShownSlice,
    mask: Mask,
    label: int,
    *,
    replaces: Mask | None = None,
    overlap: Overlap = "keep",
    locked: Collection[int] = (),
) -> LabelEdit | None:
    """The edit that gives the pixels of a mask a label.

    Parameters
    ----------
    labels
        Integer array on the image's grid; not changed here.
    shown
        The plane of the mask.
    mask
        `(rows, columns)` bool.
    label
        Number of the object, above 0.
    replaces
        `(rows, columns)` bool, the mask that was accepted under this label before: only where the two differ are pixels
        given or freed, so what was painted elsewhere by hand since then stays. None for a new object.
    overlap
        "keep" leaves pixels of other objects to them, "overwrite" takes them.
    locked
        Labels whose pixels stay in any case.

    Returns
    -------
    LabelEdit or None
        None if an object that was accepted before stays as it is.

    Raises
    ------
    LockedLabelError
        If the label itself is locked.
    NothingToAcceptError
        If a new object's mask is empty, or nothing of it may be written.
    """
    if label in locked:
        raise LockedLabelError(f"object {label} is locked; unlock it first, or accept into another one.")
    if not mask.any() and replaces is None:
        raise NothingToAcceptError("the mask is empty; add a positive click on the object first.")
    touched = mask if replaces is None else mask | replaces
    if not touched.any():
        return None
    box = _extent(touched)
    plane = np.asarray(labels[shown.selector])[box]
    inside, was_inside = mask[box], None if replaces is None else replaces[box]
    taken = inside if was_inside is None else inside & ~was_inside
    if overlap == "keep":
        taken = taken & ((plane == 0) | (plane == label))
    elif locked:
        taken = taken & ~np.isin(plane, list(locked))
    after = np.where(taken, plane.dtype.type(label), plane)
    if was_inside is not None:
        after[was_inside & ~inside & (plane == label)] = 0
    elif not taken.any():
        raise NothingToAcceptError(
            "every pixel of the mask belongs to an object that was accepted before; those are never overwritten. "
            "Click elsewhere, or erase that object first."
        )
    return edit_of_plane(plane, after, (box[0].start, box[1].start), shown)


def labels_under(labels: Any, shown: ShownSlice, mask: Mask, *, but: Iterable[int] = ()) -> tuple[int, ...]:
    """Labels of other objects under a mask `(rows, columns)`, in ascending order."""
    if not mask.any():
        return ()
    box = _extent(mask)
    found = np.unique(np.asarray(labels[shown.selector])[box][mask[box]])
    return tuple(int(label) for label in found if label != 0 and label not in set(but))


def plan_relabel(labels: Any, changes: dict[int, int]) -> tuple[LabelEdit, ...]:
    """Edits that give all pixels of some labels other ones, over a whole array; a block at a time.

    Parameters
    ----------
    labels
        Integer array of any number of axes; lazy ones are read block by block.
    changes
        Label → its new value; 0 deletes the object.
    """
    edits = []
    for block in blocks_of(labels):
        before = np.asarray(labels[block])
        after = before.copy()
        for old, new in changes.items():
            after[before == old] = new
        edit = LabelEdit.between(before, after, tuple(along.start for along in block))
        if edit is not None:
            edits.append(edit)
    return tuple(edits)


def blocks_of(labels: Any) -> Iterable[tuple[slice, ...]]:
    """Indices that cut an array into runs of planes, or a plane into rows, of about `MAX_BLOCK_PX` pixels."""
    shape = tuple(int(n) for n in labels.shape)
    n_leading = max(1, len(shape) - 2)
    # all leading axes but the last of them are walked one by one
    *outer, inner = shape[:n_leading]
    per_step = int(np.prod(shape[n_leading:]))
    step = max(1, min(inner, MAX_BLOCK_PX // max(1, per_step)))
    rest = tuple(slice(0, n) for n in shape[n_leading:])
    for place in np.ndindex(*outer):
        for start in range(0, inner, step):
            leading = tuple(slice(i, i + 1) for i in place)
            yield (*leading, slice(start, min(inner, start + step)), *rest)


def write_pixels(layer: Any, indices: tuple[NDArray[np.intp], ...], values: Any) -> None:
    """Give pixels a value, or each its own, in such a way that napari's undo knows of it; no pixel, nothing done.

    A hidden layer is shown for the moment: napari does not slice hidden layers, and would write into the texture of the
    slice that it showed last, or fail.
    """
    if len(indices[0]) == 0:
        return
    was_visible, layer.visible = layer.visible, True
    try:
        layer.data_setitem(indices, values)
    finally:
        layer.visible = was_visible


def apply_edits(layer: Any, edits: Iterable[LabelEdit]) -> None:
    """Write what comes after into the pixels that still hold what was before, of the first edit first.

    Raises
    ------
    ReadOnlyLayerError
        If the layer cannot be written into.
    """
    for batch in _batches(edits):
        _exchange(layer, [(edit, edit.before, edit.after) for edit in batch])


def revert_edits(layer: Any, edits: Iterable[LabelEdit]) -> None:
    """Write what was before into the pixels that still hold what came after, of the last edit first.

    Raises as `apply_edits`.
    """
    for batch in _batches(reversed(tuple(edits))):
        _exchange(layer, [(edit, edit.after, edit.before) for edit in batch])


def next_free_label(labels: Any) -> int:
    """One more than the largest label; where the dtype ends there, the lowest number that is not in use.

    Raises
    ------
    NoFreeLabelError
        If the dtype has no number left.
    """
    largest = max(0, int(np.max(np.asarray(labels)))) if np.size(labels) else 0
    limit = int(np.iinfo(labels.dtype).max)
    if largest < limit:
        return largest + 1
    used = np.unique(np.asarray(labels))
    free = np.setdiff1d(np.arange(1, min(limit, len(used) + 1) + 1), used)
    if len(free) == 0:
        raise NoFreeLabelError(
            f"the labels layer has dtype {labels.dtype} and all of its {limit} labels are in use. "
            "Convert it to a wider type (right click on the layer, 'Convert data type'), or start a new one."
        )
    return int(free[0])


def ensure_free_label(layer: Any) -> int:
    """The next free label of a labels layer, whose array is replaced by a wider one if it has to be.

    Only a plain array in memory is replaced; a file on disk (memory map, zarr) keeps its type and raises.

    Raises
    ------
    NoFreeLabelError
        If the dtype has no number left and the array cannot be replaced.
    """
    try:
        return next_free_label(layer.data)
    except NoFreeLabelError:
        if type(layer.data) is not np.ndarray or layer.data.dtype.itemsize >= 4:
            raise
    # napari keeps its undo history over this: it holds indices and values, and both still fit
    layer.data = layer.data.astype(np.int32)
    return next_free_label(layer.data)


def _exchange(layer: Any, edits: list[tuple[LabelEdit, NDArray[Any], NDArray[Any]]]) -> None:
    """Write edits that share no pixel, each with what its pixels hold and what they shall."""
    require_writable(layer)
    parts = []
    for edit, held, wanted in edits:
        indices = edit.indices
        holds = np.asarray(layer.data[indices]) == held
        n_held = int(np.count_nonzero(holds))
        values = np.broadcast_to(wanted, n_held) if wanted.ndim == 0 else wanted[holds]
        parts.append((*(axis[holds] for axis in indices), values))
    *places, new = (np.concatenate(column) for column in zip(*parts, strict=True))
    is_one = len(new) > 0 and (new == new[0]).all()
    write_pixels(layer, tuple(places), int(new[0]) if is_one else new)


def _batches(edits: Iterable[LabelEdit]) -> Iterator[list[LabelEdit]]:
    """Edits whose boxes lie apart, together: a run over many slices is written in a few steps."""
    batch: list[LabelEdit] = []
    n_pixels = 0
    for edit in edits:
        is_full = len(batch) >= MAX_BATCH or n_pixels >= MAX_BLOCK_PX
        if batch and (is_full or any(_meet(edit, other) for other in batch)):
            yield batch
            batch, n_pixels = [], 0
        batch.append(edit)
        n_pixels += edit.n_pixels
    if batch:
        yield batch


def _meet(one: LabelEdit, other: LabelEdit) -> bool:
    """Whether the boxes of two edits share a pixel."""
    return all(
        start < other_start + other_side and other_start < start + side
        for start, side, other_start, other_side in zip(one.corner, one.shape, other.corner, other.shape, strict=True)
    )


def edit_of_plane(
    before: NDArray[Any], after: NDArray[Any], corner: tuple[int, int], shown: ShownSlice
) -> LabelEdit | None:
    """The edit of a block `(h, w)` of a plane, in the axes of the whole array."""
    others = shown.other_axes
    block_corner = [0] * shown.ndim
    for axis, start in zip((*shown.axes, *others), (*corner, *shown.index), strict=True):
        block_corner[axis] = start
    return LabelEdit.between(np.expand_dims(before, others), np.expand_dims(after, others), tuple(block_corner))


def _extent(changed: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The box about what is true, of any number of axes."""
    box = []
    for axis in range(changed.ndim):
        along = changed.any(axis=tuple(other for other in range(changed.ndim) if other != axis))
        where = np.flatnonzero(along)
        box.append(slice(int(where[0]), int(where[-1]) + 1))
    return tuple(box)


def _compact(values: NDArray[Any]) -> NDArray[Any]:
    return np.array(values[0]) if (values == values[0]).all() else values
