from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_segnext.weights import DownloadError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    Cli = Callable[..., Result]


class TestList:
    def test_has_a_line_for_each_model_with_state_and_size(self, cli: Cli) -> None:
        lines = cli("models", "list").stdout.splitlines()
        assert [line.split()[0] for line in lines] == [
            "segnext-tiny",
            "segnext-tiny-light",
            "ois-tiny",
            "segnext-vitb-sax1",
            "segnext-vitb-sax2",
            "segnext-vitb-sax2-hq",
            "depth-anything-v2-small",
            "depth-anything-v2-base",
            "depth-anything-v2-large",
        ]
        assert "interactive  not downloaded   427 MB" in lines[3]
        assert "depth        not downloaded    99 MB" in lines[6]


class TestInfo:
    def test_of_a_model_to_download_has_licence_and_citation(self, cli: Cli) -> None:
        said = cli("models", "info", "segnext-vitb-sax2-hq").stdout
        assert "https://drive.google.com/" in said
        assert "CC BY-NC 4.0" in said and "arXiv:2404.00741" in said and "455.2 MB" in said

    def test_of_a_depth_network_says_so_and_names_its_licence(self, cli: Cli) -> None:
        said = cli("models", "info", "depth-anything-v2-base").stdout
        assert "kind:           depth" in said
        assert "CC-BY-NC-4.0" in said and "arXiv:2406.09414" in said and "390.0 MB" in said
        assert "https://huggingface.co/depth-anything/Depth-Anything-V2-Base/blob/main/" in said

    def test_of_an_imported_model_has_hash_and_card(self, cli: Cli, tiny_model: Path) -> None:
        cli("models", "import", tiny_model, "--name", "mine")
        said = cli("models", "info", "mine").stdout
        assert "sha256:" in said and "# A tiny model" in said and "BSD-3-Clause" in said


class TestImport:
    def test_model_is_listed_afterwards(self, cli: Cli, tiny_model: Path, home: Path) -> None:
        done = cli("models", "import", tiny_model, "--name", "mine")
        assert done.exit_code == 0
        assert f"wrote {home / 'weights' / 'mine.safetensors'}; use it with: --model mine" in done.stdout
        assert "mine" in cli("models", "list").stdout

    def test_second_import_needs_overwrite(self, cli: Cli, tiny_model: Path) -> None:
        assert cli("models", "import", tiny_model).exit_code == 0
        assert cli("models", "import", tiny_model).exit_code == 2
        assert cli("models", "import", tiny_model, "--overwrite").exit_code == 0

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("broken.pth", b"nothing", "not a whole zip archive"),
            ("broken.safetensors", b"nothing", "not a whole safetensors file"),
            ("model.onnx", b"", "ends in '.onnx'"),
        ],
    )
    def test_broken_file_is_one_line(self, name: str, content: bytes, words: str, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(content)
        done = cli("models", "import", tmp_path / name)
        assert done.exit_code == 2
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1

    def test_original_checkpoint_is_imported(self, cli: Cli, golden_folder: Path, home: Path) -> None:
        done = cli("models", "import", golden_folder / "tiny_sax1.pth", "--name", "segnext-vitb-sax1")
        assert done.exit_code == 0, done.output
        assert "installed" in cli("models", "list").stdout


class TestDownload:
    def test_size_and_licence_stand_before_the_question(self, cli: Cli) -> None:
        done = cli("models", "download", "segnext-vitb-sax1", keys="n\n")
        assert done.exit_code == 0
        assert done.stdout.index("427 MB") < done.stdout.index("CC BY-NC 4.0") < done.stdout.index("Download it?")
        assert "nothing was downloaded" in done.stdout

    @pytest.mark.parametrize(
        ("size", "licence"), [("small", "Apache-2.0"), ("base", "CC-BY-NC-4.0"), ("large", "CC-BY-NC-4.0")]
    )
    def test_licence_of_a_depth_network_stands_before_the_question(self, size: str, licence: str, cli: Cli) -> None:
        done = cli("models", "download", f"depth-anything-v2-{size}", keys="n\n")
        assert done.stdout.index(f"licence: {licence}") < done.stdout.index("Download it?")

    def test_without_anybody_to_answer_it_tells_of_yes(self, cli: Cli) -> None:
        done = cli("models", "download", "segnext-vitb-sax1")
        assert done.exit_code == 2
        assert "--yes" in done.stderr

    def test_model_that_is_there_is_not_fetched(self, cli: Cli) -> None:
        assert "is here already" in cli("models", "download", "segnext-tiny").stdout

    def test_failure_tells_the_way_by_hand(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        from napari_segnext.weights import download, registry

        monkeypatch.setattr(registry.ModelEntry, "url", property(lambda entry: "http://127.0.0.1:9/x"))
        monkeypatch.setattr(download.time, "sleep", lambda _: None)
        done = cli("models", "download", "segnext-vitb-sax1", "--yes")
        assert done.exit_code == 2
        assert "models import FILE --name segnext-vitb-sax1" in done.stderr

    def test_ctrl_c_tells_how_to_go_on(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        import napari_segnext.weights as weights

        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(weights, "download_model", interrupted)
        done = cli("models", "download", "segnext-vitb-sax1", "--yes")
        assert done.exit_code == 130
        assert "go on with: napari-segnext models download segnext-vitb-sax1" in done.stderr

    def test_success_tells_where_the_file_is(self, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import napari_segnext.weights as weights

        monkeypatch.setattr(weights, "download_model", lambda name, report: tmp_path / "x.safetensors")
        assert f"wrote {tmp_path / 'x.safetensors'}" in cli("models", "download", "segnext-vitb-sax1", "-y").stdout

    def test_download_error_is_an_error_of_the_world(self) -> None:
        assert issubclass(DownloadError, OSError)
