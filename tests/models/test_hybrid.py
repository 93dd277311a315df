from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from napari_segnext.errors import ConfigError
from napari_segnext.models.config import FusionConfig, HybridConfig, SegNextConfig
from napari_segnext.models.interface import InteractiveModel
from napari_segnext.models.segnext import SegNext

CONFIG = SegNextConfig(
    input_shape=(64, 64),
    encoder=HybridConfig(stage_widths=(4, 8, 12), blocks_per_stage=(1, 1), width=16, depth=1, n_heads=2),
    fusion=FusionConfig(depth=1, n_heads=2),
)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return SegNext(CONFIG).eval()


def test_segnext_is_an_interactive_model(model):
    assert isinstance(model, InteractiveModel)


def test_embedding_has_three_levels_finest_first(model):
    with torch.inference_mode():
        embedding = model.encode_image(torch.rand(3, 30, 50))
    assert [tuple(level.shape) for level in embedding.levels] == [(1, 8, 16, 16), (1, 12, 8, 8), (1, 16, 4, 4)]
    assert embedding.image_shape == (30, 50)


def test_prompts_in_one_batch_answer_as_one_by_one(model):
    clicks = torch.tensor([[[10.0, 10.0, 1.0]], [[20.0, 40.0, -1.0]]])
    with torch.inference_mode():
        embedding = model.encode_image(torch.rand(3, 30, 50))
        both = model.predict_logits(embedding, clicks, torch.zeros(2, 30, 50))
        for one, expected in zip(clicks, both, strict=True):
            logits = model.predict_logits(embedding, one[None], torch.zeros(1, 30, 50))
            torch.testing.assert_close(logits[0], expected, atol=1e-5, rtol=1e-4)


def test_embeddings_of_two_images_can_be_interleaved(model):
    click = torch.tensor([[[10.0, 10.0, 1.0]]])
    with torch.inference_mode():
        small, large = model.encode_image(torch.rand(3, 30, 50)), model.encode_image(torch.rand(3, 90, 70))
        assert model.predict_logits(small, click, torch.zeros(1, 30, 50)).shape == (1, 30, 50)
        assert model.predict_logits(large, click, torch.zeros(1, 90, 70)).shape == (1, 90, 70)


def test_click_radius_is_given_in_pixels_of_the_image(model):
    assert model.click_radius_px((64, 64)) == 5
    assert model.click_radius_px((32, 128)) == 2.5


@pytest.mark.parametrize("config", [CONFIG, SegNextConfig()], ids=["hybrid", "published"])
def test_config_survives_json(config):
    assert SegNextConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    "change",
    [{"encoder": {"kind": "resnet"}}, {"encoder": {"kind": "hybrid", "colour": 1}}, {"encoder": None}, {"size": 3}],
    ids=["unknown encoder", "unknown entry", "no encoder", "unknown top entry"],
)
def test_config_from_nonsense_is_refused(change):
    with pytest.raises(ConfigError, match="not a SegNext configuration"):
        SegNextConfig.from_dict({**SegNextConfig().to_dict(), **change})


@pytest.fixture(scope="module")
def mirrored(model):
    one = SegNext(replace(CONFIG, sees_mirrored=True)).eval()
    one.load_state_dict(model.state_dict())
    return one


def test_answers_of_a_model_that_sees_the_mirror_image_are_mirrored_with_it(mirrored):
    image, mask = torch.rand(3, 64, 64), torch.rand(2, 64, 64)
    clicks = torch.tensor([[[10.0, 20.0, 1.0]], [[40.0, 5.0, -1.0]]])
    flipped = clicks * torch.tensor([1.0, -1.0, 1.0]) + torch.tensor([0.0, 63.0, 0.0])
    with torch.inference_mode():
        logits = mirrored.predict_logits(mirrored.encode_image(image), clicks, mask)
        other = mirrored.predict_logits(mirrored.encode_image(image.flip(-1)), flipped, mask.flip(-1))
    torch.testing.assert_close(logits, other.flip(-1), atol=1e-5, rtol=1e-4)


def test_it_is_the_mean_of_both(model, mirrored):
    image, mask, click = torch.rand(3, 64, 64), torch.zeros(1, 64, 64), torch.tensor([[[10.0, 20.0, 1.0]]])
    with torch.inference_mode():
        logits = mirrored.predict_logits(mirrored.encode_image(image), click, mask)
        seen = model.predict_logits(model.encode_image(image), click, mask)
        flipped = torch.tensor([[[10.0, 43.0, 1.0]]])
        other = model.predict_logits(model.encode_image(image.flip(-1)), flipped, mask).flip(-1)
    torch.testing.assert_close(logits, (seen + other) / 2, atol=1e-5, rtol=1e-4)


@pytest.fixture(scope="module")
def with_fine_skip(model):
    config = replace(CONFIG, encoder=replace(CONFIG.encoder, uses_fine_skip=True))
    torch.manual_seed(1)
    one = SegNext(config).eval()
    one.load_state_dict({**one.state_dict(), **model.state_dict()})
    return one


def test_fine_skip_adds_nothing_before_it_is_trained(model, with_fine_skip):
    image, prompt_map = torch.rand(3, 64, 64), torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        plain, fine = (one.decode(one.encode_image(image).levels, prompt_map) for one in (model, with_fine_skip))
    torch.testing.assert_close(fine, F.interpolate(plain, scale_factor=2.0, mode="bilinear"), atol=1e-5, rtol=1e-4)


def test_fine_skip_tells_single_pixels_apart(with_fine_skip):
    torch.nn.init.normal_(with_fine_skip.decoder.fine.to_logits.weight)
    image = torch.rand(3, 64, 64)
    with torch.inference_mode():
        embedding = with_fine_skip.encode_image(image)
        prompt_map = torch.zeros(1, 3, 64, 64)
        assert [tuple(level.shape[-2:]) for level in embedding.levels] == [(32, 32), (16, 16), (8, 8), (4, 4)]
        logits = with_fine_skip.decode(embedding.levels, prompt_map)
        assert logits.shape == (1, 1, 64, 64)
        steps = (logits[..., 1:] - logits[..., :-1]).abs()
    assert steps[..., ::2].mean() > 0.5 * steps[..., 1::2].mean()


def test_fine_skip_meets_prompts_at_a_half(with_fine_skip):
    with torch.inference_mode():
        levels = with_fine_skip.prompt_embedding(torch.rand(2, 3, 64, 64))
    assert [tuple(level.shape) for level in levels] == [(2, 4, 32, 32), (2, 8, 16, 16), (2, 12, 8, 8), (2, 16, 4, 4)]
