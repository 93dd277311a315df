"""Volumes as napari layers: NIfTI, zarr, and folders of BraTS cases, ssTEM stacks and numbered images."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_segnext.errors import VolumeError
from napari_segnext.io import (
    LONG_NAMES,
    NIFTI_SUFFIXES,
    as_labels,
    is_brats_case,
    is_sstem_folder,
    is_zarr,
    list_images,
    read_brats_case,
    read_sstem_folder,
    read_volume,
    read_zarr_labels,
)
from napari_segnext.volumes import VOLUME_NOTE, channel_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_segnext.volumes import LazyArray, Volume, VolumeCase

LayerData: TypeAlias = tuple[Any, dict[str, Any], str]

MAX_LABELS_IN_MEMORY_BYTES = 2 * 2**30
"""Labels up to this size are read whole, so that they can be painted on; larger ones stay lazy and read-only."""

_LABEL_NAME = re.compile(r".*[-_ .](seg|segmentation|labels?|labelmap|mask)", re.IGNORECASE)
"""Names by which NIfTI files with labels are known, as the format's own mark is seldom used."""

_N_SAMPLED_SLICES = 3
_SAMPLED_PX = 256
_PERCENTILES = (0.5, 99.8)


def get_reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], list[LayerData]] | None:
    """The reader of a path, or None if it is not for us; decided by suffix and layout, no file is opened.

    Parameters
    ----------
    path
        A file or folder, or a list of one.
    """
    paths = [Path(path)] if isinstance(path, str) else [Path(one) for one in path]
    if len(paths) != 1:
        return None
    return _read_layers if _is_ours(paths[0]) else None


def layers_of_volume(volume: Volume) -> list[LayerData]:
    """One labels layer or image layer, or an image layer for each channel, with scale, units and axis labels.

    Parameters
    ----------
    volume
        Shown as labels if it says that it holds them.
    """
    if volume.is_labels:
        return [_labels_layer(volume)]
    if not volume.has_channels or volume.is_rgb:
        return [_image_layer(volume, [*volume.levels] or [volume.array], volume.name)]
    channels = [channel_of(volume, index) for index in range(volume.n_channels)]
    return [_image_layer(volume, [*one.levels] or [one.array], one.name, blending="additive") for one in channels]


def layers_of_case(case: VolumeCase) -> list[LayerData]:
    """An image layer for each image of a case, all but the last hidden, and a labels layer for each of its labels."""
    layers = []
    last = list(case.images)[-1]
    for name, volume in case.images.items():
        layers += [
            (data, {**attributes, "visible": name == last}, kind) for data, attributes, kind in layers_of_volume(volume)
        ]
    for number, volume in enumerate(case.labels.values()):
        data, attributes, kind = _labels_layer(volume, case.label_names)
        layers.append((data, {**attributes, "visible": number == 0}, kind))
    return layers


def _is_ours(path: Path) -> bool:
    if not path.is_dir():
        return path.name.lower().endswith(NIFTI_SUFFIXES)
    return is_zarr(path) or is_sstem_folder(path) or is_brats_case(path) or bool(list_images(path))


def _read_layers(path: str | Sequence[str]) -> list[LayerData]:
    return _layers_at(Path(path if isinstance(path, str) else path[0]))


def _layers_at(path: Path) -> list[LayerData]:
    if path.is_dir() and not is_zarr(path):
        if is_sstem_folder(path):
            return layers_of_case(read_sstem_folder(path))
        if is_brats_case(path):
            return layers_of_case(read_brats_case(path))
    volume = read_volume(path)
    if is_zarr(path):
        inside = read_zarr_labels(path) if not volume.is_labels else {}
        return layers_of_volume(volume) + [layer for labels in inside.values() for layer in layers_of_volume(labels)]
    if volume.is_labels or (volume.source is not None and _LABEL_NAME.fullmatch(volume.name)):
        # named like labels, it may still hold channels or numbers with fractions
        with contextlib.suppress(VolumeError):
            volume = as_labels(volume)
    return layers_of_volume(volume)


def _image_layer(volume: Volume, arrays: Sequence[LazyArray], name: str, **more: Any) -> LayerData:
    attributes = {**_place(volume), "name": name, **more}
    if volume.is_rgb:
        attributes["rgb"] = True
    else:
        attributes["contrast_limits"] = _contrast_limits(arrays[-1], volume)
    if len(arrays) > 1:
        return list(arrays), {**attributes, "multiscale": True}, "image"
    return arrays[0], attributes, "image"


def _labels_layer(volume: Volume, names: Mapping[int, str] | None = None) -> LayerData:
    labels = as_labels(volume)
    n_bytes = int(np.prod(labels.shape, dtype=np.int64)) * labels.dtype.itemsize
    data = np.array(labels.array[...]) if n_bytes <= MAX_LABELS_IN_MEMORY_BYTES else labels.array
    attributes = {**_place(volume), "name": volume.name}
    if names:
        attributes["features"] = {"index": [0, *names], "name": ["background", *names.values()]}
    return data, attributes, "labels"


def _place(volume: Volume) -> dict[str, Any]:
    """Where a layer lies; the volume itself goes along, for writers."""
    n_leading = int(volume.has_time)
    units = [*([volume.time_unit] * n_leading), *([volume.unit] * 3)]
    if volume.axis_names[0] == "t" and not n_leading:
        # time stands in for Z
        units[0] = volume.time_unit
    place: dict[str, Any] = {
        "scale": (*([volume.time_step] * n_leading), *volume.spacing),
        "units": tuple(LONG_NAMES.get(unit, "pixel") for unit in units),
        "axis_labels": volume.axis_names,
        "metadata": {VOLUME_NOTE: volume},
    }
    if volume.source is not None and any(volume.source.translation):
        place["translate"] = (*([0.0] * n_leading), *volume.source.translation)
    return place


def _contrast_limits(array: LazyArray, volume: Volume) -> tuple[float, float]:
    """Nearly the darkest and the brightest of a few slices; of uint8 the whole range."""
    if volume.dtype == np.uint8 and not volume.channel_names:
        return 0.0, 255.0
    n_slices = int(array.shape[-3])
    sampled = []
    for number in range(1, _N_SAMPLED_SLICES + 1):
        index = (0,) * (len(array.shape) - 3) + (n_slices * number // (_N_SAMPLED_SLICES + 1),)
        plane = np.asarray(array[index])
        step = max(1, max(plane.shape) // _SAMPLED_PX)
        sampled.append(plane[::step, ::step].astype(np.float64).ravel())
    values = np.concatenate(sampled)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = (float(limit) for limit in np.percentile(values, _PERCENTILES))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low, low + 1)
