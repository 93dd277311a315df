"""What a training run is: a frozen value read from a TOML file."""

from __future__ import annotations

import os
import tomllib
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_segnext.errors import ConfigError
from napari_segnext.models.config import SegNextConfig
from napari_segnext.models.ois_config import OISConfig
from napari_segnext.training.prompt_simulation import PromptMix

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class DataConfig:
    """Where the images are and how often each domain is drawn.

    Attributes
    ----------
    roots
        Folders with packs (`manifest.csv`) or with `images/` and `labels/`.
    domain_weights
        Relative chance of a domain; 1 where not named. Domains are drawn first, then a series of images (whose ids
        begin with the same letters) by the root of their number, then an image, then an object.
    series_weights
        By these a series' chance within its domain is multiplied; 1 where not named.
    min_object_px
        Smaller objects (in pixels of the original image) are not chosen.
    n_procedural, procedural_px, procedural_seed
        Number, side and seed of procedural images; they are the domain "procedural", made when they are first drawn.
    n_layered, layered_px, layered_seed
        The same of layered scenes, whose depth is known; they are the domain "layered".
    true_depth
        Of images whose depth is known, the share in which OIS gets it in the place of what its decoder sees.
    """

    roots: tuple[str, ...]
    domain_weights: dict[str, float] = field(default_factory=dict)
    series_weights: dict[str, float] = field(default_factory=dict)
    min_object_px: int = 30
    n_procedural: int = 0
    procedural_px: int = 256
    procedural_seed: int = 0
    n_layered: int = 0
    layered_px: int = 256
    layered_seed: int = 0
    true_depth: float = 0.0


@dataclass(frozen=True, slots=True)
class StageConfig:
    """A stretch of training at one crop size.

    Attributes
    ----------
    n_steps
        Optimiser steps.
    crop_px
        Side of the square crops, a multiple of the encoder's patch; the input side of models of fixed size.
    batch_size
        Images in a step.
    n_objects
        Objects prompted in each image; they share its encoding.
    domain_weights
        Relative chances of domains that differ in this stage from those in `[data.domain_weights]`.
    """

    n_steps: int
    crop_px: int
    batch_size: int
    n_objects: int = 2
    domain_weights: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OptimiserConfig:
    """AdamW, its schedule and the average of weights that is kept.

    Attributes
    ----------
    learning_rate, weight_decay, clip_norm
        Of AdamW; gradients are clipped to `clip_norm`.
    schedule
        "cosine" (warm-up, then down to 0) or "step" (× 0.1 at each of `milestones`, as the paper).
    n_warmup_steps
        Steps in which the rate rises linearly.
    milestones
        Fractions of all steps at which the "step" schedule drops.
    ema_decay
        Of the exponential moving average of the weights, the one that is evaluated and exported.
    """

    learning_rate: float = 5e-4
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    schedule: str = "cosine"
    n_warmup_steps: int = 200
    milestones: tuple[float, ...] = (0.5, 0.9)
    ema_decay: float = 0.999


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Normalised focal loss (RITM), with an optional share of soft Dice.

    Attributes
    ----------
    alpha, gamma
        Of the focal loss.
    dice_weight
        Weight of the Dice loss that is added; 0 is the paper's recipe.
    mask_weight, depth_weight
        Weight of all that about masks, and of the depth that OIS sees against the true one, where that is known.
    """

    alpha: float = 0.5
    gamma: float = 2.0
    dice_weight: float = 0.0
    mask_weight: float = 1.0
    depth_weight: float = 0.0


@dataclass(frozen=True, slots=True)
class ValidationConfig:
    """Evaluation during training by the protocol of the papers.

    Attributes
    ----------
    dataset, root
        As in `napari-segnext evaluate`; an empty root turns validation off.
    every_n_steps, max_objects, max_clicks
        How often, on how many objects, with how many clicks.
    """

    dataset: str = "pack"
    root: str = ""
    every_n_steps: int = 1000
    max_objects: int = 100
    max_clicks: int = 10


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """A whole training run.

    Attributes
    ----------
    name
        Of the model that comes out.
    output
        Folder for checkpoints, log and weights, relative to the config file.
    model
        Sizes of the network; `family = "ois"` in its table makes it an OIS instead of a SegNext.
    data, optimiser, loss, prompts, validation
        See their classes.
    stages
        Run one after the other; the schedule spans all of them.
    seed
        Of weights, crops and prompts; sample `i` of a run is the same whenever it is drawn.
    n_workers
        Processes that prepare samples.
    precision
        "auto" computes in bfloat16 on CUDA and in float32 elsewhere; "bf16" in bfloat16 everywhere, which is faster on
        CPUs with AVX-512 BF16 or AMX and slower on others; "fp32" never does.
    save_every_n_steps
        How often the checkpoint is written.
    licence, card
        Of the weights, stored with them; the card is Markdown, `card_file` in TOML names a file that holds it.
    initial_weights
        Weights to start from instead of random ones: a file (ours, or an original `.pth`), the name of a model, or the
        config (`.toml`) of the run that makes them, see `read_training_runs`; empty for none.
    new_parts
        Beginnings of the names of tensors that `initial_weights` lacks; these start at random.
    frozen
        Beginnings of the names of parameters that stay as they are, such as `"body.encoder"`.
    """

    name: str
    output: str
    model: SegNextConfig | OISConfig
    data: DataConfig
    stages: tuple[StageConfig, ...]
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    prompts: PromptMix = field(default_factory=PromptMix)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    seed: int = 0
    n_workers: int = 1
    precision: str = "auto"
    save_every_n_steps: int = 100
    licence: str = ""
    card: str = ""
    initial_weights: str = ""
    new_parts: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()

    @property
    def n_steps(self) -> int:
        """Steps of all stages."""
        return sum(stage.n_steps for stage in self.stages)

    @property
    def weights_path(self) -> Path:
        """The file of weights that comes out."""
        return Path(self.output) / f"{self.name}.safetensors"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary, stored in checkpoints."""
        return {**asdict(self), "model": self.model.to_dict()}


