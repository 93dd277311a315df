from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from skimage import io

from napari_segnext.errors import ConfigError
from napari_segnext.training import read_training_config
from napari_segnext.training.samples import SampleDataset, _PixelCache
from napari_segnext.training.sources import find_sources, hash_of_sources


@pytest.fixture
def config(run_folder):
    return read_training_config(run_folder / "config.toml")


def dataset_of(config):
    return SampleDataset(find_sources(config.data), config, config.stages[0], click_spacing_px=3)


def test_data_without_objects_is_refused_instead_of_searched_for_ever(config):
    config = replace(config, data=replace(config.data, min_object_px=4000))
    with pytest.raises(
        ConfigError, match=r"sample 5 found no object in 1000 draws from 3 images.*at least 4000 pixels"
    ):
        dataset_of(config)[5]


def test_image_and_labels_of_different_sizes_are_refused(run_folder, config):
    for path in (run_folder / "images_and_labels/labels").iterdir():
        io.imsave(path, np.ones((60, 71), np.uint8), check_contrast=False)
    with pytest.raises(ValueError, match="expected equal sizes"):
        dataset_of(config)[0]


def test_cache_keeps_what_was_used_last_within_its_bytes(config):
    first, second, third = find_sources(config.data)
    n_bytes = _PixelCache(0).read(first, 30).n_bytes
    cache = _PixelCache(2 * n_bytes)
    kept = {source.id: cache.read(source, 30) for source in (first, second)}
    assert cache.read(first, 30) is kept[first.id]
    cache.read(third, 30)
    assert cache.read(first, 30) is kept[first.id]
    assert cache.read(second, 30) is not kept[second.id]


def test_image_larger_than_the_cache_is_read_each_time_and_drops_nothing(config):
    first, second, _ = find_sources(config.data)
    n_bytes = _PixelCache(0).read(first, 30).n_bytes
    cache = _PixelCache(n_bytes - 1)
    assert cache.read(first, 30) is not cache.read(first, 30)
    assert cache.read(second, 30).objects


def test_series_of_a_domain_are_drawn_by_the_root_of_their_size(config):
    first, second, third = find_sources(config.data)
    sources = [
        replace(first, id="many1"),
        replace(second, id="many2"),
        *[replace(third, id=f"many{i}") for i in range(3, 10)],
    ]
    sources.append(replace(first, id="few1"))
    dataset = SampleDataset(sources, config, config.stages[0], click_spacing_px=3)
    rng = np.random.default_rng(0)
    drawn = [dataset._chosen(rng).id.startswith("few") for _ in range(2000)]
    assert np.mean(drawn) == pytest.approx(1 / (1 + 3), abs=0.03)


def test_series_are_drawn_more_often_by_their_weight(config):
    first, second, _ = find_sources(config.data)
    sources = [replace(first, id="one1"), replace(second, id="other1")]
    config = replace(config, data=replace(config.data, series_weights={"one": 3.0}))
    dataset = SampleDataset(sources, config, config.stages[0], click_spacing_px=3)
    rng = np.random.default_rng(0)
    assert np.mean([dataset._chosen(rng).id == "one1" for _ in range(2000)]) == pytest.approx(3 / 4, abs=0.03)


def test_a_stage_may_have_chances_of_its_own(config):
    first, second, _ = find_sources(config.data)
    sources = [replace(first, group="one"), replace(second, group="other")]
    stage = replace(config.stages[0], domain_weights={"one": 3.0})
    rng = np.random.default_rng(0)
    for chances, share in ((config.stages[0], 1 / 2), (stage, 3 / 4)):
        dataset = SampleDataset(sources, config, chances, click_spacing_px=3)
        assert np.mean([dataset._chosen(rng).group == "one" for _ in range(2000)]) == pytest.approx(share, abs=0.03)


def test_procedural_images_are_a_domain_beside_the_real_ones(config):
    config = replace(config, data=replace(config.data, n_procedural=4, procedural_px=64))
    sources = find_sources(config.data)
    assert [source.group for source in sources].count("procedural") == 4
    assert hash_of_sources(sources) != hash_of_sources(sources[:-1])
    only = replace(config, data=replace(config.data, domain_weights={"procedural": 1.0, sources[0].group: 0.0}))
    sample = SampleDataset(sources, only, config.stages[0], click_spacing_px=3)[0]
    assert sample.image.shape == (3, 32, 32)
    assert sample.truths.any()
