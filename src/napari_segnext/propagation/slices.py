"""Slices of a volume as the model sees them: with square pixels, one session each, few at a time."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from napari_segnext.errors import PropagationError
from napari_segnext.models.interface import DepthAwareModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext._types import Mask, Probability, Shape2D
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.session import Session
    from napari_segnext.session.embedding_cache import EmbeddingCache
    from napari_segnext.session.preprocess import ContrastLimits
    from napari_segnext.volumes import Volume

MAX_OPEN_SLICES = 4
"""Kept with their sessions; the embeddings lie in the cache."""

SQUARE_ENOUGH = 1.2
"""Ratio of the sides of a pixel up to which slices are not resampled."""

MAX_SLICE_PX = 64_000_000
"""Pixels of the largest resampled slice."""


class Slices:
    """Slices along one axis of a volume.

    Parameters
    ----------
    model
        Any `InteractiveModel`.
    volume
        Of one time point.
    axis
        0, 1 or 2.
    contrast_limits
        As of `Session`; by default percentiles of each slice, or uint8 as it is.
    zoom
        As of `Session`.
    cache
        Where embeddings are kept.
    depth
        One number for each voxel, in the place of the depth that the model sees; as of `Session`.

    Attributes
    ----------
    n, shape
        How many slices, and (rows, columns) of each.
    square_shape
        (rows, columns) with square pixels.
    step_px
        From one slice to the next, in square pixels.

    Raises
    ------
    VolumeError
        If there is no such axis.
    PropagationError
        If slices with square pixels would be too large, the depth has another shape, or the model reads none.
    """

    def __init__(
        self,
        model: InteractiveModel,
        volume: Volume,
        axis: int,
        *,
        contrast_limits: ContrastLimits | None = None,
        zoom: bool | None = None,
        cache: EmbeddingCache | None = None,
        depth: Volume | None = None,
    ) -> None:
        if depth is not None:
            _require_depth(model, volume, depth)
        self._model, self._volume, self._axis, self._depth = model, volume, axis, depth
        self._contrast_limits, self._zoom, self._cache = contrast_limits, zoom, cache
        self.n = volume.n_slices(axis)
        rows, columns = volume.plane_axes(axis)
        self.shape: Shape2D = (volume.shape_zyx[rows], volume.shape_zyx[columns])
        self.square_shape = _square_shape(self.shape, volume.plane_spacing(axis))
        self.step_px = volume.spacing[axis] / min(volume.plane_spacing(axis))
        self._open: OrderedDict[int, tuple[NDArray[Any], Session | None]] = OrderedDict()

    @property
    def factors(self) -> tuple[float, float]:
        """(rows, columns) of a slice with square pixels over those of the volume's."""
        return self.square_shape[0] / self.shape[0], self.square_shape[1] / self.shape[1]

    def pixels(self, index: int) -> NDArray[Any]:
        """`(H, W)` or `(H, W, C)`, with square pixels."""
        return self._opened(index)[0]

    def session(self, index: int) -> Session:
        """A session on the slice with square pixels, without prompts."""
        from napari_segnext.session import Session

        pixels, session = self._opened(index)
        if session is None:
            session = Session(
                self._model,
                pixels,
                contrast_limits=self._contrast_limits,
                zoom=self._zoom,
                cache=self._cache,
                depth=self._depth_of(index),
            )
            self._open[index] = (pixels, session)
        session.reset()
        return session

    def ensure_embedding(self, index: int) -> bool:
        """Encode the slice as `session` would, unless the cache holds it; whether it did."""
        from napari_segnext.session.session import prefers_zoom, shared_cache
        from napari_segnext.session.views import ImageViews

        cache = shared_cache() if self._cache is None else self._cache
        zooms = prefers_zoom(self._model) if self._zoom is None else self._zoom
        views = ImageViews(self._model, self.pixels(index), self._contrast_limits, cache)
        return views.ensure_whole(at_full_size=not zooms)

    def to_square(self, mask: Mask) -> Mask:
        """A mask of the volume's slice, with square pixels.

        Raises
        ------
        PropagationError
            If it has another shape than the slices.
        """
        if mask.shape != self.shape:
            raise PropagationError(
                f"a mask has shape {mask.shape}; expected {self.shape}, that of slices along axis {self._axis}."
            )
        return mask if self.square_shape == self.shape else _resized(mask.astype(np.float32), self.square_shape) > 0.5

    def to_volume(self, probability: Probability) -> Probability:
        """A probability with square pixels, on the volume's slice."""
        return probability if self.square_shape == self.shape else _resized(probability, self.shape)

    def _depth_of(self, index: int) -> NDArray[Any] | None:
        """`(H, W)` depth that was given, with square pixels."""
        if self._depth is None:
            return None
        plane = self._depth.plane(self._axis, index)
        return plane if self.square_shape == self.shape else _resized_depth(plane, self.square_shape)

    def _opened(self, index: int) -> tuple[NDArray[Any], Session | None]:
        if index not in self._open:
            plane = self._volume.plane(self._axis, index)
            if self.square_shape != self.shape:
                plane = _resized_plane(plane, self.square_shape)
            self._open[index] = (plane, None)
        self._open.move_to_end(index)
        while len(self._open) > MAX_OPEN_SLICES:
            self._open.popitem(last=False)
        return self._open[index]


