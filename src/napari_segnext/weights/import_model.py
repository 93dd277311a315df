"""A checkpoint from anywhere → a weights file in the user's folder, found by name from then on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_segnext.errors import CheckpointError
from napari_segnext.models.interface import ModelIdentity
from napari_segnext.weights.families import family_of
from napari_segnext.weights.folder import weights_folder
from napari_segnext.weights.load import ORIGINAL_SUFFIXES, sha256_of
from napari_segnext.weights.registry import find_entry
from napari_segnext.weights.safetensors_file import SUFFIX, WeightsHeader, read_weights, write_weights

if TYPE_CHECKING:
    from torch import Tensor

    from napari_segnext.weights.families import ModelConfig
    from napari_segnext.weights.registry import ModelEntry

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def import_model(path: Path | str, name: str | None = None, *, overwrite: bool = False) -> Path:
    """Check a checkpoint and write it to the user's weights folder.

    Parameters
    ----------
    path
        An original `.pth` of SegNext or Depth Anything V2, or one of our `.safetensors`.
    name
        What `load_model` will call it: letters, digits, `.`, `-`, `_`. By default the stem of the file.
    overwrite
        Whether weights of that name may be replaced.

    Returns
    -------
    Path
        The new weights file: float32, so that it predicts what the checkpoint does.

    Raises
    ------
    ValueError
        If the name cannot be used, or the file has another suffix.
    FileNotFoundError
        If there is no such file.
    FileExistsError
        If there are weights of that name.
    CheckpointError
        If the file is broken, hostile, or made for another network.
    """
    path = Path(path).expanduser()
    target = _target(path.stem if name is None else name)
    if target.exists() and not overwrite:
        raise FileExistsError(
            f"there is a model '{target.stem}' already, in '{target}'. Choose another name (--name), or delete it."
        )
    header, state = read_checkpoint(path, target.stem)
    return write_weights(target, state, header, dtype="float32")


def read_checkpoint(path: Path, name: str) -> tuple[WeightsHeader, dict[str, Tensor]]:
    """Read an original checkpoint or a weights file of ours, and make sure that a network can be built from it.

    Raises
    ------
    ValueError
        If the file has another suffix.
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If the file is broken, hostile, or made for another network.
    """
    from napari_segnext.weights.build import build_model

    suffix = Path(path.name.removesuffix(".part")).suffix.lower()
    if suffix == SUFFIX:
        ours, state = read_weights(path)
        header = WeightsHeader(name, ours.config, ours.licence, ours.card, ours.provenance)
    elif suffix in ORIGINAL_SUFFIXES:
        header, state = _read_pth(path, name)
    else:
        raise ValueError(
            f"'{path}' ends in '{path.suffix}'; expected an original checkpoint (.pth) of SegNext or Depth Anything "
            f"V2, or a weights file of napari-segnext ({SUFFIX})."
        )
    _check_fits_name(path, header)
    build_model(path, header.config, ModelIdentity(name), state)
    return header, state


def _read_pth(path: Path, name: str) -> tuple[WeightsHeader, dict[str, Tensor]]:
    """Read an original checkpoint of whichever program it is."""
    from napari_segnext.weights.depth_anything import depth_anything_from, is_depth_anything
    from napari_segnext.weights.original import segnext_from
    from napari_segnext.weights.pth_file import read_pth

    content = read_pth(path)
    if is_depth_anything(content):
        depth = depth_anything_from(content)
        entry = depth.published
        return _original_header(
            path, name, entry, depth.config, dropped=depth.dropped, sha256=depth.sha256
        ), depth.state
    segnext = segnext_from(content)
    header = _original_header(
        path,
        name,
        find_entry(name),
        segnext.config,
        dropped=segnext.dropped,
        assumed=segnext.assumed,
        sha256=sha256_of(path),
    )
    return header, segnext.state


def _check_fits_name(path: Path, header: WeightsHeader) -> None:
    """Refuse weights under the name of a released model that is of another family or size."""
    from napari_segnext.weights.depth_anything import PUBLISHED

    entry = find_entry(header.name)
    if entry is None:
        return
    if header.family.name != entry.architecture or header.config != PUBLISHED.get(header.name, header.config):
        raise CheckpointError(
            path,
            f"it holds a {header.family.title} model ({header.config}); expected '{entry.name}' ({entry.description})",
            "Choose another name (--name).",
        )


def _target(name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"'{name}' cannot be the name of a model; expected letters, digits, '.', '-' and '_', a letter or digit "
            "first. Choose another one (--name)."
        )
    entry = find_entry(name)
    if entry is not None and entry.is_bundled:
        raise ValueError(f"'{name}' is the model that comes with the package. Choose another name (--name).")
    return weights_folder() / f"{name}{SUFFIX}"


def _original_header(
    path: Path,
    name: str,
    entry: ModelEntry | None,
    config: ModelConfig,
    *,
    dropped: tuple[str, ...],
    assumed: tuple[str, ...] = (),
    sha256: str,
) -> WeightsHeader:
    """Header of weights that come from an original file, which is the entry's if there is one."""
    provenance: dict[str, Any] = {
        "description": entry.description
        if entry
        else f"imported from an original {family_of(config).title} checkpoint",
        "source_file": path.name.removesuffix(".part"),
        "source_sha256": sha256,
        "dropped": list(dropped),
        "assumed": list(assumed),
    }
    return WeightsHeader(name, config, licence=entry.licence if entry else "", provenance=provenance)
