"""The shape of an OIS network as a frozen value."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from napari_segnext.errors import ConfigError
from napari_segnext.models.config import HYBRID_GRID_PX, HybridConfig
from napari_segnext.models.depth_config import BASE, DepthAnythingConfig


@dataclass(frozen=True, slots=True)
class OrderConfig:
    """Sparse prompts and the blocks through which they look at the image.

    Attributes
    ----------
    n_blocks, n_heads, mlp_ratio
        Of the blocks (three in the paper).
    attention_width
        Channels of queries, keys and values; half of the embedding's in our base model, as in SAM.
    sigma
        How much order distance counts before training; it is learned.
    uses_order, uses_object, uses_sparse, uses_dense
        What the ablation of the paper (Table 4) switches off: order-aware attention becomes plain, object-aware
        attention becomes plain, no sparse prompts at all, no prompt map.
    sees_previous_mask
        Whether the prompt map has the previous mask as a channel, as SegNext's has, so that boxes, polygons and masks
        are seen at their full resolution; the paper's has the two of clicks only.
    draws_order
        Whether the prompt map has the order map of the positive clicks as a channel, at its full resolution; not in the
        paper. Attention sees order by cells only.
    """

    n_blocks: int = 3
    n_heads: int = 8
    mlp_ratio: float = 4.0
    attention_width: int = 384
    sigma: float = 5.0
    uses_order: bool = True
    uses_object: bool = True
    uses_sparse: bool = True
    uses_dense: bool = True
    sees_previous_mask: bool = False
    draws_order: bool = False

    @property
    def n_channels(self) -> int:
        """Of the prompt map."""
        return 2 + self.sees_previous_mask + self.draws_order


@dataclass(frozen=True, slots=True)
class OISConfig:
    """An OIS of any size. The defaults are the paper's, on Depth Anything V2 Base.

    Attributes
    ----------
    input_shape
        (rows, columns) to which every image is resized; 1022 is the multiple of 14 next to the paper's 1024.
    encoder
        Depth Anything V2 with its DPT decoders, or our hybrid with decoders of its kind.
    order
        Sparse prompts and attention.
    context_depth
        Of hybrids: self-attention blocks that the coarsest level goes through once an image, before prompts are added;
        in our SegNext they follow the prompts.
    sees_depth
        Whether the depth decoder is asked where no depth is given. False takes depth as flat then, which is plain
        attention: better than a poor guess.
    click_radius_px
        Radius of a click's disk in pixels of the model input.
    mean, std
        Of RGB in [0, 1], for normalisation.
    keeps_aspect, prefers_zoom, sees_mirrored
        As of `SegNextConfig`.
    """

    input_shape: tuple[int, int] = (1022, 1022)
    encoder: DepthAnythingConfig | HybridConfig = BASE
    order: OrderConfig = field(default_factory=OrderConfig)
    context_depth: int = 0
    sees_depth: bool = True
    click_radius_px: float = 5.0
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    keeps_aspect: bool = False
    prefers_zoom: bool = False
    sees_mirrored: bool = False

    @property
    def grid_px(self) -> int:
        """Side of a patch: inputs are multiples of it."""
        return HYBRID_GRID_PX if isinstance(self.encoder, HybridConfig) else self.encoder.patch_px

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary; `from_dict` reads it back."""
        kind = "hybrid" if isinstance(self.encoder, HybridConfig) else "depth_anything"
        return {**asdict(self), "encoder": {"kind": kind, **asdict(self.encoder)}}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> OISConfig:
        """Config from the dictionary that `to_dict` makes; the same without entries that have defaults.

        Raises
        ------
        ConfigError
            If an entry is unknown or of a wrong kind.
        """
        try:
            values = dict(values)
            parts: dict[str, Any] = {}
            if "encoder" in values:
                encoder = dict(values.pop("encoder"))
                kind = {"depth_anything": DepthAnythingConfig, "hybrid": HybridConfig}[encoder.pop("kind")]
                parts["encoder"] = kind(**_tuples(encoder))
            return cls(**parts, order=OrderConfig(**values.pop("order", {})), **_tuples(values))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ConfigError(
                f"not an OIS configuration: {error!r}. Was the file written by another version?"
            ) from error


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
