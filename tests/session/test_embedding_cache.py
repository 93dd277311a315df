from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_segnext import Box, Click, Session, load_model
from napari_segnext.models.interface import ImageEmbedding
from napari_segnext.session import (
    CpuFallback,
    DiskCacheSettings,
    EmbeddingCache,
    EmbeddingStore,
    shared_cache,
    use_disk_cache,
)
from napari_segnext.session.embedding_cache import CacheKey, rounded
from tests.conftest import FakeModel

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def cache_in(folder: Path) -> EmbeddingCache:
    """As another process would have: nothing in memory."""
    return EmbeddingCache(store=EmbeddingStore(folder, max_bytes=10**8))


def key(image: str = "image", *, is_lasting: bool = True) -> CacheKey:
    return CacheKey("model", "cpu", image, is_lasting)


def embedding(value: float = 0.1) -> ImageEmbedding:
    return ImageEmbedding((torch.full((1, 2, 3, 4), value),), (3, 4))


def never() -> ImageEmbedding:
    raise AssertionError("it was computed again")


class TestMemoryThenDiskThenModel:
    def test_another_process_finds_what_was_computed(self, folder: Path, disk_image: np.ndarray) -> None:
        cache = cache_in(folder)
        Session(FakeModel(sha256="aa"), disk_image, cache=cache)
        cache.flush()
        model = FakeModel(sha256="aa")
        Session(model, disk_image, cache=cache_in(folder))
        assert model.n_encoded == 0

    def test_damaged_entry_is_computed_anew(self, folder: Path, disk_image: np.ndarray) -> None:
        cache = cache_in(folder)
        Session(FakeModel(sha256="aa"), disk_image, cache=cache)
        cache.flush()
        (path,) = folder.iterdir()
        path.write_bytes(path.read_bytes()[:-10])
        model = FakeModel(sha256="aa")
        again = cache_in(folder)
        Session(model, disk_image, cache=again)
        again.flush()
        assert model.n_encoded == 1
        Session(model, disk_image, cache=cache_in(folder))
        assert model.n_encoded == 1

    def test_memory_is_asked_first(self, folder: Path) -> None:
        cache = cache_in(folder)
        first = cache.get_or_compute(key(), embedding)
        cache.flush()
        cache.store.clear()
        assert cache.get_or_compute(key(), never) is first

    @pytest.mark.parametrize(
        "other",
        [
            {"sha256": "bb"},
            {"image": np.ones((8, 8), np.uint8)},
            {"image": np.zeros((8, 8), np.uint16)},
            {"contrast_limits": (0, 9)},
            {"precision": "bfloat16"},
        ],
        ids=["weights", "pixels", "dtype", "contrast", "precision"],
    )
    def test_whatever_changes_an_embedding_changes_its_key(self, other: dict, folder: Path) -> None:
        def n_encoded(*, sha256="aa", image=None, contrast_limits=None, precision="float32"):
            image = np.zeros((8, 8), np.uint8) if image is None else image
            model = FakeModel(sha256=sha256)
            model.precision = precision
            cache = cache_in(folder)
            Session(model, image, contrast_limits=contrast_limits, cache=cache)
            cache.flush()
            return model.n_encoded

        assert n_encoded() == 1
        assert n_encoded() == 0
        assert n_encoded(**other) == 1

    def test_other_code_does_not_find_the_entry(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        cache_in(folder).ensure(key(), embedding)
        assert cache_in(folder).ensure(key(), never)
        monkeypatch.setattr("napari_segnext.session.embedding_cache._code_digest", lambda: "other code")
        assert not cache_in(folder).ensure(key(), embedding)

    def test_model_that_was_never_saved_leaves_nothing_on_disk(self, folder: Path, disk_image: np.ndarray) -> None:
        cache = cache_in(folder)
        Session(FakeModel(), disk_image, cache=cache)
        cache.flush()
        assert not folder.exists()

    def test_nothing_is_kept_of_what_is_computed_under_autocast(self, folder: Path, disk_image: np.ndarray) -> None:
        cache = cache_in(folder)
        with torch.autocast("cpu", torch.bfloat16):
            Session(FakeModel(sha256="aa"), disk_image, cache=cache)
        cache.flush()
        assert not folder.exists()

    def test_device_is_not_part_of_the_key_on_disk(self) -> None:
        one, other = (CacheKey("model", device, "image", True) for device in ("cpu", "cuda:0"))
        assert one != other
        assert one.on_disk == other.on_disk

    def test_model_that_may_fall_back_has_the_key_of_its_model(self) -> None:
        model = FakeModel(sha256="aa")
        model.precision = "float16"
        assert CacheKey.of(CpuFallback(model), "i") == CacheKey.of(model, "i")


class TestEnsure:
    def test_what_is_there_is_not_computed(self, folder: Path) -> None:
        assert not cache_in(folder).ensure(key(), embedding)
        cache = cache_in(folder)
        assert cache.ensure(key(), never)
        assert len(cache) == 0
        assert not cache.ensure(key("other"), embedding)
        assert len(cache) == 0, "what is on disk takes no memory"

    def test_what_is_in_memory_goes_to_disk_without_being_computed(self, folder: Path) -> None:
        cache = cache_in(folder)
        cache.get_or_compute(key(), embedding)
        cache.flush()
        cache.store.clear()
        assert cache.ensure(key(), never)
        assert cache_in(folder).ensure(key(), never)

    @pytest.mark.parametrize("is_lasting", [True, False])
    def test_without_a_place_on_disk_it_is_kept_in_memory(self, is_lasting: bool, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        told: list[str] = []
        store = EmbeddingStore(tmp_path / "file", max_bytes=10**6, on_problem=told.append)
        for cache in (EmbeddingCache(), EmbeddingCache(store=store)):
            assert not cache.ensure(key(is_lasting=is_lasting), embedding)
            assert cache.ensure(key(is_lasting=is_lasting), never)
            assert len(cache) == 1
        assert len(told) == is_lasting


class TestRounding:
    def test_embedding_is_the_same_with_and_without_disk_and_from_it(self, folder: Path) -> None:
        def made() -> ImageEmbedding:
            generator = torch.Generator().manual_seed(0)
            level = torch.randn(1, 8, 6, 5, generator=generator) * 30
            return ImageEmbedding((level, level.transpose(2, 3)), (6, 5))

        writing = cache_in(folder)
        found = [EmbeddingCache().get_or_compute(key(), made), writing.get_or_compute(key(), made)]
        writing.flush()
        found += [cache_in(folder).get_or_compute(key(), never)]
        for one in found:
            for level, other in zip(one.levels, found[0].levels, strict=True):
                assert torch.equal(level, other)
                assert level.is_contiguous() and level.dtype == torch.float32
        relative = (found[0].levels[0] - made().levels[0]).abs() / made().levels[0].abs()
        assert 0 < relative.max() <= 2**-11

    def test_numbers_beyond_float16_stay_as_they_are(self, folder: Path) -> None:
        large = ImageEmbedding((torch.tensor([[[[7e4, 0.1]]]]), torch.tensor([[[[0.1]]]])), (1, 2))
        assert torch.equal(rounded(large).levels[0], large.levels[0])
        assert not torch.equal(rounded(large).levels[1], large.levels[1])
        cache_in(folder).ensure(key(), lambda: large)
        assert torch.equal(cache_in(folder).get_or_compute(key(), never).levels[0], large.levels[0])

    def test_exact_cache_leaves_everything_as_it_is_and_has_no_disk(self, folder: Path) -> None:
        assert EmbeddingCache(is_exact=True).get_or_compute(key(), embedding).levels[0].max() == torch.tensor(0.1)
        with pytest.raises(ValueError, match="exact and has a store"):
            EmbeddingCache(is_exact=True, store=EmbeddingStore(folder, max_bytes=1))

    def test_masks_of_the_bundled_model_are_the_same_from_everywhere_and_hardly_move(self, folder: Path) -> None:
        from skimage.data import coins

        model, image = load_model("segnext-tiny", "cpu"), coins()[60:220, 20:260]

        def answer(cache: EmbeddingCache) -> np.ndarray:
            session = Session(model, image, cache=cache)
            session.add(Box(20, 20, 90, 90))
            probability = session.add(Click(20, 200, is_positive=False)).probability
            cache.flush()
            return probability

        exact = answer(EmbeddingCache(is_exact=True))
        memory, cold, warm = answer(EmbeddingCache()), answer(cache_in(folder)), answer(cache_in(folder))
        np.testing.assert_array_equal(memory, cold)
        np.testing.assert_array_equal(memory, warm)
        assert ((exact > 0.5) != (memory > 0.5)).mean() <= 0.001


class TestSharedCache:
    def test_sessions_keep_their_embeddings_where_they_are_told_to(self, folder: Path, disk_image: np.ndarray) -> None:
        Session(FakeModel(sha256="aa"), disk_image)
        assert shared_cache().store is None
        use_disk_cache(DiskCacheSettings(folder, 10**8))
        Session(FakeModel(sha256="aa"), disk_image + 1)
        shared_cache().flush()
        assert len(EmbeddingStore(folder, max_bytes=1)) == 1
        use_disk_cache(None)
        assert shared_cache().store is None

    def test_store_stays_as_long_as_nothing_changes(self, folder: Path) -> None:
        use_disk_cache(DiskCacheSettings(folder, 10**8))
        first = shared_cache().store
        use_disk_cache(DiskCacheSettings(folder, 10**8, print))
        assert shared_cache().store is first
        use_disk_cache(DiskCacheSettings(folder, 10**7))
        assert shared_cache().store is not first
