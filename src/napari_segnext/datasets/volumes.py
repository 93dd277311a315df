"""Labelled volumes by name: what the evaluation of propagation reads.

1. `list_volumes` lists the volumes of a layout; pixels are read with `VolumeSample.read`.
2. Labels of a volume become objects in one of three ways: each label is one, all are one together (the classes of a
   tumour), or labels that hold for one slice only are linked from slice to slice (`linked_labels`).
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_segnext.datasets.phantoms import make_head_phantom, make_section_phantom
from napari_segnext.errors import VolumeError
from napari_segnext.volumes import Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    ObjectsAre = Literal["labels", "all labels together", "linked"]

TABLE = "volumes.csv"
_COLUMNS = ("id", "domain", "image", "label", "spacing", "n_labels")

MIN_LINK_IOU = 0.5
"""Least overlap of two regions on neighbouring slices that are one object."""

N_PHANTOMS = 4
"""Of each kind."""

_FIRST_SEED = 1000
"""Of the phantoms that are evaluated; others are for development."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedVolume:
    """A volume and its objects.

    Attributes
    ----------
    volume
        The image, of one time point.
    labels
        `(Z, Y, X)` whole numbers: 0 is background, each object has a number.
    are_linked
        Whether objects are regions of slices that overlap, so that one may seem to end where the linking broke.
    """

    volume: Volume
    labels: NDArray[np.integer]
    are_linked: bool = False

    def objects(self, *, min_slices: int = 5, min_voxels: int = 300, limit: int | None = None) -> tuple[int, ...]:
        """Labels of objects that lie on enough slices and have enough voxels, rising.

        Parameters
        ----------
        min_slices, min_voxels
            Least size.
        limit
            Of more objects so many are drawn, the same at every call.
        """
        found = []
        counts = np.bincount(self.labels.ravel())
        for label in np.flatnonzero(counts >= min_voxels):
            if label and np.count_nonzero((self.labels == label).any(axis=(1, 2))) >= min_slices:
                found.append(int(label))
        if limit is not None and len(found) > limit:
            found = sorted(np.random.default_rng(0).choice(found, limit, replace=False).tolist())
        return tuple(found)

    def has_known_ends(self, label: int) -> bool:
        """Whether the labels tell where an object ends, on either side.

        Those of linked regions do not where most of the last region lies on other regions of the next slice: there the
        object branches, or moved too far to be linked. The end of the volume counts as known.
        """
        if not self.are_linked:
            return True
        truth = self.labels == label
        holding = np.flatnonzero(truth.any(axis=(1, 2)))
        for last, beyond in ((holding[0], holding[0] - 1), (holding[-1], holding[-1] + 1)):
            if 0 <= beyond < len(truth) and np.mean(self.labels[beyond][truth[last]] > 0) > 0.5:
                return False
        return True


@dataclass(frozen=True, slots=True, eq=False)
class VolumeSample:
    """A labelled volume that is not read yet.

    Attributes
    ----------
    id, group
        Of the volume; results are reported by group.
    load
        Reads it.
    """

    id: str
    group: str
    load: Callable[[], LoadedVolume]

    def read(self) -> LoadedVolume:
        """Read image and labels.

        Raises
        ------
        VolumeError
            If one of them cannot be read, or they differ in shape.
        """
        loaded = self.load()
        if loaded.labels.shape != loaded.volume.shape_zyx:
            raise VolumeError(
                f"labels of volume '{self.id}' have shape {loaded.labels.shape}; expected {loaded.volume.shape_zyx}, "
                "that of the image. Check that the two belong together."
            )
        return loaded


def list_volumes(layout: str, root: Path | str | None = None) -> tuple[VolumeSample, ...]:
    """List the volumes of a layout.

    Parameters
    ----------
    layout
        ``"pack"``: a folder with `volumes.csv` (id, domain, image, label, spacing X × Y × Z, n_labels). Labels of
        images of domain ``mri`` are one object together; where `n_labels` is negative they are linked.
        ``"phantoms"``: heads and sections with known truth, made here; no root.
    root
        Folder of the pack.

    Raises
    ------
    ValueError
        If the layout is unknown, or its table is broken.
    FileNotFoundError
        If the root or its table is missing.
    """
    if layout == "phantoms":
        return _phantoms()
    if layout != "pack":
        raise ValueError(
            f"there is no layout of volumes '{layout}'; expected 'pack' or 'phantoms'. Check the spelling."
        )
    if root is None:
        raise FileNotFoundError(f"no root is given; expected the folder of {TABLE}. Name it.")
    return _pack(Path(root).expanduser())


def pair_of_files(image: Path, labels: Path, *, are_one: bool = False) -> VolumeSample:
    """A volume and its labels in files of any format that `read_volume` knows; `are_one` takes all labels together."""

    def load() -> LoadedVolume:
        from napari_segnext.io import read_volume

        volume, found = read_volume(image), read_volume(labels)
        array = np.asarray(found.array)
        return LoadedVolume(volume, (array > 0).astype(np.uint8) if are_one else array.astype(np.int64))

    return VolumeSample(image.name, "volume", load)


