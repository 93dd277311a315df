"""Prompts that a person might give for a known object: the start of a session, and corrections of a wrong answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage import measure

from napari_segnext.prompts import Box, Click, Polygon, Prompt, Prompts, Scribble

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from napari_segnext._types import Mask, Probability

FIRST_PROMPTS = ("click", "box", "polygon", "scribble", "mask")


@dataclass(frozen=True, slots=True)
class PromptMix:
    """How often a session starts with each kind of prompt, and how it goes on.

    Attributes
    ----------
    click, box, polygon, scribble, mask
        Relative chances of the first prompt. The paper trained on clicks only.
    with_click
        Chance that a positive click comes with a box or polygon.
    max_clicks
        Greatest number of random clicks of each sign at the start; fewer are likelier by `click_decay` each.
    click_decay
        Ratio of the chances of n + 1 and n clicks.
    max_corrections
        Corrections (each a click from the current answer) are 0 to this many.
    """

    click: float = 0.6
    box: float = 0.12
    polygon: float = 0.06
    scribble: float = 0.12
    mask: float = 0.1
    with_click: float = 0.5
    max_clicks: int = 12
    click_decay: float = 0.6
    max_corrections: int = 3


@dataclass(frozen=True, slots=True)
class SimulatedStart:
    """First prompts of a simulated session.

    Attributes
    ----------
    prompts
        All but masks.
    previous_mask
        `(H, W)` float32 in [0, 1]: the mask prompt; zeros if there is none.
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
    chances = np.array([getattr(mix, kind) for kind in FIRST_PROMPTS], dtype=float)
    kind = rng.choice(FIRST_PROMPTS, p=chances / chances.sum())
    previous_mask = np.zeros(truth.shape, np.float32)
    prompts: list[Prompt] = []
    match kind:
        case "click":
            prompts = [*_clicks(rng, truth, mix)]
        case "box":
            prompts = [_box(rng, truth)]
        case "polygon":
            prompts = [_polygon(rng, truth)]
        case "scribble":
            prompts = [_scribble(rng, truth, is_positive=True)]
            if rng.random() < 0.3 and not truth.all():
                prompts.append(_scribble(rng, _surroundings(truth), is_positive=False))
        case "mask":
            previous_mask = _damaged(rng, truth).astype(np.float32)
            prompts = [_click_within(rng, truth, is_positive=True)] if rng.random() < 0.5 else []
    if kind in ("box", "polygon") and rng.random() < mix.with_click:
        prompts.append(_click_within(rng, truth, is_positive=True))
    return SimulatedStart(Prompts(tuple(prompts)), previous_mask)


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
    depths = [_depth(missed[::2, ::2]), _depth(added[::2, ::2])]
    if max(depth.max() for depth in depths) == 0:
        errors, is_positive = (missed, True) if missed.any() else (added, False)
        return _click_at(rng, errors, is_positive=is_positive) if errors.any() else None
    is_positive = bool(depths[0].max() > depths[1].max())
    depth = depths[0] if is_positive else depths[1]
    rows, columns = np.nonzero(depth > depth.max() / 2)
    which = rng.integers(len(rows))
    return Click(2 * int(rows[which]), 2 * int(columns[which]), is_positive)


def _clicks(rng: Generator, truth: Mask, mix: PromptMix) -> list[Click]:
    chances = mix.click_decay ** np.arange(mix.max_clicks + 1)
    n_positive = 1 + rng.choice(mix.max_clicks, p=chances[:-1] / chances[:-1].sum())
    n_negative = rng.choice(mix.max_clicks + 1, p=chances / chances.sum())
    clicks = [_click_within(rng, truth, is_positive=True) for _ in range(n_positive)]
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


def _damaged(rng: Generator, truth: Mask) -> Mask:
    """The object as another slice, a neighbour's outline or a poor earlier mask might show it."""
    size = max(1.0, 0.12 * np.sqrt(truth.sum()))
    inside, outside = ndimage.distance_transform_edt(truth), ndimage.distance_transform_edt(~truth)
    noise = ndimage.zoom(rng.standard_normal((6, 6)), np.array(truth.shape) / 6, order=1)
    damaged = (inside - outside) > rng.uniform(-size, size) + noise * size * rng.uniform(0, 1)
    damaged = np.roll(damaged, rng.integers(-int(size) - 1, int(size) + 2, size=2), axis=(0, 1))
    return damaged if damaged.any() else truth


def _depth(region: Mask) -> NDArray[np.float64]:
    """Distance to the outside; the border of the array is outside."""
    return np.asarray(ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1])
