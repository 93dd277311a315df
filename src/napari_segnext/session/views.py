"""One image as a model sees it: whole or in windows, each encoded once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_segnext.session.embedding_cache import CacheKey, EmbeddingCache
from napari_segnext.session.given_depth import GivenDepth
from napari_segnext.session.preprocess import image_to_rgb, resolve_contrast_limits
from napari_segnext.session.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext._types import Image, Shape2D
    from napari_segnext.models.interface import ImageEmbedding, InteractiveModel
    from napari_segnext.prompts import Prompts
    from napari_segnext.session.preprocess import ContrastLimits

MAX_VIEW_PX = 1024
"""Windows with a longer side are averaged over whole blocks of pixels before they are encoded."""


@dataclass(frozen=True)
class View:
    """A window of an image, encoded.

    Attributes
    ----------
    window
        What is seen.
    factor
        Side, in pixels of the image, of the blocks that were averaged; 1 if none were.
    embedding
        Of the window, `(rows, columns)` of it counted in blocks.
    """

    window: Window
    factor: int
    embedding: ImageEmbedding

    @property
    def shape(self) -> Shape2D:
        """(rows, columns) in blocks."""
        return self.embedding.image_shape


class ImageViews:
    """Views of one image under one model.

    Parameters
    ----------
    model
        Any `InteractiveModel`.
    image
        `(H, W)` or `(H, W, C)` with 1 to 4 channels; see `image_to_rgb`.
    contrast_limits
        As of `image_to_rgb`, from the whole image for all its windows.
    cache
        Where embeddings are kept.
    depth
        `(H, W)` in the place of the depth that the model sees; see `Session`.

    Raises
    ------
    ImageError
        If the image has a wrong shape or dtype, no pixels, or pixels that are not finite; if there is a depth of
        another shape, or a model that reads none.
    """

    def __init__(
        self,
        model: InteractiveModel,
        image: Image,
        contrast_limits: ContrastLimits | None,
        cache: EmbeddingCache,
        depth: NDArray[Any] | None = None,
    ) -> None:
        self.model = model
        self._depth = None if depth is None else GivenDepth(model, depth, image.shape)
        # A copy: windows are read later, and what is cached under the image's hash must be of its pixels
        self._image = np.array(image)
        self._limits = resolve_contrast_limits(self._image, contrast_limits)
        self._cache = cache
        self._digest = _digest(self._image, self._limits)

    @property
    def image_shape(self) -> Shape2D:
        """(rows, columns)."""
        return self._image.shape[0], self._image.shape[1]

    def whole(self, *, at_full_size: bool = False) -> View:
        """The whole image; `at_full_size` averages no blocks, however large it is."""
        return self.of(Window.whole(self.image_shape), at_full_size=at_full_size)

    def of(self, window: Window, *, at_full_size: bool = False) -> View:
        """A window, encoded now or taken from the cache."""
        factor = _factor(window, at_full_size=at_full_size)
        key = self._key(window, factor)
        embedding = self._cache.get_or_compute(key, lambda: self._encoded(window, factor))
        if self._depth is not None:
            embedding = self._depth.put_into(embedding, window)
        return View(window, factor, embedding)

    def ensure_whole(self, *, at_full_size: bool = False) -> bool:
        """Encode what `whole` would give unless the cache keeps it already, on disk if it can; whether it did."""
        window = Window.whole(self.image_shape)
        factor = _factor(window, at_full_size=at_full_size)
        return self._cache.ensure(self._key(window, factor), lambda: self._encoded(window, factor))

    def clicks(self, prompts: Prompts, view: View) -> NDArray[np.float32]:
        """Prompts as clicks in blocks of a view; those outside it are left out.

        Returns
        -------
        ndarray
            `(n, 3)` float32: row, column, sign.

        Raises
        ------
        PromptError
            If a prompt lies wholly outside the image, or a mask has another shape.
        """
        return clicks_in_view(self.model, prompts, view, self.image_shape)

    def _encoded(self, window: Window, factor: int) -> ImageEmbedding:
        rgb = image_to_rgb(_block_means(self._image[window.slices], factor), self._limits)
        with torch.inference_mode():
            return self.model.encode_image(torch.from_numpy(rgb.transpose(2, 0, 1).copy()))

    def _key(self, window: Window, factor: int) -> CacheKey:
        where = "whole" if factor == 1 and window == Window.whole(self.image_shape) else f"{window} / {factor}"
        return CacheKey.of(self.model, f"{self._digest} {where}")


def clicks_in_view(model: InteractiveModel, prompts: Prompts, view: View, image_shape: Shape2D) -> NDArray[np.float32]:
    """Prompts as clicks in blocks of a view of an image of some shape; see `ImageViews.clicks`."""
    spacing_px = model.click_radius_px(view.shape) * view.factor
    clicks = prompts.as_clicks(image_shape, spacing_px=spacing_px)
    moved = clicks.copy()
    origin = np.array([view.window.top, view.window.left], np.float32)
    moved[:, :2] = (clicks[:, :2] - origin + 0.5) / view.factor - 0.5
    is_inside = ((moved[:, :2] >= -0.5) & (moved[:, :2] < np.array(view.shape) - 0.5)).all(axis=1)
    moved[:, :2] = np.clip(moved[:, :2], 0, np.array(view.shape) - 1)
    return moved[is_inside]


def _factor(window: Window, *, at_full_size: bool) -> int:
    """Side of the blocks that are averaged."""
    return 1 if at_full_size else max(1, -(-window.side // MAX_VIEW_PX))


def _digest(image: NDArray[Any], limits: ContrastLimits | None) -> str:
    """SHA-256 (hexadecimal) of pixels, dtype, shape and contrast limits."""
    digest = hashlib.sha256(repr((image.shape, image.dtype.str, limits)).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def _block_means(image: NDArray[Any], factor: int) -> NDArray[Any]:
    """Means over `factor` × `factor` pixels; the last row and column are repeated to fill the last blocks."""
    if factor == 1:
        return image
    padding = [(0, -n % factor) for n in image.shape[:2]] + [(0, 0)] * (image.ndim - 2)
    padded = np.pad(image, padding, mode="edge") if any(after for _, after in padding) else image
    rows, columns = (n // factor for n in padded.shape[:2])
    blocks = padded.reshape(rows, factor, columns, factor, *image.shape[2:])
    means: NDArray[np.float32] = blocks.mean(axis=(1, 3), dtype=np.float32)
    return np.round(means).astype(np.uint8) if image.dtype == np.uint8 else means
