"""Dense fusion: image and prompt embeddings are added, then attend to themselves."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from timm.models.vision_transformer import Block
from torch import Tensor, nn

if TYPE_CHECKING:
    from napari_segnext.models.config import FusionConfig


class DenseFusion(nn.Module):
    """Image embedding + prompt embedding → fused embedding.

    Parameters
    ----------
    config
        Number of self-attention blocks (0: the sum only) and their sizes.
    width
        Channels of both embeddings.

    Notes
    -----
    Liu et al., CVPR 2024, section 3.3: SA×1 and SA×2. The blocks attend globally; their norms have another epsilon
    (1e-5) than the encoder's.
    """

    def __init__(self, config: FusionConfig, width: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(
                width,
                config.n_heads,
                mlp_ratio=config.mlp_ratio,
                qkv_bias=config.qkv_bias,
                norm_layer=partial(nn.LayerNorm, eps=1e-5),
            )
            for _ in range(config.depth)
        )

    def forward(self, image_embedding: Tensor, prompt_embedding: Tensor) -> Tensor:
        """Fuse `(1 or B, C, h, w)` with `(B, C, h, w)` into `(B, C, h, w)`."""
        fused = image_embedding + prompt_embedding
        if not self.blocks:
            return fused
        tokens = fused.flatten(2).transpose(1, 2)
        for block in self.blocks:
            tokens = block(tokens)
        return tokens.transpose(1, 2).reshape(fused.shape)
