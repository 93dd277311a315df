"""Against a server of our own on 127.0.0.1 that can be told to misbehave; nothing leaves the machine."""

from __future__ import annotations

import hashlib
import re
import threading
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path  # noqa: TC003
from typing import TYPE_CHECKING, Any

import pytest

from napari_segnext import load_model
from napari_segnext.errors import CheckpointError, WeightsHashError
from napari_segnext.weights import DownloadCancelled, DownloadError, download, download_model, registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.weights.conftest import OriginalMaker

PIECE = download.CHUNK_BYTES
CONTENT = bytes(range(256)) * 4000


@dataclass
class Behaviour:
    """What the server does, and what it was asked."""

    content: bytes = CONTENT
    etag: str = '"one"'
    knows_ranges: bool = True
    cuts_after: list[int] = field(default_factory=list)
    status: int = 200
    kind: str = "application/octet-stream"
    says_length: bool = True
    wrong_start: int = 0
    asked: list[str] = field(default_factory=list)
    url: str = ""


def handler_of(behaviour: Behaviour) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            behaviour.asked.append(wanted)
            if behaviour.status >= 400:
                self.send_error(behaviour.status)
                return
            start = int(match.group(1)) if (match := re.fullmatch(r"bytes=(\d+)-", wanted)) else 0
            is_same = self.headers.get("If-Range", behaviour.etag) == behaviour.etag
            if not (behaviour.knows_ranges and wanted and is_same):
                start = 0
            whole = behaviour.content
            if start and start >= len(whole):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(whole)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                first = start + behaviour.wrong_start
                self.send_header("Content-Range", f"bytes {first}-{len(whole) - 1}/{len(whole)}")
            self.send_header("Content-Type", behaviour.kind)
            if behaviour.etag:
                self.send_header("ETag", behaviour.etag)
            if behaviour.says_length:
                self.send_header("Content-Length", str(len(whole) - start))
            self.end_headers()
            rest = whole[start:]
            if behaviour.cuts_after:
                rest = rest[: behaviour.cuts_after.pop(0)]
            self.wfile.write(rest)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@pytest.fixture
def server() -> Iterator[Behaviour]:
    behaviour = Behaviour()
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(behaviour))
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    behaviour.url = f"http://127.0.0.1:{http.server_address[1]}/weights.pth"
    yield behaviour
    http.shutdown()
    thread.join()
    http.server_close()


