"""Counts of work that do not depend on the machine: floating-point operations and bytes moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

if TYPE_CHECKING:
    from collections.abc import Callable

_FLASH_ON_CPU = "aten::_scaled_dot_product_flash_attention_for_cpu"


@dataclass(frozen=True, slots=True)
class Work:
    """What a job did.

    Attributes
    ----------
    n_flops
        Floating-point operations of matrix products, convolutions and attention; a multiply-add is two.
    n_bytes
        Read and written by all operations, each tensor once for each operation; caches may save some of it.
    n_operations
        Operations that touch data; views do not.
    """

    n_flops: int
    n_bytes: int
    n_operations: int

    def per(self, n: int) -> Work:
        """Of one of `n` equal parts, rounded down."""
        return Work(self.n_flops // n, self.n_bytes // n, self.n_operations // n)


def count_work(job: Callable[[], object]) -> Work:
    """Do a job once and count what it did, in this thread."""
    counter = _Counter()
    with counter:
        job()
    return Work(counter.n_flops, counter.n_bytes, counter.n_operations)


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Looks at each operation that torch dispatches."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.n_flops = self.n_bytes = self.n_operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        # without autograd, what is made of other operations comes here whole
        with self:
            parts = func.decompose(*args, **kwargs) if func._overloadpacket not in flop_registry else NotImplemented
        if parts is not NotImplemented:
            return parts
        out = func(*args, **kwargs)
        if func.is_view:
            return out
        self.n_operations += 1
        self.n_bytes += sum(_n_bytes(leaf) for leaf in tree_leaves((args, kwargs, out)))
        self.n_flops += _n_flops(func, args, kwargs, out)
        return out


def _n_flops(func: Any, args: Any, kwargs: Any, out: Any) -> int:
    packet = func._overloadpacket
    if packet in flop_registry:
        return int(flop_registry[packet](*args, **kwargs, out_val=out))
    if func.name() == _FLASH_ON_CPU:
        queries, keys, values = args[:3]
        batch, heads, n_queries, width = queries.shape
        return int(2 * batch * heads * n_queries * keys.shape[2] * (width + values.shape[3]))
    return 0


def _n_bytes(leaf: Any) -> int:
    return leaf.numel() * leaf.element_size() if isinstance(leaf, torch.Tensor) else 0
