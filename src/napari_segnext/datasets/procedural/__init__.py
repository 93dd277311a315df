"""Drawn training images: label maps of many families, painted as many instruments would show them."""

from napari_segnext.datasets.procedural.images import (
    ProceduralImage,
    ProceduralSample,
    list_procedural,
    make_procedural_image,
)
from napari_segnext.datasets.procedural.label_maps import FAMILIES

__all__ = ["FAMILIES", "ProceduralImage", "ProceduralSample", "list_procedural", "make_procedural_image"]
