"""What a machine can do at best, measured: matrix products and copying."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_segnext.evaluation.benchmark.turns import synchronise

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_segnext.evaluation.benchmark.counts import Work

_SIDE = {"cpu": 2048, "cuda": 8192}
"""Of the matrices that are multiplied."""

_COPIED_FLOATS = 2**26

_REPEATS = 5


@dataclass(frozen=True, slots=True)
class MachinePeak:
    """Best of several tries, float32.

    Attributes
    ----------
    flops_per_s
        Of products of large square matrices.
    bytes_per_s
        Read and written while 256 MiB are copied.
    """

    flops_per_s: float
    bytes_per_s: float

    def least_seconds(self, work: Work) -> float:
        """No machine of this speed does the work faster: arithmetic alone, or moving bytes alone, takes as long."""
        return max(work.n_flops / self.flops_per_s, work.n_bytes / self.bytes_per_s)


def measure_peak(device: torch.device | str = "cpu") -> MachinePeak:
    """Measure a device, with as many threads as torch uses now; takes a few seconds."""
    device = torch.device(device)
    side = _SIDE.get(device.type, _SIDE["cpu"])
    one, other = torch.rand(side, side, device=device), torch.rand(side, side, device=device)
    source = torch.rand(_COPIED_FLOATS, device=device)
    target = torch.empty_like(source)
    return MachinePeak(
        2 * side**3 / _best_seconds(lambda: one @ other, device),
        2 * source.numel() * source.element_size() / _best_seconds(lambda: target.copy_(source), device),
    )


def _best_seconds(job: Callable[[], object], device: torch.device) -> float:
    job()
    seconds = []
    for _ in range(_REPEATS):
        synchronise(device)
        start = time.perf_counter()
        job()
        synchronise(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds)
