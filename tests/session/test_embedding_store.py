from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_segnext._disk_cache import disk_cache_settings
from napari_segnext.models.interface import ImageEmbedding
from napari_segnext.session import EmbeddingStore
from napari_segnext.session import embedding_store as embedding_store_module
from napari_segnext.session.embedding_file import BrokenEntryError, pack_embedding, unpack_embedding

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def embedding_of(number: int, side: int = 8) -> ImageEmbedding:
    generator = torch.Generator().manual_seed(number)
    fine, coarse = (torch.randn(1, 3, n, n, generator=generator).half().float() for n in (side, side // 2))
    return ImageEmbedding((fine, coarse), (side, side + number))


def assert_equal(one: ImageEmbedding, other: ImageEmbedding) -> None:
    assert one.image_shape == other.image_shape
    assert len(one.levels) == len(other.levels)
    for a, b in zip(one.levels, other.levels, strict=True):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)


@pytest.fixture
def problems() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, problems: list[str]) -> EmbeddingStore:
    return EmbeddingStore(tmp_path / "cache", max_bytes=10_000_000, on_problem=problems.append)


def entries(store: EmbeddingStore) -> list[Path]:
    return sorted(store.folder.glob("*.zip"))


class TestEntry:
    @pytest.mark.parametrize(
        "level",
        [
            torch.tensor([[[[0.5, -1.25]]]]),
            torch.tensor([[[[0.1, 1e-9, 7e4, float("inf")]]]]),
            torch.tensor([[[[0.1, 3.0]]]], dtype=torch.float64),
            torch.tensor([[[[0.5, 3.0]]]], dtype=torch.float16),
            torch.tensor([[[[0.1, 1e30]]]], dtype=torch.bfloat16),
            torch.zeros(1, 2, 0, 3),
            torch.arange(24.0).reshape(1, 2, 3, 4).permute(0, 1, 3, 2),
        ],
        ids=["fits float16", "does not fit", "float64", "float16", "bfloat16", "empty", "not contiguous"],
    )
    def test_what_is_read_is_what_was_written(self, level: torch.Tensor) -> None:
        embedding = ImageEmbedding((level, level * 2), (3, 5))
        assert_equal(unpack_embedding("k", pack_embedding("k", embedding)), embedding)

    def test_numbers_that_fit_take_two_bytes_each(self) -> None:
        rounded = ImageEmbedding((torch.randn(1, 8, 64, 64).half().float(),), (64, 64))
        exact = ImageEmbedding((torch.randn(1, 8, 64, 64),), (64, 64))
        overhead = 3000
        assert len(pack_embedding("k", rounded)) < 2 * 8 * 64 * 64 + overhead
        assert len(pack_embedding("k", exact)) > 4 * 8 * 64 * 64

    def test_file_is_a_zarr_group_with_a_chunk_for_each_level(self, store: EmbeddingStore) -> None:
        import zarr

        store.write("k", embedding_of(3))
        (path,) = entries(store)
        with zarr.storage.ZipStore(path, mode="r") as opened:
            group = zarr.open_group(opened, mode="r")
            assert group["0"].dtype == "float16"
            assert group["0"].chunks == group["0"].shape == (1, 3, 8, 8)
            assert group.attrs["image_shape"] == [8, 11]

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_any_flipped_bit_and_any_cut_is_noticed(self, data: st.DataObject) -> None:
        packed = bytearray(pack_embedding("k", embedding_of(0)))
        if data.draw(st.booleans()):
            packed[data.draw(st.integers(0, len(packed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        else:
            del packed[data.draw(st.integers(0, len(packed) - 1)) :]
        with pytest.raises(BrokenEntryError):
            unpack_embedding("k", bytes(packed))


class TestBrokenEntries:
    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: data[: len(data) // 2],
            lambda data: b"",
            lambda data: bytes(len(data)),
            lambda data: data[:500] + b"?" + data[501:],
            lambda data: pack_embedding("another key", embedding_of(1)),
            lambda data: data + b"more",
        ],
        ids=["half", "empty", "zeros", "one wrong byte", "another key", "too long"],
    )
    def test_they_are_never_served_but_deleted_and_written_anew(self, store: EmbeddingStore, damage) -> None:
        store.write("k", embedding_of(1))
        (path,) = entries(store)
        path.write_bytes(damage(path.read_bytes()))
        assert store.read("k") is None
        assert entries(store) == []
        assert store.write("k", embedding_of(1))
        assert_equal(store.read("k"), embedding_of(1))

    def test_half_an_entry_is_not_held(self, store: EmbeddingStore) -> None:
        store.write("k", embedding_of(1))
        assert store.holds("k")
        (path,) = entries(store)
        path.write_bytes(path.read_bytes()[:-1])
        assert not store.holds("k")
        assert not store.holds("never written")

    def test_entries_of_another_format_are_not_served(self, store: EmbeddingStore, monkeypatch) -> None:
        monkeypatch.setattr("napari_segnext.session.embedding_file.FORMAT", 0)
        store.write("k", embedding_of(1))
        monkeypatch.undo()
        # the name would differ as well; here it is the same
        assert store.read("k") is None
        monkeypatch.setattr(embedding_store_module, "FORMAT", 2)
        assert store.write("k", embedding_of(1))
        monkeypatch.undo()
        assert store.read("k") is None
        assert len(store) == 1, "it is left to eviction"

    def test_whole_zip_archive_of_somebody_else_is_not_served(self, store: EmbeddingStore) -> None:
        from napari_segnext.session.embedding_file import _digest

        store.write("k", embedding_of(1))
        (path,) = entries(store)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.txt", "hello")
            archive.comment = bytes(64)
        body = path.read_bytes()[:-64]
        path.write_bytes(body + _digest(body))
        assert store.read("k") is None
        assert entries(store) == []

    def test_unfinished_file_is_no_entry_and_goes_once_nobody_writes_it(self, store: EmbeddingStore) -> None:
        fcntl = pytest.importorskip("fcntl")
        store.write("k", embedding_of(1))
        left, written = (store.folder / f".{name}.embedding.part" for name in ("left", "written"))
        for part in (left, written):
            part.write_bytes(bytes(1000))
        with written.open("rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            again = EmbeddingStore(store.folder, max_bytes=10**6)
            assert len(again) == 1
            again.write("l", embedding_of(2))
            assert (left.exists(), written.exists()) == (False, True)
            assert again.clear()[0] == 2
            assert written.exists()
        again.clear()
        assert [*store.folder.iterdir()] == []


class TestEviction:
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        deeds=st.lists(st.tuples(st.sampled_from(["write", "read"]), st.integers(0, 9)), max_size=40),
        n_kept=st.integers(1, 6),
    )
    def test_it_is_bounded_at_every_step_and_the_least_recently_used_go(self, deeds, n_kept, tmp_path_factory) -> None:
        size = len(pack_embedding("k0", embedding_of(0)))
        # room for a few entries, whose sizes differ by some digits
        bound = int(n_kept * (size + 20) / embedding_store_module.KEPT_SHARE)
        store = EmbeddingStore(tmp_path_factory.mktemp("cache"), max_bytes=bound)
        last_use: dict[int, int] = {}
        for time, (deed, number) in enumerate(deeds):
            before = {n for n in range(10) if store._path(f"k{n}").exists()}
            if deed == "write":
                assert store.write(f"k{number}", embedding_of(number))
                if number not in before:
                    last_use[number] = time
            elif store.read(f"k{number}") is not None:
                last_use[number] = time
            after = {n for n in range(10) if store._path(f"k{n}").exists()}
            assert store.n_bytes <= bound
            assert deed == "read" or number in after
            gone = before - after
            assert all(last_use[one] < last_use[other] for one in gone for other in after)
        assert not store.problem

    def test_entry_larger_than_the_bound_is_not_kept(self, tmp_path: Path) -> None:
        store = EmbeddingStore(tmp_path, max_bytes=100)
        assert not store.write("k", embedding_of(0))
        assert [*tmp_path.iterdir()] == []
        assert not store.problem

    def test_entries_of_another_process_count(self, tmp_path: Path) -> None:
        size = len(pack_embedding("k", embedding_of(0)))
        one, other = (EmbeddingStore(tmp_path, max_bytes=8 * size) for _ in range(2))
        for number in range(3 * embedding_store_module.WRITES_BETWEEN_LOOKS):
            one.write(f"one {number}", embedding_of(number % 5))
            other.write(f"other {number}", embedding_of(number % 5))
            assert one.n_bytes <= 8 * size + embedding_store_module.WRITES_BETWEEN_LOOKS * size
        one.write("last", embedding_of(0))
        assert one.n_bytes <= 8 * size

    def test_files_of_others_in_the_folder_stay(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.zip").write_bytes(bytes(50_000))
        store = EmbeddingStore(tmp_path, max_bytes=4_000)
        store.write("a", embedding_of(0))
        store.write("b", embedding_of(1))
        store.clear()
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.zip"]


def _write_all(folder: str, order: list[int], repeats: int) -> None:
    store = EmbeddingStore(Path(folder), max_bytes=12_000)
    for _ in range(repeats):
        for number in order:
            store.write(f"k{number}", embedding_of(number))
            found = store.read(f"k{number}")
            if found is not None:
                assert_equal(found, embedding_of(number))
    assert not store.problem


class TestTogether:
    def test_two_processes_with_the_same_keys_and_evictions_never_see_a_wrong_entry(self, tmp_path: Path) -> None:
        context = multiprocessing.get_context("spawn")
        processes = [
            context.Process(target=_write_all, args=(str(tmp_path), order, 20))
            for order in ([*range(8)], [*reversed(range(8))])
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(120)
        assert [process.exitcode for process in processes] == [0, 0]
        assert not [*tmp_path.glob(".*.part")]

    def test_threads_share_a_store(self, store: EmbeddingStore) -> None:
        numbers = range(40)
        threads = [
            threading.Thread(target=lambda: [store.write_later(f"k{n}", embedding_of(n)) for n in numbers]),
            threading.Thread(target=lambda: [store.write(f"k{n}", embedding_of(n)) for n in numbers]),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        store.flush()
        for number in numbers:
            assert_equal(store.read(f"k{number}"), embedding_of(number))

    def test_what_comes_later_is_written_in_quiet_and_at_once_on_flush(self, store, monkeypatch) -> None:
        monkeypatch.setattr(embedding_store_module, "QUIET_S", 60.0)
        store.write_later("a", embedding_of(0))
        assert not store.holds("a")
        store.flush()
        assert store.holds("a")
        for number in range(3 * embedding_store_module.MAX_PENDING):
            store.write_later(f"k{number}", embedding_of(number))
        assert len(store) >= embedding_store_module.MAX_PENDING, "many do not wait"
        store.flush()
        assert len(store) == 3 * embedding_store_module.MAX_PENDING + 1

    def test_program_that_ends_writes_what_it_was_given(self, tmp_path: Path) -> None:
        code = (
            "import sys, torch; from pathlib import Path;"
            "from napari_segnext.models.interface import ImageEmbedding;"
            "from napari_segnext.session import EmbeddingStore;"
            "store = EmbeddingStore(Path(sys.argv[1]), max_bytes=10**6);"
            "[store.write_later(f'k{n}', ImageEmbedding((torch.ones(1, 2, 3, 4),), (3, 4))) for n in range(5)]"
        )
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(EmbeddingStore(tmp_path, max_bytes=1)) == 5

    def test_killed_writers_leave_nothing_wrong_behind(self, tmp_path: Path) -> None:
        """Three kills here; `benchmarks/cache_kill.py` does fifty."""
        benchmark = runpy.run_path(str(BENCHMARKS / "cache_kill.py"))
        counts = benchmark["kill_in_a_loop"](tmp_path, n_kills=3, max_bytes=40_000_000, n_writers=2)
        assert counts["wrong"] == 0
        assert counts["served"] > 0
        store = EmbeddingStore(tmp_path, max_bytes=40_000_000)
        assert store.write("one more", embedding_of(0))
        assert store.read("one more") is not None


class TestFolderThatCannotBeUsed:
    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount a small disk")
    def test_full_disk_is_told_once_and_nothing_is_half_written(self, tmp_path: Path, problems: list[str]) -> None:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], capture_output=True)
        if done.returncode != 0:
            pytest.skip("this container may not mount")
        try:
            store = EmbeddingStore(tmp_path / "cache", max_bytes=10**9, on_problem=problems.append)
            written = [store.write(f"k{number}", embedding_of(number, side=320)) for number in range(4)]
            assert written == [True, False, False, False]
            assert len(problems) == 1
            assert "No space left" in problems[0] and str(tmp_path) in problems[0] and "memory only" in problems[0]
            assert_equal(store.read("k0"), embedding_of(0, side=320))
            assert len([*store.folder.iterdir()]) == 1
        finally:
            subprocess.run(["umount", str(tmp_path)], check=True)

    @pytest.mark.parametrize(
        "error", [OSError(28, "No space left on device"), PermissionError(13, "Permission denied")]
    )
    def test_whatever_the_system_says_is_told_once(self, error, store, problems, monkeypatch) -> None:
        store.write("before", embedding_of(0))

        def refuse(path: Path, data: bytes) -> None:
            path.write_bytes(data[:100])
            raise error

        monkeypatch.setattr(embedding_store_module, "_write_file", refuse)
        assert not store.write("k", embedding_of(1))
        store.write_later("l", embedding_of(2))
        store.flush()
        monkeypatch.undo()
        assert not store.write("m", embedding_of(3)), "it has given up"
        assert len(problems) == 1
        assert error.strerror in problems[0]
        assert_equal(store.read("before"), embedding_of(0))
        assert len([*store.folder.iterdir()]) == 1

    def test_file_in_the_place_of_the_folder(self, tmp_path: Path, problems: list[str]) -> None:
        (tmp_path / "file").write_text("")
        store = EmbeddingStore(tmp_path / "file", max_bytes=10**6, on_problem=problems.append)
        assert store.read("k") is None
        assert not store.holds("k")
        assert (len(store), store.n_bytes) == (0, 0)
        assert not store.write("k", embedding_of(0))
        assert len(problems) == 1

    def test_problem_is_logged_by_default(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / "file").write_text("")
        EmbeddingStore(tmp_path / "file", max_bytes=10**6).write("k", embedding_of(0))
        assert [record.levelname for record in caplog.records] == ["WARNING"]

    def test_folder_that_is_deleted_meanwhile_is_made_again(self, store: EmbeddingStore) -> None:
        store.write("k", embedding_of(0))
        store.clear()
        store.folder.rmdir()
        assert store.read("k") is None
        assert store.write("k", embedding_of(0))
        assert store.read("k") is not None


class TestSettings:
    @pytest.fixture(autouse=True)
    def clean(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("NAPARI_SEGNEXT_CACHE", "NAPARI_SEGNEXT_CACHE_GB", "NAPARI_SEGNEXT_HOME"):
            monkeypatch.delenv(name, raising=False)

    def test_what_is_given_goes_before_the_environment_and_that_before_the_defaults(
        self, tmp_path, monkeypatch
    ) -> None:
        found = disk_cache_settings()
        assert found.folder.name == "embeddings" and found.max_bytes == 10 * 10**9
        monkeypatch.setenv("NAPARI_SEGNEXT_HOME", str(tmp_path / "home"))
        assert disk_cache_settings().folder == tmp_path / "home" / "embeddings"
        monkeypatch.setenv("NAPARI_SEGNEXT_CACHE", str(tmp_path / "named"))
        monkeypatch.setenv("NAPARI_SEGNEXT_CACHE_GB", "0.5")
        assert disk_cache_settings() == replace(found, folder=tmp_path / "named", max_bytes=5 * 10**8)
        given_ = disk_cache_settings(tmp_path / "given", 2)
        assert (given_.folder, given_.max_bytes) == (tmp_path / "given", 2 * 10**9)

    def test_zero_is_no_cache(self, monkeypatch) -> None:
        assert disk_cache_settings(max_gb=0) is None
        monkeypatch.setenv("NAPARI_SEGNEXT_CACHE_GB", "0")
        assert disk_cache_settings() is None

    @pytest.mark.parametrize("text", ["much", "-1", "inf", "nan"])
    def test_sizes_that_make_no_sense_are_refused(self, text: str, monkeypatch) -> None:
        monkeypatch.setenv("NAPARI_SEGNEXT_CACHE_GB", text)
        with pytest.raises(ValueError, match=f"NAPARI_SEGNEXT_CACHE_GB is '{text}'; expected a number of GB"):
            disk_cache_settings()


def test_a_large_folder_far_below_its_bound_is_listed_rarely(tmp_path, monkeypatch):
    from napari_segnext.session import embedding_store

    for number in range(400):
        (tmp_path / f"{number:064x}{embedding_store.SUFFIX}").write_bytes(b"entry")
    listed = []
    monkeypatch.setattr(
        embedding_store.EmbeddingStore,
        "_swept",
        lambda self, swept=EmbeddingStore._swept: listed.append(1) or swept(self),
    )
    store = EmbeddingStore(tmp_path, max_bytes=10**9)
    for number in range(60):
        store.write(f"key {number}", ImageEmbedding((torch.ones(1, 2, 3, 4),), (3, 4)))
    # once at first, then after 400 // 8 entries; not every 16
    assert len(listed) == 2
