from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from napari_segnext.errors import ConfigError
from napari_segnext.models.config import FusionConfig, HybridConfig, SegNextConfig
from napari_segnext.models.interface import InteractiveModel, ModelIdentity
from napari_segnext.models.segnext import SegNext
from napari_segnext.training.config import read_training_config
from napari_segnext.training.network import build_network, initial_state
from napari_segnext.weights import WeightsHeader, load_model, write_weights
from tests.training.conftest import CONFIG as TRAINING_CONFIG

WIDE = HybridConfig(stage_widths=(4, 8, 12), blocks_per_stage=(1, 1), width=16, depth=1, n_heads=2)
CONFIG = SegNextConfig(
    input_shape=(64, 64),
    encoder=replace(WIDE, answer_widths=(4, 6, 8)),
    fusion=FusionConfig(depth=1, n_heads=2),
    keeps_aspect=True,
)

LIGHT = TRAINING_CONFIG.replace("n_heads = 2\n", "n_heads = 2\nanswer_widths = [4, 6, 8]\n", 1)
"""The same encoder in a training file."""


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return SegNext(CONFIG).eval()


def test_it_is_an_interactive_model(model):
    assert isinstance(model, InteractiveModel)


def test_the_embedding_has_the_channels_of_the_answer(model):
    with torch.inference_mode():
        levels = model.encode_image(torch.rand(3, 64, 64)).levels
    assert [tuple(level.shape) for level in levels] == [(1, 4, 16, 16), (1, 6, 8, 8), (1, 8, 4, 4)]


@pytest.mark.parametrize("shape", [(30, 50), (64, 64), (200, 90)])
def test_answers_have_the_size_of_the_image(model, shape):
    with torch.inference_mode():
        embedding = model.encode_image(torch.rand(3, *shape))
        logits = model.predict_logits(embedding, torch.tensor([[[10.0, 10.0, 1.0]]]), torch.zeros(1, *shape))
    assert logits.shape == (1, *shape) and logits.isfinite().all()


def test_prompts_change_the_answer_far_beyond_their_disks(model):
    clicks = torch.tensor([[[8.0, 8.0, 1.0]], [[56.0, 56.0, 1.0]]])
    with torch.inference_mode():
        one, other = model.predict_logits(model.encode_image(torch.rand(3, 64, 64)), clicks, torch.zeros(2, 64, 64))
    assert ((one - other).abs() > 0).float().mean() > 0.9


def test_prompts_in_one_batch_answer_as_one_by_one(model):
    clicks = torch.tensor([[[10.0, 10.0, 1.0]], [[20.0, 40.0, -1.0]]])
    with torch.inference_mode():
        embedding = model.encode_image(torch.rand(3, 64, 64))
        both = model.predict_logits(embedding, clicks, torch.zeros(2, 64, 64))
        for one, expected in zip(clicks, both, strict=True):
            logits = model.predict_logits(embedding, one[None], torch.zeros(1, 64, 64))
            torch.testing.assert_close(logits[0], expected, atol=1e-5, rtol=1e-4)


def test_a_click_at_the_size_of_the_bundled_model_costs_a_sixth():
    def flops(answer_widths, n_heads):
        encoder = HybridConfig(answer_widths=answer_widths)
        network = SegNext(SegNextConfig((384, 384), encoder, FusionConfig(depth=2, n_heads=n_heads), keeps_aspect=True))
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            embedding = network.eval().encode_image(torch.zeros(3, 384, 384))
            before = counter.get_total_flops()
            network.predict_logits(embedding, torch.tensor([[[9.0, 9.0, 1.0]]]), torch.zeros(1, 384, 384))
        return counter.get_total_flops() - before

    assert flops((16, 32, 96), 3) < flops(None, 4) / 6


def test_config_survives_json():
    assert SegNextConfig.from_dict(json.loads(json.dumps(CONFIG.to_dict()))) == CONFIG


@pytest.mark.parametrize("change", [{"uses_fine_skip": True}, {"uses_skips": False}])
def test_levels_that_it_has_no_use_for_are_refused(change):
    with pytest.raises(ConfigError, match=r"answer_widths is \[4, 6, 8\], with .* expected true and false"):
        SegNext(replace(CONFIG, encoder=replace(CONFIG.encoder, **change)))


class TestFirstWeights:
    @pytest.fixture
    def wide(self, tmp_path):
        network = SegNext(replace(CONFIG, encoder=WIDE, fusion=FusionConfig(depth=1, n_heads=2)))
        header = WeightsHeader("wide", network.config)
        return write_weights(tmp_path / "wide.safetensors", network.state_dict(), header)

    def config(self, path, *changes):
        file = path.parent / "light.toml"
        file.write_text(LIGHT, encoding="utf8")
        return read_training_config(file, [f"initial_weights={path}", *changes])

    def test_come_from_a_model_that_answers_in_all_channels(self, wide):
        parts = 'new_parts=["encoder.narrowing", "prompt_embedding", "fusion", "decoder"]'
        config = self.config(wide, parts)
        network = build_network(config)
        state = initial_state(config, network)
        stored = load_model(wide, "cpu").state_dict()
        taken = {key for key in state if key.startswith("encoder.image.")}
        assert taken and all(torch.equal(state[key], stored[key.replace(".image", "", 1)]) for key in taken)
        assert all(torch.equal(state[key], value) for key, value in network.state_dict().items() if key not in taken)

    def test_go_on_from_a_light_one_as_it_is(self, wide, tmp_path):
        network = SegNext(CONFIG, ModelIdentity("light"))
        path = write_weights(tmp_path / "first.safetensors", network.state_dict(), WeightsHeader("light", CONFIG))
        config = self.config(path)
        state = initial_state(config, build_network(config))
        stored = load_model(path, "cpu").state_dict()
        assert all(torch.equal(state[key], value) for key, value in stored.items())

    def test_parts_that_answer_have_to_be_named(self, wide):
        config = self.config(wide)
        with pytest.raises(ConfigError, match="name new tensors in new_parts"):
            initial_state(config, build_network(config))
