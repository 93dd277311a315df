"""`embed`, `cache`, and what `predict` and `everything` do with the cache on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_segnext import Session, load_model
from napari_segnext.io import read_image
from napari_segnext.session import EmbeddingCache, EmbeddingStore
from napari_segnext.session import session as session_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    Cli = Callable[..., Result]


@pytest.fixture(autouse=True)
def cache_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the home folder of the tests has its cache."""
    monkeypatch.delenv("NAPARI_SEGNEXT_CACHE_GB")
    return home / "embeddings"


@pytest.fixture
def volume_file(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 40, 50), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "volume.tif", pixels)
    return tmp_path / "volume.tif"


def n_entries(folder: Path) -> int:
    return len(EmbeddingStore(folder, max_bytes=1))


class TestEmbed:
    def test_slices_are_in_the_cache_and_the_next_run_goes_on(
        self, cli: Cli, volume_file: Path, tiny_model: Path, cache_folder: Path
    ) -> None:
        done = cli("embed", volume_file, "--model", tiny_model, "--slices", "1:4")
        assert done.exit_code == 0, done.output
        assert "3 slices are in the cache (3 new" in done.stdout
        assert n_entries(cache_folder) == 3
        done = cli("embed", volume_file, "-m", tiny_model)
        assert "6 slices are in the cache (3 new" in done.stdout
        assert n_entries(cache_folder) == 6

    def test_session_on_a_slice_finds_it(
        self, cli: Cli, volume_file: Path, tiny_model: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert cli("embed", volume_file, "-m", tiny_model, "--axis", 1).exit_code == 0
        model = load_model(tiny_model, "cpu")
        monkeypatch.setattr(model, "encode_image", None)
        store = EmbeddingStore(cache_folder, max_bytes=10**9)
        Session(model, tifffile.imread(volume_file)[:, 7], cache=EmbeddingCache(store=store))

    def test_several_volumes_and_a_folder_of_choice(
        self, cli: Cli, volume_file: Path, tiny_model: Path, tmp_path: Path, cache_folder: Path
    ) -> None:
        other = tmp_path / "other.tif"
        tifffile.imwrite(other, 255 - tifffile.imread(volume_file))
        done = cli("embed", volume_file, other, "-m", tiny_model, "--cache-folder", tmp_path / "here")
        assert done.exit_code == 0, done.output
        assert n_entries(tmp_path / "here") == 12
        assert not cache_folder.exists()

    def test_cache_that_is_too_small_is_told(self, cli: Cli, volume_file: Path, tiny_model: Path) -> None:
        done = cli("embed", volume_file, "-m", tiny_model, "--cache-size", "0.00003")
        assert done.exit_code == 0
        assert "the first slices will be deleted for the last ones" in done.stderr

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--slices", "4"), "--slices is '4'; expected A:B"),
            (("--slices", "4:9"), "slices are 4:9; expected a range within 0:6"),
            (("--axis", "5"), "axis is 5; expected 0, 1 or 2"),
            (("--cache-size", "0"), "the size of the cache is 0 GB"),
            (("--cache-size", "-1"), "the size of the cache is -1.0 GB; expected a number of GB"),
        ],
    )
    def test_wrong_usage_is_told_in_one_line(
        self, options: tuple[str, ...], words: str, cli: Cli, volume_file: Path, tiny_model: Path
    ) -> None:
        done = cli("embed", volume_file, "-m", tiny_model, *options)
        assert done.exit_code == 2
        assert words in done.stderr

    def test_folder_that_cannot_be_written_ends_it(
        self, cli: Cli, volume_file: Path, tiny_model: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("")
        done = cli("embed", volume_file, "-m", tiny_model, "--cache-folder", tmp_path / "file")
        assert done.exit_code == 2
        assert "0 new slices" in done.stderr and "goes on from there" in done.stderr

    def test_ctrl_c_keeps_what_was_encoded(
        self, cli: Cli, volume_file: Path, tiny_model: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from napari_segnext.models.segnext import SegNext

        encode, calls = SegNext.encode_image, []

        def interrupted(self: SegNext, image: object) -> object:
            calls.append(image)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return encode(self, image)

        monkeypatch.setattr(SegNext, "encode_image", interrupted)
        done = cli("embed", volume_file, "-m", tiny_model)
        assert done.exit_code == 130
        assert "goes on from there" in done.stderr
        assert n_entries(cache_folder) == 2


class TestPredict:
    def test_mask_is_the_same_without_with_and_from_the_cache(
        self, cli: Cli, image_file: Path, prompts_file: Path, tiny_model: Path, tmp_path: Path, cache_folder: Path
    ) -> None:
        masks = []
        for number, options in enumerate([("--no-cache",), (), ()]):
            session_module._SHARED_CACHE.clear()
            output = tmp_path / f"{number}.tif"
            done = cli("predict", image_file, "-p", prompts_file, "-m", tiny_model, "-o", output, *options)
            assert done.exit_code == 0, done.output
            assert n_entries(cache_folder) == (number > 0)
            masks.append(read_image(output))
        np.testing.assert_array_equal(masks[0], masks[1])
        np.testing.assert_array_equal(masks[0], masks[2])

    def test_damaged_and_unwritable_caches_do_no_harm(
        self, cli: Cli, image_file: Path, prompts_file: Path, tiny_model: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("")
        done = cli(
            *("predict", image_file, "-p", prompts_file, "-m", tiny_model, "-o", tmp_path / "out.tif"),
            *("--cache-folder", tmp_path / "file"),
        )
        assert done.exit_code == 0, done.output
        assert (tmp_path / "out.tif").exists()

    def test_no_cache_goes_with_no_folder(
        self, cli: Cli, image_file: Path, prompts_file: Path, tiny_model: Path, tmp_path: Path
    ) -> None:
        done = cli(
            *("predict", image_file, "-p", prompts_file, "-m", tiny_model, "-o", tmp_path / "out.tif"),
            *("--no-cache", "--cache-size", 1),
        )
        assert done.exit_code == 2
        assert "--no-cache goes with neither" in done.stderr


def test_everything_keeps_its_embeddings(
    cli: Cli, image_file: Path, tiny_model: Path, tmp_path: Path, cache_folder: Path
) -> None:
    options = ("-m", tiny_model, "--points-per-side", 2, "--no-zoom", "-o", tmp_path / "out.tif")
    assert cli("everything", image_file, *options, "--no-cache").exit_code == 0
    assert not cache_folder.exists()
    session_module._SHARED_CACHE.clear()
    assert cli("everything", image_file, *options).exit_code == 0
    assert n_entries(cache_folder) == 1


class TestCache:
    def test_show_tells_folder_and_size(
        self, cli: Cli, volume_file: Path, tiny_model: Path, cache_folder: Path
    ) -> None:
        done = cli("cache", "show")
        assert done.exit_code == 0
        assert str(cache_folder) in done.stdout and "entries: 0" in done.stdout
        cli("embed", volume_file, "-m", tiny_model)
        done = cli("cache", "show", "--cache-size", 3)
        assert "entries: 6" in done.stdout and "of 3 GB" in done.stdout

    def test_clear_asks_and_deletes(self, cli: Cli, volume_file: Path, tiny_model: Path, cache_folder: Path) -> None:
        cli("embed", volume_file, "-m", tiny_model)
        assert "nothing was deleted" in cli("cache", "clear", keys="n\n").stdout
        refused = cli("cache", "clear", keys="")
        assert refused.exit_code == 2 and "Add --yes" in refused.stderr
        assert n_entries(cache_folder) == 6
        assert "deleted 6 entries" in cli("cache", "clear", keys="y\n").stdout
        assert "deleted 0 entries" in cli("cache", "clear", "--yes").stdout
        assert n_entries(cache_folder) == 0
