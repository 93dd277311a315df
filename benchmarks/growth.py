"""How time, memory and counts grow: with the image's side, clicks, slices, objects and workers.

Two models: the one that comes with the plugin for images and clicks; for slices and objects `Bright`, which costs next
to nothing, so that what is seen there is what we do about a network. What the network costs besides is the number of
encodes and predictions times what one of them takes, which is the same for all of them.

Every point is measured twice: seconds and resident memory; then counts and the memory of arrays, of numpy's but not of
torch's. The exponent of a power law is fitted to the larger half
of the points: 0 is constant, 1 linear, 2 quadratic.

OMP_NUM_THREADS=1 python benchmarks/growth.py --json growth.json --plot docs/images/growth.png
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import tempfile
import threading
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from growth_curves import CURVES, Curve

if TYPE_CHECKING:
    from collections.abc import Sequence

Point = dict[str, float]

QUANTITIES = {
    "cpu_s": "processor seconds",
    "wall_s": "seconds",
    "resident_mb": "resident memory on top, MB",
    "arrays_mb": "arrays at the peak, MB",
    "encodes": "encodes",
    "predictions": "predictions",
    "gflop": "GFLOP",
    "pixels_read": "pixels read",
}
PLOTTED = ("cpu_s", "arrays_mb", "encodes", "predictions")


# how it is measured


def measured(curve: Curve, size: int) -> Point:
    """One point: seconds and resident memory; then, in a second run, counts and arrays, which takes time itself."""
    from torch.utils.flop_counter import FlopCounterMode

    work, _ = curve.prepare(size)
    with Memory() as memory:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        seconds = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    work, counts = curve.prepare(size)
    tracemalloc.start()
    with FlopCounterMode(display=False) as flops:
        work()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {
        "size": float(size**2 if curve.is_image_side else size),
        **{name: round(value, 4) for name, value in seconds.items()},
        "resident_mb": round(memory.peak_mb, 2),
        "arrays_mb": round(peak / 1e6, 3),
        "encodes": counts.encodes,
        "predictions": counts.predictions,
        "gflop": round(flops.get_total_flops() / 1e9, 3),
        "pixels_read": counts.pixels_read,
    }


class Memory:
    """Resident memory on top of what was there before, looked at every 2 ms; 0 where the system does not tell."""

    def __enter__(self) -> Memory:
        """Begin to look."""
        gc.collect()
        self._before = self._highest = _resident_bytes()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop looking."""
        self._is_over.set()
        self._thread.join()

    @property
    def peak_mb(self) -> float:
        """In millions of bytes."""
        return (self._highest - self._before) / 1e6

    def _watch(self) -> None:
        while not self._is_over.wait(0.002):
            self._highest = max(self._highest, _resident_bytes())


