from __future__ import annotations

import numpy as np
import pytest
from skimage import draw, io

CONFIG = """
name = "thimble"
output = "run"
seed = 3
n_workers = 0
save_every_n_steps = 2

[model]
input_shape = [64, 64]
click_radius_px = 3.0

[model.encoder]
kind = "hybrid"
stage_widths = [4, 8, 12]
blocks_per_stage = [1, 1]
width = 16
depth = 1
n_heads = 2

[model.fusion]
depth = 1
n_heads = 2

[data]
roots = ["images_and_labels"]

[optimiser]
learning_rate = 0.003
n_warmup_steps = 2

[[stages]]
n_steps = 3
crop_px = 32
batch_size = 2

[[stages]]
n_steps = 2
crop_px = 48
batch_size = 2
"""


@pytest.fixture
def run_folder(tmp_path):
    """A folder with `config.toml` and three images of bright disks."""
    for kind in ("images", "labels"):
        (tmp_path / "images_and_labels" / kind).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(3):
        labels = np.zeros((60, 70), np.uint8)
        for label, centre in enumerate(((15, 15), (40, 25), (25, 50)), start=1):
            labels[draw.disk(centre, 9, shape=labels.shape)] = label
        image = np.where(labels > 0, 180, 60) + rng.normal(0, 10, labels.shape)
        io.imsave(tmp_path / "images_and_labels/images" / f"{number}.png", image.clip(0, 255).astype(np.uint8))
        io.imsave(tmp_path / "images_and_labels/labels" / f"{number}.png", labels, check_contrast=False)
    (tmp_path / "config.toml").write_text(CONFIG)
    return tmp_path
