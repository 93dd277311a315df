"""Whether a training run makes sense, before anything is trained."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from napari_segnext.errors import ConfigError
from napari_segnext.prompts.simulated_prompts import FIRST_PROMPTS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from napari_segnext.training.config import TrainingConfig


def require_sound(config: TrainingConfig, domains: Collection[str]) -> None:
    """Check what would break a run later, or never let it end.

    Parameters
    ----------
    config
        The run.
    domains
        Those of the images that were found.

    Raises
    ------
    ConfigError
        If a number of a stage is below 1, a chance is out of range, or relative chances have no sum above 0.
    """
    for number, stage in enumerate(config.stages, start=1):
        for entry in ("n_steps", "crop_px", "batch_size", "n_objects"):
            if getattr(stage, entry) < 1:
                raise ConfigError(
                    f"{entry} of stage {number} is {getattr(stage, entry)}; expected at least 1. "
                    "Correct it, or remove the stage."
                )
    for entry in ("single_click", "with_click", "enclosed", "first_answer", "refinement"):
        if not 0 <= getattr(config.prompts, entry) <= 1:
            raise ConfigError(f"[prompts]: {entry} is {getattr(config.prompts, entry)}; expected 0 to 1. Correct it.")
    if not 0 <= config.data.true_depth <= 1:
        raise ConfigError(f"[data]: true_depth is {config.data.true_depth}; expected 0 to 1. Correct it.")
    if config.prompts.max_corrections < 0:
        raise ConfigError(f"[prompts]: max_corrections is {config.prompts.max_corrections}; expected 0 or more.")
    if not domains:
        raise ConfigError(f"there are no images in {list(config.data.roots)}; expected at least one. Correct roots.")
    for number, stage in enumerate(config.stages, start=1):
        weights = {**config.data.domain_weights, **stage.domain_weights}
        where = f"domain_weights of stage {number}" if stage.domain_weights else "[data.domain_weights]"
        _require_chances({**dict.fromkeys(domains, 1.0), **weights}, sorted(domains), where)
    _require_chances(config.data.series_weights, (), "[data.series_weights]")
    _require_chances({kind: getattr(config.prompts, kind) for kind in FIRST_PROMPTS}, FIRST_PROMPTS, "[prompts]")


def _require_chances(chances: Mapping[str, Any], drawn: Collection[str], where: str) -> None:
    """None is negative, and not all of those that are `drawn` from are 0."""
    for name, chance in chances.items():
        is_number = isinstance(chance, int | float) and not isinstance(chance, bool)
        if not is_number or not math.isfinite(chance) or chance < 0:
            raise ConfigError(f"{where}: {name} is {chance!r}; expected a number of at least 0. Correct it.")
    if drawn and not any(chances[name] > 0 for name in drawn):
        raise ConfigError(f"{where}: all of {', '.join(drawn)} are 0; expected a sum above 0. Raise one of them.")
