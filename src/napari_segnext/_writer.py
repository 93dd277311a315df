"""Labels layers → NIfTI, TIFF and OME-Zarr, in the place of the volume on which they were drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.errors import VolumeError
from napari_segnext.io import unit_named, write_labels_volume
from napari_segnext.volumes import VOLUME_NOTE, Volume, VolumeSource

if TYPE_CHECKING:
    from napari_segnext.volumes import LazyArray

_N_AXES = (2, 3, 4)


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a labels layer to one file.

    Parameters
    ----------
    path
        Ends in .nii, .nii.gz, .tif, .tiff or .zarr.
    data
        `(Z, Y, X)`, `(Y, X)` or `(T, Z, Y, X)` whole numbers, maybe lazy; of several levels the finest.
    attributes
        Of the layer, as napari gives them. With a `Volume` of that shape in its metadata, the file has its geometry;
        otherwise scale, translation, units and axis labels of the layer.

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    VolumeError
        If the layer has other axes, or labels or path do not fit.
    FileNotFoundError
        If the folder does not exist.
    """
    return _written(path, data, attributes, per_object=False)


def write_objects(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write each object to a file of its own, with 1 inside and 0 elsewhere; otherwise as `write_labels`."""
    return _written(path, data, attributes, per_object=True)


def _written(path: str, data: Any, attributes: dict[str, Any], *, per_object: bool) -> list[str]:
    labels = data[0] if isinstance(data, Sequence) else data
    if len(labels.shape) not in _N_AXES:
        raise VolumeError(
            f"layer '{attributes.get('name', '')}' has shape {tuple(labels.shape)}; expected two to four axes. "
            "Save a part of it."
        )
    like = _volume_of_layer(labels, attributes)
    if len(labels.shape) == 2:
        labels = np.asarray(labels)[np.newaxis]
    paths = write_labels_volume(path, labels, like, per_object=per_object)
    return [str(one) for one in paths]


def _volume_of_layer(labels: LazyArray, attributes: dict[str, Any]) -> Volume:
    """The volume that is kept with the layer if it has its shape, else one of the layer's own geometry."""
    shape = tuple(int(n) for n in labels.shape)
    kept = attributes.get("metadata", {}).get(VOLUME_NOTE)
    if isinstance(kept, Volume) and shape in (kept.shape_zyx, kept.shape[: len(kept.axis_names)]):
        return kept
    scale = [abs(float(size)) or 1.0 for size in attributes.get("scale", (1.0,) * len(shape))]
    translate = [float(place) for place in attributes.get("translate", (0.0,) * len(shape))]
    units = [unit_named(unit) for unit in attributes.get("units", ("",) * len(shape))]
    has_time = len(shape) == 4
    missing_z = len(shape) == 2
    spatial = slice(int(has_time), None)
    return Volume(
        np.broadcast_to(np.uint8(0), (1, *shape) if missing_z else shape),
        spacing=tuple([1.0] * missing_z + scale[spatial]),
        unit=units[-1],
        axis_names=("t", "z", "y", "x") if has_time else ("z", "y", "x"),
        name=str(attributes.get("name", "")),
        time_step=scale[0] if has_time else 1.0,
        time_unit=units[0] if has_time else "",
        source=VolumeSource(Path(), "layer", translation=tuple([0.0] * missing_z + translate[spatial])),
    )
