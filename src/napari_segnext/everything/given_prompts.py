"""Prompts that are given instead of the grid: one positive click or one box for each object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.errors import PromptError
from napari_segnext.prompts import Box, Click, clicks_from_prompt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_segnext._types import Shape2D


def as_clicks(clicks: Iterable[Any] | None) -> list[Click]:
    """Clicks of `Click`s or (row, column); `PromptError` says what is wrong with them."""
    found = [_as_click(each) for each in (() if clicks is None else clicks)]
    for click in found:
        if not click.is_positive:
            raise PromptError(
                f"the click at ({click.row:g}, {click.column:g}) is negative; expected one positive click for each "
                "object. To correct one object with several prompts, use a Session."
            )
    return found


def _as_click(place: Any) -> Click:
    if isinstance(place, Click):
        return place
    row, column = _numbers(place, "clicks", "(row, column)")
    return Click(row, column)


def as_boxes(boxes: Iterable[Any] | None) -> list[Box]:
    """Boxes of `Box`es or (top, left, bottom, right); `PromptError` says what is wrong with them."""
    return [_as_box(each) for each in (() if boxes is None else boxes)]


def _as_box(edges: Any) -> Box:
    if isinstance(edges, Box):
        return edges
    top, left, bottom, right = _numbers(edges, "boxes", "(top, left, bottom, right)")
    return Box(top, left, bottom, right)


def _numbers(entry: Any, name: str, order: str) -> list[float]:
    """Numbers of an entry, as many as the order names."""
    numbers = np.asarray(entry, dtype=np.float64)
    n_wanted = order.count(",") + 1
    if numbers.shape != (n_wanted,):
        raise PromptError(f"an entry of {name} has shape {numbers.shape}; expected {n_wanted} numbers, {order}.")
    return [float(number) for number in numbers]


def check_places(prompts: Iterable[Click | Box], image_shape: Shape2D) -> None:
    """Refuse what lies outside the image before anything is computed."""
    for prompt in prompts:
        clicks_from_prompt(prompt, image_shape, spacing_px=1)
