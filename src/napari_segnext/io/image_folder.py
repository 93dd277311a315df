"""Folders of numbered images, one slice each, and single images of one slice."""

from __future__ import annotations

import itertools
import logging
import re
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.errors import VolumeError
from napari_segnext.io.images import IMAGE_SUFFIXES, read_image, read_image_size
from napari_segnext.io.volume_parts import built_volume, required_folder
from napari_segnext.volumes import VolumeSource, key_of_each_axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_segnext.volumes import Volume

_KEPT_BYTES = 256 * 2**20
"""Images that were read last are kept up to this size, so that slices across files need not read all of them anew."""

_logger = logging.getLogger(__name__)


class ImageFilesArray:
    """`(Z, H, W)` or `(Z, H, W, C)` array over image files: a file is read when one of its pixels is asked for.

    Parameters
    ----------
    paths
        One image each, in the order of Z; the first is read at once and tells shape and dtype.
    is_mask
        Whether every pixel that is not 0 is read as 1 (uint8); of colours the first channel counts.
    keeps_palette_indices
        Whether images with a palette are read as its indices.
    """

    def __init__(self, paths: Sequence[Path], *, is_mask: bool = False, keeps_palette_indices: bool = False) -> None:
        self.paths = tuple(paths)
        self._is_mask = is_mask
        self._keeps_palette_indices = keeps_palette_indices
        self._kept: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()
        first = self._read(0)
        self.shape: tuple[int, ...] = (len(self.paths), *first.shape)
        self.dtype: np.dtype[Any] = first.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        first, *rest = key_of_each_axis(key, self.shape)
        inner = tuple(rest)
        if isinstance(first, int):
            return np.array(self._image(first)[inner])
        indices = range(*first.indices(len(self)))
        if not indices:
            return np.stack([self._image(0)[inner]])[:0]
        return np.stack([self._image(index)[inner] for index in indices])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        del copy
        array = self[...]
        return array if dtype is None else array.astype(dtype, copy=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": OrderedDict(), "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def _image(self, index: int) -> NDArray[Any]:
        """`(H, W)` or `(H, W, C)`, read or kept."""
        with self._lock:
            if index in self._kept:
                self._kept.move_to_end(index)
                return self._kept[index]
        image = self._read(index)
        if image.shape != self.shape[1:] or image.dtype != self.dtype:
            raise VolumeError(
                f"'{self.paths[index]}' has shape {image.shape} and dtype {image.dtype}, '{self.paths[0]}' "
                f"{self.shape[1:]} and {self.dtype}; expected equal ones. Save all slices alike."
            )
        with self._lock:
            self._kept[index] = image
            while len(self._kept) > 1 and len(self._kept) * image.nbytes > _KEPT_BYTES:
                self._kept.popitem(last=False)
        return image

    def _read(self, index: int) -> NDArray[Any]:
        image = read_image(self.paths[index], keeps_palette_indices=self._keeps_palette_indices)
        if self._is_mask and image.ndim > 2:
            image = image[..., 0]
        return (
            (image != 0).astype(np.uint8) if self._is_mask else image.astype(image.dtype.newbyteorder("="), copy=False)
        )


def list_images(folder: Path) -> list[Path]:
    """Images right in a folder, hidden ones left out, sorted by the numbers in their names; may be empty."""
    return sorted(
        (
            path
            for path in folder.iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
        ),
        key=_number_key,
    )


def read_image_folder(folder: Path | str, *, is_labels: bool = False, is_mask: bool = False) -> Volume:
    """Read a folder of images as slices; only the first is read now, of the others the size.

    Parameters
    ----------
    folder
        Holds images of one suffix and one size; other files are passed over.
    is_labels
        Whether the pixels are labels: of images with a palette the indices are taken, and colours are refused.
    is_mask
        Whether every pixel that is not 0 is label 1; of colours the first channel counts.

    Returns
    -------
    Volume
        `(Z, H, W)` or `(Z, H, W, C)`, spacing 1 without unit: image files tell no distance of slices.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no image in it.
    VolumeError
        If suffixes or sizes differ.
    ImageError
        If an image cannot be read.
    """
    folder = required_folder(folder)
    paths = list_images(folder)
    if not paths:
        raise FileNotFoundError(
            f"'{folder}' holds no image; expected files that end in {', '.join(IMAGE_SUFFIXES)}. Check the path."
        )
    return read_image_files(paths, path=folder, is_labels=is_labels, is_mask=is_mask)


def read_image_files(
    paths: Sequence[Path | str], *, path: Path | None = None, is_labels: bool = False, is_mask: bool = False
) -> Volume:
    """Read image files as slices, in the order in which they are given; otherwise as `read_image_folder` does.

    Parameters
    ----------
    paths
        At least one.
    path
        Where the volume is said to come from and what it is named after; None: the folder of the first file.
    is_labels, is_mask
        As in `read_image_folder`.

    Raises
    ------
    VolumeError
        If suffixes or sizes differ.
    ImageError
        If an image cannot be read.
    """
    files = [Path(file) for file in paths]
    path = path or files[0].parent
    _require_one_kind(files, path)
    array = ImageFilesArray(files, is_mask=is_mask, keeps_palette_indices=is_labels or is_mask)
    if is_labels and array.ndim > 3:
        raise VolumeError(
            f"'{files[0]}' is a colour image; expected labels, one whole number per pixel. Save label numbers instead."
        )
    for other in files[1:]:
        size = read_image_size(other)
        if size != array.shape[1:3]:
            raise VolumeError(
                f"'{other}' has {size[0]} × {size[1]} pixels and '{files[0]}' {array.shape[1]} × {array.shape[2]}; "
                "expected equal sizes. Move away what does not belong to the volume."
            )
    _tell_of_gaps(files)
    return built_volume(
        path,
        array=array,
        name=path.name,
        is_labels=is_labels or is_mask,
        source=VolumeSource(path, "folder"),
    )


def read_single_image(path: Path) -> Volume:
    """Read PNG, JPEG or BMP as a volume of one slice, `(1, H, W)` or `(1, H, W, C)`; raises as `read_image` does."""
    image = read_image(path)
    return built_volume(path, array=image[np.newaxis], name=path.stem, source=VolumeSource(path, "image"))


def _number_key(path: Path) -> list[tuple[int, int, str]]:
    """Sorts `slice2` before `slice10`."""
    parts = re.findall(r"\d+|\D+", path.name)
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part.lower()) for part in parts]


def _require_one_kind(paths: Sequence[Path], path: Path) -> None:
    suffixes = {".tif" if name.suffix.lower() == ".tiff" else name.suffix.lower() for name in paths}
    if len(suffixes) > 1:
        raise VolumeError(
            f"'{path}' holds images of several kinds ({', '.join(sorted(suffixes))}); expected one kind, "
            "a file for each slice. Move away what does not belong to the volume."
        )


def _tell_of_gaps(paths: Sequence[Path]) -> None:
    """Log where a number is missing: slices then lie further apart than spacing says."""
    numbers = [[int(digits) for digits in re.findall(r"\d+", path.stem)][-1:] for path in paths]
    steps = [b[0] - a[0] for a, b in itertools.pairwise(numbers) if a and b]
    if len(set(steps)) > 1:
        place = next(i for i, step in enumerate(steps) if step != min(steps))
        _logger.warning("between %s and %s slices seem to be missing", paths[place].name, paths[place + 1].name)
