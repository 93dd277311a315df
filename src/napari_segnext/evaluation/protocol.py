"""The evaluation protocol: a simulated user clicks on one object after another, and each answer is measured.

1. Each image is read once, and every method opens it (a network encodes it).
2. For each of its objects the user gives a first prompt on an empty mask.
3. The method answers all prompts so far; a network reads its last probability as previous mask.
4. The answer is measured, and the user looks at its mask to give the next prompt.
5. When all methods have done an object its results are handed out; the caller may stop there and keep what he has.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from napari_segnext.evaluation.methods import ORIGINAL_THRESHOLD, ImageWork, Method, SessionMethod, open_loaded
from napari_segnext.evaluation.metrics import boundary_iou, iou
from napari_segnext.prompts import Click, Prompt, Prompts
from napari_segnext.prompts.simulated_prompts import PromptKind, first_prompt
from napari_segnext.prompts.simulated_user import next_click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_segnext._types import Mask
    from napari_segnext.datasets import ImageSample
    from napari_segnext.datasets.samples import LoadedImage
    from napari_segnext.models.interface import InteractiveModel

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
        Probability above which a pixel belongs to the mask; the original's evaluation uses 0.49. Methods that are made
        by their caller have their own.
    target_iou
        Stop at the first answer with this IoU; None runs all clicks, which mIoU@k needs.
    """

    max_clicks: int = 20
    threshold: float = ORIGINAL_THRESHOLD
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
        Mean wall time of an answer, without opening the image, without the user. With zoom it includes the encoding of
        windows that were not looked at before.
    boundary_ious
        float32 numbers, after each prompt; empty if they were not measured.
    """

    prompts: Prompts
    ious: tuple[float, ...]
    seconds_per_click: float
    boundary_ious: tuple[float, ...] = ()


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
        Wall time to open the image: to preprocess it and, with a network, to encode it.
    method
        Name of the method that answered.
    first_prompt
        Kind of the first prompt.
    """

    id: str
    group: str
    image_id: str
    run: ObjectRun
    seconds_encode: float
    method: str = ""
    first_prompt: PromptKind = "click"

    @property
    def ious(self) -> tuple[float, ...]:
        """IoU after each prompt."""
        return self.run.ious

    @property
    def boundary_ious(self) -> tuple[float, ...]:
        """Boundary IoU after each prompt."""
        return self.run.boundary_ious


@dataclass(frozen=True, slots=True)
class Contestant:
    """A method and the conditions under which it is evaluated.

    Attributes
    ----------
    method
        The method.
    settings
        Its clicks. Their threshold is not read, the method has its own.
    """

    method: Method
    settings: EvaluationSettings = EvaluationSettings()


def click_on_largest_error(truth: NDArray[np.int8], mask: Mask, prompts: Prompts) -> Click:
    """The original's simulated user, who only clicks; see `next_click`."""
    return next_click(truth, mask, already_clicked=[prompt for prompt in prompts if isinstance(prompt, Click)])


def user_beginning_with(kind: PromptKind) -> SimulatedUser:
    """A user who gives one prompt of a kind first, then clicks on the largest error.

    Parameters
    ----------
    kind
        See `first_prompt`; with ``"click"`` it is the original's user.
    """

    def user(truth: NDArray[np.int8], mask: Mask, prompts: Prompts) -> Prompt:
        return click_on_largest_error(truth, mask, prompts) if len(prompts) else first_prompt(truth, kind)

    return user


