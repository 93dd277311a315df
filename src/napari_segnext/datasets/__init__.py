"""Labelled images by name: what training and evaluation read.

1. `open_dataset` looks up the layout by name and lists the images; pixels are read only where slices must be found.
2. A `Dataset` is iterated for its `ImageSample`s, always in the same order.
3. `ImageSample.read` gives image, labels and objects at once, so that an image is encoded once for all its objects.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_segnext.datasets.brats import list_brats
from napari_segnext.datasets.brats_nifti import list_brats_nifti
from napari_segnext.datasets.davis import list_davis
from napari_segnext.datasets.folder import list_folder
from napari_segnext.datasets.hqseg44k import list_hqseg44k
from napari_segnext.datasets.pack import list_pack
from napari_segnext.datasets.samples import Dataset, ImageSample, LoadedImage, ObjectFilter, ObjectSample
from napari_segnext.datasets.sstem import list_sstem
from napari_segnext.datasets.subsets import spread_over_groups, with_objects_drawn, with_objects_drawn_per_group

if TYPE_CHECKING:
    from collections.abc import Callable

DATASETS: dict[str, Callable[[Path], list[ImageSample]]] = {
    "folder": list_folder,
    "pack": list_pack,
    "sstem": list_sstem,
    "brats": list_brats,
    "brats_nifti": list_brats_nifti,
    "davis": list_davis,
    "hqseg44k": list_hqseg44k,
}
"""Name of a layout → function that lists its images."""

_PLANNED = ("coco_lvis",)

__all__ = ["DATASETS", "Dataset", "ImageSample", "LoadedImage", "ObjectFilter", "ObjectSample", "open_dataset"]


def open_dataset(
    name: str,
    root: Path | str,
    *,
    min_object_px: int = 1,
    limit: int | None = None,
    max_objects_per_image: int | None = None,
    max_objects: int | None = None,
    max_objects_per_group: int | None = None,
    seed: int = 0,
) -> Dataset:
    """List the images of a dataset; the files themselves are read later.

    Parameters
    ----------
    name
        Layout, one of `DATASETS`.
    root
        Folder of the dataset.
    min_object_px
        Objects with fewer pixels are left out.
    limit
        Greatest number of images, spread over the groups; None takes all.
    max_objects_per_image
        Of larger numbers of objects on an image so many are drawn; None takes all.
    max_objects
        Greatest number of objects in all, drawn from all images; None takes all. Reads all label files.
    max_objects_per_group
        Greatest number of objects of each group, drawn from all its images; None takes all. Reads all label files.
    seed
        Of all draws: the same seed gives the same objects.

    Returns
    -------
    Dataset
        In an order that is always the same.

    Raises
    ------
    ValueError
        If the name is unknown, a number is below 1, or a table is broken.
    FileNotFoundError
        If the root, or a file that its layout promises, is missing.
    """
    list_images = _layout(name)
    _require_positive("limit", limit)
    _require_positive("max_objects", max_objects)
    _require_positive("max_objects_per_group", max_objects_per_group)
    object_filter = ObjectFilter(min_object_px, max_objects_per_image, seed)
    root = Path(root).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(
            f"there is no folder '{root}'; expected the root of a '{name}' dataset. Check the path."
        )
    images = [image.filtering(object_filter) for image in list_images(root)]
    if limit is not None:
        images = spread_over_groups(images, limit, seed=seed)
    if max_objects_per_group is not None:
        images = with_objects_drawn_per_group(images, max_objects_per_group, seed=seed)
    if max_objects is not None:
        images = with_objects_drawn(images, max_objects, seed=seed)
    return Dataset(name, tuple(images))


def _layout(name: str) -> Callable[[Path], list[ImageSample]]:
    if name in DATASETS:
        return DATASETS[name]
    known = ", ".join(DATASETS)
    if name in _PLANNED:
        raise ValueError(
            f"dataset '{name}' is not supported yet; expected one of {known}. "
            "Export it as images/ and labels/ and use 'folder'."
        )
    raise ValueError(f"there is no dataset layout '{name}'; expected one of {known}. Check the spelling.")


def _require_positive(name: str, number: int | None) -> None:
    if number is not None and number < 1:
        raise ValueError(f"{name} is {number}; expected at least 1, or None for all.")
