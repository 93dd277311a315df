"""What training minimises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from napari_segnext.models.order_maps import scale_depth

if TYPE_CHECKING:
    from torch import Tensor

    from napari_segnext.training.config import LossConfig


def compute_loss(logits: Tensor, truths: Tensor, config: LossConfig) -> Tensor:
    """Mean loss over a batch: normalised focal loss, plus a share of Dice where the config asks for it."""
    loss = normalised_focal_loss(logits, truths, alpha=config.alpha, gamma=config.gamma)
    if config.dice_weight:
        loss = loss + config.dice_weight * dice_loss(logits, truths)
    return loss.mean()


def normalised_focal_loss(logits: Tensor, truths: Tensor, *, alpha: float = 0.5, gamma: float = 2.0) -> Tensor:
    """Focal loss whose weights sum to the number of pixels of each mask.

    Parameters
    ----------
    logits
        `(B, H, W)` float.
    truths
        `(B, H, W)`: 1 object, 0 background, negative ignored.
    alpha, gamma
        Weight of the object against the background; focus on pixels that are wrong.

    Returns
    -------
    Tensor
        `(B,)`.

    Notes
    -----
    Sofiiuk et al., Reviving Iterative Training with Mask Guidance (RITM), section 3.3; used by SegNext unchanged. The
    factor that normalises is not differentiated.
    """
    is_used = truths >= 0
    is_object = truths > 0.5
    probability = torch.sigmoid(logits)
    right = torch.where(is_object, probability, 1 - probability)
    weight = torch.where(is_object, alpha, 1 - alpha) * is_used
    focus = (1 - right).clamp(0, 1) ** gamma * is_used
    n_used = is_used.sum(dim=(-2, -1))
    factor = (n_used / (focus.sum(dim=(-2, -1)) + 1e-12)).detach()
    cross_entropy = F.binary_cross_entropy_with_logits(logits, is_object.to(logits.dtype), reduction="none")
    focal = weight * (factor[..., None, None] * focus) * cross_entropy
    return focal.sum(dim=(-2, -1)) / n_used.clamp(min=1)


def dice_loss(logits: Tensor, truths: Tensor) -> Tensor:
    """One minus the soft Dice coefficient, `(B, H, W)` → `(B,)`; ignored pixels (truth < 0) are left out."""
    is_used = truths >= 0
    probability = torch.sigmoid(logits) * is_used
    truth = (truths > 0.5).to(logits.dtype)
    overlap = (probability * truth).sum(dim=(-2, -1))
    return 1 - (2 * overlap + 1) / (probability.sum(dim=(-2, -1)) + truth.sum(dim=(-2, -1)) + 1)


def depth_loss(seen: Tensor, truth: Tensor) -> Tensor:
    """How far a depth map is from the truth, both brought to one scale, and its steps from the truth's.

    Parameters
    ----------
    seen
        `(B, 1, h, w)` float in [0, 1], of `scale_depth`.
    truth
        `(B, 1, H, W)` float, any scale; NaN is unknown.

    Returns
    -------
    Tensor
        Scalar: mean absolute difference over the known places, plus half of that of the differences between
        neighbours, which is what tells one object from the next. 0 if nothing is known.
    """
    is_known = truth.isfinite()
    wanted = scale_depth(truth)
    if wanted.shape[-2:] != seen.shape[-2:]:
        shape = (seen.shape[-2], seen.shape[-1])
        wanted = F.adaptive_avg_pool2d(wanted, shape)
        is_known = F.adaptive_avg_pool2d(is_known.float(), shape) == 1
    difference = torch.where(is_known, seen.float() - wanted, 0)
    loss = difference.abs().sum() / is_known.sum().clamp(min=1)
    for axis in (-2, -1):
        both = is_known.narrow(axis, 1, is_known.shape[axis] - 1) & is_known.narrow(axis, 0, is_known.shape[axis] - 1)
        steps = torch.where(both, difference.diff(dim=axis), 0)
        loss = loss + 0.5 * steps.abs().sum() / both.sum().clamp(min=1)
    return loss
