"""All prompts of one object on one slice, and the clicks that the dense prompt map draws for them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import numpy as np

from napari_segnext.errors import PromptError, PromptOutsideImageError
from napari_segnext.prompts.prompt import Box, Click, MaskPrompt, Polygon, Prompt, Scribble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_segnext._types import Mask, Shape2D


@dataclass(frozen=True, slots=True)
class Prompts:
    """The prompts of one object on one slice, in the order in which the user gave them.

    Attributes
    ----------
    items
        Any number of prompts of any kinds; may be empty.
    """

    items: tuple[Prompt, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Prompt]:
        return iter(self.items)

    def adding(self, prompt: Prompt) -> Prompts:
        """Prompts with one more at the end."""
        return Prompts((*self.items, prompt))

    def removing(self, prompt: Prompt) -> Prompts:
        """Prompts without the last one that equals `prompt`.

        Raises
        ------
        PromptError
            If there is none.
        """
        index = self.last_index(prompt)
        return Prompts(self.items[:index] + self.items[index + 1 :])

    def replacing(self, old: Prompt, new: Prompt) -> Prompts:
        """Prompts with `new` in the place of the last one that equals `old`.

        Raises
        ------
        PromptError
            If there is none.
        """
        index = self.last_index(old)
        return Prompts((*self.items[:index], new, *self.items[index + 1 :]))

    def last_index(self, prompt: Prompt) -> int:
        """Index of the last prompt that equals `prompt`.

        Raises
        ------
        PromptError
            If there is none.
        """
        for index in reversed(range(len(self.items))):
            if self.items[index] == prompt:
                return index
        raise PromptError(f"this {prompt.kind} is not among the {len(self)} prompts; it may have been removed before.")

    @property
    def last_mask(self) -> Mask | None:
        """`(H, W)` bool mask of the last mask prompt, or None."""
        for prompt in reversed(self.items):
            if isinstance(prompt, MaskPrompt):
                return prompt.mask
        return None

    def as_clicks(self, image_shape: Shape2D, *, spacing_px: float) -> NDArray[np.float32]:
        """All prompts as clicks, in order; masks give none.

        Parameters
        ----------
        image_shape
            (rows, columns).
        spacing_px
            Greatest distance between neighbouring clicks of a scribble, in pixels of the image.

        Returns
        -------
        ndarray
            `(n, 3)` float32: row, column, sign (1 positive, -1 negative). `n` may be 0.

        Raises
        ------
        PromptOutsideImageError
            If a prompt lies wholly outside the image.
        """
        rows = [np.zeros((0, 3), np.float32)]
        # clicks are many, and all in a row become one array
        for are_clicks, prompts in groupby(self.items, key=lambda prompt: isinstance(prompt, Click)):
            if are_clicks:
                rows.append(_clicks([prompt for prompt in prompts if isinstance(prompt, Click)], image_shape))
            else:
                rows += [clicks_from_prompt(prompt, image_shape, spacing_px=spacing_px) for prompt in prompts]
        return np.concatenate(rows, axis=0)


def clicks_from_prompt(prompt: Prompt, image_shape: Shape2D, *, spacing_px: float) -> NDArray[np.float32]:
    """Clicks that stand for one prompt in the dense prompt map.

    A click is itself; a box gives its four corners and a polygon its vertices as negative clicks; a scribble gives
    clicks along its path, close enough for their disks to overlap; a mask gives none, it has its own channel. Shapes
    that reach over the border are clipped to the image first.

    Parameters
    ----------
    prompt
        Any prompt.
    image_shape
        (rows, columns).
    spacing_px
        Greatest distance between neighbouring clicks of a scribble, in pixels of the image, above 0.

    Returns
    -------
    ndarray
        `(n, 3)` float32: row, column, sign (1 positive, -1 negative), within the image.

    Raises
    ------
    PromptOutsideImageError
        If the prompt lies wholly outside the image.
    PromptError
        If a mask has not the shape of the image.

    Notes
    -----
    Liu et al., CVPR 2024, section 3.2 and Fig. 2. The spacing of scribble clicks is not given there and is ours.
    """
    match prompt:
        case Click():
            return _clicks([prompt], image_shape)
        case Box():
            outline = np.array(
                [
                    (prompt.top, prompt.left),
                    (prompt.top, prompt.right),
                    (prompt.bottom, prompt.right),
                    (prompt.bottom, prompt.left),
                ]
            )
            return _signed(_clipped_outline(prompt.kind, outline, image_shape), is_positive=False)
        case Polygon():
            outline = np.array(prompt.vertices)
            return _signed(_clipped_outline(prompt.kind, outline, image_shape), is_positive=False)
        case Scribble():
            return _scribble(prompt, image_shape, spacing_px)
        case MaskPrompt():
            if prompt.mask.shape != tuple(image_shape):
                raise PromptError(
                    f"mask has shape {prompt.mask.shape}; expected {tuple(image_shape)}, the shape of the image."
                )
            return np.zeros((0, 3), np.float32)


def _clicks(clicks: list[Click], image_shape: Shape2D) -> NDArray[np.float32]:
    points = np.array([(click.row, click.column) for click in clicks])
    is_inside = _is_inside(points, image_shape)
    if not is_inside.all():
        outside = clicks[int(np.argmin(is_inside))]
        raise PromptOutsideImageError("click", f"({outside.row:g}, {outside.column:g})", image_shape)
    signs = np.where([click.is_positive for click in clicks], 1, -1)
    return np.column_stack([_onto_centres(points, image_shape), signs]).astype(np.float32)


def _scribble(scribble: Scribble, image_shape: Shape2D, spacing_px: float) -> NDArray[np.float32]:
    points = _resampled(np.array(scribble.path), spacing_px)
    inside = _is_inside(points, image_shape)
    if not inside.any():
        raise PromptOutsideImageError("scribble", _extent(points), image_shape)
    return _signed(_onto_centres(points[inside], image_shape), is_positive=scribble.is_positive)


def _resampled(path: NDArray[np.float64], spacing_px: float) -> NDArray[np.float64]:
    """Path with points added so that no two neighbours are further apart than `spacing_px`."""
    if spacing_px <= 0:
        raise ValueError(f"spacing_px is {spacing_px:g}; expected a distance above 0 pixels.")
    pieces = [path[:1]]
    for start, end in pairwise(path):
        n_steps = max(1, int(np.ceil(np.linalg.norm(end - start) / spacing_px)))
        fractions = np.arange(1, n_steps + 1)[:, None] / n_steps
        pieces.append(start + fractions * (end - start))
    return np.concatenate(pieces)


def _clipped_outline(kind: str, outline: NDArray[np.float64], image_shape: Shape2D) -> NDArray[np.float64]:
    """Vertices of the part of a closed outline that lies on the image (Sutherland and Hodgman's clipping)."""
    original = outline
    for axis in (0, 1):
        for limit, keeps_above in ((0.0, True), (image_shape[axis] - 1.0, False)):
            outline = _clipped_half_plane(outline, axis, limit, keeps_above=keeps_above)
    if len(outline) == 0:
        raise PromptOutsideImageError(kind, _extent(original), image_shape)
    return _onto_centres(_without_repeats(outline), image_shape)


def _clipped_half_plane(
    outline: NDArray[np.float64], axis: int, limit: float, *, keeps_above: bool
) -> NDArray[np.float64]:
    if len(outline) == 0:
        return outline
    sign = 1.0 if keeps_above else -1.0
    depth = sign * (outline[:, axis] - limit)
    kept = []
    for i in range(len(outline)):
        j = (i + 1) % len(outline)
        if depth[i] >= 0:
            kept.append(outline[i])
        if (depth[i] >= 0) != (depth[j] >= 0):
            fraction = depth[i] / (depth[i] - depth[j])
            kept.append(outline[i] + fraction * (outline[j] - outline[i]))
    return np.array(kept).reshape(-1, 2)


def _without_repeats(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points with the first of each equal pair only, in order."""
    _, first = np.unique(points, axis=0, return_index=True)
    return points[np.sort(first)]


def _is_inside(points: NDArray[np.float64], image_shape: Shape2D) -> NDArray[np.bool_]:
    upper = np.array(image_shape) - 0.5
    return np.asarray(((points >= -0.5) & (points < upper)).all(axis=1))


def _onto_centres(points: NDArray[np.float64], image_shape: Shape2D) -> NDArray[np.float64]:
    """Points within the outer half pixel moved onto the outermost pixel centres."""
    return np.clip(points, 0, np.array(image_shape) - 1.0)


def _signed(points: NDArray[np.float64], *, is_positive: bool) -> NDArray[np.float32]:
    sign = np.full((len(points), 1), 1.0 if is_positive else -1.0)
    return np.concatenate([points, sign], axis=1).astype(np.float32)


def _extent(points: NDArray[np.float64]) -> str:
    (top, left), (bottom, right) = points.min(axis=0), points.max(axis=0)
    return f"rows {top:g} to {bottom:g}, columns {left:g} to {right:g}"
