"""The training loop: draws samples, corrects its own answers as a user would, and can be killed at any moment."""

from __future__ import annotations

import json
import logging
import math
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from napari_segnext._whole_file import whole_file
from napari_segnext.errors import CheckpointError
from napari_segnext.training.config import without_local_folders
from napari_segnext.training.corrections import coarsened, corrections, n_corrections
from napari_segnext.training.depth_supply import with_true_depth
from napari_segnext.training.losses import compute_loss, depth_loss
from napari_segnext.training.network import (
    build_network,
    hold_fast,
    initial_state,
    parameter_groups,
    require_fitting_crops,
    set_training,
)
from napari_segnext.training.resuming import cut_log, has_new_stages, remove_leftovers
from napari_segnext.training.samples import ConsecutiveSampler, SampleDataset, TrainingSample, collate
from napari_segnext.training.soundness import require_sound
from napari_segnext.training.sources import find_sources, hash_of_sources
from napari_segnext.training.validation import validate
from napari_segnext.weights import WeightsHeader, write_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.random import Generator
    from torch import Tensor

    from napari_segnext.training.config import StageConfig, TrainingConfig
    from napari_segnext.training.network import TrainedNetwork

logger = logging.getLogger(__name__)

_IOU_MEMORY = 0.99


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """Where a run stands after a step.

    Attributes
    ----------
    step, n_steps
        Steps done, and all steps.
    loss, iou
        Of the batch; of the last hundred or so batches (exponential mean).
    learning_rate
        Of the step.
    validation
        Metrics such as mIoU@5, after steps that were followed by validation.
    """

    step: int
    n_steps: int
    loss: float
    iou: float
    learning_rate: float
    validation: dict[str, float | int | None] | None = None