def read_training_config(path: Path | str, changes: Sequence[str] = ()) -> TrainingConfig:
    """Read a training run from a TOML file.

    Parameters
    ----------
    path
        The file; relative folders in it are taken from where it lies.
    changes
        Entries to have instead of the file's, such as `"seed=2"` or `"model.encoder.uses_skips=false"`: names of
        tables and of the entry, joined by points, and a TOML value. What is no TOML value is taken as a string.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ConfigError
        If it is not TOML, an entry is missing, unknown or of a wrong kind, or a change is none.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"'{path}' is not TOML: {error}. Correct it there.") from error
    for change in changes:
        _change_entry(values, change)
    values = _with_absolute_folders(values, path.resolve().parent)
    if "card_file" in values:
        values["card"] = (path.resolve().parent / str(values.pop("card_file"))).read_text(encoding="utf8")
    return _config_from_dict(values, path)


def read_training_runs(path: Path | str, changes: Sequence[str] = ()) -> tuple[TrainingConfig, ...]:
    """Read a training run and the runs that its first weights come from.

    Parameters
    ----------
    path
        The file of the last run. Its `initial_weights` may name the file of the run before, and so on.
    changes
        As `read_training_config`; of the last run only.

    Returns
    -------
    tuple of TrainingConfig
        First run first; `initial_weights` of each names the weights that the run before writes.

    Raises
    ------
    FileNotFoundError, ConfigError
        As `read_training_config`; also if a run begins with its own weights.
    """
    runs = [read_training_config(path, changes)]
    seen = {Path(path).resolve()}
    while runs[0].initial_weights.endswith(".toml"):
        before = Path(runs[0].initial_weights).resolve()
        if before in seen:
            raise ConfigError(f"'{before}' begins with weights of its own; expected those of another run. Correct it.")
        if not before.is_file():
            raise FileNotFoundError(f"there is no training file '{before}'. Correct initial_weights in '{path}'.")
        seen.add(before)
        first = read_training_config(before)
        runs[0] = replace(runs[0], initial_weights=str(first.weights_path))
        runs.insert(0, first)
    return tuple(runs)


def without_local_folders(values: dict[str, Any]) -> dict[str, Any]:
    """`TrainingConfig.to_dict` with the last names of files and folders only, which are the same on all machines."""
    return {
        **values,
        "output": _last_name(values["output"]),
        "initial_weights": _last_name(values["initial_weights"]),
        "data": {**values["data"], "roots": [_last_name(root) for root in values["data"]["roots"]]},
        "validation": {**values["validation"], "root": _last_name(values["validation"]["root"])},
    }


def _last_name(path: str) -> str:
    return Path(os.path.normpath(path)).name if path else ""


def _change_entry(values: dict[str, Any], change: str) -> None:
    """Set one entry of a file's values, as `change` ("table.entry=value") says."""
    name, is_given, value = change.partition("=")
    *tables, entry = (part.strip() for part in name.split("."))
    if not is_given or not entry or not all(tables):
        raise ConfigError(f"the change is {change!r}; expected ENTRY=VALUE, such as seed=2 or data.n_procedural=0.")
    for number, table in enumerate(tables, start=1):
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise ConfigError(
                f"the change {change!r} goes into {'.'.join(tables[:number])}, which is no table. Change tables by "
                "their entries, and stages as a whole: stages=[{n_steps = 10, crop_px = 128, batch_size = 4}]."
            )
    values[entry] = _toml_value(value.strip())


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _config_from_dict(values: dict[str, Any], path: Path) -> TrainingConfig:
    values = dict(values)
    sections = {
        "data": DataConfig,
        "optimiser": OptimiserConfig,
        "loss": LossConfig,
        "prompts": PromptMix,
        "validation": ValidationConfig,
    }
    built: dict[str, Any] = {
        name: _built(kind, values.pop(name), f"{path}: [{name}]") for name, kind in sections.items() if name in values
    }
    built["model"] = _model_config(values.pop("model", {}), path)
    stages = values.pop("stages", [])
    if not isinstance(stages, list):
        raise ConfigError(f"{path}: stages is {stages!r}; expected a list of tables. Begin each with [[stages]].")
    built["stages"] = tuple(_built(StageConfig, stage, f"{path}: [[stages]]") for stage in stages)
    config: TrainingConfig = _built(TrainingConfig, {**values, **built}, str(path))
    if not config.stages:
        raise ConfigError(f"{path} has no [[stages]]; expected at least one with n_steps, crop_px and batch_size.")
    if config.optimiser.schedule not in ("cosine", "step"):
        raise ConfigError(f"{path}: schedule is {config.optimiser.schedule!r}; expected 'cosine' or 'step'.")
    if config.precision not in ("auto", "fp32", "bf16"):
        raise ConfigError(f"{path}: precision is {config.precision!r}; expected 'auto', 'fp32' or 'bf16'.")
    return config


