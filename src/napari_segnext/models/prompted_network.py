"""What our networks have in common as interactive models: sizes of inputs and clicks, normalisation, device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from napari_segnext._types import Shape2D

MIN_INPUT_CELLS = 4
"""Of a side, where the aspect is kept: wide enough for some pixels of the coarsest level."""


class InputConfig(Protocol):
    """Entries that the configs of all families have; see `SegNextConfig`."""

    @property
    def input_shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        ...

    @property
    def grid_px(self) -> int:
        """Inputs are multiples of it."""
        ...

    @property
    def click_radius_px(self) -> float:
        """In pixels of the input."""
        ...

    @property
    def keeps_aspect(self) -> bool:
        """Whether the longer side alone is given."""
        ...

    @property
    def prefers_zoom(self) -> bool:
        """Whether sessions zoom by default."""
        ...

    @property
    def sees_mirrored(self) -> bool:
        """Whether the mirror image is seen, too."""
        ...

    @property
    def mean(self) -> tuple[float, float, float]:
        """Of RGB in [0, 1]."""
        ...

    @property
    def std(self) -> tuple[float, float, float]:
        """Of RGB in [0, 1]."""
        ...


class PromptedNetwork(nn.Module):
    """Base of `SegNext` and `OIS`: what an `InteractiveModel` says of itself.

    Parameters
    ----------
    config
        Of the network.
    """

    mean: Tensor
    std: Tensor
    config: InputConfig

    def __init__(self, config: InputConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.tensor(config.mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(config.std)[:, None, None], persistent=False)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.parameters()).device

    @property
    def precision(self) -> str:
        """Dtype of the weights; caches keep embeddings of different ones apart."""
        return str(next(self.parameters()).dtype).removeprefix("torch.")

    @property
    def prefers_zoom(self) -> bool:
        """Whether sessions zoom by default."""
        return self.config.prefers_zoom

    @property
    def sees_mirrored(self) -> bool:
        """Whether answers are means over an image and its mirror image."""
        return self.config.sees_mirrored

    def click_radius_px(self, image_shape: Shape2D) -> float:
        """Radius of a click's disk in pixels of an image, along the axis where it is smaller."""
        scales = (size / side for size, side in zip(image_shape, self.input_shape(image_shape), strict=True))
        return self.config.click_radius_px * min(scales)

    def input_shape(self, image_shape: Shape2D) -> Shape2D:
        """(rows, columns) to which an image of some shape is resized."""
        if not self.config.keeps_aspect:
            return self.config.input_shape
        grid_px = self.config.grid_px
        scale = max(self.config.input_shape) / max(image_shape)
        rows, columns = (grid_px * max(MIN_INPUT_CELLS, round(size * scale / grid_px)) for size in image_shape)
        return rows, columns

    def normalise(self, image: Tensor) -> Tensor:
        """RGB in [0, 1] `(…, 3, H, W)` → zero mean and unit spread."""
        return (image - self.mean) / self.std
