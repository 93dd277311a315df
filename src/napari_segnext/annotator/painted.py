"""What napari tells of a stroke on a labels layer: if it is written, what it did; and putting locked objects back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.annotator.label_edits import LabelEdit, write_pixels

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from numpy.typing import NDArray


def is_written(labels: Any, atoms: Iterable[Any]) -> bool:
    """Whether a labels array holds a stroke: napari tells of one after that for the mouse, before it for `paint`.

    Parameters
    ----------
    labels
        Array of the layer.
    atoms
        What napari's `paint` event tells: pixels, their old values, and their new ones.
    """
    parts = list(_parts(atoms))
    if not parts:
        return True
    indices, _, new = parts[-1]
    return bool((np.asarray(labels[indices]) == new).all())


def edit_of_stroke(labels: Any, atoms: Iterable[Any]) -> LabelEdit | None:
    """What a stroke that is written changed, as far as the array still holds it; None if that is nothing."""
    parts = list(_parts(atoms))
    if not parts:
        return None
    corner = tuple(min(int(indices[axis].min()) for indices, _, _ in parts) for axis in range(len(parts[0][0])))
    stop = tuple(max(int(indices[axis].max()) for indices, _, _ in parts) + 1 for axis in range(len(corner)))
    after = np.asarray(labels[tuple(slice(*ends) for ends in zip(corner, stop, strict=True))])
    before = after.copy()
    # the last part of a stroke first, so that a pixel painted twice gets what it held at the beginning
    for indices, old, _ in reversed(parts):
        before[tuple(axis - start for axis, start in zip(indices, corner, strict=True))] = old
    return LabelEdit.between(before, after, corner)


def restore_locked(layer: Any, atoms: Iterable[Any], locked: Collection[int]) -> tuple[int, ...]:
    """Put back what a stroke that is written took from locked objects or added to them.

    Parameters
    ----------
    layer
        The labels layer.
    atoms
        As `is_written`.
    locked
        Labels that are protected.

    Returns
    -------
    tuple of int
        Locked labels that the stroke changed, in ascending order.
    """
    hurt: set[int] = set()
    # the last part of a stroke first, so that a pixel painted twice ends as it began
    for indices, old, new in reversed(list(_parts(atoms)) if locked else []):
        is_hurt = np.isin(old, list(locked)) | np.isin(new, list(locked))
        is_hurt &= old != new
        hurt.update(int(label) for label in np.unique(np.concatenate([old[is_hurt], new[is_hurt]])) if label in locked)
        write_pixels(layer, tuple(axis[is_hurt] for axis in indices), old[is_hurt])
    return tuple(sorted(hurt))


def _parts(atoms: Iterable[Any]) -> Iterator[tuple[tuple[NDArray[np.intp], ...], NDArray[Any], NDArray[Any]]]:
    """Index arrays, old values and new values of each part of a stroke, whichever way napari tells it."""
    for atom in atoms:
        if not hasattr(atom, "slice_key"):
            indices, old, new = atom
            if np.size(old):
                yield tuple(np.atleast_1d(axis) for axis in indices), np.atleast_1d(old), _like(new, old)
            continue
        corner = [along.start for along in atom.slice_key]
        shape = tuple(along.stop - along.start for along in atom.slice_key)
        mask = np.ones(shape, bool) if atom.mask is None else np.broadcast_to(atom.mask, shape)
        old = np.asarray(atom.old_values).reshape(-1)
        within = np.nonzero(mask)
        indices = tuple(axis + start for axis, start in zip(within, corner, strict=True))
        if old.size:
            yield indices, old, _like(atom.new_value, old)


def _like(new: Any, old: Any) -> NDArray[Any]:
    return np.broadcast_to(np.asarray(new), np.shape(np.atleast_1d(old)))