def evaluate_object(
    work: ImageWork,
    truth: NDArray[np.int8],
    *,
    settings: EvaluationSettings | None = None,
    user: SimulatedUser = click_on_largest_error,
) -> ObjectRun:
    """Let a simulated user segment one object.

    Parameters
    ----------
    work
        The object's image, opened by a method; a `Session` is one. Its prompts so far are forgotten.
    truth
        `(H, W)` int8: 1 object, 0 background, -1 ignored.
    settings
        Number of clicks; by default that of the original.
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
    _require_object(truth, work)
    work.reset()
    prompts, mask = Prompts(), np.zeros(truth.shape, dtype=bool)
    ious: list[float] = []
    boundary_ious: list[float] = []
    seconds = 0.0
    while len(ious) < settings.max_clicks:
        prompt = user(truth, mask, prompts)
        start = time.perf_counter()
        mask = work.add(prompt).mask
        seconds += time.perf_counter() - start
        prompts = prompts.adding(prompt)
        ious.append(float(np.float32(iou(truth, mask))))
        boundary_ious.append(float(np.float32(boundary_iou(truth, mask))))
        if settings.target_iou is not None and ious[-1] >= settings.target_iou:
            break
    return ObjectRun(prompts, tuple(ious), seconds / len(ious), tuple(boundary_ious))


def evaluate(
    model: InteractiveModel,
    images: Iterable[ImageSample],
    *,
    settings: EvaluationSettings | None = None,
    user: SimulatedUser = click_on_largest_error,
    zoom: bool | None = False,
) -> Iterator[ObjectResult]:
    """Let a simulated user segment all objects of a dataset with a network, one after another.

    Nothing happens before the first result is asked for. To cancel, stop asking: the results so far are whole.

    Parameters
    ----------
    model
        Any `InteractiveModel`.
    images
        A `Dataset`, or any images with objects. Images without objects are passed over and not encoded.
    settings, user
        As of `evaluate_object`.
    zoom
        As of `SessionMethod`; False is the protocol of the original.

    Yields
    ------
    ObjectResult
        In the order of the images and their objects.
    """
    settings = EvaluationSettings() if settings is None else settings
    method = SessionMethod(model, zoom=zoom, threshold=settings.threshold)
    for sample in images:
        loaded = sample.read()
        if not loaded.objects:
            continue
        work, seconds_encode = _timed_opening(method, loaded)
        for item in loaded.objects:
            run = evaluate_object(work, loaded.truth_of(item), settings=settings, user=user)
            yield ObjectResult(item.id, item.group, sample.id, run, seconds_encode, method.name)


def evaluate_side_by_side(
    contestants: Sequence[Contestant],
    images: Iterable[ImageSample],
    *,
    first_prompts: Sequence[PromptKind] = ("click",),
) -> Iterator[tuple[ObjectResult, ...]]:
    """Let a simulated user segment all objects with several methods, beginning with several kinds of prompt.

    Nothing happens before the first results are asked for. To cancel, stop asking: every object that was handed out was
    done by all methods.

    Parameters
    ----------
    contestants
        At least one, whose methods have different names.
    images
        As of `evaluate`.
    first_prompts
        Kinds of first prompt; each object is segmented anew with each.

    Yields
    ------
    tuple of ObjectResult
        Of one object: for each contestant, one result for each kind.

    Raises
    ------
    ValueError
        If two methods have the same name, by which results are told apart.
    """
    _require_different_names([each.method.name for each in contestants])
    for sample in images:
        loaded = sample.read()
        if not loaded.objects:
            continue
        opened = [(each, *_timed_opening(each.method, loaded)) for each in contestants]
        for item in loaded.objects:
            truth = loaded.truth_of(item)
            results = []
            for contestant, work, seconds_encode in opened:
                for kind in first_prompts:
                    run = evaluate_object(work, truth, settings=contestant.settings, user=user_beginning_with(kind))
                    name = contestant.method.name
                    results.append(ObjectResult(item.id, item.group, sample.id, run, seconds_encode, name, kind))
            yield tuple(results)


def _require_different_names(names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        raise ValueError(
            f"the methods are called {', '.join(map(repr, names))}; expected a different name for each, because "
            "results are told apart by it. Rename one of them."
        )


def _require_object(truth: NDArray[np.int8], work: ImageWork) -> None:
    if truth.shape != work.image_shape:
        raise ValueError(
            f"truth has shape {truth.shape}; expected {work.image_shape}, the shape of the image. "
            "Check that the two files belong together."
        )
    if not (truth == 1).any():
        raise ValueError("truth holds no object; expected at least one pixel with the value 1. Leave this object out.")


def _timed_opening(method: Method, loaded: LoadedImage) -> tuple[ImageWork, float]:
    """The image opened by a method, and the wall time in seconds."""
    start = time.perf_counter()
    work = open_loaded(method, loaded)
    return work, time.perf_counter() - start
