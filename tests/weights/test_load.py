from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from napari_segnext import load_model
from napari_segnext.errors import CheckpointError
from napari_segnext.weights import find_device, import_model, list_models, model_info, read_weights_header
from napari_segnext.weights.registry import ENTRIES

if TYPE_CHECKING:
    from tests.weights.conftest import OriginalMaker


class TestImport:
    def test_imported_model_is_found_by_name_and_answers_the_same(self, original: OriginalMaker, home: Path) -> None:
        path = original.save(original.checkpoint())
        target = import_model(path, "my-model")
        assert target == home / "weights" / "my-model.safetensors"
        direct, imported = load_model(path, "cpu"), load_model("my-model", "cpu")
        assert isinstance(direct, torch.nn.Module) and isinstance(imported, torch.nn.Module)
        for name, tensor in direct.state_dict().items():
            assert torch.equal(tensor, imported.state_dict()[name])
        assert imported.identity.name == "my-model"

    def test_name_is_the_stem_of_the_file_unless_given(self, original: OriginalMaker) -> None:
        assert import_model(original.save(original.checkpoint(), "their_model.pth")).stem == "their_model"

    def test_licence_and_provenance_of_a_released_model_are_kept(self, original: OriginalMaker) -> None:
        import_model(original.save(original.checkpoint()), "segnext-vitb-sax1")
        header = model_info("segnext-vitb-sax1").read_header()
        assert "CC BY-NC 4.0" in header.licence
        assert header.provenance["source_file"] == "tiny.pth"
        assert header.provenance["dropped"] == ["backbone.fc_norm.weight", "backbone.fc_norm.bias"]
        assert len(header.provenance["source_sha256"]) == 64

    def test_our_own_file_can_be_imported_again(self, original: OriginalMaker) -> None:
        first = import_model(original.save(original.checkpoint()), "first")
        second = import_model(first, "second")
        assert read_weights_header(second).config == read_weights_header(first).config

    def test_existing_name_is_kept_unless_told_otherwise(self, original: OriginalMaker) -> None:
        path = original.save(original.checkpoint())
        import_model(path, "mine")
        with pytest.raises(FileExistsError, match="there is a model 'mine' already"):
            import_model(path, "mine")
        import_model(path, "mine", overwrite=True)

    @pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden", "two words", "x" * 101, "a\n"])
    def test_names_that_are_no_plain_file_names_are_refused(self, name: str, original: OriginalMaker) -> None:
        path = original.save(original.checkpoint())
        with pytest.raises(ValueError, match="cannot be the name of a model"):
            import_model(path, name)

    def test_name_of_the_bundled_model_is_refused(self, original: OriginalMaker) -> None:
        with pytest.raises(ValueError, match="comes with the package"):
            import_model(original.save(original.checkpoint()), "segnext-tiny")

    def test_broken_file_leaves_nothing_behind(self, original: OriginalMaker, home: Path) -> None:
        content = original.checkpoint()
        del content["state_dict"]["neck.down_8.1.bias"]
        with pytest.raises(CheckpointError, match="missing"):
            import_model(original.save(content), "broken")
        assert not home.exists()


class TestNames:
    def test_list_has_the_registry_and_then_the_users_own(self, original: OriginalMaker) -> None:
        import_model(original.save(original.checkpoint()), "zebra")
        assert [info.name for info in list_models()] == [*(entry.name for entry in ENTRIES), "zebra"]

    def test_states_tell_what_is_ready(self, original: OriginalMaker) -> None:
        import_model(original.save(original.checkpoint()), "segnext-vitb-sax2")
        states = {info.name: info.state for info in list_models()}
        assert states["segnext-tiny"] == "bundled"
        assert states["segnext-vitb-sax1"] == "not downloaded"
        assert states["segnext-vitb-sax2"] == "installed"

    def test_broken_file_of_the_user_is_listed_with_its_fault(self, home: Path) -> None:
        (home / "weights").mkdir(parents=True)
        (home / "weights" / "bad.safetensors").write_bytes(b"nothing")
        assert "cannot be read" in model_info("bad").description

    def test_unknown_name_gives_all_names_and_the_closest(self) -> None:
        with pytest.raises(
            ValueError, match=r"no model 'segnext-tyni'.*segnext-vitb-sax1.*Did you mean 'segnext-tiny'"
        ):
            load_model("segnext-tyni")
        with pytest.raises(ValueError, match="no model 'unet'"):
            model_info("unet")

    def test_model_that_is_not_downloaded_tells_the_command(self) -> None:
        with pytest.raises(FileNotFoundError, match="napari-segnext models download segnext-vitb-sax2-hq"):
            load_model("segnext-vitb-sax2-hq")

    def test_absent_path_is_told(self) -> None:
        with pytest.raises(FileNotFoundError, match=r"no weights file 'nowhere/x\.pth'"):
            load_model("nowhere/x.pth")

    def test_other_suffix_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"ends in '\.onnx'; expected"):
            load_model(tmp_path / "x.onnx")

    def test_every_entry_states_licence_and_citation(self) -> None:
        for entry in ENTRIES:
            assert entry.licence and entry.citation and entry.description
            assert entry.is_bundled or (entry.url.startswith("https://") and entry.n_bytes > 9e7)


class TestDevice:
    def test_auto_prefers_cuda(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        assert find_device("auto").type == "cuda"

    def test_auto_takes_mps_before_the_cpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
        assert find_device("auto").type == "mps"

    def test_auto_ends_at_the_cpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        assert find_device("auto") == torch.device("cpu")

    @pytest.mark.parametrize("device", ["cuda", "cuda:0", "mps", "xpu", "meta"])
    def test_absent_device_is_refused(self, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        with pytest.raises(ValueError, match=f"device is '{device}'.*Use 'auto' or 'cpu'"):
            find_device(device)

    def test_card_beyond_the_last_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        assert find_device("cuda:1").index == 1
        with pytest.raises(ValueError, match="finds 2 of the kind 'cuda'"):
            find_device("cuda:2")

    @pytest.mark.parametrize("device", ["gpu", "", "cpu:x"])
    def test_unknown_device_is_refused(self, device: Any) -> None:
        with pytest.raises(ValueError, match="expected 'auto', 'cpu'"):
            find_device(device)


class TestFolder:
    def test_follows_the_variable(self, home: Path) -> None:
        assert model_info("segnext-vitb-sax1").path.parent == home / "weights"

    @pytest.mark.parametrize(
        ("platform", "variables", "expected"),
        [
            ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/napari-segnext/weights"),
            ("linux", {}, "/home/me/.cache/napari-segnext/weights"),
            ("darwin", {}, "/home/me/Library/Caches/napari-segnext/weights"),
            ("win32", {"LOCALAPPDATA": "/l"}, "/l/napari-segnext/weights"),
            ("win32", {}, "/home/me/AppData/Local/napari-segnext/weights"),
        ],
    )
    def test_is_the_cache_of_the_system(
        self, platform: str, variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import sys

        from napari_segnext.weights import weights_folder

        for name in ("NAPARI_SEGNEXT_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.setattr(Path, "home", classmethod(lambda cls: Path("/home/me")))
        assert weights_folder().as_posix() == expected


@pytest.mark.parametrize("name", ["segnext-tiny", "segnext-tiny-light", "ois-tiny"])
def test_registry_and_bundled_file_state_the_same_licence(name: str) -> None:
    info = model_info(name)
    if not info.path.is_file():
        pytest.skip("the bundled model is not in this checkout")
    assert info.licence == info.read_header().licence
