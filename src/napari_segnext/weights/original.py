"""Checkpoints of the original SegNext program (.pth) → our config and our parameter names.

What can be seen from the shapes of the tensors is read from them; the configuration in the file must agree, and adds
what shapes do not show (heads, windows, disk radius, normalisation).
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_segnext.errors import CheckpointError
from napari_segnext.weights.original_config import config_from_original
from napari_segnext.weights.pth_file import ADVICE, PthContent, check_tensors, read_pth

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from napari_segnext.models.config import SegNextConfig

logger = logging.getLogger(__name__)

PREFIXES = {
    "backbone.": "encoder.",
    "visual_prompts_encoder.": "prompt_embedding.",
    "fusion_blocks.": "fusion.blocks.",
    "neck.": "decoder.pyramid.",
    "head.": "decoder.head.",
}
"""The original's name of each part → ours. Within a part the names are equal."""

DROPPED = ("backbone.fc_norm.weight", "backbone.fc_norm.bias")
"""In the files, but never applied by the original."""

_OTHERS = (
    (r"patch_embed_coords\.", "SimpleClick"),
    (r"(pretrained|depth_head)\.", "Depth Anything"),
    (r"(image_encoder|mask_decoder|sam_)", "Segment Anything"),
    (r"feature_extractor\.", "RITM"),
    (r"(conv1\.weight|layer1\.|features\.0\.|class_token)", "a torchvision classifier"),
    (r"(cls_token|mask_token|decoder_blocks\.)", "a plain vision transformer or MAE"),
)
"""Parameters by which other programs' files are known."""


@dataclass(frozen=True)
class OriginalCheckpoint:
    """What was read from an original checkpoint.

    Attributes
    ----------
    config
        Shape of the network.
    state
        Parameters under our names, float32, on the CPU.
    dropped
        Original names of the parameters that are left out because the original never applies them.
    assumed
        Settings that the file does not state; the released ones were taken.
    """

    config: SegNextConfig
    state: dict[str, Tensor]
    dropped: tuple[str, ...]
    assumed: tuple[str, ...]


def read_original(path: Path | str) -> OriginalCheckpoint:
    """Read an original checkpoint: a dict with `state_dict` and `config`, or a list of such.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If it is broken, hostile, or made for another network.
    """
    return segnext_from(read_pth(path))


def segnext_from(content: PthContent) -> OriginalCheckpoint:
    """Our config and parameters of what an original checkpoint holds.

    Raises
    ------
    CheckpointError
        If it was made for another network.
    """
    path, state = content.path, content.state
    _check_is_segnext(path, state)
    check_tensors(content)
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    config, assumed = config_from_original(path, shapes, content.settings)
    if assumed:
        logger.warning("'%s' does not state %s; the released settings are taken", path, ", ".join(assumed))
    ours, dropped = _renamed(path, state)
    return OriginalCheckpoint(config, ours, dropped, assumed)


def _check_is_segnext(path: Path, state: dict[str, Tensor]) -> None:
    signs = ("visual_prompts_encoder.proj.weight", "backbone.patch_embed.proj.weight", "head.seg_conv.weight")
    if all(sign in state for sign in signs):
        return
    for pattern, program in _OTHERS:
        if any(re.match(pattern, name) for name in state):
            raise CheckpointError(
                path,
                f"it holds the parameters of {program} (such as '{next(iter(state))}'); expected SegNext's",
                ADVICE,
            )
    missing = next(sign for sign in signs if sign not in state)
    raise CheckpointError(
        path,
        f"it has no '{missing}' among its {len(state)} parameters (such as '{next(iter(state))}'); expected SegNext's",
        ADVICE,
    )


def _renamed(path: Path, state: dict[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Parameters under our names, and the original names of those left out; every one is one or the other."""
    ours: dict[str, Tensor] = {}
    dropped = []
    for name, tensor in state.items():
        prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
        if name in DROPPED:
            dropped.append(name)
        elif prefix is None:
            raise CheckpointError(path, f"it has an unknown parameter '{name}'; expected SegNext's", ADVICE)
        else:
            ours[PREFIXES[prefix] + name.removeprefix(prefix)] = tensor.float().contiguous()
    # slot 0 belongs to a class token that the original does not have
    ours["encoder.pos_embed"] = ours["encoder.pos_embed"][:, 1:].contiguous()
    return ours, tuple(dropped)
