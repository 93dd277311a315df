"""What a model reads of depth, over a whole image, for a person to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_segnext._types import Shape2D
    from napari_segnext.models.interface import DepthAwareModel
    from napari_segnext.session.views import View


def depth_in_pixels(model: DepthAwareModel, whole: View, image_shape: Shape2D) -> NDArray[np.float32]:
    """`(H, W)` float in [0, 1]: the depth of the view of a whole image, as large as the image."""
    with torch.inference_mode():
        return _in_pixels(model.depth_map(whole.embedding), whole, image_shape)


def order_in_pixels(
    model: DepthAwareModel, whole: View, clicks: NDArray[np.float32], image_shape: Shape2D
) -> NDArray[np.float32] | None:
    """How far each pixel lies from positive clicks, in depth.

    Parameters
    ----------
    model
        That made the view.
    whole
        View of the whole image.
    clicks
        `(n, 3)` float32 in blocks of the view: row, column, sign; negative ones do not count.
    image_shape
        (rows, columns).

    Returns
    -------
    ndarray or None
        `(H, W)` float in [0, 1], 0 at the depth of the clicks; None if none is positive.
    """
    positive = clicks[clicks[:, 2] > 0]
    if not len(positive):
        return None
    with torch.inference_mode():
        return _in_pixels(model.order_map(whole.embedding, torch.from_numpy(positive)), whole, image_shape)


def _in_pixels(values: Tensor, whole: View, image_shape: Shape2D) -> NDArray[np.float32]:
    values = values.detach().float().cpu()
    if tuple(values.shape) != tuple(image_shape):
        # the last blocks may reach beyond the image
        rows, columns = (n * whole.factor for n in whole.shape)
        values = F.interpolate(values[None, None], (rows, columns), mode="bilinear", align_corners=False)[0, 0]
    return np.array(values[: image_shape[0], : image_shape[1]].numpy(), np.float32)
