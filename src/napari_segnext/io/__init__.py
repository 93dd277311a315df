"""Files ↔ arrays and volumes."""

from napari_segnext.io.brats_case import is_brats_case, read_brats_case
from napari_segnext.io.image_folder import list_images, read_image_files, read_image_folder
from napari_segnext.io.images import (
    IMAGE_SUFFIXES,
    LABEL_SUFFIXES,
    read_image,
    read_image_size,
    require_label_suffix,
    write_labels,
)
from napari_segnext.io.label_values import as_labels
from napari_segnext.io.nifti import NIFTI_SUFFIXES, read_nifti, read_nifti_shape
from napari_segnext.io.ome_zarr import is_zarr, read_zarr_labels
from napari_segnext.io.sstem_folder import is_sstem_folder, read_sstem_folder
from napari_segnext.io.units import LONG_NAMES, unit_named
from napari_segnext.io.volume_files import LABEL_VOLUME_SUFFIXES, read_volume, write_labels_volume

__all__ = [
    "IMAGE_SUFFIXES",
    "LABEL_SUFFIXES",
    "LABEL_VOLUME_SUFFIXES",
    "LONG_NAMES",
    "NIFTI_SUFFIXES",
    "as_labels",
    "is_brats_case",
    "is_sstem_folder",
    "is_zarr",
    "list_images",
    "read_brats_case",
    "read_image",
    "read_image_files",
    "read_image_folder",
    "read_image_size",
    "read_nifti",
    "read_nifti_shape",
    "read_sstem_folder",
    "read_volume",
    "read_zarr_labels",
    "require_label_suffix",
    "unit_named",
    "write_labels",
    "write_labels_volume",
]
