"""Dense fusion: image and prompt embeddings are added, then attend to themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

from napari_segnext.models.touched_fusion import FusionBase, fuse_touched
from napari_segnext.models.transformer import Block

if TYPE_CHECKING:
    from napari_segnext._types import Shape2D
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
                norm_eps=1e-5,
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

    def base_of(self, image_embedding: Tensor, bias: Tensor | None) -> FusionBase:
        """What the first block makes of an image `(1, C, h, w)` alone, with the bias of the prompt embedding."""
        tokens = image_embedding[0].flatten(1).transpose(0, 1)
        return FusionBase.of(cast("Block", self.blocks[0]), tokens if bias is None else tokens + bias)

    def fuse_touched(
        self, base: FusionBase, touched: Tensor, is_touched: Tensor, tokens: Tensor, shape: Shape2D
    ) -> Tensor | None:
        """The same as `forward` where prompts touch few patches; see `touched_fusion.py`.

        Parameters
        ----------
        base
            Of the image.
        touched, is_touched
            Of `touched_patches`.
        tokens
            `(B, k, C)`: image and prompt embedding at these patches.
        shape
            (rows, columns) of patches.

        Returns
        -------
        Tensor or None
            `(B, C, h, w)`; None where it would be inexact.
        """
        first, *others = self.blocks
        fused = fuse_touched(cast("Block", first), base, touched, is_touched, tokens)
        if fused is None:
            return None
        for block in others:
            fused = block(fused)
        return fused.transpose(1, 2).reshape(len(fused), -1, *shape)
