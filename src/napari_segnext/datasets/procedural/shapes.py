"""Outlines, paths and places of drawn objects, and the canvas they are drawn on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import PIL.ImageDraw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext._types import Shape2D


class LabelCanvas:
    """A label map on which later objects cover earlier ones.

    Parameters
    ----------
    shape
        (rows, columns).
    """

    def __init__(self, shape: Shape2D) -> None:
        self.shape = shape
        self._picture = PIL.Image.new("I", (shape[1], shape[0]), 0)
        self._draw = PIL.ImageDraw.Draw(self._picture)

    def fill(self, outline_yx: NDArray[np.float64], label: int) -> None:
        """Fill a polygon; `(n, 2)` float (row, column), at least 3 corners."""
        self._draw.polygon([(float(x), float(y)) for y, x in outline_yx], fill=label)

    def draw_tube(self, path_yx: NDArray[np.float64], radii_px: NDArray[np.float64] | float, label: int) -> None:
        """Draw disks along a path of `(n, 2)` float (row, column); radii of 0.5 and less give thin lines."""
        radii = np.broadcast_to(radii_px, len(path_yx))
        points = [(float(x), float(y)) for y, x in path_yx]
        for i in range(len(points) - 1):
            self._draw.line([points[i], points[i + 1]], fill=label, width=max(1, round(2 * radii[i])))
        for (x, y), radius in zip(points, radii, strict=True):
            if radius > 1:
                self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=label)

    def to_array(self) -> NDArray[np.int32]:
        """`(H, W)` int32 copy of what was drawn."""
        return np.array(self._picture, np.int32)


def radial_outline(
    rng: np.random.Generator,
    centre_yx: tuple[float, float],
    radius_px: float,
    *,
    elongation: float = 1.0,
    angle: float | None = None,
    roughness: float = 0.0,
    n_waves: int = 5,
) -> NDArray[np.float64]:
    """Draw a closed smooth outline, an ellipse with random bulges.

    Parameters
    ----------
    rng
        Source of the draw.
    centre_yx
        (row, column).
    radius_px
        Mean radius; the area of the ellipse does not depend on `elongation`.
    elongation
        Long axis by short axis.
    angle
        Of the long axis, in radians; random if None.
    roughness
        Height of the bulges as a share of the radius.
    n_waves
        Number of bulges at most.

    Returns
    -------
    NDArray[np.float64]
        `(n, 2)` corners (row, column).
    """
    turn = rng.uniform(0, np.pi) if angle is None else angle
    phi = np.linspace(0, 2 * np.pi, int(np.clip(radius_px * 2, 14, 90)), endpoint=False)
    radius = np.ones_like(phi)
    if roughness > 0:
        waves = np.arange(2, 2 + n_waves)
        heights = rng.standard_normal(n_waves) * roughness * 1.5 / waves
        phases = rng.uniform(0, 2 * np.pi, n_waves)
        radius += (heights[:, None] * np.cos(waves[:, None] * phi + phases[:, None])).sum(axis=0)
    radius = np.clip(radius, 0.25, 2.5) * radius_px
    along, across = radius * np.cos(phi) * np.sqrt(elongation), radius * np.sin(phi) / np.sqrt(elongation)
    rows = centre_yx[0] + along * np.sin(turn) + across * np.cos(turn)
    columns = centre_yx[1] + along * np.cos(turn) - across * np.sin(turn)
    return np.stack([rows, columns], axis=-1)


def angular_outline(
    rng: np.random.Generator, centre_yx: tuple[float, float], radius_px: float, *, n_corners: int, spikiness: float
) -> NDArray[np.float64]:
    """`(n, 2)` corners (row, column) of an irregular polygon; spikiness 0 is nearly convex, 1 a star."""
    phi = (np.arange(n_corners) + rng.uniform(-0.35, 0.35, n_corners)) * 2 * np.pi / n_corners + rng.uniform(0, 6.3)
    radius = radius_px * rng.uniform(0.75, 1.2, n_corners)
    radius[1::2] *= 1 - 0.65 * spikiness
    return np.stack([centre_yx[0] + radius * np.sin(phi), centre_yx[1] + radius * np.cos(phi)], axis=-1)


def random_path(
    rng: np.random.Generator,
    start_yx: tuple[float, float],
    length_px: float,
    *,
    heading: float | None = None,
    bend: float = 0.1,
    step_px: float = 2.0,
    inertia: float = 0.8,
) -> NDArray[np.float64]:
    """Draw a path of steady or random bends.

    Parameters
    ----------
    rng
        Source of the draw.
    start_yx
        (row, column).
    length_px
        Length along the path.
    heading
        Direction at the start, in radians; random if None.
    bend
        Turn in radians per step.
    step_px
        Distance of the points.
    inertia
        In `(-1, 1)`: below 0 a zigzag that keeps its heading, 0 a jagged walk, near 1 long bows.

    Returns
    -------
    NDArray[np.float64]
        `(n, 2)` points (row, column), at least 2, in order.
    """
    n_steps = max(1, round(length_px / step_px))
    turns = rng.standard_normal(n_steps) * bend
    for i in range(1, n_steps):
        turns[i] += inertia * turns[i - 1]
    first = rng.uniform(0, 2 * np.pi) if heading is None else heading
    headings = first + np.cumsum(turns)
    steps = step_px * np.stack([np.sin(headings), np.cos(headings)], axis=-1)
    return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)]) + np.asarray(start_yx, np.float64)


def spread_centres(
    rng: np.random.Generator, shape: Shape2D, spacing_px: float, *, jitter: float, share: float = 1.0
) -> NDArray[np.float64]:
    """Draw places that cover the map about evenly.

    Parameters
    ----------
    rng
        Source of the draw.
    shape
        (rows, columns) of the map.
    spacing_px
        Distance of neighbours.
    jitter
        0 is a hexagonal grid, 1 nearly independent places.
    share
        Share of the places that is kept.

    Returns
    -------
    NDArray[np.float64]
        `(n, 2)` (row, column) in random order, at least one.
    """
    offset = rng.uniform(0, spacing_px, 2)
    rows, columns = np.meshgrid(
        np.arange(offset[0] - spacing_px / 2, shape[0] + spacing_px / 3, spacing_px),
        np.arange(offset[1] - spacing_px / 2, shape[1] + spacing_px / 3, spacing_px),
        indexing="ij",
    )
    columns = columns + (np.arange(rows.shape[0]) % 2)[:, None] * spacing_px / 2
    centres = np.stack([rows.ravel(), columns.ravel()], axis=-1)
    centres += rng.uniform(-0.5, 0.5, centres.shape) * spacing_px * jitter
    if share < 1:
        centres = centres[rng.random(len(centres)) < share]
    if len(centres) == 0:
        centres = np.asarray([[shape[0], shape[1]]]) * rng.uniform(0.3, 0.7, (1, 2))
    return rng.permutation(centres)
