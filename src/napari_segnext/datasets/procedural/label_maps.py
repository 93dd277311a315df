"""Random label maps: what is where, in families as different as cells, cracks, vessels, lesions and polygons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage import measure

from napari_segnext.datasets.procedural.noise import (
    draw_between,
    draw_log_between,
    fractal_noise,
    smooth_noise,
    warp_map,
)
from napari_segnext.datasets.procedural.shapes import (
    LabelCanvas,
    angular_outline,
    radial_outline,
    random_path,
    spread_centres,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from numpy.typing import NDArray

    from napari_segnext._types import Shape2D

    LabelMaker: TypeAlias = Callable[[np.random.Generator, Shape2D], "LabelMap"]
    Labels: TypeAlias = NDArray[np.int32]

SHEATH = 1
"""Myelin, as context."""

MIN_OBJECT_PX = 30
"""Smaller objects are taken out of every label map."""

SCALP, GREY_MATTER, WHITE_MATTER, VENTRICLE = 1, 2, 3, 4
"""Regions of a head, as context."""

FAT, SOFT_TISSUE, BONE, AIR = 1, 2, 3, 4
"""Regions of a trunk, as context."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelMap:
    """Objects, and the unlabelled regions that they lie in.

    Attributes
    ----------
    labels
        `(H, W)` int32: 0 background, 1 … N one object each, none smaller than `MIN_OBJECT_PX`.
    context
        `(H, W)` int32: regions that can be seen but are no objects (cells around mitochondria, tissues of a head); 0
        where there is none.
    """

    labels: Labels
    context: Labels


