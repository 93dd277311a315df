"""Depth Anything V2: one image → relative inverse depth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_segnext.errors import ImageError
from napari_segnext.models.dinov2 import DinoV2
from napari_segnext.models.dpt import DPTDecoder
from napari_segnext.models.interface import ModelIdentity

if TYPE_CHECKING:
    from napari_segnext._types import Shape2D
    from napari_segnext.models.depth_config import DepthAnythingConfig

INPUT_PX = 518
"""To which the original brings the shorter side of an image."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of RGB in [0, 1], for normalisation."""

_MAX_INPUT_PIXELS = 2**24


class DepthAnything(nn.Module):
    """The published Depth Anything V2, and small ones of our own.

    Its answer is inverse depth: larger is nearer, 0 is as far as it goes. Scale and shift differ from image to image
    and from one set of weights to the other, so bring each image to a range of its own before comparing depths.

    Parameters
    ----------
    config
        All sizes.
    identity
        Which weights it will hold.

    References
    ----------
    .. [1] Yang et al., Depth Anything V2, NeurIPS 2024, arXiv:2406.09414.
    """

    def __init__(self, config: DepthAnythingConfig, identity: ModelIdentity | None = None) -> None:
        super().__init__()
        self.config = config
        self.identity = identity or ModelIdentity("depth-anything-v2")
        self.encoder = DinoV2(config)
        self.decoder = DPTDecoder(config)

    @property
    def device(self) -> torch.device:
        """Where the weights lie and the work is done."""
        return self.encoder.cls_token.device

    def forward(self, image: Tensor) -> Tensor:
        """Inverse depth of normalised images.

        Parameters
        ----------
        image
            `(B, 3, H, W)` float; `H` and `W` whole multiples of the patch.

        Returns
        -------
        Tensor
            `(B, H, W)`, not below 0.

        Raises
        ------
        ImageError
            If patches do not tile the image.
        """
        return self.decode_depth(self.encoder(image), (image.shape[-2], image.shape[-1]))

    def decode_depth(self, maps: tuple[Tensor, ...], shape: Shape2D) -> Tensor:
        """Maps of the encoder → inverse depth `(B, *shape)`, not below 0; `shape` is that of the encoder's input."""
        return F.relu(self.decoder(maps, shape))[:, 0]

    def input_shape(self, image_shape: Shape2D, input_px: int = INPUT_PX) -> Shape2D:
        """(rows, columns) to which an image of some shape is resized; see `depth_input_shape`."""
        return depth_input_shape(image_shape, input_px, self.config.patch_px)

    def estimate_depth(self, image: Tensor, input_px: int = INPUT_PX) -> Tensor:
        """Inverse depth of an image at its own size, as the original's `infer_image`.

        Parameters
        ----------
        image
            `(3, H, W)` float RGB in [0, 1], on any device.
        input_px
            About what the shorter side becomes; more shows finer detail and takes longer.

        Returns
        -------
        Tensor
            `(H, W)`, not below 0, in the precision and on the device of the weights.

        Raises
        ------
        ImageError
            If the image has another shape, pixels that are not finite, or is so long and narrow that the network's
            input would be too large.
        """
        if image.ndim != 3 or image.shape[0] != 3 or 0 in image.shape or not image.is_floating_point():
            raise ImageError(
                f"the image is {tuple(image.shape)}, {image.dtype}; expected (3, rows, columns), float in [0, 1]. "
                "Move the channels first and divide by the largest value."
            )
        if not torch.isfinite(image).all():
            raise ImageError("the image holds pixels that are not finite; expected numbers. Replace them.")
        image_shape = (image.shape[-2], image.shape[-1])
        resized = self._resized(image, self.input_shape(image_shape, input_px))
        depth = self(self.normalise(resized).to(self.encoder.cls_token.dtype)[None])
        return F.interpolate(depth[None], image_shape, mode="bilinear", align_corners=True)[0, 0]

    def normalise(self, image: Tensor) -> Tensor:
        """RGB in [0, 1] `(…, 3, H, W)` → zero mean and unit spread."""
        mean, std = (image.new_tensor(rgb)[:, None, None] for rgb in (MEAN, STD))
        return (image - mean) / std

    def _resized(self, image: Tensor, shape: Shape2D) -> Tensor:
        """Bicubic, without antialiasing, and free to leave [0, 1], as OpenCV does it for the original."""
        if math.prod(shape) > _MAX_INPUT_PIXELS:
            raise ImageError(
                f"an image of {image.shape[-2]} × {image.shape[-1]} px would be resized to {shape[0]} × {shape[1]} px; "
                f"expected at most {_MAX_INPUT_PIXELS} pixels. Crop it, or give a smaller input_px."
            )
        precision = torch.float32 if self.device.type == "mps" else torch.float64  # mps has no float64
        wide = image.to(self.device, precision)
        return F.interpolate(wide[None], shape, mode="bicubic", align_corners=False)[0]


def depth_input_shape(image_shape: Shape2D, input_px: int = INPUT_PX, patch_px: int = 14) -> Shape2D:
    """Shape of the network's input for an image: its aspect, in whole patches, and no side below `input_px`.

    Parameters
    ----------
    image_shape
        (rows, columns) of the image.
    input_px
        What the shorter side becomes, up to a patch.
    patch_px
        Side of a patch.

    Returns
    -------
    tuple of two int
        (rows, columns).

    Raises
    ------
    ImageError
        If a side of the image is below 1 px.
    ValueError
        If `input_px` is below 1.

    Notes
    -----
    The original's rule ("lower bound", aspect kept): a side is rounded to the nearest patch, half to even, unless that
    is below `input_px`; then it is rounded up.
    """
    if min(image_shape) < 1:
        raise ImageError(f"the image has {image_shape[0]} × {image_shape[1]} px; expected at least one.")
    if input_px < 1:
        raise ValueError(f"input_px is {input_px}; expected at least 1, such as {INPUT_PX}.")
    scale = max(input_px / side for side in image_shape)
    rows, columns = (_in_patches(scale * side, input_px, patch_px) for side in image_shape)
    return rows, columns


def _in_patches(side: float, least: int, patch_px: int) -> int:
    nearest = patch_px * round(side / patch_px)
    return nearest if nearest >= least else patch_px * math.ceil(side / patch_px)
