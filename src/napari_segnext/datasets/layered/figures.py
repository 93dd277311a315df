"""Figures of the bodies in a scene, drawn once at unit size and then placed at any distance; and thin things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from napari_segnext.datasets.procedural.label_maps import FAMILIES as LABEL_MAPS
from napari_segnext.datasets.procedural.noise import draw_between, draw_log_between
from napari_segnext.datasets.procedural.shapes import LabelCanvas, angular_outline, radial_outline, random_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_segnext._types import Shape2D

    FigureMaker: TypeAlias = Callable[[np.random.Generator], "Figure"]
    Mask: TypeAlias = NDArray[np.bool_]

_DRAWN_PX = 40.0
"""Outlines are drawn at this radius, so that they are smooth, and then shrunk to 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A polygon or a tube of a figure.

    Attributes
    ----------
    points
        `(n, 2)` float (row, column), within about [-1, 1]; rows run downward.
    radius
        Of a tube along the points; None for a polygon.
    is_hole
        Cuts instead of filling.
    """

    points: NDArray[np.float64]
    radius: float | None = None
    is_hole: bool = False


Figure: TypeAlias = tuple[Part, ...]
"""Parts, drawn in order."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a figure is and how large.

    Attributes
    ----------
    centre_yx
        (row, column) of the figure's origin.
    size_px
        Length of its unit: half its height, about.
    turn
        Angle in radians.
    """

    centre_yx: tuple[float, float]
    size_px: float
    turn: float = 0.0


def draw_figure(figure: Figure, pose: Pose, shape: Shape2D) -> Mask:
    """`(H, W)` bool: the pixels that a figure covers in a pose; it may reach out of the map."""
    canvas = LabelCanvas(shape)
    cosine, sine = np.cos(pose.turn), np.sin(pose.turn)
    rotation = np.array([[cosine, sine], [-sine, cosine]]) * pose.size_px
    for part in figure:
        points = part.points @ rotation + np.asarray(pose.centre_yx)
        if part.radius is None:
            canvas.fill(points, 0 if part.is_hole else 1)
        else:
            canvas.draw_tube(points, part.radius * pose.size_px, 0 if part.is_hole else 1)
    return canvas.to_array() > 0


def blob(rng: np.random.Generator) -> Figure:
    """A round to elongated body with a smooth outline."""
    elongation, roughness = draw_log_between(rng, 1, 2.2), draw_between(rng, 0, 0.3)
    return (Part(_smooth_outline(rng, elongation=elongation, roughness=roughness)),)


def disk(rng: np.random.Generator) -> Figure:
    """A circle."""
    return (Part(_smooth_outline(rng)),)


def polygon(rng: np.random.Generator) -> Figure:
    """A polygon of 3 to 7 corners, nearly convex."""
    return (Part(angular_outline(rng, (0.0, 0.0), 1.0, n_corners=int(rng.integers(3, 8)), spikiness=0)),)


def star(rng: np.random.Generator) -> Figure:
    """A star of 4 to 7 rays."""
    n_corners, spikiness = 2 * int(rng.integers(4, 8)), draw_between(rng, 0.5, 0.9)
    return (Part(angular_outline(rng, (0.0, 0.0), 1.1, n_corners=n_corners, spikiness=spikiness)),)


def rod(rng: np.random.Generator) -> Figure:
    """A straight or bent rod with round ends."""
    path = random_path(rng, (0.0, 0.0), 2.4, bend=draw_between(rng, 0, 0.25), step_px=0.12)
    return (Part(path - path.mean(axis=0), draw_between(rng, 0.18, 0.4)),)


def ring(rng: np.random.Generator) -> Figure:
    """A body with one hole, through which one sees what lies behind."""
    outline = _smooth_outline(rng, elongation=draw_log_between(rng, 1, 1.5), roughness=0.08)
    return (Part(outline), Part(outline * draw_between(rng, 0.45, 0.7), is_hole=True))


def leaf(rng: np.random.Generator) -> Figure:
    """A pointed leaf with a stalk."""
    along = np.linspace(-1, 1, 24)
    width = draw_between(rng, 0.3, 0.6) * (1 - along**2) * (1 - draw_between(rng, -0.3, 0.5) * along)
    outline = np.concatenate([np.stack([along, width], axis=1), np.stack([along, -width], axis=1)[::-1]])
    return (Part(outline), Part(np.array([[0.8, 0.0], [1.5, draw_between(rng, -0.2, 0.2)]]), 0.05))


def tree(rng: np.random.Generator) -> Figure:
    """A crown on a trunk; it stands."""
    crown = _smooth_outline(rng, elongation=draw_log_between(rng, 1, 1.6), roughness=0.25, angle=np.pi / 2)
    trunk = np.array([[1.0, 0.0], [-0.4, draw_between(rng, -0.15, 0.15)]])
    return (Part(trunk, draw_between(rng, 0.06, 0.16)), Part(crown * 0.65 + (-0.4, 0.0)))


def person(rng: np.random.Generator) -> Figure:
    """A head, a trunk, arms and legs; it stands."""
    stride, reach, width = draw_between(rng, 0.1, 0.35), draw_between(rng, 0.2, 0.6), draw_between(rng, 0.16, 0.26)
    hip, shoulder = (0.15, 0.0), (-0.4, 0.0)
    return (
        Part(np.array([hip, shoulder]), width),
        *(Part(np.array([hip, (0.97, side * stride)]), 0.11) for side in (-1, 1)),
        *(Part(np.array([shoulder, (0.05, side * reach)]), 0.08) for side in (-1, 1)),
        Part(_smooth_outline(rng) * 0.2 + (-0.8, 0.0)),
    )


def box(rng: np.random.Generator) -> Figure:
    """An upright rectangle, as a post, a door or a house front; it stands."""
    width = draw_log_between(rng, 0.15, 0.9)
    outline = Part(np.array([(-1, -width), (-1, width), (1, width), (1, -width)]))
    if rng.random() < 0.6:
        return (outline,)
    inner = np.array([(-0.6, -0.5 * width), (-0.6, 0.5 * width), (0.1, 0.5 * width), (0.1, -0.5 * width)])
    return (outline, Part(inner, is_hole=True))


def cup(rng: np.random.Generator) -> Figure:
    """A vessel with a handle, through which one sees what lies behind; it stands."""
    foot = draw_between(rng, 0.4, 0.8)
    body = np.array([(-0.9, -0.75), (-0.9, 0.75), (1, foot), (1, -foot)])
    phi = np.linspace(-1.7, 1.7, 12)
    handle = np.stack([0.45 * np.sin(phi), 0.65 + 0.45 * np.cos(phi)], axis=1)
    return (Part(body), Part(handle, 0.09))


SOLID: tuple[FigureMaker, ...] = (blob, disk, polygon, star, rod, ring, leaf)
"""Figures that may lie anywhere, turned at will."""

STANDING: tuple[FigureMaker, ...] = (tree, person, box, cup)
"""Figures whose foot is at row 1."""


def branches(rng: np.random.Generator, shape: Shape2D) -> Mask:
    """`(H, W)` bool: a bough that grows into the picture."""
    labels = LABEL_MAPS["vessels"](rng, shape).labels
    sizes = np.bincount(labels.ravel(), minlength=2)
    return np.asarray(labels == 1 + sizes[1:].argmax())


def bars(rng: np.random.Generator, shape: Shape2D) -> Mask:
    """`(H, W)` bool: a fence or grid of straight bars, upright or aslant, often crossed by others."""
    spacing = min(shape) * draw_log_between(rng, 0.07, 0.28)
    width = spacing * draw_between(rng, 0.08, 0.3)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    turn = rng.normal(0, 0.15) if rng.random() < 0.7 else rng.uniform(0, np.pi)
    across = columns * np.cos(turn) + rows * np.sin(turn)
    along = rows * np.cos(turn) - columns * np.sin(turn)
    covered = (across + rng.uniform(0, spacing)) % spacing < width
    if rng.random() < 0.6:
        other = spacing * draw_log_between(rng, 1, 4)
        covered |= (along + rng.uniform(0, other)) % other < width
    if rng.random() < 0.3:
        covered &= along > shape[0] * draw_between(rng, 0.1, 0.5)
    return np.asarray(covered)


def grass(rng: np.random.Generator, shape: Shape2D) -> Mask:
    """`(H, W)` bool: bent blades that grow from the lower edge."""
    canvas = LabelCanvas(shape)
    height = shape[0] * draw_between(rng, 0.3, 0.8)
    width = shape[0] * draw_log_between(rng, 0.004, 0.014)
    for _ in range(rng.integers(8, 30)):
        foot = (shape[0] + 2.0, rng.uniform(0, shape[1]))
        length = height * draw_between(rng, 0.5, 1)
        heading = -np.pi / 2 + rng.normal(0, 0.2)
        path = random_path(rng, foot, length, heading=heading, bend=0.04, step_px=4.0, inertia=0.9)
        canvas.draw_tube(path, np.linspace(width, 0.4 * width, len(path)), 1)
    return canvas.to_array() > 0


def rope(rng: np.random.Generator, shape: Shape2D) -> Mask:
    """`(H, W)` bool: a long rope or fibre across the picture."""
    canvas = LabelCanvas(shape)
    start = (rng.uniform(0.1, 0.9) * shape[0], rng.choice([-3.0, shape[1] + 3.0]))
    heading = (0.0 if start[1] < 0 else np.pi) + rng.normal(0, 0.3)
    path = random_path(rng, start, 1.6 * shape[1], heading=heading, bend=0.05, step_px=4.0)
    canvas.draw_tube(path, shape[0] * draw_log_between(rng, 0.005, 0.025), 1)
    return canvas.to_array() > 0


THIN: tuple[Callable[[np.random.Generator, Shape2D], Mask], ...] = (branches, bars, grass, rope)
"""Things with gaps, through which one sees the target."""


def _smooth_outline(
    rng: np.random.Generator, *, elongation: float = 1.0, roughness: float = 0.0, angle: float | None = None
) -> NDArray[np.float64]:
    drawn = radial_outline(rng, (0.0, 0.0), _DRAWN_PX, elongation=elongation, angle=angle, roughness=roughness)
    return drawn / _DRAWN_PX