def tissue_cells(rng: np.random.Generator, shape: Shape2D) -> LabelMap:
    """Cells of about equal size side by side, with or without gaps, in some maps elongated."""
    spacing = draw_log_between(rng, 14, 60) * _unit(shape)
    centres = spread_centres(rng, shape, spacing, jitter=draw_between(rng, 0.4, 1))
    cells = _nearest_centre(rng, shape, centres, stretch=draw_log_between(rng, 1, 1.8) if rng.random() < 0.4 else 1.0)
    cells = warp_map(rng, cells, spacing * draw_between(rng, 0.02, 0.1), spacing * draw_between(rng, 0.5, 1))
    if rng.random() < 0.5:
        cells[np.isin(cells, rng.choice(len(centres), len(centres) // 5) + 1)] = 0
    if rng.random() < 0.4:
        cells[_is_border(cells, round(draw_between(rng, 1, 2 + 0.04 * spacing)))] = 0
    return _finish(cells, is_split=True)


def neuropil(rng: np.random.Generator, shape: Shape2D) -> LabelMap:
    """Closely packed winding cells of very unequal sizes, as in electron micrographs of brain."""
    return _finish(_winding_cells(rng, shape, draw_log_between(rng, 13, 36) * _unit(shape)), is_split=True)


def nuclei(rng: np.random.Generator, shape: Shape2D) -> LabelMap:
    """Round to elongated bodies apart from each other or touching."""
    radius = draw_log_between(rng, 4, 32) * _unit(shape)
    spacing = radius * draw_between(rng, 1.9, 4)
    centres = spread_centres(rng, shape, spacing, jitter=draw_between(rng, 0.2, 0.8), share=draw_between(rng, 0.5, 1))
    return _finish(_draw_bodies(rng, shape, centres, radius))


def clustered_nuclei(rng: np.random.Generator, shape: Shape2D) -> LabelMap:
    """Round bodies in clusters in which they overlap."""
    radius = draw_log_between(rng, 5, 24) * _unit(shape)
    hubs = spread_centres(rng, shape, draw_between(rng, 6, 12) * radius, jitter=0.9, share=0.7)
    centres = np.concatenate([hub + rng.normal(0, radius * 1.8, (rng.integers(2, 8), 2)) for hub in hubs[:25]])
    return _finish(_draw_bodies(rng, shape, centres, radius))


def fibres(rng: np.random.Generator, shape: Shape2D) -> LabelMap:
    """Curved filaments or thick tubes across each other, each an object."""
    canvas = LabelCanvas(shape)
    radius = draw_log_between(rng, 1, 9) * _unit(shape)
    heading = rng.uniform(0, np.pi) if rng.random() < 0.4 else None
    bend = draw_between(rng, 0.01, 0.12)
    for label in range(1, rng.integers(3, 8 + int(24 / max(1, radius))) + 1):
        start = (rng.uniform(0, shape[0]), rng.uniform(0, shape[1]))
        turn = None if heading is None else heading + rng.normal(0, 0.15)
        length = draw_log_between(rng, 40, 260) * _unit(shape)
        path = random_path(rng, start, length, heading=turn, bend=bend, step_px=2.0)
        end = draw_between(rng, 0.3, 1)
        taper = np.linspace(1, end, len(path)) * (1 + 0.15 * np.sin(np.arange(len(path)) * rng.uniform(0.05, 0.3)))
        canvas.draw_tube(path, radius * draw_between(rng, 0.7, 1.4) * taper, label)
    return _finish(canvas.to_array())


def vessels(rng: np.random.Generator, shape: Shape2D) -> LabelMap:
    """Few branching, tapering trees."""
    canvas = LabelCanvas(shape)
    radius = draw_log_between(rng, 1.5, 8) * _unit(shape)
    for label in range(1, rng.integers(1, 4) + 1):
        bend = draw_between(rng, 0.03, 0.12)
        _draw_tree(rng, canvas, label, radius_px=radius, bend=bend, inertia=0.7, branching=draw_between(rng, 0, 1))
    return _finish(canvas.to_array())


def cracks(rng: np.random.Generator, shape: Shape2D) -> LabelMap:
    """Jagged thin lines, some branched, 1 to 5 pixels wide."""
    canvas = LabelCanvas(shape)
    for label in range(1, rng.integers(1, 4) + 1):
        radius, bend = draw_log_between(rng, 0.5, 2.2), draw_between(rng, 0.15, 0.5)
        branching = draw_between(rng, 0, 0.45)
        _draw_tree(rng, canvas, label, radius_px=radius, bend=bend, inertia=-0.85, branching=branching)
    return _finish(_merge_touching(canvas.to_array()))


def blobs(rng: np.random.Generator, shape: Shape2D) -> LabelMap:
    """Islands of smooth noise."""
    scale = draw_log_between(rng, 14, 70) * _unit(shape)
    scales = [scale, scale / 2, scale / 5] if rng.random() < 0.6 else [scale]
    field = fractal_noise(rng, shape, scales)
    islands = field > draw_between(rng, 0.5, 1.3)
    return _finish(measure.label(islands, connectivity=1).astype(np.int32))


def polygons(rng: np.random.Generator, shape: Shape2D) -> LabelMap:
    """Irregular polygons and stars, apart or on top of each other."""
    canvas = LabelCanvas(shape)
    radius = draw_log_between(rng, 9, 50) * _unit(shape)
    centres = spread_centres(
        rng, shape, radius * draw_between(rng, 1.5, 3.2), jitter=0.8, share=draw_between(rng, 0.4, 1)
    )
    spikiness = draw_between(rng, 0, 1)
    for label, centre in enumerate(centres, start=1):
        n_corners = int(rng.integers(3, 7)) if spikiness < 0.3 else 2 * int(rng.integers(3, 8))
        size = radius * draw_between(rng, 0.5, 1.3)
        canvas.fill(angular_outline(rng, tuple(centre), size, n_corners=n_corners, spikiness=spikiness), label)
    return _finish(canvas.to_array())


def cells_with_nuclei(rng: np.random.Generator, shape: Shape2D) -> LabelMap:
    """Cells that hold a nucleus, some of them vacuoles, too; all of these are objects."""
    canvas = LabelCanvas(shape)
    radius = draw_log_between(rng, 16, 44) * _unit(shape)
    centres = spread_centres(rng, shape, radius * draw_between(rng, 1.8, 3), jitter=0.5, share=0.85)
    label = 0
    roughness = draw_between(rng, 0, 0.3)
    for centre in centres:
        size = radius * draw_between(rng, 0.8, 1.2)
        canvas.fill(
            radial_outline(rng, tuple(centre), size, elongation=draw_log_between(rng, 1, 1.6), roughness=roughness),
            label + 1,
        )
        inner = tuple(centre + rng.normal(0, size * 0.12, 2))
        canvas.fill(radial_outline(rng, inner, size * draw_between(rng, 0.3, 0.5), elongation=1.2), label + 2)
        label += 2
        if rng.random() < 0.4:
            label += 1
            direction = rng.uniform(0, 2 * np.pi)
            place = centre + 0.65 * size * np.array([np.sin(direction), np.cos(direction)])
            canvas.fill(radial_outline(rng, tuple(place), size * 0.16), label)
    return _finish(canvas.to_array())


def axons(rng: np.random.Generator, shape: Shape2D) -> LabelMap:
    """Axons in their myelin sheaths; the sheaths are context and in half of the maps objects, too."""
    canvas = LabelCanvas(shape)
    radius = draw_log_between(rng, 8, 30) * _unit(shape)
    centres = spread_centres(rng, shape, radius * draw_between(rng, 2.0, 3), jitter=0.4, share=0.9)
    for label, centre in enumerate(centres, start=1):
        size = radius * draw_log_between(rng, 0.5, 1.2)
        outline = radial_outline(rng, tuple(centre), size, elongation=draw_log_between(rng, 1, 1.5), roughness=0.12)
        canvas.fill(outline, 2 * label)
        canvas.fill(centre + (outline - centre) * draw_between(rng, 0.5, 0.75), 2 * label + 1)
    bodies = canvas.to_array()
    is_sheath = (bodies > 0) & (bodies % 2 == 0)
    labels = bodies if rng.random() < 0.5 else np.where(is_sheath, 0, bodies).astype(np.int32)
    return _finish(labels, context=np.where(is_sheath, SHEATH, 0).astype(np.int32))


def mitochondria(rng: np.random.Generator, shape: Shape2D) -> LabelMap:
    """Elongated smooth bodies inside large cells that are only context."""
    cells = _winding_cells(rng, shape, draw_log_between(rng, 26, 75) * _unit(shape))
    canvas = LabelCanvas(shape)
    radius = draw_log_between(rng, 5, 20) * _unit(shape)
    centres = spread_centres(
        rng, shape, radius * draw_between(rng, 3, 6), jitter=0.8, share=draw_between(rng, 0.4, 0.9)
    )
    for label, centre in enumerate(centres, start=1):
        width = radius * draw_between(rng, 0.75, 1.3)
        path = random_path(rng, tuple(centre), width * draw_between(rng, 0.2, 5), bend=0.06)
        swelling = 1 + 0.2 * np.sin(np.linspace(0, rng.uniform(0, 5), len(path)) + rng.uniform(0, 6))
        canvas.draw_tube(path, width * swelling, label)
    bodies = canvas.to_array()
    host = cells[_clipped(centres[:, 0], shape[0]), _clipped(centres[:, 1], shape[1])]
    wall = _is_border(cells, 5)
    inside = (bodies > 0) & (cells == np.concatenate([[0], host])[bodies]) & ~wall
    labels = _largest_parts(np.where(inside, bodies, 0).astype(np.int32))
    # Bodies of which a wall cuts off the better half would be slivers
    whole, left = (np.bincount(some.ravel(), minlength=len(centres) + 1) for some in (bodies, labels))
    labels[(left < 0.55 * whole)[labels]] = 0
    return _finish(warp_map(rng, labels, 1.0, 10), context=cells)


def head_lesions(rng: np.random.Generator, shape: Shape2D) -> LabelMap:
    """A slice of a head with irregular lesions in the brain; only the lesions are objects."""
    head = _draw_head(rng, shape)
    canvas = LabelCanvas(shape)
    brain = (head == GREY_MATTER) | (head == WHITE_MATTER)
    rows, columns = np.nonzero(brain)
    for label in range(1, rng.integers(1, 6) + 1):
        place = rng.integers(len(rows))
        radius = draw_log_between(rng, 4, 26) * _unit(shape)
        outline = radial_outline(
            rng, (rows[place], columns[place]), radius, elongation=draw_log_between(rng, 1, 2.2), roughness=0.2
        )
        canvas.fill(outline, label)
    lesions = warp_map(rng, canvas.to_array(), 2.5 * _unit(shape), 11 * _unit(shape))
    return _finish(_merge_touching(np.where(brain, lesions, 0)), context=head)


def organs(rng: np.random.Generator, shape: Shape2D) -> LabelMap:
    """A slice of a trunk: organs are objects, some with a tumour, an object of its own; fat and bone are context."""
    centre = (shape[0] * 0.5, shape[1] * 0.5)
    size = min(shape) * draw_between(rng, 0.4, 0.48)
    body, canvas = LabelCanvas(shape), LabelCanvas(shape)
    outline = radial_outline(rng, centre, size, elongation=draw_between(rng, 1, 1.35), angle=0.0, roughness=0.04)
    body.fill(outline, FAT)
    body.fill(centre + (outline - centre) * draw_between(rng, 0.85, 0.95), SOFT_TISSUE)
    body.fill(radial_outline(rng, (centre[0] + size * 0.55, centre[1]), size * 0.14, roughness=0.2), BONE)
    for side in (-1, 1):
        body.fill(radial_outline(rng, (centre[0] - size * 0.1, centre[1] + side * size * 0.84), size * 0.05), BONE)
    label = 0
    for _ in range(rng.integers(3, 9)):
        place = (centre[0] + size * rng.normal(0, 0.32), centre[1] + size * rng.normal(0, 0.4))
        radius = size * draw_log_between(rng, 0.08, 0.36)
        label += 1
        canvas.fill(radial_outline(rng, place, radius, elongation=draw_between(rng, 1, 2), roughness=0.2), label)
        if rng.random() < 0.35:
            label += 1
            inner = (place[0] + rng.normal(0, radius * 0.2), place[1] + rng.normal(0, radius * 0.2))
            canvas.fill(radial_outline(rng, inner, radius * draw_between(rng, 0.2, 0.45), roughness=0.25), label)
    regions = body.to_array()
    return _finish(np.where(regions == SOFT_TISSUE, canvas.to_array(), 0).astype(np.int32), context=regions)


def single_lesion(rng: np.random.Generator, shape: Shape2D) -> LabelMap:
    """One to three large soft bodies, as lesions in ultrasound or dermatoscopy."""
    canvas = LabelCanvas(shape)
    roughness = draw_between(rng, 0.02, 0.28)
    for label in range(1, (1 if rng.random() < 0.7 else int(rng.integers(2, 4))) + 1):
        place = (shape[0] * draw_between(rng, 0.2, 0.8), shape[1] * draw_between(rng, 0.2, 0.8))
        radius = draw_log_between(rng, 12, 75) * _unit(shape)
        outline = radial_outline(
            rng, place, radius, elongation=draw_log_between(rng, 1, 2.2), roughness=roughness, n_waves=9
        )
        canvas.fill(outline, label)
    return _finish(_merge_touching(warp_map(rng, canvas.to_array(), 2 * _unit(shape), 14 * _unit(shape))))


def bacteria(rng: np.random.Generator, shape: Shape2D) -> LabelMap:
    """Rods of one kind: short or long, straight or bent, single or in colonies."""
    canvas = LabelCanvas(shape)
    width = draw_log_between(rng, 2.5, 8) * _unit(shape)
    length, bend = width * draw_log_between(rng, 2, 12), draw_between(rng, 0, 0.08)
    centres = spread_centres(rng, shape, (length * 0.7 + 2 * width) * draw_between(rng, 0.7, 1.8), jitter=1)
    if rng.random() < 0.5:
        field = smooth_noise(rng, shape, 50 * _unit(shape))
        centres = centres[field[_clipped(centres[:, 0], shape[0]), _clipped(centres[:, 1], shape[1])] > -0.1]
    for label, centre in enumerate(centres[:250], start=1):
        path = random_path(
            rng, tuple(centre), length * draw_between(rng, 0.6, 1.4), bend=bend, step_px=max(1.5, width / 2)
        )
        canvas.draw_tube(path, width, label)
    return _finish(canvas.to_array())


def grids(rng: np.random.Generator, shape: Shape2D) -> LabelMap:
    """Nearly equal objects in rows and columns."""
    canvas = LabelCanvas(shape)
    spacing = draw_log_between(rng, 16, 64) * _unit(shape)
    radius, elongation, turn = (
        spacing * draw_between(rng, 0.25, 0.5),
        draw_log_between(rng, 1, 1.6),
        rng.uniform(0, np.pi),
    )
    is_angular, n_corners = rng.random() < 0.4, int(rng.integers(3, 7))
    for label, centre in enumerate(spread_centres(rng, shape, spacing, jitter=0.1, share=0.95), start=1):
        if is_angular:
            outline = angular_outline(rng, tuple(centre), radius, n_corners=n_corners, spikiness=0)
        else:
            outline = radial_outline(rng, tuple(centre), radius, elongation=elongation, angle=turn, roughness=0.03)
        canvas.fill(outline, label)
    return _finish(canvas.to_array())


def scenes(rng: np.random.Generator, shape: Shape2D) -> LabelMap:
    """Things of all sizes and shapes that hide parts of each other, from far to near."""
    canvas = LabelCanvas(shape)
    n_things = int(rng.integers(2, 12))
    for label in range(1, n_things + 1):
        nearness = (label / n_things) ** 0.5
        place = (shape[0] * draw_between(rng, 0.15, 1), shape[1] * draw_between(rng, 0, 1))
        radius = draw_log_between(rng, 12, 110) * _unit(shape) * (0.6 + 0.4 * nearness)
        kind = rng.integers(4)
        if kind == 0:
            outline = angular_outline(
                rng, place, radius, n_corners=int(rng.integers(3, 9)), spikiness=draw_between(rng, 0, 0.7)
            )
        elif kind == 1:
            outline = angular_outline(rng, place, radius, n_corners=4, spikiness=0)
        else:
            roughness = draw_between(rng, 0, 0.5)
            outline = radial_outline(rng, place, radius, elongation=draw_log_between(rng, 1, 3), roughness=roughness)
        canvas.fill(outline, label)
        if rng.random() < 0.25:
            limb = random_path(rng, place, radius * 2.2, bend=0.05)
            canvas.draw_tube(limb, np.linspace(radius * 0.25, radius * 0.1, len(limb)), label)
    return _finish(canvas.to_array())


FAMILIES: dict[str, LabelMaker] = {
    maker.__name__: maker
    for maker in (
        tissue_cells,
        neuropil,
        nuclei,
        clustered_nuclei,
        fibres,
        vessels,
        cracks,
        blobs,
        polygons,
        cells_with_nuclei,
        axons,
        mitochondria,
        head_lesions,
        organs,
        single_lesion,
        bacteria,
        grids,
        scenes,
    )
}
"""Name → function that draws a map of the family: `(rng, (rows, columns))` → `LabelMap`."""


def clutter_mask(rng: np.random.Generator, shape: Shape2D) -> NDArray[np.bool_]:
    """`(H, W)` bool: small things of one kind for backgrounds, which get no label."""
    canvas = LabelCanvas(shape)
    radius = draw_log_between(rng, 1.5, 7) * _unit(shape)
    is_line = rng.random() < 0.4
    for centre in spread_centres(rng, shape, draw_between(rng, 25, 80) * _unit(shape), jitter=1)[:60]:
        if is_line:
            canvas.draw_tube(random_path(rng, tuple(centre), radius * 10, bend=0.1), radius * 0.3, 1)
        else:
            canvas.fill(radial_outline(rng, tuple(centre), radius, elongation=1.5, roughness=0.3), 1)
    return canvas.to_array() > 0


def _unit(shape: Shape2D) -> float:
    return max(0.6, min(shape) / 256)


def _clipped(positions: NDArray[np.float64], length: int) -> NDArray[np.int64]:
    return np.clip(positions, 0, length - 1).astype(np.int64)


def _is_border(labels: Labels, width_px: int) -> NDArray[np.bool_]:
    size = 2 * (width_px // 2) + 1 if width_px > 1 else 2
    lowest = ndimage.minimum_filter(labels, size)
    return np.asarray(lowest != ndimage.maximum_filter(labels, size))


def _nearest_centre(
    rng: np.random.Generator, shape: Shape2D, centres: NDArray[np.float64], *, stretch: float = 1.0
) -> Labels:
    # Voronoi cells: one distance transform for any number of centres
    is_free = np.ones(shape, bool)
    numbers = np.zeros(shape, np.int32)
    rows, columns = _clipped(centres[:, 0], shape[0]), _clipped(centres[:, 1], shape[1])
    is_free[rows, columns] = False
    numbers[rows, columns] = np.arange(1, len(centres) + 1)
    sampling = (stretch, 1.0) if rng.random() < 0.5 else (1.0, stretch)
    nearest = ndimage.distance_transform_edt(is_free, sampling, return_distances=False, return_indices=True)
    return np.asarray(numbers[nearest[0], nearest[1]], np.int32)


def _winding_cells(rng: np.random.Generator, shape: Shape2D, spacing_px: float) -> Labels:
    # Pieces of a fine mosaic go to one of few centres, which makes cells winding and unequal
    pieces = spread_centres(rng, shape, spacing_px, jitter=1)
    hubs = pieces[: max(2, int(len(pieces) * draw_between(rng, 0.25, 0.7)))]
    reach = rng.lognormal(0, 0.45, len(hubs)) * spacing_px
    distances = np.hypot(*(pieces[:, None] - hubs).transpose(2, 0, 1)) / reach
    owner = distances.argmin(axis=1) + 1
    mosaic = _nearest_centre(rng, shape, pieces, stretch=draw_log_between(rng, 1, 2))
    cells = owner.astype(np.int32)[mosaic - 1]
    cells = warp_map(rng, cells, spacing_px * draw_between(rng, 0.12, 0.3), spacing_px * draw_between(rng, 0.8, 1.6))
    return np.asarray(measure.label(cells, connectivity=1), np.int32)


def _draw_bodies(rng: np.random.Generator, shape: Shape2D, centres: NDArray[np.float64], radius_px: float) -> Labels:
    canvas = LabelCanvas(shape)
    spread, roughness = draw_between(rng, 0, 0.5), draw_between(rng, 0, 0.2)
    elongation = draw_log_between(rng, 1, 2)
    turn = rng.uniform(0, np.pi)
    is_aligned = rng.random() < 0.25
    for label, centre in enumerate(centres, start=1):
        size = radius_px * np.exp(rng.normal(0, spread * 0.5))
        angle = turn + rng.normal(0, 0.2) if is_aligned else None
        stretch = elongation ** rng.uniform(0.3, 1)
        canvas.fill(
            radial_outline(rng, tuple(centre), size, elongation=stretch, angle=angle, roughness=roughness), label
        )
    return canvas.to_array()


def _draw_tree(
    rng: np.random.Generator,
    canvas: LabelCanvas,
    label: int,
    *,
    radius_px: float,
    bend: float,
    inertia: float,
    branching: float,
) -> None:
    height, width = canvas.shape
    side = rng.uniform(0, 2 * np.pi)
    start = (height * (0.5 - 0.45 * np.sin(side)), width * (0.5 - 0.45 * np.cos(side)))
    branches = [(start, side + rng.normal(0, 0.4), radius_px, min(height, width) * draw_between(rng, 0.4, 1.2))]
    for _ in range(24):
        if not branches:
            return
        place, heading, radius, length = branches.pop(0)
        path = random_path(rng, place, length, heading=heading, bend=bend, inertia=inertia)
        canvas.draw_tube(path, np.linspace(radius, radius * 0.7, len(path)), label)
        for _ in range(rng.binomial(3, branching) if length > 15 else 0):
            i = int(rng.integers(len(path) // 3, len(path)))
            turn = heading + rng.choice([-1, 1]) * rng.uniform(0.4, 1.2)
            branches.append(((path[i, 0], path[i, 1]), turn, radius * 0.7, length * draw_between(rng, 0.35, 0.7)))


def _draw_head(rng: np.random.Generator, shape: Shape2D) -> Labels:
    centre = (shape[0] * draw_between(rng, 0.48, 0.52), shape[1] * draw_between(rng, 0.48, 0.52))
    size = min(shape) * draw_between(rng, 0.34, 0.42)
    angle = np.pi / 2 + rng.normal(0, 0.06)
    canvas = LabelCanvas(shape)
    outline = radial_outline(rng, centre, size, elongation=draw_between(rng, 1.1, 1.35), angle=angle, roughness=0.02)
    skull = centre + (outline - centre) * draw_between(rng, 0.93, 0.96)
    brain = centre + (outline - centre) * draw_between(rng, 0.83, 0.9)
    canvas.fill(outline, SCALP)
    canvas.fill(skull, 0)
    canvas.fill(brain, GREY_MATTER)
    head = canvas.to_array()
    # White matter: the brain without a rim that smooth noise folds
    is_brain = head == GREY_MATTER
    small = ndimage.distance_transform_edt(is_brain[::2, ::2]) * 2
    depth = np.repeat(np.repeat(small, 2, axis=0), 2, axis=1)[: shape[0], : shape[1]]
    folds = smooth_noise(rng, shape, 9 * _unit(shape)) * 5 * _unit(shape)
    head[is_brain & (depth + 1.3 * folds < draw_between(rng, -1, 4) * _unit(shape))] = VENTRICLE
    head[is_brain & (depth + folds > draw_between(rng, 9, 15) * _unit(shape))] = WHITE_MATTER
    ventricles = LabelCanvas(shape)
    if rng.random() < 0.75:
        reach, tilt = size * draw_between(rng, 0.12, 0.3), draw_between(rng, 0.1, 0.5)
        for side in (-1, 1):
            place = (centre[0] + size * 0.05, centre[1] + side * size * 0.12)
            lobe = radial_outline(rng, place, reach * 0.6, elongation=3, angle=np.pi / 2 + side * tilt, roughness=0.1)
            ventricles.fill(lobe, VENTRICLE)
    head[(ventricles.to_array() > 0) & is_brain] = VENTRICLE
    return head


def _merge_touching(labels: Labels) -> Labels:
    # Where nothing would be seen between two objects, they are one
    return np.asarray(measure.label(labels > 0, connectivity=2), np.int32)


def _largest_parts(labels: Labels) -> Labels:
    parts = measure.label(labels, connectivity=1)
    sizes = np.bincount(parts.ravel())
    first = np.zeros(len(sizes), np.int32)
    first[parts.ravel()] = labels.ravel()
    best = np.zeros(labels.max() + 1, np.int64)
    order = np.argsort(sizes, kind="stable")
    best[first[order]] = order
    return np.where((parts == best[labels]) & (labels > 0), labels, 0).astype(np.int32)


def _finish(labels: Labels, *, context: Labels | None = None, is_split: bool = False) -> LabelMap:
    if is_split:
        labels = measure.label(labels, connectivity=1).astype(np.int32)
    sizes = np.bincount(labels.ravel())
    is_kept = sizes >= MIN_OBJECT_PX
    is_kept[0] = False
    numbers = np.where(is_kept, np.cumsum(is_kept), 0).astype(np.int32)
    return LabelMap(numbers[labels], np.zeros_like(labels) if context is None else context)
