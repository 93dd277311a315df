from __future__ import annotations

import json
import logging
import os
import pickle
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_segnext import load_model
from napari_segnext.errors import CheckpointError
from napari_segnext.models.config import SegNextConfig
from napari_segnext.models.segnext import SegNext
from napari_segnext.weights.original import DROPPED, PREFIXES, read_original
from napari_segnext.weights.original_config import config_from_original

if TYPE_CHECKING:
    from tests.weights.conftest import OriginalMaker

# ours against the recorded logits: another attention kernel moves them by 2e-5 (golden README)
LOGIT_TOLERANCE = 2e-4


def test_config_and_every_parameter_are_read(original: OriginalMaker) -> None:
    content = original.checkpoint()
    checkpoint = read_original(original.save(content))
    config = checkpoint.config
    assert config.input_shape == (64, 64)
    assert (config.encoder.width, config.encoder.depth, config.encoder.n_heads) == (8, 2, 2)
    assert (config.fusion.depth, config.fusion.n_heads) == (1, 4)
    assert config.decoder.pyramid_widths == (4, 6, 8, 12)
    assert (config.click_radius_px, config.uses_disks) == (3.0, True)
    assert config.mean == (0.4, 0.5, 0.6)
    assert checkpoint.assumed == ()
    assert len(checkpoint.state) + len(checkpoint.dropped) == len(content["state_dict"])
    assert checkpoint.dropped == DROPPED


def test_position_slot_of_the_absent_class_token_is_left_out(original: OriginalMaker) -> None:
    content = original.checkpoint()
    checkpoint = read_original(original.save(content))
    assert torch.equal(checkpoint.state["encoder.pos_embed"], content["state_dict"]["backbone.pos_embed"][:, 1:])


def test_loaded_model_answers_at_the_size_of_the_image(original: OriginalMaker) -> None:
    model = load_model(original.save(original.checkpoint()), "cpu")
    embedding = model.encode_image(torch.rand(3, 30, 50))
    logits = model.predict_logits(embedding, torch.tensor([[[5.0, 5.0, 1.0]]]), torch.zeros(1, 30, 50))
    assert logits.shape == (1, 30, 50)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", ["tiny_sax1", "tiny_sax2_nonsquare", "depth12_sax2"])
def test_loaded_model_repeats_the_recorded_clicks(name: str, golden_folder: Path) -> None:
    model = load_model(golden_folder / f"{name}.pth", "cpu")
    golden = np.load(golden_folder / f"{name}.npz")
    image = torch.from_numpy(golden["image"].transpose(2, 0, 1) / np.float32(255))
    clicks = torch.from_numpy(golden["clicks"].astype(np.float32))
    clicks[:, 2] = 2 * clicks[:, 2] - 1
    previous = torch.zeros(1, *image.shape[1:])
    with torch.inference_mode():
        embedding = model.encode_image(image)
        for step, expected in enumerate(golden["logits"]):
            logits = model.predict_logits(embedding, clicks[None, : step + 1], previous)
            np.testing.assert_allclose(logits[0].numpy(), expected, atol=LOGIT_TOLERANCE, rtol=0)
            previous = torch.sigmoid(logits)


@pytest.mark.parametrize("n_fusion", [1, 2], ids=["one fusion block", "two fusion blocks"])
def test_every_parameter_of_the_released_size_has_its_place(n_fusion: int, golden_folder: Path) -> None:
    listed = json.loads((golden_folder / "vitb_state_dict.json").read_text())
    shapes = {name: tuple(shape) for name, shape, _ in listed[f"plainvit_base1024_cocolvis_sax{n_fusion}"]}
    config, assumed = config_from_original(Path("vitb.pth"), shapes, {})
    assert config == SegNextConfig() if n_fusion == 2 else config.fusion.depth == 1
    assert {"norm_radius=5.0", "backbone_params.num_heads=12"} <= set(assumed)
    with torch.device("meta"):
        wanted = {name: tuple(tensor.shape) for name, tensor in SegNext(config).state_dict().items()}
    ours = {}
    for name, shape in shapes.items():
        if name not in DROPPED:
            prefix = next(prefix for prefix in PREFIXES if name.startswith(prefix))
            ours[PREFIXES[prefix] + name.removeprefix(prefix)] = shape
    ours["encoder.pos_embed"] = (1, 4096, 768)
    assert ours == wanted


