from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from napari_segnext.evaluation.benchmark import MachinePeak, Work, count_work


@pytest.mark.parametrize(
    "mode", [torch.inference_mode, torch.no_grad, torch.enable_grad], ids=lambda mode: mode.__name__
)
def test_a_linear_layer_is_counted_in_every_mode(mode):
    layer, x = nn.Linear(20, 30), torch.rand(2, 5, 20)
    with mode():
        work = count_work(lambda: layer(x))
    assert work.n_flops == 2 * 2 * 5 * 20 * 30
    # what comes in, weight, bias, what goes out
    assert work.n_bytes >= 4 * (2 * 5 * 20 + 20 * 30 + 30 + 2 * 5 * 30)


def test_attention_is_counted_however_it_is_computed():
    queries, keys = torch.rand(1, 3, 40, 8), torch.rand(1, 3, 50, 8)
    with torch.inference_mode():
        fused = count_work(lambda: F.scaled_dot_product_attention(queries, keys, keys))
        plain = count_work(lambda: (queries @ keys.transpose(2, 3)).softmax(-1) @ keys)
    assert fused.n_flops == plain.n_flops == 2 * 2 * 3 * 40 * 50 * 8
    assert fused.n_bytes < plain.n_bytes


def test_views_move_nothing():
    x = torch.rand(4, 6)
    with torch.inference_mode():
        assert count_work(lambda: x.t()[1:].reshape(5, 2, 2).permute(1, 0, 2)) == Work(0, 0, 0)


def test_a_part_of_the_work():
    assert Work(10, 21, 4).per(4) == Work(2, 5, 1)


def test_the_slower_of_arithmetic_and_memory_is_the_limit():
    peak = MachinePeak(flops_per_s=100, bytes_per_s=10)
    assert peak.least_seconds(Work(200, 5, 1)) == 2
    assert peak.least_seconds(Work(50, 30, 1)) == 3
