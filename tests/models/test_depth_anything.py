from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from napari_segnext.errors import ConfigError, ImageError
from napari_segnext.models.depth_anything import DepthAnything, depth_input_shape
from napari_segnext.models.depth_config import BASE, LARGE, SMALL, DepthAnythingConfig

TINY = DepthAnythingConfig(
    table_side=4,
    width=24,
    depth=5,
    n_heads=3,
    blocks_taken=(0, 1, 2, 3),
    features=8,
    reassembled_widths=(4, 6, 8, 12),
    head_hidden=5,
)


@pytest.fixture
def model() -> DepthAnything:
    """With a bias that makes its depths differ from 0."""
    torch.manual_seed(0)
    model = DepthAnything(TINY).eval()
    with torch.no_grad():
        model.decoder.head_convs[2].bias.fill_(1)
    return model


def maps_of(model: DepthAnything, n: int = 1, seed: int = 0) -> tuple[torch.Tensor, ...]:
    image = torch.rand(n, 3, 42, 70, generator=torch.Generator().manual_seed(seed))
    return tuple(model.encoder(image))


class TestConfig:
    @pytest.mark.parametrize("config", [SMALL, BASE, LARGE, TINY], ids=["small", "base", "large", "tiny"])
    def test_comes_back_from_its_dictionary(self, config: DepthAnythingConfig) -> None:
        import json

        assert DepthAnythingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"blocks_taken": (0, 1, 2)}, "blocks_taken is"),
            ({"blocks_taken": (0, 2, 1, 3)}, "each after the last"),
            ({"blocks_taken": (0, 1, 1, 3)}, "each after the last"),
            ({"blocks_taken": (2, 5, 8, 12)}, "from 0 to 11"),
            ({"blocks_taken": (-1, 5, 8, 11)}, "from 0 to 11"),
            ({"reassembled_widths": (1, 2, 3)}, "expected 4 widths"),
            ({"n_heads": 5}, "cannot be split between 5 heads"),
            ({"features": 7}, "even number"),
        ],
    )
    def test_sizes_that_do_not_fit_are_refused(self, changes: dict[str, object], words: str) -> None:
        with pytest.raises(ConfigError, match=words):
            DepthAnythingConfig(**changes)  # type: ignore[arg-type]

    @pytest.mark.parametrize("values", [{"colour": 3}, {"depth": "many"}, {"blocks_taken": 3}, {"blocks_taken": []}])
    def test_dictionaries_of_something_else_are_refused(self, values: dict[str, object]) -> None:
        with pytest.raises(ConfigError, match="not a Depth Anything configuration"):
            DepthAnythingConfig.from_dict(values)


class TestInputShape:
    @pytest.mark.parametrize(
        ("image_shape", "input_px", "expected"),
        [
            ((480, 640), 518, (518, 686)),
            ((1080, 1920), 518, (518, 924)),
            ((100, 1000), 518, (518, 5180)),
            ((300, 300), 512, (518, 518)),
            ((300, 300), 500, (504, 504)),
            ((300, 300), 480, (490, 490)),
            ((1, 1), 1, (14, 14)),
            ((14, 21), 14, (14, 28)),  # 21 / 14 is 1.5: half to even
            ((14, 35), 14, (14, 28)),  # 35 / 14 is 2.5: half to even
        ],
    )
    def test_is_the_original_rule(self, image_shape: tuple[int, int], input_px: int, expected: tuple[int, int]) -> None:
        assert depth_input_shape(image_shape, input_px) == expected

    def test_of_another_patch(self) -> None:
        assert depth_input_shape((100, 200), 60, patch_px=16) == (64, 112 + 16)

    def test_what_is_no_size_is_refused(self) -> None:
        with pytest.raises(ImageError, match="0 × 5 px; expected at least one"):
            depth_input_shape((0, 5))
        with pytest.raises(ValueError, match="input_px is 0; expected at least 1"):
            depth_input_shape((5, 5), 0)


