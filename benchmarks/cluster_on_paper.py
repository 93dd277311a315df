"""A model on paper of a batch on a cluster: how many slices a second, and what they wait for.

A pure function of numbers that `cluster_throughput.py` measures or assumes; it was never measured on so many workers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

WRITES_BETWEEN_LOOKS = 16
"""Of entries, after which a process measures the cache folder; as in `session/embedding_store.py`."""


@dataclass(frozen=True)
class OnPaper:
    """A batch on a cluster, in numbers that can be measured apart.

    Attributes
    ----------
    n_workers, n_volumes, slices_per_volume, chunk_slices
        Workers of one thread or GPU; slices of a volume that are encoded, and those of one task.
    encode_s, fill_s
        Seconds of a worker for each slice: encoder and writing; propagation, 0 if volumes are encoded only.
    open_s
        Seconds of a worker for each task: opening a volume that it has not open.
    scheduler_s
        Seconds of the scheduler for each task.
    list_s
        Seconds for each file of the cache folder, which each worker lists at every 16th entry that it writes.
    file_system_bytes_per_s
        Of the shared file system, all workers together.
    embedding_bytes, slice_bytes
        Written for each slice, and pixels read for it.
    start_s
        Until all workers have loaded the model.
    """

    n_workers: int
    n_volumes: int
    slices_per_volume: int
    chunk_slices: int
    encode_s: float
    scheduler_s: float
    file_system_bytes_per_s: float
    embedding_bytes: float
    slice_bytes: float = 0.0
    fill_s: float = 0.0
    open_s: float = 0.0
    list_s: float = 0.0
    start_s: float = 0.0


@dataclass(frozen=True)
class Prediction:
    """What the model on paper says.

    Attributes
    ----------
    slices_per_s, seconds
        Of the whole batch, start-up and the last tasks included.
    limits
        Slices a second that each part could do if the others cost nothing.
    limited_by
        The part that the batch waits for.
    efficiency
        Share of the workers' time that is spent on encoding and filling.
    """

    slices_per_s: float
    seconds: float
    limits: dict[str, float]
    limited_by: str
    efficiency: float


def predict_throughput(case: OnPaper) -> Prediction:
    """Throughput of a batch: that of its slowest part, after a start-up and before a tail of one task.

    Parts do not wait for each other but at the ends, volumes are alike, and workers do not die.
    """
    n_slices = case.n_volumes * case.slices_per_volume
    n_chunks = math.ceil(case.slices_per_volume / case.chunk_slices)
    n_tasks = case.n_volumes * (n_chunks + 1 + bool(case.fill_s))
    n_passes = 2 if case.fill_s else 1
    seconds_of = {
        "encoding": case.encode_s,
        "filling": case.fill_s,
        "opening volumes": case.open_s * n_chunks / case.slices_per_volume,
        # half of all entries are there in the mean
        "listing the cache folder": case.list_s * n_slices / 2 / WRITES_BETWEEN_LOOKS,
    }
    n_busy = min(case.n_workers, n_tasks)
    limits = {
        "workers": n_busy / sum(seconds_of.values()),
        "scheduler": n_slices / (n_tasks * case.scheduler_s),
        "file system": case.file_system_bytes_per_s / (n_passes * (case.embedding_bytes + case.slice_bytes)),
    }
    slowest = min(limits, key=lambda part: limits[part])
    tail_s = max(min(case.chunk_slices, case.slices_per_volume) * case.encode_s, case.slices_per_volume * case.fill_s)
    work_s = n_slices / limits[slowest]
    total_s = case.start_s + work_s + tail_s
    limited_by = max(seconds_of, key=lambda part: seconds_of[part]) if slowest == "workers" else slowest
    if case.start_s + tail_s > work_s:
        limited_by = "start-up and tail"
    useful_s = n_slices * (case.encode_s + case.fill_s) / case.n_workers
    return Prediction(n_slices / total_s, total_s, limits, limited_by, useful_s / total_s)
