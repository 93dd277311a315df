"""zarr arrays and OME-Zarr images in, lazily; labels as OME-Zarr 0.4 out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext._whole_file import whole_folder
from napari_segnext.errors import VolumeError
from napari_segnext.io.label_values import as_labels
from napari_segnext.io.units import LONG_NAMES, in_unit, unit_named
from napari_segnext.io.volume_parts import built_volume, name_of, placed_axes, rearranged, spacing_of_axes
from napari_segnext.volumes import READ_ERRORS, VolumeSource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_segnext.io.volume_parts import PlacedAxes
    from napari_segnext.volumes import LazyArray, Volume

ZARR_SUFFIX = ".zarr"

FORMAT = "zarr"

_MARKS = (".zarray", ".zgroup", ".zattrs", "zarr.json")
"""Files that make a folder zarr."""

_OLD_AXES = ("t", "c", "z", "y", "x")
"""Of OME-Zarr before 0.3, which did not name them."""

_NAMES = {"time": "t", "channel": "c", "channels": "c", "t": "t", "c": "c", "z": "z", "y": "y", "x": "x"}

_AXES_BY_NUMBER = {2: ("y", "x"), 3: ("z", "y", "x"), 4: ("t", "z", "y", "x")}
"""Of arrays that do not name them."""

_MAX_COLOURS = 4

_CHUNK_PX = 1024
"""Longest side of a chunk that is written; each holds one slice or a part of it."""


def is_zarr(path: Path) -> bool:
    """Whether the path is a folder with zarr in it, or named so."""
    return path.is_dir() and (path.suffix.lower() == ZARR_SUFFIX or any((path / mark).is_file() for mark in _MARKS))


def read_zarr(path: Path) -> Volume:
    """Read a zarr array or an OME-Zarr image (0.1 to 0.5) lazily, all levels of its pyramid kept.

    An array that does not name its axes is (Z, Y, X), or (T, Z, Y, X), or (Z, Y, X, C) if its last axis has 3 or 4.

    Parameters
    ----------
    path
        A folder.

    Returns
    -------
    Volume
        `(Z, Y, X)`, with channels last and time first where there are such; dtype as stored.

    Raises
    ------
    VolumeError
        If the folder is broken or holds no single image.
    """
    import zarr

    node = _opened(path)
    try:
        if isinstance(node, zarr.Array):
            return _read_array(node, path)
        return _read_group(node, path)
    except VolumeError:
        raise
    except (*READ_ERRORS, AttributeError) as error:
        raise VolumeError(
            f"'{path}' cannot be read as OME-Zarr ({type(error).__name__}: {str(error)[:120]}); "
            "expected an image with metadata as published. Save it anew."
        ) from error


def read_zarr_labels(path: Path | str) -> dict[str, Volume]:
    """Labels that lie in an OME-Zarr image, by name; empty if there are none; raises as `read_zarr`."""
    path = Path(path)
    names = _attributes(_opened(path / "labels")).get("labels", []) if (path / "labels").is_dir() else []
    return {str(name): as_labels(read_zarr(path / "labels" / str(name))) for name in names}


def write_zarr_labels(path: Path, labels: LazyArray, like: Volume) -> None:
    """Write labels slice by slice as OME-Zarr 0.4 of one level, with axes, spacing, unit and place of a volume.

    Parameters
    ----------
    path
        Ends in .zarr; a zarr folder there is replaced.
    labels
        `(Z, Y, X)` or `(T, Z, Y, X)` unsigned integers, maybe lazy.
    like
        The volume that was labelled.

    Raises
    ------
    VolumeError
        If something that is no zarr lies there.
    """
    import zarr

    if path.exists() and not (path.is_dir() and any((path / mark).is_file() for mark in _MARKS)):
        raise VolumeError(f"'{path}' exists and is no zarr folder; expected a free name. Choose another one.")
    shape = tuple(int(n) for n in labels.shape)
    with whole_folder(path) as unfinished:
        group = zarr.open_group(str(unfinished), mode="w", zarr_format=2, attributes=_written_attributes(shape, like))
        array = group.create_array(
            "0",
            shape=shape,
            chunks=(*(1,) * (len(shape) - 2), min(shape[-2], _CHUNK_PX), min(shape[-1], _CHUNK_PX)),
            dtype=np.dtype(labels.dtype),
            fill_value=0,
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        for index in np.ndindex(shape[:-2]):
            array[index] = np.asarray(labels[index])


def _opened(path: Path) -> Any:
    import zarr

    try:
        return zarr.open(str(path), mode="r")
    except (*READ_ERRORS, AttributeError) as error:
        raise VolumeError(
            f"'{path}' cannot be read as zarr ({type(error).__name__}: {str(error)[:120]}); expected a zarr array "
            "or an OME-Zarr image. Copy it whole, or save it anew."
        ) from error


def _attributes(node: Any) -> dict[str, Any]:
    """Those of the node; OME-Zarr 0.5 keeps its own one floor down."""
    attributes = dict(node.attrs)
    ome = attributes.get("ome")
    return {**attributes, **ome} if isinstance(ome, dict) else attributes


def _read_array(array: Any, path: Path) -> Volume:
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS") or ()
    axes_names = tuple(_NAMES.get(str(name).lower(), "") for name in names)
    if not {"y", "x"} <= set(axes_names) or len(axes_names) != array.ndim:
        axes_names = _AXES_BY_NUMBER.get(array.ndim, ("",) * array.ndim)
        if array.ndim == 4 and 2 < array.shape[-1] <= _MAX_COLOURS:
            axes_names = ("z", "y", "x", "c")
    axes = placed_axes(axes_names, array.shape, path)
    return built_volume(
        path,
        array=rearranged(array, axes.order, axes.fixed),
        axis_names=axes.names,
        name=name_of(path),
        source=VolumeSource(path, FORMAT),
    )


def _read_group(group: Any, path: Path) -> Volume:
    attributes = _attributes(group)
    multiscales = attributes.get("multiscales")
    if not multiscales:
        return _read_only_member(group, attributes, path)
    multiscale = multiscales[0]
    arrays = [group[str(dataset["path"])] for dataset in multiscale["datasets"]]
    described = [
        {"name": axis} if isinstance(axis, str) else axis
        for axis in multiscale.get("axes", _OLD_AXES[-arrays[0].ndim :])
    ]
    names = tuple(_NAMES.get(str(axis["name"]).lower(), "") for axis in described)
    axes = placed_axes(names, arrays[0].shape, path)
    levels = [rearranged(array, axes.order, axes.fixed) for array in arrays]
    scale, translation = _place(multiscale, len(names))
    units = {name: unit_named(axis.get("unit")) for name, axis in zip(names, described, strict=True)}
    unit = units["x"]

    def along_zyx(sizes: Sequence[float], missing: float) -> tuple[float, ...]:
        """A number for each of Z, Y and X, all in the unit of X."""
        return tuple(
            in_unit((float(sizes[names.index(name)]),), units[name], unit)[0] if name in names else missing
            for name in ("z", "y", "x")
        )

    time_step = float(scale[names.index("t")]) if "t" in names else 1.0
    return built_volume(
        path,
        array=levels[0],
        levels=tuple(levels) if len(levels) > 1 else (),
        spacing=spacing_of_axes(axes, along_zyx(scale, 1.0), time_step),
        unit=unit,
        axis_names=axes.names,
        time_step=time_step,
        time_unit=units.get("t", ""),
        channel_names=_channel_names(attributes, axes, levels[0].shape[-1]),
        name=name_of(path),
        is_labels="image-label" in attributes,
        source=VolumeSource(path, FORMAT, translation=along_zyx(translation, 0.0)),
    )


def _read_only_member(group: Any, attributes: Mapping[str, Any], path: Path) -> Volume:
    """The image of a group that is none itself: the first series of a converted file, or its only array."""
    if "bioformats2raw.layout" in attributes and (path / "0").is_dir() and not (path / "1").is_dir():
        return read_zarr(path / "0")
    arrays = [name for name, _ in group.arrays()]
    if len(arrays) != 1:
        inside = ", ".join(sorted(name for name, _ in group.members())[:5]) or "nothing"
        raise VolumeError(
            f"'{path}' is a zarr group with {inside} in it; expected an array or one OME-Zarr image. "
            f"Name what is wanted, such as '{path}/0'."
        )
    return _read_array(group[arrays[0]], path)


def _place(multiscale: Mapping[str, Any], n_axes: int) -> tuple[list[float], list[float]]:
    """Size of a voxel, and place of the first one, along each of the file's axes, at the finest level."""
    scale, translation = np.ones(n_axes), np.zeros(n_axes)
    for step in (
        *multiscale["datasets"][0].get("coordinateTransformations", ()),
        *multiscale.get("coordinateTransformations", ()),
    ):
        if step.get("type") == "scale":
            scale, translation = scale * step["scale"], translation * step["scale"]
        elif step.get("type") == "translation":
            translation = translation + step["translation"]
    return scale.tolist(), translation.tolist()


