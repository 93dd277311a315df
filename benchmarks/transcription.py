"""The original SegNext's arithmetic, transcribed plainly: the baseline that our speed is measured against.

Attention builds all its weights, everything is float32, one prompt is answered at a time, each click's distance is
computed at every pixel, the decoder enlarges its levels before it joins them. It reads the tensors of one of our
`SegNext` networks, so both give the same logits (`tests/benchmarks/test_transcription.py`). Written from a description
of what the original computes; no code of it is here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from napari_segnext.models.interface import ImageEmbedding

if TYPE_CHECKING:
    from torch import Tensor, nn

    from napari_segnext.models.segnext import SegNext

    Shape = tuple[int, int]

NO_POINT = -1.0


class Transcription:
    """SegNext as published, on the weights of one of our networks with a plain ViT.

    Parameters
    ----------
    network
        Whose weights are read; they are not copied.
    """

    def __init__(self, network: SegNext) -> None:
        self.network = network
        self.input_shape: Shape = network.config.input_shape
        self.radius_px = network.config.click_radius_px

    @property
    def device(self) -> torch.device:
        """Of the weights."""
        return self.network.device

    def encode_image(self, image: Tensor) -> ImageEmbedding:
        """Encode `(3, H, W)` float32 in [0, 1]."""
        network, encoder = self.network, self.network.encoder
        normalised = (image.to(self.device) - network.mean) / network.std
        resized = F.interpolate(normalised[None], self.input_shape, mode="bilinear", align_corners=False)
        projection = encoder.patch_embed.proj
        patches = F.conv2d(resized, projection.weight, projection.bias, stride=projection.stride)
        tokens = patches.flatten(2).transpose(1, 2) + encoder.pos_embed
        grid = encoder.grid_shape
        for block, is_global in zip(encoder.blocks, encoder.is_global, strict=True):
            tokens = block_of(block, tokens) if is_global else windowed(block, tokens, grid, encoder.n_windows)
        level = tokens.transpose(1, 2).reshape(1, -1, *grid)
        return ImageEmbedding((level,), (image.shape[-2], image.shape[-1]))

    def predict_logits(self, embedding: ImageEmbedding, clicks: Tensor, previous_masks: Tensor) -> Tensor:
        """Logits `(B, H, W)`, one set of prompts after another; arguments as of `InteractiveModel.predict_logits`."""
        answers = [
            self._answer(embedding, clicks[one : one + 1], previous_masks[one : one + 1]) for one in range(len(clicks))
        ]
        return torch.cat(answers)[:, 0]

    def _answer(self, embedding: ImageEmbedding, clicks: Tensor, previous_mask: Tensor) -> Tensor:
        prompt_map = self._prompt_map(embedding.image_shape, clicks, previous_mask)
        projection = self.network.prompt_embedding.proj
        fused = embedding.levels[0] + F.conv2d(prompt_map, projection.weight, projection.bias, stride=projection.stride)
        tokens = fused.flatten(2).transpose(1, 2)
        for block in self.network.fusion.blocks:
            tokens = block_of(block, tokens)
        fused = tokens.transpose(1, 2).reshape(fused.shape)
        logits = head(self.network.decoder.head, pyramid(self.network.decoder.pyramid, fused))
        logits = F.interpolate(logits, self.input_shape, mode="bilinear", align_corners=True)
        return F.interpolate(logits, embedding.image_shape, mode="bilinear", align_corners=False)

    def _prompt_map(self, image_shape: Shape, clicks: Tensor, previous_mask: Tensor) -> Tensor:
        """`(1, 3, rows, columns)`; positive and negative clicks padded to equal numbers, at least one."""
        mask = F.interpolate(previous_mask[:, None], self.input_shape, mode="bilinear", align_corners=False)
        scale = clicks.new_tensor([size / side for size, side in zip(self.input_shape, image_shape, strict=True)])
        of_sign = [clicks[0][clicks[0, :, 2] == sign, :2] * scale + 0.5 for sign in (1, -1)]
        n = max(1, *map(len, of_sign))
        padded = [F.pad(points.trunc(), (0, 0, 0, n - len(points)), value=NO_POINT) for points in of_sign]
        disks = disk_maps(torch.cat(padded), self.input_shape, self.radius_px)
        return torch.cat([mask, disks], dim=1)


def disk_maps(points: Tensor, shape: Shape, radius_px: float) -> Tensor:
    """Points `(2 n, 2)`, the positive ones first → `(1, 2, rows, columns)`, by the distance of every pixel to each."""
    rows, columns = (torch.arange(size, dtype=torch.float32, device=points.device) for size in shape)
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
    offsets = grid[None].repeat(len(points), 1, 1, 1) - points[:, :, None, None]
    squared = (offsets * offsets).sum(dim=1)
    squared[points.amax(dim=1) < 0] = 1e6
    nearest = squared.reshape(2, -1, *shape).amin(dim=1)
    return (nearest <= radius_px**2).float()[None]


def windowed(block: nn.Module, tokens: Tensor, grid: Shape, n_windows: Shape) -> Tensor:
    """A block on `(1, N, C)` whose attention stays within windows of the grid, cut and joined for each block."""
    (rows, columns), (m, n), width = grid, n_windows, tokens.shape[-1]
    cut = tokens.reshape(m, rows // m, n, columns // n, width).permute(0, 2, 1, 3, 4)
    windows = block_of(block, cut.reshape(m * n, -1, width))
    joined = windows.reshape(m, n, rows // m, columns // n, width).permute(0, 2, 1, 3, 4)
    return joined.reshape(1, -1, width)


def block_of(block: nn.Module, tokens: Tensor) -> Tensor:
    """A transformer block on `(B, N, C)`: attention and perceptron, each after its norm and beside the identity."""
    tokens = tokens + attention(block.attn, normed(block.norm1, tokens))
    hidden = F.gelu(linear(block.mlp.fc1, normed(block.norm2, tokens)))
    return tokens + linear(block.mlp.fc2, hidden)


def attention(layer: nn.Module, tokens: Tensor) -> Tensor:
    """Self-attention on `(B, N, C)` with all its weights `(B, heads, N, N)` in memory."""
    batch, n, width = tokens.shape
    n_heads = layer.n_heads
    queries, keys, values = linear(layer.qkv, tokens).reshape(batch, n, 3, n_heads, -1).permute(2, 0, 3, 1, 4)
    weights = (queries @ keys.transpose(-2, -1)) * (width // n_heads) ** -0.5
    attended = weights.softmax(dim=-1) @ values
    return linear(layer.proj, attended.transpose(1, 2).reshape(batch, n, width))


def linear(layer: nn.Module, x: Tensor) -> Tensor:
    return F.linear(x, layer.weight, layer.bias)


def normed(layer: nn.Module, x: Tensor) -> Tensor:
    return F.layer_norm(x, layer.normalized_shape, layer.weight, layer.bias, layer.eps)


def pyramid(layers: nn.Module, fused: Tensor) -> tuple[Tensor, ...]:
    """The fused embedding → four maps at 1/4, 1/8, 1/16 and 1/32, layer by layer."""
    return tuple(branch(fused) for branch in (layers.down_4, layers.down_8, layers.down_16, layers.down_32))


def head(layers: nn.Module, levels: tuple[Tensor, ...]) -> Tensor:
    """Maps → logits: each level convolved and enlarged, all joined, then one convolution over all of them."""
    shape = levels[layers.levels[0]].shape[-2:]
    enlarged = [
        F.interpolate(conv(levels[level]), shape, mode="bilinear", align_corners=False)
        for conv, level in zip(layers.convs, layers.levels, strict=True)
    ]
    joined = layers.fusion_conv(torch.cat(enlarged, dim=1))
    return layers.seg_conv(layers.dropout(joined))
