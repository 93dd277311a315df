"""A volume of oblique bright tubes, and a model that answers the bright parts that it is pointed at."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_segnext.models.interface import ImageEmbedding, ModelIdentity

from .test_interpolation import disk_at

SHAPE = (16, 60, 80)


class BrightPartsModel:
    """Answers the connected bright parts that hold a positive click or most of whose pixels were in the mask before."""

    identity = ModelIdentity("bright parts")
    device = torch.device("cpu")
    prefers_zoom = False

    def __init__(self) -> None:
        self.n_encoded = 0

    def click_radius_px(self, image_shape):
        return 2.0

    def encode_image(self, image):
        self.n_encoded += 1
        return ImageEmbedding((image[None],), (image.shape[-2], image.shape[-1]))

    def predict_logits(self, embedding, clicks, previous_masks):
        parts, n_parts = ndimage.label(embedding.levels[0][0, 0].numpy() > 0.5)
        before = previous_masks[0].numpy() > 0.5
        chosen = {int(parts[int(row), int(column)]) for row, column, sign in clicks[0].tolist() if sign > 0}
        chosen |= {part for part in range(1, n_parts + 1) if (before & (parts == part)).sum() > 0.3 * before.sum()}
        return torch.from_numpy(np.where(np.isin(parts, [*(chosen - {0})]), 4.0, -4.0).astype(np.float32))[None]


def tube(first, stop, start_column, slope, radius=6, row=20):
    """`(Z, Y, X)` bool: a tube from section `first` up to `stop` that moves by `slope` columns in each."""
    mask = np.zeros(SHAPE, bool)
    for z in range(first, stop):
        mask[z] = disk_at(row, start_column + slope * (z - first), radius, SHAPE[1:])
    return mask


@pytest.fixture
def model():
    return BrightPartsModel()


@pytest.fixture
def truth():
    """Label 1 from section 2 to 11, label 2 through all of them."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[tube(2, 12, 20, 2)] = 1
    labels[tube(0, 16, 55, -1, row=42)] = 2
    return labels


@pytest.fixture
def image(truth):
    noise = np.random.default_rng(0).normal(0, 6, SHAPE)
    return np.clip(40 + 180 * (truth > 0) + noise, 0, 255).astype(np.uint8)