class TestLenience:
    def test_a_list_of_checkpoints_gives_the_first(
        self, original: OriginalMaker, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = original.save([original.checkpoint(), original.checkpoint()])
        assert read_original(path).config.encoder.depth == 2
        assert "holds 2 checkpoints" in caplog.text

    def test_unknown_settings_do_no_harm(self, original: OriginalMaker) -> None:
        params = original.params() | {"with_prev_mask": True, "something_new": {"a": [1]}}
        assert read_original(original.save(original.checkpoint(params))).config.click_radius_px == 3

    def test_another_class_name_does_no_harm(self, original: OriginalMaker) -> None:
        content = original.checkpoint()
        content["config"]["class"] = "os.system"
        read_original(original.save(content))

    def test_missing_settings_are_told_by_shapes_or_named_as_assumed(
        self, original: OriginalMaker, caplog: pytest.LogCaptureFixture
    ) -> None:
        params = original.params(
            backbone_params__embed_dim=None,
            backbone_params__depth=None,
            backbone_params__mlp_ratio=None,
            neck_params=None,
            head_params__in_select_index=None,
            fusion_params__depth=None,
            norm_radius=None,
            norm_mean_std=None,
        )
        with caplog.at_level(logging.WARNING):
            checkpoint = read_original(original.save(original.checkpoint(params)))
        complete = read_original(original.save(original.checkpoint()))
        assert checkpoint.config.encoder == complete.config.encoder
        assert checkpoint.config.decoder == complete.config.decoder
        assert [text.split("=")[0] for text in checkpoint.assumed] == ["norm_radius", "norm_mean_std"]
        assert "does not state norm_radius=5.0" in caplog.text

    def test_no_configuration_at_all_is_read_from_the_shapes(self, original: OriginalMaker) -> None:
        checkpoint = read_original(original.save(original.checkpoint()["state_dict"]))
        assert checkpoint.config.encoder.width == 8
        assert "backbone_params.global_atten_freq=3" in checkpoint.assumed

    def test_names_with_module_in_front_are_understood(self, original: OriginalMaker) -> None:
        content = original.checkpoint()
        content["state_dict"] = {f"module.{name}": tensor for name, tensor in content["state_dict"].items()}
        assert "encoder.pos_embed" in read_original(original.save(content)).state

    def test_half_precision_becomes_float32(self, original: OriginalMaker) -> None:
        content = original.checkpoint()
        content["state_dict"] = {name: tensor.half() for name, tensor in content["state_dict"].items()}
        assert read_original(original.save(content)).state["encoder.pos_embed"].dtype == torch.float32

    @pytest.mark.parametrize("kind", ["naive", None], ids=["naive fusion", "no word on fusion"])
    def test_no_fusion_block_means_the_sum_only(self, original: OriginalMaker, kind: str | None) -> None:
        params = original.params(fusion_params=None) | ({"fusion_params": {"type": kind}} if kind else {})
        path = original.save(original.checkpoint(params, n_fusion=0))
        assert load_model(path, "cpu").config.fusion.depth == 0  # type: ignore[attr-defined]

    def test_head_may_read_some_levels_only(self, original: OriginalMaker) -> None:
        params = original.params(head_params__in_select_index=[1, 3], head_params__in_channels=[6, 12])
        content = original.checkpoint(params)
        state = content["state_dict"]
        for part in ("weight", "bias"):
            state[f"head.convs.0.conv.{part}"] = state.pop(f"head.convs.1.conv.{part}")
            state[f"head.convs.1.conv.{part}"] = state.pop(f"head.convs.3.conv.{part}")
            del state[f"head.convs.2.conv.{part}"]
        state["head.fusion_conv.conv.weight"] = torch.zeros(5, 10, 1, 1)
        assert load_model(original.save(content), "cpu").config.decoder.levels == (1, 3)  # type: ignore[attr-defined]

    def test_distance_maps_and_attention_in_every_block_are_honoured(self, original: OriginalMaker) -> None:
        params = original.params(use_disks=False, backbone_params__global_atten_freq=0)
        config = read_original(original.save(original.checkpoint(params))).config
        assert not config.uses_disks
        assert config.encoder.global_attention_every == 0

    def test_no_bias_in_attention_is_honoured(self, original: OriginalMaker) -> None:
        content = original.checkpoint(original.params(backbone_params__qkv_bias=False))
        for index in range(2):
            del content["state_dict"][f"backbone.blocks.{index}.attn.qkv.bias"]
        assert not load_model(original.save(content), "cpu").config.encoder.qkv_bias  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"backbone_params__depth": 3}, "depth=3.*tensors say 2"),
        ({"backbone_params__depth": 10**12}, "whole number"),
        ({"backbone_params__embed_dim": 16}, "embed_dim=16.*tensors say 8"),
        ({"backbone_params__img_size": (64, 128)}, "64 × 128 px.*16 position embeddings"),
        ({"backbone_params__num_heads": 3}, "num_heads=3, which does not divide the width 8"),
        ({"backbone_params__num_heads": 0}, "num_heads='0'; expected a whole number above 0"),
        ({"backbone_params__mlp_ratio": 2}, "mlp_ratio=2.*tensors say 32"),
        ({"backbone_params__patch_size": (8, 8)}, "patch_size"),
        ({"backbone_params__qkv_bias": False}, "qkv_bias"),
        ({"neck_params__out_dims": [4, 6, 8, 13]}, "out_dims"),
        ({"head_params__in_select_index": [0, 1, 2, 7]}, "levels"),
        ({"head_params__num_classes": 2}, "num_classes=2"),
        ({"fusion_params__type": "cross_attention"}, "'cross_attention'.*'self_attention' or 'naive'"),
        ({"fusion_params__type": "naive"}, "'naive', but it has 1 fusion blocks"),
        ({"fusion_params__type": "magic"}, "'magic'"),
        ({"fusion_params__depth": 2}, "depth=2.*tensors say 1"),
        ({"norm_radius": "wide"}, "norm_radius='wide'"),
        ({"norm_radius": float("nan")}, "norm_radius='nan'"),
        ({"norm_mean_std": ([0.5], [0.5])}, "mean and the spread"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_settings_that_contradict_the_tensors_are_refused(
    changes: dict[str, Any], words: str, original: OriginalMaker
) -> None:
    path = original.save(original.checkpoint(original.params(**changes)))
    with pytest.raises(CheckpointError, match=f"(?s)tiny.pth.*{words}"):
        load_model(path, "cpu")


class TestOtherNetworks:
    @pytest.mark.parametrize(
        ("names", "words"),
        [
            (["conv1.weight", "layer1.0.conv1.weight", "fc.bias"], "a torchvision classifier"),
            (["backbone.cls_token", "patch_embed_coords.proj.weight", "head.conv_seg.weight"], "SimpleClick"),
            (["pretrained.cls_token", "depth_head.projects.0.weight"], "Depth Anything"),
            (["image_encoder.pos_embed", "mask_decoder.iou_token.weight"], "Segment Anything"),
            (["feature_extractor.stem.weight"], "RITM"),
            (["cls_token", "blocks.0.norm1.weight"], "vision transformer"),
            (["something.else"], "no 'visual_prompts_encoder.proj.weight'"),
        ],
    )
    def test_are_refused_by_name(self, names: list[str], words: str, original: OriginalMaker) -> None:
        path = original.save({name: torch.zeros(2) for name in names})
        with pytest.raises(CheckpointError, match=f"{words}.*expected SegNext's"):
            read_original(path)

    def test_unknown_parameter_is_refused(self, original: OriginalMaker) -> None:
        content = original.checkpoint()
        content["state_dict"]["extra.weight"] = torch.zeros(2)
        with pytest.raises(CheckpointError, match=r"unknown parameter 'extra.weight'"):
            read_original(original.save(content))

    def test_left_over_parameter_of_a_known_part_is_refused(self, original: OriginalMaker) -> None:
        content = original.checkpoint()
        content["state_dict"]["backbone.cls_token"] = torch.zeros(1, 1, 8)
        with pytest.raises(CheckpointError, match=r"1 parameters are unknown \(encoder.cls_token\)"):
            load_model(original.save(content), "cpu")

    @pytest.mark.parametrize("name", ["neck.down_8.1.bias", "backbone.pos_embed", "backbone.blocks.1.mlp.fc2.bias"])
    def test_missing_parameter_is_refused(self, name: str, original: OriginalMaker) -> None:
        content = original.checkpoint()
        del content["state_dict"][name]
        with pytest.raises(CheckpointError, match="missing"):
            load_model(original.save(content), "cpu")

    def test_parameter_of_another_shape_is_refused(self, original: OriginalMaker) -> None:
        content = original.checkpoint()
        content["state_dict"]["neck.down_4.1.weight"] = torch.zeros(3)
        with pytest.raises(CheckpointError, match=r"has shape \(3,\); expected \(8,\)"):
            load_model(original.save(content), "cpu")

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_values_that_are_not_finite_are_refused(self, value: float, original: OriginalMaker) -> None:
        content = original.checkpoint()
        content["state_dict"]["head.seg_conv.bias"][0] = value
        with pytest.raises(CheckpointError, match=r"'head.seg_conv.bias' holds values that are not finite"):
            read_original(original.save(content))

    @pytest.mark.parametrize(
        "content",
        [[], {}, [1, 2], "text", 3, None, torch.zeros(3), {"state_dict": None}, {"state_dict": {"a": 1}}],
        ids=lambda value: type(value).__name__,
    )
    def test_other_contents_are_refused(self, content: Any, original: OriginalMaker) -> None:
        with pytest.raises(CheckpointError, match=r"expected|not a dict"):
            read_original(original.save(content))


class Hostile:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self.mark}",))


