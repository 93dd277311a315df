"""Against a server of our own that can be told to misbehave; nothing leaves the machine."""

from __future__ import annotations

import errno
import hashlib
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from napari_segnext import load_model
from napari_segnext.errors import CheckpointError, WeightsHashError
from napari_segnext.weights import (
    DownloadCancelled,
    DownloadError,
    discard_download,
    download,
    download_model,
    registry,
)
from tests.file_server import CONTENT, Behaviour

if TYPE_CHECKING:
    from tests.weights.conftest import OriginalMaker

PIECE = download.CHUNK_BYTES


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

    def test_disk_that_becomes_full_on_the_way_is_told(
        self, server: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real_open = Path.open

        def open_on_a_full_disk(path: Path, mode: str = "r", **options: Any) -> Any:
            file = real_open(path, mode, **options)
            return _FullDisk(file) if mode == "ab" else file

        monkeypatch.setattr(Path, "open", open_on_a_full_disk)
        with pytest.raises(DownloadError, match="no more room") as caught:
            fetched(server, tmp_path)
        assert caught.value.problem == "disk"

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [({"status": 404}, "server"), ({"kind": "text/html"}, "server"), ({"status": 503}, "connection")],
        ids=["refused", "web page", "server in trouble"],
    )
    def test_error_says_what_stood_in_the_way(
        self, changes: dict[str, Any], problem: str, server: Behaviour, tmp_path: Path
    ) -> None:
        for name, value in changes.items():
            setattr(server, name, value)
        with pytest.raises(DownloadError) as caught:
            fetched(server, tmp_path)
        assert caught.value.problem == problem


class _FullDisk:
    """A file that takes nothing."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, piece: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def __enter__(self) -> _FullDisk:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class TestGivingUp:
    """A download that is no longer wanted ends long before the server is given up, which takes a minute."""

    SOON_S = 5.0

    def give_up_later(self, delay_s: float = 0.3) -> threading.Event:
        is_given_up = threading.Event()
        threading.Timer(delay_s, is_given_up.set).start()
        return is_given_up

    @pytest.mark.parametrize("says_length", [True, False], ids=["length known", "length unknown"])
    @pytest.mark.parametrize("n_bytes", [0, 2 * PIECE], ids=["before the first piece", "after two pieces"])
    def test_ends_while_the_server_is_silent(
        self, n_bytes: int, says_length: bool, server: Behaviour, tmp_path: Path
    ) -> None:
        server.falls_silent_after, server.says_length = n_bytes, says_length
        is_given_up = self.give_up_later()
        began_s = time.monotonic()
        with pytest.raises(DownloadCancelled):
            fetched(server, tmp_path, is_wanted=lambda: not is_given_up.is_set())
        assert time.monotonic() - began_s < self.SOON_S
        assert "weights.pth" not in names(tmp_path)
        assert len(server.asked) == 1

    def test_ends_between_two_attempts(self, server: Behaviour, tmp_path: Path) -> None:
        server.status = 503
        is_given_up = self.give_up_later()
        began_s = time.monotonic()
        with pytest.raises(DownloadCancelled):
            download.download_file(
                server.url, tmp_path / "weights.pth", pause_s=60, is_wanted=lambda: not is_given_up.is_set()
            )
        assert time.monotonic() - began_s < self.SOON_S

    def test_leaves_no_thread(self, server: Behaviour, tmp_path: Path) -> None:
        fetched(server, tmp_path)
        assert not [thread for thread in threading.enumerate() if thread.name == "napari-segnext download"]


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

    def test_that_was_given_up_can_be_discarded(self, server: Behaviour, home: Path) -> None:
        with pytest.raises(DownloadCancelled):
            download_model("segnext-vitb-sax1", is_wanted=lambda: False)
        assert names(home / "weights" / "downloads") != []
        discard_download("segnext-vitb-sax1")
        assert names(home / "weights" / "downloads") == []

    def test_discarding_nothing_is_no_error(self) -> None:
        for name in ("segnext-vitb-sax1", "segnext-tiny", "mine"):
            discard_download(name)

    def test_error_says_what_stood_in_the_way(self, server: Behaviour) -> None:
        with pytest.raises(DownloadError) as caught:
            download_model("segnext-vitb-sax1")
        assert caught.value.problem == "file"

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
