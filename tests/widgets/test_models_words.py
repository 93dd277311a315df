from __future__ import annotations

import errno
import re

import pytest

pytest.importorskip("napari")

from napari_segnext.errors import CheckpointError, WeightsHashError
from napari_segnext.weights import DownloadCancelled, DownloadError, model_info
from napari_segnext.widgets.models_words import is_full_disk, size_of, state_of, words_for_download, words_for_import

NAME = "segnext-vitb-sax1"
PAGE = "https://drive.google.com/uc?id=1G_m9_sVYVD2MBDf5ulrAUz-iSvi8bQfZ"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SEGNEXT_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, ""), (65_536, "0.1 MB"), (9_940_000, "9.9 MB"), (426_900_000, "427 MB"), (3_100_000_000, "3100 MB")],
)
def test_sizes_are_told_in_megabytes(n_bytes, text):
    assert size_of(n_bytes) == text


def test_states_are_told_as_users_know_them():
    assert state_of(model_info("segnext-tiny")) == "bundled"
    assert state_of(model_info(NAME)) == "not downloaded"


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ("connection", f"no connection.*press Download again; it goes on.*open {PAGE}.*press Import"),
        ("server", f"refused to send it.*Try again in a day.*open {PAGE}"),
        ("disk", "not enough room.*Make room, or choose another weights folder in Preferences"),
        ("file", "cannot be used and was removed.*press Import"),
    ],
)
def test_each_failure_of_a_download_says_what_to_do(problem, words):
    error = DownloadError("in words for a terminal: napari-segnext models import", problem=problem)
    text = words_for_download(error, model_info(NAME))
    assert re.search(words.replace("?", r"\?"), text), text
    assert "napari-segnext models" not in text, "that is for a terminal"


def test_wrong_hash_names_both_and_says_what_to_do():
    error = WeightsHashError("weights.part", expected="a" * 64, found="b" * 64)
    text = words_for_download(error, model_info(NAME))
    assert "a" * 64 in text and "b" * 64 in text
    assert "was removed" in text and "Press Download to try again" in text


def test_cancelled_download_is_no_failure():
    assert words_for_download(DownloadCancelled(), model_info(NAME)).startswith("Cancelled. Nothing is left")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError('Error while serializing: IoError(Os { code: 28, message: "No space left on device" })'),
        DownloadError("full", problem="disk"),
    ],
    ids=["by number", "by words of a library", "ours"],
)
def test_full_disk_is_known_in_every_dress(error):
    assert is_full_disk(error)
    assert "room" in words_for_download(error, model_info(NAME))
    assert "disk is full" in words_for_import(error, "weights.pth")


def test_other_errors_are_no_full_disk():
    assert not is_full_disk(PermissionError(errno.EACCES, "Permission denied"))
    assert not is_full_disk(DownloadError("gone", problem="server"))


def test_import_names_the_file_and_what_is_wrong_with_it():
    error = CheckpointError("x.pth", "it is not a whole zip archive", "Download it again.")
    text = words_for_import(error, "x.pth")
    assert text.startswith("'x.pth' was not imported. Cannot load") and "Download it again." in text
