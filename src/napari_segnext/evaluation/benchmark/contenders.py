"""Whoever is timed: encodes an image, then answers prompts on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from napari_segnext._types import Shape2D
    from napari_segnext.models.interface import ImageEmbedding, InteractiveModel


@dataclass(frozen=True, slots=True)
class Prompting:
    """`B` sets of prompts on one image.

    Attributes
    ----------
    clicks
        `(B, n, 3)` float32 in pixels of the image: row, column, sign.
    previous_masks
        `(B, H, W)` float32 in [0, 1]; None before the first answer.
    image_shape
        (rows, columns).
    """

    clicks: Tensor
    previous_masks: Tensor | None
    image_shape: Shape2D

    def masks(self) -> Tensor:
        """The previous masks; zeros if there are none."""
        if self.previous_masks is not None:
            return self.previous_masks
        return torch.zeros(len(self.clicks), *self.image_shape, device=self.clicks.device)


class Contender(Protocol):
    """A network that is timed. Its answers are computed and thrown away."""

    name: str

    @property
    def device(self) -> torch.device:
        """Where it works."""
        ...

    def encode(self, image: Tensor) -> Any:
        """Encode `(3, H, W)` float32 in [0, 1]; what comes out is new, and nothing is kept elsewhere."""
        ...

    def answer(self, encoded: Any, prompting: Prompting) -> Tensor:
        """Logits `(B, H, W)` at the size of the image."""
        ...

    def forget_prepared(self, encoded: Any) -> None:
        """Drop what earlier prompts have left with an encoded image, as if none had been given."""
        ...


class ModelContender:
    """An `InteractiveModel`, as sessions use it.

    Parameters
    ----------
    name
        In tables.
    model
        The model; its device counts.
    """

    def __init__(self, name: str, model: InteractiveModel) -> None:
        self.name, self._model = name, model

    @property
    def device(self) -> torch.device:
        """Where it works."""
        return self._model.device

    def encode(self, image: Tensor) -> ImageEmbedding:
        """Encode `(3, H, W)`."""
        return self._model.encode_image(image)

    def answer(self, encoded: ImageEmbedding, prompting: Prompting) -> Tensor:
        """Logits `(B, H, W)`."""
        return self._model.predict_logits(encoded, prompting.clicks, prompting.masks())

    def forget_prepared(self, encoded: ImageEmbedding) -> None:
        """Drop what the model keeps with the embedding."""
        encoded.prepared.clear()
