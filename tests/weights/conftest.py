"""A tiny checkpoint in the layout of the original program: T = 64, C = 8, two blocks, one fusion block."""

from __future__ import annotations

import copy
from pathlib import Path  # noqa: TC003
from typing import TYPE_CHECKING, Any

import pytest
import torch

from tests.file_server import Behaviour, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH, SIDE, PATCH, HIDDEN = 8, 64, 16, 32
OUT_WIDTHS = [4, 6, 8, 12]


def block(prefix: str, generator: torch.Generator) -> dict[str, torch.Tensor]:
    shapes = {
        "norm1.weight": (WIDTH,),
        "norm1.bias": (WIDTH,),
        "norm2.weight": (WIDTH,),
        "norm2.bias": (WIDTH,),
        "attn.qkv.weight": (3 * WIDTH, WIDTH),
        "attn.qkv.bias": (3 * WIDTH,),
        "attn.proj.weight": (WIDTH, WIDTH),
        "attn.proj.bias": (WIDTH,),
        "mlp.fc1.weight": (HIDDEN, WIDTH),
        "mlp.fc1.bias": (HIDDEN,),
        "mlp.fc2.weight": (WIDTH, HIDDEN),
        "mlp.fc2.bias": (WIDTH,),
    }
    return {prefix + name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def original_state(n_blocks: int = 2, n_fusion: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    at_4, at_8, at_32 = max(2 * OUT_WIDTHS[0], WIDTH // 2), max(OUT_WIDTHS[1], WIDTH // 2), 2 * WIDTH
    shapes: dict[str, tuple[int, ...]] = {
        "backbone.pos_embed": (1, (SIDE // PATCH) ** 2 + 1, WIDTH),
        "backbone.patch_embed.proj.weight": (WIDTH, 3, PATCH, PATCH),
        "backbone.patch_embed.proj.bias": (WIDTH,),
        "backbone.fc_norm.weight": (WIDTH,),
        "backbone.fc_norm.bias": (WIDTH,),
        "visual_prompts_encoder.proj.weight": (WIDTH, 3, PATCH, PATCH),
        "visual_prompts_encoder.proj.bias": (WIDTH,),
        "neck.down_4.0.weight": (WIDTH, at_4, 2, 2),
        "neck.down_4.3.weight": (at_4, at_4 // 2, 2, 2),
        "neck.down_4.5.weight": (OUT_WIDTHS[0], at_4 // 2, 1, 1),
        "neck.down_8.0.weight": (WIDTH, at_8, 2, 2),
        "neck.down_8.2.weight": (OUT_WIDTHS[1], at_8, 1, 1),
        "neck.down_16.0.weight": (OUT_WIDTHS[2], WIDTH, 1, 1),
        "neck.down_32.0.weight": (at_32, WIDTH, 2, 2),
        "neck.down_32.2.weight": (OUT_WIDTHS[3], at_32, 1, 1),
        "head.fusion_conv.conv.weight": (5, 20, 1, 1),
        "head.fusion_conv.conv.bias": (5,),
        "head.seg_conv.weight": (1, 5, 1, 1),
        "head.seg_conv.bias": (1,),
    }
    norms = {
        "down_4.0": at_4,
        "down_4.1": at_4,
        "down_4.3": at_4 // 2,
        "down_4.4": at_4 // 2,
        "down_4.5": OUT_WIDTHS[0],
        "down_4.6": OUT_WIDTHS[0],
        "down_8.0": at_8,
        "down_8.1": at_8,
        "down_8.2": OUT_WIDTHS[1],
        "down_8.3": OUT_WIDTHS[1],
        "down_16.0": OUT_WIDTHS[2],
        "down_16.1": OUT_WIDTHS[2],
        "down_32.0": at_32,
        "down_32.1": at_32,
        "down_32.2": OUT_WIDTHS[3],
        "down_32.3": OUT_WIDTHS[3],
    }
    for name, width in norms.items():
        shapes.setdefault(f"neck.{name}.weight", (width,))
        shapes[f"neck.{name}.bias"] = (width,)
    for index, width in enumerate(OUT_WIDTHS):
        shapes[f"head.convs.{index}.conv.weight"] = (5, width, 1, 1)
        shapes[f"head.convs.{index}.conv.bias"] = (5,)
    state = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    for index in range(n_blocks):
        state |= block(f"backbone.blocks.{index}.", generator)
    for index in range(n_fusion):
        state |= block(f"fusion_blocks.{index}.", generator)
    return state


ORIGINAL_PARAMS: dict[str, Any] = {
    "backbone_params": {
        "img_size": (SIDE, SIDE),
        "patch_size": (PATCH, PATCH),
        "in_chans": 3,
        "embed_dim": WIDTH,
        "depth": 2,
        "global_atten_freq": 1,
        "num_heads": 2,
        "mlp_ratio": 4,
        "qkv_bias": True,
    },
    "neck_params": {"in_dim": WIDTH, "out_dims": OUT_WIDTHS},
    "head_params": {
        "in_channels": OUT_WIDTHS,
        "in_select_index": [0, 1, 2, 3],
        "dropout_ratio": 0.1,
        "num_classes": 1,
        "out_channels": 5,
    },
    "fusion_params": {
        "type": "self_attention",
        "depth": 1,
        "params": {"dim": WIDTH, "num_heads": 4, "mlp_ratio": 4, "qkv_bias": True},
    },
    "use_disks": True,
    "norm_radius": 3,
    "cpu_dist_maps": False,
    "norm_mean_std": ([0.4, 0.5, 0.6], [0.2, 0.3, 0.4]),
}


class OriginalMaker:
    """Writes checkpoints as the original trainer does, with changes asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def checkpoint(self, params: dict[str, Any] | None = None, **state_sizes: int) -> dict[str, Any]:
        params = copy.deepcopy(ORIGINAL_PARAMS) if params is None else params
        return {
            "state_dict": original_state(**state_sizes),
            "config": {
                "class": "isegm.model.is_plainvit_model.PlainVitModel",
                "params": {
                    name: {"type": "builtin", "value": value, "specified": True} for name, value in params.items()
                },
            },
        }

    def params(self, **changes: Any) -> dict[str, Any]:
        """The parameters with some changed: `backbone_params__depth=3`; None takes one away."""
        params = copy.deepcopy(ORIGINAL_PARAMS)
        for where, value in changes.items():
            *path, last = where.split("__")
            inner = params
            for key in path:
                inner = inner[key]
            if value is None:
                del inner[last]
            else:
                inner[last] = value
        return params

    def save(self, content: Any, name: str = "tiny.pth") -> Path:
        path = self.folder / name
        torch.save(content, path)
        return path


@pytest.fixture
def original(tmp_path: Path) -> OriginalMaker:
    return OriginalMaker(tmp_path)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, empty and of this test alone."""
    folder = tmp_path / "home"
    monkeypatch.setenv("NAPARI_SEGNEXT_HOME", str(folder))
    return folder


@pytest.fixture
def server() -> Iterator[Behaviour]:
    with serving() as behaviour:
        yield behaviour
