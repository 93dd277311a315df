"""What is known of propagated slices: where they came from, how sure they are, and what a person said about them.

1. A run notes a `ReviewedSlice` for each object and slice that it writes, with a digest of the pixels that it left.
2. Strokes mark what they touch as edited, `accept_slice` as accepted: such slices are never written again, and later
   runs start from them as from annotated ones.
3. Every change is a `ReviewEdit`, applied and taken back as label edits are: only where nothing else came between.

Annotated slices are not noted here: the records of objects know them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from psygnal import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from napari_segnext._types import Mask
    from napari_segnext.annotator.coordinates import ShownSlice
    from napari_segnext.annotator.label_edits import LabelEdit

T = TypeVar("T")

Key = tuple[int, "ShownSlice"]
"""Label and slice."""

ReviewEdit = dict[Key, "tuple[ReviewedSlice | None, ReviewedSlice | None]"]
"""What is noted before and after a change, None for nothing."""


class ReviewState(Enum):
    """What a slice of an object is; the value says it in words."""

    ANNOTATED = "annotated"
    BETWEEN = "propagated between annotated slices"
    BEYOND = "propagated beyond the last annotated slice"
    STOPPED = "not carried on"
    EDITED = "edited by hand"
    ACCEPTED = "looked at and accepted"


@dataclass(frozen=True)
class ReviewedSlice:
    """One object on one slice.

    Attributes
    ----------
    found
        What propagation made of it: BETWEEN, BEYOND or STOPPED; EDITED where it was painted and never propagated.
    confidence
        Of the model, 0 to 1.
    reason
        Why the object was not carried on to this slice, in words; empty if it was.
    pixels
        Digest of the object's pixels as they were left, see `digest_of`.
    came_from
        Digest of what it was propagated from; while that stays the same, it need not be done again.
    mark
        EDITED or ACCEPTED; None while no person has had a hand in it.
    """

    found: ReviewState
    confidence: float = 0.0
    reason: str = ""
    pixels: str = ""
    came_from: str = ""
    mark: ReviewState | None = None

    @property
    def state(self) -> ReviewState:
        """What a person made of it, or else propagation."""
        return self.mark or self.found

    @property
    def is_protected(self) -> bool:
        """Whether it is never written again."""
        return self.state in (ReviewState.EDITED, ReviewState.ACCEPTED)


class Review:
    """Notes about propagated slices of all objects. All methods belong to the viewer's thread."""

    changed = Signal(object)
    """Keys (label, slice) of what is noted otherwise now."""

    def __init__(self) -> None:
        self._by_label: dict[int, dict[ShownSlice, ReviewedSlice]] = {}
        self._derived: dict[int, Any] = {}

    def __len__(self) -> int:
        return sum(len(slices) for slices in self._by_label.values())

    def get(self, label: int, shown: ShownSlice) -> ReviewedSlice | None:
        """What is noted of an object on a slice; None if nothing is."""
        return self._by_label.get(label, {}).get(shown)

    def of(self, label: int) -> Mapping[ShownSlice, ReviewedSlice]:
        """All that is noted of an object."""
        return self._by_label.get(label, {})

    def derived(self, label: int, derive: Callable[[Mapping[ShownSlice, ReviewedSlice]], T]) -> T:
        """What a function makes of all that is noted of an object; kept until something else is noted of it."""
        if label not in self._derived:
            self._derived[label] = derive(self.of(label))
        made: T = self._derived[label]
        return made

    @property
    def labels(self) -> tuple[int, ...]:
        """Objects of which something is noted, in ascending order."""
        return tuple(sorted(self._by_label))

    def apply(self, edit: ReviewEdit) -> None:
        """Note what comes after, where what came before still stands."""
        self._exchange((key, before, after) for key, (before, after) in edit.items())

    def revert(self, edit: ReviewEdit) -> None:
        """Note what came before, where what comes after still stands."""
        self._exchange((key, after, before) for key, (before, after) in edit.items())

    def replace_all(self, notes: Mapping[int, Mapping[ShownSlice, ReviewedSlice]]) -> None:
        """Note these and nothing else."""
        keys = self._keys()
        self._derived.clear()
        self._by_label = {label: dict(slices) for label, slices in notes.items() if slices}
        self.changed.emit(keys | self._keys())

    def _keys(self) -> frozenset[Key]:
        return frozenset((label, shown) for label, slices in self._by_label.items() for shown in slices)

    def _exchange(self, steps: Iterable[tuple[Key, ReviewedSlice | None, ReviewedSlice | None]]) -> None:
        changed = set()
        for (label, shown), held, wanted in steps:
            if self.get(label, shown) != held or held == wanted:
                continue
            changed.add((label, shown))
            self._derived.pop(label, None)
            if wanted is not None:
                self._by_label.setdefault(label, {})[shown] = wanted
                continue
            del self._by_label[label][shown]
            if not self._by_label[label]:
                del self._by_label[label]
        if changed:
            self.changed.emit(frozenset(changed))

    # edits, planned

    def removal(self, labels: Iterable[int]) -> ReviewEdit:
        """Objects are gone."""
        return {(label, shown): (one, None) for label in labels for shown, one in self.of(label).items()}

    def renumbering(self, old: int, new: int) -> ReviewEdit:
        """An object has another label."""
        edit: ReviewEdit = dict(self.removal([old]))
        edit.update({(new, shown): (self.get(new, shown), one) for shown, one in self.of(old).items()})
        return edit

    def annotating(self, label: int, shown: ShownSlice, *, is_recorded: bool) -> ReviewEdit:
        """A slice was accepted from prompts (recorded), or emptied by a person."""
        one = self.get(label, shown)
        if one is None:
            return {}
        return {(label, shown): (one, None if is_recorded else replace(one, mark=ReviewState.EDITED))}

    def accepting(self, keys: Iterable[Key]) -> ReviewEdit:
        """A person finds slices good as they are; those of which nothing is noted, or that were painted, stay so."""
        edit: ReviewEdit = {}
        for key in keys:
            one = self.get(*key)
            if one is not None and not one.is_protected:
                edit[key] = (one, replace(one, mark=ReviewState.ACCEPTED))
        return edit

    def releasing(self, keys: Iterable[Key], labels: Any) -> ReviewEdit:
        """Slices that were accepted or edited may be written again; `labels` is the array as it is now."""
        edit: ReviewEdit = {}
        for label, shown in keys:
            one = self.get(label, shown)
            if one is not None and one.mark is not None:
                pixels = digest_of(np.asarray(labels[shown.selector]) == label)
                # with nothing to have come from, it is done again by the next run
                edit[label, shown] = (one, replace(one, mark=None, pixels=pixels, came_from=""))
        return edit

    def painting(self, edits: Iterable[LabelEdit], *, but: Iterable[int] = ()) -> ReviewEdit:
        """Pixels were given or taken by hand: slices of objects that are noted and touched are edited from now on."""
        marked: ReviewEdit = {}
        for key in self._touched(edits, set(but)):
            one = self.get(*key)
            if one is not None and one.state is not ReviewState.EDITED:
                marked[key] = (one, replace(one, mark=ReviewState.EDITED))
        return marked

    def yielding(self, edits: Iterable[LabelEdit], labels: Any, *, but: Iterable[int] = ()) -> ReviewEdit:
        """Objects had to leave pixels to another one, which was accepted: that is no edit of theirs.

        Parameters
        ----------
        edits
            What was written.
        labels
            The array, which holds it by now.
        but
            Labels of other changes.
        """
        left: ReviewEdit = {}
        for label, shown in self._touched(edits, set(but)):
            one = self.get(label, shown)
            if one is not None:
                pixels = digest_of(np.asarray(labels[shown.selector]) == label)
                left[label, shown] = (one, replace(one, pixels=pixels))
        return left

    def _touched(self, edits: Iterable[LabelEdit], but: set[int]) -> Iterator[Key]:
        """What is noted of objects on planes of edits that gave them pixels or took some."""
        seen = set()
        for edit in edits:
            values = {int(value) for one in (edit.before, edit.after) for value in np.unique(one)}
            for label in sorted((values & set(self._by_label)) - but):
                for shown in _planes_of(edit, label, self._by_label[label]):
                    if (label, shown) not in seen:
                        seen.add((label, shown))
                        yield label, shown


