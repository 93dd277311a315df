"""Random walker: a pixel belongs to the marker that a walk from it reaches first, if it shuns steps over edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage.segmentation import random_walker

from napari_segnext.evaluation.classical.markers import BACKGROUND, OBJECT, UNKNOWN, Markers
from napari_segnext.evaluation.classical.work import ClassicalWork, two_looks
from napari_segnext.session import image_to_rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_segnext._types import Image, Mask
    from napari_segnext.prompts import Prompts

MAX_SIDE_PX = 320
"""Of the copy that is walked on."""

BETA = 130.0
"""How much edges are shunned; the default of skimage."""


class RandomWalker:
    """`skimage.segmentation.random_walker` on the markers of `markers.py`.

    Notes
    -----
    Grady, Random Walks for Image Segmentation, PAMI 2006. Solved by conjugate gradients. Images with a side longer than
    `MAX_SIDE_PX` are walked on as an antialiased copy of that size first, then what was found is cut out and walked on
    again, see `two_looks`: a click on 1024 × 1024 px would take tens of seconds on one core otherwise.
    """

    name = "random_walker"

    def open_image(self, image: Image) -> ClassicalWork:
        """Bring the image to RGB."""
        rgb = image_to_rgb(image)
        image_shape = (rgb.shape[0], rgb.shape[1])

        def segment(prompts: Prompts) -> Mask:
            markers = Markers.from_prompts(prompts, image_shape)
            labels = markers.with_both_signs()
            if labels is None:
                return markers.fallback
            is_object = two_looks(rgb, labels, _probability, max_side_px=MAX_SIDE_PX, enclosed=markers.enclosed) > 0.5
            return np.asarray((is_object | (labels == OBJECT)) & (labels != BACKGROUND))

        return ClassicalWork(image_shape, segment)


def _probability(rgb: NDArray[np.float32], labels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """`(h, w)` float64 in [0, 1] of the object; 0 where no marker is of the object."""
    # with one sign alone skimage's first probability is that of whichever sign there is
    if not all((labels == value).any() for value in (OBJECT, UNKNOWN, BACKGROUND)):
        return np.asarray(labels == OBJECT, dtype=np.float64)
    if float(rgb.std()) < 1e-6:  # no edge at all: the nearer marker wins
        distances = [ndimage.distance_transform_edt(labels != value) for value in (OBJECT, BACKGROUND)]
        return np.asarray(distances[0] < distances[1], dtype=np.float64)
    probabilities = random_walker(
        rgb.astype(np.float64),
        labels.astype(np.int32),
        beta=BETA,
        mode="cg_j",
        channel_axis=-1,
        return_full_prob=True,
        prob_tol=1.0,  # the solver may leave [0, 1] a little
    )
    return np.asarray(probabilities[0])
