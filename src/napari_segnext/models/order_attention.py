"""Sparse prompts that look at the image: nearer in depth first, and within their half of the previous mask (OIS)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from napari_segnext._types import Shape2D
    from napari_segnext.models.ois_config import OrderConfig

N_KINDS = 3
"""Learned embeddings: negative, positive, and the slot without a point."""

_SLOT, _NEGATIVE, _POSITIVE = 2, 0, 1


class SparsePrompts(nn.Module):
    """Clicks → sparse embeddings: where each one is, and of which sign.

    Parameters
    ----------
    width
        Channels; even.

    Notes
    -----
    The place goes through random Fourier features as in SAM. The paper has 48 slots, of which unused ones hold a
    learned embedding; since they are masked out of every attention, one such slot does the same for any number of
    clicks. It comes first and is never masked, so that no attention runs dry.
    """

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.randn(2, width // 2))
        self.kinds = nn.Parameter(torch.randn(N_KINDS, width))

    def forward(self, clicks: Tensor, image_shape: Shape2D) -> Tensor:
        """Clicks `(B, n, 3)` in pixels of the image, padded by sign 0 → `(B, 1 + n, C)`, the slot first."""
        size = clicks.new_tensor(image_shape)
        places = self.embed_places((clicks[..., :2] + 0.5) / size)
        kinds = self.kinds[torch.where(clicks[..., 2] > 0, _POSITIVE, _NEGATIVE)]
        slot = self.kinds[_SLOT].expand(len(clicks), 1, -1)
        return torch.cat([slot, (places + kinds) * (clicks[..., 2:] != 0)], dim=1)

    def embed_grid(self, grid_shape: Shape2D) -> Tensor:
        """Places of the cells of a grid, row by row: `(1, N, C)`."""
        device = self.frequencies.device
        rows, columns = ((torch.arange(n, device=device) + 0.5) / n for n in grid_shape)
        return self.embed_places(torch.cartesian_prod(rows, columns))[None]

    def embed_places(self, places: Tensor) -> Tensor:
        """(row, column) in [0, 1] `(…, 2)` → `(…, C)`."""
        angles = 2 * math.pi * ((2 * places - 1) @ self.frequencies)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


class OrderBlock(nn.Module):
    """One block of the paper: order-aware attention, object-aware attention, a perceptron.

    Parameters
    ----------
    config
        Sizes, and what an ablation switches off.
    width
        Channels of embeddings.

    Notes
    -----
    Wang et al., ICLR 2025, equations 3 to 5. Both attentions of a block read the same keys and values; in the keys a
    cell also says where it is, and in the queries a prompt says again what it is, as in SAM: without that, prompts
    soon become all alike.
    """

    def __init__(self, config: OrderConfig, width: int) -> None:
        super().__init__()
        self.config = config
        self.keys = nn.Linear(width, config.attention_width)
        self.values = nn.Linear(width, config.attention_width)
        self.order_queries = nn.Linear(width, config.attention_width)
        self.order_out = nn.Linear(config.attention_width, width)
        self.object_queries = nn.Linear(width, config.attention_width)
        self.object_out = nn.Linear(config.attention_width, width)
        hidden = int(config.mlp_ratio * width)
        self.perceptron = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.raw_sigma = _raw(config.sigma)

    @property
    def sigma(self) -> Tensor:
        """How much order distance counts; above 0."""
        return F.softplus(self.raw_sigma)

    def forward(
        self, sparse: Tensor, prompts: Tensor, image: Tensor, places: Tensor, order: Tensor, is_visible: Tensor
    ) -> Tensor:
        """One round of looking.

        Parameters
        ----------
        sparse
            `(B, K, C)`: the slot, then the clicks.
        prompts
            `(B, K, C)`: what they were before the first block.
        image, places
            `(B, N, C)` and `(1, N, C)`: cells of the image, prompt map added, of spread 1, and where they are.
        order
            `(B, K, N)`: order distances, 0 for the slot.
        is_visible
            `(B, K, N)` bool of `object_halves`.

        Returns
        -------
        Tensor
            `(B, K, C)`.
        """
        keys, values = self.keys(image + places), self.values(image)
        n_heads = self.config.n_heads

        bias = -self.sigma * order if self.config.uses_order else None
        seen = _attended(self.order_queries(sparse + prompts), keys, values, n_heads, bias)
        sparse = self.norms[0](sparse + self.order_out(seen))

        mask = is_visible if self.config.uses_object else None
        seen = _attended(self.object_queries(sparse + prompts), keys, values, n_heads, mask)
        sparse = self.norms[1](sparse + self.object_out(seen))

        return self.norms[2](sparse + self.perceptron(sparse))  # type: ignore[no-any-return]


class LookBack(nn.Module):
    """The image looks at the sparse prompts: the second half of a two-way block, which the paper does not spell out.

    Order counts here, too: a cell sees a click the less, the farther it lies from it in depth. Without that, cells of
    the same look at another depth could not be told apart, unless the encoder itself knows depth.

    Parameters
    ----------
    config
        Sizes, and whether order counts.
    width
        Channels of embeddings.
    """

    def __init__(self, config: OrderConfig, width: int) -> None:
        super().__init__()
        self.config = config
        self.raw_sigma = _raw(config.sigma)
        self.queries = nn.Linear(width, config.attention_width)
        self.keys = nn.Linear(width, config.attention_width)
        self.values = nn.Linear(width, config.attention_width)
        self.out = nn.Linear(config.attention_width, width)

    @property
    def sigma(self) -> Tensor:
        """How much order distance counts; above 0."""
        return F.softplus(self.raw_sigma)

    def forward(self, image: Tensor, places: Tensor, sparse: Tensor, order: Tensor, is_used: Tensor) -> Tensor:
        """What is added to the cells of the image.

        Parameters
        ----------
        image, places
            `(B, N, C)` and `(1, N, C)`, as of `OrderBlock`.
        sparse
            `(B, K, C)`.
        order
            `(B, K, N)`: order distances, 0 for the slot.
        is_used
            `(B, K)` bool: the slot and all clicks that are no padding.

        Returns
        -------
        Tensor
            `(B, N, C)`.
        """
        queries = self.queries(image + places)
        bias = -self.sigma * order.transpose(1, 2) if self.config.uses_order else order.transpose(1, 2) * 0
        bias = bias.masked_fill(~is_used[:, None], -torch.inf)
        seen = _attended(queries, self.keys(sparse), self.values(sparse), self.config.n_heads, bias)
        return self.out(seen)  # type: ignore[no-any-return]


def object_halves(previous_masks: Tensor, clicks: Tensor, grid_shape: Shape2D) -> Tensor:
    """Which cells each sparse prompt may look at in object-aware attention.

    Parameters
    ----------
    previous_masks
        `(B, H, W)` float in [0, 1]; zeros before the first prediction.
    clicks
        `(B, n, 3)`: of which the sign counts.
    grid_shape
        (rows, columns) of cells.

    Returns
    -------
    Tensor
        `(B, 1 + n, N)` bool. Positive clicks see the cells with a pixel of the previous mask, negative ones all others,
        so each cell is seen by one of the two signs. Where a half is empty, as before the first answer, its clicks see
        everything; so does the slot.

    Notes
    -----
    Wang et al., ICLR 2025, equations 4 and 5.
    """
    highest = F.adaptive_max_pool2d(previous_masks[:, None], grid_shape)
    is_object = (highest > 0.5).flatten(1)
    is_object = is_object[:, None]
    seen = torch.where(clicks[..., 2:] > 0, is_object, ~is_object)
    seen = seen | ~seen.any(dim=-1, keepdim=True)
    return torch.cat([torch.ones_like(seen[:, :1]) if seen.shape[1] else torch.ones_like(is_object), seen], dim=1)


def _raw(sigma: float) -> nn.Parameter:
    """What softplus makes sigma of, so that it stays above 0 while it is learned."""
    return nn.Parameter(torch.tensor(math.log(math.expm1(sigma))))


def _attended(queries: Tensor, keys: Tensor, values: Tensor, n_heads: int, bias_or_mask: Tensor | None) -> Tensor:
    """Attention over the last but one axis: bias `(B, K, N)` is added to the logits, of a mask True is looked at."""
    queries, keys, values = (_split(x, n_heads) for x in (queries, keys, values))
    if bias_or_mask is not None:
        bias_or_mask = bias_or_mask[:, None]
        if bias_or_mask.dtype != torch.bool:
            bias_or_mask = bias_or_mask.to(queries.dtype)
    attended = F.scaled_dot_product_attention(queries, keys, values, attn_mask=bias_or_mask)
    return attended.transpose(1, 2).flatten(2)


def _split(x: Tensor, n_heads: int) -> Tensor:
    """`(B, K, C)` → `(B, heads, K, C / heads)`."""
    batch, n_tokens, width = x.shape
    return x.view(batch, n_tokens, n_heads, width // n_heads).transpose(1, 2)