class TestHostileAndBroken:
    def test_code_in_a_checkpoint_is_not_run(self, original: OriginalMaker, tmp_path: Path) -> None:
        mark = tmp_path / "was run"
        content = original.checkpoint()
        content["config"]["params"]["use_disks"] = Hostile(mark)
        with pytest.raises(CheckpointError, match=r"nothing in it was run.*system"):
            load_model(original.save(content), "cpu")
        assert not mark.exists()

    def test_code_in_a_bare_pickle_is_not_run(self, tmp_path: Path) -> None:
        mark, path = tmp_path / "was run", tmp_path / "bare.pth"
        path.write_bytes(pickle.dumps(Hostile(mark)))
        with pytest.raises(CheckpointError, match="not a whole zip archive"):
            load_model(path, "cpu")
        assert not mark.exists()

    def test_a_whole_module_is_refused(self, original: OriginalMaker) -> None:
        with pytest.raises(CheckpointError, match="Linear"):
            read_original(original.save(torch.nn.Linear(2, 2)))

    def test_tensors_that_claim_more_than_the_file_are_refused(self, original: OriginalMaker) -> None:
        content = original.checkpoint()
        content["state_dict"]["backbone.pos_embed"] = torch.zeros(1).expand(1, 10**9, 10**3)
        with pytest.raises(CheckpointError, match=r"tensors claim .* bytes, but the file has"):
            read_original(original.save(content))

    def test_packed_archive_is_refused_unopened(self, original: OriginalMaker, tmp_path: Path) -> None:
        bomb = tmp_path / "bomb.pth"
        with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("bomb/data.pkl", bytes(20_000_000))
        with pytest.raises(CheckpointError, match="unpack to 20000000 bytes"):
            read_original(bomb)

    def test_archive_of_other_things_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "other.pth"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "hello")
        with pytest.raises(CheckpointError, match=r"without data\.pkl"):
            read_original(path)

    @pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99, 0.999])
    def test_cut_file_is_refused(self, share: float, original: OriginalMaker) -> None:
        path = original.save(original.checkpoint())
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
        with pytest.raises(CheckpointError, match="not a whole zip archive"):
            load_model(path, "cpu")

    def test_damaged_bytes_load_or_are_refused_in_one_way(self, original: OriginalMaker) -> None:
        path = original.save(original.checkpoint())
        whole = path.read_bytes()
        start = whole.index(b"data.pkl")
        generator = np.random.default_rng(0)
        n_refused = 0
        for position in generator.integers(start, start + 6000, size=150):
            path.write_bytes(whole[:position] + bytes([generator.integers(256)]) + whole[position + 1 :])
            try:
                load_model(path, "cpu")
            except CheckpointError:
                n_refused += 1
        assert n_refused > 20

    def test_absent_file_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"no weights file .*absent\.pth"):
            load_model(tmp_path / "absent.pth")
