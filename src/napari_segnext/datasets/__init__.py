"""Labelled images by name: what training and evaluation read.

1. `open_dataset` looks up the layout by name and lists the images; pixels are read only where slices must be found.
2. A `Dataset` is iterated for its `ImageSample`s, always in the same order.
3. `ImageSample.read` gives image, labels and objects at once, so that an image is encoded once for all its objects.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_segnext.datasets.brats import list_brats
from napari_segnext.datasets.brats_nifti import list_brats_nifti
from napari_segnext.datasets.davis import list_davis
from napari_segnext.datasets.folder import list_folder
from napari_segnext.datasets.hqseg44k import list_hqseg44k
from napari_segnext.datasets.layered.held_out import MAX_PER_SCENE, MIN_HELD_OUT_PX, list_held_out
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

DRAWN = ("layered",)
"""Data sets that are drawn here and have no root."""

_PLANNED = ("coco_lvis",)

__all__ = ["DATASETS", "DRAWN", "Dataset", "ImageSample", "LoadedImage", "ObjectFilter", "ObjectSample", "open_dataset"]


def open_dataset(
    name: str,
    root: Path | str | None = None,
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
        Layout, one of `DATASETS`, or ``"layered"``: scenes with known depth, drawn here, a group for each family.
    root
        Folder of the dataset; None for one that is drawn.
    min_object_px
        Objects with fewer pixels are left out; of layered scenes, those with fewer than 100 in any case.
    limit
        Greatest number of images, spread over the groups; None takes all.
    max_objects_per_image
        Of larger numbers of objects on an image so many are drawn; None takes all, of layered scenes 3.
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
        If the name is unknown, a number is below 1, a table is broken, or a root is missing or needless.
    FileNotFoundError
        If the root, or a file that its layout promises, is missing.
    """
    _require_known(name)
    _require_positive("limit", limit)
    _require_positive("max_objects", max_objects)
    _require_positive("max_objects_per_group", max_objects_per_group)
    images = _list_images(name, root, ObjectFilter(min_object_px, max_objects_per_image, seed))
    if limit is not None:
        images = spread_over_groups(images, limit, seed=seed)
    if max_objects_per_group is not None:
        images = with_objects_drawn_per_group(images, max_objects_per_group, seed=seed)
    if max_objects is not None:
        images = with_objects_drawn(images, max_objects, seed=seed)
    return Dataset(name, tuple(images))


def _list_images(name: str, root: Path | str | None, object_filter: ObjectFilter) -> list[ImageSample]:
    if name in DRAWN:
        if root is not None:
            raise ValueError(
                f"the root of '{name}' is '{root}'; expected none, for its images are drawn. Leave it out."
            )
        drawn_filter = replace(
            object_filter,
            min_object_px=max(object_filter.min_object_px, MIN_HELD_OUT_PX),
            max_per_image=object_filter.max_per_image or MAX_PER_SCENE,
        )
        return [image.filtering(drawn_filter) for image in list_held_out()]
    if root is None:
        raise ValueError(f"dataset '{name}' has no root; expected the folder that it lies in. Name it.")
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(
            f"there is no folder '{folder}'; expected the root of a '{name}' dataset. Check the path."
        )
    return [image.filtering(object_filter) for image in DATASETS[name](folder)]


def _require_known(name: str) -> None:
    if name in DATASETS or name in DRAWN:
        return
    known = ", ".join((*DATASETS, *DRAWN))
    if name in _PLANNED:
        raise ValueError(
            f"dataset '{name}' is not supported yet; expected one of {known}. "
            "Export it as images/ and labels/ and use 'folder'."
        )
    raise ValueError(f"there is no dataset layout '{name}'; expected one of {known}. Check the spelling.")


def _require_positive(name: str, number: int | None) -> None:
    if number is not None and number < 1:
        raise ValueError(f"{name} is {number}; expected at least 1, or None for all.")