def linked_labels(labels: NDArray[np.integer], *, min_iou: float = MIN_LINK_IOU) -> NDArray[np.int32]:
    """Give regions that go on from slice to slice one number.

    Parameters
    ----------
    labels
        `(Z, Y, X)` whole numbers; regions of a slice have different numbers, which mean nothing on other slices.
    min_iou
        Least intersection over union with a region of the slice before; of several, the best one for both.

    Returns
    -------
    ndarray
        `(Z, Y, X)` int32; each object has a number, from 1 on.
    """
    linked = np.zeros(labels.shape, np.int32)
    n_known = 0
    for index, plane in enumerate(labels):
        numbers, dense = np.unique(plane, return_inverse=True)
        dense = dense.reshape(plane.shape)
        new = np.zeros(len(numbers), np.int32)
        before = linked[index - 1] if index else np.zeros_like(linked[0])
        for here, number_before in _best_pairs(dense, before, min_iou):
            if numbers[here]:
                new[here] = number_before
        for here in range(len(numbers)):
            if numbers[here] and not new[here]:
                n_known += 1
                new[here] = n_known
        linked[index] = new[dense]
    return linked


def _best_pairs(here: NDArray[np.integer], before: NDArray[np.integer], min_iou: float) -> list[tuple[int, int]]:
    """Pairs (region here, region before) that overlap most with each other."""
    n_before = int(before.max()) + 1
    both = np.bincount((here.astype(np.int64) * n_before + before).ravel())
    pairs = np.flatnonzero(both)
    sizes_here, sizes_before = np.bincount(here.ravel()), np.bincount(before.ravel(), minlength=n_before)
    overlaps: dict[tuple[int, int], float] = {}
    for pair in pairs.tolist():
        one, other = divmod(pair, n_before)
        if other:
            common = int(both[pair])
            overlaps[one, other] = common / (int(sizes_here[one]) + int(sizes_before[other]) - common)
    # IoU of at least a half is had with one region only; below that, the better one comes first
    taken_here: set[int] = set()
    taken_before: set[int] = set()
    found = []
    for (one, other), overlap in sorted(overlaps.items(), key=lambda item: -item[1]):
        if overlap < min_iou:
            break
        if one not in taken_here and other not in taken_before:
            taken_here.add(one)
            taken_before.add(other)
            found.append((one, other))
    return found


def _phantoms() -> tuple[VolumeSample, ...]:
    samples = []
    for group, make in (("phantom heads", make_head_phantom), ("phantom sections", make_section_phantom)):
        for number in range(N_PHANTOMS):

            def load(make: Callable[..., object] = make, seed: int = _FIRST_SEED + number) -> LoadedVolume:
                phantom = make(seed)
                return LoadedVolume(Volume(phantom.image, spacing=phantom.spacing), phantom.labels)  # type: ignore[attr-defined]

            samples.append(VolumeSample(f"{group} {number + 1}", group, load))
    return tuple(samples)


def _pack(root: Path) -> tuple[VolumeSample, ...]:
    path = root / TABLE
    if not path.is_file():
        raise FileNotFoundError(f"there is no {TABLE} in '{root}'; expected the root of a pack. Check the path.")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows, start=1):
        missing = [column for column in _COLUMNS if not row.get(column)]
        if missing:
            raise ValueError(
                f"'{path}' has nothing in column '{missing[0]}' of entry {number}; expected entries in "
                f"{', '.join(_COLUMNS)}. Complete the table."
            )
    return tuple(_sample(row, root) for row in rows)


def _sample(row: dict[str, str], root: Path) -> VolumeSample:
    objects_are: ObjectsAre = "labels"
    if int(row["n_labels"]) < 0:
        objects_are = "linked"
    elif row["domain"] == "mri":
        objects_are = "all labels together"
    # sections are told z first (50x4.6x4.6), files x first; where z differs, it is the odd one out
    spacing = [float(size) for size in row["spacing"].split("x")]
    if (root / row["image"]).is_file():
        spacing = spacing[::-1]

    def load() -> LoadedVolume:
        from dataclasses import replace

        from napari_segnext.io import read_volume

        image = root / row["image"]
        volume = read_volume(image)
        if image.is_dir():
            volume = replace(volume, spacing=tuple(spacing))
        labels = _objects(np.asarray(read_volume(root / row["label"]).array), objects_are)
        return LoadedVolume(volume, labels, are_linked=objects_are == "linked")

    return VolumeSample(row["id"], _group(row), load)


def _group(row: dict[str, str]) -> str:
    """Volumes whose ids differ in the patient's number only are one group."""
    return re.sub(r"_pat\d+_\d+|_\d{3}$", "", row["id"])


def _objects(labels: NDArray[np.integer], objects_are: ObjectsAre) -> NDArray[np.integer]:
    if objects_are == "all labels together":
        return (labels > 0).astype(np.uint8)
    return linked_labels(labels) if objects_are == "linked" else labels.astype(np.int64)


def groups_of(samples: Sequence[VolumeSample]) -> tuple[str, ...]:
    """Groups in the order in which they come."""
    return tuple(dict.fromkeys(sample.group for sample in samples))
