"""Drawn scenes whose objects lie before and behind each other, with the depth of every pixel."""

from napari_segnext.datasets.layered.families import FAMILIES
from napari_segnext.datasets.layered.scenes import (
    LayeredSample,
    LayeredScene,
    family_of_scene,
    list_layered,
    make_layered_scene,
)

__all__ = ["FAMILIES", "LayeredSample", "LayeredScene", "family_of_scene", "list_layered", "make_layered_scene"]
