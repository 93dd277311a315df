"""Prediction as a pure function of what is seen, the prompts and the previous answer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import torch

from napari_segnext.prompts import Box, Click, MaskPrompt, Polygon, Prompts
from napari_segnext.prompts.enclosed import draw_enclosed
from napari_segnext.session.blocks import block_means
from napari_segnext.session.corrections import following, mean_answer, wider_window
from napari_segnext.session.prediction import DEFAULT_THRESHOLD, Prediction
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

    from napari_segnext._types import Mask, Probability
    from napari_segnext.models.interface import ImageEmbedding, InteractiveModel
    from napari_segnext.session.views import ImageViews, View
    from napari_segnext.session.windows import Lattice

    Look: TypeAlias = Callable[[Window, "Prediction | None"], "Prediction"]
    """(where, the last answer) → an answer."""

    Glimpse: TypeAlias = Callable[["Prediction"], None]
    """Gets what is seen so far, while the answer is still being made."""

    class LookOneWay(Protocol):
        """(where, the last answer, whether to look at the mirror image) → an answer."""

        def __call__(self, window: Window, previous: Prediction | None, is_mirrored: bool = False) -> Prediction:
            """Look once."""
            ...


CERTAINTY_BAND = 0.11
"""Probability above the threshold within which the outline of a certain answer lies."""

COARSER_IS_BETTER_BY = 0.03
"""What a finer window must gain in certainty over the next coarser one, at the first look; and what a closer look at
what was found may lose."""

MAX_GROWTHS = 3
"""Of a window in one prediction."""


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
    on_glimpse: Glimpse = lambda _: None,
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
    on_glimpse
        Gets what may be shown until the answer is there: of a first look, the most certain answer so far; of others,
        the one before the second look.

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
    image_shape, lattice = views.image_shape, views.lattice
    prompts.as_clicks(image_shape, spacing_px=views.model.click_radius_px(image_shape))  # do they fit the image?

    def seen(window: Window, previous: Prediction | None, is_mirrored: bool = False) -> Prediction:
        if not is_wanted():
            raise PredictionCancelled
        return _seen(views.of(window, is_mirrored=is_mirrored), views, prompts, previous, threshold)

    look: Look = partial(_seen_both_ways, seen, views, on_glimpse)
    if previous is None:
        prediction = _approached(seen, look, prompts, views, on_glimpse)
    else:
        if not isinstance(prompts.items[-1], MaskPrompt):
            look = _corrected(seen, views, prompts, on_glimpse, looks_wider=looks_wider)
        prediction = look(_window_after(previous, prompts, lattice), previous)

    # an answer that runs on beyond its window
    for _ in range(MAX_GROWTHS):
        window = prediction.window
        if not touches_edge(prediction.window_probability > threshold, window, image_shape):
            break
        grown = grown_window(_needed(prompts, prediction), window, image_shape, lattice)
        if lattice is not None and grown == window:
            # as large as can be looked at
            break
        prediction = look(grown, prediction)
    return prediction


def starting_from(mask: Mask | Probability, views: ImageViews | None) -> Prediction:
    """A mask or probability `(H, W)`, somewhere above 0.5, as the answer before the first one.

    Of a large image only what lies about the object is kept, in blocks; one of another shape is left for `predict` and
    `predict_zoomed` to refuse.
    """
    extent = extent_of_mask(mask > DEFAULT_THRESHOLD)
    if views is None or views.lattice is None or mask.shape != views.image_shape or extent is None:
        return Prediction.whole(mask.astype(np.float32, copy=False))
    window = window_about(extent, views.image_shape, lattice=views.lattice)
    factor = views.of(window).factor
    blocks = block_means(mask[window.slices].astype(np.float32), factor)
    return Prediction(window, blocks, views.image_shape, factor=factor)


def _seen_both_ways(
    seen: LookOneWay, views: ImageViews, on_glimpse: Glimpse, window: Window, previous: Prediction | None
) -> Prediction:
    """The answer on a window as it is and, if that helps the model, mirrored."""
    answer = seen(window, previous)
    if not views.sees_mirrored:
        return answer
    on_glimpse(answer)
    return mean_answer(answer, seen(window, previous, is_mirrored=True))


def _corrected(
    seen: LookOneWay, views: ImageViews, prompts: Prompts, on_glimpse: Glimpse, *, looks_wider: bool
) -> Look:
    """How corrections are looked at; see `corrections.py`."""
    given = Prompts(tuple(prompt for prompt in prompts if isinstance(prompt, Click)))

    def look(window: Window, previous: Prediction | None) -> Prediction:
        answer, wider = seen(window, previous), wider_window(window, views.image_shape, views.lattice)
        if looks_wider and (views.sees_mirrored or wider != window):
            on_glimpse(answer)
            answer = mean_answer(answer, seen(wider, previous, is_mirrored=views.sees_mirrored))
        view = views.of(window)
        return following(answer, views.clicks(given, view), view.embedding.levels[0])

    return look


def _approached(seen: LookOneWay, look: Look, prompts: Prompts, views: ImageViews, on_glimpse: Glimpse) -> Prediction:
    """The first answer: on a window about outlines, or the most certain one of several windows about clicks."""
    image_shape, lattice = views.image_shape, views.lattice
    outlined, about = extent_of_outlines(prompts, image_shape), extent_of_prompts(prompts, image_shape)
    if outlined is not None:
        window = window_about(outlined, image_shape, lattice=lattice)
        return look(window, _enclosed(prompts, window, views))
    if about is None:
        nowhere = Window.whole(image_shape)
        return look(approach_windows(nowhere, image_shape, lattice)[0], None)
    found = _most_certain(seen, approach_windows(about, image_shape, lattice), on_glimpse)
    if views.sees_mirrored:
        # one way is enough to choose a window, not to answer
        found = mean_answer(found, seen(found.window, None, is_mirrored=True))

    # a closer look at what was found, unless it leaves more doubt
    window = _window_after(found, prompts, lattice)
    if window == found.window:
        return found
    closer = look(window, found)
    return found if _certainty(closer) < _certainty(found) - COARSER_IS_BETTER_BY else closer


def _most_certain(seen: LookOneWay, windows: list[Window], on_glimpse: Glimpse) -> Prediction:
    """The most certain answer on windows of falling size, each seen as it is; glimpsed is the most certain so far."""
    found, highest = seen(windows[0], None), -np.inf
    for level, window in enumerate(windows):
        answer = found if level == 0 else seen(window, None)
        score = _certainty(answer) - COARSER_IS_BETTER_BY * level
        if score > highest:
            found, highest = answer, score
        # above 0 it is something that ends within its window
        if highest > 0:
            on_glimpse(found)
    return found


def _enclosed(prompts: Prompts, window: Window, views: ImageViews) -> Prediction:
    """What outlines enclose, as a first answer; of a large image in blocks."""
    if views.lattice is None:
        enclosed = draw_enclosed(prompts, window.shape, origin=(window.top, window.left))
        return Prediction(window, enclosed, views.image_shape)
    view = views.of(window)
    outlines = [_in_blocks(prompt, view) for prompt in prompts if isinstance(prompt, Box | Polygon)]
    return Prediction(window, draw_enclosed(outlines, view.shape), views.image_shape, factor=view.factor)


def _in_blocks(prompt: Box | Polygon, view: View) -> Box | Polygon:
    """An outline in blocks of a view."""
    corners = [(prompt.top, prompt.left), (prompt.bottom, prompt.right)] if isinstance(prompt, Box) else prompt.vertices
    moved = (np.array(corners) - (view.window.top, view.window.left) + 0.5) / view.factor - 0.5
    return Box(*moved[0], *moved[1]) if isinstance(prompt, Box) else Polygon(moved)


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


def _window_after(previous: Prediction, prompts: Prompts, lattice: Lattice | None) -> Window:
    """Where to look next, given the last answer."""
    needed = _needed(prompts, previous)
    if isinstance(prompts.items[-1], MaskPrompt):
        return window_about(needed, previous.image_shape, lattice=lattice)
    if previous.extent is None and previous.window.contains(needed):
        return previous.window
    return next_window(needed, previous.window, previous.image_shape, lattice)


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
    if view.is_mirrored:
        probability = probability[:, ::-1]
    answer = _answer(views.model, view.embedding, views.clicks(prompts, view), probability)
    if view.is_mirrored:
        answer = np.ascontiguousarray(answer[:, ::-1])
        answer.setflags(write=False)
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
