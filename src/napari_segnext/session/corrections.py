"""What corrections get beyond a look at the window: a wider look, and clicks that are followed.

1. The answer is the mean of the answers on the window and on a wider one about it, which shows what the object is part
   of. The wider one hardly changes from click to click, so a window that does change matters less. Where mirror images
   help the model, the wider one is seen mirrored, so that one look more gives both.
2. A click that the answer hardly follows changes it there, and what is near and looks like it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from napari_segnext.session.windows import Lattice, Window, square_window

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_segnext._types import Shape2D
    from napari_segnext.session.prediction import Prediction

WIDER = 3.5
"""Side of the wider window over that of the window."""

FOLLOWED_AT = 1.0
"""A click is followed where the logits are as far as this on its side of 0."""

REACH = 0.15
"""Standard deviation of how far a click reaches, over the side of the window."""

LIKENESS = 0.7
"""How much features may differ, root mean square of standard deviations of theirs, for a click to reach there."""

_YIELDING = 0.05
"""Of clicks that contradict each other at the same place."""

_LEAST_PROBABILITY = 1e-6


def wider_window(window: Window, image_shape: Shape2D, lattice: Lattice | None = None) -> Window:
    """The window of the second look; the same one if there is nothing more to see."""
    return square_window(window, int(np.ceil(WIDER * window.side)), image_shape, lattice)


def mean_answer(near: Prediction, wide: Prediction) -> Prediction:
    """`near` with the mean of the logits of both answers in its window."""
    seen_wide = wide.probability_in(near.window, near.window_probability.shape, factor=near.factor)
    return _with_logits(near, np.float32(0.5) * (_logits(near.window_probability) + _logits(seen_wide)))


def following(answer: Prediction, clicks: NDArray[np.float32], features: Tensor) -> Prediction:
    """A corrected answer, changed about clicks that it hardly follows.

    Parameters
    ----------
    answer
        What was seen.
    clicks
        `(n, 3)`: row and column in blocks of the answer's window, sign.
    features
        `(B, C, h, w)` of the window, of which the first are read; they say what looks alike.
    """
    logits = _logits(answer.window_probability)
    rows, columns = np.round(clicks[:, :2]).astype(int).T
    signs = np.sign(clicks[:, 2])
    lacking = np.maximum(FOLLOWED_AT - signs * logits[rows, columns], 0) * signs
    return _with_logits(answer, logits + _change(lacking, clicks, features, logits.shape)) if lacking.any() else answer


def _change(
    lacking: NDArray[np.float32], clicks: NDArray[np.float32], features: Tensor, shape: Shape2D
) -> NDArray[np.float32]:
    """What to add to the logits, `(h, w)`: what is lacking at each click, carried to where the click reaches.

    Notes
    -----
    As kriging does it: clicks that lack nothing hold their place where it is.
    """
    places = _places(clicks, shape)
    reached = _reached(features[:1].detach().float().cpu(), places, shape)
    at_clicks = F.grid_sample(reached[None], places[None, None], align_corners=False, padding_mode="border")[0, :, 0]
    weights = np.linalg.solve(at_clicks.T.double().numpy() + _YIELDING * np.eye(len(clicks)), lacking)
    change = torch.tensordot(torch.from_numpy(weights).float(), reached, dims=1)
    fine = F.interpolate(change[None, None], shape, mode="bilinear", align_corners=False)
    return np.asarray(fine[0, 0])


def _reached(features: Tensor, places: Tensor, shape: Shape2D) -> Tensor:
    """How far each click reaches: `(n, h, w)`, 1 at the click, less further away and where it looks different."""
    spread, mean = torch.std_mean(features, dim=(2, 3), correction=0, keepdim=True)
    standard = (features - mean) / (spread + 1e-6)
    n_channels, *size = standard.shape[1:]
    at_clicks = F.grid_sample(standard, places[None, None], align_corners=False, padding_mode="border")[0, :, 0].T
    unlike = torch.cdist(at_clicks[None], standard[0].flatten(1).T[None])[0].square() / n_channels
    centres = [((torch.arange(n) + 0.5) * 2 / n - 1) for n in size]
    rows, columns = torch.meshgrid(*centres, indexing="ij")
    # from -1 to 1 along each axis, into parts of the longer side
    scale = torch.tensor([shape[1], shape[0]]) / (2 * max(shape))
    grid = torch.stack([columns, rows], dim=-1).flatten(0, 1)
    away = torch.cdist((places * scale)[None], (grid * scale)[None])[0].square()
    return torch.exp(-away / (2 * REACH**2) - unlike / (2 * LIKENESS**2)).reshape(-1, *size)


def _places(clicks: NDArray[np.float32], shape: Shape2D) -> Tensor:
    """`(n, 2)` column and row of clicks as `grid_sample` names them, -1 to 1."""
    places = 2 * (clicks[:, 1::-1] + 0.5) / np.array(shape[::-1], np.float32) - 1
    return torch.from_numpy(places.astype(np.float32))


def _logits(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    bounded = np.clip(probability, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return np.asarray(np.log(bounded) - np.log1p(-bounded), np.float32)


def _with_logits(answer: Prediction, logits: NDArray[np.float32]) -> Prediction:
    probability = np.asarray(torch.sigmoid(torch.from_numpy(logits)))
    probability.setflags(write=False)
    return replace(answer, window_probability=probability)
