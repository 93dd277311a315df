"""Painters: how a label map looks under one kind of instrument, before the camera (see `camera.py`) degrades it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage, special

from napari_segnext.datasets.procedural.label_maps import (
    AIR,
    BONE,
    FAT,
    GREY_MATTER,
    SCALP,
    SHEATH,
    SOFT_TISSUE,
    VENTRICLE,
    WHITE_MATTER,
    clutter_mask,
)
from napari_segnext.datasets.procedural.noise import (
    blur,
    draw_between,
    draw_log_between,
    fractal_noise,
    granules,
    smooth_noise,
    speckle,
    stripes,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from numpy.typing import NDArray

    from napari_segnext._types import Shape2D
    from napari_segnext.datasets.procedural.label_maps import LabelMap
    from napari_segnext.datasets.procedural.noise import FloatMap

    Painter: TypeAlias = Callable[[np.random.Generator, "Layout"], NDArray[np.float32]]
    """Paints `(H, W)` or `(H, W, 3)` float32, about 0 to 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A label map with what painters measure on it.

    Attributes
    ----------
    labels, context
        Of the `LabelMap`, `(H, W)` int32.
    is_object
        `(H, W)` bool.
    border_distance
        `(H, W)` float32: distance in pixels to the nearest border of an object, at least 0.5.
    depth
        `(H, W)` float32: the same, above 0 within objects and below 0 outside.
    seams
        `(H, W)` bool: pixels where one object touches another.
    """

    labels: NDArray[np.int32]
    context: NDArray[np.int32]
    is_object: NDArray[np.bool_]
    border_distance: FloatMap
    depth: FloatMap
    seams: NDArray[np.bool_]

    @property
    def shape(self) -> Shape2D:
        """(rows, columns)."""
        return self.labels.shape[0], self.labels.shape[1]

    @property
    def unit_px(self) -> float:
        """Pixels for what is one pixel at 256 × 256."""
        return min(self.shape) / 256

    def per_object(self, values: NDArray[np.floating]) -> FloatMap:
        """`(H, W)` float32 that holds for each pixel the value of its label; `values` starts with the background's."""
        return values.astype(np.float32)[self.labels]

    @property
    def n_objects(self) -> int:
        """Highest label."""
        return int(self.labels.max())

    @property
    def thickness_px(self) -> float:
        """Typical half width of the objects, in pixels."""
        inside = self.border_distance[self.is_object]
        return float(np.quantile(inside[:: max(1, len(inside) // 4000)], 0.85)) if len(inside) else 1.0


def measure_layout(label_map: LabelMap) -> Layout:
    """Measure distances and seams of a label map."""
    labels = label_map.labels
    borders = touching_pixels(labels)
    distance = np.asarray(ndimage.distance_transform_edt(~borders), np.float32) + np.float32(0.5)
    if not borders.any():
        distance[:] = max(labels.shape)
    is_object = labels > 0
    seams = touching_pixels(labels, between_objects=True)
    return Layout(labels, label_map.context, is_object, distance, np.where(is_object, distance, -distance), seams)


def touching_pixels(labels: NDArray[np.int32], *, between_objects: bool = False) -> NDArray[np.bool_]:
    """`(H, W)` bool: pixels with a neighbour of another label; `between_objects` counts no background."""
    result = np.zeros(labels.shape, bool)
    for first, second in ((np.s_[1:, :], np.s_[:-1, :]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = labels[first] != labels[second]
        if between_objects:
            differ &= (labels[first] > 0) & (labels[second] > 0)
        result[first] |= differ
        result[second] |= differ
    return result


def paint_fluorescence(rng: np.random.Generator, layout: Layout) -> NDArray[np.float32]:
    """Bright objects on dark ground: filled, domed or only their rims."""
    values = 0.06 + 0.03 * fractal_noise(rng, layout.shape, (60, 15))
    values += 0.15 * draw_between(rng, 0, 1) * _clutter(rng, layout)
    brightness = layout.per_object(np.exp(rng.normal(0, draw_between(rng, 0.05, 0.45), layout.n_objects + 1)) * 0.6)
    style = rng.choice(["filled", "domed", "rims"], p=[0.5, 0.25, 0.25])
    if style == "rims" and layout.thickness_px > 3:
        width = draw_between(rng, 0.9, 2.2)
        profile = np.exp(-((layout.border_distance / width) ** 2))
        inside = draw_between(rng, 0, 0.35) * layout.is_object
        return _float(values + 0.7 * profile * (1 + 0.3 * smooth_noise(rng, layout.shape, 8)) + inside * brightness)
    texture = 1 + draw_between(rng, 0, 0.3) * _texture(rng, layout)
    profile = np.ones(layout.shape)
    if style == "domed":
        profile = 0.45 + 0.55 * np.tanh(layout.border_distance / (0.6 * layout.thickness_px))
    values = np.where(layout.is_object, values + brightness * np.clip(texture, 0.25, 2) * profile, values)
    return _float(values * (1 - draw_between(rng, 0.3, 0.7) * layout.seams))


def paint_channels(rng: np.random.Generator, layout: Layout) -> NDArray[np.float32]:
    """Two or three fluorescent dyes of the same objects, each in a colour of its own."""
    colours = rng.permutation(np.eye(3)) * 0.8 + 0.2 * rng.random((3, 3))
    n_dyes = 2 if rng.random() < 0.6 else 3
    layers = [paint_fluorescence(rng, layout) * draw_between(rng, 0.5, 1) for _ in range(n_dyes)]
    return _float(np.stack(layers, axis=-1) @ colours[:n_dyes])


def paint_bright_field(rng: np.random.Generator, layout: Layout) -> NDArray[np.float32]:
    """Unstained cells, seen by a dark rim, a bright halo and a slight texture; the inside is as grey as the ground."""
    values = 0.5 + 0.02 * fractal_noise(rng, layout.shape, (80, 20)) + 0.08 * _clutter(rng, layout)
    depth = layout.depth
    rim_px, halo_px = draw_between(rng, 0.8, 2), draw_log_between(rng, 1.2, 5)
    sign = -1 if rng.random() < 0.7 else 1
    rim = np.exp(-((layout.border_distance / rim_px) ** 2))
    halo = np.exp(-np.abs(depth + halo_px * 1.2) / halo_px) * (depth < 0)
    values += sign * draw_between(rng, 0.15, 0.35) * rim - sign * draw_between(rng, 0.05, 0.25) * halo
    inside = draw_between(rng, 0.01, 0.08) * _texture(rng, layout) + draw_between(rng, -0.05, 0.05)
    inside = inside - 0.12 * granules(rng, layout.shape, 4 * layout.unit_px, 0.06) * (layout.border_distance > 3)
    values += np.where(layout.is_object, inside, 0)
    if rng.random() < 0.4:
        angle = rng.uniform(0, 2 * np.pi)
        hill = blur(np.tanh(np.clip(depth, 0, None) / 4), 0.8)
        slope = np.gradient(hill)
        values += 0.8 * (slope[0] * np.sin(angle) + slope[1] * np.cos(angle))
    return _float(values)


def paint_electron_cells(rng: np.random.Generator, layout: Layout) -> NDArray[np.float32]:
    """Objects are cells with dark membranes, grey plasm, vesicles and unlabelled mitochondria."""
    shade = rng.normal(0, draw_between(rng, 0.02, 0.07), layout.n_objects + 1)
    values = draw_between(rng, 0.6, 0.75) + layout.per_object(shade) + _plasm(rng, layout)
    far = layout.border_distance > 3.5
    bodies = (
        granules(rng, layout.shape, draw_log_between(rng, 9, 22) * layout.unit_px, draw_between(rng, 0, 0.12)) * far
    )
    angle = smooth_noise(rng, layout.shape, 40) * 1.5
    cristae = 0.05 * stripes(rng, layout.shape, angle, 4.5, 1.0)
    values -= bodies * (0.2 + cristae)
    values[~layout.is_object] += draw_between(rng, -0.1, 0.15)
    return _float(_with_membranes(rng, layout, values, layout.border_distance))


def paint_mitochondria(rng: np.random.Generator, layout: Layout) -> NDArray[np.float32]:
    """Objects are mitochondria: double membrane and cristae; the cells about them have membranes and no label."""
    cell_border = touching_pixels(layout.context)
    to_cell = np.asarray(ndimage.distance_transform_edt(~cell_border), np.float32) + np.float32(0.5)
    shade = rng.normal(0, draw_between(rng, 0.01, 0.07), int(layout.context.max()) + 1).astype(np.float32)
    values = draw_between(rng, 0.62, 0.78) + shade[layout.context] + _plasm(rng, layout)
    vesicles = granules(rng, layout.shape, 3.2 * layout.unit_px, 0.2) * (smooth_noise(rng, layout.shape, 30) > 0.6)
    values -= 0.22 * vesicles * ~layout.is_object
    values = _with_membranes(rng, layout, values, to_cell)
    n = layout.n_objects + 1
    angle = layout.per_object(rng.uniform(0, np.pi, n)) + 0.4 * smooth_noise(rng, layout.shape, 20)
    wavelength = layout.per_object(rng.uniform(4, 8.5, n)) * np.float32(max(1.0, layout.unit_px))
    cristae = stripes(rng, layout.shape, angle, wavelength, 1.2) * draw_between(rng, 0.04, 0.2)
    inside = values - draw_between(rng, 0.08, 0.36) + layout.per_object(rng.normal(0, 0.03, n)) + cristae
    inside += 0.06 * granules(rng, layout.shape, 2.5, 0.2)
    values = np.where(layout.is_object, inside, values)
    width = draw_between(rng, 0.9, 1.7) * max(1.0, layout.unit_px)
    outer = np.exp(-(((layout.border_distance - 0.5) / width) ** 2))
    cleft = np.exp(-(((layout.depth - 2.4 * width) / (0.6 * width)) ** 2))
    return _float(values - draw_between(rng, 0.15, 0.35) * outer + draw_between(rng, 0, 0.12) * cleft)


def paint_axons(rng: np.random.Generator, layout: Layout) -> NDArray[np.float32]:
    """Dark sheaths about axons of nearly the colour of the ground."""
    values = 0.55 + 0.05 * fractal_noise(rng, layout.shape, (40, 10, 4)) + 0.1 * _clutter(rng, layout)
    inside = draw_between(rng, 0, 0.2) + rng.normal(0, 0.04, layout.n_objects + 1)
    values = values + layout.per_object(inside) * layout.is_object
    lamellae = 0.04 * np.sin(layout.border_distance * 2.5) + 0.03 * smooth_noise(rng, layout.shape, 5)
    values = np.where(layout.context == SHEATH, draw_between(rng, 0.1, 0.25) + lamellae, values)
    rim = np.exp(-(layout.border_distance**2))
    return _float(values - 0.12 * rim + 0.15 * layout.seams * (layout.context == SHEATH))


def paint_stained(rng: np.random.Generator, layout: Layout) -> NDArray[np.float32]:
    """Stained section in colour: every stain takes its share of the light."""
    first, second = _two_stains(rng)
    ground = 0.35 + 0.12 * fractal_noise(rng, layout.shape, (45, 12, 4)) + 0.3 * _clutter(rng, layout)
    amount = layout.per_object(rng.normal(1, draw_between(rng, 0.05, 0.4), layout.n_objects + 1).clip(0.6, 2))
    chromatin = np.clip(1 + 0.3 * _texture(rng, layout), 0.3, 2)
    rim = 0.4 * np.exp(-((layout.border_distance / 1.5) ** 2)) * layout.is_object
    taken = np.where(layout.is_object, amount * chromatin * draw_between(rng, 0.6, 1) + rim, 0.04)
    ground = np.where(layout.is_object, ground * draw_between(rng, 0.4, 1), ground)
    values = np.exp(-(taken[..., None] * first + ground[..., None] * second))
    gaps = smooth_noise(rng, layout.shape, 30) > draw_between(rng, 1.2, 2.5)
    values[gaps & ~layout.is_object] = 0.93
    values[layout.seams] *= draw_between(rng, 0.6, 0.85)
    return _float(values)


def paint_textures(rng: np.random.Generator, layout: Layout) -> NDArray[np.float32]:
    """Objects differ from the ground by texture, and at most slightly by their grey; seams are drawn."""
    coarse = layout.thickness_px
    ground_scale = max(10.0, coarse) * draw_between(rng, 0.8, 4)
    ground = draw_between(rng, 0.02, 0.12) * fractal_noise(rng, layout.shape, (ground_scale, 8))
    n = layout.n_objects + 1
    one_angle = rng.uniform(0, np.pi)
    angles = rng.uniform(0, np.pi, n) if rng.random() < 0.5 else np.full(n, one_angle)
    kind = rng.integers(3)
    if kind == 0:
        wavelength = float(np.clip(coarse * draw_between(rng, 0.4, 0.8), 3, 9))
        texture = 0.22 * stripes(rng, layout.shape, layout.per_object(angles), wavelength, 1.0)
    elif kind == 1:
        texture = 0.5 * granules(rng, layout.shape, draw_between(rng, 2, 3.5), 0.3)
    else:
        texture = 0.2 * smooth_noise(rng, layout.shape, draw_between(rng, 1, 2.2))
    shift = layout.per_object(rng.normal(draw_between(rng, -0.2, 0.2), 0.05, n))
    values = 0.5 + np.where(layout.is_object, texture + shift + 0.3 * ground, ground)
    edge = draw_between(rng, 0.05, 0.25) * np.exp(-((layout.border_distance / 1.3) ** 2))
    return _float(values - edge - 0.15 * layout.seams)


def paint_dark_lines(rng: np.random.Generator, layout: Layout) -> NDArray[np.float32]:
    """Dark thin objects on a rough, stained surface, or bright ones, as cracks, fibres and vessels."""
    surface = fractal_noise(rng, layout.shape, (90, 25, 6, 2)) * draw_between(rng, 0.02, 0.08)
    stains = granules(rng, layout.shape, 14, 0.12) * draw_between(rng, -0.12, 0.12)
    values = 0.6 + surface + stains + draw_between(rng, -0.15, 0.15) * _clutter(rng, layout)
    sign = -1 if rng.random() < 0.75 else 1
    strength = draw_between(rng, 0.22, 0.5) * (1 + 0.2 * smooth_noise(rng, layout.shape, 20)).clip(0.6, 1.4)
    values = np.where(layout.is_object, values * 0.9 + 0.06 + sign * strength, values)
    if rng.random() < 0.4:
        lit = np.roll(layout.is_object, (1, 1), (0, 1)) & ~layout.is_object
        values = values + 0.12 * lit
    values = values - 0.15 * sign * layout.seams
    if rng.random() < 0.4:
        tint = rng.normal(1, 0.1, 3)
        return _float(values[..., None] * tint)
    return _float(values)


def paint_head(rng: np.random.Generator, layout: Layout) -> NDArray[np.float32]:
    """Head in magnetic resonance: tissues of even grey, lesions brighter or darker with soft borders."""
    greys = np.zeros(5)
    greys[SCALP] = draw_between(rng, 0.3, 0.9)
    is_fluid_dark = rng.random() < 0.75
    greys[VENTRICLE] = draw_between(rng, 0.05, 0.15) if is_fluid_dark else draw_between(rng, 0.8, 0.95)
    greys[GREY_MATTER], greys[WHITE_MATTER] = rng.permutation([0.42, 0.42 + draw_between(rng, 0.03, 0.16)])
    values = blur(greys.astype(np.float32)[layout.context], draw_between(rng, 0.6, 1.2) * layout.unit_px)
    is_head = layout.context > 0
    values += 0.02 * fractal_noise(rng, layout.shape, (25, 8, 3)) * is_head
    softness = draw_log_between(rng, 0.5, 1.8) * layout.unit_px
    share = special.expit(layout.depth / softness)
    shift = draw_between(rng, 0.2, 0.45) * (1 if rng.random() < 0.8 else -0.8)
    patchy = (
        1
        + 0.18 * fractal_noise(rng, layout.shape, (20, 7))
        + layout.per_object(rng.normal(0, 0.12, layout.n_objects + 1))
    )
    if rng.random() < 0.3:
        core = layout.depth > 0.55 * layout.thickness_px + 2
        patchy = np.where(core, patchy * draw_between(rng, 0.2, 0.6), patchy)
    near = np.where(layout.is_object, 1, blur((layout.context > 0).astype(np.float32), 1.0))
    return _float(values + share * shift * np.clip(patchy, 0.2, 1.8) * near)


def paint_trunk(rng: np.random.Generator, layout: Layout) -> NDArray[np.float32]:
    """Trunk in computed tomography: organs in near greys, tumours darker or brighter, bright bone."""
    greys = np.zeros(5)
    greys[FAT], greys[SOFT_TISSUE], greys[BONE], greys[AIR] = draw_between(rng, 0.15, 0.35), 0.4, 0.95, 0.0
    values = greys.astype(np.float32)[layout.context]
    steps = rng.uniform(0.08, 0.3, layout.n_objects + 1) * rng.choice([-1, 1, 1], layout.n_objects + 1)
    organ = 0.42 + layout.per_object(steps) + 0.03 * fractal_noise(rng, layout.shape, (20, 6))
    values = np.where(layout.is_object, organ, values)
    fatty = granules(rng, layout.shape, 16 * layout.unit_px, 0.3) * (layout.context == SOFT_TISSUE) * ~layout.is_object
    values = values - 0.15 * fatty - 0.12 * np.exp(-((layout.border_distance / 1.6) ** 2)) * layout.seams
    rim = draw_between(rng, 0, 0.12) * np.exp(-((layout.depth + 2) ** 2) / 3)
    return _float(blur(_float(values - rim), draw_between(rng, 0.4, 1.1)))


def paint_ultrasound(rng: np.random.Generator, layout: Layout) -> NDArray[np.float32]:
    """Dark, seldom bright lesions in speckle, with layers of tissue and shadows below."""
    rows = np.linspace(0, 1, layout.shape[0], dtype=np.float32)[:, None]
    layers = 0.5 * smooth_noise(rng, layout.shape, 16, stretch=(1, 8)) + 0.25 * fractal_noise(
        rng, layout.shape, (50, 14)
    )
    level = 0.4 * np.exp(0.4 * layers) * (1.1 - draw_between(rng, 0, 0.7) * rows)
    softness = draw_log_between(rng, 0.6, 2.2) * layout.unit_px
    share = special.expit(layout.depth / softness)
    factor = draw_between(rng, 0.12, 0.4) if rng.random() < 0.85 else draw_between(rng, 2.0, 2.8)
    level = level * (1 - share + share * factor * np.exp(0.2 * smooth_noise(rng, layout.shape, 12)))
    if rng.random() < 0.5:
        level = level + 0.25 * np.exp(-(((layout.depth + 1.5) / 1.8) ** 2)) * smooth_noise(rng, layout.shape, 15).clip(
            0, 2
        )
    if rng.random() < 0.4:
        behind = np.cumsum(layout.is_object, axis=0) * ~layout.is_object > 0
        level = level * (1 + draw_between(rng, -0.35, 0.5) * blur(behind.astype(np.float32), 4))
    grain = (draw_between(rng, 1.2, 2.2), draw_between(rng, 1.8, 4))
    values = level * speckle(rng, layout.shape, grain) ** draw_between(rng, 0.5, 1)
    values = np.log1p(draw_log_between(rng, 6, 60) * values)
    return _float(values / np.quantile(values[::4, ::4], 0.995))


def paint_scene(rng: np.random.Generator, layout: Layout) -> NDArray[np.float32]:
    """Coloured things with textures, light from one side and shadows, as in photographs."""
    n = layout.n_objects + 1
    palette = rng.beta(1.4, 1.4, (n, 3)) * 0.65 + 0.3 * rng.random((n, 1))
    towards = palette[0] - palette[1:]
    too_near = np.abs(towards).sum(axis=1, keepdims=True) < 0.3
    palette[1:] = np.where(too_near, 1 - palette[1:], palette[1:])
    colours = palette.astype(np.float32)[layout.labels]
    rows = np.linspace(-0.5, 0.5, layout.shape[0], dtype=np.float32)[:, None]
    light = 1 + 0.12 * fractal_noise(rng, layout.shape, (90, 30)) + draw_between(rng, -0.4, 0.4) * rows
    strength = layout.per_object(rng.exponential(0.07, n))
    angle = layout.per_object(rng.uniform(0, np.pi, n))
    wavelength = layout.per_object(rng.uniform(4, 18, n))
    striped = stripes(rng, layout.shape, angle, wavelength, 0.8) * layout.per_object((rng.random(n) < 0.4) * 1.0)
    fine = fractal_noise(rng, layout.shape, (8, 2.5))
    light = light + strength * (striped * 1.5 + fine)
    roundness = layout.per_object((rng.random(n) < 0.4) * 0.35)
    roundness[~layout.is_object] = 0
    light = light + roundness * (np.tanh(layout.border_distance / (0.7 * layout.thickness_px + 1)) - 0.7)
    offset = rng.integers(-6, 7, 2)
    shadow = np.roll(layout.labels, offset, (0, 1))
    is_shaded = blur(((shadow > 0) & (shadow > layout.labels)).astype(np.float32), 1.5)
    light = light * (1 - draw_between(rng, 0.1, 0.5) * is_shaded)
    light = light * (1 - draw_between(rng, 0.1, 0.4) * layout.seams)
    return _float(colours * light[..., None])


def paint_endoscopy(rng: np.random.Generator, layout: Layout) -> NDArray[np.float32]:
    """Smooth reddish bodies on a wall of like colour, with folds, vessels, highlights and a dark surround."""
    wall = np.array([0.72, 0.36, 0.28]) * rng.normal(1, 0.12, 3)
    body = wall * rng.normal(1, 0.08, 3) * draw_between(rng, 0.9, 1.3)
    share = special.expit(layout.depth / draw_between(rng, 0.5, 1.2))
    colours = wall + (body - wall) * share[..., None]
    folds = np.tanh(1.5 * smooth_noise(rng, layout.shape, 60 * layout.unit_px, stretch=(0.5, 1.5)))
    light = 0.8 + 0.14 * folds + 0.04 * fractal_noise(rng, layout.shape, (20, 6))
    swell = np.tanh(np.clip(layout.depth, 0, None) / (0.5 * layout.thickness_px))
    light = np.where(layout.is_object, 0.72 + 0.3 * swell + 0.04 * smooth_noise(rng, layout.shape, 12), light)
    light = light - draw_between(rng, 0.1, 0.3) * np.exp(-np.abs(layout.depth + 2) / 3) * (layout.depth < 0)
    rows, columns = np.ogrid[-1 : 1 : layout.shape[0] * 1j, -1 : 1 : layout.shape[1] * 1j]
    light = light * (1 - draw_between(rng, 0.1, 0.45) * (rows**2 + columns**2) / 2)
    values = colours * light[..., None]
    values[..., 1:] -= 0.08 * (_clutter(rng, layout) > 0)[..., None] * ~layout.is_object[..., None]
    glints = granules(rng, layout.shape, draw_log_between(rng, 5, 14) * layout.unit_px, draw_between(rng, 0, 0.012))
    return _float(values + 0.6 * blur(glints, 0.8)[..., None])


def _float(values: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)


def _texture(rng: np.random.Generator, layout: Layout) -> FloatMap:
    kind = rng.integers(4)
    if kind == 0:
        return fractal_noise(rng, layout.shape, (14, 5))
    if kind == 1:
        return smooth_noise(rng, layout.shape, 2)
    if kind == 2:
        return 2 * granules(rng, layout.shape, draw_between(rng, 3, 6), 0.15) - 0.3
    angle = layout.per_object(rng.uniform(0, np.pi, layout.n_objects + 1))
    return stripes(rng, layout.shape, angle, draw_between(rng, 4, 10), 1.5)


def _clutter(rng: np.random.Generator, layout: Layout) -> FloatMap:
    if rng.random() < 0.5:
        return np.zeros(layout.shape, np.float32)
    mask = clutter_mask(rng, layout.shape) & (layout.depth < -2)
    return blur(mask.astype(np.float32), draw_between(rng, 0, 1.5))


def _plasm(rng: np.random.Generator, layout: Layout) -> FloatMap:
    fine = fractal_noise(rng, layout.shape, (5, 2)) * draw_between(rng, 0.02, 0.06)
    return fine - 0.15 * granules(rng, layout.shape, draw_between(rng, 3, 6), draw_between(rng, 0.01, 0.06))


def _with_membranes(
    rng: np.random.Generator, layout: Layout, values: NDArray[np.floating], distance: FloatMap
) -> NDArray[np.floating]:
    # Some membranes are cut aslant and smear
    width = draw_log_between(rng, 0.9, 2.4) * max(1.0, layout.unit_px)
    aslant = 1 + 0.35 * np.clip(smooth_noise(rng, layout.shape, 25), -1, 2)
    profile = np.exp(-(((distance - 0.5) / (width * aslant)) ** 2))
    return _float(values - draw_between(rng, 0.25, 0.5) * profile * np.clip(1.3 - 0.3 * aslant, 0.5, 1.2))


def _two_stains(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = _stain(rng), _stain(rng)
    while np.abs(first / first.sum() - second / second.sum()).sum() < 0.25:
        first, second = _stain(rng), _stain(rng)
    return first, second


def _stain(rng: np.random.Generator) -> NDArray[np.float64]:
    # Absorption of red, green and blue: haematoxylin, eosin, brown or any other colour
    known = np.array([[0.65, 0.7, 0.29], [0.1, 0.99, 0.2], [0.27, 0.57, 0.78], [0.9, 0.4, 0.1]])
    colour = known[rng.integers(4)] if rng.random() < 0.75 else rng.uniform(0.1, 1, 3)
    return np.clip(colour * rng.normal(1, 0.1, 3), 0.05, 1.2) * draw_between(rng, 0.9, 1.6)
