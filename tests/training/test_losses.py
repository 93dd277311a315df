from __future__ import annotations

import pytest
import torch

from napari_segnext.training.config import LossConfig
from napari_segnext.training.losses import compute_loss, dice_loss, normalised_focal_loss

TRUTH = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])


def test_focal_loss_equals_the_formula_by_hand():
    logits = torch.tensor([[[0.3, -1.2], [2.0, 0.1]]])
    probability = torch.sigmoid(logits)
    right = torch.where(TRUTH > 0, probability, 1 - probability)
    focus = (1 - right) ** 2
    expected = (0.5 * focus / focus.sum() * 4 * -torch.log(right)).mean()
    torch.testing.assert_close(normalised_focal_loss(logits, TRUTH)[0], expected)


def test_ignored_pixels_change_nothing():
    logits = torch.randn(1, 4, 4, generator=torch.Generator().manual_seed(0))
    truth = (torch.arange(16).reshape(1, 4, 4) % 2).float()
    truth[0, 2:] = -1
    other = logits.clone()
    other[0, 2:] += 7
    for loss in (normalised_focal_loss, dice_loss):
        torch.testing.assert_close(loss(logits, truth), loss(other, truth))


def test_right_answers_cost_less_than_wrong_ones():
    right = torch.where(TRUTH > 0, 5.0, -5.0)
    for loss in (normalised_focal_loss, dice_loss):
        assert loss(right, TRUTH) < loss(-right, TRUTH)


@pytest.mark.parametrize("scale", [0.0, 1.0, 200.0])
def test_gradients_are_finite_even_for_certain_answers(scale):
    logits = torch.where(TRUTH > 0, scale, -scale).requires_grad_()
    compute_loss(logits, TRUTH, LossConfig(dice_weight=1.0)).backward()
    assert torch.isfinite(logits.grad).all()
