"""Keeping locked objects as they are, also under napari's own brush."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.annotator.label_edits import write_pixels

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from numpy.typing import NDArray


def restore_locked(layer: Any, atoms: Iterable[Any], locked: Collection[int]) -> tuple[tuple[int, ...], bool]:
    """Put back what a stroke took from locked objects or added to them.

    Parameters
    ----------
    layer
        The labels layer.
    atoms
        What napari's `paint` event tells: pixels, their old values, and their new ones.
    locked
        Labels that are protected.

    Returns
    -------
    hurt
        Locked labels that the stroke changes, in ascending order.
    is_done
        Whether pixels were put back; False where the stroke was not written yet.
    """
    if not locked:
        return (), False
    hurt: set[int] = set()
    is_done = False
    # the last part of a stroke first, so that a pixel painted twice ends as it began
    for indices, old, new in reversed(list(_parts(atoms))):
        is_hurt = np.isin(old, list(locked)) | np.isin(new, list(locked))
        is_hurt &= old != new
        hurt.update(int(label) for label in np.unique(np.concatenate([old[is_hurt], new[is_hurt]])) if label in locked)
        places, values = tuple(axis[is_hurt] for axis in indices), old[is_hurt]
        is_done |= bool((np.asarray(layer.data[places]) != values).any())
        write_pixels(layer, places, values)
    return tuple(sorted(hurt)), is_done


def _parts(atoms: Iterable[Any]) -> Iterator[tuple[tuple[NDArray[np.intp], ...], NDArray[Any], NDArray[Any]]]:
    """Index arrays, old values and new values of each part of a stroke, whichever way napari tells it."""
    for atom in atoms:
        if not hasattr(atom, "slice_key"):
            indices, old, new = atom
            yield indices, np.asarray(old), np.broadcast_to(new, np.shape(old))
            continue
        corner = [along.start for along in atom.slice_key]
        shape = tuple(along.stop - along.start for along in atom.slice_key)
        mask = np.ones(shape, bool) if atom.mask is None else np.broadcast_to(atom.mask, shape)
        old = np.asarray(atom.old_values).reshape(-1)
        within = np.nonzero(mask)
        indices = tuple(axis + start for axis, start in zip(within, corner, strict=True))
        yield indices, old, np.full(old.shape, atom.new_value, old.dtype)
