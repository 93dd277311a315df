"""Our weights files: safetensors, with what the model is written in the header.

Parameters are stored as float16 (or float32) and come back as float32. No code is ever run on reading.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_segnext._whole_file import whole_file
from napari_segnext.errors import CheckpointError, ConfigError
from napari_segnext.weights.families import FAMILIES, Family, ModelConfig, family_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    from torch import Tensor

    class Network(Protocol):
        """A network of one of our families."""

        config: Any

        def state_dict(self) -> dict[str, Tensor]:
            """Parameters and buffers by name."""
            ...


FORMAT = "napari-segnext/weights"
VERSION = 1
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class WeightsHeader:
    """What a weights file says about itself.

    Attributes
    ----------
    name
        Name of the model.
    config
        Shape of the network.
    licence
        SPDX expression or sentence; empty if unknown.
    card
        Model card, Markdown; empty if there is none.
    provenance
        Where the weights come from (training data, settings, source file), JSON-ready.
    """

    name: str
    config: ModelConfig
    licence: str = ""
    card: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def family(self) -> Family:
        """Which kind of network it is; files call it the architecture."""
        return family_of(self.config)


def write_weights(
    path: Path | str,
    state: Mapping[str, Tensor],
    header: WeightsHeader,
    *,
    dtype: Literal["float16", "float32"] = "float16",
) -> Path:
    """Write a weights file; the old one stays until the new one is whole.

    Parameters
    ----------
    path
        Ends in `.safetensors`; missing folders are made.
    state
        Parameters and buffers by name, as `model.state_dict()` gives them.
    header
        What the file says about itself.
    dtype
        How floating-point tensors are stored; others are kept as they are.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If the suffix is another one, or a tensor holds values that are not finite in `dtype`.
    """
    import torch
    from safetensors.torch import save_file

    path = Path(path)
    if path.suffix.lower() != SUFFIX:
        raise ValueError(f"weights file '{path.name}' ends in '{path.suffix}'; expected '{SUFFIX}'. Rename it.")
    stored = {name: _stored(name, tensor, getattr(torch, dtype)) for name, tensor in state.items()}
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "architecture": header.family.name,
        "name": header.name,
        "licence": header.licence,
        "card": header.card,
        "config": json.dumps(header.config.to_dict()),
        "provenance": json.dumps(header.provenance),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as unfinished:
        save_file(stored, unfinished, metadata)
    return path


def save_weights(
    path: Path | str,
    model: Network,
    *,
    name: str,
    licence: str = "",
    card: str = "",
    provenance: Mapping[str, Any] | None = None,
    dtype: Literal["float16", "float32"] = "float16",
) -> Path:
    """Write a network to a weights file; parameters as of `WeightsHeader` and `write_weights`.

    Raises
    ------
    ValueError
        If the suffix is not `.safetensors`, or a tensor holds values that are not finite in `dtype`.
    """
    header = WeightsHeader(name, model.config, licence, card, dict(provenance or {}))
    return write_weights(path, model.state_dict(), header, dtype=dtype)


def read_weights(path: Path | str) -> tuple[WeightsHeader, dict[str, Tensor]]:
    """Read a weights file.

    Returns
    -------
    header
        What the file says about itself.
    state
        Parameters and buffers by name, on the CPU; floating-point tensors are float32.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If it is broken, of a later version, for another architecture, or holds values that are not finite.
    """
    from safetensors import SafetensorError, safe_open

    header = read_weights_header(path)
    try:
        with safe_open(str(path), framework="pt") as file:
            state = {name: _at_run_time(path, name, file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, RuntimeError, OSError, ValueError) as error:
        raise _broken(path, error) from error
    return header, state


def read_weights_header(path: Path | str) -> WeightsHeader:
    """Read the header alone; loads neither torch nor the tensors.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If it is broken, of a later version or for another architecture.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no weights file '{path}'. Check the path.")
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata: dict[str, str] = file.metadata() or {}
            n_tensors = len(file.keys())
    except (SafetensorError, RuntimeError, OSError, ValueError) as error:
        raise _broken(path, error) from error
    _check_kind(path, metadata)
    header = _header_from(path, metadata)
    check_plausible(path, header.config, n_tensors)
    return header


def check_plausible(path: Path | str, config: ModelConfig, n_tensors: int) -> None:
    """Refuse a config that claims more than its file can hold, before anything is built from it.

    Raises
    ------
    CheckpointError
        If a count is not positive, or there are fewer tensors than blocks, or a size is absurdly large.
    """
    try:
        is_plausible = family_of(config).is_plausible(config, n_tensors)
    except TypeError:
        is_plausible = False
    if not is_plausible:
        raise CheckpointError(
            path,
            f"its configuration does not fit its {n_tensors} tensors: {config}",
            "The file is damaged or was tampered with: download or import it again.",
        )


def _check_kind(path: Path | str, metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            path,
            f"it is a safetensors file of another program (format {metadata.get('format')!r}; expected {FORMAT!r})",
            "Give a weights file of napari-segnext, or an original SegNext checkpoint (.pth).",
        )
    version = metadata.get("version", "")
    if not version.isdecimal() or int(version) > VERSION:
        raise CheckpointError(
            path,
            f"it has format version {version!r}; this napari-segnext reads versions up to {VERSION}",
            "Update with: pip install --upgrade napari-segnext",
        )
    if metadata.get("architecture") not in FAMILIES:
        raise CheckpointError(
            path,
            f"it is for the architecture {metadata.get('architecture')!r}; expected one of "
            f"{', '.join(repr(name) for name in FAMILIES)}",
            f"Give the weights of one of {', '.join(f.title for f in FAMILIES.values())}, or update napari-segnext.",
        )


def _header_from(path: Path | str, metadata: Mapping[str, str]) -> WeightsHeader:
    try:
        config_class = FAMILIES[metadata["architecture"]].config_class
        return WeightsHeader(
            name=metadata["name"],
            config=config_class.from_dict(json.loads(metadata["config"])),
            licence=metadata.get("licence", ""),
            card=metadata.get("card", ""),
            provenance=dict(json.loads(metadata.get("provenance", "{}"))),
        )
    except (KeyError, ValueError, TypeError, RecursionError, ConfigError) as error:
        raise CheckpointError(
            path, f"its header cannot be read ({error})", "The file is damaged: download or import it again."
        ) from error


def _stored(name: str, tensor: Tensor, dtype: Any) -> Tensor:
    import torch

    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        wide, tensor = tensor, tensor.to(dtype)
        if not torch.isfinite(tensor).all():
            reason = "values too large for it" if torch.isfinite(wide).all() else "values that are not finite"
            raise ValueError(
                f"parameter '{name}' cannot be stored as {dtype}: it has {reason}; expected finite values. "
                "Store it as float32, or look into the training that made it."
            )
    return tensor.contiguous()


def _at_run_time(path: Path | str, name: str, tensor: Tensor) -> Tensor:
    import torch

    if not tensor.is_floating_point():
        return tensor
    if not torch.isfinite(tensor).all():
        raise CheckpointError(
            path,
            f"parameter '{name}' holds values that are not finite; expected numbers",
            "The training that made it failed or the file is damaged: take another file.",
        )
    return tensor.float()


def _broken(path: Path | str, error: BaseException) -> CheckpointError:
    first_line = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return CheckpointError(
        path,
        f"it is not a whole safetensors file ({first_line})",
        "It may have been cut short: download or import it again.",
    )
