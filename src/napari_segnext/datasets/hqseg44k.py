"""Layout ``hqseg44k``: the four validation sets of HQSeg-44K, in the folders in which they are published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segnext.datasets.files import image_files, matched_by_stem, read_mask_file
from napari_segnext.datasets.samples import ImageSample

if TYPE_CHECKING:
    from pathlib import Path

VALIDATION_SETS = {
    "DIS-VD": ("DIS5K/DIS-VD/im", "DIS5K/DIS-VD/gt"),
    "ThinObject5K": (
        "thin_object_detection/ThinObject5K/images_test",
        "thin_object_detection/ThinObject5K/masks_test",
    ),
    "COIFT": ("thin_object_detection/COIFT/images", "thin_object_detection/COIFT/masks"),
    "HRSOD": ("thin_object_detection/HRSOD/images", "thin_object_detection/HRSOD/masks"),
}
"""Name of the set (its group) → folders of images and masks below the root."""


def list_hqseg44k(root: Path) -> list[ImageSample]:
    """Images of all four sets; every image holds one object, all that is not black in its mask."""
    samples = []
    for name, (images, masks) in VALIDATION_SETS.items():
        for stem, image, mask in matched_by_stem(image_files(root / images), image_files(root / masks)):
            samples.append(ImageSample(f"{name}/{stem}", name, image, mask, read_mask_file))
    return samples
