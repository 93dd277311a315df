"""Prediction as a pure function of what is seen, the prompts and the previous answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch.nn import functional as F

from napari_segnext.prompts import Click, MaskPrompt, Prompts
from napari_segnext.prompts.enclosed import draw_enclosed
from napari_segnext.session.corrections import following, mean_answer, wider_window
from napari_segnext.session.windows import (
    Window,
    approach_windows,
    extent_of_mask,
    extent_of_outlines,
    extent_of_prompts,
    grown_window,
    next_window,
    touches_edge,
    window_about,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_segnext._types import Mask, Probability, Shape2D
    from napari_segnext.models.interface import ImageEmbedding, InteractiveModel
    from napari_segnext.session.views import ImageViews, View

    Look: TypeAlias = Callable[[Window, "Prediction | None"], "Prediction"]
    """(where, the last answer) → an answer."""

DEFAULT_THRESHOLD = 0.5
"""Probability above which a pixel belongs to the object. The original's evaluation uses 0.49."""

CERTAINTY_BAND = 0.11
"""Probability above the threshold within which the outline of a certain answer lies."""

COARSER_IS_BETTER_BY = 0.03
"""What a finer window must gain in certainty over the next coarser one, at the first look; and what a closer look at
what was found may lose."""

MAX_GROWTHS = 3
"""Of a window in one prediction."""


@dataclass(frozen=True)
class Prediction:
    """A model's answer for one object on one image.

    Attributes
    ----------
    window
        The part of the image that was predicted on; the object is nowhere else.
    window_probability
        `(h, w)` float32 in [0, 1], read-only, over the window from its upper left corner, a value for each block.
    image_shape
        (rows, columns) of the image.
    threshold
        Probability above which a pixel belongs to the mask.
    factor
        Side of a block in pixels; 1 unless the window is large. The last blocks may reach beyond the window.
    """

    window: Window
    window_probability: Probability
    image_shape: Shape2D
    threshold: float = DEFAULT_THRESHOLD
    factor: int = 1

    @classmethod
    def whole(cls, probability: Probability, threshold: float = DEFAULT_THRESHOLD) -> Prediction:
        """An answer `(H, W)` over all of an image."""
        image_shape = (probability.shape[0], probability.shape[1])
        return cls(Window.whole(image_shape), probability, image_shape, threshold)

    @property
    def probability(self) -> Probability:
        """`(H, W)` float32 in [0, 1], read-only; 0 outside the window."""
        if self.window_probability.shape == self.image_shape:
            return self.window_probability
        probability = np.zeros(self.image_shape, np.float32)
        probability[self.window.slices] = self._in_pixels()
        probability.setflags(write=False)
        return probability

    @property
    def mask(self) -> Mask:
        """`(H, W)` bool, read-only."""
        if self._window_mask.shape == self.image_shape:
            return self._window_mask
        mask = np.zeros(self.image_shape, dtype=bool)
        mask[self.window.slices] = self._window_mask
        mask.setflags(write=False)
        return mask

    def cut_at(self, threshold: float) -> Prediction:
        """The same answer with another threshold; the model is not asked again."""
        return replace(self, threshold=threshold)

    @property
    def n_bytes(self) -> int:
        """Size of what is kept of the answer, in bytes."""
        return self.window_probability.nbytes + self.window.height * self.window.width

    @cached_property
    def extent(self) -> Window | None:
        """Where the object is, to whole blocks; None if it is nowhere."""
        found = extent_of_mask(self.window_probability > self.threshold)
        if found is None:
            return None
        top, left = self.window.top + found.top * self.factor, self.window.left + found.left * self.factor
        bottom = min(self.window.bottom, self.window.top + found.bottom * self.factor)
        right = min(self.window.right, self.window.left + found.right * self.factor)
        return Window(top, left, bottom - top, right - left)

    def probability_in(self, window: Window, shape: Shape2D, *, factor: int = 1) -> Probability:
        """`(rows, columns)` float32: the probability over another window, in its blocks; 0 where nothing is known."""
        if window == self.window and shape == self.window_probability.shape:
            return self.window_probability
        rows, columns = (
            _positions(start, n, factor, other_start, self.factor * m)
            for start, n, other_start, m in zip(
                (window.top, window.left),
                shape,
                (self.window.top, self.window.left),
                self.window_probability.shape,
                strict=True,
            )
        )
        grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
        ours = torch.from_numpy(np.array(self.window_probability))
        moved = F.grid_sample(ours[None, None], grid[None], padding_mode="border", align_corners=False)[0, 0]
        return np.asarray(moved * (grid.abs() <= 1).all(dim=-1))

    @cached_property
    def _window_mask(self) -> Mask:
        mask = self._in_pixels() > self.threshold
        mask.setflags(write=False)
        return mask

    def _in_pixels(self) -> Probability:
        """The window's probability at every pixel of it."""
        if self.factor == 1:
            return self.window_probability
        rows, columns = (n * self.factor for n in self.window_probability.shape)
        tensor = torch.from_numpy(np.array(self.window_probability))[None, None]
        fine = F.interpolate(tensor, (rows, columns), mode="bilinear", align_corners=False)[0, 0]
        return np.asarray(fine[: self.window.height, : self.window.width])


