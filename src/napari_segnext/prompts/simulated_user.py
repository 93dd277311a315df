"""A simulated user, who looks at the truth and the prediction and clicks where the error is deepest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from napari_segnext.errors import PromptError
from napari_segnext.prompts.prompt import Click

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from numpy.typing import NDArray

    from napari_segnext._types import Mask

IGNORED = -1
"""Value of truth pixels that count neither as right nor as wrong."""


def next_click(truth: NDArray[Any], prediction: Mask, *, already_clicked: Iterable[Click] = ()) -> Click:
    """Click in the middle of the largest error, as the original's evaluation does.

    The error is split into missed pixels and surplus pixels. The click falls on the pixel furthest from the edge of
    its part, where the border of the image counts as an edge; it is positive if the missed part is strictly deeper.
    Among equally deep pixels the first in row-major order is taken, so the answer is never random. If nothing is
    wrong, it is a negative click at (0, 0).

    Parameters
    ----------
    truth
        `(H, W)` int8 or bool: 1 object, 0 background, -1 ignored.
    prediction
        `(H, W)` bool, the current mask; all False before the first click.
    already_clicked
        Clicks made before on this object; their pixels are not chosen again.

    Returns
    -------
    Click
        At the centre of a pixel.

    Raises
    ------
    PromptError
        If truth and prediction are not two-dimensional and of one shape.

    Notes
    -----
    Distances are Euclidean, exact, and compared as float32. They are computed within the bounding box of each part
    with a rim of one pixel: all pixels of the rim are right, and no right pixel outside is nearer than they are, so
    the answer is that of the whole image.
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction, dtype=bool)
    if truth.ndim != 2 or truth.shape != prediction.shape:
        raise PromptError(
            f"truth has shape {truth.shape} and prediction {prediction.shape}; "
            "expected (H, W) twice, of the same image. Pass the two arrays of one slice."
        )
    clicked = [(round(click.row), round(click.column)) for click in already_clicked]
    missed_px, missed_at = _deepest_pixel((truth == 1) & ~prediction, clicked)
    surplus_px, surplus_at = _deepest_pixel((truth == 0) & prediction, clicked)
    is_positive = missed_px > surplus_px
    row, column = missed_at if is_positive else surplus_at
    return Click(row, column, is_positive)


def _deepest_pixel(part: Mask, clicked: Collection[tuple[int, int]]) -> tuple[float, tuple[int, int]]:
    """Depth of the deepest pixel that was not clicked, and (row, column) of the first such; (0, 0) if there is none."""
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    if len(rows) == 0:
        return 0.0, (0, 0)
    top, left = int(rows[0]), int(columns[0])
    box = part[top : rows[-1] + 1, left : columns[-1] + 1]
    depths = distance_transform_edt(np.pad(box, 1))[1:-1, 1:-1].astype(np.float32)
    for row, column in clicked:
        if 0 <= row - top < box.shape[0] and 0 <= column - left < box.shape[1]:
            depths[row - top, column - left] = 0
    row, column = divmod(int(np.argmax(depths)), depths.shape[1])
    depth = float(depths[row, column])
    return (depth, (top + row, left + column)) if depth > 0 else (0.0, (0, 0))
