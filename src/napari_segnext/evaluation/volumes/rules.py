"""Ways to fill a volume from annotated slices: ours, without a model, and the usual projection rules with a model.

A projection rule asks the model about a slice with prompts that it makes from the mask of the slice before: its box,
its mask, mask and box, or its innermost point. That is what other tools do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy import ndimage

from napari_segnext.prompts import Box, Click
from napari_segnext.propagation import interpolate_masks, propagate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from napari_segnext._types import Mask, Probability
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.propagation.slices import Slices
    from napari_segnext.session import EmbeddingCache, Session
    from napari_segnext.volumes import Volume


@dataclass(frozen=True, slots=True, eq=False)
class FillTask:
    """What is known about an object, and where.

    Attributes
    ----------
    model, volume, cache
        As of `propagate`, along axis 0.
    slices
        The volume's slices, with square pixels for the model.
    annotated
        Slice → mask `(rows, columns)` bool.
    extent
        The first and the last slice on which the object truly lies.
    """

    model: InteractiveModel
    volume: Volume
    cache: EmbeddingCache
    slices: Slices
    annotated: Mapping[int, Mask]
    extent: tuple[int, int]


@dataclass(slots=True, eq=False)
class Filled:
    """What a rule made of it.

    Attributes
    ----------
    masks
        `(Z, rows, columns)` bool.
    confidence
        Slice → confidence, of slices that are not annotated; empty where the rule has none.
    """

    masks: NDArray[np.bool_]
    confidence: dict[int, float] = field(default_factory=dict)


class FillRule(Protocol):
    """A way to fill a volume from annotated slices."""

    @property
    def name(self) -> str:
        """For reports."""

    @property
    def knows_extent(self) -> bool:
        """Whether it is told where the object truly begins and ends."""

    def fill(self, task: FillTask) -> Filled:
        """Fill the volume."""


@dataclass(frozen=True)
class Propagation:
    """`propagate` with its defaults, which finds the ends by itself, or is told them as the other rules are."""

    knows_extent: bool = False

    @property
    def name(self) -> str:
        """For reports."""
        return "propagation, told the ends" if self.knows_extent else "propagation"

    def fill(self, task: FillTask) -> Filled:
        """Fill the volume."""
        filled = Filled(np.zeros(task.volume.shape_zyx, bool))
        slices = (task.extent[0], task.extent[1] + 1) if self.knows_extent else None
        results = propagate(task.model, task.volume, dict(task.annotated), slices=slices, cache=task.cache)
        for result in results:
            filled.masks[result.index] = result.mask
            if result.evidence is not None:
                filled.confidence[result.index] = result.confidence
        return filled


@dataclass(frozen=True)
class Copying:
    """The mask of the nearest annotated slice; of two as near ones, the lower."""

    name: str = "copy of the nearest slice"
    knows_extent: bool = True

    def fill(self, task: FillTask) -> Filled:
        """Fill the volume."""
        filled = Filled(np.zeros(task.volume.shape_zyx, bool))
        for index in range(task.extent[0], task.extent[1] + 1):
            filled.masks[index] = task.annotated[_nearest(task, index)]
        return filled


@dataclass(frozen=True)
class Interpolation:
    """Signed distances between annotated slices, as Slicer fills between slices; beyond them, the nearest mask."""

    name: str = "signed-distance interpolation"
    knows_extent: bool = True

    def fill(self, task: FillTask) -> Filled:
        """Fill the volume."""
        filled = Copying().fill(task)
        for index in range(task.extent[0], task.extent[1] + 1):
            below = [one for one in task.annotated if one < index]
            above = [one for one in task.annotated if one > index]
            if index not in task.annotated and below and above:
                first, last = max(below), min(above)
                filled.masks[index] = interpolate_masks(
                    task.annotated[first], task.annotated[last], (index - first) / (last - first)
                )
        return filled


@dataclass(frozen=True)
class Projection:
    """Prompts made from the mask of the slice before, from the nearest annotated slice on; ends where nothing is found.

    Attributes
    ----------
    name
        For reports.
    ask
        (session, mask before) → probability; both with square pixels.
    """

    name: str
    ask: Callable[[Session, Mask], Probability]
    knows_extent: bool = True

    def fill(self, task: FillTask) -> Filled:
        """Fill the volume."""
        slices = task.slices
        filled = Filled(np.zeros(task.volume.shape_zyx, bool))
        for index, mask in task.annotated.items():
            filled.masks[index] = mask
        for start in task.annotated:
            for step in (1, -1):
                before = slices.to_square(task.annotated[start])
                index = start + step
                while task.extent[0] <= index <= task.extent[1] and index not in task.annotated:
                    if _nearest(task, index) != start or not before.any():
                        break
                    probability = self.ask(slices.session(index), before)
                    before = probability > 0.5
                    filled.masks[index] = slices.to_volume(np.asarray(probability, np.float32)) > 0.5
                    index += step
        return filled


def projection_rules() -> tuple[Projection, ...]:
    """The usual rules: box, mask, mask and box, innermost point."""
    return (
        Projection("box of the slice before", lambda session, mask: _asked(session, [_box(mask)])),
        Projection("mask of the slice before", _from_mask),
        Projection("mask and box of the slice before", lambda session, mask: _from_mask(session, mask, with_box=True)),
        Projection("point in the slice before", lambda session, mask: _asked(session, [_innermost(mask)])),
    )


def default_rules() -> tuple[FillRule, ...]:
    """Ours, both ways, then those that it is compared with."""
    return (Propagation(), Propagation(knows_extent=True), Copying(), Interpolation(), *projection_rules())


def _asked(session: Session, prompts: list[Box | Click]) -> Probability:
    prediction = session.update(prompts)
    if prediction is None:
        return np.zeros(session.image_shape, np.float32)
    return np.asarray(prediction.probability)


def _from_mask(session: Session, mask: Mask, *, with_box: bool = False) -> Probability:
    prompts = [_box(mask)] if with_box else []
    return np.asarray(session.answer_from(mask.astype(np.float32), prompts).probability)


def _box(mask: Mask) -> Box:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    n_rows, n_columns = mask.shape
    return Box(
        max(0.0, rows[0] - 0.5),
        max(0.0, columns[0] - 0.5),
        min(n_rows - 1.0, rows[-1] + 0.5),
        min(n_columns - 1.0, columns[-1] + 0.5),
    )


def _innermost(mask: Mask) -> Click:
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(depth)), mask.shape)
    return Click(float(row), float(column))


def _nearest(task: FillTask, index: int) -> int:
    return min(task.annotated, key=lambda one: (abs(one - index), one))
