"""In which precision torch computes at the moment."""

from __future__ import annotations

import torch


def is_in_autocast(device_type: str) -> bool:
    """Whether the caller makes torch compute in another precision than the weights'."""
    try:
        return torch.is_autocast_enabled(device_type)
    except (TypeError, RuntimeError):
        # torch before 2.4 knows CUDA's only
        return torch.is_autocast_enabled()
