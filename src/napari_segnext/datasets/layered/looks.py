"""What bodies look like: a colour and a texture in coordinates of their own, so that twins look alike at any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_segnext.datasets.procedural.noise import (
    draw_between,
    draw_log_between,
    fractal_noise,
    granules,
    smooth_noise,
    stripes,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext._types import Shape2D
    from napari_segnext.datasets.layered.figures import Pose
    from napari_segnext.datasets.procedural.noise import FloatMap

_TILE = (96, 96)
_TILE_PX_PER_UNIT = 48.0
"""Pixels of a texture along the unit of a figure."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A colour and a texture.

    Attributes
    ----------
    colour
        `(3,)` float32, in about [0, 1].
    second
        `(3,)` float32: what is added where the texture is 1.
    tile
        `(h, w)` float32 texture about 0, at most 1 or so; continued by mirroring.
    """

    colour: NDArray[np.float32]
    second: NDArray[np.float32]
    tile: FloatMap

    def at(self, rows: NDArray[np.floating], columns: NDArray[np.floating]) -> NDArray[np.float32]:
        """`(n, 3)` colours at `(n,)` places of the texture, in its pixels."""
        values = self.tile[_mirrored(rows, self.tile.shape[0]), _mirrored(columns, self.tile.shape[1])]
        return self.shaded(values)

    def shaded(self, texture: NDArray[np.float32]) -> NDArray[np.float32]:
        """`(…, 3)` colours for values of a texture of any shape."""
        return np.asarray(self.colour + texture[..., None] * self.second, np.float32)

    def on(self, pose: Pose, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float32]:
        """`(n, 3)` colours of the pixels of a body, whose texture moves, turns and grows with it."""
        y = (rows - np.float32(pose.centre_yx[0])) * np.float32(_TILE_PX_PER_UNIT / pose.size_px)
        x = (columns - np.float32(pose.centre_yx[1])) * np.float32(_TILE_PX_PER_UNIT / pose.size_px)
        cosine, sine = np.float32(np.cos(pose.turn)), np.float32(np.sin(pose.turn))
        # The middle of the figure is that of the texture, whose mirror images lie outside
        middle = np.float32(self.tile.shape[0] / 2), np.float32(self.tile.shape[1] / 2)
        return self.at(y * cosine - x * sine + middle[0], y * sine + x * cosine + middle[1])


def draw_look(
    rng: np.random.Generator,
    *,
    unlike: NDArray[np.float32] | None = None,
    tile_shape: Shape2D = _TILE,
    grain: float = 1.0,
) -> Look:
    """Draw a colour and a texture of any strength.

    Parameters
    ----------
    rng
        Source of the draws.
    unlike
        `(3,)` colour from which the new one shall be clearly different.
    tile_shape
        (rows, columns) of the texture.
    grain
        Factor of its size.
    """
    colour = (rng.beta(1.4, 1.4, 3) * 0.6 + 0.3 * rng.random()).astype(np.float32)
    colour += np.float32(draw_between(rng, 0, 0.8)) * (colour.mean() - colour)
    if unlike is not None and np.abs(colour - unlike).sum() < 0.45:
        colour = (np.where(unlike > 0.5, unlike - 0.3, unlike + 0.3) + rng.normal(0, 0.08, 3)).astype(np.float32)
    strength = 0.0 if rng.random() < 0.2 else draw_log_between(rng, 0.02, 0.3)
    tint = rng.normal(0, 0.35, 3) + (1 if rng.random() < 0.5 else -1)
    return Look(np.clip(colour, 0.05, 0.95), (strength * tint).astype(np.float32), _draw_tile(rng, tile_shape, grain))


def _draw_tile(rng: np.random.Generator, shape: Shape2D, grain: float) -> FloatMap:
    """Grain, spots, stripes, checks or clouds."""
    kind = rng.integers(5)
    if kind == 0:
        return 0.5 * fractal_noise(rng, shape, (12 * grain, 4 * grain))
    if kind == 1:
        return granules(rng, shape, draw_between(rng, 5, 14) * grain, draw_between(rng, 0.1, 0.4)) - np.float32(0.3)
    if kind == 2:
        return stripes(rng, shape, rng.uniform(0, np.pi), draw_between(rng, 8, 28) * grain, draw_between(rng, 0, 1))
    if kind == 3:
        wavelength, turn = draw_between(rng, 12, 30) * grain, rng.uniform(0, np.pi)
        lines = (stripes(rng, shape, angle, wavelength, 0) for angle in (turn, turn + np.pi / 2))
        return np.asarray(np.sign(next(lines) * next(lines)), np.float32)
    return 0.6 * smooth_noise(rng, shape, draw_between(rng, 8, 30) * grain)


def _mirrored(places: NDArray[np.floating], length: int) -> NDArray[np.int32]:
    # Forth and back over the texture: no seams
    folded = np.abs(np.remainder(places, 2 * length) - length)
    return np.asarray(np.minimum(folded, length - 1), np.int32)
