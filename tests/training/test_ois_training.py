"""Training OIS: depth first, then masks, with parts that are held fast."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_segnext.errors import ConfigError
from napari_segnext.models.depth_anything import DepthAnything
from napari_segnext.models.depth_config import DepthAnythingConfig
from napari_segnext.models.ois import OIS
from napari_segnext.models.order_maps import scale_depth
from napari_segnext.training.config import read_training_config, read_training_runs
from napari_segnext.training.depth_supply import with_true_depth
from napari_segnext.training.losses import depth_loss
from napari_segnext.training.network import build_network, hold_fast, initial_state, set_training
from napari_segnext.training.samples import SampleDataset, collate
from napari_segnext.training.sources import find_sources
from napari_segnext.training.trainer import Trainer
from napari_segnext.weights import WeightsHeader, load_model, write_weights

CONFIGS = Path(__file__).parents[2] / "training_configs"

ORDER = """
[model.order]
n_blocks = 2
n_heads = 2
attention_width = 8
sees_previous_mask = true
"""
FROZEN = 'frozen = ["body.encoder", "body.depth_decoder"]\n'


@pytest.fixture
def ois_config(run_folder):
    """A run of OIS on the disks and six layered scenes; `changes` are text to put in the place of other text."""
    text = (run_folder / "config.toml").read_text().replace("[model.fusion]\ndepth = 1\nn_heads = 2\n", ORDER)
    text = text.replace("[model]\n", '[model]\nfamily = "ois"\n').replace("n_workers = 0\n", "n_workers = 0\n" + FROZEN)
    text = text.replace("[data]\n", "[data]\nn_layered = 6\nlayered_px = 64\n")

    def read(*changes: str):
        (run_folder / "ois.toml").write_text(text)
        return read_training_config(run_folder / "ois.toml", changes)

    return read


def tensors(network) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in network.state_dict().items()}


def test_a_run_makes_weights_that_answer(ois_config):
    config = ois_config()
    list(Trainer(config).run())
    model = load_model(config.weights_path, "cpu")
    assert isinstance(model, OIS) and model.config == config.model
    embedding = model.encode_image(torch.rand(3, 40, 50))
    assert model.predict_logits(embedding, torch.tensor([[[9.0, 9, 1]]]), torch.zeros(1, 40, 50)).shape == (1, 40, 50)


def test_what_is_frozen_stays_and_the_rest_moves(ois_config):
    trainer = Trainer(ois_config())
    before = tensors(trainer.model)
    list(trainer.run())
    after = tensors(trainer.model)
    held = {key for key in before if key.startswith(("body.encoder", "body.depth_decoder"))}
    assert held and all(torch.equal(before[key], after[key]) for key in held)
    moved = {key.split(".")[0] for key in set(before) - held if not torch.equal(before[key], after[key])}
    assert moved == {"body", "sparse_prompts", "blocks", "look_back"}


def test_depth_alone_is_learned_without_masks(ois_config):
    config = ois_config(
        "loss.mask_weight=0.0",
        "loss.depth_weight=1.0",
        'frozen=["body.encoder", "body.prompt_embedding", "body.decoder", "sparse_prompts", "blocks", "look_back"]',
        "data.roots=[]",
        "stages=[{n_steps = 40, crop_px = 64, batch_size = 4}]",
        "optimiser.learning_rate=0.01",
    )
    losses = [progress.loss for progress in Trainer(config).run()]
    assert np.mean(losses[-8:]) < 0.9 * np.mean(losses[:4])


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(ois_config):
    whole = ois_config("data.true_depth=0.5")
    list(Trainer(whole).run())
    halves = replace(whole, output=f"{whole.output}-halves")
    for progress in (run := Trainer(halves).run()):
        if progress.step == 3:
            run.close()
            break
    list(Trainer(halves).run())
    one, other = (load_model(config.weights_path, "cpu").state_dict() for config in (whole, halves))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_samples_carry_the_depth_of_layered_scenes_and_nothing_else(ois_config):
    config = ois_config()
    dataset = SampleDataset(find_sources(config.data), config, config.stages[0], click_spacing_px=3)
    samples = [dataset[number] for number in range(12)]
    known = [sample.depth is not None for sample in samples]
    assert any(known) and not all(known)
    batch = collate(samples)
    assert batch.depth.shape == (12, 1, 32, 32)
    assert batch.depth.isfinite().all(dim=(1, 2, 3)).tolist() == known
    assert collate([sample for sample in samples if sample.depth is None]).depth is None


class TestTrueDepth:
    SEEN = torch.full((40, 1, 4, 4), 0.25)

    def supplied(self, depth, share: float) -> torch.Tensor:
        return with_true_depth((torch.zeros(1), self.SEEN), depth, np.random.default_rng(0), share=share)[-1]

    def test_a_share_of_the_images_with_a_known_depth_gets_it(self):
        depth = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        depth[::2] = torch.nan
        given = (self.supplied(depth, 0.5) != self.SEEN).flatten(1).any(dim=1)
        assert not given[::2].any() and 4 < given.sum() < 16
        expected = torch.nn.functional.adaptive_avg_pool2d(scale_depth(depth), (4, 4))
        torch.testing.assert_close(self.supplied(depth, 1.0)[1::2], expected[1::2])

    def test_without_a_share_or_a_depth_the_decoders_stays(self):
        assert self.supplied(torch.rand(40, 1, 8, 8), 0.0) is self.SEEN
        assert self.supplied(None, 1.0) is self.SEEN


class TestDepthLoss:
    TRUTH = torch.linspace(5, 9, 256).reshape(1, 1, 16, 16)

    def test_is_0_for_the_same_depth_in_any_unit(self):
        assert depth_loss(scale_depth(self.TRUTH), 100 - 3 * -self.TRUTH) == pytest.approx(0, abs=1e-5)

    def test_the_other_direction_is_wrong(self):
        assert depth_loss(1 - scale_depth(self.TRUTH), self.TRUTH) > 0.4

    def test_what_is_unknown_does_not_count(self):
        truth, seen = self.TRUTH.clone(), scale_depth(self.TRUTH).clone()
        truth[..., :3, :] = torch.nan
        exact = scale_depth(truth)
        seen[..., 3:, :] = exact[..., 3:, :]
        seen[..., :3, :] = 1 - seen[..., :3, :]
        assert depth_loss(seen, truth) == pytest.approx(0, abs=1e-6)
        assert depth_loss(seen, torch.full_like(truth, torch.nan)) == 0

    def test_steps_count_besides_levels(self):
        """Two maps are equally far from the truth; one of them has its steps."""
        levels = scale_depth(self.TRUTH) * 0.5
        shifted = levels + 0.1
        ragged = levels + 0.1 * (1 - 2 * (torch.arange(16) % 2)).float()
        truth = torch.full_like(self.TRUTH, torch.nan)
        truth[:] = self.TRUTH
        flat = [depth_loss(one + 0.5 * scale_depth(self.TRUTH), truth) for one in (shifted, ragged)]
        assert flat[0] < flat[1]


class TestFirstWeights:
    def test_a_segnext_of_the_same_encoder_gives_what_both_have(self, run_folder, ois_config):
        plain = read_training_config(run_folder / "config.toml")
        segnext = build_network(plain)
        path = write_weights(
            run_folder / "plain.safetensors", segnext.state_dict(), WeightsHeader("plain", plain.model)
        )
        new = 'new_parts=["sparse_prompts", "blocks", "look_back", "body.depth_decoder"]'
        config = ois_config(f"initial_weights={path}", new)
        state = initial_state(config, build_network(config))
        stored = load_model(path, "cpu").state_dict()
        network = build_network(
            replace(config, model=replace(config.model, order=replace(config.model.order, draws_order=True)))
        )
        first = initial_state(config, network)["body.prompt_embedding.to_4.0.0.weight"]
        assert torch.equal(first[:, :3], stored["prompt_embedding.to_4.0.0.weight"]) and not first[:, 3].any()
        for part in ("encoder", "prompt_embedding", "decoder"):
            found = {key for key in state if key.startswith(f"body.{part}.")}
            assert found and all(torch.equal(state[key], stored[key.removeprefix("body.")]) for key in found)

    def test_parts_that_it_lacks_have_to_be_named(self, run_folder, ois_config):
        plain = read_training_config(run_folder / "config.toml")
        state = build_network(plain).state_dict()
        path = write_weights(run_folder / "plain.safetensors", state, WeightsHeader("plain", plain.model))
        config = ois_config(f"initial_weights={path}")
        with pytest.raises(ConfigError, match="name new tensors in new_parts"):
            initial_state(config, build_network(config))

    def test_depth_anything_gives_the_encoder_and_both_decoders(self, run_folder, ois_config):
        sizes = DepthAnythingConfig(
            width=16, depth=4, n_heads=2, blocks_taken=(0, 1, 2, 3), features=4, reassembled_widths=(4, 4, 8, 8)
        )
        depth = DepthAnything(sizes)
        path = write_weights(run_folder / "depth.safetensors", depth.state_dict(), WeightsHeader("depth", sizes))
        base = ois_config(
            f"initial_weights={path}",
            'new_parts=["sparse_prompts", "blocks", "look_back", "body.prompt_embedding"]',
        )
        config = replace(base, model=replace(base.model, input_shape=(28, 28), encoder=sizes))
        network = build_network(config)
        network.load_state_dict(initial_state(config, network))
        image = torch.rand(1, 3, 28, 28)
        stored = DepthAnything(sizes)
        stored.load_state_dict({key: value.half().float() for key, value in depth.state_dict().items()})
        maps = stored.eval().encoder(image)
        torch.testing.assert_close(network.eval().body.encode(image), maps)
        torch.testing.assert_close(network.body.depth(maps, (28, 28))[:, 0], stored(image))
        for one, other in zip(network.body.decoder.parameters(), network.body.depth_decoder.parameters(), strict=True):
            assert torch.equal(one, other)

    def test_an_ois_is_no_first_weights_of_a_segnext(self, run_folder, ois_config):
        config = ois_config()
        state = build_network(config).state_dict()
        path = write_weights(run_folder / "ois.safetensors", state, WeightsHeader("ois", config.model))
        plain = read_training_config(run_folder / "config.toml", [f"initial_weights={path}"])
        with pytest.raises(ConfigError, match="holds weights of OIS; expected those of SegNext"):
            initial_state(plain, build_network(plain))


class TestHoldFast:
    def test_norms_of_frozen_parts_keep_their_statistics(self, ois_config):
        network = build_network(ois_config())
        set_training(network, ("body.encoder",))
        assert not any(module.training for module in network.body.encoder.modules())
        assert network.body.decoder.training and network.blocks[0].training

    @pytest.mark.parametrize(
        ("beginnings", "words"),
        [
            (("encoder",), "frozen names 'encoder'; expected the beginning of a parameter's name"),
            (("body", "blocks", "look_back", "sparse_prompts"), "which is all; expected something to train"),
        ],
        ids=["no such part", "everything"],
    )
    def test_what_cannot_be_held_is_refused(self, ois_config, beginnings, words):
        with pytest.raises(ConfigError, match=words):
            hold_fast(build_network(ois_config()), beginnings)


class TestConfigs:
    def test_an_unknown_family_is_refused(self, ois_config):
        with pytest.raises(ConfigError, match="family is 'resnet'; expected 'segnext' or 'ois'"):
            ois_config('model.family="resnet"')

    def test_crops_that_patches_do_not_tile_are_refused(self, ois_config):
        config = ois_config("stages=[{n_steps = 1, crop_px = 40, batch_size = 1}]")
        with pytest.raises(ConfigError, match="expected a multiple of 16"):
            Trainer(config)

    def test_a_share_out_of_range_is_refused(self, ois_config):
        with pytest.raises(ConfigError, match=r"true_depth is 1\.5; expected 0 to 1"):
            Trainer(ois_config("data.true_depth=1.5"))

    def test_ours_begin_with_the_bundled_model(self):
        depth, first, last = read_training_runs(CONFIGS / "ois-tiny.toml")
        assert [run.name for run in (depth, first, last)] == ["ois-tiny-depth", "ois-tiny-first", "ois-tiny"]
        assert depth.initial_weights == "segnext-tiny" and last.initial_weights == str(first.weights_path)
        assert depth.model == first.model == replace(last.model, sees_depth=True)
        network = build_network(depth)
        network.load_state_dict(initial_state(depth, network))
        hold_fast(network, depth.frozen)
        trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
        assert trained and all(name.startswith("body.depth_decoder.") for name in trained)

    def test_the_papers_can_be_built(self):
        config = read_training_config(CONFIGS / "ois-base.toml")
        with torch.device("meta"):
            network = build_network(config)
        hold_fast(network, config.frozen)
        names = {key for key in network.state_dict() if key.startswith(config.new_parts)}
        assert all(any(name.startswith(part) for name in names) for part in config.new_parts)