def _require_depth(model: InteractiveModel, volume: Volume, depth: Volume) -> None:
    if not isinstance(model, DepthAwareModel):
        raise PropagationError(
            f"there is a depth, but the model '{model.identity.name}' reads none; expected one that does, such as "
            "ois-tiny. Choose that, or leave the depth out."
        )
    if depth.has_time or depth.has_channels or depth.shape_zyx != volume.shape_zyx:
        raise PropagationError(
            f"the depth has shape {tuple(int(n) for n in depth.array.shape)}; expected {volume.shape_zyx}, that of the "
            "volume. Give one number for each voxel."
        )


def _square_shape(shape: Shape2D, spacing: tuple[float, float]) -> Shape2D:
    least = min(spacing)
    if max(spacing) <= SQUARE_ENOUGH * least:
        return shape
    rows, columns = (max(1, round(n * size / least)) for n, size in zip(shape, spacing, strict=True))
    if rows * columns > MAX_SLICE_PX:
        raise PropagationError(
            f"slices of {shape} with pixels of {spacing} would have {rows} × {columns} square pixels; expected at most "
            f"{MAX_SLICE_PX / 1e6:g} million. Correct the spacing, or take another axis."
        )
    return rows, columns


def _resized_plane(plane: NDArray[Any], shape: Shape2D) -> NDArray[Any]:
    """Linearly; of the same kind of number."""
    channels = plane[..., None] if plane.ndim == 2 else plane
    resized = np.stack(
        [_resized(np.nan_to_num(channels[..., c].astype(np.float32)), shape) for c in range(channels.shape[-1])],
        axis=-1,
    )
    resized = resized[..., 0] if plane.ndim == 2 else resized
    return np.round(resized).astype(plane.dtype) if plane.dtype.kind in "ui" else resized


def _resized_depth(plane: NDArray[Any], shape: Shape2D) -> NDArray[np.float32]:
    """Linearly between known values; what is nearer to an unknown one stays unknown."""
    depth = plane.astype(np.float32)
    is_known = np.isfinite(depth)
    if is_known.all():
        return _resized(depth, shape)
    weight = _resized(is_known.astype(np.float32), shape)
    values = _resized(np.where(is_known, depth, 0).astype(np.float32), shape)
    return np.where(weight > 0.5, values / np.maximum(weight, 0.5), np.nan).astype(np.float32)


def _resized(values: NDArray[np.float32], shape: Shape2D) -> NDArray[np.float32]:
    tensor = torch.from_numpy(np.array(values, np.float32))[None, None]
    return np.asarray(F.interpolate(tensor, shape, mode="bilinear", align_corners=False)[0, 0])
