"""Scenes upon a surface: bodies that stand or lie on a ground seen in perspective, and height maps with bumps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_segnext.datasets.layered.bodies import MIN_VISIBLE_PX, Body, View, draw_levels, look_at, make_body
from napari_segnext.datasets.layered.figures import SOLID, STANDING, Pose, draw_figure
from napari_segnext.datasets.layered.looks import Look, draw_look
from napari_segnext.datasets.procedural.label_maps import FAMILIES as LABEL_MAPS
from napari_segnext.datasets.procedural.label_maps import LabelMap
from napari_segnext.datasets.procedural.noise import draw_between, draw_log_between, fractal_noise
from napari_segnext.datasets.procedural.painting import measure_layout

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext._types import Shape2D
    from napari_segnext.datasets.layered.figures import Figure, FigureMaker
    from napari_segnext.datasets.procedural.noise import FloatMap
    from napari_segnext.datasets.procedural.painting import Layout

BUMPS = ("tissue_cells", "neuropil", "nuclei", "clustered_nuclei", "polygons", "bacteria", "grids", "blobs")
"""Families of label maps whose objects make good bumps."""

SIDE_BY_SIDE = ("tissue_cells", "neuropil", "blobs")
"""Those of them whose objects do not overlap."""


def ground(rng: np.random.Generator, shape: Shape2D) -> View:
    """A ground or wall that comes nearer steadily; bodies of one or two kinds stand or lie on it, near and far."""
    return _standing(rng, shape) if rng.random() < 0.6 else _lying(rng, shape)


def relief(rng: np.random.Generator, shape: Shape2D) -> View:
    """A height map: bumps on an uneven surface, or confluent cells of unequal heights; depth varies within each."""
    name = BUMPS[int(rng.integers(len(BUMPS)))]
    layout = _draw_bumps(rng, name, shape)
    n = layout.n_objects + 1
    is_stepped = rng.random() < 0.6
    # Later objects lie on earlier ones
    tops = rng.uniform(0.25, 0.9, n) if name in SIDE_BY_SIDE else np.linspace(0.25, 0.9, n)
    rise = np.clip(layout.border_distance / (draw_between(rng, 0.5, 1.5) * layout.thickness_px), 0, 1)
    dome = np.sqrt(1 - (1 - rise) ** 2)
    floor = 0.12 + 0.04 * fractal_noise(rng, shape, (0.4 * min(shape), 0.1 * min(shape)))
    share = draw_between(rng, 0.1, 0.5) if is_stepped else 0.9
    height = layout.per_object(tops) * (1 - share + share * dome)
    depth = np.where(layout.is_object, np.maximum(height, floor + 0.02), floor).astype(np.float32)
    return View(layout.labels, np.clip(depth, 0, 1), _relief_colours(rng, layout, depth))


def _standing(rng: np.random.Generator, shape: Shape2D) -> View:
    horizon = shape[0] * draw_between(rng, -0.5, 0.35)
    nearest = draw_between(rng, 0.75, 0.95)
    backdrop = _ground_backdrop(rng, shape, horizon, nearest)
    n = int(rng.integers(4, 13))
    # Inverse depth of a plane is linear in the row
    levels = draw_levels(rng, n, 0.12, nearest)
    feet = horizon + levels / nearest * (shape[0] - horizon)
    height = min(shape) * draw_log_between(rng, 0.2, 0.55)
    kinds = [(_draw_figure(rng, STANDING), draw_look(rng)) for _ in range(1 if rng.random() < 0.5 else 3)]
    bodies = []
    for level, foot in zip(levels, feet, strict=True):
        figure, look = kinds[int(rng.integers(len(kinds)))]
        size = height * level * draw_between(rng, 0.9, 1.1)
        pose = Pose((foot - size, rng.uniform(0.02, 0.98) * shape[1]), size)
        mask = draw_figure(figure, pose, shape)
        # Just before the ground at its foot
        depth = np.full(shape, level + 0.006, np.float32)
        bodies.append(Body(mask, depth, look, pose))
    return look_at(bodies, backdrop)


def _ground_backdrop(rng: np.random.Generator, shape: Shape2D, horizon: float, nearest: float) -> View:
    rows, columns = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    below = np.clip((rows - horizon) / (shape[0] - horizon), 0, None).astype(np.float32)
    depth = np.asarray(nearest * below, np.float32)
    look, sky = draw_look(rng), draw_look(rng)
    cell = 30 * draw_log_between(rng, 0.5, 2)
    away = 1 / np.maximum(below, 0.02)
    y, x = cell * 2 * away, (columns - shape[1] / 2) * away * (cell * 2 / shape[1])
    # A far texture is too fine to be seen
    fineness = 2 * cell * away**2 / shape[0]
    full = look.at(y.ravel(), x.ravel() + rng.uniform(0, look.tile.shape[1])).reshape(*shape, 3)
    colours = look.colour + (full - look.colour) / (1 + fineness**2 / 4)[..., None]
    colours = np.where((rows > horizon)[..., None], colours, sky.colour).astype(np.float32)
    return View(np.zeros(shape, np.int32), depth, colours)


def _lying(rng: np.random.Generator, shape: Shape2D) -> View:
    rows, columns = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij")
    angle = rng.uniform(0, 2 * np.pi)
    low, high = draw_between(rng, 0.05, 0.25), draw_between(rng, 0.55, 0.78)
    slope = (rows * np.sin(angle) + columns * np.cos(angle)) / (abs(np.sin(angle)) + abs(np.cos(angle)))
    depth = (low + (high - low) * (0.5 + 0.5 * slope)).astype(np.float32)
    look = draw_look(rng, tile_shape=shape, grain=draw_log_between(rng, 0.3, 2) * min(shape) / 256)
    n = int(rng.integers(4, 14))
    lifts = draw_levels(rng, n, 0.04, 0.2)
    kinds = [(_draw_figure(rng, SOLID), draw_look(rng, unlike=look.colour)) for _ in range(int(rng.integers(1, 3)))]
    size = min(shape) * draw_log_between(rng, 0.15, 0.3)
    bodies = []
    for lift in lifts:
        row, column = int(rng.integers(shape[0])), int(rng.integers(shape[1]))
        figure, own = kinds[int(rng.integers(len(kinds)))]
        pose = Pose((row, column), size * (0.3 + float(depth[row, column])), rng.uniform(0, 2 * np.pi))
        body = make_body(rng, shape, figure, pose, own, lift, 0.002)
        bodies.append(Body(body.mask, body.depth + depth, own, pose))
    return look_at(bodies, View(np.zeros(shape, np.int32), depth, look.shaded(look.tile)))


def _draw_figure(rng: np.random.Generator, makers: tuple[FigureMaker, ...]) -> Figure:
    return makers[int(rng.integers(len(makers)))](rng)


def _draw_bumps(rng: np.random.Generator, name: str, shape: Shape2D) -> Layout:
    # A draw may come out empty
    for _ in range(20):
        drawn = LABEL_MAPS[name](rng, shape)
        is_kept = np.bincount(drawn.labels.ravel()) >= MIN_VISIBLE_PX
        is_kept[0] = False
        if is_kept.any():
            break
    numbers = np.where(is_kept, np.cumsum(is_kept), 0).astype(np.int32)
    return measure_layout(LabelMap(numbers[drawn.labels], drawn.context))


def _relief_colours(rng: np.random.Generator, layout: Layout, depth: FloatMap) -> NDArray[np.float32]:
    """One material, or one per object, or a scale of colours for heights."""
    look: Look = draw_look(rng)
    texture = fractal_noise(rng, layout.shape, (8 * layout.unit_px, 3 * layout.unit_px))
    colours = look.shaded(np.float32(0.5) * texture)
    kind = rng.integers(3)
    if kind == 0:
        contrast = draw_between(rng, 0.05, 0.3)
        colours += layout.per_object(rng.normal(0, contrast, layout.n_objects + 1))[..., None]
    elif kind == 1:
        other = draw_look(rng, unlike=look.colour).colour
        colours += (other - look.colour) * ndimage.uniform_filter(depth, 3)[..., None]
    return np.asarray(colours, np.float32)
