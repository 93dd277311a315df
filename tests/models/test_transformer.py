"""Our blocks are those of `timm`: the same tensors by name, the same numbers."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from napari_segnext.errors import ConfigError
from napari_segnext.models.transformer import Block, PatchEmbedding


@pytest.mark.parametrize("branch_scale", [None, 0.7])
@pytest.mark.parametrize("qkv_bias", [True, False])
def test_a_block_equals_that_of_timm(qkv_bias, branch_scale):
    from timm.models.vision_transformer import Block as Theirs

    torch.manual_seed(0)
    theirs = Theirs(24, 3, mlp_ratio=2, qkv_bias=qkv_bias, init_values=branch_scale).eval()
    torch.manual_seed(0)
    ours = Block(24, 3, mlp_ratio=2, qkv_bias=qkv_bias, norm_eps=theirs.norm1.eps, branch_scale=branch_scale)
    # random weights are drawn in the same order
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), atol=0, rtol=0)
    x = torch.randn(2, 7, 24)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-6, rtol=1e-6)


def test_patches_equal_those_of_timm():
    from timm.layers import PatchEmbed

    theirs = PatchEmbed((32, 48), 16, 3, 20)
    ours = PatchEmbedding(16, 3, 20)
    ours.load_state_dict(theirs.state_dict())
    image = torch.randn(2, 3, 32, 48)
    torch.testing.assert_close(ours(image), theirs(image))


def test_heads_must_share_the_channels():
    with pytest.raises(ConfigError, match="5 heads share 24 channels"):
        Block(24, 5, mlp_ratio=4, qkv_bias=True, norm_eps=1e-5)


def test_a_network_takes_gradients():
    block = Block(8, 2, mlp_ratio=4, qkv_bias=True, norm_eps=1e-5, branch_scale=1.0)
    block(torch.randn(1, 5, 8)).square().mean().backward()
    assert all(isinstance(p, nn.Parameter) and p.grad is not None for p in block.parameters())


def test_networks_are_imported_without_timm():
    code = "import sys, napari_segnext.models.segnext, napari_segnext.models.ois, napari_segnext.weights; "
    code += "sys.exit('timm' in sys.modules or 'torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
