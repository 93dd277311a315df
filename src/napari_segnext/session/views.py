"""One image as a model sees it: whole or in windows, each encoded once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from napari_segnext.errors import ImageError
from napari_segnext.models.interface import MirroringModel
from napari_segnext.session.blocks import block_means
from napari_segnext.session.embedding_cache import CacheKey, EmbeddingCache
from napari_segnext.session.given_depth import GivenDepth
from napari_segnext.session.preprocess import image_to_rgb, resolve_contrast_limits
from napari_segnext.session.pyramid import ImagePyramid
from napari_segnext.session.windows import Lattice, Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_segnext._types import Image, Shape2D
    from napari_segnext.models.interface import ImageEmbedding, InteractiveModel
    from napari_segnext.prompts import Prompts
    from napari_segnext.session.preprocess import ContrastLimits

MAX_VIEW_PX = 1024
"""Windows with a longer side are averaged over whole blocks of pixels before they are encoded."""

MAX_KNOWN_WINDOWS = 4096
"""Windows of a pyramid whose pixels are not read again to find their embeddings."""


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
    is_mirrored
        Whether it is of the mirror image: the last column comes first.
    """

    window: Window
    factor: int
    embedding: ImageEmbedding
    is_mirrored: bool = False

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
        `(H, W)` or `(H, W, C)` with 1 to 4 channels, see `image_to_rgb`; or an `ImagePyramid`.
    contrast_limits
        As of `image_to_rgb`, from the whole image for all its windows; of a pyramid, from its coarsest level.
    cache
        Where embeddings are kept.
    depth
        `(H, W)` in the place of the depth that the model sees; see `Session`.

    Raises
    ------
    ImageError
        If the image has a wrong shape or dtype, no pixels, or pixels that are not finite; if there is a depth of
        another shape, or a model that reads none.

    Attributes
    ----------
    lattice
        On which windows should lie, so that they are found again; None for an image that is held.
    sees_mirrored
        Whether mirror images help the model. Views then show one of both, but for those at full size, which show both.
    """

    lattice: Lattice | None = None

    def __init__(
        self,
        model: InteractiveModel,
        image: Image | ImagePyramid,
        contrast_limits: ContrastLimits | None,
        cache: EmbeddingCache,
        depth: NDArray[Any] | None = None,
    ) -> None:
        self.model = model
        self.sees_mirrored = isinstance(model, MirroringModel) and model.sees_mirrored
        self._pixels: _Pixels
        if isinstance(image, ImagePyramid):
            _require_no_depth(depth)
            self._pixels = _PyramidPixels(image, contrast_limits)
            self.lattice = Lattice(image.max_side)
            self._depth = None
        else:
            self._depth = None if depth is None else GivenDepth(model, depth, image.shape)
            self._pixels = _HeldPixels(image, contrast_limits)
        self._cache = cache

    @property
    def image_shape(self) -> Shape2D:
        """(rows, columns)."""
        return self._pixels.image_shape

    @property
    def can_show_whole(self) -> bool:
        """Whether the whole image may be looked at."""
        return self.lattice is None or self.lattice.max_side >= max(self.image_shape)

    def whole(self, *, at_full_size: bool = False) -> View:
        """The whole image; `at_full_size` averages no blocks, however large it is. For errors see `of`."""
        return self.of(Window.whole(self.image_shape), at_full_size=at_full_size)

    def of(self, window: Window, *, at_full_size: bool = False, is_mirrored: bool = False) -> View:
        """A window, or its mirror image, encoded now or taken from the cache.

        Raises
        ------
        ImageError
            Of a pyramid: if the window is too large for the levels it has, if no averaging was asked for, or if its
            pixels have changed since it was looked at first.
        """
        key, factor, compute = self._look(window, at_full_size=at_full_size, is_mirrored=is_mirrored)
        embedding = self._cache.get_or_compute(key, compute)
        if self._depth is not None:
            embedding = self._depth.put_into(embedding, window, is_mirrored=is_mirrored)
        return View(window, factor, embedding, is_mirrored)

    def ensure_whole(self, *, at_full_size: bool = False) -> bool:
        """Encode what `whole` would give unless the cache keeps it already, on disk if it can; whether it did."""
        key, _, compute = self._look(Window.whole(self.image_shape), at_full_size=at_full_size, is_mirrored=False)
        return self._cache.ensure(key, compute)

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

    def _look(
        self, window: Window, *, at_full_size: bool, is_mirrored: bool
    ) -> tuple[CacheKey, int, Callable[[], ImageEmbedding]]:
        """Key of the embedding of a window, side of its blocks, and what encodes it."""
        factor = self._pixels.factor(window, at_full_size=at_full_size)
        name, read = self._pixels.look(window, factor)
        encode = self.model.encode_image
        if isinstance(self.model, MirroringModel) and self.sees_mirrored and not at_full_size:
            encode = self.model.encode_one_way
            name += " mirrored" if is_mirrored else " one way"

        def compute() -> ImageEmbedding:
            rgb = image_to_rgb(read(), self._pixels.limits)
            image = torch.from_numpy(rgb.transpose(2, 0, 1).copy())
            with torch.inference_mode():
                return encode(image.flip(-1) if is_mirrored else image)

        return CacheKey.of(self.model, name), factor, compute


def clicks_in_view(model: InteractiveModel, prompts: Prompts, view: View, image_shape: Shape2D) -> NDArray[np.float32]:
    """Prompts as clicks in blocks of a view of an image of some shape; see `ImageViews.clicks`."""
    spacing_px = model.click_radius_px(view.shape) * view.factor
    clicks = prompts.as_clicks(image_shape, spacing_px=spacing_px)
    moved = clicks.copy()
    origin = np.array([view.window.top, view.window.left], np.float32)
    moved[:, :2] = (clicks[:, :2] - origin + 0.5) / view.factor - 0.5
    is_inside = ((moved[:, :2] >= -0.5) & (moved[:, :2] < np.array(view.shape) - 0.5)).all(axis=1)
    moved[:, :2] = np.clip(moved[:, :2], 0, np.array(view.shape) - 1)
    if view.is_mirrored:
        moved[:, 1] = view.shape[1] - 1 - moved[:, 1]
    return moved[is_inside]


class _Pixels(Protocol):
    """Where windows get their pixels from."""

    @property
    def image_shape(self) -> Shape2D:
        """(rows, columns)."""

    @property
    def limits(self) -> ContrastLimits | None:
        """Of all windows."""

    def factor(self, window: Window, *, at_full_size: bool) -> int:
        """Side of the blocks that are averaged."""

    def look(self, window: Window, factor: int) -> tuple[str, Callable[[], NDArray[Any]]]:
        """What tells the pixels of a window from all others, and what gives them, averaged."""


class _HeldPixels:
    """An image in memory, known by its hash."""

    def __init__(self, image: Image, contrast_limits: ContrastLimits | None) -> None:
        # A copy: windows are read later, and what is cached under the image's hash must be of its pixels
        self._image = np.array(image)
        self.limits = resolve_contrast_limits(self._image, contrast_limits)
        self._digest = _digest(self._image, self.limits)

    @property
    def image_shape(self) -> Shape2D:
        return self._image.shape[0], self._image.shape[1]

    def factor(self, window: Window, *, at_full_size: bool) -> int:
        return 1 if at_full_size else _least_factor(window)

    def look(self, window: Window, factor: int) -> tuple[str, Callable[[], NDArray[Any]]]:
        where = "whole" if factor == 1 and window == Window.whole(self.image_shape) else f"{window} / {factor}"
        return f"{self._digest} {where}", lambda: block_means(self._image[window.slices], factor)


class _PyramidPixels:
    """An image that is read window by window, each known by the hash of what was read."""

    def __init__(self, pyramid: ImagePyramid, contrast_limits: ContrastLimits | None) -> None:
        self._pyramid = pyramid
        self._known: OrderedDict[tuple[Window, int], str] = OrderedDict()
        is_taken_as_it_is = pyramid.dtype == np.uint8 or pyramid.dtype == bool
        if contrast_limits is None and not is_taken_as_it_is:
            sample = pyramid.sample()
        else:
            sample = np.zeros((1, 1) if pyramid.n_channels is None else (1, 1, pyramid.n_channels), pyramid.dtype)
        self.limits = resolve_contrast_limits(sample, contrast_limits)

    @property
    def image_shape(self) -> Shape2D:
        return self._pyramid.image_shape

    def factor(self, window: Window, *, at_full_size: bool) -> int:
        if at_full_size:
            raise ImageError(
                "zoom is off for an ImagePyramid, which is never seen whole at full size; expected zoom=True. Leave "
                "zoom out, or give an array, such as the coarsest of its levels."
            )
        return self._pyramid.factor_for(window, _least_factor(window))

    def look(self, window: Window, factor: int) -> tuple[str, Callable[[], NDArray[Any]]]:
        known = self._known.get((window, factor))
        if known is not None:
            self._known.move_to_end((window, factor))
            return known, lambda: self._read_again(window, factor, known)
        pixels = self._pyramid.read(window, factor)
        digest = _digest(pixels, self.limits)
        self._known[window, factor] = digest
        if len(self._known) > MAX_KNOWN_WINDOWS:
            self._known.popitem(last=False)
        return digest, lambda: pixels

    def _read_again(self, window: Window, factor: int, known: str) -> NDArray[Any]:
        """Pixels of a window whose embedding was dropped; kept under a key of other pixels, it would be wrong."""
        pixels = self._pyramid.read(window, factor)
        if _digest(pixels, self.limits) != known:
            self._known.clear()
            raise ImageError(
                f"the pixels in {window} have changed since they were looked at; expected an image that stays as it "
                "is. Make a new session."
            )
        return pixels


def _require_no_depth(depth: NDArray[Any] | None) -> None:
    if depth is not None:
        raise ImageError(
            "a depth was given for an ImagePyramid; expected none, as it would have to be held whole. Leave it out, or "
            "crop image and depth."
        )


def _least_factor(window: Window) -> int:
    """Side of the blocks that make a window small enough."""
    return max(1, -(-window.side // MAX_VIEW_PX))


def _digest(image: NDArray[Any], limits: ContrastLimits | None) -> str:
    """SHA-256 (hexadecimal) of pixels, dtype, shape and contrast limits."""
    digest = hashlib.sha256(repr((image.shape, image.dtype.str, limits)).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()
