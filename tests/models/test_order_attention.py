"""Order-aware and object-aware attention against what the equations say (OIS, equations 3 to 5)."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from napari_segnext.models.ois_config import OrderConfig
from napari_segnext.models.order_attention import LookBack, OrderBlock, SparsePrompts, object_halves

WIDTH, HEADS, N_CELLS = 32, 4, 20


def config(**changes) -> OrderConfig:
    return OrderConfig(n_heads=HEADS, attention_width=16, **changes)


@pytest.fixture
def block() -> OrderBlock:
    torch.manual_seed(0)
    return OrderBlock(config(), WIDTH).eval()


@pytest.fixture
def scene() -> dict[str, torch.Tensor]:
    """Three sparse prompts, and an image whose first half lies at the depth of all of them."""
    generator = torch.Generator().manual_seed(1)
    order = torch.zeros(1, 3, N_CELLS)
    order[..., N_CELLS // 2 :] = 0.6
    return {
        "sparse": torch.randn(1, 3, WIDTH, generator=generator),
        "prompts": torch.randn(1, 3, WIDTH, generator=generator),
        "image": torch.randn(1, N_CELLS, WIDTH, generator=generator),
        "places": torch.randn(1, N_CELLS, WIDTH, generator=generator),
        "order": order,
        "is_visible": torch.ones(1, 3, N_CELLS, dtype=torch.bool),
    }


def written_out(block: OrderBlock, scene: dict[str, torch.Tensor]) -> torch.Tensor:
    """The block once more, with softmax and sums in the place of fused attention."""
    sparse, prompts = scene["sparse"], scene["prompts"]
    keys, values = block.keys(scene["image"] + scene["places"]), block.values(scene["image"])

    def attended(queries: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        parts = []
        for q, k, v in zip(queries.chunk(HEADS, -1), keys.chunk(HEADS, -1), values.chunk(HEADS, -1), strict=True):
            logits = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5 + bias
            parts.append(logits.softmax(-1) @ v)
        return torch.cat(parts, -1)

    seen = attended(block.order_queries(sparse + prompts), -block.sigma * scene["order"])
    sparse = block.norms[0](sparse + block.order_out(seen))
    hidden = torch.zeros(scene["is_visible"].shape).masked_fill(~scene["is_visible"], -torch.inf)
    seen = attended(block.object_queries(sparse + prompts), hidden)
    sparse = block.norms[1](sparse + block.object_out(seen))
    return block.norms[2](sparse + block.perceptron(sparse))


def with_sigma(block: OrderBlock | LookBack, sigma: float) -> OrderBlock | LookBack:
    raw = torch.tensor(float(sigma)).double()
    block.raw_sigma.data = (raw + torch.log(-torch.expm1(-raw))).float()
    return block


@torch.no_grad()
class TestOrderBlock:
    def test_is_what_the_equations_say(self, block, scene):
        scene["is_visible"][0, 0, :7] = False
        torch.testing.assert_close(block(**scene), written_out(block, scene), atol=1e-5, rtol=1e-5)

    def test_sigma_begins_as_the_config_says(self):
        assert float(OrderBlock(config(sigma=7.5), WIDTH).sigma) == pytest.approx(7.5, rel=1e-5)

    def test_sigma_of_0_is_plain_attention(self, block, scene):
        plain = OrderBlock(config(uses_order=False), WIDTH).eval()
        plain.load_state_dict(block.state_dict())
        assert not torch.allclose(block(**scene), plain(**scene), atol=1e-3)
        torch.testing.assert_close(with_sigma(block, 1e-7)(**scene), plain(**scene), atol=1e-5, rtol=1e-5)

    def test_sigma_without_end_sees_only_what_is_at_the_same_depth(self, block, scene):
        """Whatever lies at another depth may change: the first attention does not see it, the second one is shut."""
        scene["is_visible"][..., N_CELLS // 2 :] = False
        with_sigma(block, 1e4)
        before = block(**scene)
        scene["image"][:, N_CELLS // 2 :] += 3
        torch.testing.assert_close(block(**scene), before)
        scene["image"][:, 0] += 3
        assert not torch.allclose(block(**scene), before, atol=1e-3)

    def test_farther_in_depth_counts_less(self, block, scene):
        """The same change moves the answer the less, the farther away it is made."""
        scene["is_visible"][..., -1] = False
        moved = []
        for distance in (0.0, 0.3, 0.6, 0.9):
            scene["order"][..., -1] = distance
            before = block(**scene)
            changed = {**scene, "image": scene["image"].clone()}
            changed["image"][:, -1] += 1
            moved.append(float((block(**changed) - before).abs().mean()))
        assert moved == sorted(moved, reverse=True) and moved[-1] < 0.2 * moved[0]

    def test_the_object_mask_shuts_out_exactly_what_it_hides(self, block, scene):
        scene["is_visible"][0, 1, 5:9] = False
        with_sigma(block, 1e4)
        scene["order"][..., 5:9] = 1.0
        before = block(**scene)
        scene["image"][:, 5:9] += 5
        after = block(**scene)
        torch.testing.assert_close(after[:, 1], before[:, 1])
        assert not torch.allclose(after[:, 0], before[:, 0], atol=1e-3)

    @pytest.mark.parametrize("part", ["uses_order", "uses_object"])
    def test_each_part_can_be_switched_off(self, block, scene, part):
        scene["is_visible"][..., 3:9] = False
        without = OrderBlock(config(**{part: False}), WIDTH).eval()
        without.load_state_dict(block.state_dict())
        neutral = {"uses_order": ("order", 0.0), "uses_object": ("is_visible", True)}[part]
        assert not torch.allclose(block(**scene), without(**scene), atol=1e-3)
        scene[neutral[0]] = torch.full_like(scene[neutral[0]], neutral[1])
        torch.testing.assert_close(block(**scene), without(**scene), atol=1e-5, rtol=1e-5)


class TestObjectHalves:
    CLICKS = torch.tensor([[[1.0, 1, 1], [6, 6, -1], [0, 0, 0]]])

    def test_each_cell_is_seen_by_one_sign(self):
        mask = torch.zeros(1, 8, 8)
        mask[0, :4, :4] = 1
        mask[0, 5, 6] = 0.9  # one pixel makes its cell part of the object
        seen = object_halves(mask, self.CLICKS, (4, 4))
        positive, negative = seen[0, 1].reshape(4, 4), seen[0, 2].reshape(4, 4)
        assert torch.equal(positive, ~negative)
        assert positive.nonzero().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [2, 3]]

    @pytest.mark.parametrize(("value", "sign"), [(0.0, 1), (1.0, -1)], ids=["no object yet", "all is object"])
    def test_an_empty_half_is_plain_attention(self, value, sign):
        clicks = torch.tensor([[[1.0, 1, sign]]])
        assert object_halves(torch.full((1, 8, 8), value), clicks, (4, 4)).all()

    def test_the_slot_sees_everything(self):
        mask = torch.zeros(1, 8, 8)
        mask[0, :4] = 1
        assert object_halves(mask, self.CLICKS, (4, 4))[:, 0].all()
        assert object_halves(mask, self.CLICKS[:, :0], (4, 4)).shape == (1, 1, 16)


@torch.no_grad()
class TestSparsePrompts:
    def test_a_place_is_the_same_on_images_of_any_size(self):
        prompts = SparsePrompts(WIDTH)
        small = prompts(torch.tensor([[[4.5, 9.5, 1.0]]]), (10, 20))
        large = prompts(torch.tensor([[[49.5, 99.5, 1.0]]]), (100, 200))
        torch.testing.assert_close(small, large, atol=1e-5, rtol=0)

    def test_signs_and_places_differ(self):
        prompts = SparsePrompts(WIDTH)
        found = prompts(torch.tensor([[[4.0, 9, 1], [4, 9, -1], [5, 9, 1], [0, 0, 0]]]), (10, 20))[0]
        assert found.shape == (5, WIDTH)
        assert not torch.allclose(found[1], found[2]) and not torch.allclose(found[1], found[3])
        assert not found[4].any()

    def test_a_click_in_the_middle_of_a_cell_is_where_the_cell_is(self):
        prompts = SparsePrompts(WIDTH)
        grid = prompts.embed_grid((4, 5))[0].reshape(4, 5, WIDTH)
        click = prompts.embed_places(torch.tensor([[2.5 / 4, 1.5 / 5]]))
        torch.testing.assert_close(grid[2, 1], click[0])


@torch.no_grad()
class TestLookBack:
    @pytest.fixture
    def look(self):
        torch.manual_seed(0)
        look_back = LookBack(config(), WIDTH).eval()
        scene = {
            "image": torch.randn(2, N_CELLS, WIDTH),
            "places": torch.randn(1, N_CELLS, WIDTH),
            "sparse": torch.randn(2, 4, WIDTH),
            "order": torch.zeros(2, 4, N_CELLS),
            "is_used": torch.tensor([[True, True, False, True]]).expand(2, -1),
        }
        return look_back, scene

    def test_padding_is_not_seen(self, look):
        look_back, scene = look
        before = look_back(**scene)
        scene["sparse"][:, 2] += 10
        torch.testing.assert_close(look_back(**scene), before)
        scene["is_used"] = F.pad(torch.zeros(2, 3, dtype=torch.bool), (1, 0), value=True)
        assert look_back(**scene).isfinite().all()

    def test_a_click_is_not_seen_from_another_depth(self, look):
        look_back, scene = look
        with_sigma(look_back, 1e4)
        scene["order"][:, 1, : N_CELLS // 2] = 0.7
        before = look_back(**scene)
        scene["sparse"][:, 1] += 3
        after = look_back(**scene)
        torch.testing.assert_close(after[:, : N_CELLS // 2], before[:, : N_CELLS // 2])
        assert not torch.allclose(after[:, N_CELLS // 2 :], before[:, N_CELLS // 2 :], atol=1e-3)

    def test_without_order_depth_does_not_matter(self, look):
        look_back, scene = look
        without = LookBack(config(uses_order=False), WIDTH).eval()
        without.load_state_dict(look_back.state_dict())
        torch.testing.assert_close(without(**scene), look_back(**scene), atol=1e-6, rtol=1e-5)
        scene["order"][:, 1:] = 0.5
        assert not torch.allclose(without(**scene), look_back(**scene), atol=1e-3)
