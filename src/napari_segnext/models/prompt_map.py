"""Clicks and the previous mask → the dense prompt map, and the prompt map → the prompt embedding."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_segnext.models.transformer import PatchEmbedding

if TYPE_CHECKING:
    from napari_segnext._types import Shape2D


MAX_TOUCHED_SHARE = 0.1
"""Of the patches, up to which prompts are worked on patch by patch."""


def draw_prompt_map(
    clicks: Tensor,
    previous_masks: Tensor,
    input_shape: Shape2D,
    *,
    radius_px: float,
    uses_disks: bool = True,
) -> Tensor:
    """Draw clicks and the previous mask as the three channels that SegNext reads.

    Every click becomes a filled disk; overlapping disks of one sign merge.

    Parameters
    ----------
    clicks
        `(B, n, 3)` float32 in pixels of the image: row, column, sign (1 positive, -1 negative, 0 padding). `n` may
        be 0.
    previous_masks
        `(B, H, W)` float32 in [0, 1]; zeros before the first prediction.
    input_shape
        (rows, columns) of the prompt map.
    radius_px
        Radius of a disk in pixels of the prompt map, 5 in the published weights.
    uses_disks
        False draws `tanh(2 distance / radius)` instead of disks.

    Returns
    -------
    Tensor
        `(B, 3, rows, columns)` float32: previous mask, positive disks, negative disks; the disks are 0 or 1.

    Notes
    -----
    The dense representation of Liu et al., CVPR 2024, Fig. 2, in the channel order of the released weights. Whole
    positions land on the pixel the original chooses, truncation of `position × scale + 0.5` in float32.
    """
    masks = F.interpolate(previous_masks[:, None], input_shape, mode="bilinear", align_corners=False)
    scales = (input_shape[0] / previous_masks.shape[-2], input_shape[1] / previous_masks.shape[-1])
    centres = torch.stack([torch.trunc(clicks[..., axis] * scales[axis] + 0.5) for axis in (0, 1)], dim=-1)
    draw = _disks if uses_disks else _distances
    signs = clicks[..., 2]
    maps = [draw(centres, signs == sign, input_shape, radius_px) for sign in (1, -1)]
    return torch.cat([masks, *maps], dim=1)


def _disks(centres: Tensor, is_drawn: Tensor, shape: Shape2D, radius_px: float) -> Tensor:
    """`(B, 1, rows, columns)`: 1 within `radius_px` of a drawn centre, 0 elsewhere."""
    reach = math.floor(radius_px)
    offsets = torch.arange(-reach, reach + 1, device=centres.device)
    row_offsets, column_offsets = torch.meshgrid(offsets, offsets, indexing="ij")
    is_within = row_offsets**2 + column_offsets**2 <= radius_px**2

    # pixels of all disks, those off the map left out
    batch, which = is_drawn.nonzero(as_tuple=True)
    rows = centres[batch, which, 0].long()[:, None] + row_offsets[is_within]
    columns = centres[batch, which, 1].long()[:, None] + column_offsets[is_within]
    is_on_map = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])

    disks = centres.new_zeros((len(centres), 1, *shape))
    disks[batch[:, None].expand_as(rows)[is_on_map], 0, rows[is_on_map], columns[is_on_map]] = 1
    return disks


def _distances(centres: Tensor, is_drawn: Tensor, shape: Shape2D, radius_px: float) -> Tensor:
    """`(B, 1, rows, columns)`: tanh of twice the distance to the next drawn centre in radii; 1 where there is none."""
    rows = torch.arange(shape[0], device=centres.device)[:, None]
    columns = torch.arange(shape[1], device=centres.device)
    maps = centres.new_ones((len(centres), 1, *shape))
    for batch, which in is_drawn.nonzero().tolist():
        row, column = centres[batch, which]
        distance = ((rows - row) ** 2 + (columns - column) ** 2).sqrt() / radius_px
        maps[batch, 0] = torch.minimum(maps[batch, 0], torch.tanh(2 * distance))
    return maps


def touched_patches(prompt_map: Tensor, patch_px: int) -> tuple[Tensor, Tensor] | None:
    """Which patches a prompt map touches.

    Parameters
    ----------
    prompt_map
        `(B, 3, H, W)`.
    patch_px
        Side of a patch.

    Returns
    -------
    tuple of Tensor, or None
        `(B, k)` int64 numbers of patches, row by row, and `(B, k)` bool, false for padding; None if some map touches
        more than `MAX_TOUCHED_SHARE` of them.
    """
    highest = F.max_pool2d(prompt_map.abs().amax(dim=1), patch_px).flatten(1)
    is_touched = highest > 0
    n_touched = is_touched.sum(dim=1)
    most = int(n_touched.max())
    if most > MAX_TOUCHED_SHARE * is_touched.shape[1]:
        return None
    order = is_touched.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, : max(most, 1)]
    return order, torch.arange(order.shape[1], device=order.device) < n_touched[:, None]


def embed_patches(prompt_map: Tensor, touched: Tensor, weight: Tensor) -> Tensor:
    """The prompt embedding of chosen patches, without its bias.

    Parameters
    ----------
    prompt_map
        `(B, 3, H, W)`.
    touched
        `(B, k)` int64 numbers of patches.
    weight
        `(C, 3, patch, patch)` of the convolution that embeds patches.

    Returns
    -------
    Tensor
        `(B, k, C)`.
    """
    patch_px, n_columns = weight.shape[-1], prompt_map.shape[-1] // weight.shape[-1]
    patches = prompt_map.unfold(2, patch_px, patch_px).unfold(3, patch_px, patch_px)
    batch = torch.arange(len(touched), device=touched.device)[:, None]
    chosen = patches[batch, :, touched // n_columns, touched % n_columns]
    return F.linear(chosen.flatten(2), weight.flatten(1))


class PatchPromptEmbedding(PatchEmbedding):
    """Prompt map → prompt embedding, patch by patch as the image (paper, section 3.2).

    Parameters
    ----------
    patch_px
        Side of a patch.
    width
        Channels of the embedding.
    """

    def __init__(self, patch_px: int, width: int) -> None:
        super().__init__(patch_px, 3, width)

    def forward(self, prompt_map: Tensor) -> tuple[Tensor]:  # type: ignore[override]
        """`(B, 3, H, W)` → one level `(B, C, H / patch, W / patch)`.

        Notes
        -----
        Disks touch few patches. Of the others the previous mask alone is embedded, a third of the work.
        """
        projection = self.proj
        found = touched_patches(prompt_map[:, 1:], projection.kernel_size[0])
        if torch.is_grad_enabled() or found is None:
            return (projection(prompt_map),)
        level = F.conv2d(prompt_map[:, :1], projection.weight[:, :1], projection.bias, stride=projection.stride)
        disks = embed_patches(prompt_map[:, 1:], found[0], projection.weight[:, 1:]) * found[1][..., None]
        numbers = found[0][:, None].expand(-1, level.shape[1], -1)
        level.flatten(2).scatter_add_(2, numbers, disks.transpose(1, 2).to(level.dtype))
        return (level,)
