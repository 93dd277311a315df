"""A model that goes on on the processor where the memory of its graphics card does not suffice.

1. Out of memory: what is kept there is let go, and the same is tried again; several sets of prompts one by one.
2. Still out of memory: the model moves to the processor, for good, says so, and the same is tried there.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from napari_segnext.errors import is_out_of_memory
from napari_segnext.models.interface import DepthAwareModel, MirroringModel
from napari_segnext.session.session import forget_shared_embeddings, prefers_zoom

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from napari_segnext._types import Shape2D
    from napari_segnext.models.interface import ImageEmbedding, InteractiveModel, ModelIdentity

FELL_BACK = (
    "The memory of the graphics card does not suffice, so the model computes on the processor, which is slower. "
    "Close other programs that use the card, or choose a smaller model."
)

Result = TypeVar("Result")

_LOGGER = logging.getLogger(__name__)


class CpuFallback:
    """Any model, an `InteractiveModel` itself, that outlives errors for want of memory on its device.

    A model on the processor, or one that has no method `to`, raises them as it is.

    Parameters
    ----------
    model
        The model; it is moved when it falls back.
    on_fallback
        Called when it falls back, on the thread that computes.

    Attributes
    ----------
    identity
        That of the model.
    """

    def __init__(self, model: InteractiveModel, on_fallback: Callable[[], object] = lambda: None) -> None:
        self._model: Any = model
        self._on_fallback = on_fallback
        self._has_fallen_back = False
        self.identity: ModelIdentity = model.identity

    @property
    def device(self) -> torch.device:
        """Where the weights lie now."""
        device: torch.device = self._model.device
        return device

    @property
    def precision(self) -> str:
        """As the model; float32 if it does not say."""
        return str(getattr(self._model, "precision", "float32"))

    @property
    def prefers_zoom(self) -> bool:
        """As the model."""
        return prefers_zoom(self._model)

    @property
    def notice(self) -> str:
        """What the user should know; empty as long as the device suffices."""
        return FELL_BACK if self._has_fallen_back else ""

    def click_radius_px(self, image_shape: Shape2D) -> float:
        """As the model."""
        return float(self._model.click_radius_px(image_shape))

    def encode_image(self, image: Tensor) -> ImageEmbedding:
        """As the model; on the processor if need be."""
        return self._encoded("encode_image", image)

    @property
    def sees_mirrored(self) -> bool:
        """As the model; False if it cannot encode one way."""
        return isinstance(self._model, MirroringModel) and self._model.sees_mirrored

    def encode_one_way(self, image: Tensor) -> ImageEmbedding:
        """As a model that can; on the processor if need be."""
        return self._encoded("encode_one_way", image)

    def _encoded(self, method: str, image: Tensor) -> ImageEmbedding:
        def encode() -> ImageEmbedding:
            embedding: ImageEmbedding = getattr(self._model, method)(image)
            return embedding

        return self._tried(encode, encode)

    def predict_logits(self, embedding: ImageEmbedding, clicks: Tensor, previous_masks: Tensor) -> Tensor:
        """As the model; one set of prompts after the other, or on the processor, if need be."""

        def predict(which: slice = slice(None)) -> Tensor:
            device = self.device
            logits: Tensor = self._model.predict_logits(
                embedding.to(device), clicks[which].to(device), previous_masks[which].to(device)
            )
            return logits

        def predict_one_by_one() -> Tensor:
            return torch.cat([predict(slice(i, i + 1)) for i in range(len(clicks))])

        return self._tried(predict, predict_one_by_one if len(clicks) > 1 else predict)

    def fall_back(self) -> None:
        """Move to the processor, for good, and say so."""
        if not _is_on_processor(self._model):
            self._model.to("cpu")
            _free_memory()
        self._has_fallen_back = True
        _LOGGER.warning(FELL_BACK)
        self._on_fallback()

    def _tried(self, first: Callable[[], Result], then: Callable[[], Result]) -> Result:
        if _is_on_processor(self._model) or not hasattr(self._model, "to"):
            return first()
        for attempt in (first, then):
            try:
                return attempt()
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            # only here, past the error, is let go what the error holds
            _free_memory()
        self.fall_back()
        return first()


class DepthAwareFallback(CpuFallback):
    """The same of a model that reads depth, a `DepthAwareModel` itself; what it says of depth takes next to nothing."""

    def depth_map(self, embedding: ImageEmbedding) -> Tensor:
        """As the model."""
        depth: Tensor = self._model.depth_map(embedding)
        return depth

    def with_depth(self, embedding: ImageEmbedding, depth: Tensor) -> ImageEmbedding:
        """As the model."""
        changed: ImageEmbedding = self._model.with_depth(embedding, depth)
        return changed

    def order_map(self, embedding: ImageEmbedding, clicks: Tensor) -> Tensor:
        """As the model."""
        order: Tensor = self._model.order_map(embedding, clicks)
        return order


def guarded(model: InteractiveModel, on_fallback: Callable[[], object] = lambda: None) -> CpuFallback:
    """A model that falls back to the processor, and reads depth if the model does; see `CpuFallback`."""
    kind = DepthAwareFallback if isinstance(model, DepthAwareModel) else CpuFallback
    return kind(model, on_fallback)


def load_with_fallback(
    load_model: Callable[[str, str], InteractiveModel],
    name: str,
    device: str,
    on_fallback: Callable[[], object] = lambda: None,
) -> CpuFallback:
    """Load a model that falls back to the processor, at once if its weights find no room on the device.

    Parameters
    ----------
    load_model
        (name or path, device) → model, such as `napari_segnext.load_model`.
    name, device
        What it is called with.
    on_fallback
        As of `CpuFallback`.
    """
    try:
        return guarded(load_model(name, device), on_fallback)
    except Exception as error:
        if device == "cpu" or not is_out_of_memory(error):
            raise
    _free_memory()
    model = guarded(load_model(name, "cpu"), on_fallback)
    model.fall_back()
    return model


def _is_on_processor(model: Any) -> bool:
    return bool(model.device.type == "cpu")


def _free_memory() -> None:
    """Let go what is kept on graphics cards, and give it back to them."""
    forget_shared_embeddings()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
