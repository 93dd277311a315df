"""Where the depth of a training sample comes from: the network's own decoder, or the truth of the sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_segnext.models.order_maps import scale_depth

if TYPE_CHECKING:
    from numpy.random import Generator


def with_true_depth(
    levels: tuple[Tensor, ...], depth: Tensor | None, rng: Generator, *, share: float
) -> tuple[Tensor, ...]:
    """Levels of OIS in which some images have their true depth in the place of the decoder's.

    A model that has seen both can be given a depth later on.

    Parameters
    ----------
    levels
        Of `OIS.encode`: the last one is the depth, `(B, 1, h, w)`.
    depth
        `(B, 1, H, W)` float of the images, all NaN where none is known; None if none is known of any.
    rng
        Source of chance.
    share
        Of the images with a known depth that get it.
    """
    if depth is None or share == 0:
        return levels
    seen = levels[-1]
    is_given = torch.from_numpy(rng.random(len(depth)) < share) & depth.isfinite().any(dim=(1, 2, 3)).cpu()
    true = F.adaptive_avg_pool2d(scale_depth(depth), (seen.shape[-2], seen.shape[-1])).to(seen)
    return (*levels[:-1], torch.where(is_given.to(seen.device)[:, None, None, None], true, seen))
