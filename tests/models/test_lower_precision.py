from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_segnext.models.interface import DepthAwareModel, InteractiveModel
from napari_segnext.models.lower_precision import LowerPrecision, in_precision
from napari_segnext.models.segnext import SegNext
from napari_segnext.session.embedding_cache import CacheKey
from napari_segnext.weights import load_model

CLICK = torch.tensor([[[30.0, 40.0, 1.0]]])


@pytest.fixture(scope="module")
def exact():
    return load_model("segnext-tiny", "cpu")


@pytest.fixture(scope="module")
def rounded():
    return load_model("segnext-tiny", "cpu", precision="bf16")


def small(exact):
    """The same weights on images of a quarter of the size: without units for it, 16 bits are slow."""
    network = SegNext(replace(exact.config, input_shape=(96, 96)), exact.identity)
    network.load_state_dict(exact.state_dict())
    return network.eval()


def answered(model):
    image = torch.rand(3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        embedding = model.encode_image(image)
        return embedding, model.predict_logits(embedding, CLICK, torch.zeros(1, 64, 96))


def test_answers_move_a_little_and_stay_float32(exact):
    embedding, logits = answered(in_precision(small(exact), "bf16"))
    _, expected = answered(small(exact))
    assert logits.dtype == torch.float32
    assert all(level.dtype == torch.float32 for level in embedding.levels)
    assert 0 < float((logits - expected).abs().max()) < 0.2


def test_it_is_a_model_with_all_that_the_model_has(exact, rounded):
    assert isinstance(rounded, InteractiveModel)
    assert not isinstance(rounded, DepthAwareModel)
    assert rounded.prefers_zoom is exact.prefers_zoom
    assert rounded.click_radius_px((64, 96)) == exact.click_radius_px((64, 96))
    assert rounded.to("cpu") is rounded
    with pytest.raises(AttributeError):
        rounded.depth_map


def test_caches_tell_its_embeddings_apart(exact, rounded):
    assert CacheKey.of(rounded, "image").on_disk != CacheKey.of(exact, "image").on_disk
    assert CacheKey.of(rounded, "image").is_lasting


def test_fp32_is_the_model_itself_and_others_are_refused(exact):
    assert not isinstance(exact, LowerPrecision)
    with pytest.raises(ValueError, match="expected 'fp32', 'bf16' or 'fp16'"):
        load_model("segnext-tiny", "cpu", precision="int8")