def _channel_names(attributes: Mapping[str, Any], axes: PlacedAxes, n_channels: int) -> tuple[str, ...]:
    if not axes.has_channels:
        return ()
    described = attributes.get("omero", {}).get("channels", [])
    names = [str(channel.get("label", "")) for channel in described]
    names = names if len(names) == n_channels else [""] * n_channels
    return tuple(name or f"channel {number}" for number, name in enumerate(names, start=1))


def _written_attributes(shape: tuple[int, ...], like: Volume) -> dict[str, Any]:
    names = like.axis_names[-len(shape) :]
    axes: list[dict[str, str]] = []
    for name in names:
        unit = like.time_unit if name == "t" else like.unit
        axes.append(
            {"name": name, "type": "time" if name == "t" else "space"}
            | ({"unit": LONG_NAMES[unit]} if unit in LONG_NAMES else {})
        )
    scale = [*([like.time_step] if len(shape) > 3 else []), *like.spacing]
    steps: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
    if like.source is not None and any(like.source.translation):
        steps.append({"type": "translation", "translation": [0.0] * (len(shape) - 3) + list(like.source.translation)})
    multiscale = {
        "version": "0.4",
        "name": like.name,
        "axes": axes,
        "datasets": [{"path": "0", "coordinateTransformations": steps}],
    }
    return {"multiscales": [multiscale], "image-label": {"version": "0.4"}}
