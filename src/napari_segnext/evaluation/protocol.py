"""The evaluation protocol: a simulated user clicks on one object after another, and each answer is measured.

1. Each image is read and encoded once.
2. For each of its objects the user gives a first prompt on an empty mask.
3. The model answers all prompts so far, and the last probability is fed back as previous mask.
4. The answer's IoU is noted, and the user looks at its mask to give the next prompt.
5. After the last click the object's result is handed out; the caller may stop there and keep what he has.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch

from napari_segnext.evaluation.metrics import iou
from napari_segnext.prompts import Click, Prompt, Prompts
from napari_segnext.prompts.simulated_user import next_click
from napari_segnext.session import EmbeddingCache, Session, predict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from napari_segnext._types import Image, Mask
    from napari_segnext.datasets import ImageSample
    from napari_segnext.models.interface import ImageEmbedding, InteractiveModel

    SimulatedUser: TypeAlias = Callable[[NDArray[np.int8], Mask, Prompts], Prompt]
    """(truth, mask so far, prompts so far) → the next prompt."""


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """How long the user clicks, and where the mask begins.

    Attributes
    ----------
    max_clicks
        Greatest number of prompts per object.
    threshold
        Probability above which a pixel belongs to the mask; the original's evaluation uses 0.49.
    target_iou
        Stop at the first answer with this IoU; None runs all clicks, which mIoU@k needs.
    """

    max_clicks: int = 20
    threshold: float = 0.49
    target_iou: float | None = None

    def __post_init__(self) -> None:
        if self.max_clicks < 1:
            raise ValueError(f"max_clicks is {self.max_clicks}; expected at least 1.")
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold is {self.threshold}; expected a probability between 0 and 1.")
        if self.target_iou is not None and not 0 < self.target_iou <= 1:
            raise ValueError(f"target_iou is {self.target_iou}; expected an IoU in (0, 1], or None for all clicks.")


@dataclass(frozen=True, slots=True)
class ObjectRun:
    """What one object took.

    Attributes
    ----------
    prompts
        What the user gave, in order.
    ious
        float32 numbers, after each prompt.
    seconds_per_click
        Mean wall time of a prediction, without encoding, without the user.
    """

    prompts: Prompts
    ious: tuple[float, ...]
    seconds_per_click: float


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """An object's run within a dataset.

    Attributes
    ----------
    id, group, image_id
        Of the object, of its image's group (its domain), and of its image.
    run
        The run.
    seconds_encode
        Wall time to preprocess and encode the image.
    """

    id: str
    group: str
    image_id: str
    run: ObjectRun
    seconds_encode: float

    @property
    def ious(self) -> tuple[float, ...]:
        """IoU after each click."""
        return self.run.ious


def click_on_largest_error(truth: NDArray[np.int8], mask: Mask, prompts: Prompts) -> Click:
    """The original's simulated user, who only clicks; see `next_click`."""
    return next_click(truth, mask, already_clicked=[prompt for prompt in prompts if isinstance(prompt, Click)])


def evaluate_object(
    model: InteractiveModel,
    embedding: ImageEmbedding,
    truth: NDArray[np.int8],
    *,
    settings: EvaluationSettings | None = None,
    user: SimulatedUser = click_on_largest_error,
) -> ObjectRun:
    """Let a simulated user segment one object.

    Parameters
    ----------
    model
        The model that made the embedding.
    embedding
        Of the object's image.
    truth
        `(H, W)` int8: 1 object, 0 background, -1 ignored.
    settings
        Number of clicks and threshold; by default those of the original.
    user
        Gives the next prompt. One that begins with a box looks whether there are prompts so far.

    Returns
    -------
    ObjectRun
        IoUs and prompts, as many as there were clicks.

    Raises
    ------
    ValueError
        If the truth has not the shape of the image, or holds no object.
    """
    settings = EvaluationSettings() if settings is None else settings
    if truth.shape != embedding.image_shape:
        raise ValueError(
            f"truth has shape {truth.shape}; expected {embedding.image_shape}, the shape of the image. "
            "Check that the two files belong together."
        )
    if not (truth == 1).any():
        raise ValueError("truth holds no object; expected at least one pixel with the value 1. Leave this object out.")
    prompts, mask, probability = Prompts(), np.zeros(truth.shape, dtype=bool), None
    ious: list[float] = []
    seconds = 0.0
    while len(ious) < settings.max_clicks:
        prompts = prompts.adding(user(truth, mask, prompts))
        start = time.perf_counter()
        prediction = predict(model, embedding, prompts, probability, threshold=settings.threshold)
        seconds += time.perf_counter() - start
        mask, probability = prediction.mask, prediction.probability
        ious.append(float(np.float32(iou(truth, mask))))
        if settings.target_iou is not None and ious[-1] >= settings.target_iou:
            break
    return ObjectRun(prompts, tuple(ious), seconds / len(ious))


def evaluate(
    model: InteractiveModel,
    images: Iterable[ImageSample],
    *,
    settings: EvaluationSettings | None = None,
    user: SimulatedUser = click_on_largest_error,
) -> Iterator[ObjectResult]:
    """Let a simulated user segment all objects of a dataset, one after another.

    Nothing happens before the first result is asked for. To cancel, stop asking: the results so far are whole.

    Parameters
    ----------
    model
        Any `InteractiveModel`.
    images
        A `Dataset`, or any images with objects. Images without objects are passed over and not encoded.
    settings, user
        As of `evaluate_object`.

    Yields
    ------
    ObjectResult
        In the order of the images and their objects.
    """
    for sample in images:
        loaded = sample.read()
        if not loaded.objects:
            continue
        embedding, seconds_encode = _timed_encoding(model, loaded.image)
        for item in loaded.objects:
            run = evaluate_object(model, embedding, loaded.truth_of(item), settings=settings, user=user)
            yield ObjectResult(item.id, item.group, sample.id, run, seconds_encode)


def _timed_encoding(model: InteractiveModel, image: Image) -> tuple[ImageEmbedding, float]:
    """Embedding made anew (no shared cache), and the wall time in seconds until it is really there."""
    start = time.perf_counter()
    embedding = Session(model, image, cache=EmbeddingCache(max_entries=1)).embedding
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
    return embedding, time.perf_counter() - start
