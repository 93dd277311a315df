"""What propagation costs: time per slice against one click, and memory against the number of slices.

1. Time: a BraTS-size head (155 × 240 × 240), one annotated slice, propagated twice. In the second run all embeddings
   are in memory; its time per slice is divided by the time of one click on the same slices, with theirs in memory, too.
2. Memory: stacks of 250 and 2,000 slices that are computed when they are read, with one tube from end to end; resident
   memory after both runs, with a cache of a given size. It must be bounded by the cache, not by the stack.

python benchmarks/propagation.py
python benchmarks/propagation.py --part memory --cache-mb 100
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import gc
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

SHAPE = (155, 240, 240)
TUBE_SIDE = 192
"""Rows and columns of the stacks for memory."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("all", "time", "memory"), default="all")
    parser.add_argument("--model", default="segnext-tiny", help="name or path")
    parser.add_argument("--slices", type=int, nargs=2, default=(250, 2000), help="of the two stacks")
    parser.add_argument("--cache-mb", type=float, default=200, help="of embeddings in memory")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", default="", help="file to write the report to")
    options = parser.parse_args()
    import torch

    from napari_segnext.weights import load_model

    torch.set_num_threads(options.threads)
    model = load_model(options.model, "cpu")
    report: dict[str, Any] = {"model": options.model, "threads": options.threads}
    if options.part != "memory":
        report["time"] = time_per_slice(model)
    if options.part != "time":
        report["memory"] = memory_of_stacks(model, options.slices, options.cache_mb)
    print(json.dumps(report, indent=1))
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf8")


def time_per_slice(model: Any) -> dict[str, float]:
    from napari_segnext.datasets.phantoms import make_head_phantom
    from napari_segnext.propagation import propagate
    from napari_segnext.session import EmbeddingCache
    from napari_segnext.volumes import Volume

    phantom = make_head_phantom(0, SHAPE)
    truth = phantom.labels == 1
    holding = np.flatnonzero(truth.any(axis=(1, 2)))
    middle = int(holding[len(holding) // 2])
    cache = EmbeddingCache(max_entries=100_000, max_bytes=8_000_000_000)
    volume = Volume(phantom.image, spacing=phantom.spacing)
    seconds: list[list[float]] = []
    for _ in range(2):
        times = []
        last = time.perf_counter()
        for result in propagate(model, volume, {middle: truth[middle]}, cache=cache):
            now = time.perf_counter()
            if result.evidence is not None:
                times.append(now - last)
            last = now
        seconds.append(times)
    clicks = _seconds_per_click(model, phantom.image, truth, holding[:: max(1, len(holding) // 20)], cache)
    cold, cached = (statistics.mean(times) for times in seconds)
    return {
        "slices": len(seconds[1]),
        "first_run_s_per_slice": round(cold, 4),
        "cached_s_per_slice": round(cached, 4),
        **{f"{name}_s": round(value, 4) for name, value in clicks.items()},
        **{f"cached_over_{name}": round(cached / value, 3) for name, value in clicks.items()},
    }


def _seconds_per_click(model: Any, image: Any, truth: Any, indices: Any, cache: Any) -> dict[str, float]:
    """Mean time of a first and of a second click, embeddings and windows in memory."""
    from napari_segnext.prompts.simulated_user import next_click
    from napari_segnext.session import Session

    first, second = [], []
    for index in indices:
        session = Session(model, image[index], cache=cache)
        for is_timed in (False, True):
            session.reset()
            mask, clicks = np.zeros(image.shape[1:], bool), []
            for seconds in (first, second):
                click = next_click(truth[index], mask, already_clicked=clicks)
                start = time.perf_counter()
                mask = np.asarray(session.add(click).mask)
                if is_timed:
                    seconds.append(time.perf_counter() - start)
                clicks.append(click)
    return {"first_click": statistics.mean(first), "second_click": statistics.mean(second)}


class ComputedStack:
    """`(n, side, side)` uint8 that is computed when it is read: a bright tube that winds through noise."""

    dtype = np.dtype(np.uint8)

    def __init__(self, n_slices: int) -> None:
        self.shape = (n_slices, TUBE_SIDE, TUBE_SIDE)

    def __getitem__(self, key: Any) -> Any:
        index = key[0] if isinstance(key, tuple) else key
        rest = key[1:] if isinstance(key, tuple) else ()
        noise = np.random.default_rng(int(index)).normal(0, 10, self.shape[1:])
        return np.clip(60 + 120 * self.truth(int(index)) + noise, 0, 255).astype(np.uint8)[rest]

    def truth(self, index: int) -> Any:
        """The tube on a slice, `(side, side)` bool."""
        rows, columns = np.indices(self.shape[1:])
        row, column = 96 + 40 * np.sin(index / 60), 96 + 40 * np.cos(index / 75)
        return np.hypot(rows - row, columns - column) < 14


def memory_of_stacks(model: Any, n_slices: tuple[int, int], cache_mb: float) -> dict[str, float]:
    from napari_segnext.propagation import propagate
    from napari_segnext.session import EmbeddingCache
    from napari_segnext.volumes import Volume

    report: dict[str, float] = {"cache_mb": cache_mb, "before_mb": round(_resident_mb())}
    for n in n_slices:
        cache = EmbeddingCache(max_entries=100_000, max_bytes=int(cache_mb * 1e6))
        stack = ComputedStack(n)
        most, n_done, dices = 0.0, 0, []
        start = time.perf_counter()
        for result in propagate(model, Volume(stack), {n // 2: stack.truth(n // 2)}, cache=cache):
            n_done += 1
            truth = stack.truth(result.index)
            dices.append(2 * (result.mask & truth).sum() / (result.mask.sum() + truth.sum()))
            if n_done % 50 == 0:
                most = max(most, _resident_mb())
        report |= {
            f"{n}_slices_done": n_done,
            f"{n}_slices_most_mb": round(most),
            f"{n}_slices_mean_dice": round(float(np.mean(dices)), 3),
            f"{n}_slices_s_per_slice": round((time.perf_counter() - start) / max(1, n_done), 3),
        }
    return report


def _resident_mb() -> float:
    """Resident memory of this process in MB without free pages of the allocator; NaN where there is no /proc."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    gc.collect()
    ctypes.CDLL(ctypes.util.find_library("c")).malloc_trim(0)
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
