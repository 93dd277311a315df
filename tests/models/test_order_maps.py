"""Depth on one scale, and how far in depth each place lies from the clicks (OIS, equations 1 and 2)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_segnext.models.order_maps import compute_order_maps, compute_positive_order, scale_depth


def clicks(*rows: tuple[float, float, float]) -> torch.Tensor:
    return torch.tensor([rows], dtype=torch.float32)


@pytest.fixture
def stairs() -> torch.Tensor:
    """Depth 0, 0.25, 0.5 and 0.75 in four vertical stripes of two pixels each."""
    return (torch.arange(8) // 2 * 0.25).expand(1, 1, 8, 8).clone()


class TestScaleDepth:
    def test_percentiles_become_0_and_1_whatever_the_unit(self):
        depth = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 1, 40, 50)))
        scaled = scale_depth(depth)
        low, high = np.quantile(depth.numpy(), [0.02, 0.98])
        expected = np.clip((depth.numpy() - low) / (high - low), 0, 1)
        # quantiles are those of whole places, not between them
        np.testing.assert_allclose(scaled.numpy(), expected, atol=0.005)
        torch.testing.assert_close(scale_depth(1000 * depth - 7), scaled, atol=1e-5, rtol=0)

    def test_the_other_direction_turns_the_scale_round(self):
        depth = torch.linspace(3, 9, 101).reshape(1, 1, 1, 101)
        torch.testing.assert_close(scale_depth(-depth), 1 - scale_depth(depth), atol=1e-6, rtol=0)

    @pytest.mark.parametrize("value", [0.0, 3.5, -1e6], ids=["zero", "some", "far below zero"])
    def test_a_flat_image_has_depth_0(self, value):
        assert not scale_depth(torch.full((1, 1, 5, 6), value)).any()

    def test_unknown_places_get_the_median_of_the_known(self):
        depth = torch.linspace(0, 1, 100).reshape(1, 1, 10, 10).clone()
        depth[0, 0, 0, 0] = torch.nan
        depth[0, 0, 9, 9] = torch.inf
        scaled = scale_depth(depth)
        assert scaled.isfinite().all()
        assert scaled[0, 0, 0, 0] == scaled[0, 0, 9, 9] == pytest.approx(0.5, abs=0.02)

    def test_nothing_known_is_flat(self):
        assert not scale_depth(torch.full((2, 1, 4, 4), torch.nan)).any()

    def test_images_of_a_batch_are_scaled_each_for_itself(self):
        depth = torch.stack([torch.linspace(0, 1, 64), torch.linspace(5, 90, 64)]).reshape(2, 1, 8, 8)
        scaled = scale_depth(depth)
        torch.testing.assert_close(scaled[0], scaled[1], atol=1e-5, rtol=0)


class TestOrderMaps:
    def test_positive_clicks_share_the_distance_to_their_mean_depth(self, stairs):
        maps = compute_order_maps(stairs, clicks((0, 0, 1), (3, 5, 1)), (8, 8), (8, 8))
        expected = (stairs[0, 0] - 0.25).abs()  # the mean of 0 and 0.5
        torch.testing.assert_close(maps[0, 0], expected)
        torch.testing.assert_close(maps[0, 1], expected)

    def test_each_negative_click_has_its_own(self, stairs):
        maps = compute_order_maps(stairs, clicks((0, 0, 1), (3, 5, -1), (7, 7, -1)), (8, 8), (8, 8))
        torch.testing.assert_close(maps[0, 0], stairs[0, 0])
        torch.testing.assert_close(maps[0, 1], (stairs[0, 0] - 0.5).abs())
        torch.testing.assert_close(maps[0, 2], (stairs[0, 0] - 0.75).abs())

    def test_negative_clicks_do_not_move_the_positive_map(self, stairs):
        alone = compute_order_maps(stairs, clicks((0, 3, 1)), (8, 8), (8, 8))
        beside = compute_order_maps(stairs, clicks((0, 3, 1), (0, 7, -1)), (8, 8), (8, 8))
        torch.testing.assert_close(beside[:, :1], alone)

    def test_padding_has_no_distance_and_does_not_count(self, stairs):
        padded = compute_order_maps(stairs, clicks((0, 7, 1), (0, 0, 0)), (8, 8), (8, 8))
        alone = compute_order_maps(stairs, clicks((0, 7, 1)), (8, 8), (8, 8))
        torch.testing.assert_close(padded[:, :1], alone)
        assert not padded[:, 1].any()

    def test_cells_are_means_over_their_pixels(self, stairs):
        maps = compute_order_maps(stairs, clicks((0, 0, 1)), (8, 8), (2, 2))
        torch.testing.assert_close(maps[0, 0], torch.tensor([[0.125, 0.625], [0.125, 0.625]]))

    def test_clicks_are_counted_in_pixels_of_the_image(self, stairs):
        """The image has four times the pixels of the depth map a side."""
        maps = compute_order_maps(stairs, clicks((31, 31, 1)), (32, 32), (8, 8))
        torch.testing.assert_close(maps[0, 0], (stairs[0, 0] - 0.75).abs())

    def test_a_click_on_the_very_edge_is_inside(self, stairs):
        maps = compute_order_maps(stairs, clicks((-0.5, 7.49, 1), (7.49, -0.5, -1)), (8, 8), (8, 8))
        assert maps[0, 0, 0, 7] == 0 and maps[0, 1, 0, 0] == 0

    def test_no_clicks(self, stairs):
        assert compute_order_maps(stairs, torch.zeros(3, 0, 3), (8, 8), (4, 4)).shape == (3, 0, 4, 4)

    def test_many_sets_of_clicks_share_one_depth(self, stairs):
        sets = torch.cat([clicks((0, 0, 1)), clicks((0, 7, 1))])
        maps = compute_order_maps(stairs, sets, (8, 8), (8, 8))
        torch.testing.assert_close(maps[1, 0], (stairs[0, 0] - 0.75).abs())


class TestPositiveOrder:
    def test_is_the_map_that_positive_clicks_share(self, stairs):
        prompts = clicks((0, 0, 1), (3, 5, 1), (7, 7, -1), (0, 0, 0))
        shared = compute_positive_order(stairs, prompts, (8, 8), (8, 8))
        torch.testing.assert_close(shared[:, 0], compute_order_maps(stairs, prompts, (8, 8), (8, 8))[:, 0])

    @pytest.mark.parametrize("prompts", [clicks((7, 7, -1)), torch.zeros(1, 0, 3)], ids=["negative ones only", "none"])
    def test_without_positive_clicks_it_is_empty(self, stairs, prompts):
        assert not compute_positive_order(stairs, prompts, (8, 8), (16, 16)).any()

    def test_finer_grids_are_filled_between_the_cells_of_the_depth(self, stairs):
        found = compute_positive_order(stairs, clicks((0, 0, 1)), (8, 8), (32, 32))
        assert found.shape == (1, 1, 32, 32)
        assert found[0, 0, 0].diff().min() >= 0 and found[0, 0, 0, -1] == 0.75
