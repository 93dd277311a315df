from __future__ import annotations

import numpy as np
import torch

from napari_segnext.training.augment import Extent, random_crop_matrix, random_look, warp


def test_object_lies_in_its_crop():
    labels = np.zeros((200, 300), np.float32)
    labels[50:90, 120:180] = 1
    for seed in range(40):
        matrix = random_crop_matrix(
            np.random.default_rng(seed), labels.shape, Extent(50, 120, 90, 180), 64, view_px=512
        )
        crop = warp(torch.from_numpy(labels)[None], matrix, 64, is_label=True)
        assert crop.sum() >= 8


def test_image_and_labels_are_moved_alike():
    labels = torch.zeros(1, 120, 120)
    labels[0, 40:80, 30:60] = 1
    for seed in range(10):
        matrix = random_crop_matrix(np.random.default_rng(seed), (120, 120), Extent(40, 30, 80, 60), 64, view_px=512)
        as_label = warp(labels, matrix, 64, is_label=True)[0]
        as_image = warp(labels, matrix, 64, is_label=False)[0]
        # outside the image labels are 0 and the image is mirrored
        is_inside = warp(torch.ones_like(labels), matrix, 64, is_label=True)[0] > 0.5
        assert is_inside.any()
        assert ((as_image > 0.5) != (as_label > 0.5))[is_inside].float().mean() < 0.03


def test_identity_map_gives_the_pixels_back():
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(warp(image, np.eye(2, 3), 32, is_label=False), image, atol=1e-5, rtol=0)


def test_looks_stay_in_range_and_differ():
    image = torch.rand(3, 24, 24, generator=torch.Generator().manual_seed(0))
    looks = [random_look(np.random.default_rng(seed), image) for seed in range(30)]
    assert all(look.shape == image.shape and look.min() >= 0 and look.max() <= 1 for look in looks)
    assert len({float(look.sum()) for look in looks}) > 20


def test_fine_patterns_do_not_alias_when_an_image_is_shrunk():
    image = torch.zeros(1, 256, 256)
    image[:, ::2] = 1  # stripes of one pixel: grey from afar
    shrunk = warp(image, np.array([[4.0, 0, 1.5], [0, 4.0, 1.5]]), 60, is_label=False)
    assert float((shrunk - 0.5).abs().max()) < 0.05


def test_shrinking_moves_nothing():
    image = torch.arange(240.0)[None, :, None].expand(1, 240, 240)
    shrunk = warp(image, np.array([[3.0, 0, 10], [0, 3.0, 10]]), 50, is_label=False)
    torch.testing.assert_close(shrunk[0, :, 0], 3.0 * torch.arange(50) + 10, atol=0.01, rtol=0)
