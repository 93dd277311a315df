"""What vision transformers are made of: patches, and blocks of self-attention and a perceptron.

Tensors are named as `timm` names them, so its checkpoints, and the authors', fit. Importing `timm` takes longer than
importing torch, and a first click would wait for it; that is why these few layers are here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_segnext.errors import ConfigError


class PatchEmbedding(nn.Module):
    """Image → a vector for each patch.

    Parameters
    ----------
    patch_px
        Side of a patch.
    n_channels
        Of the image.
    width
        Of the vectors.
    """

    def __init__(self, patch_px: int, n_channels: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(n_channels, width, kernel_size=patch_px, stride=patch_px)

    def forward(self, image: Tensor) -> Tensor:
        """`(B, channels, H, W)` → tokens `(B, N, C)`, row by row."""
        return self.proj(image).flatten(2).transpose(1, 2)  # type: ignore[no-any-return]


class Block(nn.Module):
    """Self-attention, then a perceptron, each after its norm and beside the identity.

    Parameters
    ----------
    width
        Channels of tokens.
    n_heads
        Heads, which share the channels.
    mlp_ratio
        Width of the perceptron's hidden layer over `width`.
    qkv_bias
        Whether queries, keys and values have a bias.
    norm_eps
        Of the two layer norms.
    branch_scale
        What both branches are scaled by at first, for each channel; None for branches without a scale.

    Raises
    ------
    ConfigError
        If the heads cannot share the channels.
    """

    def __init__(
        self,
        width: int,
        n_heads: int,
        *,
        mlp_ratio: float,
        qkv_bias: bool,
        norm_eps: float,
        branch_scale: float | None = None,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=norm_eps)
        self.attn = SelfAttention(width, n_heads, qkv_bias=qkv_bias)
        self.ls1 = nn.Identity() if branch_scale is None else ChannelScale(width, branch_scale)
        self.norm2 = nn.LayerNorm(width, eps=norm_eps)
        self.mlp = Perceptron(width, int(width * mlp_ratio))
        self.ls2 = nn.Identity() if branch_scale is None else ChannelScale(width, branch_scale)

    def forward(self, tokens: Tensor) -> Tensor:
        """`(B, N, C)` → the same shape."""
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens)))
        return tokens + self.ls2(self.mlp(self.norm2(tokens)))  # type: ignore[no-any-return]


class SelfAttention(nn.Module):
    """All tokens of a set attend to each other; the weights of attention are never all in memory.

    Parameters
    ----------
    width, n_heads, qkv_bias
        As of `Block`.
    """

    def __init__(self, width: int, n_heads: int, *, qkv_bias: bool) -> None:
        super().__init__()
        if n_heads < 1 or width % n_heads:
            raise ConfigError(f"{n_heads} heads share {width} channels; expected a number of heads that divides them.")
        self.n_heads = n_heads
        self.scale = (width // n_heads) ** -0.5
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """`(B, N, C)` → the same shape."""
        queries, keys, values = self.queries_keys_values(tokens)
        attended = F.scaled_dot_product_attention(queries, keys, values)
        return self.proj(attended.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def queries_keys_values(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`(B, N, C)` → three times `(B, heads, N, C / heads)`."""
        split = self.qkv(tokens).unflatten(2, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        queries, keys, values = split.unbind(0)
        return queries, keys, values


class Perceptron(nn.Module):
    """Two linear layers about a GELU.

    Parameters
    ----------
    width, hidden
        Channels outside and between.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """`(…, C)` → the same shape."""
        return self.fc2(F.gelu(self.fc1(tokens)))  # type: ignore[no-any-return]


class ChannelScale(nn.Module):
    """A learned factor for each channel.

    Parameters
    ----------
    width
        Channels.
    start
        All factors before training.
    """

    def __init__(self, width: int, start: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), start))

    def forward(self, tokens: Tensor) -> Tensor:
        """`(…, C)` → the same shape."""
        return tokens * self.gamma
