from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path  # noqa: TC003
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from napari_segnext import load_model
from napari_segnext.errors import CheckpointError
from napari_segnext.models.config import DecoderConfig, FusionConfig, HybridConfig, PlainViTConfig, SegNextConfig
from napari_segnext.models.segnext import SegNext
from napari_segnext.weights import WeightsHeader, read_weights, read_weights_header, save_weights, write_weights

HYBRID = SegNextConfig(
    input_shape=(64, 64),
    encoder=HybridConfig(stage_widths=(4, 6, 8), blocks_per_stage=(1, 1), width=16, depth=1, n_heads=2),
    fusion=FusionConfig(depth=1, n_heads=2),
)
PLAIN = SegNextConfig(
    input_shape=(64, 64),
    encoder=PlainViTConfig(width=8, depth=2, n_heads=2, global_attention_every=1),
    fusion=FusionConfig(depth=1, n_heads=2),
    decoder=DecoderConfig(pyramid_widths=(4, 6, 8, 12), head_width=5),
)


def saved(folder: Path, config: SegNextConfig = HYBRID, **options: Any) -> tuple[Path, SegNext]:
    torch.manual_seed(0)
    model = SegNext(config).eval()
    path = save_weights(
        folder / "sub" / "mine.safetensors",
        model,
        name="mine",
        licence="BSD-3-Clause",
        card="# Mine",
        provenance={"training": {"seed": 1}},
        **options,
    )
    return path, model


