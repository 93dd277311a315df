from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import replace
from pathlib import Path  # noqa: TC003
from typing import TYPE_CHECKING, Any

import pytest
import torch

from napari_segnext import load_model
from napari_segnext.errors import CheckpointError, WeightsHashError
from napari_segnext.models.depth_anything import DepthAnything
from napari_segnext.models.depth_config import DepthAnythingConfig
from napari_segnext.weights import (
    DownloadError,
    delete_model,
    depth_anything,
    download,
    download_model,
    find_weights,
    import_model,
    list_models,
    load,
    load_depth_model,
    model_info,
    read_weights_header,
    registry,
    save_weights,
)
from napari_segnext.weights.depth_anything import DROPPED, PREFIXES, read_depth_anything

if TYPE_CHECKING:
    from tests.file_server import Behaviour
    from tests.weights.conftest import OriginalMaker

NAME = "depth-anything-v2-small"
FILE = "depth_anything_v2_vits.pth"
CONFIG = DepthAnythingConfig(
    table_side=3,
    width=12,
    depth=4,
    n_heads=2,
    blocks_taken=(0, 1, 2, 3),
    features=4,
    reassembled_widths=(2, 3, 4, 5),
)


def original_state(seed: int = 0, config: DepthAnythingConfig = CONFIG) -> dict[str, torch.Tensor]:
    """Random tensors under the original's names, with those that it never applies."""
    torch.manual_seed(seed)
    state = {original_name(name): tensor for name, tensor in DepthAnything(config).state_dict().items()}
    state["pretrained.mask_token"] = torch.randn(1, config.width)
    for name in DROPPED[1:]:
        shape = (config.features,) * 2 + (3, 3) if name.endswith("weight") else (config.features,)
        state[name] = torch.randn(shape)
    return state


def original_name(name: str) -> str:
    theirs, ours = next((theirs, ours) for theirs, ours in PREFIXES.items() if name.startswith(ours))
    return theirs + name.removeprefix(ours)


