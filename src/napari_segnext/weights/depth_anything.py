"""Original Depth Anything V2 checkpoints (.pth) → our config and our parameter names; and loading a depth network.

The first version of Depth Anything, and the metric variants of the second, have parameters of the same names and shapes
but mean something else by them: they would load without a word and give wrong depths. Only a file's SHA-256 and its
name can tell them apart. So:

1. a published file is known by its SHA-256, whatever its name is;
2. any other file whose name is that of a metric variant or of the first version is refused;
3. the rest, such as weights that somebody trained further, loads with a logged warning that nobody can tell.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_segnext.errors import CheckpointError
from napari_segnext.models.depth_config import BASE, LARGE, SMALL, DepthAnythingConfig
from napari_segnext.models.interface import ModelIdentity
from napari_segnext.weights.families import DEPTH_ANYTHING
from napari_segnext.weights.load import ORIGINAL_SUFFIXES, find_device, find_weights, sha256_of
from napari_segnext.weights.pth_file import PthContent, check_tensors, read_pth
from napari_segnext.weights.registry import ENTRIES, ModelEntry
from napari_segnext.weights.safetensors_file import read_weights

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from napari_segnext.models.depth_anything import DepthAnything

logger = logging.getLogger(__name__)

PUBLISHED = {"depth-anything-v2-small": SMALL, "depth-anything-v2-base": BASE, "depth-anything-v2-large": LARGE}
"""Sizes by name in the registry."""

_LEVELS = range(1, 5)

PREFIXES = {
    "pretrained.": "encoder.",
    "depth_head.projects.": "decoder.projections.",
    "depth_head.resize_layers.": "decoder.resizings.",
    **{f"depth_head.scratch.layer{n}_rn.": f"decoder.narrowings.{n - 1}." for n in _LEVELS},
    **{f"depth_head.scratch.refinenet{n}.resConfUnit1.": f"decoder.level_units.{n - 1}." for n in _LEVELS},
    **{f"depth_head.scratch.refinenet{n}.resConfUnit2.": f"decoder.fusions.{n - 1}.unit." for n in _LEVELS},
    **{f"depth_head.scratch.refinenet{n}.out_conv.": f"decoder.fusions.{n - 1}.out." for n in _LEVELS},
    "depth_head.scratch.output_conv1.": "decoder.head_narrowing.",
    "depth_head.scratch.output_conv2.": "decoder.head_convs.",
}
"""The original's name of each part → ours. Within a part the names are equal."""

DROPPED = (
    "pretrained.mask_token",
    *(f"depth_head.scratch.refinenet4.resConfUnit1.conv{n}.{kind}" for n in (1, 2) for kind in ("weight", "bias")),
)
"""In the files, but never applied by the original."""

_METRIC = re.compile(r"metric|hypersim|kitti", re.IGNORECASE)
_FIRST_VERSION = re.compile(r"depth[-_ ]?anything[-_ ]?(v1|vit[sblg])", re.IGNORECASE)

_ADVICE = "Give a checkpoint of Depth Anything V2 (relative depth), such as depth_anything_v2_vits.pth."


@dataclass(frozen=True)
class DepthCheckpoint:
    """What was read from an original checkpoint.

    Attributes
    ----------
    config
        Shape of the network.
    state
        Parameters under our names, float32, on the CPU.
    dropped
        Original names of the parameters that are left out because the original never applies them.
    sha256
        SHA-256 digest (hexadecimal) of the file.
    published
        The entry of the registry that the file is; None if it is another one.
    """

    config: DepthAnythingConfig
    state: dict[str, Tensor]
    dropped: tuple[str, ...]
    sha256: str
    published: ModelEntry | None


def load_depth_model(
    name_or_path: str | Path, device: str = "auto", *, config: DepthAnythingConfig | None = None
) -> DepthAnything:
    """Load a depth network, ready to estimate.

    Parameters
    ----------
    name_or_path
        A name of that kind that `list_models` gives, such as `"depth-anything-v2-small"`; or a path: our
        `.safetensors`, or an original Depth Anything V2 `.pth`.
    device
        As of `load_model`.
    config
        Sizes of an original `.pth` that is none of the published ones; a published file tells its own.

    Returns
    -------
    DepthAnything
        In evaluation mode, without gradients, float32.

    Raises
    ------
    ValueError
        If the name is unknown or that of an interactive model, or the device unknown or not there.
    FileNotFoundError
        If the model has to be downloaded first, or there is no such file.
    CheckpointError
        If the file is broken, or made for another network.
    """
    from napari_segnext.weights.build import build_model

    path = find_weights(name_or_path, kind="depth")
    torch_device = find_device(device)
    if path.suffix.lower() in ORIGINAL_SUFFIXES:
        checkpoint = read_depth_anything(path, config)
        licence = checkpoint.published.licence if checkpoint.published else ""
        identity = ModelIdentity(path.stem, checkpoint.sha256, licence)
        model = build_model(path, checkpoint.config, identity, checkpoint.state)
    else:
        header, state = read_weights(path)
        if header.family is not DEPTH_ANYTHING:
            raise CheckpointError(
                path,
                f"it holds a {header.family.title} model, which answers prompts; expected a depth network",
                "Load it with load_model.",
            )
        model = build_model(path, header.config, ModelIdentity(path.stem, sha256_of(path), header.licence), state)
    return model.to(torch_device)  # type: ignore[no-any-return]


