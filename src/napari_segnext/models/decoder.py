"""The decoder of the published SegNext: a simple feature pyramid and an MLP head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from napari_segnext.models.config import DecoderConfig


class PyramidDecoder(nn.Module):
    """Fused embedding → logits at a quarter of the model input.

    Parameters
    ----------
    config
        Widths of pyramid and head.
    width
        Channels of the fused embedding.
    """

    def __init__(self, config: DecoderConfig, width: int) -> None:
        super().__init__()
        self.pyramid = FeaturePyramid(width, config.pyramid_widths)
        self.head = MLPHead(config)

    def forward(self, levels: tuple[Tensor, ...]) -> Tensor:
        """One level `(B, C, h, w)` at 1/16 → `(B, 1, 4 h, 4 w)` logits."""
        (fused_embedding,) = levels
        return self.head(self.pyramid(fused_embedding))  # type: ignore[no-any-return]


class FeaturePyramid(nn.Module):
    """One map at 1/16 → four maps at 1/4, 1/8, 1/16 and 1/32.

    Parameters
    ----------
    width
        Channels that come in.
    widths
        Channels that go out, finest first.

    Notes
    -----
    Every norm is a group norm of one group, over channels and pixels together, as in the released weights; it is not
    the per-pixel norm of ViTDet.
    """

    def __init__(self, width: int, widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        at_4 = max(widths[0] * 2, width // 2)
        self.down_4 = nn.Sequential(
            nn.ConvTranspose2d(width, at_4, 2, stride=2),
            nn.GroupNorm(1, at_4),
            nn.GELU(),
            nn.ConvTranspose2d(at_4, at_4 // 2, 2, stride=2),
            nn.GroupNorm(1, at_4 // 2),
            nn.Conv2d(at_4 // 2, widths[0], 1),
            nn.GroupNorm(1, widths[0]),
            nn.GELU(),
        )
        at_8 = max(widths[1], width // 2)
        self.down_8 = nn.Sequential(
            nn.ConvTranspose2d(width, at_8, 2, stride=2),
            nn.GroupNorm(1, at_8),
            nn.Conv2d(at_8, widths[1], 1),
            nn.GroupNorm(1, widths[1]),
            nn.GELU(),
        )
        self.down_16 = nn.Sequential(
            nn.Conv2d(width, widths[2], 1),
            nn.GroupNorm(1, widths[2]),
            nn.GELU(),
        )
        at_32 = max(widths[3], width * 2)
        self.down_32 = nn.Sequential(
            nn.Conv2d(width, at_32, 2, stride=2),
            nn.GroupNorm(1, at_32),
            nn.Conv2d(at_32, widths[3], 1),
            nn.GroupNorm(1, widths[3]),
            nn.GELU(),
        )

    def forward(self, fused_embedding: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """`(B, C, h, w)` → maps of `4 h`, `2 h`, `h` and `h / 2` rows, channels last in memory.

        Notes
        -----
        All layers are matrix products over channels, on pixels in any order, so what a transposed convolution makes of
        a pixel stays beside it until the end. On CPUs that is much faster than the convolutions.
        """
        shape = (fused_embedding.shape[-2], fused_embedding.shape[-1])
        pixels = fused_embedding.flatten(2).transpose(1, 2)

        first, norm, gelu, second, second_norm, conv, last_norm, _ = _layers(self.down_4)
        at_4 = gelu(_normed(norm, _quartered(first, pixels)))
        at_4 = _normed(second_norm, _quartered(second, at_4))
        at_4 = gelu(_normed(last_norm, _pointwise(conv, at_4)))

        first, norm, conv, last_norm, gelu = _layers(self.down_8)
        at_8 = _normed(norm, _quartered(first, pixels))
        at_8 = gelu(_normed(last_norm, _pointwise(conv, at_8)))

        conv, norm, gelu = _layers(self.down_16)
        at_16 = gelu(_normed(norm, _pointwise(conv, pixels)))

        first, norm, conv, last_norm, gelu = _layers(self.down_32)
        at_32 = _normed(norm, _joined_quarters(first, fused_embedding))
        at_32 = gelu(_normed(last_norm, _pointwise(conv, at_32)))

        half = (shape[0] // 2, shape[1] // 2)
        return _map(at_4, shape, 2), _map(at_8, shape, 1), _map(at_16, shape, 0), _map(at_32, half, 0)


class MLPHead(nn.Module):
    """Maps of the pyramid → logits at the size of the finest one.

    Parameters
    ----------
    config
        Which levels are read, and the width of the head.

    Notes
    -----
    The released head resizes all levels to the finest, joins them and applies one 1×1 convolution. A 1×1 convolution
    commutes with bilinear resizing (both are linear, one acts on channels, the other on pixels), so here each level
    goes through its share of that convolution *before* it is enlarged: 11 instead of 34 GFLOP at ViT-B, equal logits
    (`tests/models/test_decoder.py`).
    """

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.levels = config.levels
        width = config.head_width
        self.convs = nn.ModuleList(ConvReLU(config.pyramid_widths[level], width) for level in config.levels)
        self.fusion_conv = ConvReLU(width * len(config.levels), width)
        self.dropout = nn.Dropout2d(config.dropout)
        self.seg_conv = nn.Conv2d(width, 1, 1)

    def forward(self, pyramid: tuple[Tensor, ...]) -> Tensor:
        """Maps, finest first → `(B, 1, h, w)` logits at the size of the finest level read."""
        maps = [conv(pyramid[level]) for conv, level in zip(self.convs, self.levels, strict=True)]
        shares = self.fusion_conv.conv.weight.chunk(len(maps), dim=1)
        shape = maps[0].shape[-2:]
        finest, *coarser = maps
        joined = F.conv2d(finest, shares[0], self.fusion_conv.conv.bias)
        for level, share in zip(coarser, shares[1:], strict=True):
            joined.add_(_enlarged(F.conv2d(level, share), shape))
        return self.seg_conv(self.dropout(F.relu_(joined)))  # type: ignore[no-any-return]


class ConvReLU(nn.Module):
    """A 1×1 convolution and what is above 0 of it."""

    def __init__(self, in_width: int, out_width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_width, out_width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, in, h, w)` → `(B, out, h, w)`."""
        return F.relu_(self.conv(x))