class PredictionCancelled(Exception):
    """An answer was given up because it is no longer wanted."""


def predict(
    model: InteractiveModel,
    embedding: ImageEmbedding,
    prompts: Prompts,
    previous_probability: Probability | None = None,
    *,
    threshold: float = DEFAULT_THRESHOLD,
) -> Prediction:
    """Answer all prompts at once, on a whole image.

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
    return Prediction.whole(_answer(model, embedding, clicks, previous_probability), threshold)


def predict_zoomed(
    views: ImageViews,
    prompts: Prompts,
    previous: Prediction | None = None,
    *,
    threshold: float = DEFAULT_THRESHOLD,
    looks_wider: bool = True,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Prediction:
    """Answer all prompts at once, on a window about the object.

    Parameters
    ----------
    views
        The image under a model.
    prompts
        All prompts of the object so far.
    previous
        The last answer, or a mask to start from; None for none.
    threshold
        Of the prediction's mask.
    looks_wider
        Whether a correction is answered on a wider window, too.
    is_wanted
        Asked before each look; windows that are new are encoded then.

    Raises
    ------
    PromptError
        If a prompt lies wholly outside the image or a mask has another shape.
    PredictionCancelled
        Once `is_wanted` says no.

    Notes
    -----
    Zoom-in as RITM's and FocalClick's, but from the first prompt on, at a scale that is chosen by certainty; see
    `windows.py` for the choice of windows. What a first box or polygon encloses is the first previous mask, besides the
    negative clicks at its corners, which are all that the paper gives. What corrections get besides is in
    `corrections.py`.
    """
    image_shape = views.image_shape
    prompts.as_clicks(image_shape, spacing_px=views.model.click_radius_px(image_shape))  # do they fit the image?

    def seen(window: Window, previous: Prediction | None) -> Prediction:
        if not is_wanted():
            raise PredictionCancelled
        return _seen(views.of(window), views, prompts, previous, threshold)

    look: Look = seen
    if previous is None:
        prediction = _approached(seen, prompts, image_shape)
    else:
        if not isinstance(prompts.items[-1], MaskPrompt):
            look = _corrected(seen, views, prompts, looks_wider=looks_wider)
        prediction = look(_window_after(previous, prompts), previous)

    # an answer that runs on beyond its window
    for _ in range(MAX_GROWTHS):
        window = prediction.window
        if not touches_edge(prediction.window_probability > threshold, window, image_shape):
            break
        prediction = look(grown_window(_needed(prompts, prediction), window, image_shape), prediction)
    return prediction


def _corrected(seen: Look, views: ImageViews, prompts: Prompts, *, looks_wider: bool) -> Look:
    """How corrections are looked at; see `corrections.py`."""
    given = Prompts(tuple(prompt for prompt in prompts if isinstance(prompt, Click)))

    def look(window: Window, previous: Prediction | None) -> Prediction:
        answer, wider = seen(window, previous), wider_window(window, views.image_shape)
        if looks_wider and wider != window:
            answer = mean_answer(answer, seen(wider, previous))
        view = views.of(window)
        return following(answer, views.clicks(given, view), view.embedding.levels[0])

    return look


def _approached(seen: Look, prompts: Prompts, image_shape: Shape2D) -> Prediction:
    """The first answer: on a window about outlines, or the most certain one of several windows about clicks."""
    outlined, about = extent_of_outlines(prompts, image_shape), extent_of_prompts(prompts, image_shape)
    if outlined is not None:
        window = window_about(outlined, image_shape)
        enclosed = draw_enclosed(prompts, window.shape, origin=(window.top, window.left))
        return seen(window, Prediction(window, enclosed, image_shape))
    if about is None:
        return seen(Window.whole(image_shape), None)
    answers = [seen(window, None) for window in approach_windows(about, image_shape)]
    scores = [_certainty(answer) - COARSER_IS_BETTER_BY * level for level, answer in enumerate(answers)]
    found = answers[int(np.argmax(scores))]

    # a closer look at what was found, unless it leaves more doubt
    window = _window_after(found, prompts)
    if window == found.window:
        return found
    closer = seen(window, found)
    return found if _certainty(closer) < _certainty(found) - COARSER_IS_BETTER_BY else closer


def _certainty(prediction: Prediction) -> float:
    """How little the mask depends on the threshold, 0 (or empty) to 1; below 0 if it runs on beyond its window."""
    probability, threshold = prediction.window_probability, prediction.threshold
    outer = _count(probability > threshold)
    inner = _count(probability > threshold + min(CERTAINTY_BAND, (1 - threshold) / 2))
    if touches_edge(probability > threshold, prediction.window, prediction.image_shape):
        return inner / max(outer, 1) - 2
    return inner / max(outer, 1)


def _count(pixels: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(pixels))


def _window_after(previous: Prediction, prompts: Prompts) -> Window:
    """Where to look next, given the last answer."""
    needed = _needed(prompts, previous)
    if isinstance(prompts.items[-1], MaskPrompt):
        return window_about(needed, previous.image_shape)
    if previous.extent is None and previous.window.contains(needed):
        return previous.window
    return next_window(needed, previous.window, previous.image_shape)


def _needed(prompts: Prompts, prediction: Prediction) -> Window:
    """What a window must show: the object as known so far, and all prompts that lie on or about it."""
    extents = [prediction.extent, extent_of_prompts(prompts, prediction.image_shape)]
    known = [extent for extent in extents if extent is not None]
    if not known:
        return prediction.window
    return known[0] if len(known) == 1 else known[0].joined(known[1])


def _seen(view: View, views: ImageViews, prompts: Prompts, previous: Prediction | None, threshold: float) -> Prediction:
    """The answer on one view."""
    empty = np.zeros(view.shape, np.float32)
    probability = empty if previous is None else previous.probability_in(view.window, view.shape, factor=view.factor)
    answer = _answer(views.model, view.embedding, views.clicks(prompts, view), probability)
    return Prediction(view.window, answer, views.image_shape, threshold, view.factor)


def _answer(
    model: InteractiveModel, embedding: ImageEmbedding, clicks: NDArray[np.float32], previous_probability: Probability
) -> Probability:
    with torch.inference_mode():
        logits = model.predict_logits(
            embedding,
            torch.from_numpy(clicks)[None].to(model.device),
            torch.from_numpy(np.array(previous_probability, dtype=np.float32))[None].to(model.device),
        )
        probability: Probability = torch.sigmoid(logits[0].float()).cpu().numpy()
    probability.setflags(write=False)
    return probability


def _positions(start: int, n: int, factor: int, other_start: int, other_length: int) -> torch.Tensor:
    """Centres of `n` blocks of an axis, as `grid_sample` names them (-1 to 1) over another stretch of it."""
    centres = start + (torch.arange(n, dtype=torch.float32) + 0.5) * factor
    return 2 * (centres - other_start) / other_length - 1