class TestEncoder:
    def test_four_maps_have_the_grid_of_the_image(self, model: DepthAnything) -> None:
        assert [level.shape for level in maps_of(model, 2)] == [(2, 24, 3, 5)] * 4

    def test_table_is_used_as_stored_on_its_own_grid(self, model: DepthAnything) -> None:
        assert model.encoder.positions((4, 4)) is model.encoder.pos_embed

    def test_table_is_resampled_by_the_overstated_factor_even_along_an_axis_that_stays(
        self, model: DepthAnything
    ) -> None:
        """Source coordinate of column j: (j + 0.5) · 4 / (n + 0.1) - 0.5."""
        with torch.no_grad():
            ramp = torch.arange(4.0)[None, :].expand(4, 4)
            model.encoder.pos_embed[0, 1:] = ramp.reshape(-1, 1)
        along_columns = model.encoder.positions((7, 4))[0, 1:, 0].reshape(7, 4)[3]
        # a cubic with a = -0.75 does not keep a ramp quite straight
        assert along_columns[1].item() == pytest.approx(1.5 * 4 / 4.1 - 0.5, abs=0.02)
        assert abs(along_columns[1].item() - 1) > 0.01

    @pytest.mark.parametrize("n_patches", [1, 2, 3, 5, 39, 78])
    def test_every_grid_gets_its_number_of_positions(self, n_patches: int, model: DepthAnything) -> None:
        assert model.encoder.positions((n_patches, 3)).shape == (1, 1 + 3 * n_patches, 24)

    def test_class_token_has_its_own_position_untouched(self, model: DepthAnything) -> None:
        torch.testing.assert_close(model.encoder.positions((3, 5))[:, 0], model.encoder.pos_embed[:, 0])

    def test_blocks_after_the_last_one_taken_are_not_run(self, model: DepthAnything) -> None:
        before = maps_of(model)
        with torch.no_grad():
            for parameter in model.encoder.blocks[4].parameters():
                parameter.fill_(float("nan"))
        for level, old in zip(maps_of(model), before, strict=True):
            assert torch.equal(level, old)

    @pytest.mark.parametrize("shape", [(41, 70), (42, 71), (0, 14), (13, 14)])
    def test_image_that_patches_do_not_tile_is_refused(self, shape: tuple[int, int], model: DepthAnything) -> None:
        with pytest.raises(ImageError, match=f"{shape[0]} × {shape[1]} px; expected multiples of 14 px"):
            model(torch.zeros(1, 3, *shape))

    def test_rows_and_columns_are_not_exchanged(self, model: DepthAnything) -> None:
        """With attention and positions silenced a patch knows only its own pixels: a bright one stays in its cell."""
        with torch.no_grad():
            model.encoder.pos_embed.zero_()
            for block in model.encoder.blocks:
                block.attn.proj.weight.zero_()
        image = torch.zeros(1, 3, 42, 70)
        image[..., 14:28, 56:70] = 5
        level = model.encoder(image)[0][0]
        differs = (level - level[:, :1, :1]).abs().amax(0) > 1e-3
        assert differs.nonzero().tolist() == [[1, 4]]


