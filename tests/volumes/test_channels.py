"""Channels of a volume as volumes of their own."""

from __future__ import annotations

import numpy as np
import pytest

from napari_segnext import Volume
from napari_segnext.errors import VolumeError
from napari_segnext.volumes import channel_names, channel_of

ARRAY = np.random.default_rng(0).integers(0, 99, (4, 5, 6, 2), dtype=np.uint8)


def test_channel_is_called_as_its_layer():
    volume = Volume(ARRAY, name="cells", channel_names=("DAPI", "actin"), spacing=(2, 1, 1), levels=(ARRAY, ARRAY[::2]))
    one = channel_of(volume, 1)
    assert (one.name, one.shape, one.channel_names, one.spacing) == ("cells actin", (4, 5, 6), (), (2, 1, 1))
    np.testing.assert_array_equal(one.plane(0, 3), ARRAY[3, ..., 1])
    assert [level.shape for level in one.levels] == [(4, 5, 6), (2, 5, 6)]


def test_channels_without_names_are_counted_from_1():
    assert channel_names(Volume(ARRAY)) == ("channel 1", "channel 2")


@pytest.mark.parametrize("array", [ARRAY[..., 0], np.zeros((4, 5, 6, 3), np.uint8)], ids=["grey", "colours"])
def test_grey_volumes_and_colours_have_none(array):
    assert channel_names(Volume(array)) == ()
    with pytest.raises(VolumeError, match="has no channel 0"):
        channel_of(Volume(array), 0)
