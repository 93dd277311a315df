"""The configuration of an original checkpoint → ours, checked against the shapes of its tensors."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, TypeVar

from napari_segnext.errors import CheckpointError
from napari_segnext.models.config import DecoderConfig, FusionConfig, PlainViTConfig, SegNextConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Shapes = dict[str, tuple[int, ...]]
"""Shape of each parameter by its original name."""

T = TypeVar("T")

_ADVICE = "The file is damaged or made by another program: give an original SegNext checkpoint."

_PYRAMID = ("neck.down_4.5.weight", "neck.down_8.2.weight", "neck.down_16.0.weight", "neck.down_32.2.weight")
"""The convolutions that give the four levels their widths, finest first."""

_RELEASED_NORMALISATION = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and spread of RGB in [0, 1]."""

_MAX_COUNT = 65_536

# `cpu_dist_maps` is read by nobody here: it says where the original draws its disks, not which.


def config_from_original(
    path: Path, shapes: Shapes, settings: Mapping[str, Any]
) -> tuple[SegNextConfig, tuple[str, ...]]:
    """Config of an original checkpoint.

    Parameters
    ----------
    path
        The file; for errors only.
    shapes
        Shape of each parameter by its original name.
    settings
        Value of each constructor argument in the file; entries may be missing, unknown ones do no harm.

    Returns
    -------
    config
        Ours.
    assumed
        Names of the settings that are neither stated nor visible in the shapes; the released values were taken.

    Raises
    ------
    CheckpointError
        If settings and shapes contradict each other, or ask for what SegNext's released code cannot do.
    """
    reader = _Reader(path, shapes, settings)
    try:
        encoder = _encoder(reader)
        config = SegNextConfig(
            input_shape=_input_shape(reader, encoder.patch_px),
            encoder=encoder,
            fusion=_fusion(reader, encoder),
            decoder=_decoder(reader),
            click_radius_px=reader.stated("norm_radius", _positive, 5.0),
            uses_disks=reader.stated("use_disks", _truth, True),
            mean=_normalisation(reader, 0),
            std=_normalisation(reader, 1),
        )
    except KeyError as error:
        raise reader.error(f"parameter {error} is missing") from error
    return config, tuple(dict.fromkeys(reader.assumed))


