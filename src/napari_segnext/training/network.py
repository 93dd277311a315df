"""The network that is trained: built from its config, filled with first weights, parts of it held fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from torch.nn import functional as F

from napari_segnext.errors import ConfigError
from napari_segnext.models.config import HybridConfig
from napari_segnext.models.interface import ModelIdentity
from napari_segnext.models.ois import OIS
from napari_segnext.models.ois_config import OISConfig
from napari_segnext.models.segnext import SegNext, is_light
from napari_segnext.weights import load_depth_model, load_model
from napari_segnext.weights.families import family_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from napari_segnext.training.config import TrainingConfig

SEGNEXT_CHANNELS = 3
"""Of its prompt map: previous mask, positive and negative disks."""

TrainedNetwork = SegNext | OIS
"""What a run can train."""

_SHARED_WITH_SEGNEXT = ("encoder.", "prompt_embedding.", "decoder.")
"""Parts that OIS has in common with a SegNext of the same encoder. Fusion becomes its context, if it has any."""


def build_network(config: TrainingConfig) -> TrainedNetwork:
    """A network of random weights, on the CPU."""
    return cast("TrainedNetwork", family_of(config.model).network(config.model, ModelIdentity(config.name)))


def initial_state(config: TrainingConfig, wanted: TrainedNetwork) -> dict[str, Tensor]:
    """Weights from the file that `initial_weights` names, which must fit `wanted`, but for new parts.

    A SegNext that answers in fewer channels (`answer_widths`) also begins with one of the same encoder that does not;
    the parts that answer have to be named in `new_parts` then.
    OIS also begins with a SegNext of the same encoder, or with a Depth Anything V2, from which its encoder and both its
    decoders come, as in the paper. Parts that it lacks have to be named in `new_parts` then, too.

    Raises
    ------
    ConfigError
        If a tensor is missing or of another shape.
    """
    path = config.initial_weights
    if path.endswith(".toml"):
        raise ConfigError(f"initial_weights is the run '{path}'; expected weights. Use read_training_runs.")
    state = _state_for(wanted, path)
    found = {key: tuple(value.shape) for key, value in state.items()}
    expected = {key: tuple(value.shape) for key, value in wanted.state_dict().items()}
    new = {key for key in expected if key not in found and key.startswith(config.new_parts)}
    differing = [key for key in sorted({*found, *expected} - new) if found.get(key) != expected.get(key)]
    if differing:
        key = differing[0]
        raise ConfigError(
            f"initial_weights '{path}' are of another size: {len(differing)} tensors differ, such as {key} "
            f"with {found.get(key, 'nothing')}; expected {expected.get(key, 'nothing')}. "
            "Give [model] the sizes of these weights, name new tensors in new_parts, or leave initial_weights out."
        )
    return {**wanted.state_dict(), **{key: value.clone() for key, value in state.items()}}


def hold_fast(network: nn.Module, beginnings: tuple[str, ...]) -> None:
    """Keep parameters whose names begin so as they are.

    Raises
    ------
    ConfigError
        If no parameter has such a name, or all have.
    """
    names = [name for name, _ in network.named_parameters()]
    for beginning in beginnings:
        if not any(name.startswith(beginning) for name in names):
            raise ConfigError(
                f"frozen names '{beginning}'; expected the beginning of a parameter's name, such as "
                f"'{names[0].rpartition('.')[0]}'. Correct it."
            )
    if beginnings and all(name.startswith(beginnings) for name in names):
        raise ConfigError(f"frozen is {list(beginnings)}, which is all; expected something to train. Shorten it.")
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not (beginnings and name.startswith(beginnings)))


def set_training(network: nn.Module, beginnings: tuple[str, ...]) -> None:
    """Training mode for all parts but those that are held fast, whose norms keep their statistics."""
    network.train()
    for name, module in network.named_modules():
        if beginnings and f"{name}.".startswith(tuple(f"{beginning.rstrip('.')}." for beginning in beginnings)):
            module.eval()


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """What is trained: weights decay, biases and norms do not."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    decayed = [parameter for parameter in trained if parameter.ndim > 1]
    others = [parameter for parameter in trained if parameter.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def require_fitting_crops(config: TrainingConfig) -> None:
    """Refuse crops that the encoder cannot take.

    Raises
    ------
    ConfigError
        In that case.
    """
    model = config.model
    for stage in config.stages:
        if isinstance(model, OISConfig) or isinstance(model.encoder, HybridConfig):
            if stage.crop_px % model.grid_px:
                raise ConfigError(
                    f"crop_px is {stage.crop_px}; expected a multiple of {model.grid_px} for this encoder."
                )
        elif model.input_shape != (stage.crop_px, stage.crop_px):
            raise ConfigError(
                f"crop_px is {stage.crop_px}; a plain ViT is trained at its input shape {model.input_shape}."
            )


def _state_for(wanted: TrainedNetwork, path: str) -> dict[str, Tensor]:
    """Tensors of a file under the names that `wanted` has for them."""
    if isinstance(wanted, OIS) and not isinstance(wanted.config.encoder, HybridConfig):
        depth = _depth_state(path)
        if depth is not None:
            return depth
    model = load_model(path, device="cpu")
    if isinstance(model, type(wanted)):
        state = model.state_dict()
        if isinstance(wanted, SegNext) and is_light(wanted.config) and not is_light(cast("SegNext", model).config):
            return _of_narrowed_encoder(state)
        return state
    if isinstance(wanted, OIS) and isinstance(model, SegNext):
        state = model.state_dict()
        shared = {f"body.{key}": value for key, value in state.items() if key.startswith(_SHARED_WITH_SEGNEXT)}
        if wanted.config.context_depth:
            of_context = {key: value for key, value in state.items() if key.startswith("fusion.")}
            shared |= {f"body.context.{key.removeprefix('fusion.')}": value for key, value in of_context.items()}
        return shared | _with_more_channels(shared, wanted)
    raise ConfigError(f"'{path}' holds weights of {type(model).__name__}; expected those of {type(wanted).__name__}.")


def _of_narrowed_encoder(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The encoder of a SegNext, under the names of one that narrows what it sees."""
    of_encoder = {key: value for key, value in state.items() if key.startswith("encoder.")}
    return {f"encoder.image.{key.removeprefix('encoder.')}": value for key, value in of_encoder.items()}


def _with_more_channels(state: dict[str, Tensor], wanted: OIS) -> dict[str, Tensor]:
    """First convolutions of the prompt map; channels that SegNext does not draw count nothing at first."""
    return {
        key: F.pad(state[key], (0, 0, 0, 0, 0, tensor.shape[1] - state[key].shape[1]))
        for key, tensor in wanted.body.prompt_embedding.state_dict(prefix="body.prompt_embedding.").items()
        if tensor.ndim == 4 and key in state and tensor.shape[1] > state[key].shape[1] == SEGNEXT_CHANNELS
    }


def _depth_state(path: str) -> dict[str, Tensor] | None:
    """Encoder and decoders of OIS from a Depth Anything V2; None if the file is no such model."""
    try:
        depth = load_depth_model(path, device="cpu")
    except ValueError:
        return None
    state = {f"body.encoder.{key}": value for key, value in depth.encoder.state_dict().items()}
    for name in ("depth_decoder", "decoder"):
        state |= {f"body.{name}.{key}": value for key, value in depth.decoder.state_dict().items()}
    return state