def fetched(server: Behaviour, folder: Path, **options: Any) -> Path:
    return download.download_file(server.url, folder / "weights.pth", pause_s=0.01, **options)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestFile:
    def test_comes_whole_and_leaves_nothing_beside_it(self, server: Behaviour, tmp_path: Path) -> None:
        reports: list[tuple[int, int | None]] = []
        path = fetched(server, tmp_path, report=lambda done, total: reports.append((done, total)))
        assert path.read_bytes() == CONTENT
        assert names(tmp_path) == ["weights.pth"]
        assert reports[-1] == (len(CONTENT), len(CONTENT))

    def test_cut_connections_are_taken_up_where_they_broke(self, server: Behaviour, tmp_path: Path) -> None:
        server.cuts_after = [4 * PIECE, 2 * PIECE]
        assert fetched(server, tmp_path).read_bytes() == CONTENT
        assert server.asked == ["", f"bytes={4 * PIECE}-", f"bytes={6 * PIECE}-"]

    def test_later_call_goes_on_from_what_an_earlier_one_left(self, server: Behaviour, tmp_path: Path) -> None:
        server.cuts_after = [PIECE] * download.N_ATTEMPTS
        with pytest.raises(
            DownloadError, match=f"{5 * PIECE} bytes came .* run the same command again: it goes on from there"
        ):
            fetched(server, tmp_path)
        assert names(tmp_path) == ["weights.pth.part", "weights.pth.part.json"]
        server.asked.clear()
        assert fetched(server, tmp_path).read_bytes() == CONTENT
        assert server.asked == [f"bytes={5 * PIECE}-"]

    def test_cancelled_download_is_kept_and_never_taken_for_whole(self, server: Behaviour, tmp_path: Path) -> None:
        with pytest.raises(DownloadCancelled):
            fetched(server, tmp_path, is_wanted=lambda: False)
        assert "weights.pth" not in names(tmp_path)
        assert fetched(server, tmp_path).read_bytes() == CONTENT

    def test_file_that_changed_on_the_server_is_fetched_anew(self, server: Behaviour, tmp_path: Path) -> None:
        server.cuts_after = [PIECE] * download.N_ATTEMPTS
        with pytest.raises(DownloadError):
            fetched(server, tmp_path)
        server.content, server.etag = CONTENT[::-1], '"two"'
        assert fetched(server, tmp_path).read_bytes() == CONTENT[::-1]

    def test_server_without_ranges_sends_all_again(self, server: Behaviour, tmp_path: Path) -> None:
        server.knows_ranges, server.cuts_after = False, [4 * PIECE]
        assert fetched(server, tmp_path).read_bytes() == CONTENT

    def test_server_that_answers_another_range_is_not_believed(self, server: Behaviour, tmp_path: Path) -> None:
        server.wrong_start, server.cuts_after = 7, [4 * PIECE]
        assert fetched(server, tmp_path).read_bytes() == CONTENT

    def test_server_without_any_validator_resumes_by_size(self, server: Behaviour, tmp_path: Path) -> None:
        server.etag, server.cuts_after = "", [4 * PIECE]
        assert fetched(server, tmp_path).read_bytes() == CONTENT
        assert server.asked == ["", f"bytes={4 * PIECE}-"]

    def test_part_that_is_longer_than_the_file_is_thrown_away(self, server: Behaviour, tmp_path: Path) -> None:
        server.cuts_after = [PIECE] * download.N_ATTEMPTS
        with pytest.raises(DownloadError):
            fetched(server, tmp_path)
        (tmp_path / "weights.pth.part").write_bytes(bytes(len(CONTENT) + 5))
        assert fetched(server, tmp_path).read_bytes() == CONTENT

    @pytest.mark.parametrize("note", ["", "{}", "[]", '{"url": 3}'])
    def test_part_with_a_broken_note_is_thrown_away(self, note: str, server: Behaviour, tmp_path: Path) -> None:
        (tmp_path / "weights.pth.part").write_bytes(b"something else")
        (tmp_path / "weights.pth.part.json").write_text(note)
        assert fetched(server, tmp_path).read_bytes() == CONTENT

    def test_unknown_length_is_left_to_the_checks(self, server: Behaviour, tmp_path: Path) -> None:
        server.says_length = False
        assert fetched(server, tmp_path).read_bytes() == CONTENT

    def test_right_hash_passes_and_wrong_hash_removes_the_file(self, server: Behaviour, tmp_path: Path) -> None:
        with pytest.raises(WeightsHashError, match="expected 0000"):
            fetched(server, tmp_path, sha256="0" * 64)
        assert names(tmp_path) == []
        fetched(server, tmp_path, sha256=hashlib.sha256(CONTENT).hexdigest())

    def test_file_that_fails_its_check_is_removed(self, server: Behaviour, tmp_path: Path) -> None:
        def refuse(part: Path) -> None:
            raise CheckpointError(part, "it is odd", "Take another.")

        with pytest.raises(CheckpointError, match="it is odd"):
            fetched(server, tmp_path, check=refuse)
        assert names(tmp_path) == []

    def test_web_page_in_place_of_the_file_is_refused(self, server: Behaviour, tmp_path: Path) -> None:
        server.kind, server.content = "text/html; charset=utf-8", b"<html>Quota exceeded</html>"
        with pytest.raises(DownloadError, match="a web page instead of the file"):
            fetched(server, tmp_path)
        assert names(tmp_path) == []
        assert len(server.asked) == 1

    @pytest.mark.parametrize("status", [403, 404, 410])
    def test_refusal_is_told_at_once(self, status: int, server: Behaviour, tmp_path: Path) -> None:
        server.status = status
        with pytest.raises(DownloadError, match=f"status {status}"):
            fetched(server, tmp_path)
        assert len(server.asked) == 1

    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_server_in_trouble_is_asked_again(self, status: int, server: Behaviour, tmp_path: Path) -> None:
        server.status = status
        with pytest.raises(DownloadError, match=str(status)):
            fetched(server, tmp_path)
        assert len(server.asked) == download.N_ATTEMPTS

    def test_full_disk_is_told_before_anything_is_written(
        self, server: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Usage:
            free = 1000

        monkeypatch.setattr(download.shutil, "disk_usage", lambda _: Usage)
        with pytest.raises(DownloadError, match=r"0 MB free; expected at least .*NAPARI_SEGNEXT_HOME"):
            fetched(server, tmp_path)
        assert "weights.pth" not in names(tmp_path)


class TestModel:
    @pytest.fixture(autouse=True)
    def from_our_server(self, server: Behaviour, monkeypatch: pytest.MonkeyPatch) -> None:
        """The registry as it is, but with our server in place of Google's; no waiting."""
        monkeypatch.setattr(registry.ModelEntry, "url", property(lambda entry: server.url))
        monkeypatch.setattr(download.time, "sleep", lambda _: None)

    def test_is_known_by_name_afterwards(self, server: Behaviour, original: OriginalMaker, home: Path) -> None:
        server.content = original.save(original.checkpoint()).read_bytes()
        path = download_model("segnext-vitb-sax1")
        assert path == home / "weights" / "segnext-vitb-sax1.safetensors"
        model = load_model("segnext-vitb-sax1", "cpu")
        assert model.identity.name == "segnext-vitb-sax1"
        assert "CC BY-NC 4.0" in model.identity.licence
        assert list((home / "weights" / "downloads").iterdir()) == []

    def test_is_not_fetched_twice(self, server: Behaviour, original: OriginalMaker) -> None:
        server.content = original.save(original.checkpoint()).read_bytes()
        assert download_model("segnext-vitb-sax1") == download_model("segnext-vitb-sax1")
        assert len(server.asked) == 1

    def test_that_was_cut_by_a_server_without_length_is_refused(
        self, server: Behaviour, original: OriginalMaker, home: Path
    ) -> None:
        whole = original.save(original.checkpoint()).read_bytes()
        server.content, server.says_length = whole[: len(whole) // 2], False
        with pytest.raises(DownloadError, match=r"not a whole zip archive.*Or by hand"):
            download_model("segnext-vitb-sax1")
        assert not (home / "weights" / "segnext-vitb-sax1.safetensors").exists()
        assert list((home / "weights" / "downloads").iterdir()) == []

    def test_hash_of_the_registry_is_kept_to(
        self, server: Behaviour, original: OriginalMaker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.content = original.save(original.checkpoint()).read_bytes()
        entry = registry.find_entry("segnext-vitb-sax1")
        assert entry is not None
        strict = replace(entry, sha256="0" * 64)
        monkeypatch.setattr(download, "find_entry", lambda name: strict)
        with pytest.raises(WeightsHashError):
            download_model("segnext-vitb-sax1")

    def test_without_network_the_way_by_hand_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry.ModelEntry, "url", property(lambda entry: "http://127.0.0.1:9/nothing"))
        with pytest.raises(DownloadError) as caught:
            download_model("segnext-vitb-sax2")
        message = str(caught.value)
        assert "https://drive.google.com/uc?id=1uHEcvwA2spsLQqDJiYKqv1pf3vgLAG7-" in message
        assert "napari-segnext models import FILE --name segnext-vitb-sax2" in message

    def test_of_another_name_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no model 'resnet'"):
            download_model("resnet")

    def test_that_is_bundled_needs_no_download(self, server: Behaviour) -> None:
        download_model("segnext-tiny")
        assert server.asked == []


def test_large_files_of_google_drive_are_confirmed() -> None:
    entry = registry.find_entry("segnext-vitb-sax1")
    assert entry is not None
    assert entry.url == (
        "https://drive.usercontent.google.com/download?id=1G_m9_sVYVD2MBDf5ulrAUz-iSvi8bQfZ&export=download&confirm=t"
    )
