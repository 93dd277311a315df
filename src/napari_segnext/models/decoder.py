"""The decoder of the published SegNext: a simple feature pyramid and an MLP head."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
        """`(B, C, h, w)` → maps of `4 h`, `2 h`, `h` and `h / 2` rows."""
        return (
            self.down_4(fused_embedding),
            self.down_8(fused_embedding),
            self.down_16(fused_embedding),
            self.down_32(fused_embedding),
        )


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
            joined = joined + _enlarged(F.conv2d(level, share), shape)
        return self.seg_conv(self.dropout(F.relu(joined)))  # type: ignore[no-any-return]


class ConvReLU(nn.Module):
    """A 1×1 convolution and what is above 0 of it."""

    def __init__(self, in_width: int, out_width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_width, out_width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, in, h, w)` → `(B, out, h, w)`."""
        return F.relu(self.conv(x))


def _enlarged(level: Tensor, shape: tuple[int, ...]) -> Tensor:
    if level.shape[-2:] == shape:
        return level
    return F.interpolate(level, shape, mode="bilinear", align_corners=False)