class _Reader:
    """Settings and shapes of one file, and a record of what had to be assumed."""

    def __init__(self, path: Path, shapes: Shapes, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.shapes = shapes
        self.settings = settings
        self.assumed: list[str] = []

    def value(self, where: str) -> Any:
        """Setting at a dotted path; None if absent."""
        found: Any = self.settings
        for key in where.split("."):
            found = found.get(key) if isinstance(found, dict) or found is self.settings else None
        return found

    def stated(self, where: str, read: Callable[[Any], T], released: T) -> T:
        """A setting that only the configuration can tell; the released value, noted, if it does not."""
        value = self.value(where)
        if value is None:
            self.assumed.append(f"{where}={released}")
            return released
        return self.read(where, read, value)

    def seen(self, where: str, read: Callable[[Any], T], in_shapes: T) -> T:
        """A setting that the shapes tell; the configuration must agree if it states it."""
        value = self.value(where)
        if value is not None and self.read(where, read, value) != in_shapes:
            raise self.error(f"its configuration says {where}={value!r}, but its tensors say {in_shapes!r}")
        return in_shapes

    def read(self, where: str, read: Callable[[Any], T], value: Any) -> T:
        """A value in the form that `read` makes of it."""
        try:
            return read(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise self.error(f"its configuration has {where}={str(value)[:80]!r}; {error}") from error

    def shape(self, name: str, n_dimensions: int) -> tuple[int, ...]:
        """Shape of a parameter that must exist, with so many dimensions."""
        shape = self.shapes[name]
        if len(shape) != n_dimensions or 0 in shape:
            raise self.error(f"parameter '{name}' has shape {shape}; expected {n_dimensions} dimensions")
        return shape

    def n_blocks(self, prefix: str) -> int:
        """Number of blocks whose parameters start with `prefix`, numbered from 0 without gaps."""
        pattern = re.compile(re.escape(prefix) + r"(\d{1,4})\.")
        numbers = {int(match.group(1)) for match in map(pattern.match, self.shapes) if match}
        if numbers != set(range(len(numbers))):
            raise self.error(f"its blocks '{prefix}N' are numbered {sorted(numbers)[:8]}; expected 0, 1, 2, …")
        return len(numbers)

    def error(self, problem: str) -> CheckpointError:
        return CheckpointError(self.path, problem, _ADVICE)


def _encoder(reader: _Reader) -> PlainViTConfig:
    width, n_channels, *patch = reader.shape("backbone.patch_embed.proj.weight", 4)
    reader.seen("backbone_params.in_chans", _count, 3)
    if n_channels != 3 or patch[0] != patch[1]:
        raise reader.error(f"it embeds {n_channels} channels in patches of {patch}; expected 3 and square patches")
    if reader.value("backbone_params.patch_size") is not None:
        reader.seen("backbone_params.patch_size", _pair, (patch[0], patch[0]))
    depth = reader.seen("backbone_params.depth", _count, reader.n_blocks("backbone.blocks."))
    if depth == 0:
        raise reader.error("its encoder has no blocks; expected at least one")
    return PlainViTConfig(
        patch_px=patch[0],
        width=reader.seen("backbone_params.embed_dim", _count, width),
        depth=depth,
        n_heads=_n_heads(reader, "backbone_params.num_heads", width, released=max(width // 64, 1)),
        mlp_ratio=_mlp_ratio(reader, "backbone_params.mlp_ratio", "backbone.blocks.0.", width),
        qkv_bias=reader.seen("backbone_params.qkv_bias", _truth, "backbone.blocks.0.attn.qkv.bias" in reader.shapes),
        global_attention_every=reader.stated("backbone_params.global_atten_freq", _whole, 3),
    )


def _input_shape(reader: _Reader, patch_px: int) -> tuple[int, int]:
    n_tokens = reader.shape("backbone.pos_embed", 3)[1] - 1
    side = math.isqrt(max(n_tokens, 0)) * patch_px
    rows, columns = reader.stated("backbone_params.img_size", _pair, (side, side))
    if rows % patch_px or columns % patch_px or (rows // patch_px) * (columns // patch_px) != n_tokens:
        raise reader.error(
            f"its configuration says an input of {rows} × {columns} px in patches of {patch_px} px, "
            f"but it has {n_tokens} position embeddings"
        )
    return rows, columns


def _fusion(reader: _Reader, encoder: PlainViTConfig) -> FusionConfig:
    depth = reader.n_blocks("fusion_blocks.")
    kind = reader.value("fusion_params.type")
    is_cross = any("image_to_prompt" in name or "prompt_to_image" in name for name in reader.shapes)
    if kind == "cross_attention" or is_cross:
        raise CheckpointError(
            reader.path,
            "its fusion is 'cross_attention'; expected 'self_attention' or 'naive'",
            "No weights of that kind were released, and it is not supported.",
        )
    if kind not in (None, "self_attention", "naive"):
        raise reader.error(f"its fusion is {str(kind)[:40]!r}; expected 'self_attention' or 'naive'")
    if kind == "naive" and depth:
        raise reader.error(f"its fusion is 'naive', but it has {depth} fusion blocks")
    if depth == 0:
        if kind == "self_attention":
            reader.seen("fusion_params.depth", _whole, 0)
        return FusionConfig(depth=0, n_heads=encoder.n_heads)
    width = reader.seen("fusion_params.params.dim", _count, encoder.width)
    return FusionConfig(
        depth=reader.seen("fusion_params.depth", _count, depth),
        n_heads=_n_heads(reader, "fusion_params.params.num_heads", width, released=encoder.n_heads),
        mlp_ratio=_mlp_ratio(reader, "fusion_params.params.mlp_ratio", "fusion_blocks.0.", width),
        qkv_bias=reader.seen("fusion_params.params.qkv_bias", _truth, "fusion_blocks.0.attn.qkv.bias" in reader.shapes),
    )


def _decoder(reader: _Reader) -> DecoderConfig:
    widths = tuple(reader.shape(name, 4)[0] for name in _PYRAMID)
    reader.seen("neck_params.in_dim", _count, reader.shape("neck.down_16.0.weight", 4)[1])
    reader.seen("neck_params.out_dims", _counts, widths)
    n_classes, head_width, *_ = reader.shape("head.seg_conv.weight", 4)
    reader.seen("head_params.num_classes", _count, n_classes)
    if n_classes != 1:
        raise reader.error(f"its head gives {n_classes} classes; expected 1, object or not")
    levels = _levels(reader, widths)
    return DecoderConfig(
        pyramid_widths=widths,  # type: ignore[arg-type] # four convolutions were asked for
        levels=levels,
        head_width=reader.seen("head_params.out_channels", _count, head_width),
        dropout=_dropout(reader),
    )


def _dropout(reader: _Reader) -> float:
    """Acts in training only, so it is not worth a note if it is not stated."""
    stated = reader.value("head_params.dropout_ratio")
    return 0.1 if stated is None else reader.read("head_params.dropout_ratio", _fraction, stated)


def _levels(reader: _Reader, widths: tuple[int, ...]) -> tuple[int, ...]:
    """Levels of the pyramid that the head reads, told by the widths of its convolutions."""
    in_widths = tuple(
        reader.shape(f"head.convs.{index}.conv.weight", 4)[1] for index in range(reader.n_blocks("head.convs."))
    )
    stated = reader.value("head_params.in_select_index")
    if stated is not None:
        levels = reader.read("head_params.in_select_index", _wholes, stated)
    elif len(in_widths) == len(widths):
        levels = tuple(range(len(widths)))
    else:
        levels = tuple(widths.index(width) for width in in_widths if width in widths)
    if not levels or any(level >= len(widths) for level in levels) or tuple(widths[i] for i in levels) != in_widths:
        raise reader.error(f"its head reads widths {in_widths} at levels {levels} of a pyramid with widths {widths}")
    return levels


def _normalisation(reader: _Reader, index: int) -> tuple[float, float, float]:
    return reader.stated("norm_mean_std", _two_triples, _RELEASED_NORMALISATION)[index]


def _n_heads(reader: _Reader, where: str, width: int, *, released: int) -> int:
    n_heads = reader.stated(where, _count, released)
    if width % n_heads:
        raise reader.error(f"its configuration has {where}={n_heads}, which does not divide the width {width}")
    return n_heads


def _mlp_ratio(reader: _Reader, where: str, prefix: str, width: int) -> float:
    """Ratio whose product with the width, rounded down, is what the shapes show."""
    hidden = reader.shape(f"{prefix}mlp.fc1.weight", 2)[0]
    stated = reader.value(where)
    if stated is None:
        return hidden / width
    ratio = reader.read(where, _positive, stated)
    if int(width * ratio) != hidden:
        raise reader.error(f"its configuration says {where}={stated!r}, but its tensors say {hidden} of width {width}")
    return ratio


def _whole(value: Any) -> int:
    if isinstance(value, bool) or int(value) != value or not 0 <= value <= _MAX_COUNT:
        raise ValueError(f"expected a whole number from 0 to {_MAX_COUNT}")
    return int(value)


def _count(value: Any) -> int:
    if _whole(value) == 0:
        raise ValueError("expected a whole number above 0")
    return int(value)


def _wholes(value: Any) -> tuple[int, ...]:
    return tuple(_whole(item) for item in (value if isinstance(value, list | tuple) else [value]))


def _counts(value: Any) -> tuple[int, ...]:
    return tuple(_count(item) for item in value)


def _pair(value: Any) -> tuple[int, int]:
    rows, columns = value if isinstance(value, list | tuple) else (value, value)
    return _count(rows), _count(columns)


def _positive(value: Any) -> float:
    if isinstance(value, bool) or not 0 < float(value) < math.inf:
        raise ValueError("expected a number above 0")
    return float(value)


def _fraction(value: Any) -> float:
    if not 0 <= float(value) < 1:
        raise ValueError("expected a number from 0 to below 1")
    return float(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool | int):
        raise TypeError("expected true or false")
    return bool(value)


def _two_triples(value: Any) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    mean, std = (tuple(float(number) for number in triple) for triple in value)
    if len(mean) != 3 or len(std) != 3 or not all(map(math.isfinite, mean)) or min(std) <= 0:
        raise ValueError("expected the mean and the spread of three channels")
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])
