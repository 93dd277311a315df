"""A model's answer for one object, as a value: what was predicted on a window, and masks of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from napari_segnext.session.windows import Window, extent_of_mask

if TYPE_CHECKING:
    from napari_segnext._types import Mask, Probability, Shape2D

DEFAULT_THRESHOLD = 0.5
"""Probability above which a pixel belongs to the object. The original's evaluation uses 0.49."""

MAX_BAND_PX = 4_000_000
"""Pixels of a large mask that are worked out together."""


@dataclass(frozen=True)
class Prediction:
    """A model's answer for one object on one image.

    Attributes
    ----------
    window
        The part of the image that was predicted on; the object is nowhere else.
    window_probability
        `(h, w)` float32 in [0, 1], read-only, over the window from its upper left corner, a value for each block.
    image_shape
        (rows, columns) of the image.
    threshold
        Probability above which a pixel belongs to the mask.
    factor
        Side of a block in pixels; 1 unless the window is large. The last blocks may reach beyond the window.
    """

    window: Window
    window_probability: Probability
    image_shape: Shape2D
    threshold: float = DEFAULT_THRESHOLD
    factor: int = 1

    @classmethod
    def whole(cls, probability: Probability, threshold: float = DEFAULT_THRESHOLD) -> Prediction:
        """An answer `(H, W)` over all of an image."""
        image_shape = (probability.shape[0], probability.shape[1])
        return cls(Window.whole(image_shape), probability, image_shape, threshold)

    @property
    def probability(self) -> Probability:
        """`(H, W)` float32 in [0, 1], read-only; 0 outside the window. `probability_in` gives a part."""
        if self.window_probability.shape == self.image_shape:
            return self.window_probability
        probability = np.zeros(self.image_shape, np.float32)
        probability[self.window.slices] = self._in_pixels()
        probability.setflags(write=False)
        return probability

    @property
    def mask(self) -> Mask:
        """`(H, W)` bool, read-only. Of an image that is too large for that, `mask_in` gives a part."""
        if self._window_mask.shape == self.image_shape:
            return self._window_mask
        mask = np.zeros(self.image_shape, dtype=bool)
        mask[self.window.slices] = self._window_mask
        mask.setflags(write=False)
        return mask

    def cut_at(self, threshold: float) -> Prediction:
        """The same answer with another threshold; the model is not asked again."""
        return replace(self, threshold=threshold)

    @property
    def window_mask(self) -> Mask:
        """`(h, w)` bool, read-only: the mask over the window, pixel by pixel."""
        return self._window_mask

    def mask_in(self, window: Window) -> Mask:
        """`(rows, columns)` bool: the mask over another window, pixel by pixel; nothing of another size is made."""
        mask = np.zeros(window.shape, dtype=bool)
        known = window.shared_with(self.window)
        if known is None:
            return mask
        n_rows = max(1, MAX_BAND_PX // known.width)
        for top in range(known.top, known.bottom, n_rows):
            band = Window(top, known.left, min(n_rows, known.bottom - top), known.width)
            mask[band.slices_in(window)] = self._pixels_in(band) > self.threshold
        return mask

    def object_mask(self) -> tuple[Window, Mask] | None:
        """The box about the object, and the mask in it, `(rows, columns)` bool in pixels; None if it is nowhere."""
        if self.extent is None:
            return None
        # between blocks the outline may run up to one block further out
        about = Window(
            self.extent.top - self.factor,
            self.extent.left - self.factor,
            self.extent.height + 2 * self.factor,
            self.extent.width + 2 * self.factor,
        ).shared_with(self.window)
        mask = self.mask_in(about or self.extent)
        tight = extent_of_mask(mask)
        if about is None or tight is None:
            return None
        rows, columns = tight.slices
        return Window(about.top + tight.top, about.left + tight.left, *tight.shape), mask[rows, columns]

    @property
    def n_bytes(self) -> int:
        """Size of what is kept of the answer, in bytes; a large mask counts once somebody has asked for it."""
        n_pixels = self.window.height * self.window.width
        has_mask = n_pixels <= MAX_BAND_PX or "_window_mask" in self.__dict__
        return self.window_probability.nbytes + (n_pixels if has_mask else 0)

    @cached_property
    def extent(self) -> Window | None:
        """Where the object is, to whole blocks; None if it is nowhere."""
        found = extent_of_mask(self.window_probability > self.threshold)
        if found is None:
            return None
        top, left = self.window.top + found.top * self.factor, self.window.left + found.left * self.factor
        bottom = min(self.window.bottom, self.window.top + found.bottom * self.factor)
        right = min(self.window.right, self.window.left + found.right * self.factor)
        return Window(top, left, bottom - top, right - left)

    def probability_in(self, window: Window, shape: Shape2D, *, factor: int = 1) -> Probability:
        """`(rows, columns)` float32: the probability over another window, in its blocks; 0 where nothing is known."""
        if window == self.window and shape == self.window_probability.shape:
            return self.window_probability
        rows, columns = (
            _positions(start, n, factor, other_start, self.factor * m)
            for start, n, other_start, m in zip(
                (window.top, window.left),
                shape,
                (self.window.top, self.window.left),
                self.window_probability.shape,
                strict=True,
            )
        )
        grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
        ours = torch.from_numpy(np.array(self.window_probability))
        moved = F.grid_sample(ours[None, None], grid[None], padding_mode="border", align_corners=False)[0, 0]
        return np.asarray(moved * (grid.abs() <= 1).all(dim=-1))

    @cached_property
    def _window_mask(self) -> Mask:
        mask = self._in_pixels() > self.threshold
        mask.setflags(write=False)
        return mask

    def _in_pixels(self) -> Probability:
        """The window's probability at every pixel of it."""
        if self.factor == 1:
            return self.window_probability
        rows, columns = (n * self.factor for n in self.window_probability.shape)
        tensor = torch.from_numpy(np.array(self.window_probability))[None, None]
        fine = F.interpolate(tensor, (rows, columns), mode="bilinear", align_corners=False)[0, 0]
        return np.asarray(fine[: self.window.height, : self.window.width])

    def _pixels_in(self, part: Window) -> Probability:
        """The probability at every pixel of a part of the window."""
        if self.factor == 1:
            return self.window_probability[part.slices_in(self.window)]
        factor = self.factor
        inside = part.slices_in(self.window)
        # a block more on each side, from which pixels near the edge of the part are interpolated
        blocks = [slice(max(0, along.start // factor - 1), -(-along.stop // factor) + 1) for along in inside]
        tensor = torch.from_numpy(np.array(self.window_probability[tuple(blocks)]))[None, None]
        fine = F.interpolate(tensor, [n * factor for n in tensor.shape[2:]], mode="bilinear", align_corners=False)[0, 0]
        rows, columns = (
            slice(along.start - first.start * factor, along.stop - first.start * factor)
            for along, first in zip(inside, blocks, strict=True)
        )
        return np.asarray(fine[rows, columns])


def _positions(start: int, n: int, factor: int, other_start: int, other_length: int) -> torch.Tensor:
    """Centres of `n` blocks of an axis, as `grid_sample` names them (-1 to 1) over another stretch of it."""
    centres = start + (torch.arange(n, dtype=torch.float32) + 0.5) * factor
    return 2 * (centres - other_start) / other_length - 1
