"""The shapes of networks as frozen values: a model is its config and its weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from napari_segnext.errors import ConfigError

HYBRID_GRID_PX = 16
"""Pixels of the input in one of the coarsest level of a hybrid."""


@dataclass(frozen=True, slots=True)
class PlainViTConfig:
    """Encoder of the published SegNext: a plain ViT with windowed and global attention.

    Attributes
    ----------
    patch_px
        Side of a patch in pixels of the model input.
    width, depth, n_heads, mlp_ratio, qkv_bias
        Of the transformer.
    global_attention_every
        Block i (from 1) attends globally if this divides i, or if it is the last; 1 makes all blocks global.
    """

    patch_px: int = 16
    width: int = 768
    depth: int = 12
    n_heads: int = 12
    mlp_ratio: float = 4.0
    qkv_bias: bool = True
    global_attention_every: int = 3

    @property
    def fusion_width(self) -> int:
        """Channels in which prompts are fused."""
        return self.width


@dataclass(frozen=True, slots=True)
class HybridConfig:
    """Encoder of our small models: convolutions down to 1/8, attention at 1/16.

    Attributes
    ----------
    stage_widths
        Channels at 1/2, 1/4 and 1/8 of the model input.
    blocks_per_stage
        Residual convolution blocks at 1/4 and 1/8.
    width, depth, n_heads, mlp_ratio
        Of the transformer at 1/16.
    uses_skips
        Whether the decoder sees the image at 1/4 and 1/8, too; False is for ablations.
    uses_fine_skip
        Whether image, prompts and decoder also meet at 1/2, for structures of one or two pixels; logits then have the
        full size of the model input.
    answer_widths
        Channels at 1/4, 1/8 and 1/16 in which prompts are fused and decoded, fewer than those of the image, so that a
        click costs a fraction (`light.py`); None for as many.
    """

    stage_widths: tuple[int, int, int] = (24, 40, 80)
    blocks_per_stage: tuple[int, int] = (2, 2)
    width: int = 256
    depth: int = 4
    n_heads: int = 4
    mlp_ratio: float = 4.0
    uses_skips: bool = True
    uses_fine_skip: bool = False
    answer_widths: tuple[int, int, int] | None = None

    @property
    def fusion_width(self) -> int:
        """Channels in which prompts are fused."""
        return self.width if self.answer_widths is None else self.answer_widths[2]


@dataclass(frozen=True, slots=True)
class FusionConfig:
    """Dense fusion: `depth` self-attention blocks on image plus prompt embedding (0: the sum only).

    Attributes
    ----------
    depth
        0, 1 (SA×1) or 2 (SA×2) in the paper.
    n_heads, mlp_ratio, qkv_bias
        Of the blocks.
    """

    depth: int = 2
    n_heads: int = 12
    mlp_ratio: float = 4.0
    qkv_bias: bool = True


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """Decoder of the published SegNext: a pyramid of four levels and an MLP head.

    Attributes
    ----------
    pyramid_widths
        Channels at 1/4, 1/8, 1/16 and 1/32 of the model input.
    levels
        Which of the four levels the head reads.
    head_width
        Channels of the head.
    dropout
        Probability of dropping a channel of the head, in training only.
    """

    pyramid_widths: tuple[int, int, int, int] = (128, 256, 512, 1024)
    levels: tuple[int, ...] = (0, 1, 2, 3)
    head_width: int = 256
    dropout: float = 0.1


@dataclass(frozen=True, slots=True)
class SegNextConfig:
    """A SegNext of any size. The defaults are the published ViT-B SA×2.

    Attributes
    ----------
    input_shape
        (rows, columns) to which every image is resized; see `keeps_aspect`.
    encoder
        Plain ViT as published, or our hybrid; it decides the prompt embedding and decoder that go with it.
    fusion, decoder
        Dense fusion; decoder (read by the plain ViT only, the hybrid's decoder follows from its stages).
    click_radius_px
        Radius of a click's disk in pixels of the model input.
    uses_disks
        Disks (published weights), or tanh distance maps.
    mean, std
        Of RGB in [0, 1], for normalisation.
    keeps_aspect
        The longer side of an image becomes that of `input_shape`, the other follows in multiples of 16 px, and what is
        shrunk is antialiased (hybrids only). False stretches to `input_shape` without antialiasing, as the original.
    prefers_zoom
        The weights were trained to answer on windows about the object, too; sessions then zoom by default.
    sees_mirrored
        Answers are means over the image and its mirror image, for twice the time.
    """

    input_shape: tuple[int, int] = (1024, 1024)
    encoder: PlainViTConfig | HybridConfig = field(default_factory=PlainViTConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    click_radius_px: float = 5.0
    uses_disks: bool = True
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    keeps_aspect: bool = False
    prefers_zoom: bool = False
    sees_mirrored: bool = False

    @property
    def grid_px(self) -> int:
        """Inputs whose aspect is kept are multiples of it: of a pixel of the coarsest level."""
        return HYBRID_GRID_PX

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary; `from_dict` reads it back."""
        encoder_kind = "plain_vit" if isinstance(self.encoder, PlainViTConfig) else "hybrid"
        return {**asdict(self), "encoder": {"kind": encoder_kind, **asdict(self.encoder)}}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SegNextConfig:
        """Config from the dictionary that `to_dict` makes.

        Raises
        ------
        ConfigError
            If an entry is missing, unknown, or of a wrong kind.
        """
        try:
            values = dict(values)
            encoder = dict(values.pop("encoder"))
            encoder_class = {"plain_vit": PlainViTConfig, "hybrid": HybridConfig}[encoder.pop("kind")]
            return cls(
                encoder=encoder_class(**_tuples(encoder)),
                fusion=FusionConfig(**_tuples(values.pop("fusion"))),
                decoder=DecoderConfig(**_tuples(values.pop("decoder"))),
                **_tuples(values),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ConfigError(
                f"not a SegNext configuration: {error!r}. Was the file written by another version?"
            ) from error


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
