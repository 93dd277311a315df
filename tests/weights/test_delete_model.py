from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_segnext.weights import delete_model, import_model, list_models, model_info, registry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.weights.conftest import OriginalMaker


def test_imported_model_is_gone(original: OriginalMaker) -> None:
    path = import_model(original.save(original.checkpoint()), "mine")
    delete_model("mine")
    assert not path.exists()
    assert "mine" not in [info.name for info in list_models()]


def test_released_model_can_be_downloaded_again(original: OriginalMaker) -> None:
    import_model(original.save(original.checkpoint()), "segnext-vitb-sax1")
    delete_model("segnext-vitb-sax1")
    assert model_info("segnext-vitb-sax1").state == "not downloaded"


def test_what_an_unfinished_download_left_goes_too(original: OriginalMaker, home: Path) -> None:
    import_model(original.save(original.checkpoint()), "segnext-vitb-sax1")
    entry = registry.find_entry("segnext-vitb-sax1")
    assert entry is not None
    left = home / "weights" / "downloads" / f"{entry.file_name}.part"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    delete_model("segnext-vitb-sax1")
    assert list(left.parent.iterdir()) == []


def test_bundled_model_stays(home: Path) -> None:
    with pytest.raises(ValueError, match="comes with the package and cannot be deleted"):
        delete_model("segnext-tiny")
    assert model_info("segnext-tiny").path.is_file()


@pytest.mark.parametrize("name", ["nobody", "../mine", ""])
def test_unknown_name_is_refused(name: str, home: Path) -> None:
    (home / "weights").mkdir(parents=True)
    (home / "mine.safetensors").write_bytes(b"not yours to delete")
    with pytest.raises(ValueError, match="there is no model"):
        delete_model(name)
    assert (home / "mine.safetensors").exists()
