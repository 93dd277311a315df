"""Name or path → a model ready to predict; and what is known about each model."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_segnext.errors import CheckpointError
from napari_segnext.models.interface import ModelIdentity
from napari_segnext.weights.families import FAMILIES, ModelKind
from napari_segnext.weights.folder import weights_folder
from napari_segnext.weights.registry import DEFAULT_MODEL, ENTRIES, ModelEntry, find_entry
from napari_segnext.weights.safetensors_file import (
    SUFFIX,
    WeightsHeader,
    read_weights,
    read_weights_header,
)

if TYPE_CHECKING:
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.models.lower_precision import Precision

ORIGINAL_SUFFIXES = (".pth", ".pt")

_NOT_INTERACTIVE = (
    "it is a depth network, which OIS models use; expected a model that answers prompts",
    "Choose one that `napari-segnext models list` calls interactive; from Python, load_depth_model loads it.",
)
"""Problem and remedy."""

ModelState = Literal["bundled", "installed", "not downloaded"]


@dataclass(frozen=True)
class ModelInfo:
    """What is known about a model, without loading it.

    Attributes
    ----------
    name
        As `load_model` takes it.
    state
        Whether it came with the package, lies in the user's weights folder, or has to be downloaded first.
    path
        Where its weights file lies, or would lie.
    n_bytes
        Size of the file, or of the download.
    description, licence, citation
        One line each; empty if unknown.
    kind
        Whether it answers prompts (`load_model`), or estimates depth for models that do (`load_depth_model`).
    """

    name: str
    state: ModelState
    path: Path
    n_bytes: int
    description: str
    licence: str
    citation: str
    kind: ModelKind = "interactive"

    @property
    def is_ready(self) -> bool:
        """Whether it can be loaded without a download."""
        return self.state != "not downloaded"

    def read_header(self) -> WeightsHeader:
        """What the weights file says about itself: config, model card, provenance.

        Raises
        ------
        FileNotFoundError, CheckpointError
            If the file is not there or broken.
        """
        return read_weights_header(self.path)


def list_models(kind: ModelKind | None = None) -> tuple[ModelInfo, ...]:
    """All models known by name: those of the registry, then the user's own in the weights folder.

    Parameters
    ----------
    kind
        List only those that are for this; None lists all.
    """
    own = sorted(path.stem for path in weights_folder().glob(f"*{SUFFIX}") if find_entry(path.stem) is None)
    infos = (*(_info_from_entry(entry) for entry in ENTRIES), *(_info_from_file(name) for name in own))
    return tuple(info for info in infos if kind in (None, info.kind))


def model_info(name: str) -> ModelInfo:
    """What is known about one model.

    Raises
    ------
    ValueError
        If there is no model of that name; the error names the closest.
    """
    entry = find_entry(name)
    if entry is not None:
        return _info_from_entry(entry)
    if _is_own(name):
        return _info_from_file(name)
    raise _unknown(name)


def load_model(
    name_or_path: str | Path = DEFAULT_MODEL, device: str = "auto", *, precision: Precision = "fp32"
) -> InteractiveModel:
    """Load a model, ready to predict.

    Parameters
    ----------
    name_or_path
        A name that `list_models("interactive")` gives; or a path: our `.safetensors`, or an original SegNext `.pth`.
    device
        `"auto"` (CUDA if there is one, else MPS, else the CPU), or a torch device such as `"cpu"` or `"cuda:1"`.
    precision
        `"fp32"` computes exactly; `"bf16"` and `"fp16"` compute matrix products in 16 bits, which is faster on graphics
        cards and moves logits a little, see `LowerPrecision`. Weights are float32 in any case.

    Returns
    -------
    InteractiveModel
        In evaluation mode, without gradients.

    Raises
    ------
    ValueError
        If the name is unknown or that of a depth network, the device unknown or not there, or the precision unknown.
    FileNotFoundError
        If the model has to be downloaded first, or there is no such file.
    CheckpointError
        If the file is broken or made for another network.
    """
    from napari_segnext.models.lower_precision import in_precision

    path = find_weights(name_or_path)
    torch_device = find_device(device)
    sha256 = sha256_of(path)
    if path.suffix.lower() in ORIGINAL_SUFFIXES:
        model = _load_original(path, sha256)
    else:
        model = _load_ours(path, sha256)
    return in_precision(model.to(torch_device), precision)


def find_weights(name_or_path: str | Path, *, kind: ModelKind = "interactive") -> Path:
    """The file of a model that `load_model` would take; or, of the kind "depth", `load_depth_model`.

    Raises
    ------
    ValueError
        If the name is unknown or known for another kind, or the file has another suffix.
    FileNotFoundError
        If the model has to be downloaded first, or there is no such file.
    """
    if isinstance(name_or_path, str):
        entry = find_entry(name_or_path)
        if entry is not None:
            _require_kind(entry, kind)
            return _existing(entry)
        if _is_own(name_or_path):
            return weights_folder() / f"{name_or_path}{SUFFIX}"
    path = Path(name_or_path).expanduser()
    is_path = isinstance(name_or_path, Path) or path.suffix or len(path.parts) > 1
    if not is_path and not path.is_file():
        raise _unknown(str(name_or_path), kind)
    if path.suffix.lower() not in (SUFFIX, *ORIGINAL_SUFFIXES):
        raise ValueError(
            f"'{path}' ends in '{path.suffix}'; expected the name of a model ({_names(kind)}), a weights file of "
            f"napari-segnext ({SUFFIX}), or an original checkpoint (.pth)."
        )
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no weights file '{path}'. Check the path; models known by name: {_names(kind)}."
        )
    return path


def find_device(device: str = "auto") -> Any:
    """The torch device of that name.

    Parameters
    ----------
    device
        `"auto"` (CUDA if there is one, else MPS, else the CPU), or a torch device such as `"cpu"` or `"cuda:1"`.

    Raises
    ------
    ValueError
        If the name is unknown or there is no such device.
    """
    import torch

    has_mps = torch.backends.mps.is_available()
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu")
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device is {device!r}; expected 'auto', 'cpu', 'cuda', 'cuda:0', … or 'mps'.") from error
    n_devices = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(has_mps)}.get(found.type, 0)
    if (found.index or 0) >= n_devices:
        raise ValueError(
            f"device is {device!r}, but torch {torch.__version__} finds {n_devices} of the kind '{found.type}' here; "
            "expected one that is there. Use 'auto' or 'cpu', or install the build of torch for your hardware."
        )
    return found


def sha256_of(path: Path) -> str:
    """SHA-256 digest (hexadecimal) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load_ours(path: Path, sha256: str) -> Any:
    from napari_segnext.weights.build import build_model

    header, state = read_weights(path)
    if header.family.kind != "interactive":
        raise CheckpointError(path, *_NOT_INTERACTIVE)
    return build_model(path, header.config, ModelIdentity(path.stem, sha256, header.licence), state)


