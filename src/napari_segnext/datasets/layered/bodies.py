"""Bodies at depths → what is seen of them: at every pixel the nearest one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_segnext.datasets.layered.figures import draw_figure
from napari_segnext.datasets.procedural.noise import draw_between

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_segnext._types import Shape2D
    from napari_segnext.datasets.layered.figures import Figure, Mask, Pose
    from napari_segnext.datasets.layered.looks import Look
    from napari_segnext.datasets.procedural.noise import FloatMap

MIN_VISIBLE_PX = 40
"""Bodies of which less is seen are left out."""

MIN_VISIBLE_SHARE = 0.1
"""The same, of what would be seen of them alone."""

SURFACES = ("flat", "tilted", "domed")
"""How the depth of a body varies within it."""


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """One thing in a scene.

    Attributes
    ----------
    mask
        `(H, W)` bool: what it covers, hidden or not.
    depth
        `(H, W)` float32 inverse depth, larger is nearer; counts within the mask only.
    look, pose
        Its colours, and where its texture lies.
    opacity
        Share of its colour in what is seen through it; its label and depth count in any case.
    """

    mask: Mask
    depth: FloatMap
    look: Look
    pose: Pose
    opacity: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What is seen from the camera, in flat light and clear air.

    Attributes
    ----------
    labels
        `(H, W)` int32: 0 background, 1 … N the bodies.
    depth
        `(H, W)` float32 inverse depth, larger is nearer.
    colours
        `(H, W, 3)` float32, about 0 to 1.
    """

    labels: NDArray[np.int32]
    depth: FloatMap
    colours: NDArray[np.float32]


def draw_levels(rng: np.random.Generator, n: int, low: float, high: float) -> NDArray[np.float64]:
    """`(n,)` depths in random order that cover a range with unequal steps, none below a third of the mean step."""
    if n == 1:
        return np.array([rng.uniform(low, high)])
    steps = np.concatenate([[0.0], rng.uniform(0.6, 1.4, n - 1)]).cumsum()
    return rng.permutation(low + (high - low) * steps / steps[-1])


def shape_depth(rng: np.random.Generator, shape: Shape2D, pose: Pose, level: float, room: float) -> FloatMap:
    """Draw the depth of a body: flat, tilted or domed.

    Parameters
    ----------
    rng
        Source of the draws.
    shape
        (rows, columns) of the map.
    pose
        Of the body.
    level
        Its middle depth.
    room
        How far its depth may go from there.

    Returns
    -------
    FloatMap
        `(H, W)` float32 in `level` ± `room`.
    """
    kind = SURFACES[int(rng.integers(len(SURFACES)))]
    extent = np.float32(0.3 * room + 0.7 * room * rng.random())
    if kind == "flat":
        return np.full(shape, level, np.float32)
    rows = (np.arange(shape[0], dtype=np.float32)[:, None] - pose.centre_yx[0]) / np.float32(1.2 * pose.size_px)
    columns = (np.arange(shape[1], dtype=np.float32)[None] - pose.centre_yx[1]) / np.float32(1.2 * pose.size_px)
    if kind == "tilted":
        angle = rng.uniform(0, 2 * np.pi)
        slope = np.clip(rows * np.float32(np.sin(angle)) + columns * np.float32(np.cos(angle)), -1, 1)
        return np.asarray(level + extent * slope, np.float32)
    cap = np.sqrt(np.clip(1 - rows**2 - columns**2, 0, None))
    return np.asarray(level + extent * (2 * cap - 1), np.float32)


def make_body(
    rng: np.random.Generator,
    shape: Shape2D,
    figure: Figure,
    pose: Pose,
    look: Look,
    level: float,
    room: float,
    *,
    opacity: float = 1.0,
) -> Body:
    """Place a figure at a depth; arguments as in `draw_figure` and `shape_depth`."""
    mask = draw_figure(figure, pose, shape)
    return Body(mask, shape_depth(rng, shape, pose, level, room), look, pose, opacity)


def look_at(bodies: Sequence[Body], backdrop: View) -> View:
    """Show at every pixel the nearest body.

    Parameters
    ----------
    bodies
        In any order; those of which hardly anything is seen are left out. May be empty.
    backdrop
        What lies behind all of them: its labels do not count, and where its depth is nearer, it hides bodies.

    Returns
    -------
    View
        The bodies are numbered from far to near.
    """
    ordered = sorted(bodies, key=_mean_depth)
    seen = np.bincount(_nearest(ordered, backdrop)[0].ravel(), minlength=len(ordered) + 1)[1:]
    kept = [
        body
        for body, n_px in zip(ordered, seen, strict=True)
        if n_px >= max(MIN_VISIBLE_PX, MIN_VISIBLE_SHARE * np.count_nonzero(body.mask))
    ]
    labels, depth = _nearest(kept, backdrop)
    colours = backdrop.colours.copy()
    shines_through = any(body.opacity < 1 for body in kept)
    for label, body in enumerate(kept, start=1):
        rows, columns = np.nonzero(body.mask if shines_through else labels == label)
        own = body.look.on(body.pose, rows, columns)
        colours[rows, columns] += np.float32(body.opacity) * (own - colours[rows, columns])
    return View(labels, depth, colours)


def draw_opacity(rng: np.random.Generator) -> float:
    """Draw whether the sheets of a scene are opaque, and how far not."""
    return 1.0 if rng.random() < 0.5 else draw_between(rng, 0.5, 0.9)


def _nearest(bodies: Sequence[Body], backdrop: View) -> tuple[NDArray[np.int32], FloatMap]:
    labels, depth = np.zeros(backdrop.labels.shape, np.int32), backdrop.depth.copy()
    for label, body in enumerate(bodies, start=1):
        is_nearer = body.mask & (body.depth > depth)
        labels[is_nearer] = label
        depth[is_nearer] = body.depth[is_nearer]
    return labels, depth


def _mean_depth(body: Body) -> float:
    return float(body.depth[body.mask].mean()) if body.mask.any() else 0.0
