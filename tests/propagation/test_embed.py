from __future__ import annotations

import numpy as np
import pytest

from napari_segnext import Volume, embed_volume, propagate
from napari_segnext.errors import PropagationError
from napari_segnext.models.interface import ModelIdentity
from napari_segnext.session import EmbeddingCache, EmbeddingStore


@pytest.fixture
def saved_model(model):
    model.identity = ModelIdentity("bright parts", "ab" * 32)
    return model


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def cache_in(folder, max_bytes=10**9):
    """As another process would have: nothing in memory."""
    return EmbeddingCache(store=EmbeddingStore(folder, max_bytes=max_bytes))


def test_every_slice_is_encoded_once_and_told(saved_model, image, folder):
    done = [*embed_volume(saved_model, image, cache=cache_in(folder))]
    assert [step.index for step in done] == [*range(16)]
    assert [step.n_done for step in done] == [*range(1, 17)]
    assert {step.n_slices for step in done} == {16}
    assert not any(step.was_there for step in done)
    assert saved_model.n_encoded == 16
    assert all(step.was_there for step in embed_volume(saved_model, image, cache=cache_in(folder)))
    assert saved_model.n_encoded == 16


def test_it_goes_on_where_it_was_left(saved_model, image, folder):
    steps = embed_volume(saved_model, image, cache=cache_in(folder))
    for _ in range(5):
        next(steps)
    steps.close()
    again = [*embed_volume(saved_model, image, cache=cache_in(folder))]
    assert [step.index for step in again if step.was_there] == [*range(5)]
    assert saved_model.n_encoded == 16


def test_it_ends_between_slices_once_it_is_not_wanted(saved_model, image, folder):
    answers = iter([True, True, False])
    done = [*embed_volume(saved_model, image, cache=cache_in(folder), is_wanted=lambda: next(answers))]
    assert [step.index for step in done] == [0, 1]
    assert saved_model.n_encoded == 2


def test_damaged_slice_is_computed_anew(saved_model, image, folder):
    [*embed_volume(saved_model, image, cache=cache_in(folder))]
    path = sorted(folder.iterdir())[3]
    path.write_bytes(path.read_bytes()[:-100])
    again = [*embed_volume(saved_model, image, cache=cache_in(folder))]
    assert sum(not step.was_there for step in again) == 1


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("zoom", [False, True])
@pytest.mark.parametrize("spacing", [(1, 1, 1), (3, 1, 1)], ids=["cubes", "flat voxels"])
def test_propagation_finds_what_was_embedded(axis, zoom, spacing, saved_model, image, truth, folder):
    volume = Volume(image, spacing=spacing)
    [*embed_volume(saved_model, volume, axis=axis, zoom=zoom, cache=cache_in(folder))]
    n_embedded = saved_model.n_encoded
    start = int(np.argmax(np.count_nonzero(truth == 1, axis=tuple({0, 1, 2} - {axis}))))
    mask = np.take(truth, start, axis) == 1

    def found(cache):
        results = propagate(saved_model, volume, {start: mask}, axis=axis, zoom=zoom, cache=cache)
        return {result.index: result.probability for result in results}

    from_disk = found(cache_in(folder))
    if not zoom:
        assert saved_model.n_encoded == n_embedded
    computed = found(EmbeddingCache())
    assert len(computed) > 1
    assert from_disk.keys() == computed.keys()
    for index, probability in computed.items():
        np.testing.assert_array_equal(from_disk[index], probability)


def test_range_and_time_points_are_checked_at_once(saved_model, image, folder):
    assert [step.index for step in embed_volume(saved_model, image, slices=(3, 5), cache=cache_in(folder))] == [3, 4]
    with pytest.raises(PropagationError, match="slices are 3:17; expected a range within 0:16"):
        embed_volume(saved_model, image, slices=(3, 17))
    with pytest.raises(PropagationError, match="2 time points"):
        embed_volume(saved_model, Volume(np.stack([image, image]), axis_names=("t", "z", "y", "x"), spacing=(1, 1, 1)))


def test_without_a_disk_the_memory_is_used(saved_model, image):
    cache = EmbeddingCache()
    [*embed_volume(saved_model, image, slices=(0, 3), cache=cache)]
    assert len(cache) == 3


def test_full_disk_ends_in_memory_without_an_error(saved_model, image, tmp_path):
    (tmp_path / "file").write_text("")
    told = []
    cache = EmbeddingCache(store=EmbeddingStore(tmp_path / "file", max_bytes=10**9, on_problem=told.append))
    assert len([*embed_volume(saved_model, image, slices=(0, 3), cache=cache)]) == 3
    assert len(cache) == 3
    assert len(told) == 1
