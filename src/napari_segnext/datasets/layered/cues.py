"""Light and air: what in a picture tells of depth. Each cue is there by chance and as strong as chance has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_segnext.datasets.procedural.noise import blur, draw_between, draw_log_between
from napari_segnext.datasets.procedural.painting import touching_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext.datasets.layered.bodies import View
    from napari_segnext.datasets.procedural.noise import FloatMap

CHANCE_OF_NONE = 0.15
"""In so many scenes only what hides what tells of depth."""


@dataclass(frozen=True, slots=True)
class Cues:
    """How strong each cue is; 0 is none.

    Attributes
    ----------
    slope
        Shading by the slope of a surface.
    ambient
        Darkening of what lies behind an edge.
    shadow
        Shadows cast on what lies behind.
    haze
        Share of the haze in what is farthest.
    defocus_px
        Blur of what is farthest from the focal plane.
    """

    slope: float = 0.0
    ambient: float = 0.0
    shadow: float = 0.0
    haze: float = 0.0
    defocus_px: float = 0.0


def draw_cues(rng: np.random.Generator) -> Cues:
    """Draw which cues a scene has, and their strengths."""
    if rng.random() < CHANCE_OF_NONE:
        return Cues()
    return Cues(
        slope=draw_between(rng, 0.08, 0.35) if rng.random() < 0.75 else 0.0,
        ambient=draw_between(rng, 0.15, 0.7) if rng.random() < 0.6 else 0.0,
        shadow=draw_between(rng, 0.15, 0.6) if rng.random() < 0.5 else 0.0,
        haze=draw_between(rng, 0.15, 0.75) if rng.random() < 0.55 else 0.0,
        defocus_px=draw_log_between(rng, 1, 4) if rng.random() < 0.35 else 0.0,
    )


def light_and_air(rng: np.random.Generator, view: View, cues: Cues) -> NDArray[np.float32]:
    """Show a view with its cues.

    Parameters
    ----------
    rng
        Source of the directions of light, the colour of the haze and the focal plane.
    view
        In flat light and clear air.
    cues
        Their strengths.

    Returns
    -------
    NDArray[np.float32]
        `(H, W, 3)`, about 0 to 1.
    """
    unit_px = min(view.depth.shape) / 256
    angle = rng.uniform(0, 2 * np.pi)
    light = np.ones(view.depth.shape, np.float32)
    if cues.slope:
        light += np.float32(cues.slope) * _slope_shading(view, angle)
    if cues.ambient:
        light *= 1 - np.float32(cues.ambient) * _occlusion(view.depth, draw_log_between(rng, 2, 6) * unit_px)
    if cues.shadow:
        light *= 1 - np.float32(cues.shadow) * _cast_shadow(view.depth, angle, draw_log_between(rng, 6, 24) * unit_px)
    shown = view.colours * light[..., None]
    if cues.haze:
        shown = _with_haze(rng, shown, view.depth, cues.haze)
    if cues.defocus_px:
        shown = _with_defocus(shown, view.depth, draw_between(rng, 0, 1), cues.defocus_px * unit_px)
    return shown


def _slope_shading(view: View, angle: float) -> FloatMap:
    """About -1 to 1; 0 where a surface is level or ends."""
    slope_rows, slope_columns = np.gradient(view.depth)
    is_edge = touching_pixels(view.labels)
    slope = np.where(is_edge, 0, slope_rows * np.float32(np.sin(angle)) + slope_columns * np.float32(np.cos(angle)))
    steepest = float(np.quantile(np.abs(slope[::3, ::3]), 0.97))
    if steepest < 1e-5:
        return np.zeros(view.depth.shape, np.float32)
    return np.asarray(np.clip(slope / steepest, -1.5, 1.5), np.float32)


def _occlusion(depth: FloatMap, reach_px: float) -> FloatMap:
    """0 to 1: how much nearer the surroundings are."""
    nearer = np.clip(blur(depth, reach_px) - depth, 0, None)
    return np.asarray(np.minimum(nearer * 5, 1), np.float32)


def _cast_shadow(depth: FloatMap, angle: float, reach_px: float) -> FloatMap:
    """0 to 1: something towards the light stands higher than the ray that would reach the pixel."""
    shadow = np.zeros(depth.shape, np.float32)
    for step in np.linspace(0.2, 1, 5):
        offset = (round(reach_px * step * np.sin(angle)), round(reach_px * step * np.cos(angle)))
        height = _shifted(depth, offset) - depth
        np.maximum(shadow, np.clip(height * 12 - np.float32(5 * step), 0, 1), out=shadow)
    return blur(shadow, max(0.7, reach_px / 10))


def _shifted(values: FloatMap, offset: tuple[int, int]) -> FloatMap:
    """Moved by (rows, columns); the edge continues."""
    rows = np.clip(np.arange(values.shape[0]) - offset[0], 0, values.shape[0] - 1)
    columns = np.clip(np.arange(values.shape[1]) - offset[1], 0, values.shape[1] - 1)
    return values[rows[:, None], columns[None]]


def _with_haze(
    rng: np.random.Generator, shown: NDArray[np.float32], depth: FloatMap, strength: float
) -> NDArray[np.float32]:
    """Far things fade into one colour: bright air, deep water, or the dark beyond a lamp."""
    haze = np.clip(draw_between(rng, 0, 1) + rng.normal(0, 0.06, 3), 0, 1).astype(np.float32)
    share = np.float32(strength) * (1 - depth) ** np.float32(draw_log_between(rng, 0.7, 2))
    return np.asarray(shown + share[..., None] * (haze - shown), np.float32)


def _with_defocus(shown: NDArray[np.float32], depth: FloatMap, focus: float, sigma_px: float) -> NDArray[np.float32]:
    """Blurred by distance from the focal plane: between sharp, half and full blur."""
    span = max(float(np.abs(depth - np.float32(focus)).max()), 1e-3)
    share = (2 * np.abs(depth - np.float32(focus)) / np.float32(span))[..., None]
    channels = np.moveaxis(shown, -1, 0)
    half, full = (
        np.stack([blur(channel, sigma) for channel in channels], axis=-1) for sigma in (sigma_px / 2, sigma_px)
    )
    return np.asarray(
        np.where(share < 1, shown + share * (half - shown), half + (share - 1) * (full - half)), np.float32
    )
