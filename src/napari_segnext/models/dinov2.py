"""The vision transformer under Depth Anything V2: an image → maps after four of its blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_segnext.errors import ImageError
from napari_segnext.models.transformer import Block, PatchEmbedding

if TYPE_CHECKING:
    from napari_segnext._types import Shape2D
    from napari_segnext.models.depth_config import DepthAnythingConfig

_SCALE_MARGIN = 0.1
"""Patches by which the original overstates a grid to the resampling, so that its size is not rounded down."""


class DinoV2(nn.Module):
    """Images of any whole number of patches → one map after each block that is taken.

    Parameters
    ----------
    config
        Sizes.

    Notes
    -----
    DINOv2 [1]_ without register tokens, as in Depth Anything V2: pre-norm blocks with scaled branches, one class token
    that the decoder does not read, and one final norm that is applied to each map. Blocks after the last one taken are
    never run.

    References
    ----------
    .. [1] Oquab et al., DINOv2: Learning Robust Visual Features without Supervision, TMLR 2024, arXiv:2304.07193.
    """

    def __init__(self, config: DepthAnythingConfig) -> None:
        super().__init__()
        self.config = config
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + config.table_side**2, config.width))
        self.patch_embed = PatchEmbedding(config.patch_px, 3, config.width)
        self.blocks = nn.ModuleList(
            Block(
                config.width,
                config.n_heads,
                mlp_ratio=config.mlp_ratio,
                qkv_bias=True,
                norm_eps=1e-6,
                branch_scale=1.0,
            )
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        nn.init.normal_(self.cls_token, std=1e-6)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Encode normalised images.

        Parameters
        ----------
        image
            `(B, 3, H, W)` float; `H` and `W` whole multiples of the patch.

        Returns
        -------
        tuple of four Tensors
            `(B, C, H / patch, W / patch)` each, after the final norm; the class token is left out.

        Raises
        ------
        ImageError
            If patches do not tile the image.
        """
        shape = self.grid_shape((image.shape[-2], image.shape[-1]))
        return tuple(
            self.norm(tokens)[:, 1:].transpose(1, 2).unflatten(2, shape) for tokens in self.taken_tokens(image)
        )

    def taken_tokens(self, image: Tensor) -> list[Tensor]:
        """Outputs `(B, 1 + N, C)` of the blocks that are taken, before the final norm.

        Row 0 is the class token, the others are patches, row by row.
        """
        shape = self.grid_shape((image.shape[-2], image.shape[-1]))
        patches = self.patch_embed(image)
        tokens = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1) + self.positions(shape)

        taken = []
        for index, block in enumerate(self.blocks[: self.config.blocks_taken[-1] + 1]):
            tokens = block(tokens)
            if index in self.config.blocks_taken:
                taken.append(tokens)
        return taken

    def grid_shape(self, image_shape: Shape2D) -> Shape2D:
        """Patches (rows, columns) of an input.

        Raises
        ------
        ImageError
            If patches do not tile it.
        """
        patch_px = self.config.patch_px
        if any(side < patch_px or side % patch_px for side in image_shape):
            raise ImageError(
                f"the network's input is {image_shape[0]} × {image_shape[1]} px; expected multiples of {patch_px} px. "
                "Resize it to what `input_shape` says."
            )
        return image_shape[0] // patch_px, image_shape[1] // patch_px

    def positions(self, grid_shape: Shape2D) -> Tensor:
        """What is added to the tokens `(1, 1 + N, C)` of a grid of (rows, columns) patches.

        Notes
        -----
        The table as it is stored where the grid has its size. Else it is resampled bicubically, without antialiasing,
        by the factor `(n + 0.1) / side` along each axis, as the original does: also along an axis that keeps its
        number of patches. By size instead, depths come out wrong by half their range on small grids.
        """
        side = self.config.table_side
        if grid_shape == (side, side):
            return self.pos_embed
        of_class, of_patches = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        table = of_patches.transpose(1, 2).reshape(1, -1, side, side)
        if table.dtype in (torch.float16, torch.bfloat16):
            table = table.float()
        rows, columns = ((n_patches + _SCALE_MARGIN) / side for n_patches in grid_shape)
        resampled = F.interpolate(table, scale_factor=(rows, columns), mode="bicubic", align_corners=False)
        return torch.cat([of_class, resampled.flatten(2).transpose(1, 2).to(of_class.dtype)], dim=1)
