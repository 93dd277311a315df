"""OIS as a whole, of both kinds of encoder, with random weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_segnext.errors import ConfigError
from napari_segnext.models.config import HybridConfig
from napari_segnext.models.depth_config import DepthAnythingConfig
from napari_segnext.models.interface import InteractiveModel
from napari_segnext.models.ois import OIS
from napari_segnext.models.ois_config import OISConfig, OrderConfig
from napari_segnext.models.order_maps import scale_depth

ORDER = OrderConfig(attention_width=32, n_heads=4, sees_previous_mask=True)
HYBRID = OISConfig(
    input_shape=(64, 64),
    encoder=HybridConfig(stage_widths=(8, 12, 16), blocks_per_stage=(1, 1), width=32, depth=1, n_heads=2),
    order=replace(ORDER, draws_order=True),
    context_depth=1,
    click_radius_px=2.0,
    keeps_aspect=True,
)
TRANSFORMER = OISConfig(
    input_shape=(70, 70),
    encoder=DepthAnythingConfig(
        width=32,
        depth=4,
        n_heads=2,
        blocks_taken=(0, 1, 2, 3),
        features=8,
        reassembled_widths=(8, 8, 12, 16),
        head_hidden=4,
    ),
    order=replace(ORDER, sees_previous_mask=False),
    click_radius_px=2.0,
)
CONFIGS = pytest.mark.parametrize("config", [HYBRID, TRANSFORMER], ids=["hybrid", "transformer"])


def network(config: OISConfig) -> OIS:
    torch.manual_seed(3)
    return OIS(config).eval().requires_grad_(False)


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(3, 50, 60, generator=torch.Generator().manual_seed(4))


def clicks(*rows) -> torch.Tensor:
    return torch.tensor([rows], dtype=torch.float32).reshape(1, -1, 3)


def blank(n: int = 1) -> torch.Tensor:
    return torch.zeros(n, 50, 60)


@CONFIGS
class TestOIS:
    def test_is_an_interactive_model(self, config):
        assert isinstance(network(config), InteractiveModel)

    def test_config_comes_back_from_json_values(self, config):
        assert OISConfig.from_dict(config.to_dict()) == config

    def test_logits_have_the_size_of_the_image(self, config, image):
        model = network(config)
        embedding = model.encode_image(image)
        assert model.predict_logits(embedding, clicks((10, 10, 1)), blank()).shape == (1, 50, 60)

    def test_many_sets_of_prompts_are_answered_as_one_by_one(self, config, image):
        model = network(config)
        embedding = model.encode_image(image)
        sets = torch.tensor([[[10.0, 10, 1], [20, 30, -1]], [[40, 50, 1], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]])
        masks = blank(3)
        masks[1, 30:, 30:] = 1
        together = model.predict_logits(embedding, sets, masks)
        for number, kept in enumerate((2, 1, 0)):
            alone = model.predict_logits(embedding, sets[number : number + 1, :kept], masks[number : number + 1])
            torch.testing.assert_close(together[number], alone[0], atol=1e-5, rtol=1e-4)

    @pytest.mark.parametrize("n", [0, 1, 60], ids=["no click", "one click", "60 clicks"])
    def test_any_number_of_clicks_is_finite(self, config, image, n):
        rng = torch.Generator().manual_seed(n)
        some = torch.rand(1, n, 3, generator=rng) * torch.tensor([49.0, 59, 1])
        some[..., 2] = torch.where(torch.arange(n) % 3 == 0, 1.0, -1.0)
        model = network(config)
        assert model.predict_logits(model.encode_image(image), some, blank()).isfinite().all()

    @pytest.mark.parametrize("value", [0.0, 1.0, 0.5], ids=["empty", "full", "in doubt"])
    def test_any_previous_mask_is_finite(self, config, image, value):
        model = network(config)
        logits = model.predict_logits(model.encode_image(image), clicks((3, 3, 1), (9, 9, -1)), blank() + value)
        assert logits.isfinite().all()

    def test_clicks_and_their_signs_change_the_answer(self, config, image):
        model = network(config)
        embedding = model.encode_image(image)
        answers = [model.predict_logits(embedding, clicks((20, 20, sign)), blank()) for sign in (1, -1)]
        assert not torch.allclose(*answers, atol=1e-4)

    def test_the_order_of_clicks_does_not_matter(self, config, image):
        model = network(config)
        embedding = model.encode_image(image)
        one, other = (20.0, 20, 1), (40.0, 9, -1)
        torch.testing.assert_close(
            model.predict_logits(embedding, clicks(one, other), blank()),
            model.predict_logits(embedding, clicks(other, one), blank()),
            atol=1e-5,
            rtol=1e-4,
        )

    def test_depth_changes_the_answer_unless_order_is_switched_off(self, config, image):
        prompts = clicks((20, 20, 1), (40, 40, -1))
        depth = torch.zeros(50, 60)
        depth[:, 30:] = 1
        for uses_order in (True, False):
            model = network(replace(config, order=replace(config.order, uses_order=uses_order)))
            embedding = model.encode_image(image)
            flat = model.with_depth(embedding, torch.zeros(50, 60))
            stepped = model.with_depth(embedding, depth)
            answers = [model.predict_logits(one, prompts, blank()) for one in (flat, stepped)]
            assert torch.allclose(*answers, atol=1e-6) is not uses_order

    def test_a_flat_depth_is_as_without_order(self, config, image):
        model = network(config)
        plain = network(replace(config, order=replace(config.order, uses_order=False)))
        plain.load_state_dict(model.state_dict())
        prompts = clicks((20, 20, 1), (40, 40, -1))
        embedding = model.with_depth(model.encode_image(image), scale_depth(torch.full((1, 1, 50, 60), 4.0))[0, 0])
        torch.testing.assert_close(
            model.predict_logits(embedding, prompts, blank()), plain.predict_logits(embedding, prompts, blank())
        )

    def test_unknown_depth_is_finite(self, config, image):
        model = network(config)
        unknown = scale_depth(torch.full((1, 1, 50, 60), torch.nan))[0, 0]
        embedding = model.with_depth(model.encode_image(image), unknown)
        assert model.predict_logits(embedding, clicks((20, 20, 1)), blank()).isfinite().all()

    def test_without_a_depth_of_its_own_it_is_flat(self, config, image):
        model = network(replace(config, sees_depth=False))
        embedding = model.encode_image(image)
        assert not model.depth_map(embedding).any()
        flat = network(config).with_depth(embedding, torch.zeros(50, 60))
        prompts = clicks((20, 20, 1), (40, 40, -1))
        torch.testing.assert_close(
            model.predict_logits(embedding, prompts, blank()), model.predict_logits(flat, prompts, blank())
        )

    def test_depth_is_on_one_scale_and_travels_with_the_embedding(self, config, image):
        model = network(config)
        embedding = model.encode_image(image)
        depth = model.depth_map(embedding)
        assert depth.ndim == 2 and depth.min() >= 0 and depth.max() <= 1
        torch.testing.assert_close(model.depth_map(embedding.to("cpu")), depth)

    def test_the_order_map_is_0_at_the_depth_of_the_positive_clicks(self, config, image):
        model = network(config)
        depth = torch.linspace(0, 1, 60).expand(50, 60)
        embedding = model.with_depth(model.encode_image(image), depth)
        order = model.order_map(embedding, clicks((5, 30, 1), (9, 59, -1))[0])
        torch.testing.assert_close(order, (depth - depth[0, 30]).abs())
        assert not model.order_map(embedding, torch.zeros(0, 3)).any()
        torch.testing.assert_close(model.order_map(embedding, clicks((9, 59, -1))[0]), (depth - 1).abs())

    @pytest.mark.parametrize("part", ["uses_sparse", "uses_dense", "uses_object"])
    def test_parts_can_be_switched_off(self, config, image, part):
        model = network(replace(config, order=replace(config.order, **{part: False})))
        answer = model.predict_logits(model.encode_image(image), clicks((20, 20, 1)), blank())
        assert answer.shape == (1, 50, 60) and answer.isfinite().all()

    def test_gradients_reach_all_that_is_trained(self, config, image):
        torch.manual_seed(0)
        model = OIS(config).train()
        levels = model.encode(torch.rand(2, 3, 70, 70) if config is TRANSFORMER else torch.rand(2, 3, 64, 64))
        side = 70 if config is TRANSFORMER else 64
        prompts = torch.tensor([[[9.0, 9, 1], [30, 30, -1]]]).expand(2, -1, -1)
        masks = torch.zeros(2, side, side)
        masks[:, 5:20, 5:20] = 1
        (model.answer(levels, prompts, masks, (side, side)).square().mean() + levels[-1].mean()).backward()
        without = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
        # the class token is cut off after the last block, and LayerNorm makes the last bias of keys vanish
        assert not {name for name in without if "mask_token" not in name and not name.endswith("keys.bias")}


class TestMirrored:
    def test_the_mirror_image_has_the_mirrored_answer(self, image):
        model = network(replace(HYBRID, sees_mirrored=True))
        prompts, mask = clicks((20, 10, 1), (40, 50, -1)), blank()
        mask[0, 10:30, 5:20] = 1
        answer = model.predict_logits(model.encode_image(image), prompts, mask)
        turned = prompts.clone()
        turned[..., 1] = 59 - turned[..., 1]
        mirrored = model.predict_logits(model.encode_image(image.flip(-1)), turned, mask.flip(-1))
        torch.testing.assert_close(mirrored.flip(-1), answer, atol=1e-4, rtol=1e-3)

    def test_a_depth_that_is_given_is_mirrored_too(self, image):
        model = network(replace(HYBRID, sees_mirrored=True))
        depth = torch.linspace(0, 1, 60).expand(50, 60)
        levels = model.with_depth(model.encode_image(image), depth).levels
        torch.testing.assert_close(levels[-1][1], levels[-1][0].flip(-1))


class TestBadConfigs:
    def test_heads_that_do_not_divide_the_width(self):
        with pytest.raises(ConfigError, match="attention_width is 30; expected a multiple of the 4 heads"):
            OIS(replace(HYBRID, order=replace(ORDER, attention_width=30)))

    def test_an_input_that_patches_do_not_tile(self):
        with pytest.raises(ConfigError, match="not a multiple of the patch of 14 px"):
            OIS(replace(TRANSFORMER, input_shape=(64, 64)))

    def test_a_transformer_has_context_of_its_own(self):
        with pytest.raises(ConfigError, match="context_depth is 1; expected 0 for a transformer"):
            OIS(replace(TRANSFORMER, context_depth=1))

    def test_an_unknown_entry(self):
        with pytest.raises(ConfigError, match="not an OIS configuration"):
            OISConfig.from_dict({"depth": 3})

    def test_the_base_model_has_about_as_many_parameters_as_the_paper(self):
        """107.88 million in the paper; we keep attention at half the width."""
        with torch.device("meta"):
            model = OIS(OISConfig())
        n_parameters = sum(parameter.numel() for parameter in model.parameters())
        assert n_parameters == pytest.approx(107.88e6, rel=0.25)
