"""How a model's own answers come back to it in training: corrected by a click, or coarsened as by a zoom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from napari_segnext.training.prompt_simulation import simulate_correction

if TYPE_CHECKING:
    from numpy.random import Generator
    from torch import Tensor

    from napari_segnext.training.prompt_simulation import PromptMix


def n_corrections(rng: Generator, mix: PromptMix) -> int:
    """How many of its own answers the model sees before the one that is learned from."""
    if mix.max_corrections == 0 or rng.random() < mix.first_answer:
        return 0
    return int(rng.integers(1, mix.max_corrections + 1))


def coarsened(probability: Tensor, *, factor: int) -> Tensor:
    """`(B, H, W)` as if seen at a `factor`-th of the magnification."""
    coarse = F.avg_pool2d(probability[:, None], factor, ceil_mode=True)
    fine = F.interpolate(coarse, scale_factor=float(factor), mode="bilinear", align_corners=False)[:, 0]
    return fine[:, : probability.shape[-2], : probability.shape[-1]]


def corrections(rng: Generator, truths: Tensor, probability: Tensor) -> Tensor:
    """`(B, 1, 3)`: one correcting click for each answer; padding where the answer is right."""
    answers = (probability > 0.49).cpu().numpy()
    rows = np.zeros((len(answers), 1, 3), np.float32)
    for row, truth, answer in zip(rows, truths.numpy(), answers, strict=True):
        click = simulate_correction(rng, truth, answer)
        if click is not None:
            row[0] = click.row, click.column, 1.0 if click.is_positive else -1.0
    return torch.from_numpy(rows)
