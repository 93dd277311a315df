"""Files of torch.save (.pth) → tensors and plain values; nothing in such a file is run.

What torch.save does not write is refused before torch opens the file, and torch reads tensors and plain values only.
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

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

_MAX_PICKLE_BYTES = 16_000_000

ADVICE = (
    "Give an original checkpoint (.pth) of SegNext or Depth Anything V2, or a weights file of napari-segnext "
    "(.safetensors)."
)
_AGAIN = "It may be damaged or cut short: download it again."


@dataclass(frozen=True)
class PthContent:
    """What a checkpoint holds.

    Attributes
    ----------
    path
        The file.
    state
        Parameters under the names that they have in the file, on the CPU; at least one.
    settings
        `config.params` as plain values; empty if there are none.
    """

    path: Path
    state: dict[str, Tensor]
    settings: dict[str, Any]


def read_pth(path: Path | str) -> PthContent:
    """Read a checkpoint: tensors by name; or a dict with them as `state_dict`, and `config`; or a list of such.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If it is broken, hostile, or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no weights file '{path}'. Check the path.")
    _check_archive(path)
    return PthContent(path, *_state_and_settings(path, _read(path)))


def check_tensors(content: PthContent) -> None:
    """Refuse tensors that claim more than the file holds, or hold no numbers, before anything is copied.

    Raises
    ------
    CheckpointError
        If one does.
    """
    import torch

    path, state = content.path, content.state
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if claimed > path.stat().st_size:
        raise CheckpointError(
            path,
            f"its tensors claim {claimed} bytes, but the file has {path.stat().st_size}; expected less than the file",
            f"Do not trust it. {ADVICE}",
        )
    for name, tensor in state.items():
        if not (tensor.is_floating_point() and tensor.layout is torch.strided):
            raise CheckpointError(
                path, f"parameter '{name}' is {tensor.dtype}, {tensor.layout}; expected floats", ADVICE
            )
        if not torch.isfinite(tensor).all():
            raise CheckpointError(
                path, f"parameter '{name}' holds values that are not finite; expected numbers", "Take another file."
            )


def _check_archive(path: Path) -> None:
    """Refuse what torch.save does not write, before torch opens it."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise CheckpointError(
            path, f"it is not a whole zip archive as torch.save writes it ({error})", f"{_AGAIN} {ADVICE}"
        ) from error
    if not any(entry.filename.endswith("data.pkl") for entry in entries):
        raise CheckpointError(path, "it is a zip archive without data.pkl; expected one from torch.save", ADVICE)
    packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    claimed = sum(entry.file_size for entry in entries)
    if packed or claimed > path.stat().st_size:
        raise CheckpointError(
            path,
            f"its {len(entries)} entries unpack to {claimed} bytes from {path.stat().st_size}; "
            "expected the uncompressed entries of torch.save",
            ADVICE,
        )
    if any(entry.filename.endswith(".pkl") and entry.file_size > _MAX_PICKLE_BYTES for entry in entries):
        raise CheckpointError(path, "its list of tensors is larger than 16 MB; expected some thousand names", ADVICE)


def _read(path: Path) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            path,
            "it holds more than tensors and plain values, or its list of tensors is broken; "
            f"nothing in it was run ({_reason(error)})",
            f"Do not trust it. {ADVICE}",
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
        raise CheckpointError(path, f"torch cannot read it ({_reason(error)})", f"{_AGAIN} {ADVICE}") from error


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
            path, f"it holds a {type(content).__name__}; expected a dict with 'state_dict' and 'config'", ADVICE
        )
    state = content.get("state_dict", content)
    if not isinstance(state, dict) or not state:
        raise CheckpointError(path, "its 'state_dict' is not a dict of tensors", ADVICE)
    strays = [name for name, value in state.items() if not (isinstance(name, str) and isinstance(value, torch.Tensor))]
    if strays:
        raise CheckpointError(
            path, f"its entry {str(strays[0])[:80]!r} is not a tensor; expected 'state_dict' and 'config'", ADVICE
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
