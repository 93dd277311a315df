"""The DPT decoder: four maps of a transformer → one map at the size of the image, in stages that can be cached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_segnext.models.depth_config import DepthAnythingConfig


class DPTDecoder(nn.Module):
    """Four maps of an encoder → one channel of logits.

    1. `reassemble` brings each map to its own size and to `features` channels. It looks at one map at a time, so what
       depends on the image alone is done once, and one level can be made again by `reassemble_level`.
    2. `fuse` adds the maps up from the coarsest to the finest.
    3. `head` enlarges the sum to the size that is asked for.

    Parameters
    ----------
    config
        Sizes.

    Notes
    -----
    Of Ranftl et al. [1]_ as in Depth Anything V2, with two changes that leave the result as it is (its tests give the
    rounding): the residual unit that each finer level goes through before it is added belongs to stage 1, because it
    depends on that level alone; and the 1×1 convolution that ends a fusion comes before its enlargement, with which it
    commutes, at a quarter of the work. The coarsest level has no such unit: the original stores one but never runs it.

    References
    ----------
    .. [1] Ranftl, Bochkovskiy, Koltun, Vision Transformers for Dense Prediction, ICCV 2021, arXiv:2103.13413.
    """

    def __init__(self, config: DepthAnythingConfig) -> None:
        super().__init__()
        features, widths = config.features, config.reassembled_widths
        self.projections = nn.ModuleList(nn.Conv2d(config.width, width, 1) for width in widths)
        self.resizings = nn.ModuleList(
            [
                nn.ConvTranspose2d(widths[0], widths[0], 4, stride=4),
                nn.ConvTranspose2d(widths[1], widths[1], 2, stride=2),
                nn.Identity(),
                nn.Conv2d(widths[3], widths[3], 3, stride=2, padding=1),
            ]
        )
        self.narrowings = nn.ModuleList(nn.Conv2d(width, features, 3, padding=1, bias=False) for width in widths)
        self.level_units = nn.ModuleList(
            [ResidualUnit(features), ResidualUnit(features), ResidualUnit(features), nn.Identity()]
        )
        self.fusions = nn.ModuleList(Fusion(features) for _ in widths)
        self.head_narrowing = nn.Conv2d(features, features // 2, 3, padding=1)
        self.head_convs = nn.Sequential(
            nn.Conv2d(features // 2, config.head_hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(config.head_hidden, 1, 1)
        )

    def forward(self, maps: Sequence[Tensor], shape: tuple[int, int]) -> Tensor:
        """Maps of the encoder, `(B, C, h, w)` each → logits `(B, 1, *shape)`."""
        return self.head(self.fuse(self.reassemble(maps)), shape)

    def reassemble(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Four maps `(B, C, h, w)` → `(B, F, …)` at 4, 2, 1 and 1/2 times (rounded up) their size."""
        return tuple(self.reassemble_level(index, level) for index, level in enumerate(maps))

    def reassemble_level(self, index: int, level: Tensor) -> Tensor:
        """One of the four maps, `index` 0 to 3 → what `fuse` reads of it."""
        resized = self.resizings[index](self.projections[index](level))
        return self.level_units[index](self.narrowings[index](resized))  # type: ignore[no-any-return]

    def fuse(self, levels: Sequence[Tensor], *, is_doubled: bool = True) -> Tensor:
        """Add up what `reassemble` made.

        Parameters
        ----------
        levels
            Four maps, finest first; each of batch `B`, or of batch 1 where all `B` share it (nothing is copied then).
        is_doubled
            Whether the sum is enlarged once more, as the original does.

        Returns
        -------
        Tensor
            `(B, F, 8 h, 8 w)`, twice the size of the finest level; `(B, F, 4 h, 4 w)` if it is not doubled.
        """
        finest, *_, coarsest = levels
        fused = self.fusions[3](coarsest, _shape(levels[2]))
        fused = self.fusions[2](fused + levels[2], _shape(levels[1]))
        fused = self.fusions[1](fused + levels[1], _shape(finest))
        rows, columns = _shape(finest)
        factor = 2 if is_doubled else 1
        return self.fusions[0](fused + finest, (factor * rows, factor * columns))  # type: ignore[no-any-return]

    def head(self, fused: Tensor, shape: tuple[int, int]) -> Tensor:
        """`(B, F, rows, columns)` → logits `(B, 1, *shape)`, before any threshold."""
        return self.head_convs(_enlarged(self.head_narrowing(fused), shape))  # type: ignore[no-any-return]


class Fusion(nn.Module):
    """A residual unit and a 1×1 convolution, then the enlargement to the next finer level."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.unit = ResidualUnit(features)
        self.out = nn.Conv2d(features, features, 1)

    def forward(self, level: Tensor, shape: tuple[int, int]) -> Tensor:
        """`(B, F, h, w)` → `(B, F, *shape)`."""
        return _enlarged(self.out(self.unit(level)), shape)


class ResidualUnit(nn.Module):
    """Two 3×3 convolutions of what is above 0, added to what came in."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, F, h, w)` → the same shape."""
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))  # type: ignore[no-any-return]


def _shape(level: Tensor) -> tuple[int, int]:
    return level.shape[-2], level.shape[-1]


def _enlarged(level: Tensor, shape: tuple[int, int]) -> Tensor:
    if _shape(level) == shape:
        return level
    return F.interpolate(level, shape, mode="bilinear", align_corners=True)
