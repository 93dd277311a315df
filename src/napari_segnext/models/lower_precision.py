"""A model that computes in 16 bits: about half the time on graphics cards, and on processors with units for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from napari_segnext.models.interface import ImageEmbedding, InteractiveModel, ModelIdentity

    Precision = Literal["fp32", "bf16", "fp16"]

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class LowerPrecision:
    """An `InteractiveModel` around another one, whose matrix products are computed in 16 bits.

    Weights, embeddings and answers stay float32, so what a session does beside the model is the same. Everything else
    that the model has is its own.

    Parameters
    ----------
    model
        With float32 weights.
    precision
        "bf16" or "fp16".

    Notes
    -----
    `torch.autocast`. Embeddings of both precisions are told apart in caches by `precision`. Accuracy and speed are in
    `docs/explanation/speed.md`.
    """

    def __init__(self, model: InteractiveModel, precision: Literal["bf16", "fp16"]) -> None:
        self._model: Any = model
        self._dtype = DTYPES[precision]
        self.identity: ModelIdentity = model.identity
        self.precision = precision
        """What caches tell embeddings apart by."""

    @property
    def device(self) -> torch.device:
        """Where the weights lie and the work is done."""
        device: torch.device = self._model.device
        return device

    def click_radius_px(self, image_shape: tuple[int, int]) -> float:
        """As of the model."""
        return float(self._model.click_radius_px(image_shape))

    def encode_image(self, image: Tensor) -> ImageEmbedding:
        """As of the model; the levels are float32."""
        return self._encoded(self._model.encode_image, image)

    def encode_one_way(self, image: Tensor) -> ImageEmbedding:
        """As of a model that can; the levels are float32."""
        return self._encoded(self._model.encode_one_way, image)

    def _encoded(self, encode: Callable[[Tensor], ImageEmbedding], image: Tensor) -> ImageEmbedding:
        with torch.autocast(self.device.type, self._dtype):
            embedding = encode(image)
        return replace(embedding, levels=tuple(level.float() for level in embedding.levels))

    def predict_logits(self, embedding: ImageEmbedding, clicks: Tensor, previous_masks: Tensor) -> Tensor:
        """As of the model; float32."""
        with torch.autocast(self.device.type, self._dtype):
            logits: Tensor = self._model.predict_logits(embedding, clicks, previous_masks)
        return logits.float()

    def to(self, device: torch.device | str) -> LowerPrecision:
        """The same, with the weights on another device."""
        self._model = self._model.to(device)
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._model, name)


def in_precision(model: InteractiveModel, precision: Precision) -> InteractiveModel:
    """The model itself for "fp32", or one around it that computes in 16 bits.

    Raises
    ------
    ValueError
        If there is no such precision.
    """
    if precision == "fp32":
        return model
    if precision not in DTYPES:
        raise ValueError(f"precision is {precision!r}; expected 'fp32', 'bf16' or 'fp16'.")
    return LowerPrecision(model, precision)
