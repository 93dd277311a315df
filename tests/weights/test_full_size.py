"""A checkpoint of the published size, ViT-B at 1024 × 1024 with SA×2, from file to mask; random weights."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import torch

from napari_segnext.prompts import Click
from napari_segnext.session import EmbeddingCache, Session
from napari_segnext.weights import load_model

NAME = "plainvit_base1024_cocolvis_sax2"


@pytest.mark.skipif(
    not os.environ.get("NAPARI_SEGNEXT_FULL_SIZE"),
    reason="takes half a minute and 455 MB of disk; set NAPARI_SEGNEXT_FULL_SIZE=1",
)
def test_checkpoint_of_the_published_size_loads_every_key_and_answers_a_click(golden_folder, tmp_path):
    generator = torch.Generator().manual_seed(0)
    rows = json.loads((golden_folder / "vitb_state_dict.json").read_text())[NAME]
    state = {key: 0.02 * torch.randn(shape, generator=generator) for key, shape, _ in rows}
    small = torch.load(golden_folder / "depth12_sax2.pth", weights_only=True)["config"]
    torch.save({"state_dict": state, "config": published(small)}, tmp_path / "vitb.pth")

    model = load_model(tmp_path / "vitb.pth", device="cpu")
    unused = 2 * 768 + 768  # the norm that is never applied, and the slot of a class token
    assert sum(p.numel() for p in model.parameters()) == sum(t.numel() for t in state.values()) - unused

    image = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    probability = Session(model, image, cache=EmbeddingCache(is_exact=True)).add(Click(100, 200)).probability
    assert probability.shape == (300, 400)
    assert np.isfinite(probability).all()


def published(config):
    """The original's config with the sizes of the released weights."""
    values = {
        "backbone_params": {
            "img_size": (1024, 1024),
            "patch_size": (16, 16),
            "in_chans": 3,
            "embed_dim": 768,
            "depth": 12,
            "global_atten_freq": 3,
            "num_heads": 12,
            "mlp_ratio": 4,
            "qkv_bias": True,
        },
        "neck_params": {"in_dim": 768, "out_dims": [128, 256, 512, 1024]},
        "head_params": {
            "in_channels": [128, 256, 512, 1024],
            "in_select_index": [0, 1, 2, 3],
            "dropout_ratio": 0.1,
            "num_classes": 1,
            "out_channels": 256,
        },
        "fusion_params": {
            "type": "self_attention",
            "depth": 2,
            "params": {"dim": 768, "num_heads": 12, "mlp_ratio": 4, "qkv_bias": True},
        },
    }
    for name, value in values.items():
        config["params"][name]["value"] = value
    return config
