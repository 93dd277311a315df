"""Encoder, depth decoder, prompt embedding and mask decoder of OIS, as they belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_segnext.models.config import FusionConfig
from napari_segnext.models.dinov2 import DinoV2
from napari_segnext.models.dpt import DPTDecoder
from napari_segnext.models.fusion import DenseFusion
from napari_segnext.models.hybrid import HybridEncoder, PyramidPromptEmbedding, SkipDecoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_segnext._types import Shape2D
    from napari_segnext.models.config import HybridConfig
    from napari_segnext.models.depth_config import DepthAnythingConfig

COARSE = 3
"""Index of the encoder's last map among the four that the DPT decoder reads."""


class TransformerBody(nn.Module):
    """The paper's: a Depth Anything V2 encoder and two DPT decoders, one for depth and one for the mask.

    Parameters
    ----------
    config
        Sizes of encoder and decoders.
    n_channels
        Of the prompt map.
    """

    def __init__(self, config: DepthAnythingConfig, n_channels: int) -> None:
        super().__init__()
        self.encoder = DinoV2(config)
        self.depth_decoder = DPTDecoder(config)
        self.prompt_embedding = nn.Conv2d(n_channels, config.width, config.patch_px, stride=config.patch_px)
        self.decoder = DPTDecoder(config)

    def encode(self, image: Tensor) -> tuple[Tensor, ...]:
        """Normalised `(B, 3, H, W)` → four maps `(B, C, h, w)`."""
        return self.encoder(image)  # type: ignore[no-any-return]

    def depth(self, maps: Sequence[Tensor], shape: Shape2D) -> Tensor:
        """Inverse depth `(B, 1, *shape)`, at least 0; larger is nearer."""
        return F.relu(self.depth_decoder(maps, shape))

    def levels(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """What is kept of an image: three levels ready to be fused, and the last map as it is."""
        ready = (self.decoder.reassemble_level(index, level) for index, level in enumerate(maps[:COARSE]))
        return (*ready, maps[COARSE])

    def prompt_levels(self, prompt_map: Tensor) -> tuple[Tensor, ...]:
        """The prompt map `(B, channels, H, W)` → what is added to the last map."""
        return (self.prompt_embedding(prompt_map),)

    def decode(self, levels: tuple[Tensor, ...], prompt_levels: tuple[Tensor, ...], shape: Shape2D) -> Tensor:
        """Levels, prompts fused into the last one → logits `(B, 1, *shape)`.

        The head works at 4 / patch of the input, where SegNext's does, and not at its full size as for depth: of a
        click that was half the work.
        """
        *ready, coarse = levels
        fused = self.decoder.fuse((*ready, self.decoder.reassemble_level(COARSE, coarse)), is_doubled=False)
        logits = self.decoder.head(fused, (fused.shape[-2], fused.shape[-1]))
        return F.interpolate(logits, shape, mode="bilinear", align_corners=True)


class HybridBody(nn.Module):
    """Of our small models: the hybrid encoder of our SegNext, and two of its skip decoders.

    Parameters
    ----------
    config
        Sizes of the encoder.
    n_channels
        Of the prompt map.
    context_depth
        Self-attention blocks after the encoder, before any prompt.
    """

    def __init__(self, config: HybridConfig, n_channels: int, context_depth: int = 0) -> None:
        super().__init__()
        self.encoder = HybridEncoder(config)
        self.context = DenseFusion(FusionConfig(depth=context_depth, n_heads=config.n_heads), config.width)
        self.depth_decoder = SkipDecoder(config)
        self.prompt_embedding = PyramidPromptEmbedding(config, n_channels)
        self.decoder = SkipDecoder(config)

    def encode(self, image: Tensor) -> tuple[Tensor, ...]:
        """Normalised `(B, 3, H, W)` → levels, finest first."""
        return self.encoder(image)  # type: ignore[no-any-return]

    def depth(self, maps: Sequence[Tensor], shape: Shape2D) -> Tensor:
        """Inverse depth `(B, 1, h, w)` at half the size of the input or at its size; larger is nearer."""
        return self.depth_decoder(tuple(maps))  # type: ignore[no-any-return]

    def levels(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """What is kept of an image: the levels, the coarsest one in context."""
        *fine, coarse = maps
        return (*fine, self.context(coarse, torch.zeros_like(coarse[:1])))

    def prompt_levels(self, prompt_map: Tensor) -> tuple[Tensor, ...]:
        """The prompt map → what is added to each level."""
        return self.prompt_embedding(prompt_map)  # type: ignore[no-any-return]

    def decode(self, levels: tuple[Tensor, ...], prompt_levels: tuple[Tensor, ...], shape: Shape2D) -> Tensor:
        """Levels, prompts fused into the coarsest, those of the others added here → logits `(B, 1, *shape)`."""
        *fine, coarse = levels
        if prompt_levels:
            fine = [image + prompt for image, prompt in zip(fine, prompt_levels, strict=True)]
        logits = self.decoder((*fine, coarse))
        return F.interpolate(logits, shape, mode="bilinear", align_corners=True)
