from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from napari_segnext.weights import prefer_weights_folder, weights_folder
from napari_segnext.weights.folder import HOME_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def nothing_preferred() -> Iterator[None]:
    yield
    prefer_weights_folder(None)


def test_preferred_folder_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HOME_VARIABLE)
    prefer_weights_folder(tmp_path / "mine")
    assert weights_folder() == tmp_path / "mine"


def test_home_folder_may_be_written_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HOME_VARIABLE)
    prefer_weights_folder("~/mine")
    assert weights_folder() == Path.home() / "mine"


def test_none_goes_back_to_the_cache_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HOME_VARIABLE)
    before = weights_folder()
    prefer_weights_folder(tmp_path)
    prefer_weights_folder(None)
    assert weights_folder() == before


def test_environment_goes_first(home: Path, tmp_path: Path) -> None:
    prefer_weights_folder(tmp_path / "mine")
    assert weights_folder() == home / "weights"
