"""Watershed: the gradient is flooded from the markers, and the floods meet on its ridges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage import segmentation

from napari_segnext.evaluation.classical.markers import OBJECT, Markers
from napari_segnext.evaluation.classical.work import ClassicalWork
from napari_segnext.session import image_to_rgb

if TYPE_CHECKING:
    from napari_segnext._types import Image, Mask
    from napari_segnext.prompts import Prompts

SIGMA_PX = 1.0
"""Of the Gaussian whose derivatives make the gradient."""


class Watershed:
    """`skimage.segmentation.watershed` of the gradient magnitude, from the markers of `markers.py`.

    Notes
    -----
    Meyer and Beucher, Morphological segmentation, 1990. The gradient of an RGB image is, at each pixel, that of the
    channel where it is steepest.
    """

    name = "watershed"

    def open_image(self, image: Image) -> ClassicalWork:
        """Compute the gradient."""
        rgb = image_to_rgb(image)
        image_shape = (rgb.shape[0], rgb.shape[1])
        channels = rgb[..., :1] if (rgb == rgb[..., :1]).all() else rgb
        gradient = np.max(
            [ndimage.gaussian_gradient_magnitude(channels[..., i], SIGMA_PX) for i in range(channels.shape[-1])], axis=0
        )

        def segment(prompts: Prompts) -> Mask:
            markers = Markers.from_prompts(prompts, image_shape)
            labels = markers.with_both_signs()
            if labels is None:
                return markers.fallback
            return np.asarray(segmentation.watershed(gradient, labels.astype(np.int32)) == OBJECT)

        return ClassicalWork(image_shape, segment)
