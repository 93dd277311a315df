"""Arrays with a place in the world."""

from napari_segnext.volumes.case import VolumeCase
from napari_segnext.volumes.channels import channel_names, channel_of
from napari_segnext.volumes.orientation import VIEWS, View
from napari_segnext.volumes.rearranged import RearrangedArray, key_of_each_axis
from napari_segnext.volumes.volume import READ_ERRORS, VOLUME_NOTE, LazyArray, Volume, VolumeSource

__all__ = [
    "READ_ERRORS",
    "VIEWS",
    "VOLUME_NOTE",
    "LazyArray",
    "RearrangedArray",
    "View",
    "Volume",
    "VolumeCase",
    "VolumeSource",
    "channel_names",
    "channel_of",
    "key_of_each_axis",
]
