"""Config and tensors → a network ready to predict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_segnext.errors import CheckpointError
from napari_segnext.weights.families import family_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from napari_segnext.models.interface import ModelIdentity
    from napari_segnext.weights.families import ModelConfig

_N_NAMED = 3
"""How many parameters an error names."""


def build_model(path: Path | str, config: ModelConfig, identity: ModelIdentity, state: Mapping[str, Tensor]) -> Any:
    """The network of a config's family, in evaluation mode, without gradients, that holds exactly these tensors.

    It is laid out without memory first and then takes the tensors over, so no time goes into random numbers.

    Parameters
    ----------
    path
        Where the tensors come from; for errors only.
    config, identity
        Of the network.
    state
        Parameters and buffers by name, float32.

    Raises
    ------
    CheckpointError
        If a tensor is missing, left over, or of another shape than the config says.
    """
    import torch

    family = family_of(config)
    try:
        with torch.device("meta"):
            model = family.network(config, identity)
    except (TypeError, ValueError, RuntimeError, ArithmeticError, LookupError, AttributeError) as error:
        raise CheckpointError(
            path,
            f"no network can be built from its configuration ({error})",
            "The file is damaged, or was made by another version: download or import it again.",
        ) from error
    check_state(path, model.state_dict(), state, network=family.title)
    model.load_state_dict(state, strict=True, assign=True)
    # the constants are in no file, and were laid out without memory, too
    for name in family.constants:
        setattr(model, name, torch.tensor(getattr(config, name))[:, None, None])
    return model.requires_grad_(False).eval()


def check_state(
    path: Path | str, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], *, network: str = "SegNext"
) -> None:
    """Compare names and shapes, and say in one sentence what does not fit.

    Parameters
    ----------
    path
        Where the tensors come from; for errors only.
    wanted, found
        Tensors by name.
    network
        Which network it should be; for errors only.

    Raises
    ------
    CheckpointError
        If they differ.
    """
    advice = f"It is damaged or belongs to another network: give the weights of a {network} model."
    missing = [name for name in wanted if name not in found]
    left_over = [name for name in found if name not in wanted]
    if missing or left_over:
        problems = [
            f"{len(names)} parameters are {what} ({_some(names)})"
            for what, names in (("missing", missing), ("unknown", left_over))
            if names
        ]
        raise CheckpointError(
            path,
            f"{' and '.join(problems)}; expected the {len(wanted)} parameters of its configuration",
            advice,
        )
    for name, tensor in wanted.items():
        if tensor.shape != found[name].shape:
            raise CheckpointError(
                path,
                f"parameter '{name}' has shape {tuple(found[name].shape)}; expected {tuple(tensor.shape)}",
                advice,
            )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_N_NAMED])
    return f"{shown}, …" if len(names) > _N_NAMED else shown
