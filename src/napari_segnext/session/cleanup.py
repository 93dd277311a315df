"""Cleaning a mask: an outline without frays, no holes, no specks; each only where it is asked for.

`clean_mask` takes these steps, always in this order, so that what one leaves behind is cleaned by the next:

1. `opening` cuts off what is thin, `closing` fills what is narrow, `smoothing` rounds the outline.
2. `fills_holes` fills what the outline encloses.
3. `keeps_prompted` drops the parts that nobody pointed at, `min_component` those that are small.

All sizes are physical: lengths and areas in the unit of `spacing`, the same on every axis however long the pixels are.
The border of the image is no outline: nothing is cut off or rounded where an object meets it. Pixels of the object that
touch at a corner are connected, those of the background are not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_segnext.prompts import Box, Click, Polygon, Prompts, Scribble
from napari_segnext.prompts.enclosed import draw_enclosed
from napari_segnext.session.windows import Window, extent_of_mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_segnext._types import Mask, Shape2D

SIGMA_OVER_RADIUS = 0.5
"""Of the Gaussian that smooths: the mean over a disk of that radius spreads as far along each axis."""

REACH_OVER_SIGMA = 3.0
"""Where the Gaussian is cut off."""

WHOLE_SHARE = 0.75
"""Of a component that its largest piece must hold after smoothing; else it would have fallen apart."""

MIN_SIGMA_PX = 0.3
"""Of the Gaussian on any axis; narrower ones change nothing."""

TILE_PX = 1024
"""Side of what is worked on together, at least, so that large masks need little memory."""

ROUNDING = 1e-6
"""Relative error of sizes that is forgiven: 3 pixels of 0.1 are not above 0.3. Also of smoothed values."""

MAX_RADIUS_PX = 1000
"""Of opening, closing and smoothing; larger ones would take minutes."""

SCRIBBLE_STEP_PX = 0.5
"""Between points along a scribble, close enough to find every component it crosses."""

_TOUCHING = np.ones((3, 3), dtype=bool)

_NO_PROMPTS = Prompts()

_Box = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Cleanup:
    """What is cleaned of a mask. All is off to begin with; lengths and areas are physical.

    Attributes
    ----------
    fills_holes
        Whether holes are filled. A hole is background that the object encloses on all sides, so not what reaches the
        border of the image. Holes that were given a negative prompt stay.
    max_hole
        Area of the largest hole that is filled, at least 0; None for any.
    keeps_prompted
        Whether only those components stay that a positive click or scribble lies on; without any of these, those that a
        box or polygon encloses some of. If there are none, the largest stays; if there are only masks and negative
        clicks and scribbles, all stay.
    min_component
        Components of a smaller area are dropped, unless a positive click or scribble lies on them; 0 drops none.
    smoothing
        Radius below which bumps and bays of the outline are levelled; 0 for none. No component vanishes, and
        convex ones keep their area.
    opening
        Radius of the disk that must fit into the object wherever it stays; 0 for none.
    closing
        Radius of the disk that must fit into the background wherever it stays; 0 for none.
    """

    fills_holes: bool = False
    max_hole: float | None = None
    keeps_prompted: bool = False
    min_component: float = 0.0
    smoothing: float = 0.0
    opening: float = 0.0
    closing: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("fills_holes", "keeps_prompted"):
                object.__setattr__(self, field.name, bool(value))
            elif value is not None or field.name != "max_hole":
                object.__setattr__(self, field.name, _checked_size(field.name, value))

    @property
    def is_off(self) -> bool:
        """Whether every mask stays as it is."""
        return not (
            self.fills_holes
            or self.keeps_prompted
            or self.min_component
            or self.smoothing
            or self.opening
            or self.closing
        )


def clean_mask(
    mask: Mask, cleanup: Cleanup, *, prompts: Prompts = _NO_PROMPTS, spacing: Sequence[float] = (1.0, 1.0)
) -> Mask:
    """A mask after the steps that were asked for, in the order that the head of this module gives.

    Parameters
    ----------
    mask
        `(H, W)` bool, one object; may be empty. Not changed here.
    cleanup
        What to do.
    prompts
        From which the mask was made; they tell which components are wanted and which holes are meant.
    spacing
        (row, column) size of a pixel, above 0, in the unit of the sizes in `cleanup`.

    Returns
    -------
    ndarray
        `(H, W)` bool, read-only, a new array.

    Raises
    ------
    TypeError
        If the mask is not bool.
    ValueError
        If the mask or the spacing have not two axes, or a radius is above `MAX_RADIUS_PX`.
    PromptError
        If a prompt lies wholly outside the mask, or a mask prompt has another shape.

    Notes
    -----
    Only the box about the mask is looked at, with a margin. Without smoothing, cleaning a clean mask changes nothing.
    """
    mask, pixel = _checked_mask(mask), _checked_spacing(spacing)
    require_cleanable(cleanup, pixel)
    cleaned = mask.copy() if cleanup.is_off else np.zeros_like(mask)
    extent = None if cleanup.is_off else extent_of_mask(mask)
    if extent is not None:
        window = _with_margin(extent, _reach_px(_smoothing_reach(cleanup.smoothing), pixel), cleaned.shape)
        hints = _Hints.within(window, prompts, cleaned.shape)
        cleaned[window.slices] = _cleaned(mask[window.slices], cleanup, hints, pixel)
    cleaned.setflags(write=False)
    return cleaned


@dataclass(frozen=True, slots=True, eq=False)
class _Hints:
    """What prompts say about the pixels of a window.

    Attributes
    ----------
    positive, negative
        `(n, 2)` int (row, column) in the window; negative ones also from the corners of boxes and polygons.
    enclosed
        `(h, w)` bool, what boxes and polygons enclose, if they alone say where the object is; else None.
    is_given
        Whether anything says where the object is, in the window or outside it.
    """

    positive: NDArray[np.int64]
    negative: NDArray[np.int64]
    enclosed: Mask | None
    is_given: bool

    @classmethod
    def within(cls, window: Window, prompts: Prompts, image_shape: Shape2D) -> _Hints:
        clicks = prompts.as_clicks(image_shape, spacing_px=SCRIBBLE_STEP_PX)
        pixels = np.floor(clicks[:, :2] + 0.5).astype(np.int64) - (window.top, window.left)
        is_inside = ((pixels >= 0) & (pixels < window.shape)).all(axis=1)
        is_positive = clicks[:, 2] > 0
        is_pointed_at = any(isinstance(prompt, Click | Scribble) and prompt.is_positive for prompt in prompts)
        is_outlined = any(isinstance(prompt, Box | Polygon) for prompt in prompts)
        enclosed = None
        if is_outlined and not is_pointed_at:
            enclosed = draw_enclosed(prompts, window.shape, origin=(window.top, window.left)) > 0
        return cls(
            positive=pixels[is_inside & is_positive],
            negative=pixels[is_inside & ~is_positive],
            enclosed=enclosed,
            is_given=is_pointed_at or is_outlined,
        )


def _cleaned(mask: Mask, cleanup: Cleanup, hints: _Hints, pixel: tuple[float, float]) -> Mask:
    """The steps, on a window that shows background beside the object wherever the image has some."""
    if cleanup.opening:
        mask = _opened(mask, cleanup.opening, pixel)
    if cleanup.closing:
        mask = _closed(mask, cleanup.closing, pixel)
    if cleanup.smoothing:
        mask = _smoothed(mask, cleanup.smoothing, pixel)
    if cleanup.fills_holes:
        mask = _filled(mask, cleanup.max_hole, hints, pixel)
    if cleanup.keeps_prompted or cleanup.min_component:
        mask = _selected(mask, cleanup, hints, pixel)
    return mask


def _opened(mask: Mask, radius: float, pixel: tuple[float, float]) -> Mask:
    """What a disk covers that stays on the object; beyond the border of the image, it may be anywhere."""
    eroded = ~_near(~mask, radius, pixel)
    return _near(eroded, radius, pixel)


def _closed(mask: Mask, radius: float, pixel: tuple[float, float]) -> Mask:
    """All but what a disk covers that stays off the object; it may reach over the border, where nothing stops it."""
    # the grown object needs a rim of background to shrink from
    rims = [(reach + 1, reach + 1) for reach in _reach_px(radius, pixel)]
    grown = _near(np.pad(mask, rims), radius, pixel)
    closed = ~_near(~grown, radius, pixel)
    return closed[tuple(slice(before, -after) for before, after in rims)]


def _near(pixels: Mask, radius: float, pixel: tuple[float, float]) -> Mask:
    """Pixels at most `radius` away from one that is true, centre to centre."""
    near = pixels.copy()
    for tile, around, within in _tiles(pixels.shape, _reach_px(radius, pixel)):
        part = pixels[around]
        if part.any() and not part.all():
            distances = ndimage.distance_transform_edt(~part, sampling=pixel)
            near[tile] = distances[within] <= radius * (1 + ROUNDING)
    return near


def _smoothed(mask: Mask, radius: float, pixel: tuple[float, float]) -> Mask:
    """Every component with a smooth outline."""
    labels, _ = ndimage.label(mask, _TOUCHING)
    reach = _reach_px(_smoothing_reach(radius), pixel)
    smoothed = np.zeros_like(mask)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        around = _grown(box, reach, mask.shape)
        smoothed[around] |= _smoothed_component(labels[around] == label, radius, pixel)
    return smoothed


def _smoothed_component(component: Mask, radius: float, pixel: tuple[float, float]) -> Mask:
    """The component with a smooth outline; by a smaller radius if it fell apart otherwise. Bits may come off."""
    while SIGMA_OVER_RADIUS * radius / min(pixel) >= MIN_SIGMA_PX:
        smoothed = _levelled(component, [SIGMA_OVER_RADIUS * radius / side for side in pixel])
        pieces, n_pieces = ndimage.label(smoothed, _TOUCHING)
        if n_pieces == 1 or np.bincount(pieces.ravel())[1:].max() >= WHOLE_SHARE * np.count_nonzero(component):
            return smoothed
        radius /= 2
    return component


def _levelled(component: Mask, sigma_px: list[float]) -> Mask:
    """Where the blurred component is above a half; or above less, so that it keeps its area if it is convex."""
    share = component.astype(np.float32)
    rows, columns = (math.ceil(REACH_OVER_SIGMA * sigma) for sigma in sigma_px)
    for tile, around, within in _tiles(component.shape, (rows, columns)):
        part = component[around]
        if part.any() and not part.all():
            blurred = ndimage.gaussian_filter(
                part.astype(np.float32), sigma_px, mode="nearest", truncate=REACH_OVER_SIGMA
            )
            share[tile] = blurred[within]
    n = int(np.count_nonzero(component))
    if np.count_nonzero(share > 0.5) >= n:
        return np.asarray(share > 0.5)
    return _largest(share, n)


def _largest(values: NDArray[np.float32], n: int) -> Mask:
    """Where the largest `n` values are; equal ones all or not at all, whichever is nearer to `n`, but never none."""
    limit = np.partition(values, values.size - n, axis=None)[values.size - n]
    more, fewer = values >= limit * (1 - ROUNDING), values > limit * (1 + ROUNDING)
    n_fewer = np.count_nonzero(fewer)
    return np.asarray(fewer if n_fewer > 0 and n - n_fewer < np.count_nonzero(more) - n else more)


def _filled(mask: Mask, max_hole: float | None, hints: _Hints, pixel: tuple[float, float]) -> Mask:
    """The mask without its holes, but for large ones and those that were given a negative prompt."""
    gaps, n_gaps = ndimage.label(np.pad(~mask, 1, constant_values=True))
    if n_gaps == 1:
        return mask
    is_hole = np.ones(n_gaps + 1, dtype=bool)
    # the object, and the surroundings
    is_hole[[0, gaps[0, 0]]] = False
    gaps = gaps[1:-1, 1:-1]
    is_hole[gaps[tuple(hints.negative.T)]] = False
    if max_hole is not None:
        is_hole &= _areas(gaps, n_gaps, pixel) <= max_hole * (1 + ROUNDING)
    return np.asarray(mask | is_hole[gaps])


def _selected(mask: Mask, cleanup: Cleanup, hints: _Hints, pixel: tuple[float, float]) -> Mask:
    """Components that are wanted."""
    components, n_components = ndimage.label(mask, _TOUCHING)
    if n_components == 0:
        return mask
    areas = _areas(components, n_components, pixel)
    is_kept = np.arange(n_components + 1) > 0
    is_pointed_at = np.zeros_like(is_kept)
    is_pointed_at[components[tuple(hints.positive.T)]] = True
    if cleanup.keeps_prompted and hints.is_given:
        is_prompted = is_pointed_at.copy()
        if hints.enclosed is not None:
            is_prompted[components[hints.enclosed]] = True
        is_prompted[0] = False
        if not is_prompted.any():
            is_prompted[1 + int(np.argmax(areas[1:]))] = True
        is_kept &= is_prompted
    is_kept &= is_pointed_at | (areas >= cleanup.min_component * (1 - ROUNDING))
    return np.asarray(is_kept[components])


def _areas(labels: NDArray[np.int32], n: int, pixel: tuple[float, float]) -> NDArray[np.float64]:
    """`(n + 1,)` physical areas of the labels 0 to `n`."""
    return np.asarray(np.bincount(labels.ravel(), minlength=n + 1) * math.prod(pixel), np.float64)


def _tiles(shape: Shape2D, reach: tuple[int, int]) -> Iterator[tuple[_Box, _Box, _Box]]:
    """Boxes that cover an array; each with a box that reaches further, and its own place within that one."""
    sides = [max(TILE_PX, 2 * r) for r in reach]
    for top in range(0, shape[0], sides[0]):
        for left in range(0, shape[1], sides[1]):
            tile = slice(top, min(shape[0], top + sides[0])), slice(left, min(shape[1], left + sides[1]))
            around = _grown(tile, reach, shape)
            rows, columns = (
                slice(inner.start - outer.start, inner.stop - outer.start)
                for inner, outer in zip(tile, around, strict=True)
            )
            yield tile, around, (rows, columns)


def _grown(box: _Box, reach: tuple[int, int], shape: Shape2D) -> _Box:
    """A box that reaches further on all sides, within an array."""
    rows, columns = (
        slice(max(0, along.start - r), min(n, along.stop + r)) for along, r, n in zip(box, reach, shape, strict=True)
    )
    return rows, columns


def _with_margin(extent: Window, reach: tuple[int, int], image_shape: Shape2D) -> Window:
    """The window about an object that shows what cleaning it can touch, and one pixel more."""
    rows, columns = _grown(extent.slices, (reach[0] + 1, reach[1] + 1), image_shape)
    return Window(rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start)


def _smoothing_reach(radius: float) -> float:
    return REACH_OVER_SIGMA * SIGMA_OVER_RADIUS * radius


def _reach_px(length: float, pixel: tuple[float, float]) -> tuple[int, int]:
    """Whole pixels along each axis that a length spans, rounded up."""
    rows, columns = (math.ceil(length / side) for side in pixel)
    return rows, columns


def _checked_size(name: str, value: Any) -> float:
    """The value as a float, if it is a size."""
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0:
        off = "None for holes of any size" if name == "max_hole" else "0 for off"
        raise ValueError(f"{name} is {value!r}; expected a finite number, at least 0. Give a physical size, or {off}.")
    return float(value)


def _checked_mask(mask: Any) -> Mask:
    mask = np.asarray(mask)
    if mask.dtype != bool:
        raise TypeError(
            f"mask has dtype {mask.dtype}; expected bool. Pass `labels == label` or `probability > threshold`."
        )
    if mask.ndim != 2:
        raise ValueError(f"mask has shape {mask.shape}; expected (H, W). Clean a volume slice by slice.")
    return np.asarray(mask)


def _checked_spacing(spacing: Any) -> tuple[float, float]:
    sides = tuple(float(side) for side in spacing)
    if len(sides) != 2 or not all(math.isfinite(side) and side > 0 for side in sides):
        raise ValueError(
            f"spacing is {sides}; expected (row, column) size of a pixel, two finite numbers above 0. "
            "Of a volume, leave out the axis that the slice lies across."
        )
    return sides[0], sides[1]


def require_cleanable(cleanup: Cleanup, pixel: tuple[float, float]) -> None:
    """Check that cleaning would not take minutes.

    Parameters
    ----------
    cleanup
        What would be done.
    pixel
        (row, column) size of a pixel.

    Raises
    ------
    ValueError
        If a radius spans more than 1000 pixels.
    """
    for name in ("opening", "closing", "smoothing"):
        radius = getattr(cleanup, name)
        if radius > MAX_RADIUS_PX * min(pixel):
            raise ValueError(
                f"{name} of {radius:g} spans {radius / min(pixel):.0f} pixels of {min(pixel):g}; expected at most "
                f"{MAX_RADIUS_PX}. Give a smaller radius, in the unit of the spacing."
            )
