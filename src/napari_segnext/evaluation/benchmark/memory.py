"""The greatest memory that a job needs beside what is held before it begins."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

_STATUS = Path("/proc/self/status")
_FORGET_PEAK = Path("/proc/self/clear_refs")


def peak_bytes(job: Callable[[], object], device: torch.device) -> int | None:
    """Bytes of the device at the peak of a job, less those before it.

    Returns
    -------
    int or None
        On CUDA what torch has allocated; on a CPU resident memory, on Linux; None elsewhere.
    """
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        job()
        return torch.cuda.max_memory_allocated(device) - before
    try:
        # the kernel then takes what is held now for the peak so far
        _FORGET_PEAK.write_text("5")
        before = _kibibytes("VmRSS")
    except OSError:
        return None
    job()
    return 1024 * max(0, _kibibytes("VmHWM") - before)


def _kibibytes(entry: str) -> int:
    found = re.search(rf"^{entry}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    if found is None:
        raise OSError(f"'{_STATUS}' has no entry {entry}.")
    return int(found[1])