def answer(model: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    embedding = model.encode_image(torch.rand(3, 40, 40, generator=generator))
    clicks = torch.tensor([[[20.0, 20.0, 1.0]]])
    logits: torch.Tensor = model.predict_logits(embedding, clicks, torch.zeros(1, 40, 40))
    return logits


@pytest.mark.parametrize("config", [HYBRID, PLAIN], ids=["hybrid", "plain ViT"])
def test_a_saved_model_answers_the_same_when_loaded(config: SegNextConfig, tmp_path: Path) -> None:
    path, model = saved(tmp_path, config, dtype="float32")
    loaded = load_model(path, "cpu")
    with torch.inference_mode():
        assert torch.equal(answer(loaded), answer(model))


def test_half_precision_file_comes_back_as_float32_within_its_rounding(tmp_path: Path) -> None:
    path, model = saved(tmp_path)
    header, state = read_weights(path)
    assert path.stat().st_size < 2.2 * sum(tensor.numel() for tensor in state.values()) + 20_000
    for name, tensor in model.state_dict().items():
        assert state[name].dtype == tensor.dtype
        torch.testing.assert_close(state[name], tensor, rtol=2**-10, atol=1e-7)
    assert header.config == HYBRID


def test_header_tells_all_and_needs_no_tensors(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    header = read_weights_header(path)
    assert header == WeightsHeader("mine", HYBRID, "BSD-3-Clause", "# Mine", {"training": {"seed": 1}})


def test_loaded_model_is_ready_to_predict_and_knows_its_file(tmp_path: Path) -> None:
    import hashlib

    path, _ = saved(tmp_path)
    model: Any = load_model(path, "cpu")
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
    assert model.identity.name == "mine"
    assert model.identity.licence == "BSD-3-Clause"
    assert model.identity.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_killed_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = saved(tmp_path)
    before = path.read_bytes()

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        saved(tmp_path, PLAIN)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["mine.safetensors"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such permissions")
def test_written_file_can_be_read_by_others(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o644


def test_values_that_do_not_fit_are_not_written(tmp_path: Path) -> None:
    header = WeightsHeader("x", HYBRID)
    with pytest.raises(ValueError, match=r"'a' cannot be stored as torch.float16: it has values too large"):
        write_weights(tmp_path / "x.safetensors", {"a": torch.tensor([1e6])}, header)
    with pytest.raises(ValueError, match="not finite"):
        write_weights(tmp_path / "x.safetensors", {"a": torch.tensor([float("nan")])}, header, dtype="float32")
    with pytest.raises(ValueError, match=r"ends in '\.pth'; expected '\.safetensors'"):
        write_weights(tmp_path / "x.pth", {}, header)
    assert list(tmp_path.iterdir()) == []


def rewritten(path: Path, metadata: dict[str, str | None] | None = None, **tensors: Any) -> Path:
    """The file with some of its metadata and tensors changed; None takes one away."""
    from safetensors import safe_open

    with safe_open(str(path), "pt") as file:
        old = dict(file.metadata())
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    new = {key: value for key, value in {**old, **(metadata or {})}.items() if value is not None}
    state = {name: tensor for name, tensor in {**state, **tensors}.items() if tensor is not None}
    save_file(state, path, new)
    return path


def config_with(**changes: Any) -> str:
    values = HYBRID.to_dict()
    for where, value in changes.items():
        *outer, last = where.split("__")
        inner = values
        for key in outer:
            inner = inner[key]
        inner[last] = value
    return json.dumps(values)


class TestRefusals:
    @pytest.mark.parametrize(
        ("metadata", "words"),
        [
            ({"format": None}, "of another program"),
            ({"format": "pt"}, "of another program"),
            ({"version": "2"}, "version '2'.*versions up to 1.*pip install --upgrade"),
            ({"version": "x"}, "version 'x'"),
            ({"architecture": "unet"}, "architecture 'unet'; expected one of 'segnext'.*'depth-anything-v2'"),
            ({"config": "{"}, "header cannot be read"),
            ({"config": "[" * 100_000}, "header cannot be read"),
            ({"config": "{}"}, "header cannot be read"),
            ({"config": None}, "header cannot be read"),
            ({"provenance": "3"}, "header cannot be read"),
            ({"config": config_with(encoder__depth=10**9)}, "does not fit its .* tensors"),
            ({"config": config_with(encoder__depth="many")}, "does not fit"),
            ({"config": config_with(encoder__width=10**12)}, "does not fit"),
            ({"config": config_with(encoder__n_heads=0)}, "does not fit"),
            ({"config": config_with(input_shape=[10**6, 10**6])}, "does not fit"),
            ({"config": config_with(input_shape=3)}, "does not fit"),
            ({"config": config_with(encoder__width=18)}, "shape|missing"),
            ({"config": config_with(encoder__kind="resnet")}, "header cannot be read"),
            ({"config": config_with(encoder__stage_widths=[1])}, "no network can be built"),
        ],
    )
    def test_of_another_kind_of_file(self, metadata: dict[str, str | None], words: str, tmp_path: Path) -> None:
        path, _ = saved(tmp_path)
        with pytest.raises(CheckpointError, match=f"(?s)mine.safetensors.*{words}"):
            load_model(rewritten(path, metadata), "cpu")

    def test_of_a_missing_parameter(self, tmp_path: Path) -> None:
        path, _ = saved(tmp_path)
        with pytest.raises(CheckpointError, match=r"1 parameters are missing \(decoder.to_logits.bias\)"):
            load_model(rewritten(path, **{"decoder.to_logits.bias": None}), "cpu")

    def test_of_an_unknown_parameter(self, tmp_path: Path) -> None:
        path, _ = saved(tmp_path)
        with pytest.raises(CheckpointError, match=r"1 parameters are unknown \(extra\)"):
            load_model(rewritten(path, extra=torch.zeros(1)), "cpu")

    def test_of_values_that_are_not_finite(self, tmp_path: Path) -> None:
        path, _ = saved(tmp_path)
        broken = torch.full((4,), float("nan"))
        with pytest.raises(CheckpointError, match=r"'decoder.to_logits.bias' holds values that are not finite"):
            load_model(rewritten(path, **{"decoder.to_logits.bias": broken}), "cpu")

    @pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
    def test_of_a_cut_file(self, share: float, tmp_path: Path) -> None:
        path, _ = saved(tmp_path)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
        with pytest.raises(CheckpointError, match="not a whole safetensors file"):
            load_model(path, "cpu")

    def test_of_a_header_of_absurd_length(self, tmp_path: Path) -> None:
        path = tmp_path / "absurd.safetensors"
        path.write_bytes(struct.pack("<Q", 2**60) + b"{}")
        with pytest.raises(CheckpointError, match="not a whole safetensors file"):
            load_model(path, "cpu")


def test_importing_weights_and_reading_a_header_load_no_torch(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    code = (
        "import sys; import napari_segnext.weights as w; w.list_models(); "
        f"w.read_weights_header({str(path)!r}); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