class Trainer:
    """One training run, from its config to its weights.

    Everything that a run needs to go on lies in the folder `output`: `checkpoint.pt`, replaced as a whole every few
    steps, and `log.jsonl`. A `Trainer` made with the same config goes on from there. Stages may have other lengths
    then, if they are not yet over; that is logged, and stored with the weights.

    Parameters
    ----------
    config
        The run.
    device
        Where to train, such as "cpu" or "cuda".

    Raises
    ------
    ConfigError
        If the config does not fit the data, the model, or the checkpoint that lies in its output folder.
    """

    def __init__(self, config: TrainingConfig, *, device: str = "cpu") -> None:
        self.config = config
        self.device = torch.device(device)
        self._output = Path(config.output)
        self._sources = find_sources(config.data)
        require_sound(config, {source.group for source in self._sources})
        require_fitting_crops(config)
        self._output.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(config.seed)
        self.model = build_network(config).to(self.device)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        hold_fast(self.model, config.frozen)
        is_begun = self.checkpoint_path.exists()
        if config.initial_weights and not is_begun:
            self.model.load_state_dict(initial_state(config, self.model))
        self._average = {key: value.clone() for key, value in self.model.state_dict().items()}
        self._optimiser = torch.optim.AdamW(
            parameter_groups(self.model, config.optimiser.weight_decay),
            lr=config.optimiser.learning_rate,
            betas=(0.9, 0.98),
        )
        self.step = 0
        self._iou = 0.0
        self._history: list[dict[str, Any]] = []
        if is_begun:
            self._resume()

    @property
    def checkpoint_path(self) -> Path:
        """Training state: weights, their average, and the optimiser."""
        return self._output / "checkpoint.pt"

    @property
    def weights_path(self) -> Path:
        """The averaged weights of the last export."""
        return self.config.weights_path

    def run(self, *, is_wanted: Callable[[], bool] = lambda: True) -> Iterator[TrainingProgress]:
        """Train to the end, yielding after each step; saves, validates and exports on the way.

        Parameters
        ----------
        is_wanted
            Asked after each step; once it says no, the state is saved and the run ends early.
        """
        first_step = 0
        for stage in self.config.stages:
            for batch in self._batches(stage, first_step):
                progress = self._trained(batch)
                is_last = self.step == self.config.n_steps
                if self.config.validation.root and (is_last or self._is_due(self.config.validation.every_n_steps)):
                    progress = self._validated(progress)
                self._log(progress)
                if is_last or self._is_due(self.config.save_every_n_steps):
                    self.save()
                yield progress
                if not is_wanted():
                    self.save()
                    return
            first_step += stage.n_steps
        self.export()

    def save(self) -> None:
        """Write the checkpoint; a kill at any moment leaves the old one or the new one, whole."""
        state: dict[str, Any] = {
            "step": self.step,
            "iou": self._iou,
            "config": json.dumps(self.config.to_dict(), sort_keys=True),
            "model": self.model.state_dict(),
            "average": self._average,
            "optimiser": self._optimiser.state_dict(),
        }
        if self._history:
            state["history"] = self._history
        with whole_file(self.checkpoint_path) as unfinished:
            torch.save(state, unfinished)

    def export(self) -> Path:
        """Write the averaged weights (fp16) with what is needed to make them again; returns the file.

        If stages were given other lengths on the way, `history` in the provenance says which ones held from which
        step on. Of folders only the last names are stored.
        """
        provenance = {
            "training": without_local_folders(self.config.to_dict()),
            "step": self.step,
            "data_sha256": hash_of_sources(self._sources),
            "n_images": len(self._sources),
            "git_revision": _git_revision(),
            "torch": torch.__version__,
        }
        if self._history:
            provenance["history"] = self._history
        header = WeightsHeader(
            self.config.name,
            self.config.model,
            licence=self.config.licence,
            card=self.config.card,
            provenance=provenance,
        )
        return write_weights(self.weights_path, self._average, header)

    def averaged_model(self) -> TrainedNetwork:
        """The network with averaged weights, in evaluation mode, on the same device."""
        model = build_network(self.config).to(self.device)
        model.load_state_dict(self._average)
        return model.eval()

    # one step

    def _trained(self, batch: TrainingSample) -> TrainingProgress:
        rate = learning_rate(self.config, self.step)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        torch.manual_seed(self.config.seed + self.step)
        rng = np.random.default_rng((self.config.seed, self.step, 1))

        loss, iou = self._loss(batch, rng)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optimiser.clip_norm)
        self._optimiser.step()

        self.step += 1
        self._update_average()
        memory = min(_IOU_MEMORY, 1 - 1 / self.step)
        self._iou = memory * self._iou + (1 - memory) * iou
        return TrainingProgress(self.step, self.config.n_steps, float(loss.detach()), self._iou, rate)

    def _loss(self, batch: TrainingSample, rng: Generator) -> tuple[Tensor, float]:
        truths = batch.truths.to(self.device)
        image = batch.image.to(self.device, memory_format=torch.channels_last)
        previous_masks, clicks = batch.previous_masks.to(self.device), batch.clicks.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._is_in_bf16()):
            # encode once; the objects of an image share its embedding
            set_training(self.model, self.config.frozen)
            levels = self.model.encode(image)
            of_depth = self._loss_of_depth(levels[-1], batch)
            if self.config.loss.mask_weight == 0:
                return of_depth, 0.0
            levels = with_true_depth(levels, batch.depth, rng, share=self.config.data.true_depth)
            n_objects = len(truths) // len(batch.image)
            levels = tuple(level.repeat_interleave(n_objects, dim=0) for level in levels)

            # correct the model's own answers, without gradient
            self.model.eval()
            clicks, previous_masks = self._corrected(levels, clicks, previous_masks, batch.truths, rng)

            # the answer that is learned from
            set_training(self.model, self.config.frozen)
            logits = self._logits(levels, clicks, previous_masks)
        loss = self.config.loss.mask_weight * compute_loss(logits, truths.float(), self.config.loss)
        return loss + of_depth, _mean_iou(logits.detach() > 0, truths)

    def _loss_of_depth(self, seen: Tensor, batch: TrainingSample) -> Tensor:
        weight = self.config.loss.depth_weight
        if weight == 0 or batch.depth is None:
            return seen.new_zeros(())
        return weight * depth_loss(seen, batch.depth.to(self.device))

    def _corrected(
        self, levels: tuple[Tensor, ...], clicks: Tensor, previous_masks: Tensor, truths: Tensor, rng: Generator
    ) -> tuple[Tensor, Tensor]:
        """Clicks and previous masks after some rounds of answers and corrections."""
        with torch.no_grad():
            fixed = tuple(level.detach() for level in levels)
            for _ in range(n_corrections(rng, self.config.prompts)):
                probability = torch.sigmoid(self._logits(fixed, clicks, previous_masks))
                if rng.random() < self.config.prompts.refinement:
                    previous_masks = coarsened(probability, factor=int(rng.integers(1, 6)))
                else:
                    clicks = torch.cat([clicks, corrections(rng, truths, probability).to(clicks)], dim=1)
                    previous_masks = probability
        return clicks, previous_masks

    def _is_in_bf16(self) -> bool:
        if self.config.precision == "auto":
            return self.device.type == "cuda"
        return self.config.precision == "bf16"

    def _logits(self, levels: tuple[Tensor, ...], clicks: Tensor, previous_masks: Tensor) -> Tensor:
        shape = (previous_masks.shape[-2], previous_masks.shape[-1])
        return self.model.answer(levels, clicks, previous_masks, shape).float()

    def _update_average(self) -> None:
        decay = min(self.config.optimiser.ema_decay, (1 + self.step) / (10 + self.step))
        for key, value in self.model.state_dict().items():
            if value.dtype.is_floating_point:
                self._average[key].lerp_(value, 1 - decay)
            else:
                self._average[key].copy_(value)

    # around the steps

    def _batches(self, stage: StageConfig, first_step: int) -> Iterator[TrainingSample]:
        """Batches of a stage that are still to do."""
        done = max(0, self.step - first_step)
        if done >= stage.n_steps:
            return iter(())
        spacing = self.config.model.click_radius_px
        dataset = SampleDataset(self._sources, self.config, stage, click_spacing_px=spacing)
        offset = first_step * 1_000
        sampler = ConsecutiveSampler(offset + done * stage.batch_size, offset + stage.n_steps * stage.batch_size)
        loader = DataLoader(
            dataset,
            batch_size=stage.batch_size,
            sampler=sampler,
            num_workers=self.config.n_workers,
            collate_fn=collate,
            persistent_workers=False,
        )
        return iter(loader)

    def _is_due(self, every_n_steps: int) -> bool:
        return every_n_steps > 0 and self.step % every_n_steps == 0

    def _validated(self, progress: TrainingProgress) -> TrainingProgress:
        metrics = validate(self.averaged_model(), self.config.validation)
        return TrainingProgress(
            progress.step, progress.n_steps, progress.loss, progress.iou, progress.learning_rate, metrics
        )

    def _log(self, progress: TrainingProgress) -> None:
        row: dict[str, Any] = {
            "step": progress.step,
            "loss": round(progress.loss, 5),
            "iou": round(progress.iou, 5),
            "learning_rate": progress.learning_rate,
            "time": round(time.time(), 1),
        }
        if progress.validation is not None:
            row["validation"] = progress.validation
        with (self._output / "log.jsonl").open("a", encoding="utf8") as file:
            file.write(json.dumps(row) + "\n")

    def _resume(self) -> None:
        try:
            state = torch.load(self.checkpoint_path, map_location=self.device, weights_only=True)
        except Exception as error:
            raise CheckpointError(
                self.checkpoint_path, f"not a training checkpoint ({error})", "Delete it to start anew."
            ) from error
        self._history = self._continued_history(state)
        self.model.load_state_dict(state["model"])
        self._average = state["average"]
        self._optimiser.load_state_dict(state["optimiser"])
        self.step, self._iou = state["step"], state["iou"]
        remove_leftovers(self.checkpoint_path)
        cut_log(self._output / "log.jsonl", self.step)
        logger.info("going on from step %d of '%s'", self.step, self.checkpoint_path)

    def _continued_history(self, state: dict[str, Any]) -> list[dict[str, Any]]:
        """Which stages held from which step on; empty if they have always been the same."""
        stored, wanted, step = json.loads(state["config"]), self.config.to_dict(), state["step"]
        history = list(state.get("history", []))
        if not has_new_stages(stored, wanted, step=step, path=self.checkpoint_path):
            return history
        lengths = [[stage["n_steps"] for stage in values["stages"]] for values in (stored, wanted)]
        logger.warning(
            "n_steps of the stages were %s; from step %d on they are %s, and the schedule with them",
            lengths[0],
            step,
            lengths[1],
        )
        first = {"step": 0, "stages": stored["stages"]}
        return [*(history or [first]), {"step": step, "stages": list(wanted["stages"])}]


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Learning rate of step `step` (from 0): linear warm-up, then cosine or steps over all stages."""
    optimiser = config.optimiser
    if step < optimiser.n_warmup_steps:
        return optimiser.learning_rate * (step + 1) / optimiser.n_warmup_steps
    fraction = step / max(1, config.n_steps)
    if optimiser.schedule == "step":
        return float(optimiser.learning_rate * 0.1 ** sum(fraction >= milestone for milestone in optimiser.milestones))
    return optimiser.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, fraction)))


def _mean_iou(answers: Tensor, truths: Tensor) -> float:
    overlap = (answers & truths).sum(dim=(-2, -1))
    union = (answers | truths).sum(dim=(-2, -1))
    return float((overlap / union.clamp(min=1)).mean())


def _git_revision() -> str:
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()