class TestDecoder:
    def test_stages_have_the_sizes_that_they_promise(self, model: DepthAnything) -> None:
        levels = model.decoder.reassemble(maps_of(model))
        assert [tuple(level.shape) for level in levels] == [
            (1, 8, 12, 20),
            (1, 8, 6, 10),
            (1, 8, 3, 5),
            (1, 8, 2, 3),
        ]
        fused = model.decoder.fuse(levels)
        assert fused.shape == (1, 8, 24, 40)
        assert model.decoder.head(fused, (17, 23)).shape == (1, 1, 17, 23)

    def test_one_level_can_be_made_again(self, model: DepthAnything) -> None:
        maps = maps_of(model)
        levels = model.decoder.reassemble(maps)
        for index, level in enumerate(levels):
            assert torch.equal(model.decoder.reassemble_level(index, maps[index]), level)

    def test_levels_of_batch_1_are_shared_by_a_batch(self, model: DepthAnything) -> None:
        *shared, _ = model.decoder.reassemble(maps_of(model))
        coarse = torch.cat([model.decoder.reassemble(maps_of(model, seed=seed))[3] for seed in (1, 2, 3)])
        together = model.decoder.fuse((*shared, coarse))
        one_by_one = torch.cat([model.decoder.fuse((*shared, level[None])) for level in coarse])
        assert together.shape == (3, 8, 24, 40)
        torch.testing.assert_close(together, one_by_one, rtol=0, atol=1e-5)

    def test_convolution_before_the_enlargement_equals_the_published_order(self, model: DepthAnything) -> None:
        """1×1 convolutions commute with bilinear resizing, up to rounding."""
        fusion, level = model.decoder.fusions[2], torch.randn(2, 8, 3, 5)
        enlarged = F.interpolate(fusion.unit(level), (6, 10), mode="bilinear", align_corners=True)
        torch.testing.assert_close(fusion(level, (6, 10)), fusion.out(enlarged), rtol=0, atol=1e-5)


class TestDepth:
    def test_has_the_shape_of_the_image_and_is_not_below_0(self, model: DepthAnything) -> None:
        depth = model.estimate_depth(torch.rand(3, 33, 50), 42)
        assert depth.shape == (33, 50) and depth.min() >= 0 and depth.max() > depth.min()

    def test_is_cut_at_0(self, model: DepthAnything) -> None:
        with torch.no_grad():
            model.decoder.head_convs[2].bias.fill_(-100)
        assert (model.estimate_depth(torch.rand(3, 33, 50), 42) == 0).all()

    @pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
    def test_of_a_constant_image_is_finite(self, value: float, model: DepthAnything) -> None:
        assert torch.isfinite(model.estimate_depth(torch.full((3, 30, 40), value), 42)).all()

    @pytest.mark.parametrize("shape", [(1, 1), (1, 9), (40, 2)])
    def test_of_a_few_pixels_is_finite(self, shape: tuple[int, int], model: DepthAnything) -> None:
        depth = model.estimate_depth(torch.rand(3, *shape), 28)
        assert depth.shape == shape and torch.isfinite(depth).all()

    def test_is_in_the_precision_of_the_weights(self, model: DepthAnything) -> None:
        assert model.double().estimate_depth(torch.rand(3, 20, 20), 28).dtype == torch.float64

    def test_resizing_may_overshoot(self, model: DepthAnything) -> None:
        step = torch.zeros(3, 8, 8)
        step[..., 4:] = 1
        resized = model._resized(step, (28, 28))
        assert resized.max() > 1.01 and resized.min() < -0.01

    def test_can_be_trained(self, model: DepthAnything) -> None:
        model(torch.rand(2, 3, 42, 70)).sum().backward()  # type: ignore[no-untyped-call]
        unused = {name for name, parameter in model.named_parameters() if parameter.grad is None}
        assert all(name.startswith("encoder.blocks.4.") for name in unused)
        assert model.encoder.pos_embed.grad is not None and model.encoder.pos_embed.grad.abs().sum() > 0

    @pytest.mark.parametrize(
        ("image", "words"),
        [
            (torch.rand(5, 5, 3), r"\(5, 5, 3\), torch.float32; expected \(3, rows, columns\)"),
            (torch.rand(1, 3, 5, 5), "expected"),
            (torch.rand(3, 0, 5), "expected"),
            (torch.zeros(3, 5, 5, dtype=torch.uint8), "uint8; expected"),
            (torch.full((3, 5, 5), float("nan")), "not finite"),
            (torch.rand(3, 1, 5000), "Crop it, or give a smaller input_px"),
        ],
        ids=["channels last", "batch", "empty", "uint8", "NaN", "line"],
    )
    def test_what_is_no_such_image_is_refused(self, image: torch.Tensor, words: str, model: DepthAnything) -> None:
        with pytest.raises(ImageError, match=words):
            model.estimate_depth(image)
