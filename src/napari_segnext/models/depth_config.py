"""Sizes of Depth Anything V2 as frozen values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from napari_segnext.errors import ConfigError

N_LEVELS = 4
"""Maps that the encoder hands to the decoder."""


@dataclass(frozen=True, slots=True)
class DepthAnythingConfig:
    """A DINOv2 encoder with a DPT decoder of any size. The defaults are the published small one.

    Attributes
    ----------
    patch_px
        Side of a patch in pixels of the network's input.
    table_side
        Patches a side of the stored table of positions, which is resampled for every other grid.
    width, depth, n_heads, mlp_ratio
        Of the transformer.
    blocks_taken
        Four blocks, counted from 0, whose outputs the decoder reads, first to last.
    features
        Channels in which the decoder fuses the four maps; even.
    reassembled_widths
        Channels of the four maps after their projection, in the order of `blocks_taken`.
    head_hidden
        Channels before the last convolution.

    Raises
    ------
    ConfigError
        If the sizes do not fit together.
    """

    patch_px: int = 14
    table_side: int = 37
    width: int = 384
    depth: int = 12
    n_heads: int = 6
    mlp_ratio: float = 4.0
    blocks_taken: tuple[int, int, int, int] = (2, 5, 8, 11)
    features: int = 64
    reassembled_widths: tuple[int, int, int, int] = (48, 96, 192, 384)
    head_hidden: int = 32

    def __post_init__(self) -> None:
        taken = self.blocks_taken
        if len(taken) != N_LEVELS or list(taken) != sorted({*taken}) or taken[0] < 0 or taken[-1] >= self.depth:
            raise ConfigError(
                f"blocks_taken is {taken}; expected {N_LEVELS} blocks from 0 to {self.depth - 1}, each after the last."
            )
        if len(self.reassembled_widths) != N_LEVELS:
            raise ConfigError(f"reassembled_widths is {self.reassembled_widths}; expected {N_LEVELS} widths.")
        if self.n_heads < 1 or self.width % self.n_heads:
            raise ConfigError(f"a width of {self.width} cannot be split between {self.n_heads} heads; expected evenly.")
        if self.features < 2 or self.features % 2:
            raise ConfigError(f"features is {self.features}; expected an even number, which the head halves.")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DepthAnythingConfig:
        """Config from the dictionary that `to_dict` makes.

        Raises
        ------
        ConfigError
            If an entry is unknown, of a wrong kind, or does not fit the others.
        """
        try:
            sizes: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
            }
            return cls(**sizes)
        except (TypeError, AttributeError, ValueError, IndexError) as error:
            raise ConfigError(
                f"not a Depth Anything configuration: {error}. Was the file written by another version?"
            ) from error


SMALL = DepthAnythingConfig()
BASE = DepthAnythingConfig(width=768, n_heads=12, features=128, reassembled_widths=(96, 192, 384, 768))
LARGE = DepthAnythingConfig(
    width=1024,
    depth=24,
    n_heads=16,
    blocks_taken=(4, 11, 17, 23),
    features=256,
    reassembled_widths=(256, 512, 1024, 1024),
)
