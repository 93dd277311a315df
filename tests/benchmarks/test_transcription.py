"""Our SegNext gives what the plain transcription of the original's arithmetic gives; benchmarks compare the two."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from napari_segnext.models.config import DecoderConfig, FusionConfig, PlainViTConfig, SegNextConfig
from napari_segnext.models.segnext import FUSION_BASE, SegNext

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
IMAGE_SHAPE = (150, 220)


@pytest.fixture
def both(monkeypatch):
    """Our network with trained-like, uneven weights, and the transcription on them."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from transcription import Transcription

    torch.manual_seed(0)
    config = SegNextConfig(
        input_shape=(448, 224),
        encoder=PlainViTConfig(width=48, depth=3, n_heads=4, global_attention_every=2),
        fusion=FusionConfig(depth=2, n_heads=4),
        decoder=DecoderConfig(pyramid_widths=(8, 12, 20, 24), head_width=16),
    )
    network = SegNext(config).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.mul_(2).add_(0.02 * torch.randn_like(parameter))
    yield network, Transcription(network)
    sys.modules.pop("transcription", None)


def test_encoding_is_equal(both):
    ours, plain = both
    image = torch.rand(3, *IMAGE_SHAPE)
    with torch.inference_mode():
        torch.testing.assert_close(
            ours.encode_image(image).levels[0], plain.encode_image(image).levels[0], atol=2e-5, rtol=1e-5
        )


@pytest.mark.parametrize("has_mask", [False, True], ids=["first click", "mask fed back"])
@pytest.mark.parametrize("n_clicks", [0, 1, 3])
def test_answers_are_equal(both, n_clicks, has_mask):
    ours, plain = both
    clicks = torch.rand(2, n_clicks, 3) * torch.tensor([*IMAGE_SHAPE, 1])
    clicks[..., :2] = clicks[..., :2].floor()
    clicks[..., 2] = torch.tensor([1.0, -1.0, 0.0])[:n_clicks]
    masks = torch.rand(2, *IMAGE_SHAPE) if has_mask else torch.zeros(2, *IMAGE_SHAPE)
    with torch.inference_mode():
        embedding = ours.encode_image(torch.rand(3, *IMAGE_SHAPE))
        answers = ours.predict_logits(embedding, clicks, masks)
        torch.testing.assert_close(answers, plain.predict_logits(embedding, clicks, masks), atol=1e-4, rtol=1e-4)
    # the short way was taken where prompts touch few patches, and only there
    assert (FUSION_BASE in embedding.prepared) is not has_mask
