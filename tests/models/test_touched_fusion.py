"""The first fusion block where prompts touch few tokens, against the block itself."""

from __future__ import annotations

import pytest
import torch

from napari_segnext.models.config import FusionConfig
from napari_segnext.models.fusion import DenseFusion
from napari_segnext.models.prompt_map import PatchPromptEmbedding, embed_patches, touched_patches
from napari_segnext.models.touched_fusion import FusionBase, fuse_touched

N, WIDTH = 60, 32


@pytest.fixture
def block():
    torch.manual_seed(1)
    (block,) = DenseFusion(FusionConfig(depth=1, n_heads=4), WIDTH).eval().requires_grad_(False).blocks
    for parameter in block.parameters():
        parameter.mul_(1.5)
    return block


def with_changes(image, touched, is_touched, tokens):
    changed = image.repeat(len(touched), 1, 1)
    for row, (numbers, flags) in enumerate(zip(touched, is_touched, strict=True)):
        for slot in flags.nonzero()[:, 0]:
            changed[row, numbers[slot]] = tokens[row, slot]
    return changed


@torch.inference_mode()
@pytest.mark.parametrize("n_touched", [(1,), (4, 0, 2), (30, 59)], ids=["one", "padded", "nearly all"])
def test_equals_the_block_however_many_tokens_are_touched(block, n_touched):
    image = torch.randn(N, WIDTH)
    touched = torch.stack([torch.randperm(N)[: max(n_touched)] for _ in n_touched])
    is_touched = torch.arange(max(n_touched)) < torch.tensor(n_touched)[:, None]
    tokens = image[touched] + 0.5 * torch.randn(*touched.shape, WIDTH)
    fused = fuse_touched(block, FusionBase.of(block, image), touched, is_touched, tokens)
    expected = block(with_changes(image, touched, is_touched, tokens))
    assert fused is None or torch.allclose(fused, expected, atol=2e-4)
    if max(n_touched) < N // 2:
        assert fused is not None


@torch.inference_mode()
def test_refuses_where_all_weight_lay_on_a_touched_token_and_is_gone(block):
    image = torch.randn(N, WIDTH)
    base = FusionBase.of(block, image)
    # a token to which all others attend, and nobody once it is changed
    queries, keys, values = base.queries, base.keys.clone(), base.values
    keys[:, 7] = 50 * queries.mean(dim=1) / queries.mean(dim=1).square().sum(dim=1, keepdim=True)
    logits = queries @ keys.transpose(1, 2)
    attended, sums = logits.softmax(-1) @ values, logits.logsumexp(-1)
    sink = FusionBase(base.tokens, queries, keys, values, attended, sums)
    touched, is_touched = torch.tensor([[7]]), torch.tensor([[True]])
    assert fuse_touched(block, sink, touched, is_touched, image[None, [7]]) is None


def test_memory_of_the_base_is_counted(block):
    base = FusionBase.of(block, torch.randn(N, WIDTH))
    assert base.n_bytes == 4 * (N * WIDTH * 5 + 4 * N)


@torch.inference_mode()
def test_patches_that_a_disk_touches_are_embedded_as_the_convolution_does():
    torch.manual_seed(0)
    embedding = PatchPromptEmbedding(16, WIDTH).eval()
    prompt_map = torch.zeros(2, 3, 128, 96)
    prompt_map[0, 1, 14:19, 30:34] = 1  # where four patches meet
    prompt_map[1, 2, 127, 95] = 1
    prompt_map[:, 0] = torch.rand(2, 128, 96)
    expected = embedding.proj(prompt_map)
    torch.testing.assert_close(embedding(prompt_map)[0], expected, atol=1e-5, rtol=1e-5)

    touched, is_touched = touched_patches(prompt_map[:, 1:], 16)
    assert touched[0].tolist() == [1, 2, 7, 8]
    assert is_touched.tolist() == [[True] * 4, [True, False, False, False]]
    prompt_map[:, 0] = 0
    chosen = embed_patches(prompt_map, touched, embedding.proj.weight) + embedding.proj.bias
    whole = embedding.proj(prompt_map).flatten(2).transpose(1, 2)
    torch.testing.assert_close(chosen[0], whole[0, touched[0]], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(chosen[1, 0], whole[1, 47], atol=1e-5, rtol=1e-5)


def test_a_map_that_touches_many_patches_is_left_to_the_convolution():
    assert touched_patches(torch.ones(1, 3, 64, 96), 16) is None


def test_what_is_prepared_stays_on_its_device_and_is_gone_in_a_copy():
    from dataclasses import replace

    from napari_segnext.models.interface import ImageEmbedding

    embedding = ImageEmbedding((torch.zeros(1, 2, 3, 4),), (30, 40))
    base = FusionBase(*(torch.zeros(5) for _ in range(6)))
    embedding.prepared["base"] = base
    assert embedding.to("cpu") is embedding
    assert embedding.n_bytes == 4 * (24 + 30)
    assert not replace(embedding, image_shape=(3, 4)).prepared
    assert not embedding.to("meta").prepared
