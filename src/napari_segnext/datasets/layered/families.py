"""Families of scenes: twins, clutter, stacks of sheets, bodies on a ground, reliefs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from napari_segnext.datasets.layered.bodies import Body, View, draw_levels, draw_opacity, look_at, make_body
from napari_segnext.datasets.layered.figures import SOLID, THIN, Figure, Pose
from napari_segnext.datasets.layered.looks import Look, draw_look
from napari_segnext.datasets.layered.surfaces import ground, relief
from napari_segnext.datasets.procedural.noise import draw_between, draw_log_between, smooth_noise

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_segnext._types import Shape2D

    SceneMaker: TypeAlias = Callable[[np.random.Generator, Shape2D], View]


def twins(rng: np.random.Generator, shape: Shape2D) -> View:
    """3 to 10 bodies of one look that overlap, at depths of their own: where two meet, the picture hardly tells."""
    n = int(rng.integers(3, 11))
    levels = draw_levels(rng, n, draw_between(rng, 0.25, 0.45), draw_between(rng, 0.75, 0.97))
    backdrop = draw_backdrop(rng, shape, 0.15)
    look = draw_look(rng, unlike=backdrop.colours.mean(axis=(0, 1)))
    if rng.random() < 0.35:
        look = replace(look, second=look.second * np.float32(0.15))
    size = min(shape) * draw_log_between(rng, 0.12, 0.28) * (6 / (n + 3)) ** 0.5
    growth = draw_between(rng, 0, 1.2) if rng.random() < 0.5 else 0.0
    figure, turn = _draw_solid(rng), rng.uniform(0, 2 * np.pi)
    is_aligned = rng.random() < 0.5
    room = _room(levels, 0.09)
    bodies = []
    for level, centre in zip(levels, _cluster(rng, n, size, shape), strict=True):
        nearness = (level - levels.min()) / (levels.max() - levels.min()) - 0.5
        angle = turn + rng.normal(0, 0.1) if is_aligned else rng.uniform(0, 2 * np.pi)
        pose = Pose((centre[0], centre[1]), size * (1 + growth * nearness), angle)
        bodies.append(make_body(rng, shape, figure, pose, look, level, room))
    return look_at(bodies, backdrop)


def clutter(rng: np.random.Generator, shape: Shape2D) -> View:
    """Things of many looks: some behind, one to three targets, and before them branches, fences or more things."""
    n_behind, n_targets, n_before = int(rng.integers(1, 5)), int(rng.integers(1, 4)), int(rng.integers(0, 3))
    backdrop = draw_backdrop(rng, shape, 0.12)
    reach = min(shape)
    behind = _scatter(rng, shape, draw_levels(rng, n_behind, 0.2, 0.33), (0.08 * reach, 0.3 * reach))
    targets = _scatter(rng, shape, draw_levels(rng, n_targets, 0.42, 0.55), (0.16 * reach, 0.36 * reach))
    before = _scatter(rng, shape, draw_levels(rng, max(1, n_before), 0.86, 0.96), (0.06 * reach, 0.2 * reach))
    if rng.random() < 0.4:
        targets = [replace(body, look=behind[0].look) for body in targets]
    thin = [_draw_thin(rng, shape, level) for level in draw_levels(rng, int(rng.integers(1, 4)), 0.68, 0.78)]
    return look_at([*behind, *targets, *before[:n_before], *thin], backdrop)


def stack(rng: np.random.Generator, shape: Shape2D) -> View:
    """Sheets, leaves or cells upon each other, opaque or translucent, of few looks."""
    n = int(rng.integers(6, 22))
    levels = draw_levels(rng, n, draw_between(rng, 0.15, 0.3), draw_between(rng, 0.8, 0.97))
    backdrop = draw_backdrop(rng, shape, 0.06)
    mean = backdrop.colours.mean(axis=(0, 1))
    looks = [draw_look(rng, unlike=mean) for _ in range(1 if rng.random() < 0.5 else int(rng.integers(2, 5)))]
    opacity, figure = draw_opacity(rng), _draw_solid(rng)
    size = min(shape) * draw_log_between(rng, 0.12, 0.3) * (10 / (n + 4)) ** 0.5
    bodies = []
    for level in levels:
        centre = (rng.uniform(0.05, 0.95) * shape[0], rng.uniform(0.05, 0.95) * shape[1])
        pose = Pose(centre, size * draw_between(rng, 0.7, 1.3), rng.uniform(0, 2 * np.pi))
        look = looks[int(rng.integers(len(looks)))]
        bodies.append(make_body(rng, shape, figure, pose, look, level, _room(levels, 0.08), opacity=opacity))
    return look_at(bodies, backdrop)


FAMILIES: dict[str, SceneMaker] = {maker.__name__: maker for maker in (twins, clutter, stack, ground, relief)}
"""Name → function that draws a scene of the family: `(rng, (rows, columns))` → `View`."""


def draw_backdrop(rng: np.random.Generator, shape: Shape2D, farthest: float) -> View:
    """Draw what lies behind all bodies: even or textured, level or aslant, at depths from 0 to `farthest`."""
    rows, columns = np.linspace(-0.5, 0.5, shape[0])[:, None], np.linspace(-0.5, 0.5, shape[1])[None]
    angle = rng.uniform(0, 2 * np.pi)
    slope = rows * np.sin(angle) + columns * np.cos(angle)
    depth = farthest * (0.5 + 0.5 * draw_between(rng, 0, 1) * slope / 0.71)
    look = draw_look(rng, tile_shape=shape, grain=draw_log_between(rng, 0.3, 2) * min(shape) / 256)
    colours = look.shaded(look.tile)
    if rng.random() < 0.5:
        colours *= 1 + np.float32(draw_between(rng, 0.05, 0.2)) * smooth_noise(rng, shape, 0.4 * min(shape))[..., None]
    return View(np.zeros(shape, np.int32), depth.astype(np.float32), colours)


def _draw_solid(rng: np.random.Generator) -> Figure:
    return SOLID[int(rng.integers(len(SOLID)))](rng)


def _draw_thin(rng: np.random.Generator, shape: Shape2D, level: float) -> Body:
    """Something thin across the whole picture, level or slightly aslant."""
    pose = Pose((shape[0] / 2, shape[1] / 2), 0.2 * min(shape), rng.uniform(0, 2 * np.pi))
    mask = THIN[int(rng.integers(len(THIN)))](rng, shape)
    rows = np.linspace(-1, 1, shape[0])[:, None] * np.sin(pose.turn)
    columns = np.linspace(-1, 1, shape[1])[None] * np.cos(pose.turn)
    depth = level + draw_between(rng, 0, 0.02) * (rows + columns)
    return Body(mask, depth.astype(np.float32), draw_look(rng), pose)


def _scatter(
    rng: np.random.Generator, shape: Shape2D, levels: NDArray[np.float64], sizes_px: tuple[float, float]
) -> list[Body]:
    """Figures of many kinds, places and looks at these depths."""
    bodies = []
    for level in levels:
        centre = (rng.uniform(0.15, 0.85) * shape[0], rng.uniform(0.15, 0.85) * shape[1])
        pose = Pose(centre, draw_log_between(rng, *sizes_px), rng.uniform(0, 2 * np.pi))
        look: Look = draw_look(rng)
        bodies.append(make_body(rng, shape, _draw_solid(rng), pose, look, level, _room(levels, 0.04)))
    return bodies


def _cluster(rng: np.random.Generator, n: int, size_px: float, shape: Shape2D) -> NDArray[np.float64]:
    """`(n, 2)` places, most within reach of an earlier one, so that bodies of that size overlap."""
    places = [rng.uniform(0.25, 0.75, 2) * shape]
    chance_of_leap = 0.3 if rng.random() < 0.5 else 0.0
    for _ in range(n - 1):
        angle, distance = rng.uniform(0, 2 * np.pi), size_px * draw_between(rng, 0.7, 1.7)
        place = places[int(rng.integers(len(places)))] + distance * np.array([np.sin(angle), np.cos(angle)])
        if rng.random() < chance_of_leap:
            place = rng.uniform(0.1, 0.9, 2) * shape
        places.append(np.clip(place, 0.06 * np.array(shape), 0.94 * np.array(shape)))
    return np.array(places)


def _room(levels: NDArray[np.float64], most: float) -> float:
    """How far the depth of a body may go from its level and stay clear of the next one."""
    return min(most, 0.3 * float(np.diff(np.sort(levels)).min())) if len(levels) > 1 else most
