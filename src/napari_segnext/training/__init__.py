"""Training on simulated prompts: losses, augmentation, simulation, and a loop that survives any kill."""

from napari_segnext.training.config import TrainingConfig, read_training_config, read_training_runs
from napari_segnext.training.trainer import Trainer, TrainingProgress

__all__ = ["Trainer", "TrainingConfig", "TrainingProgress", "read_training_config", "read_training_runs"]