def _enlarged(level: Tensor, shape: tuple[int, ...]) -> Tensor:
    if level.shape[-2:] == shape:
        return level
    return F.interpolate(level, shape, mode="bilinear", align_corners=False)


def _layers(branch: nn.Sequential) -> tuple[Any, ...]:
    """The layers of a branch, whose kinds its constructor tells."""
    return tuple(branch)


def _pointwise(conv: nn.Conv2d, pixels: Tensor) -> Tensor:
    """A 1×1 convolution of `(B, P, C)`."""
    return F.linear(pixels, conv.weight[:, :, 0, 0], conv.bias)


def _quartered(conv: nn.ConvTranspose2d, pixels: Tensor) -> Tensor:
    """A transposed 2×2 convolution of stride 2: `(B, P, C)` → `(B, 4 P, C')`, the four quarters of a pixel in a row."""
    width = conv.out_channels
    weight = conv.weight.permute(2, 3, 1, 0).reshape(4 * width, -1)
    bias = None if conv.bias is None else conv.bias.repeat(4)
    return F.linear(pixels, weight, bias).view(len(pixels), -1, width)


def _joined_quarters(conv: nn.Conv2d, image: Tensor) -> Tensor:
    """A 2×2 convolution of stride 2: `(B, C, h, w)` → `(B, h w / 4, C')`; an odd last row or column is left out."""
    even = image[..., : image.shape[-2] // 2 * 2, : image.shape[-1] // 2 * 2]
    batch, width, rows, columns = even.shape
    quarters = even.reshape(batch, width, rows // 2, 2, columns // 2, 2).permute(0, 2, 4, 3, 5, 1)
    weight = conv.weight.permute(0, 2, 3, 1).flatten(1)
    return F.linear(quarters.reshape(batch, -1, 4 * width), weight, conv.bias)


def _normed(norm: nn.GroupNorm, pixels: Tensor) -> Tensor:
    """A group norm of one group of `(B, P, C)`."""
    n = pixels.shape[1] * pixels.shape[2]
    mean = pixels.sum(dim=(1, 2), keepdim=True) / n
    lengths = torch.linalg.vector_norm(pixels, dim=2, keepdim=True)
    variance = lengths.square().sum(dim=1, keepdim=True) / n - mean.square()
    scale = norm.weight * torch.rsqrt(variance.clamp(min=0) + norm.eps)
    return torch.addcmul(norm.bias - mean * scale, pixels, scale)


def _map(pixels: Tensor, shape: tuple[int, int], n_splits: int) -> Tensor:
    """`(B, P, C)`, of each pixel its quarters in a row, of these theirs → `(B, C, h, w)`, channels last in memory."""
    quarters = pixels.view(len(pixels), *shape, *(2,) * (2 * n_splits), -1)
    last = quarters.ndim - 1
    rows, columns = [1, *range(3, last, 2)], [2, *range(4, last, 2)]
    side = 2**n_splits
    raster = quarters.permute(0, *rows, *columns, last)
    return raster.reshape(len(pixels), shape[0] * side, shape[1] * side, -1).permute(0, 3, 1, 2)
