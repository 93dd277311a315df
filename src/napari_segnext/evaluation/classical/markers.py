"""Prompts as markers: pixels of which a user has said that they belong to the object, or that they do not.

All classical methods read the same markers. Clicks are disks and scribbles rows of disks, of the size that clicks have
for the networks. What lies outside a box or polygon is background, and inside a mask's edge lies the object. Where no
outline says where the object ends, the border of the image is taken for background but for what is marked on it, as
users of these methods do. It stays when the user clicks on the background: on four BraTS slices the mean IoU of random
walker fell from 0.59 to 0.19 by the third click when such clicks replaced it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage import draw

from napari_segnext.prompts import Box, Click, MaskPrompt, Polygon, Scribble, clicks_from_prompt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext._types import Mask, Shape2D
    from napari_segnext.prompts import Prompt, Prompts

OBJECT, UNKNOWN, BACKGROUND = 1, 0, 2
"""Values of markers, those of `skimage`'s methods."""

RADIUS_SHARE = 0.01
"""Radius of a click's disk over the longer side of the image; at least 1 px."""

CORE_SHARE = 0.6
"""In an outline the object is taken to be what lies deeper than this share of the outline's depth."""

MASK_SHARE = 0.3
"""Of a mask prompt: object is what is deeper than this share of its depth, background what is as far outside."""


@dataclass(frozen=True, eq=False)
class Markers:
    """What is known about the pixels of an image.

    Attributes
    ----------
    labels
        `(H, W)` uint8: 1 object, 2 background, 0 unknown.
    enclosed
        `(H, W)` bool, True within all boxes and polygons (the last one if they share no pixel), at least one; None if
        there is none.
    """

    labels: NDArray[np.uint8]
    enclosed: Mask | None

    @classmethod
    def from_prompts(cls, prompts: Prompts, image_shape: Shape2D) -> Markers:
        """Markers as drawn, later prompts over earlier ones.

        Parameters
        ----------
        prompts
            Any kinds; may be empty.
        image_shape
            (rows, columns).

        Raises
        ------
        PromptError
            If a prompt lies wholly outside the image or a mask has another shape.
        """
        labels = np.zeros(image_shape, np.uint8)
        enclosed: Mask | None = None
        for prompt in prompts:
            match prompt:
                case Click() | Scribble():
                    _draw_disks(labels, prompt)
                case Box() | Polygon():
                    inside = _inside(prompt, image_shape)
                    enclosed = inside if enclosed is None or not (enclosed & inside).any() else enclosed & inside
                    labels[~inside] = BACKGROUND
                case MaskPrompt():
                    clicks_from_prompt(prompt, image_shape, spacing_px=1.0)  # refuses masks of another shape
                    _draw_mask(labels, prompt.mask)
        return cls(labels, enclosed)

    def with_both_signs(self) -> NDArray[np.uint8] | None:
        """Labels with at least one pixel of object and background each, for methods that need both.

        The middle of an outline is the object, unless some prompt denies it. Without an outline the border of the image
        is background.

        Returns
        -------
        ndarray or None
            `(H, W)` uint8 as `labels`; None if nothing is known of the object, so that it is nowhere, or all is object.
        """
        labels = self.labels.copy()
        if self.enclosed is not None:
            core = _core(self.enclosed, CORE_SHARE)
            if not (labels[core] == BACKGROUND).any():
                labels[core] = OBJECT
        if self.enclosed is None:
            border = np.ones(labels.shape, dtype=bool)
            border[1:-1, 1:-1] = False
            labels[border & (labels == UNKNOWN)] = BACKGROUND
        has_both = (labels == OBJECT).any() and (labels == BACKGROUND).any()
        return labels if has_both else None

    @property
    def fallback(self) -> Mask:
        """`(H, W)` bool: what is known to be the object, for prompts that no method can grow from."""
        return np.asarray(self.labels == OBJECT)


def click_radius_px(image_shape: Shape2D) -> float:
    """Radius of a click's disk in pixels."""
    return max(1.0, RADIUS_SHARE * max(image_shape))


def _draw_disks(labels: NDArray[np.uint8], prompt: Prompt) -> None:
    shape = (labels.shape[0], labels.shape[1])
    radius_px = click_radius_px(shape)
    for row, column, sign in clicks_from_prompt(prompt, shape, spacing_px=radius_px):
        # pixels at exactly the radius count, as in the prompt map
        disk = draw.disk((row, column), radius_px + 1e-3, shape=shape)
        labels[disk] = OBJECT if sign > 0 else BACKGROUND


def _inside(prompt: Box | Polygon, image_shape: Shape2D) -> Mask:
    """Pixels whose centres lie within an outline; at least those nearest to its middle."""
    if isinstance(prompt, Box):
        vertices = np.array(
            [
                (prompt.top, prompt.left),
                (prompt.top, prompt.right),
                (prompt.bottom, prompt.right),
                (prompt.bottom, prompt.left),
            ]
        )
    else:
        vertices = np.array(prompt.vertices)
    clicks_from_prompt(prompt, image_shape, spacing_px=1.0)  # refuses outlines off the image
    inside = np.zeros(image_shape, dtype=bool)
    inside[draw.polygon(vertices[:, 0], vertices[:, 1], shape=image_shape)] = True
    if not inside.any():
        row, column = np.clip(np.round(vertices.mean(axis=0)), 0, np.array(image_shape) - 1).astype(int)
        inside[row, column] = True
    return inside


def _draw_mask(labels: NDArray[np.uint8], mask: Mask) -> None:
    depths = ndimage.distance_transform_edt(mask)
    margin_px = max(1.0, MASK_SHARE * float(depths.max()))
    labels[ndimage.distance_transform_edt(~mask) > 2 * margin_px] = BACKGROUND
    labels[_core(mask, MASK_SHARE)] = OBJECT


def _core(region: Mask, share: float) -> Mask:
    """What lies deeper in a region than a share of its depth; the border of the image is an edge."""
    depths = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    return np.asarray(region & (depths > share * depths.max()))
