"""Prompts that a person might give for a known object: the start of a session, and corrections of a wrong answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage import measure

from napari_segnext.prompts import Box, Click, Polygon, Prompt, Prompts, Scribble
from napari_segnext.prompts.enclosed import draw_enclosed
from napari_segnext.prompts.simulated_prompts import FIRST_PROMPTS

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from napari_segnext._types import Mask, Probability


@dataclass(frozen=True, slots=True)
class PromptMix:
    """How often a session starts with each kind of prompt, and how it goes on.

    Attributes
    ----------
    click, box, polygon, scribble, mask
        Relative chances of the first prompt. The paper trained on clicks only.
    single_click
        Chance that a session that starts with clicks starts with just one, positive and deep inside.
    with_click
        Chance that a positive click comes with a box or polygon.
    enclosed
        Chance that what a box or polygon encloses is the previous mask, as in sessions that zoom.
    max_clicks
        Greatest number of random clicks of each sign at the start; fewer are likelier by `click_decay` each.
    click_decay
        Ratio of the chances of n + 1 and n clicks.
    first_answer
        Chance that the answer to the first prompts is learned from. Otherwise the model's own answers are corrected
        first, by clicks from the current answer.
    max_corrections
        Corrections are then 1 to this many.
    refinement
        Chance that a correction gives no click: the answer is fed back, coarsened as a view of less magnification would
        have given it. Zoom lives on it.
    """

    click: float = 0.6
    box: float = 0.12
    polygon: float = 0.06
    scribble: float = 0.12
    mask: float = 0.1
    single_click: float = 0.5
    with_click: float = 0.5
    enclosed: float = 0.0
    max_clicks: int = 12
    click_decay: float = 0.6
    first_answer: float = 0.3
    max_corrections: int = 4
    refinement: float = 0.25


@dataclass(frozen=True, slots=True)
class SimulatedStart:
    """First prompts of a simulated session.

    Attributes
    ----------
    prompts
        All but masks.
    previous_mask
        `(H, W)` float32 in [0, 1]: the mask prompt, or what a box or polygon encloses; zeros if there is none.
    """

    prompts: Prompts
    previous_mask: Probability


def simulate_start(rng: Generator, truth: Mask, mix: PromptMix) -> SimulatedStart:
    """First prompts for an object.

    Parameters
    ----------
    rng
        Source of chance.
    truth
        `(H, W)` bool, at least one pixel.
    mix
        Chances.
    """
    window = _neighbourhood(truth)
    near = truth[window]
    chances = np.array([getattr(mix, kind) for kind in FIRST_PROMPTS], dtype=float)
    kind = rng.choice(FIRST_PROMPTS, p=chances / chances.sum())
    previous_mask = np.zeros(truth.shape, np.float32)
    prompts: list[Prompt] = []
    match kind:
        case "click" if rng.random() < mix.single_click:
            prompts = [_click_within(rng, near, is_positive=True)]
        case "click":
            prompts = [*_clicks(rng, near, mix)]
        case "box":
            prompts = [_box(rng, near)]
        case "polygon":
            prompts = [_polygon(rng, near)]
        case "scribble":
            prompts = [_scribble(rng, near, is_positive=True)]
            if rng.random() < 0.3 and not near.all():
                prompts.append(_scribble(rng, _surroundings(near), is_positive=False))
        case "mask":
            previous_mask[window] = _of_another_slice(rng, near)
            prompts = [_click_within(rng, near, is_positive=True)] if rng.random() < 0.5 else []
    if kind in ("box", "polygon"):
        if mix.enclosed and rng.random() < mix.enclosed:
            previous_mask[window] = draw_enclosed(prompts, near.shape)
        if rng.random() < mix.with_click:
            prompts.append(_click_within(rng, near, is_positive=True))
    shift = (window[0].start, window[1].start)
    return SimulatedStart(Prompts(tuple(_shifted(prompt, shift) for prompt in prompts)), previous_mask)


def simulate_correction(rng: Generator, truth: Mask, answer: Mask) -> Click | None:
    """A click into the larger error, at random among its pixels further inside than half its depth.

    Parameters
    ----------
    rng
        Source of chance.
    truth, answer
        `(H, W)` bool.

    Returns
    -------
    Click or None
        None if the answer is right everywhere.

    Notes
    -----
    RITM's iterative sampling. Depths are measured at every other pixel, a quarter of the work.
    """
    missed, added = truth & ~answer, answer & ~truth
    parts = [
        (is_positive, *_depth_where_true(errors[::2, ::2])) for is_positive, errors in ((True, missed), (False, added))
    ]
    is_positive, top, left, depth = max(parts, key=lambda part: part[3].max())
    if depth.max() == 0:
        errors, is_positive = (missed, True) if missed.any() else (added, False)
        return _click_at(rng, errors, is_positive=is_positive) if errors.any() else None
    candidates = np.argwhere(depth > depth.max() / 2)
    row, column = candidates[rng.integers(len(candidates))]
    return Click(2 * (top + int(row)), 2 * (left + int(column)), is_positive)


def _clicks(rng: Generator, truth: Mask, mix: PromptMix) -> list[Click]:
    chances = mix.click_decay ** np.arange(mix.max_clicks + 1)
    n_positive = 1 + rng.choice(mix.max_clicks, p=chances[:-1] / chances[:-1].sum())
    n_negative = rng.choice(mix.max_clicks + 1, p=chances / chances.sum())
    clicks = [_click_within(rng, truth, is_positive=True) for _ in range(n_positive)]
    if n_negative:
        outside = _surroundings(truth) if rng.random() < 0.6 else ~truth
        if outside.any():
            clicks += [_click_at(rng, outside, is_positive=False) for _ in range(n_negative)]
    return clicks


def _click_within(rng: Generator, region: Mask, *, is_positive: bool) -> Click:
    """Deep inside the region, as people aim."""
    depth = _depth(region)
    return _click_at(rng, depth >= depth.max() * rng.uniform(0.2, 1.0), is_positive=is_positive)


def _click_at(rng: Generator, region: Mask, *, is_positive: bool) -> Click:
    flat = np.flatnonzero(region)
    row, column = np.unravel_index(flat[rng.integers(len(flat))], region.shape)
    return Click(int(row), int(column), is_positive)


def _box(rng: Generator, truth: Mask) -> Box:
    """Around the object, looser than tight, each edge by itself."""
    rows, columns = np.nonzero(truth.any(axis=1))[0], np.nonzero(truth.any(axis=0))[0]
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    slack = rng.uniform(-0.02, 0.12, size=4) * np.array([height, width, height, width])
    return Box(
        top=rows[0] - 0.5 - slack[0],
        left=columns[0] - 0.5 - slack[1],
        bottom=rows[-1] + 0.5 + slack[2],
        right=columns[-1] + 0.5 + slack[3],
    )


def _polygon(rng: Generator, truth: Mask) -> Prompt:
    """Along the outline of the object, a little outside it."""
    reach = rng.uniform(1, 2 + 0.08 * np.sqrt(truth.sum()))
    distance = ndimage.distance_transform_edt(~truth)
    padded = np.pad(distance <= reach, 1)
    contours = measure.find_contours(padded.astype(np.float32), 0.5)
    contour = max(contours, key=len) - 1
    vertices = measure.approximate_polygon(contour, tolerance=rng.uniform(0.5, 2.5))
    if len(vertices) < 5 or not ((vertices >= -0.5) & (vertices < np.array(truth.shape) - 0.5)).all(axis=1).any():
        return _box(rng, truth)
    return Polygon(vertices)


def _scribble(rng: Generator, region: Mask, *, is_positive: bool) -> Scribble:
    """A bent stroke between pixels of the region, cut where it leaves it."""
    flat = np.flatnonzero(region)
    picks = np.stack(np.unravel_index(flat[rng.integers(len(flat), size=3)], region.shape), axis=1).astype(float)
    t = np.linspace(0, 1, 24)[:, None]
    path = (1 - t) ** 2 * picks[0] + 2 * t * (1 - t) * picks[1] + t**2 * picks[2]
    whole = np.round(path).astype(int)
    inside = path[region[whole[:, 0], whole[:, 1]]]
    return Scribble(inside if len(inside) else picks[:1], is_positive)


def _surroundings(truth: Mask) -> Mask:
    """A band around the object; everything else if there is none."""
    reach = max(2, int(np.ceil(0.15 * np.sqrt(truth.sum()))))
    band = (ndimage.distance_transform_edt(~truth) <= reach) & ~truth
    return band if band.any() else ~truth


def _of_another_slice(rng: Generator, truth: Mask) -> NDArray[np.float32]:
    """The object as a neighbouring slice, or a poor earlier mask, might show it: `(H, W)` float32 in [0, 1].

    Grown or shrunk unevenly, scaled, shifted, now and then with a part cut off, and soft as a probability or hard.
    """
    size = max(1.0, 0.15 * np.sqrt(truth.sum()))
    signed = ndimage.distance_transform_edt(truth) - ndimage.distance_transform_edt(~truth)
    noise = ndimage.zoom(rng.standard_normal((6, 6)), np.array(truth.shape) / 6, order=1)
    level = rng.uniform(-size, size) + noise * size * rng.uniform(0, 1)
    if rng.random() < 0.2:
        angle = rng.uniform(0, 2 * np.pi)
        rows, columns = (np.arange(n) - rng.uniform(0.3, 0.7) * n for n in truth.shape)
        level = np.where(np.sin(angle) * rows[:, None] + np.cos(angle) * columns < 0, level, 3 * size)
    excess = signed - level
    mask = excess > 0 if rng.random() < 0.5 else 1 / (1 + np.exp(-np.clip(excess / rng.uniform(0.3, 1.5), -30, 30)))
    moved = _moved(mask.astype(np.float32), rng.uniform(0.8, 1.25, size=2), rng.uniform(-size, size, size=2))
    return moved if moved.max() > 0.5 else truth.astype(np.float32)


def _moved(mask: NDArray[np.float32], scale: NDArray[np.float64], shift: NDArray[np.float64]) -> NDArray[np.float32]:
    """A mask scaled about its centre and shifted, empty where it came from outside."""
    centre = (np.array(mask.shape) - 1) / 2
    offset = centre - scale * centre - shift
    return np.asarray(ndimage.affine_transform(mask, scale, offset, order=1), dtype=np.float32)


def _neighbourhood(truth: Mask) -> tuple[slice, slice]:
    """The object with as much again around it; all that its prompts need, and cheaper than the whole crop."""
    bounds = []
    for axis, n in enumerate(truth.shape):
        where = np.flatnonzero(truth.any(axis=1 - axis))
        margin = 8 + (int(where[-1]) - int(where[0]) + 1) // 2
        bounds.append(slice(max(0, int(where[0]) - margin), min(n, int(where[-1]) + 1 + margin)))
    return bounds[0], bounds[1]


def _shifted(prompt: Prompt, shift: tuple[int, int]) -> Prompt:
    rows, columns = shift
    match prompt:
        case Click(row, column, is_positive):
            return Click(row + rows, column + columns, is_positive)
        case Box(top, left, bottom, right):
            return Box(top=top + rows, left=left + columns, bottom=bottom + rows, right=right + columns)
        case Polygon():
            return Polygon(np.asarray(prompt.vertices) + shift)
        case Scribble():
            return Scribble(np.asarray(prompt.path) + shift, prompt.is_positive)
    return prompt


def _depth(region: Mask) -> NDArray[np.float64]:
    """Distance to the outside; the border of the array is outside."""
    return np.asarray(ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1])


def _depth_where_true(region: Mask) -> tuple[int, int, NDArray[np.float64]]:
    """Top, left, and `_depth` of the bounding box of what is true."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    if len(rows) == 0:
        return 0, 0, np.zeros((1, 1))
    return int(rows[0]), int(columns[0]), _depth(region[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
