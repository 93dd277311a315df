"""What is known of an object before it is propagated: its masks on annotated slices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.errors import PropagationError
from napari_segnext.prompts import AnnotatedObject, Prompts, PromptsFile, SlicePrompts
from napari_segnext.prompts.prompt import Box, Click, MaskPrompt, Polygon, Prompt, Scribble

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_segnext._types import Mask

OneSlice = Prompts | Any
"""Prompts, or a mask `(rows, columns)`."""


@dataclass(frozen=True, slots=True)
class ObjectToPropagate:
    """One object and what was said about it.

    Attributes
    ----------
    label
        Its number, at least 1.
    by_slice
        Slice number → prompts, or the mask `(rows, columns)` bool that was accepted there.
    """

    label: int
    by_slice: Mapping[int, Prompts | Mask] = field(default_factory=dict)


def objects_to_propagate(said: Any, axis: int) -> tuple[ObjectToPropagate, ...]:
    """Objects with what was said on the slices along an axis.

    Parameters
    ----------
    said
        A `PromptsFile` or objects of one (accepted masks count before prompts), `ObjectToPropagate`s, or slice number →
        `Prompts`, list of prompts or mask of one object.
    axis
        Slices along other axes are left out.

    Raises
    ------
    PropagationError
        If there is no object with something on such a slice.
    """
    if isinstance(said, PromptsFile):
        said = said.objects
    if isinstance(said, Mapping):
        objects = [ObjectToPropagate(1, {int(index): _of_one_slice(one) for index, one in said.items()})]
    else:
        objects = [_of_object(one, axis) for one in said]
    found = tuple(one for one in objects if one.by_slice)
    if not found:
        raise PropagationError(
            f"there is no object with prompts or a mask on a slice along axis {axis}; expected one slice at least. "
            "Annotate one, or choose the axis along which it was annotated."
        )
    labels = [one.label for one in found]
    if len(set(labels)) < len(labels):
        raise PropagationError(f"labels are {labels}; expected a label of its own for each object.")
    return found


def scaled_prompts(prompts: Iterable[Prompt], factors: tuple[float, float]) -> Prompts:
    """Prompts on a slice that is resized by (rows, columns) factors; pixel centres stay centres. Masks stay out."""
    rows, columns = factors

    def moved(point: tuple[float, float]) -> tuple[float, float]:
        return (point[0] + 0.5) * rows - 0.5, (point[1] + 0.5) * columns - 0.5

    scaled: list[Prompt] = []
    for prompt in prompts:
        match prompt:
            case Click(row, column, is_positive):
                scaled.append(Click(*moved((row, column)), is_positive))
            case Box(top, left, bottom, right):
                scaled.append(Box(*moved((top, left)), *moved((bottom, right))))
            case Polygon(vertices):
                scaled.append(Polygon([moved(vertex) for vertex in vertices]))
            case Scribble(path, is_positive, width):
                scaled.append(Scribble([moved(point) for point in path], is_positive, width * min(factors)))
            case MaskPrompt():
                pass
    return Prompts(tuple(scaled))


def _of_object(one: Any, axis: int) -> ObjectToPropagate:
    if isinstance(one, ObjectToPropagate):
        return one
    if not isinstance(one, AnnotatedObject):
        raise PropagationError(
            f"what was said is a {type(one).__name__}; expected a prompts file, its objects, or slice number → prompts "
            "or mask."
        )
    slices = [item for item in one.slices if item.axis == axis and not item.others]
    return ObjectToPropagate(one.label, {item.index: _of_slice(item) for item in slices})


def _of_slice(item: SlicePrompts) -> Prompts | Mask:
    return item.prompts if item.mask is None else item.mask.mask


def _of_one_slice(one: Any) -> Prompts | Mask:
    if isinstance(one, Prompts):
        return one
    if isinstance(one, (list, tuple)) and all(isinstance(item, Prompt) for item in one):
        return Prompts(tuple(one))
    mask = np.asarray(one)
    if mask.ndim != 2:
        raise PropagationError(
            f"a slice was given as something of shape {mask.shape}; expected prompts, or a mask (rows, columns)."
        )
    return mask > 0
