"""Volumes that belong together: images of one body or block and labels of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_segnext.errors import VolumeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_segnext.volumes.volume import Volume


@dataclass(frozen=True, slots=True, eq=False)
class VolumeCase:
    """Volumes of one grid: images of one body or block, and labels of them.

    Attributes
    ----------
    name
        What to call the case.
    images
        By name, such as `"t1"` or `"raw"`, in a fixed order; at least one.
    labels
        By name, such as `"seg"` or `"mitochondria"`; may be empty.
    label_names
        Label → what it stands for, such as `{2: "oedema"}`, for all of `labels`; empty if unknown.

    Raises
    ------
    VolumeError
        If there is no image, or the volumes differ in shape or place.
    """

    name: str
    images: Mapping[str, Volume]
    labels: Mapping[str, Volume] = field(default_factory=dict)
    label_names: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.images:
            raise VolumeError(f"case '{self.name}' has no image; expected at least one. Check the folder.")
        first_name, first = next(iter(self.images.items()))
        for name, volume in (*self.images.items(), *self.labels.items()):
            if volume.shape_zyx != first.shape_zyx:
                raise VolumeError(
                    f"'{name}' of case '{self.name}' has {volume.shape_zyx} voxels and '{first_name}' "
                    f"{first.shape_zyx}; expected one grid. Check that the files belong together."
                )
            if not _is_same_place(volume, first):
                raise VolumeError(
                    f"'{name}' of case '{self.name}' lies elsewhere than '{first_name}': their affines or spacings "
                    "differ; expected registered volumes. Resample one onto the other."
                )


def _is_same_place(one: Volume, other: Volume) -> bool:
    """Whether voxels lie within a tenth of a voxel of each other."""
    if not np.allclose(one.spacing, other.spacing, rtol=1e-3):
        return False
    if one.affine is None or other.affine is None:
        return True
    corners = np.array([(*np.where(bits, one.shape_zyx, 1), 2) for bits in np.ndindex(2, 2, 2)]) - 1
    apart = np.abs(corners @ (one.affine - other.affine).T)
    return bool(apart.max() < 0.1 * min(one.spacing))
