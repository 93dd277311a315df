"""A depth that the user gives in the place of the one that the model sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_segnext.errors import ImageError
from napari_segnext.models.interface import DepthAwareModel
from napari_segnext.models.order_maps import scale_depth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext.models.interface import ImageEmbedding, InteractiveModel
    from napari_segnext.session.windows import Window


class GivenDepth:
    """One depth map for an image and all windows of it.

    It is brought to one scale over the whole image, so that the same step counts the same in every window.

    Parameters
    ----------
    model
        Has to read depth.
    depth
        `(H, W)` numbers of any unit and direction; what is not finite is unknown.
    image_shape
        Shape of the image, rows and columns first.

    Raises
    ------
    ImageError
        If the model reads no depth, or the depth is no array of numbers of the image's rows and columns.
    """

    def __init__(self, model: InteractiveModel, depth: NDArray[Any], image_shape: tuple[int, ...]) -> None:
        if not isinstance(model, DepthAwareModel):
            raise ImageError(
                f"there is a depth, but the model '{model.identity.name}' reads none; expected one that does, such as "
                "ois-tiny. Choose that, or leave the depth out."
            )
        if depth.ndim != 2 or depth.shape != tuple(image_shape[:2]):
            raise ImageError(
                f"the depth has shape {depth.shape}; expected {tuple(image_shape[:2])}, that of the image. Give one "
                "number for each pixel."
            )
        if depth.dtype.kind not in "fiub":
            raise ImageError(f"the depth has dtype {depth.dtype}; expected real numbers. Convert it.")
        self._model = model
        self._scaled = scale_depth(torch.from_numpy(np.array(depth, np.float32))[None, None])[0, 0]

    def put_into(self, embedding: ImageEmbedding, window: Window, *, is_mirrored: bool = False) -> ImageEmbedding:
        """The embedding of a window, or of its mirror image, with this depth."""
        depth = self._scaled[window.slices]
        return self._model.with_depth(embedding, depth.flip(-1) if is_mirrored else depth)
