"""Timing in turns: what else the machine does falls on all alike, so ratios are steadier than seconds."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and quartiles.

    Attributes
    ----------
    median, low, high
        The second, first and third quartile.
    """

    median: float
    low: float
    high: float


def synchronise(device: torch.device) -> None:
    """Wait until a device has done what it was told to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def in_turns(
    jobs: Mapping[str, Callable[[], object]],
    *,
    repeats: int,
    device: torch.device,
    before: Mapping[str, Callable[[], object]] | None = None,
) -> dict[str, tuple[float, ...]]:
    """Seconds of each job in each turn, after one turn that does not count.

    Parameters
    ----------
    jobs
        By name; each turn does each of them once, in their order.
    repeats
        Turns.
    device
        That is waited for after each job.
    before
        What is done before a job each time, and not timed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(repeats + 1):
        for name, job in jobs.items():
            if before is not None and name in before:
                before[name]()
            synchronise(device)
            start = perf_counter()
            job()
            synchronise(device)
            if turn:
                seconds[name].append(perf_counter() - start)
    return {name: tuple(values) for name, values in seconds.items()}


def ratios(seconds: Sequence[float], baseline: Sequence[float]) -> Spread:
    """Seconds over those of a baseline, turn by turn."""
    return spread([ours / theirs for ours, theirs in zip(seconds, baseline, strict=True)])


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles of at least one value."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(middle, low, high)
