"""The plain vision transformer that encodes images for the published SegNext."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_segnext.errors import ConfigError
from napari_segnext.models.transformer import Block, PatchEmbedding

if TYPE_CHECKING:
    from napari_segnext._types import Shape2D
    from napari_segnext.models.config import PlainViTConfig

_NOMINAL_WINDOW_TOKENS = 14
"""224 px of 16 px patches; it sets the number of windows per side, not their size."""


class PlainViT(nn.Module):
    """Image → image embedding: patches, then blocks that attend within windows or globally.

    Parameters
    ----------
    config
        Sizes.
    input_shape
        (rows, columns) of the images that come in; whole multiples of the patch.

    Raises
    ------
    ConfigError
        If patches or windows do not tile the input.

    Notes
    -----
    The backbone of Liu et al., CVPR 2024, section 3.1 (after Li et al., Exploring Plain Vision Transformer Backbones
    for Object Detection, ECCV 2022). There is no class token and no norm after the last block.
    """

    def __init__(self, config: PlainViTConfig, input_shape: Shape2D) -> None:
        super().__init__()
        if any(side % config.patch_px for side in input_shape):
            raise ConfigError(f"input of {input_shape} px is not a multiple of the patch of {config.patch_px} px.")
        self.grid_shape = (input_shape[0] // config.patch_px, input_shape[1] // config.patch_px)
        self.patch_embed = PatchEmbedding(config.patch_px, 3, config.width)
        self.pos_embed = nn.Parameter(torch.zeros(1, self.grid_shape[0] * self.grid_shape[1], config.width))
        self.blocks = nn.ModuleList(
            Block(
                config.width,
                config.n_heads,
                mlp_ratio=config.mlp_ratio,
                qkv_bias=config.qkv_bias,
                norm_eps=1e-6,
            )
            for _ in range(config.depth)
        )
        self.is_global = tuple(
            number % max(config.global_attention_every, 1) == 0 or number == config.depth
            for number in range(1, config.depth + 1)
        )
        self.n_windows = (1, 1) if all(self.is_global) else _n_windows(self.grid_shape)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """Encode normalised images.

        Parameters
        ----------
        image
            `(B, 3, H, W)` float of the input shape.

        Returns
        -------
        tuple of one Tensor
            `(B, C, H / patch, W / patch)`.
        """
        tokens = self.patch_embed(image) + self.pos_embed

        # blocks, windows cut and joined only where the kind of attention changes
        is_windowed = False
        for block, is_global in zip(self.blocks, self.is_global, strict=True):
            if is_windowed == is_global:
                tokens = self._joined(tokens) if is_global else self._cut(tokens)
                is_windowed = not is_global
            tokens = block(tokens)

        return (tokens.transpose(1, 2).unflatten(2, self.grid_shape),)

    def _cut(self, tokens: Tensor) -> Tensor:
        """`(B, N, C)` → `(B × windows, tokens of a window, C)`."""
        (rows, columns), (m, n) = self.grid_shape, self.n_windows
        windows = tokens.reshape(-1, m, rows // m, n, columns // n, tokens.shape[-1])
        return windows.transpose(2, 3).reshape(-1, (rows // m) * (columns // n), tokens.shape[-1])

    def _joined(self, windows: Tensor) -> Tensor:
        """The inverse of `_cut`."""
        (rows, columns), (m, n) = self.grid_shape, self.n_windows
        tokens = windows.reshape(-1, m, n, rows // m, columns // n, windows.shape[-1])
        return tokens.transpose(2, 3).reshape(-1, rows * columns, windows.shape[-1])


def _n_windows(grid_shape: Shape2D) -> Shape2D:
    rows, columns = (side // _NOMINAL_WINDOW_TOKENS for side in grid_shape)
    if rows == 0 or columns == 0 or grid_shape[0] % rows or grid_shape[1] % columns:
        raise ConfigError(
            f"a grid of {grid_shape} patches cannot be cut into windows; expected at least "
            f"{_NOMINAL_WINDOW_TOKENS} patches a side, and a number that {_NOMINAL_WINDOW_TOKENS}-patch windows divide "
            "evenly (28, 32, 64, …). Choose another input size, or global attention in every block."
        )
    return rows, columns
