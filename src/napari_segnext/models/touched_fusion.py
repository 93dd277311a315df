"""Dense fusion where prompts touch few patches: what the first block makes of the image alone is computed once.

1. Without a prompt, all tokens of the first block are the image's: their queries, keys and values, and the sums of the
   attention's weights and of what they weigh, depend on the image alone (`FusionBase`).
2. Prompts change the tokens of the patches that they touch. Of all others the sums change by what these tokens add now
   less what they added before, so attention costs tokens × touched patches instead of tokens × tokens.
3. Tokens that are touched attend to everything, as ever.

The result is that of the block up to rounding. Where the sums would lose their digits, because nearly all weight lay on
touched patches, the caller is told so and computes the block as ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from napari_segnext.models.transformer import Block

LEAST_REMAINDER = 0.05
"""Of an attention's weight, that must lie on patches that are not touched or on what they became; in float32 that
leaves the sums all digits but one or two."""

_CHUNK = 512
"""Queries whose weights are held at a time."""


@dataclass(frozen=True, slots=True)
class FusionBase:
    """The first fusion block on an image without prompts.

    Attributes
    ----------
    tokens
        `(N, C)`: what comes in.
    queries, keys, values
        `(heads, N, d)`; queries are scaled.
    attended
        `(heads, N, d)`: what attention makes of them.
    log_sums
        `(heads, N)`: logarithm of the sum of a query's weights.
    """

    tokens: Tensor
    queries: Tensor
    keys: Tensor
    values: Tensor
    attended: Tensor
    log_sums: Tensor

    @property
    def n_bytes(self) -> int:
        """Of all tensors."""
        tensors = (self.tokens, self.queries, self.keys, self.values, self.attended, self.log_sums)
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    @classmethod
    def of(cls, block: Block, tokens: Tensor) -> FusionBase:
        """The base of a block that gets `tokens` `(N, C)`."""
        queries, keys, values = _queries_keys_values(block, tokens[None])[:, 0]
        attended, log_sums = torch.empty_like(values), queries.new_empty(queries.shape[:2])
        for start in range(0, queries.shape[1], _CHUNK):
            part = slice(start, start + _CHUNK)
            logits = queries[:, part] @ keys.transpose(1, 2)
            log_sums[:, part] = logits.logsumexp(dim=-1)
            attended[:, part] = logits.sub_(log_sums[:, part, None]).exp_() @ values
        return cls(tokens, queries, keys, values, attended, log_sums)


def fuse_touched(block: Block, base: FusionBase, touched: Tensor, is_touched: Tensor, tokens: Tensor) -> Tensor | None:
    """The block where prompts have changed some tokens.

    Parameters
    ----------
    block
        Of which `base` was made.
    base
        Of the image.
    touched
        `(B, k)` int64: numbers of the touched tokens, each once; rows are padded to equal lengths by any numbers.
    is_touched
        `(B, k)` bool: false for padding.
    tokens
        `(B, k, C)`: what they are now.

    Returns
    -------
    Tensor or None
        `(B, N, C)`; None where it would be inexact.
    """
    queries, keys, values = _queries_keys_values(block, tokens)
    old_keys, old_values = (_taken(tensor, touched) for tensor in (base.keys, base.values))
    attended = _changed_sums(base, keys, values, old_keys, old_values, is_touched)
    if attended is None:
        return None
    own = _attended_by_touched(base, queries, keys, values, touched, is_touched)

    merged = _replaced(attended.transpose(1, 2).flatten(2), touched, is_touched, own.transpose(1, 2).flatten(2))
    fused = _replaced(base.tokens.expand(len(touched), -1, -1), touched, is_touched, tokens)
    fused = fused + block.attn.proj(merged)
    return fused + block.mlp(block.norm2(fused))  # type: ignore[no-any-return]


def _changed_sums(
    base: FusionBase, keys: Tensor, values: Tensor, old_keys: Tensor, old_values: Tensor, is_touched: Tensor
) -> Tensor | None:
    """`(B, heads, N, d)`: what all queries of the image get now that the touched keys and values are others."""
    n_touched = keys.shape[2]
    both = torch.cat([keys, old_keys], dim=2)
    weights = base.queries @ both.transpose(2, 3)
    weights.sub_(base.log_sums[..., None]).exp_()
    sign = is_touched.to(weights.dtype)
    weights *= torch.cat([sign, -sign], dim=1)[:, None, None]
    total = 1 + weights.sum(dim=-1, keepdim=True)
    if not bool((total.isfinite() & (total > LEAST_REMAINDER)).all()):
        return None
    changed = weights[..., :n_touched] @ values
    changed += weights[..., n_touched:] @ old_values
    return changed.add_(base.attended).div_(total)


def _attended_by_touched(
    base: FusionBase, queries: Tensor, keys: Tensor, values: Tensor, touched: Tensor, is_touched: Tensor
) -> Tensor:
    """`(B, heads, k, d)`: what the touched tokens get of all tokens."""
    is_gone = torch.zeros(len(touched), base.keys.shape[1], dtype=torch.bool, device=keys.device)
    is_gone.scatter_(1, touched, is_touched)
    untouched = (queries @ base.keys.transpose(1, 2)).masked_fill_(is_gone[:, None, None], -torch.inf)
    among_touched = (queries @ keys.transpose(2, 3)).masked_fill_(~is_touched[:, None, None], -torch.inf)
    weights = torch.cat([untouched, among_touched], dim=-1).softmax(dim=-1)
    n = base.keys.shape[1]
    return weights[..., :n] @ base.values + weights[..., n:] @ values


def _queries_keys_values(block: Block, tokens: Tensor) -> Tensor:
    """`(B, n, C)` → `(3, B, heads, n, d)`, the queries scaled."""
    queries, keys, values = block.attn.queries_keys_values(block.norm1(tokens))
    return torch.stack([queries * block.attn.scale, keys, values])


def _taken(tensor: Tensor, touched: Tensor) -> Tensor:
    """Rows `(B, heads, k, d)` of `(heads, N, d)`."""
    return tensor[:, touched].transpose(0, 1)


def _replaced(tokens: Tensor, touched: Tensor, is_touched: Tensor, new: Tensor) -> Tensor:
    """`(B, N, C)` with other rows where touched."""
    replaced = tokens.clone(memory_format=torch.contiguous_format)
    batch, slot = is_touched.nonzero(as_tuple=True)
    replaced[batch, touched[batch, slot]] = new[batch, slot].to(replaced.dtype)
    return replaced
