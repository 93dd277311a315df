"""Segment everything: many single prompts on one image → candidates → one label image.

1. Prompts are a grid of clicks over the image, or the clicks and boxes that are given; each asks for one object.
2. One `Session` answers them one after another, so that the image is encoded once (with zoom, windows of it, too).
3. An answer that is stable and large enough is kept as a candidate. Where nobody has said that there is an object, at
   clicks of the grid, it must also not be most of the image, and agree with the answer to a second click on it. Clicks
   of the grid that lie on a candidate are skipped: what is there was found.
4. Of candidates that are the same object, or part of another, the best one is kept (`suppress`).
5. The rest is painted into an int32 label image, the largest first (`paint`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_segnext.everything.candidate import Candidate, candidate_from_prediction
from napari_segnext.everything.given_prompts import as_boxes, as_clicks, check_places
from napari_segnext.everything.selection import SegmentedObject, paint, suppress
from napari_segnext.everything.settings import (
    MAX_IMAGE_SHARE,
    MIN_AGREEMENT,
    MIN_OBJECT_PX,
    MIN_STABILITY,
    POINTS_PER_SIDE,
    EverythingSettings,
)
from napari_segnext.prompts import Box, Click
from napari_segnext.session import DEFAULT_THRESHOLD, PredictionCancelled, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from napari_segnext._types import Image, Shape2D
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.session.preprocess import ContrastLimits


@dataclass(frozen=True, eq=False)
class EverythingResult:
    """The objects of an image.

    Attributes
    ----------
    labels
        `(H, W)` int32, read-only, 0 is background; the labels are 1 to n in the order of the prompts.
    objects
        One for each label, in their order.
    n_done, n_prompts
        Prompts that were answered or skipped, and prompts in all; the first is smaller if the work was given up.
    """

    labels: NDArray[np.int32]
    objects: tuple[SegmentedObject, ...]
    n_done: int
    n_prompts: int

    @property
    def is_complete(self) -> bool:
        """Whether all prompts were answered."""
        return self.n_done == self.n_prompts


@dataclass(frozen=True, eq=False)
class EverythingProgress:
    """How far the work is.

    Attributes
    ----------
    n_done, n_prompts
        Prompts that were answered or skipped, and prompts in all.
    candidates
        What was found so far, in the order of the prompts; several may be one object.
    image_shape
        (rows, columns).
    settings
        As given.
    """

    n_done: int
    n_prompts: int
    candidates: tuple[Candidate, ...]
    image_shape: Shape2D
    settings: EverythingSettings

    @property
    def n_found(self) -> int:
        """Number of candidates."""
        return len(self.candidates)

    def result(self) -> EverythingResult:
        """The objects found so far."""
        kept = suppress(
            self.candidates, max_iou=self.settings.max_iou, max_contained_share=self.settings.max_contained_share
        )
        labels, objects = paint(kept, self.image_shape, min_object_px=self.settings.min_object_px)
        return EverythingResult(labels, objects, self.n_done, self.n_prompts)


def segment_everything(
    model: InteractiveModel,
    image: Image,
    *,
    points_per_side: int = POINTS_PER_SIDE,
    clicks: Iterable[Any] | None = None,
    boxes: Iterable[Any] | None = None,
    min_stability: float = MIN_STABILITY,
    min_agreement: float = MIN_AGREEMENT,
    min_object_px: int = MIN_OBJECT_PX,
    max_image_share: float = MAX_IMAGE_SHARE,
    skips_found: bool = True,
    zoom: bool | None = None,
    contrast_limits: ContrastLimits | None = None,
    threshold: float = DEFAULT_THRESHOLD,
    is_wanted: Callable[[], bool] = lambda: True,
) -> EverythingResult:
    """Segment all objects of an image, each from one prompt.

    Parameters
    ----------
    model
        Any `InteractiveModel`, for example from `load_model`.
    image
        `(H, W)` or `(H, W, C)` with 1 to 4 channels, any numeric dtype; see `Session`.
    points_per_side
        Clicks of the grid along each side of the image; not used if clicks or boxes are given.
    clicks
        One positive click for each object: `Click`s, or `(n, 2)` numbers, (row, column) in pixels.
    boxes
        One box for each object: `Box`es, or `(n, 4)` numbers, (top, left, bottom, right) in pixels.
    min_stability, min_agreement, min_object_px, max_image_share, skips_found
        As of `EverythingSettings`.
    zoom, contrast_limits, threshold
        As of `Session`.
    is_wanted
        Asked before each prediction; once it says no, what was found until then is returned.

    Returns
    -------
    EverythingResult
        Label image and objects.

    Raises
    ------
    ImageError
        If the image cannot be used.
    PromptError
        If a click is negative, or a prompt lies wholly outside the image.
    ValueError
        If a setting is out of its range.

    Examples
    --------
    >>> result = segment_everything(load_model("segnext-tiny"), image)  # doctest: +SKIP
    >>> result.labels.max(), result.objects[0].stability  # doctest: +SKIP
    """
    settings = EverythingSettings(
        points_per_side=points_per_side,
        min_stability=min_stability,
        min_agreement=min_agreement,
        min_object_px=min_object_px,
        max_image_share=max_image_share,
        skips_found=skips_found,
    )
    *_, last = iterate_everything(
        model,
        image,
        settings,
        clicks=clicks,
        boxes=boxes,
        zoom=zoom,
        contrast_limits=contrast_limits,
        threshold=threshold,
        is_wanted=is_wanted,
    )
    return last.result()


def iterate_everything(
    model: InteractiveModel,
    image: Image,
    settings: EverythingSettings | None = None,
    *,
    clicks: Iterable[Any] | None = None,
    boxes: Iterable[Any] | None = None,
    zoom: bool | None = None,
    contrast_limits: ContrastLimits | None = None,
    threshold: float = DEFAULT_THRESHOLD,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Iterator[EverythingProgress]:
    """As `segment_everything`, step by step; may be left at any step.

    Yields
    ------
    EverythingProgress
        First once the image is encoded, then after each prompt. `result()` of any of them is the label image so far.
    """
    settings = EverythingSettings() if settings is None else settings
    given: list[Click | Box] = [*as_clicks(clicks), *as_boxes(boxes)]
    session = Session(model, image, contrast_limits=contrast_limits, threshold=threshold, zoom=zoom)
    has_grid = clicks is None and boxes is None
    prompts = [*grid_clicks(session.image_shape, settings.points_per_side)] if has_grid else given
    check_places(prompts, session.image_shape)

    asker = _Asker(session, settings, has_grid, is_wanted)
    found: tuple[Candidate, ...] = ()
    yield EverythingProgress(0, len(prompts), found, session.image_shape, settings)
    for number, prompt in enumerate(prompts):
        if not (has_grid and settings.skips_found and _is_found(prompt, found)):
            try:
                candidate = asker.candidate(number, prompt)
            except PredictionCancelled:
                return
            if candidate is not None:
                found = (*found, candidate)
        yield EverythingProgress(number + 1, len(prompts), found, session.image_shape, settings)


def grid_clicks(image_shape: Shape2D, points_per_side: int) -> list[Click]:
    """Clicks in the middles of equal parts of an image, row by row.

    Parameters
    ----------
    image_shape
        (rows, columns).
    points_per_side
        Along each side; a side with fewer pixels gets one for each pixel.
    """
    rows, columns = (_middles(n_pixels, min(points_per_side, n_pixels)) for n_pixels in image_shape)
    return [Click(row, column) for row in rows for column in columns]


def _middles(n_pixels: int, n_parts: int) -> list[float]:
    """Middles of equal parts of an axis, in pixels."""
    return [(part + 0.5) * n_pixels / n_parts - 0.5 for part in range(n_parts)]


@dataclass(frozen=True, eq=False)
class _Asker:
    """Asks a session for one object after another, and keeps what fulfils the settings."""

    session: Session
    settings: EverythingSettings
    is_grid: bool
    is_wanted: Callable[[], bool]

    def candidate(self, number: int, prompt: Click | Box) -> Candidate | None:
        """What a prompt finds; None if that is nothing, or not good enough.

        Raises
        ------
        PredictionCancelled
            Once the work is not wanted any more.
        """
        candidate = self._answered(number, prompt)
        if candidate is None or not self._has_size(candidate) or candidate.stability < self.settings.min_stability:
            return None
        if not self.is_grid or self.settings.min_agreement == 0:
            return candidate
        other = self._answered(number, candidate.click_elsewhere())
        agreement = 0.0 if other is None else candidate.iou(other)
        return replace(candidate, agreement=agreement) if agreement >= self.settings.min_agreement else None

    def _answered(self, number: int, prompt: Click | Box) -> Candidate | None:
        """The answer to a prompt alone."""
        self.session.reset()
        prediction = self.session.update(_spelled_out(prompt, zoom=self.session.zoom), is_wanted=self.is_wanted)
        return None if prediction is None else candidate_from_prediction(number, prompt, prediction)

    def _has_size(self, candidate: Candidate) -> bool:
        rows, columns = self.session.image_shape
        most = self.settings.max_image_share * rows * columns if self.is_grid else rows * columns
        return self.settings.min_object_px <= candidate.n_pixels <= most


def _spelled_out(prompt: Click | Box, *, zoom: bool) -> list[Click | Box]:
    """The prompt as a session is told it.

    Without zoom a box is only four negative clicks at its corners, which alone find nothing; a click in its middle says
    on which side of them the object is.
    """
    if isinstance(prompt, Box) and not zoom:
        return [prompt, Click((prompt.top + prompt.bottom) / 2, (prompt.left + prompt.right) / 2)]
    return [prompt]


def _is_found(prompt: Click | Box, found: Iterable[Candidate]) -> bool:
    return isinstance(prompt, Click) and any(candidate.holds(prompt.row, prompt.column) for candidate in found)