def saved(folder: Path, name: str = "mine.pth", state: Any = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(original_state() if state is None else state, folder / name)
    return folder / name


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny file that is the published small one as far as registry and sizes can tell."""
    path = saved(tmp_path / "published", FILE)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    entries = tuple(replace(entry, sha256=sha256) if entry.name == NAME else entry for entry in registry.ENTRIES)
    for module in (registry, load, depth_anything):
        monkeypatch.setattr(module, "ENTRIES", entries)
    monkeypatch.setitem(depth_anything.PUBLISHED, NAME, CONFIG)
    return path


class TestRead:
    def test_every_parameter_comes_under_our_name_or_is_dropped(self, tmp_path: Path) -> None:
        state = original_state()
        checkpoint = read_depth_anything(saved(tmp_path, state=state), CONFIG)
        assert set(checkpoint.dropped) == set(DROPPED)
        assert len(checkpoint.state) + len(DROPPED) == len(state)
        for name, tensor in checkpoint.state.items():
            assert torch.equal(tensor, state[original_name(name)])

    def test_loaded_model_estimates_as_the_one_that_was_saved(self, tmp_path: Path) -> None:
        path = saved(tmp_path)
        torch.manual_seed(0)
        wanted, found = DepthAnything(CONFIG).eval(), load_depth_model(path, "cpu", config=CONFIG)
        image = torch.rand(3, 20, 30)
        with torch.inference_mode():
            assert torch.equal(found.estimate_depth(image, 42), wanted.estimate_depth(image, 42))
        assert not found.training and not any(parameter.requires_grad for parameter in found.parameters())
        assert found.identity.name == "mine" and len(found.identity.sha256) == 64

    def test_size_is_told_by_width_and_number_of_blocks(self, published: Path) -> None:
        checkpoint = read_depth_anything(published)
        assert checkpoint.config == CONFIG
        assert checkpoint.published is not None and checkpoint.published.name == NAME

    def test_other_sizes_must_be_stated(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match=r"width 12 and 4 blocks; expected .*384 and 12.*config="):
            load_depth_model(saved(tmp_path), "cpu")

    def test_stated_sizes_must_be_those_of_the_tensors(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match=r"has shape \(1, 1, 12\); expected \(1, 1, 24\)"):
            load_depth_model(saved(tmp_path), "cpu", config=replace(CONFIG, width=24))

    def test_missing_parameter_is_named(self, tmp_path: Path) -> None:
        state = original_state()
        del state["depth_head.scratch.layer2_rn.weight"]
        with pytest.raises(CheckpointError, match=r"missing \(decoder.narrowings.1.weight\).*Depth Anything V2 model"):
            load_depth_model(saved(tmp_path, state=state), "cpu", config=CONFIG)

    def test_wrong_shape_is_named(self, tmp_path: Path) -> None:
        state = original_state() | {"pretrained.norm.bias": torch.zeros(13)}
        with pytest.raises(CheckpointError, match=r"'encoder.norm.bias' has shape \(13,\); expected \(12,\)"):
            load_depth_model(saved(tmp_path, state=state), "cpu", config=CONFIG)

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("head.weight", "unknown parameter 'head.weight'"),
            ("pretrained.register_tokens", r"1 parameters are unknown \(encoder.register_tokens\)"),
            ("depth_head.scratch.stem_transpose.bias", "unknown parameter"),
        ],
    )
    def test_unknown_parameter_is_named(self, name: str, words: str, tmp_path: Path) -> None:
        path = saved(tmp_path, state=original_state() | {name: torch.zeros(2)})
        with pytest.raises(CheckpointError, match=words):
            load_depth_model(path, "cpu", config=CONFIG)

    def test_values_that_are_not_finite_are_refused(self, tmp_path: Path) -> None:
        state = original_state() | {"pretrained.norm.bias": torch.full((12,), float("inf"))}
        with pytest.raises(CheckpointError, match=r"'pretrained.norm.bias' holds values that are not finite"):
            load_depth_model(saved(tmp_path, state=state), "cpu", config=CONFIG)

    @pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
    def test_truncated_file_is_refused(self, share: float, tmp_path: Path) -> None:
        path = saved(tmp_path)
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        with pytest.raises(CheckpointError, match="not a whole zip archive"):
            load_depth_model(path, "cpu", config=CONFIG)

    def test_code_in_a_file_is_never_run(self, tmp_path: Path) -> None:
        class Evil:
            def __reduce__(self) -> Any:
                return os.system, (f"touch {tmp_path / 'evil'}",)

        state = original_state() | {"pretrained.evil": Evil()}
        with pytest.raises(CheckpointError, match="nothing in it was run"):
            load_depth_model(saved(tmp_path, state=state), "cpu", config=CONFIG)
        assert not (tmp_path / "evil").exists()

    def test_file_of_segnext_is_refused(self, original: OriginalMaker) -> None:
        with pytest.raises(CheckpointError, match=r"unknown parameter.*expected Depth Anything's"):
            load_depth_model(original.save(original.checkpoint()), "cpu")


class TestOtherVariants:
    @pytest.mark.parametrize(
        "name",
        [
            "depth_anything_v2_metric_hypersim_vits.pth",
            "depth_anything_v2_metric_vkitti_vitl.pth",
            "Depth-Anything-V2-Metric-Small.pth",
            "my_vkitti.pth",
        ],
    )
    def test_metric_ones_are_refused_by_name(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match="metric variant of Depth Anything"):
            load_depth_model(saved(tmp_path, name), "cpu", config=CONFIG)

    @pytest.mark.parametrize(
        "name", ["depth_anything_vits14.pth", "depth_anything_vitb14.pth", "Depth-Anything-ViTL14.pth"]
    )
    def test_first_version_is_refused_by_name(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match="first version of Depth Anything"):
            load_depth_model(saved(tmp_path, name), "cpu", config=CONFIG)

    def test_import_refuses_them_too(self, tmp_path: Path, home: Path) -> None:
        with pytest.raises(CheckpointError, match="metric variant"):
            import_model(saved(tmp_path, "depth_anything_v2_metric_vkitti_vits.pth"), "mine")
        assert not home.exists()

    @pytest.mark.parametrize("name", ["finetuned.pth", FILE])
    def test_file_that_nobody_can_tell_loads_with_a_warning(
        self, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            load_depth_model(saved(tmp_path, name), "cpu", config=CONFIG)
        (record,) = caplog.records
        assert "none of the three published files" in record.getMessage()

    @pytest.mark.parametrize("name", [FILE, "depth_anything_v2_metric_vkitti_vits.pth"])
    def test_published_file_is_known_under_any_name_without_a_warning(
        self, name: str, published: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            model = load_depth_model(published.rename(published.with_name(name)), "cpu")
        assert model.identity.licence == "Apache-2.0"
        assert caplog.records == []


class TestOurFile:
    def test_keeps_weights_and_config_exactly(self, tmp_path: Path) -> None:
        torch.manual_seed(1)
        model = DepthAnything(CONFIG).eval()
        path = save_weights(tmp_path / "mine.safetensors", model, name="mine", licence="MIT", dtype="float32")
        header = read_weights_header(path)
        assert header.family.name == "depth-anything-v2" and header.config == CONFIG
        found = load_depth_model(path, "cpu")
        for name, tensor in model.state_dict().items():
            assert torch.equal(found.state_dict()[name], tensor)
        assert found.identity.licence == "MIT"

    def test_states_its_family_in_the_header(self, tmp_path: Path) -> None:
        from safetensors import safe_open

        path = save_weights(tmp_path / "mine.safetensors", DepthAnything(CONFIG), name="mine")
        with safe_open(str(path), "pt") as file:
            metadata = file.metadata()
        assert metadata["architecture"] == "depth-anything-v2"
        assert json.loads(metadata["config"])["blocks_taken"] == [0, 1, 2, 3]

    @pytest.mark.parametrize(
        "changes", [{"depth": 10**6}, {"width": 10**9}, {"table_side": 10**5}, {"features": 10**8}, {"patch_px": 0}]
    )
    def test_that_claims_too_much_is_refused(self, changes: dict[str, int], tmp_path: Path) -> None:
        from napari_segnext.weights import WeightsHeader, write_weights

        header = WeightsHeader("mine", replace(CONFIG, **changes))
        path = write_weights(tmp_path / "mine.safetensors", {"a": torch.zeros(1)}, header)
        with pytest.raises(CheckpointError, match="does not fit its 1 tensors"):
            load_depth_model(path, "cpu")

    def test_of_segnext_is_refused(self) -> None:
        with pytest.raises(CheckpointError, match="holds a SegNext model, which answers prompts"):
            load_depth_model(model_info("segnext-tiny").path, "cpu")


class TestRegistry:
    def test_three_depth_networks_have_licence_size_and_hash(self) -> None:
        found = {entry.name: entry for entry in registry.ENTRIES if entry.kind == "depth"}
        assert list(found) == list(depth_anything.PUBLISHED)
        assert [entry.licence for entry in found.values()] == ["Apache-2.0", "CC-BY-NC-4.0", "CC-BY-NC-4.0"]
        for entry in found.values():
            assert entry.sha256 is not None and len(entry.sha256) == 64
            assert entry.url.endswith(f"/resolve/main/{entry.file_name}")
            assert "2406.09414" in entry.citation

    def test_models_are_listed_by_kind(self, published: Path) -> None:
        import_model(published, "mine")
        depth, interactive = list_models("depth"), list_models("interactive")
        assert [info.name for info in depth] == [*depth_anything.PUBLISHED, "mine"]
        assert {*depth, *interactive} == {*list_models()}
        assert "segnext-tiny" in [info.name for info in interactive]

    def test_depth_network_is_no_interactive_model(self) -> None:
        with pytest.raises(ValueError, match=f"'{NAME}' cannot answer prompts: it is a depth network, which OIS"):
            load_model(NAME)
        with pytest.raises(ValueError, match="depth network"):
            find_weights(NAME)

    def test_nor_is_its_file_or_its_own_name(self, published: Path) -> None:
        with pytest.raises(CheckpointError, match="depth network, which OIS"):
            load_model(published)
        with pytest.raises(CheckpointError, match="depth network, which OIS"):
            load_model(import_model(published, "mine"))
        with pytest.raises(CheckpointError, match="depth network, which OIS"):
            load_model("mine")

    def test_interactive_model_is_no_depth_network(self) -> None:
        with pytest.raises(ValueError, match=rf"'segnext-tiny' is a SegNext model.*one of {NAME}"):
            load_depth_model("segnext-tiny")

    def test_unknown_name_gives_the_depth_networks_alone(self) -> None:
        with pytest.raises(ValueError, match=rf"no model 'depth-small'; expected one of {NAME}.*Did you mean"):
            load_depth_model("depth-small")

    def test_one_that_is_not_there_tells_the_command(self) -> None:
        with pytest.raises(FileNotFoundError, match=f"99 MB.*napari-segnext models download {NAME}"):
            load_depth_model(NAME)


class TestImport:
    def test_published_file_gets_its_licence_under_any_name(self, published: Path) -> None:
        header = read_weights_header(import_model(published, "mine"))
        assert header.licence == "Apache-2.0"
        assert header.provenance["source_file"] == FILE
        assert set(header.provenance["dropped"]) == set(DROPPED)
        assert model_info("mine").kind == "depth"

    def test_imported_one_estimates_what_the_file_does(self, published: Path) -> None:
        import_model(published, NAME)
        direct, imported = load_depth_model(published, "cpu"), load_depth_model(NAME, "cpu")
        for name, tensor in direct.state_dict().items():
            assert torch.equal(tensor, imported.state_dict()[name])
        assert model_info(NAME).state == "installed"

    def test_name_of_another_size_is_refused(self, published: Path, home: Path) -> None:
        with pytest.raises(CheckpointError, match="expected 'depth-anything-v2-large'"):
            import_model(published, "depth-anything-v2-large")
        assert not home.exists()

    def test_name_of_another_family_is_refused(self, published: Path, original: OriginalMaker) -> None:
        with pytest.raises(CheckpointError, match=r"holds a Depth Anything V2 model.*expected 'segnext-vitb-sax1'"):
            import_model(published, "segnext-vitb-sax1")
        with pytest.raises(CheckpointError, match=f"holds a SegNext model.*expected '{NAME}'"):
            import_model(original.save(original.checkpoint()), NAME)


class TestDownload:
    @pytest.fixture(autouse=True)
    def short_pauses(self, server: Behaviour, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry.ModelEntry, "url", property(lambda entry: server.url))
        monkeypatch.setattr(download, "_pause", lambda pause_s, is_wanted: None)

    def test_ends_in_a_model_that_loads_and_can_be_deleted(
        self, published: Path, server: Behaviour, home: Path
    ) -> None:
        server.content = published.read_bytes()
        path = download_model(NAME)
        assert path == home / "weights" / f"{NAME}.safetensors"
        assert load_depth_model(NAME, "cpu").identity.licence == "Apache-2.0"
        delete_model(NAME)
        assert not any(file.is_file() for file in home.rglob("*"))

    def test_other_bytes_are_refused_by_their_hash(self, published: Path, server: Behaviour, home: Path) -> None:
        server.content = saved(published.parent, "other.pth", original_state(seed=1)).read_bytes()
        with pytest.raises(WeightsHashError):
            download_model(NAME)
        assert not any(file.is_file() for file in home.rglob("*"))

    def test_failure_tells_the_page_and_the_name(self, server: Behaviour) -> None:
        server.status = 404
        with pytest.raises(DownloadError, match=rf"open https://huggingface.co/.*/blob/main/{FILE}.*--name {NAME}"):
            download_model(NAME)


@pytest.mark.skipif(
    not os.environ.get("NAPARI_SEGNEXT_FULL_SIZE"),
    reason="takes some seconds and 99 MB of disk; set NAPARI_SEGNEXT_FULL_SIZE=1",
)
def test_checkpoint_of_the_published_small_size_loads_every_key_and_estimates(
    golden_folder: Path, tmp_path: Path
) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = json.loads((golden_folder / "depth_anything_v2_state_dict.json").read_text())["vits"]
    state = {name: 0.02 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    model = load_depth_model(saved(tmp_path, FILE, state), "cpu")
    with torch.inference_mode():
        depth = model.estimate_depth(torch.rand(3, 100, 150))
    assert depth.shape == (100, 150) and torch.isfinite(depth).all()
