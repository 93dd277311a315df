"""Our small models: convolutions down to 1/8 of the input, attention at 1/16, and skips into the decoder.

The paper's design (encode once, add the prompt embedding, fuse densely, decode) with three levels instead of one,
so that thin structures, which it names as its weakness, find their way around the coarse grid. All parts take images of
any size that is a multiple of 16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from napari_segnext.models.transformer import Block

if TYPE_CHECKING:
    from napari_segnext.models.config import HybridConfig

PROMPT_STEM_WIDTH = 16


class HybridEncoder(nn.Module):
    """Image → levels of image embedding at 1/4, 1/8 and 1/16, and at 1/2 if there is a fine skip.

    Parameters
    ----------
    config
        Sizes.
    """

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        half, quarter, eighth = config.stage_widths
        n_quarter, n_eighth = config.blocks_per_stage
        self.uses_fine_skip = config.uses_fine_skip
        self.stem = ConvNormReLU(3, half, stride=2)
        self.stage_4 = nn.Sequential(
            ConvNormReLU(half, quarter, stride=2), *(ResidualBlock(quarter) for _ in range(n_quarter))
        )
        self.stage_8 = nn.Sequential(
            ConvNormReLU(quarter, eighth, stride=2), *(ResidualBlock(eighth) for _ in range(n_eighth))
        )
        self.to_tokens = nn.Sequential(
            nn.Conv2d(eighth, config.width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(config.width)
        )
        self.position = nn.Conv2d(config.width, config.width, 3, padding=1, groups=config.width)
        self.blocks = nn.Sequential(
            *(
                Block(
                    config.width,
                    config.n_heads,
                    mlp_ratio=config.mlp_ratio,
                    qkv_bias=True,
                    norm_eps=1e-5,
                )
                for _ in range(config.depth)
            )
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """`(B, 3, H, W)` normalised → levels, finest first."""
        at_2 = self.stem(image)
        at_4 = self.stage_4(at_2)
        at_8 = self.stage_8(at_4)
        at_16 = self.to_tokens(at_8)
        at_16 = at_16 + self.position(at_16)
        tokens = self.blocks(at_16.flatten(2).transpose(1, 2))
        levels = at_4, at_8, tokens.transpose(1, 2).unflatten(2, at_16.shape[-2:])
        return (at_2, *levels) if self.uses_fine_skip else levels


class PyramidPromptEmbedding(nn.Module):
    """Prompt map → as many levels of prompt embedding as the image has, through small strides.

    Parameters
    ----------
    config
        Sizes of the encoder whose levels the embedding is added to.
    n_channels
        Of the prompt map.

    Notes
    -----
    A single convolution of stride 16, as the paper has it, starts far too weak beside the image features when trained
    from scratch for a short time; small strides do not.
    """

    def __init__(self, config: HybridConfig, n_channels: int = 3) -> None:
        super().__init__()
        half, quarter, eighth = config.stage_widths
        self.to_2 = nn.Conv2d(PROMPT_STEM_WIDTH, half, 1) if config.uses_fine_skip else None
        self.to_4 = nn.Sequential(
            ConvNormReLU(n_channels, PROMPT_STEM_WIDTH, stride=2), ConvNormReLU(PROMPT_STEM_WIDTH, quarter, stride=2)
        )
        self.to_8 = ConvNormReLU(quarter, eighth, stride=2)
        self.to_16 = nn.Conv2d(eighth, config.width, 3, stride=2, padding=1)

    def forward(self, prompt_map: Tensor) -> tuple[Tensor, ...]:
        """`(B, channels, H, W)` → levels, finest first."""
        stem, to_4 = self.to_4
        at_2 = stem(prompt_map)
        at_4 = to_4(at_2)
        at_8 = self.to_8(at_4)
        levels = at_4, at_8, self.to_16(at_8)
        return levels if self.to_2 is None else (self.to_2(at_2), *levels)


class SkipDecoder(nn.Module):
    """Three fused levels → logits at half the model input; with a fine skip, four → logits at its full size.

    Parameters
    ----------
    config
        Sizes of the encoder.
    """

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        half, quarter, eighth = config.stage_widths
        self.norm = nn.BatchNorm2d(config.width)
        self.from_16 = nn.Conv2d(config.width, eighth, 1)
        self.at_8 = nn.Sequential(ConvNormReLU(eighth, eighth), ResidualBlock(eighth))
        self.from_8 = nn.Conv2d(eighth, quarter, 1)
        self.at_4 = nn.Sequential(ConvNormReLU(quarter, quarter), ResidualBlock(quarter))
        self.to_logits = nn.Conv2d(quarter, 4, 1)
        self.fine = FineLevel(quarter, half) if config.uses_fine_skip else None

    def forward(self, levels: tuple[Tensor, ...]) -> Tensor:
        """Levels at 1/4, 1/8 and 1/16 → `(B, 1, H / 2, W / 2)` logits; with one at 1/2, too → `(B, 1, H, W)`."""
        *finest, at_4, at_8, at_16 = levels
        at_8 = self.at_8(at_8 + doubled(self.from_16(self.norm(at_16))))
        at_4 = self.at_4(at_4 + doubled(self.from_8(at_8)))
        logits = F.pixel_shuffle(self.to_logits(at_4), 2)
        if self.fine is None:
            return logits
        return doubled(logits) + self.fine(finest[0], at_4)  # type: ignore[no-any-return]


class FineLevel(nn.Module):
    """What the level at 1/2 adds to the logits; nothing before training.

    Parameters
    ----------
    coarse_width, width
        Channels at 1/4 and at 1/2.
    """

    def __init__(self, coarse_width: int, width: int) -> None:
        super().__init__()
        self.from_4 = nn.Conv2d(coarse_width, width, 1)
        self.at_2 = ConvNormReLU(width, width)
        self.to_logits = nn.Conv2d(width, 4, 3, padding=1)
        nn.init.zeros_(self.to_logits.weight)
        nn.init.zeros_(self.to_logits.bias)  # type: ignore[arg-type]

    def forward(self, at_2: Tensor, at_4: Tensor) -> Tensor:
        """Levels at 1/2 and 1/4 → `(B, 1, H, W)`."""
        return F.pixel_shuffle(self.to_logits(self.at_2(at_2 + doubled(self.from_4(at_4)))), 2)


class ConvNormReLU(nn.Sequential):
    """A 3×3 convolution, batch norm and ReLU."""

    def __init__(self, in_width: int, out_width: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(in_width, out_width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(out_width),
            nn.ReLU(inplace=True),
        )


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = ConvNormReLU(width, width)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, h, w)` → the same shape."""
        return F.relu_(x + self.second(self.first(x)))


def doubled(x: Tensor) -> Tensor:
    """A level at twice its size."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
