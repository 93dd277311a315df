from __future__ import annotations

import pytest
import torch

from napari_segnext.errors import ConfigError
from napari_segnext.models.config import PlainViTConfig
from napari_segnext.models.vit import PlainViT


def small(**changes):
    return PlainViTConfig(**{"width": 8, "depth": 4, "n_heads": 2, "global_attention_every": 2, **changes})


def test_global_blocks_are_every_third_and_the_last():
    vit = PlainViT(small(depth=5, global_attention_every=3), (224, 224))
    assert vit.is_global == (False, False, True, False, True)


@pytest.mark.parametrize(
    ("side", "n_windows"), [(224, 1), (448, 2), (512, 2), (1024, 4)], ids=["14 tokens", "28", "32", "64"]
)
def test_number_of_windows_follows_from_the_input(side, n_windows):
    with torch.device("meta"):
        assert PlainViT(small(), (side, side)).n_windows == (n_windows, n_windows)


def test_cutting_into_windows_and_joining_gives_the_tokens_back():
    vit = PlainViT(small(), (448, 896))
    tokens = torch.arange(28 * 56 * 8.0).reshape(1, 28 * 56, 8)
    windows = vit._cut(tokens)
    assert windows.shape == (8, 14 * 14, 8)
    torch.testing.assert_close(vit._joined(windows), tokens)


def test_windowed_blocks_keep_a_change_within_its_window():
    torch.manual_seed(0)
    vit = PlainViT(small(depth=2, global_attention_every=9), (448, 448)).eval()
    vit.is_global = (False, False)
    tokens = torch.randn(1, 28 * 28, 8)
    changed = tokens.clone()
    changed[0, 0] = 10 * torch.randn(8)

    def through(x):
        x = vit._cut(x)
        for block in vit.blocks:
            x = block(x)
        return vit._joined(x)

    with torch.inference_mode():
        difference = (through(tokens) - through(changed)).abs().sum(dim=-1).reshape(28, 28)
    assert (difference[:14, :14] > 0).sum() > 100
    assert difference[14:].max() == 0
    assert difference[:, 14:].max() == 0


@pytest.mark.parametrize("side", [100, 464], ids=["no multiple of the patch", "windows that do not tile"])
def test_input_that_cannot_be_tiled_is_refused(side):
    with pytest.raises(ConfigError, match="patch"):
        PlainViT(small(), (side, side))


def test_grid_too_small_for_windows_is_refused_unless_all_blocks_are_global():
    with pytest.raises(ConfigError, match="global attention"):
        PlainViT(small(), (64, 64))
    assert PlainViT(small(global_attention_every=1), (64, 64)).n_windows == (1, 1)
