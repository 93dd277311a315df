"""Prediction as a pure function of model, embedding, prompts and previous probability."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from napari_segnext._types import Mask, Probability
    from napari_segnext.models.interface import ImageEmbedding, InteractiveModel
    from napari_segnext.prompts import Prompts

DEFAULT_THRESHOLD = 0.5
"""Probability above which a pixel belongs to the object. The original's evaluation uses 0.49."""


@dataclass(frozen=True)
class Prediction:
    """A model's answer for one object on one image.

    Attributes
    ----------
    probability
        `(H, W)` float32 in [0, 1], read-only.
    threshold
        Probability above which a pixel belongs to the mask.
    """

    probability: Probability
    threshold: float = DEFAULT_THRESHOLD

    @cached_property
    def mask(self) -> Mask:
        """`(H, W)` bool, read-only."""
        mask = self.probability > self.threshold
        mask.setflags(write=False)
        return mask


def predict(
    model: InteractiveModel,
    embedding: ImageEmbedding,
    prompts: Prompts,
    previous_probability: Probability | None = None,
    *,
    threshold: float = DEFAULT_THRESHOLD,
) -> Prediction:
    """Answer all prompts at once.

    Parameters
    ----------
    model
        The model that made the embedding.
    embedding
        Of the image.
    prompts
        All prompts of the object so far; their masks are not read here, see `previous_probability`.
    previous_probability
        `(H, W)` float in [0, 1], the last answer or a mask to start from; None for none.
    threshold
        Of the prediction's mask.

    Raises
    ------
    PromptError
        If a prompt lies wholly outside the image or a mask has another shape.

    Notes
    -----
    The previous mask is fed back as probability, neither thresholded nor as logits, as the original does.
    """
    image_shape = embedding.image_shape
    clicks = prompts.as_clicks(image_shape, spacing_px=model.click_radius_px(image_shape))
    if previous_probability is None:
        previous_probability = np.zeros(image_shape, np.float32)
    with torch.inference_mode():
        logits = model.predict_logits(
            embedding,
            torch.from_numpy(clicks)[None].to(model.device),
            torch.from_numpy(np.array(previous_probability, dtype=np.float32))[None].to(model.device),
        )
        probability = torch.sigmoid(logits[0].float()).cpu().numpy()
    probability.setflags(write=False)
    return Prediction(probability, threshold)
