from __future__ import annotations

import pytest
import torch

from napari_segnext.models.prompt_map import draw_prompt_map

NO_MASK = torch.zeros(1, 32, 32)


def drawn(*clicks, shape=(32, 32), radius_px=5.0, previous=NO_MASK, **options):
    return draw_prompt_map(torch.tensor([clicks]).reshape(1, -1, 3), previous, shape, radius_px=radius_px, **options)


def test_click_becomes_a_disk_of_81_pixels_in_the_channel_of_its_sign():
    prompt_map = drawn((16.0, 16.0, 1.0))
    assert prompt_map[0].sum(dim=(1, 2)).tolist() == [0, 81, 0]
    assert drawn((16.0, 16.0, -1.0))[0].sum(dim=(1, 2)).tolist() == [0, 0, 81]


def test_no_click_draws_nothing():
    assert drawn().shape == (1, 3, 32, 32)
    assert drawn().sum() == 0


def test_padding_draws_nothing():
    torch.testing.assert_close(drawn((16.0, 16.0, 1.0), (0.0, 0.0, 0.0)), drawn((16.0, 16.0, 1.0)))


def test_disks_of_one_sign_merge_and_their_order_does_not_matter():
    one, other = (10.0, 10.0, 1.0), (12.0, 12.0, 1.0)
    torch.testing.assert_close(drawn(one, other), drawn(other, one))
    assert drawn(one, other).max() == 1


@pytest.mark.parametrize("corner", [(0.0, 0.0), (0.0, 31.0), (31.0, 0.0), (31.0, 31.0)], ids=str)
def test_disk_in_a_corner_is_cut_off_and_does_not_wrap_around(corner):
    disk = drawn((*corner, 1.0))[0, 1]
    assert 20 <= disk.sum() <= 36
    rows, columns = disk.nonzero(as_tuple=True)
    assert ((rows - corner[0]) ** 2 + (columns - corner[1]) ** 2 <= 25).all()


def test_last_row_of_a_large_image_may_fall_one_off_the_map_and_keeps_its_visible_part():
    disk = drawn((127.0, 64.0, 1.0), previous=torch.zeros(1, 128, 128))[0, 1]
    assert disk.sum() > 0
    assert disk[-1].sum() == disk.sum(dim=1).max()


def test_flipping_image_positions_flips_the_map():
    left = drawn((7.0, 5.0, 1.0), (20.0, 9.0, -1.0))
    right = drawn((7.0, 26.0, 1.0), (20.0, 22.0, -1.0))
    torch.testing.assert_close(left.flip(-1), right)


def test_previous_mask_is_resized_into_the_first_channel():
    previous = torch.zeros(1, 16, 16)
    previous[:, :8] = 1
    channel = drawn(previous=previous)[0, 0]
    assert channel[:14].min() == 1
    assert channel[18:].max() == 0


def test_distance_maps_rise_from_the_click_and_are_one_without_clicks():
    maps = drawn((16.0, 16.0, 1.0), uses_disks=False)[0]
    assert maps[1, 16, 16] == 0
    assert (maps[1, 16, 17:].diff() >= 0).all()
    assert maps[2].min() == 1