def _model_config(values: Any, path: Path) -> SegNextConfig | OISConfig:
    values = dict(values) if isinstance(values, dict) else {}
    family = values.pop("family", "segnext")
    if family == "ois":
        return OISConfig.from_dict(values)
    if family != "segnext":
        raise ConfigError(f"{path}: [model]: family is {family!r}; expected 'segnext' or 'ois'. Correct it.")
    return SegNextConfig.from_dict({"fusion": {}, "decoder": {}, **values})


def _built(kind: type, values: Any, where: str) -> Any:
    """`kind(**values)`, with errors that name the entry."""
    if not isinstance(values, dict):
        raise ConfigError(f"{where} is {values!r}; expected a table of entries.")
    known = {entry.name: entry for entry in fields(kind)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ConfigError(f"{where} has unknown entries {unknown}; known are {sorted(known)}.")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    for key, value in values.items():
        _require_kind(value, str(known[key].type), f"{where} {key}")
    try:
        return kind(**values)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}. Add the entry.") from error


def _require_kind(value: Any, annotation: str, where: str) -> None:
    kinds: dict[str, Any] = {"int": int, "float": (int, float), "str": str}
    wanted = kinds.get(annotation)
    if wanted is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
        raise ConfigError(f"{where} is {value!r}; expected {annotation}.")


def _with_absolute_folders(values: dict[str, Any], base: Path) -> dict[str, Any]:
    values = dict(values)
    if "output" in values:
        values["output"] = str(base / str(values["output"]))
    weights = str(values.get("initial_weights", ""))
    if Path(weights).suffix or len(Path(weights).parts) > 1:
        values["initial_weights"] = str(base / weights)
    if isinstance(values.get("data"), dict) and isinstance(values["data"].get("roots"), list):
        values["data"] = {**values["data"], "roots": [str(base / str(root)) for root in values["data"]["roots"]]}
    if isinstance(values.get("validation"), dict) and values["validation"].get("root"):
        values["validation"] = {**values["validation"], "root": str(base / str(values["validation"]["root"]))}
    return values
