"""The families of networks whose weights we keep: what each is for, its config, and how it is built.

A new family is one more row of `FAMILIES`. Importing this loads no torch; building a network does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from napari_segnext.models.config import SegNextConfig
from napari_segnext.models.depth_config import DepthAnythingConfig
from napari_segnext.models.ois_config import OISConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from napari_segnext.models.interface import ModelIdentity

ModelKind = Literal["interactive", "depth"]
"""Answers prompts, or estimates depth for a model that does."""

ModelConfig: TypeAlias = SegNextConfig | OISConfig | DepthAnythingConfig
"""The config of any family."""

MAX_WIDTH = 65_536
MAX_MLP_RATIO = 64


@dataclass(frozen=True)
class Family:
    """One kind of network.

    Attributes
    ----------
    name
        As weights files and the registry state it, there called the architecture.
    title
        As people know it.
    kind
        What it is for.
    config_class
        Has `to_dict` and `from_dict`.
    network
        (config, identity) → the network, in whatever memory torch is told to use.
    is_plausible
        (config, number of tensors in the file) → whether such a file can hold such a network.
    constants
        Fields of the config that the network holds as `(n, 1, 1)` buffers, in no file.
    """

    name: str
    title: str
    kind: ModelKind
    config_class: type[Any]
    network: Callable[[Any, ModelIdentity], nn.Module]
    is_plausible: Callable[[Any, int], bool]
    constants: tuple[str, ...] = ()


def _segnext(config: SegNextConfig, identity: ModelIdentity) -> nn.Module:
    from napari_segnext.models.segnext import SegNext

    return SegNext(config, identity)


def _segnext_is_plausible(config: SegNextConfig, n_tensors: int) -> bool:
    encoder = config.encoder
    blocks = [encoder.depth, config.fusion.depth, *getattr(encoder, "blocks_per_stage", ())]
    return (
        all(0 <= n_blocks <= n_tensors for n_blocks in blocks)
        and len(config.input_shape) == 2
        and all(16 <= side <= 8192 for side in config.input_shape)
        and is_plausible_transformer(encoder.width, encoder.n_heads, encoder.mlp_ratio)
    )


def _depth_anything(config: DepthAnythingConfig, identity: ModelIdentity) -> nn.Module:
    from napari_segnext.models.depth_anything import DepthAnything

    return DepthAnything(config, identity)


def _depth_anything_is_plausible(config: DepthAnythingConfig, n_tensors: int) -> bool:
    widths = (config.features, config.head_hidden, *config.reassembled_widths)
    return (
        1 <= config.depth <= n_tensors
        and 1 <= config.patch_px <= 256
        and 1 <= config.table_side <= 1024
        and all(1 <= width <= MAX_WIDTH for width in widths)
        and is_plausible_transformer(config.width, config.n_heads, config.mlp_ratio)
    )


def _ois(config: OISConfig, identity: ModelIdentity) -> nn.Module:
    from napari_segnext.models.ois import OIS

    return OIS(config, identity)


def _ois_is_plausible(config: OISConfig, n_tensors: int) -> bool:
    encoder, order = config.encoder, config.order
    if isinstance(encoder, DepthAnythingConfig):
        fits = _depth_anything_is_plausible(encoder, n_tensors)
    else:
        fits = all(0 <= n_blocks <= n_tensors for n_blocks in (encoder.depth, *encoder.blocks_per_stage))
        fits = fits and is_plausible_transformer(encoder.width, encoder.n_heads, encoder.mlp_ratio)
    return (
        fits
        and 0 <= order.n_blocks <= n_tensors
        and len(config.input_shape) == 2
        and all(16 <= side <= 8192 for side in config.input_shape)
        and is_plausible_transformer(order.attention_width, order.n_heads, order.mlp_ratio)
    )


def is_plausible_transformer(width: int, n_heads: int, mlp_ratio: float) -> bool:
    """Whether anybody would make a transformer of these sizes."""
    return 1 <= n_heads <= width <= MAX_WIDTH and width % n_heads == 0 and 0 < mlp_ratio <= MAX_MLP_RATIO


SEGNEXT = Family("segnext", "SegNext", "interactive", SegNextConfig, _segnext, _segnext_is_plausible, ("mean", "std"))
OIS = Family("ois", "OIS", "interactive", OISConfig, _ois, _ois_is_plausible, ("mean", "std"))
DEPTH_ANYTHING = Family(
    "depth-anything-v2",
    "Depth Anything V2",
    "depth",
    DepthAnythingConfig,
    _depth_anything,
    _depth_anything_is_plausible,
)

FAMILIES = {family.name: family for family in (SEGNEXT, OIS, DEPTH_ANYTHING)}


def family_of(config: ModelConfig) -> Family:
    """The family that a config belongs to.

    Raises
    ------
    TypeError
        If it belongs to none.
    """
    for family in FAMILIES.values():
        if isinstance(config, family.config_class):
            return family
    known = ", ".join(family.config_class.__name__ for family in FAMILIES.values())
    raise TypeError(f"the config is a {type(config).__name__}; expected one of {known}.")