def is_depth_anything(content: PthContent) -> bool:
    """Whether a checkpoint holds parameters as Depth Anything names them."""
    return any(name.startswith(("pretrained.", "depth_head.")) for name in content.state)


def read_depth_anything(path: Path | str, config: DepthAnythingConfig | None = None) -> DepthCheckpoint:
    """Read an original checkpoint: a dict of tensors by name.

    Parameters
    ----------
    path
        The file.
    config
        Sizes, where they are none of the published ones.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If it is broken, hostile, made for another network, or known by its name for the first version of Depth
        Anything or a metric variant.
    """
    return depth_anything_from(read_pth(path), config)


def depth_anything_from(content: PthContent, config: DepthAnythingConfig | None = None) -> DepthCheckpoint:
    """Our config and parameters of what an original checkpoint holds.

    Raises
    ------
    CheckpointError
        As of `read_depth_anything`.
    """
    sha256 = sha256_of(content.path)
    published = next((entry for entry in ENTRIES if entry.name in PUBLISHED and entry.sha256 == sha256), None)
    if published is None:
        _check_name(content.path, sha256)
    check_tensors(content)
    ours, dropped = _renamed(content)
    return DepthCheckpoint(config or _config_of(content), ours, dropped, sha256, published)


def _check_name(path: Path, sha256: str) -> None:
    """Refuse a file that its name gives away, and warn of any other."""
    name = path.name.removesuffix(".part")
    if _METRIC.search(name):
        raise CheckpointError(
            path,
            "by its name it is a metric variant of Depth Anything, whose parameters fit but whose numbers mean metres; "
            "expected relative depth",
            f"{_ADVICE} If it is one, rename it.",
        )
    if _FIRST_VERSION.search(name):
        raise CheckpointError(
            path,
            "by its name it is of the first version of Depth Anything, whose parameters fit but give wrong depths; "
            "expected the second",
            f"{_ADVICE} If it is one, rename it.",
        )
    logger.warning(
        "'%s' (SHA-256 %s) is none of the three published files of Depth Anything V2; a metric variant or the first "
        "version would fit, too, and give wrong depths: make sure that it is neither",
        path,
        sha256,
    )


def _config_of(content: PthContent) -> DepthAnythingConfig:
    """The published size with these tensors' width and number of blocks."""
    table = content.state.get("pretrained.pos_embed")
    width = table.shape[-1] if table is not None and table.ndim == 3 else 0
    found = (re.match(r"pretrained\.blocks\.(\d{1,6})\.", name) for name in content.state)
    depth = max((int(match.group(1)) + 1 for match in found if match), default=0)
    for config in PUBLISHED.values():
        if (config.width, config.depth) == (width, depth):
            return config
    sizes = ", ".join(f"{config.width} and {config.depth}" for config in PUBLISHED.values())
    raise CheckpointError(
        content.path,
        f"its encoder has width {width} and {depth} blocks; expected those of a published size ({sizes}), because the "
        "tensors do not tell which blocks the decoder reads",
        f"{_ADVICE} Or, from Python, state its sizes: load_depth_model(path, config=DepthAnythingConfig(…)).",
    )


def _renamed(content: PthContent) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Parameters under our names, and the original names of those left out; every one is one or the other."""
    ours: dict[str, Tensor] = {}
    dropped = []
    for name, tensor in content.state.items():
        prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
        if name in DROPPED:
            dropped.append(name)
        elif prefix is None:
            raise CheckpointError(
                content.path, f"it has an unknown parameter '{name}'; expected Depth Anything's", _ADVICE
            )
        else:
            ours[PREFIXES[prefix] + name.removeprefix(prefix)] = tensor.float().contiguous()
    return ours, tuple(dropped)