def _resident_bytes() -> int:
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Slope of log value over log size, for the larger half of the sizes; NaN where there are zeros."""
    half = len(sizes) // 2 if len(sizes) > 3 else 0
    x, y = np.asarray(sizes[half:], float), np.asarray(values[half:], float)
    if (y <= 0).any() or len(x) < 2:
        return float("nan")
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def exponents(points: Sequence[Point]) -> dict[str, float]:
    sizes = [point["size"] for point in points]
    return {name: round(exponent(sizes, [point[name] for point in points]), 2) for name in points[0] if name != "size"}


# workers: from another benchmark


def worker_curves(report: dict[str, Any]) -> dict[str, list[Point]]:
    """Seconds a slice against workers, from the report of `cluster_throughput.py`; -1 would be ideal."""
    return {
        f"workers that {verb}": [
            {"size": float(cluster["workers"]), "wall_s": 1 / cluster[f"{verb}_slices_per_s"]}
            for cluster in report["clusters"]
        ]
        for verb in ("embed", "propagate")
    }


# how it is told


def table(curves: dict[str, list[Point]]) -> str:
    """Markdown: least and greatest size, what it took there, and the exponents."""
    lines = []
    for name, points in curves.items():
        lines += [f"**{name}**", "", "| quantity | " + " | ".join(f"{p['size']:g}" for p in points) + " | exponent |"]
        lines.append("|---|" + "---:|" * (len(points) + 1))
        slopes = exponents(points)
        for key, slope in slopes.items():
            values = " | ".join(f"{point[key]:.4g}" for point in points)
            lines.append(f"| {QUANTITIES[key]} | {values} | {'' if np.isnan(slope) else f'{slope:.2f}'} |")
        lines.append("")
    return "\n".join(lines)


def plot(curves: dict[str, list[Point]], path: Path) -> None:
    """Small multiples: a row for each thing that grows; dashed is linear, from the last point."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import LogLocator, NullLocator

    figure, axes = plt.subplots(len(curves), len(PLOTTED), figsize=(11, 2.1 * len(curves)), layout="constrained")
    for row, (name, points) in zip(np.atleast_2d(axes), curves.items(), strict=True):
        sizes = np.array([point["size"] for point in points])
        for axis, key in zip(row, PLOTTED, strict=True):
            key = "wall_s" if key == "cpu_s" and key not in points[0] else key
            values = np.array([point.get(key, 0) for point in points], float)
            axis.set_visible(bool((values > 0).any()))
            is_shown = values > 0
            axis.loglog(sizes[is_shown], values[is_shown], "o-", color="#2a6f97", markersize=3.5, linewidth=1.4)
            linear = (sizes / sizes[-1]) ** (-1 if name.startswith("workers") else 1)
            axis.loglog(sizes, values[-1] * linear, "--", color="0.55", linewidth=0.9)
            slope = exponent(sizes, values)
            axis.set_title(f"{QUANTITIES[key]}" + ("" if np.isnan(slope) else f"  ~ n^{slope:.2f}"), fontsize=8)
            axis.set_xlabel(name, fontsize=7)
            axis.tick_params(labelsize=7, which="both")
            axis.xaxis.set_minor_locator(NullLocator())
            axis.set_xticks(sizes, [f"{size**0.5:g}²" if size > 1e4 else f"{size:g}" for size in sizes])
            axis.yaxis.set_minor_locator(NullLocator())
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=6))
            axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            if values[-1] > 0:
                low, high = values[is_shown].min(), values.max()
                axis.set_ylim(low / 1.6, high * 1.6 if high > 1.2 * low else high * 4)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two small sizes of each, to try the script")
    parser.add_argument("--largest", type=int, default=0, help="leave out larger sizes, but for the image's side")
    parser.add_argument("--only", nargs="+", default=[], help="names of curves, or parts of them")
    parser.add_argument("--workers-json", default="", help="report of cluster_throughput.py")
    parser.add_argument("--json", default="", help="file to write all points to")
    parser.add_argument("--plot", default="", help="PNG to draw")
    parser.add_argument("--again", default="", help="measure nothing, take the points of such a file")
    options = parser.parse_args()
    if options.again:
        curves = json.loads(Path(options.again).read_text(encoding="utf8"))["curves"]
    else:
        curves = measured_in_private(options)
    if options.workers_json:
        curves |= worker_curves(json.loads(Path(options.workers_json).read_text(encoding="utf8")))
    print(table(curves))
    if options.json:
        report = {"load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None, "curves": curves}
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf8")
    if options.plot:
        plot(curves, Path(options.plot))


def measured_in_private(options: argparse.Namespace) -> dict[str, list[Point]]:
    """All curves that are asked for; nothing of the user's is read or changed."""
    with tempfile.TemporaryDirectory() as folder:
        # before napari is imported
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        os.environ["XDG_DATA_HOME"] = folder
        os.environ["NAPARI_SEGNEXT_CACHE_GB"] = "0"
        return measured_curves(options.only, options.largest, is_quick=options.quick)


def measured_curves(only: Sequence[str], largest: int, *, is_quick: bool) -> dict[str, list[Point]]:
    import torch

    torch.set_num_threads(1)
    curves = {}
    for curve in CURVES:
        if only and not any(part in curve.name for part in only):
            continue
        # the first time code and memory pools come into being
        curve.prepare(curve.sizes[0])[0]()
        sizes = curve.quick_sizes if is_quick else curve.sizes
        if largest and not curve.is_image_side:
            sizes = tuple(size for size in sizes if size <= largest)
        curves[curve.name] = [measured(curve, size) for size in sizes]
        print(f"{curve.name}: {len(curves[curve.name])} points", flush=True)
    return curves


if __name__ == "__main__":
    main()
