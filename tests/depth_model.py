"""A model that reads depth: it answers whatever lies near the positive clicks, or the mask before, in depth."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from .conftest import FakeModel

if TYPE_CHECKING:
    from napari_segnext.models.interface import ImageEmbedding

NEAR = 0.1
"""Order distance up to which a pixel belongs to the object."""


class DepthModel(FakeModel):
    """Sees a depth of its own that grows from the first row (0) to the last (1).

    It counts its calls, and notes on which threads it said something about depth.
    """

    def __init__(self, name: str = "depth model", sha256: str = "") -> None:
        super().__init__(name, sha256)
        self.threads: set[str] = set()

    def encode_image(self, image: torch.Tensor) -> ImageEmbedding:
        embedding = super().encode_image(image)
        rows, columns = embedding.image_shape
        ramp = torch.linspace(0, 1, rows)[:, None].expand(rows, columns)[None, None]
        return replace(embedding, levels=(*embedding.levels, ramp))

    def predict_logits(
        self, embedding: ImageEmbedding, clicks: torch.Tensor, previous_masks: torch.Tensor
    ) -> torch.Tensor:
        self.n_predicted += 1
        answers = []
        for one, previous in zip(clicks, previous_masks, strict=True):
            if not (one[:, 2] > 0).any() and (previous > 0.5).any():
                # a mask alone: the pixel in the middle of it stands for it
                middle = (previous > 0.5).nonzero().median(dim=0).values
                one = torch.cat([middle, torch.ones(1)])[None]
            answers.append(torch.where(self.order_map(embedding, one) <= NEAR, 4.0, -4.0))
        return torch.stack(answers)

    def depth_map(self, embedding: ImageEmbedding) -> torch.Tensor:
        self.threads.add(threading.current_thread().name)
        return embedding.levels[-1][0, 0]

    def with_depth(self, embedding: ImageEmbedding, depth: torch.Tensor) -> ImageEmbedding:
        return replace(embedding, levels=(*embedding.levels[:-1], depth.float()[None, None]))

    def order_map(self, embedding: ImageEmbedding, clicks: torch.Tensor) -> torch.Tensor:
        depth = self.depth_map(embedding)
        positive = clicks[clicks[:, 2] > 0].round().long()
        return (depth - depth[positive[:, 0], positive[:, 1]].mean()).abs()