def _load_original(path: Path, sha256: str) -> Any:
    from napari_segnext.weights.build import build_model
    from napari_segnext.weights.depth_anything import is_depth_anything
    from napari_segnext.weights.original import segnext_from
    from napari_segnext.weights.pth_file import read_pth

    content = read_pth(path)
    if is_depth_anything(content):
        raise CheckpointError(path, *_NOT_INTERACTIVE)
    checkpoint = segnext_from(content)
    entry = next((entry for entry in ENTRIES if entry.file_name == path.name), None)
    identity = ModelIdentity(path.stem, sha256, entry.licence if entry else "")
    return build_model(path, checkpoint.config, identity, checkpoint.state)


def _require_kind(entry: ModelEntry, kind: ModelKind) -> None:
    if entry.kind == kind:
        return
    if entry.kind == "depth":
        problem, remedy = _NOT_INTERACTIVE
        raise ValueError(f"'{entry.name}' cannot answer prompts: {problem}. {remedy}")
    raise ValueError(
        f"'{entry.name}' is a {FAMILIES[entry.architecture].title} model, which answers prompts; expected a depth "
        f"network, one of {_names(kind)}. Load it with load_model."
    )


def _existing(entry: ModelEntry) -> Path:
    if entry.path.is_file():
        return entry.path
    if entry.is_bundled:
        raise FileNotFoundError(
            f"the weights of '{entry.name}' should lie in '{entry.path}' but do not; this installation is not whole. "
            "Install it again: pip install --force-reinstall --no-deps napari-segnext"
        )
    raise FileNotFoundError(
        f"the weights of '{entry.name}' (about {entry.n_bytes / 1e6:.0f} MB) are not on this machine yet; expected "
        f"'{entry.path}'. Get them with: napari-segnext models download {entry.name}"
    )


def _is_own(name: str) -> bool:
    """Whether the user's weights folder has a file of that name."""
    return Path(name).name == name and (weights_folder() / f"{name}{SUFFIX}").is_file()


def _info_from_entry(entry: ModelEntry) -> ModelInfo:
    exists = entry.path.is_file()
    state: ModelState = "bundled" if entry.is_bundled else "installed" if exists else "not downloaded"
    n_bytes = entry.path.stat().st_size if exists else entry.n_bytes
    return ModelInfo(
        entry.name, state, entry.path, n_bytes, entry.description, entry.licence, entry.citation, entry.kind
    )


def _info_from_file(name: str) -> ModelInfo:
    path = weights_folder() / f"{name}{SUFFIX}"
    kind: ModelKind = "interactive"
    try:
        header = read_weights_header(path)
        description, licence = str(header.provenance.get("description", "your own model")), header.licence
        kind = header.family.kind
    except (OSError, ValueError) as error:
        description, licence = f"cannot be read: {error}", ""
    return ModelInfo(name, "installed", path, path.stat().st_size, description, licence, "", kind)


def _names(kind: ModelKind | None = None) -> str:
    return ", ".join(info.name for info in list_models(kind))


def _unknown(name: str, kind: ModelKind | None = None) -> ValueError:
    close = difflib.get_close_matches(name, _names(kind).split(", "), n=1, cutoff=0.4)
    hint = f" Did you mean '{close[0]}'?" if close else " A file is given by its path, with its suffix."
    return ValueError(f"there is no model '{name}'; expected one of {_names(kind)}.{hint}")
