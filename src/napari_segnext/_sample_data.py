"""Images to try the plugin on, without a network: they come with scikit-image."""

from __future__ import annotations

from typing import Any, TypeAlias

LayerData: TypeAlias = tuple[Any, dict[str, Any], str]


def make_cell() -> list[LayerData]:
    """A cell in phase contrast, `(660, 550)` uint8."""
    return [_image("cell", "Cell (phase contrast)")]


def make_stained_tissue() -> list[LayerData]:
    """Colonic glands with immunohistochemical staining, `(512, 512, 3)` uint8 RGB."""
    return [_image("immunohistochemistry", "Stained tissue (IHC)", rgb=True)]


def make_microaneurysms() -> list[LayerData]:
    """Part of a retina with microaneurysms, `(102, 102)` uint8."""
    return [_image("microaneurysms", "Retina with microaneurysms")]


def make_coins() -> list[LayerData]:
    """Greek coins from Pompeii, `(303, 384)` uint8."""
    return [_image("coins", "Coins")]


def _image(function_name: str, name: str, **kwargs: Any) -> LayerData:
    from skimage import data

    return getattr(data, function_name)(), {"name": name, **kwargs}, "image"
