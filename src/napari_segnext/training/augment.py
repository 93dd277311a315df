"""Random crops and changes of look: one affine map for image and labels, then intensities of the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_segnext._types import Shape2D

WHOLE_VIEW_SHARE = 0.4
"""Of crops at the scale at which the model sees whole images; the others are like windows about an object."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Upright box of an object in its image, in pixels.

    Attributes
    ----------
    top, left, bottom, right
        First row and column, and one past the last.
    """

    top: int
    left: int
    bottom: int
    right: int

    @property
    def side(self) -> int:
        """The longer side."""
        return max(self.bottom - self.top, self.right - self.left)


def random_crop_matrix(
    rng: Generator, image_shape: Shape2D, extent: Extent, crop_px: int, *, view_px: int
) -> NDArray[np.float64]:
    """Affine map from crop pixels to image pixels about an object.

    Some of the crops have the scale at which the whole image would fill the model's input, `view_px`; in the others the
    object spans 0.2 to 0.9 of the crop, as in a window about it. In all it spans at least 0.05 and at most 1.1. The
    map turns (by any quarter, and up to 15°), mirrors, and stretches by up to 1.3.

    Returns
    -------
    ndarray
        `(2, 3)`: image (row, column) = matrix @ (crop row, crop column, 1).
    """
    if rng.random() < WHOLE_VIEW_SHARE:
        scale = view_px / max(image_shape) * np.exp(rng.uniform(np.log(0.7), np.log(1.6)))
    else:
        scale = crop_px * np.exp(rng.uniform(np.log(0.2), np.log(0.9))) / extent.side
    scale = float(np.clip(scale, 0.05 * crop_px / extent.side, 1.1 * crop_px / extent.side))
    aspect = np.exp(rng.uniform(-0.5, 0.5) * np.log(1.3))
    angle = np.deg2rad(rng.uniform(-15, 15)) if rng.random() < 0.4 else 0.0
    angle += np.pi / 2 * rng.integers(4)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mirror = np.diag([1.0, rng.choice([-1.0, 1.0])])
    linear = rotation @ mirror @ np.diag([aspect, 1 / aspect]) / scale

    # the object's middle lands anywhere that keeps most of it within the crop
    slack = max(0.0, 1 - extent.side * scale / crop_px) * 0.5 * crop_px
    target = crop_px / 2 + rng.uniform(-slack, slack, size=2)
    middle = np.array([(extent.top + extent.bottom - 1) / 2, (extent.left + extent.right - 1) / 2])
    return np.concatenate([linear, (middle - linear @ target)[:, None]], axis=1)


def warp(array: Tensor, matrix: NDArray[np.float64], crop_px: int, *, is_label: bool) -> Tensor:
    """Sample `(C, H, W)` float at the pixels of a crop; outside the image, images are mirrored and labels are 0.

    Images that are shrunk to less than 2/3 are averaged over whole pixels first, so that nothing aliases.

    Returns
    -------
    Tensor
        `(C, crop_px, crop_px)` float32.
    """
    factor = round(float(np.sqrt(abs(np.linalg.det(matrix[:, :2])))))
    if factor > 1 and not is_label:
        array = F.avg_pool2d(array[None].float(), factor, ceil_mode=True)[0]
        matrix = np.concatenate([matrix[:, :2], matrix[:, 2:] - (factor - 1) / 2], axis=1) / factor
    height, width = array.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(crop_px), torch.arange(crop_px), indexing="ij")
    linear = torch.from_numpy(matrix).float()
    row = linear[0, 0] * rows + linear[0, 1] * columns + linear[0, 2]
    column = linear[1, 0] * rows + linear[1, 1] * columns + linear[1, 2]
    grid = torch.stack([(2 * column + 1) / width - 1, (2 * row + 1) / height - 1], dim=-1)
    return F.grid_sample(
        array[None].float(),
        grid[None],
        mode="nearest" if is_label else "bilinear",
        padding_mode="zeros" if is_label else "reflection",
        align_corners=False,
    )[0]


def random_look(rng: Generator, image: Tensor) -> Tensor:
    """Change intensities as microscopes and scanners do.

    Parameters
    ----------
    rng
        Source of chance.
    image
        `(3, H, W)` float32 in [0, 1].

    Returns
    -------
    Tensor
        `(3, H, W)` float32 in [0, 1]. Changed by chance are brightness, contrast, gamma, sign, colour, the order of
        channels, evenness of light, sharpness and noise.
    """
    if rng.random() < 0.15:
        image = image.mean(dim=0, keepdim=True).expand(3, -1, -1)
    if rng.random() < 0.15:
        image = image[rng.permutation(3)]
    if rng.random() < 0.2:
        image = 1 - image
    if rng.random() < 0.75:
        mean = image.mean()
        image = (image - mean) * rng.uniform(0.6, 1.5) + mean + rng.uniform(-0.2, 0.2)
    if rng.random() < 0.4:
        image = image.clamp(0, 1) ** float(np.exp(rng.uniform(-0.6, 0.6)))
    if rng.random() < 0.15:
        image = image * _bias_field(rng, image.shape[-2:])
    if rng.random() < 0.2:
        image = _blurred(image, sigma=rng.uniform(0.4, 1.6))
    if rng.random() < 0.3:
        noise = torch.from_numpy(rng.standard_normal(image.shape, dtype=np.float32))
        image = image + float(rng.uniform(0.01, 0.1)) * noise
    return image.clamp(0, 1).contiguous()


def _bias_field(rng: Generator, shape: tuple[int, ...]) -> Tensor:
    coarse = torch.from_numpy(rng.uniform(0.6, 1.4, size=(1, 1, 3, 3)).astype(np.float32))
    return F.interpolate(coarse, shape, mode="bicubic", align_corners=True)[0]


def _blurred(image: Tensor, *, sigma: float) -> Tensor:
    reach = int(np.ceil(2 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum())[None, None]
    padded = F.pad(image[:, None], (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel[..., None]), kernel[:, :, None])[:, 0]
