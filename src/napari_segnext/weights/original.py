"""Checkpoints of the original SegNext program (.pth) → our config and our parameter names.

Nothing in such a file is run: torch reads it as tensors and plain values only. What can be seen from the shapes of
the tensors is read from them; the configuration in the file must agree, and adds what shapes do not show (heads,
windows, disk radius, normalisation).
"""

from __future__ import annotations

import logging
import pickle
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_segnext.errors import CheckpointError
from napari_segnext.weights.original_config import config_from_original

if TYPE_CHECKING:
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

_MAX_PICKLE_BYTES = 16_000_000

_ADVICE = "Give an original SegNext checkpoint (.pth) or a weights file of napari-segnext (.safetensors)."
_AGAIN = "It may be damaged or cut short: download it again."

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
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no weights file '{path}'. Check the path.")
    _check_archive(path)
    state, settings = _state_and_settings(path, _read(path))
    _check_is_segnext(path, state)
    _check_tensors(path, state)
    config, assumed = config_from_original(path, {name: tuple(t.shape) for name, t in state.items()}, settings)
    if assumed:
        logger.warning("'%s' does not state %s; the released settings are taken", path, ", ".join(assumed))
    ours, dropped = _renamed(path, state)
    return OriginalCheckpoint(config, ours, dropped, assumed)


def _check_archive(path: Path) -> None:
    """Refuse what torch.save does not write, before torch opens it."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise CheckpointError(
            path, f"it is not a whole zip archive as torch.save writes it ({error})", f"{_AGAIN} {_ADVICE}"
        ) from error
    if not any(entry.filename.endswith("data.pkl") for entry in entries):
        raise CheckpointError(path, "it is a zip archive without data.pkl; expected one from torch.save", _ADVICE)
    packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    claimed = sum(entry.file_size for entry in entries)
    if packed or claimed > path.stat().st_size:
        raise CheckpointError(
            path,
            f"its {len(entries)} entries unpack to {claimed} bytes from {path.stat().st_size}; "
            "expected the uncompressed entries of torch.save",
            _ADVICE,
        )
    if any(entry.filename.endswith(".pkl") and entry.file_size > _MAX_PICKLE_BYTES for entry in entries):
        raise CheckpointError(path, "its list of tensors is larger than 16 MB; expected some thousand names", _ADVICE)


def _read(path: Path) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            path,
            "it holds more than tensors and plain values, or its list of tensors is broken; "
            f"nothing in it was run ({_reason(error)})",
            f"Do not trust it. {_ADVICE}",
        ) from error
    except (
        RuntimeError,
        OSError,
        EOFError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        ArithmeticError,
        AssertionError,
        MemoryError,
        ImportError,
    ) as error:
        raise CheckpointError(path, f"torch cannot read it ({_reason(error)})", f"{_AGAIN} {_ADVICE}") from error


def _reason(error: BaseException) -> str:
    """The part of torch's message that tells what was found, in one line."""
    text = str(error)
    found = re.search(r"Unsupported \w+: .*?(?= was not |$)|Trying to .*?(?= whose |\. |$)", text, re.MULTILINE)
    line = found.group(0) if found else (text.strip().splitlines() or [type(error).__name__])[0]
    return line[:160].rstrip(" .")


def _state_and_settings(path: Path, content: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Parameters under their original names, and `config.params` as plain values (empty if there are none)."""
    import torch

    if isinstance(content, list) and content:
        if len(content) > 1:
            logger.warning("'%s' holds %d checkpoints; the first is taken", path, len(content))
        content = content[0]
    if not isinstance(content, dict):
        raise CheckpointError(
            path, f"it holds a {type(content).__name__}; expected a dict with 'state_dict' and 'config'", _ADVICE
        )
    state = content.get("state_dict", content)
    if not isinstance(state, dict) or not state:
        raise CheckpointError(path, "its 'state_dict' is not a dict of tensors", _ADVICE)
    strays = [name for name, value in state.items() if not (isinstance(name, str) and isinstance(value, torch.Tensor))]
    if strays:
        raise CheckpointError(
            path, f"its entry {str(strays[0])[:80]!r} is not a tensor; expected 'state_dict' and 'config'", _ADVICE
        )
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return dict(state), _settings(content.get("config") if "state_dict" in content else None)


def _settings(config: Any) -> dict[str, Any]:
    """`{"params": {name: {"value": …}}}` → `{name: value}`."""
    params = config.get("params", config) if isinstance(config, dict) else {}
    if not isinstance(params, dict):
        return {}
    return {
        name: entry["value"] if isinstance(entry, dict) and "value" in entry else entry
        for name, entry in params.items()
        if isinstance(name, str)
    }


def _check_is_segnext(path: Path, state: dict[str, Tensor]) -> None:
    signs = ("visual_prompts_encoder.proj.weight", "backbone.patch_embed.proj.weight", "head.seg_conv.weight")
    if all(sign in state for sign in signs):
        return
    for pattern, program in _OTHERS:
        if any(re.match(pattern, name) for name in state):
            raise CheckpointError(
                path,
                f"it holds the parameters of {program} (such as '{next(iter(state))}'); expected SegNext's",
                _ADVICE,
            )
    missing = next(sign for sign in signs if sign not in state)
    raise CheckpointError(
        path,
        f"it has no '{missing}' among its {len(state)} parameters (such as '{next(iter(state))}'); expected SegNext's",
        _ADVICE,
    )


def _check_tensors(path: Path, state: dict[str, Tensor]) -> None:
    """Refuse tensors that claim more than the file holds, or hold no numbers, before anything is copied."""
    import torch

    claimed = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if claimed > path.stat().st_size:
        raise CheckpointError(
            path,
            f"its tensors claim {claimed} bytes, but the file has {path.stat().st_size}; expected less than the file",
            f"Do not trust it. {_ADVICE}",
        )
    for name, tensor in state.items():
        if not (tensor.is_floating_point() and tensor.layout is torch.strided):
            raise CheckpointError(
                path, f"parameter '{name}' is {tensor.dtype}, {tensor.layout}; expected floats", _ADVICE
            )
        if not torch.isfinite(tensor).all():
            raise CheckpointError(
                path, f"parameter '{name}' holds values that are not finite; expected numbers", "Take another file."
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
            raise CheckpointError(path, f"it has an unknown parameter '{name}'; expected SegNext's", _ADVICE)
        else:
            ours[PREFIXES[prefix] + name.removeprefix(prefix)] = tensor.float().contiguous()
    # slot 0 belongs to a class token that the original does not have
    ours["encoder.pos_embed"] = ours["encoder.pos_embed"][:, 1:].contiguous()
    return ours, tuple(dropped)