def digest_of(mask: Mask) -> str:
    """16 hexadecimal digits that tell a mask `(rows, columns)` from another one of its shape."""
    return digest_of_pixels(np.flatnonzero(mask))


def digest_of_pixels(pixels: NDArray[np.intp]) -> str:
    """The digest of a mask that is true at these flat indices, which ascend."""
    return hashlib.blake2b(pixels.astype("<i8").tobytes(), digest_size=8).hexdigest()


def pixels_of(plane: NDArray[Any], labels: tuple[int, ...]) -> dict[int, NDArray[np.intp]]:
    """Label → flat indices of its pixels on a plane, ascending; without labels that have none."""
    flat = plane.reshape(-1)
    places = np.flatnonzero(np.isin(flat, labels))
    values = flat[places]
    order = np.argsort(values, kind="stable")
    found, starts = np.unique(values[order], return_index=True)
    runs = np.split(places[order], starts[1:])
    return {int(label): run for label, run in zip(found, runs, strict=True)} if len(found) else {}


def merged_edits(one: ReviewEdit, other: ReviewEdit) -> ReviewEdit:
    """Two edits, one after the other, as one."""
    merged = dict(one)
    for key, (before, after) in other.items():
        merged[key] = (merged[key][0] if key in merged else before, after)
    return merged


def _planes_of(edit: LabelEdit, label: int, candidates: Iterable[ShownSlice]) -> Iterator[ShownSlice]:
    """Those planes on which an edit gives pixels to a label or takes some from it."""
    near = [shown for shown in candidates if _crosses(edit, shown)]
    if not near:
        return
    indices = edit.indices
    is_its = np.broadcast_to((edit.before == label) | (edit.after == label), indices[0].shape)
    for shown in near:
        on_plane = is_its.copy()
        for axis, index in zip(shown.other_axes, shown.index, strict=True):
            on_plane &= indices[axis] == index
        if on_plane.any():
            yield shown


def _crosses(edit: LabelEdit, shown: ShownSlice) -> bool:
    return all(
        edit.corner[axis] <= index < edit.corner[axis] + edit.shape[axis]
        for axis, index in zip(shown.other_axes, shown.index, strict=True)
    )
