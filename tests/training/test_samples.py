from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from skimage import io

from napari_segnext.errors import ConfigError
from napari_segnext.training import read_training_config
from napari_segnext.training.samples import SampleDataset, _PixelCache
from napari_segnext.training.sources import find_sources


@pytest.fixture
def config(run_folder):
    return read_training_config(run_folder / "config.toml")


def dataset_of(config):
    return SampleDataset(find_sources(config.data.roots), config, config.stages[0], click_spacing_px=3)


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
    first, second, third = find_sources(config.data.roots)
    n_bytes = _PixelCache(0).read(first, 30).n_bytes
    cache = _PixelCache(2 * n_bytes)
    kept = {source.id: cache.read(source, 30) for source in (first, second)}
    assert cache.read(first, 30) is kept[first.id]
    cache.read(third, 30)
    assert cache.read(first, 30) is kept[first.id]
    assert cache.read(second, 30) is not kept[second.id]


def test_image_larger_than_the_cache_is_read_each_time_and_drops_nothing(config):
    first, second, _ = find_sources(config.data.roots)
    n_bytes = _PixelCache(0).read(first, 30).n_bytes
    cache = _PixelCache(n_bytes - 1)
    assert cache.read(first, 30) is not cache.read(first, 30)
    assert cache.read(second, 30).objects
