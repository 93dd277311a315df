"""Draws loss and IoU over the steps of a training run: python docs/make_training_curves.py LOG.jsonl OUTPUT.png

The log is the one that `napari-segnext train` writes into the output folder of a run.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMOOTHED_OVER_STEPS = 50


def draw_curves(log: Path, title: str) -> Figure:
    """Loss (each step, and smoothed), running IoU, and the learning rate."""
    rows = [json.loads(line) for line in log.read_text(encoding="utf8").splitlines()]
    steps = np.array([row["step"] for row in rows])
    loss, iou, rate = (np.array([row[key] for row in rows]) for key in ("loss", "iou", "learning_rate"))
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    left.plot(steps, loss, color="0.8", linewidth=0.6)
    left.plot(steps, smoothed(loss), color="tab:blue")
    left.set(title="loss", ylim=(0, float(np.percentile(loss, 99.5))))
    middle.plot(steps, iou, color="tab:green")
    middle.set(title="IoU of the last answers (running mean)", ylim=(0, 1))
    right.plot(steps, rate, color="tab:red")
    right.set(title="learning rate")
    for axes in (left, middle, right):
        axes.set_xlabel("steps")
        axes.grid(alpha=0.3)
    figure.suptitle(title)
    return figure


def smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the steps so far, of at most `SMOOTHED_OVER_STEPS`."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - SMOOTHED_OVER_STEPS)
    return (sums[ends] - sums[starts]) / (ends - starts)


if __name__ == "__main__":
    log, output = Path(sys.argv[1]), Path(sys.argv[2])
    draw_curves(log, log.parent.name).savefig(output, dpi=110)
