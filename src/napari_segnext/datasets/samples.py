"""What a dataset is made of: images, read when they are needed, and their objects."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from napari_segnext.datasets.files import read_depth_file, read_image_file, read_label_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_segnext._types import Image

    LabelReader: TypeAlias = Callable[[Path], NDArray[np.int64]]
    """File → `(H, W)` int64: 0 background, 1 and up one object each, below 0 ignored."""

    PixelReader: TypeAlias = Callable[[Path], Image]
    """File → `(H, W)` or `(H, W, 3)` array."""

    DepthReader: TypeAlias = Callable[[Path], NDArray[np.float32]]
    """File → `(H, W)` float32 inverse depth, larger is nearer; NaN where it is unknown."""


@dataclass(frozen=True, slots=True)
class ObjectFilter:
    """Which objects of an image count.

    Attributes
    ----------
    min_object_px
        Objects with fewer pixels are left out; they are background then.
    max_per_image
        Of larger numbers of objects so many are drawn; None keeps all.
    seed
        Of the draw, which depends on the image's id, too, but on no other image.
    only
        If not None, the labels that count at all.
    """

    min_object_px: int = 1
    max_per_image: int | None = None
    seed: int = 0
    only: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.min_object_px < 1:
            raise ValueError(f"min_object_px is {self.min_object_px}; expected at least 1 pixel.")
        if self.max_per_image is not None and self.max_per_image < 1:
            raise ValueError(f"max_objects_per_image is {self.max_per_image}; expected at least 1, or None for all.")

    def chosen_labels(self, labels: NDArray[np.int64], image_id: str) -> tuple[int, ...]:
        """Labels of the objects that count, ascending."""
        values, counts = np.unique(labels, return_counts=True)
        kept = values[(values > 0) & (counts >= self.min_object_px)]
        if self.only is not None:
            kept = kept[np.isin(kept, self.only)]
        if self.max_per_image is not None and len(kept) > self.max_per_image:
            rng = np.random.default_rng([self.seed, zlib.crc32(image_id.encode())])
            kept = np.sort(rng.choice(kept, self.max_per_image, replace=False))
        return tuple(int(value) for value in kept)


@dataclass(frozen=True, slots=True)
class ImageSample:
    """An image with labelled objects, not read yet.

    Attributes
    ----------
    id
        Unique within the dataset.
    group
        Its domain, for results by group.
    image_path, label_path
        Its files; several samples may share them, as slices of a volume do.
    read_label
        Makes labels of the label file; belongs to the layout of the dataset.
    object_filter
        Which of the objects count.
    read_pixels
        Makes the image of the image file; belongs to the layout, too.
    depth_path
        File with the depth of every pixel, or None.
    read_depth
        Makes the depth of that file.
    """

    id: str
    group: str
    image_path: Path
    label_path: Path
    read_label: LabelReader = field(default=read_label_file, repr=False)
    object_filter: ObjectFilter = ObjectFilter()
    read_pixels: PixelReader = field(default=read_image_file, repr=False)
    depth_path: Path | None = None
    read_depth: DepthReader = field(default=read_depth_file, repr=False)

    def read_image(self) -> Image:
        """`(H, W)` or `(H, W, 3)` array, as in the file.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it cannot be read as an image.
        """
        return self.read_pixels(self.image_path)

    def read_labels(self) -> NDArray[np.int64]:
        """`(H, W)` int64: 0 background, 1 and up one object each, below 0 ignored.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it cannot be read as labels.
        """
        return self.read_label(self.label_path)

    def read_objects(self) -> tuple[ObjectSample, ...]:
        """Objects that count, by ascending label; reads the label file only."""
        return self._objects(self.read_labels())

    def read(self) -> LoadedImage:
        """Image, labels, objects and, if there is one, depth.

        Raises
        ------
        FileNotFoundError
            If a file is missing.
        ValueError
            If a file cannot be read, or image, labels and depth differ in size.
        """
        image, labels = self.read_image(), self.read_labels()
        self._check_size(image.shape, self.label_path, labels.shape)
        depth = None
        if self.depth_path is not None:
            depth = self.read_depth(self.depth_path)
            self._check_size(image.shape, self.depth_path, depth.shape)
        return LoadedImage(image, labels, self._objects(labels), depth)

    def filtering(self, object_filter: ObjectFilter) -> ImageSample:
        """The same image with another choice of objects."""
        return replace(self, object_filter=object_filter)

    def _check_size(self, image_shape: tuple[int, ...], path: Path, shape: tuple[int, ...]) -> None:
        if image_shape[:2] != shape:
            raise ValueError(
                f"'{self.image_path}' has {image_shape[0]} × {image_shape[1]} pixels and '{path}' "
                f"{shape[0]} × {shape[1]}; expected equal sizes. Check that the files belong together."
            )

    def _objects(self, labels: NDArray[np.int64]) -> tuple[ObjectSample, ...]:
        chosen = self.object_filter.chosen_labels(labels, self.id)
        return tuple(ObjectSample(f"{self.id}:{label}", self.group, self, label) for label in chosen)


@dataclass(frozen=True, slots=True)
class ObjectSample:
    """One object on one image, not read yet.

    Attributes
    ----------
    id
        Id of the image, a colon, and the label; unique within the dataset.
    group
        Group of the image.
    image
        The image.
    label
        Value of the object's pixels in the image's labels.
    """

    id: str
    group: str
    image: ImageSample
    label: int

    def read_image(self) -> Image:
        """`(H, W)` or `(H, W, 3)` array, as in the file."""
        return self.image.read_image()

    def read_truth(self) -> NDArray[np.int8]:
        """`(H, W)` int8: 1 object, 0 background and other objects, -1 ignored."""
        return _truth(self.image.read_labels(), self.label)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedImage:
    """An image with its labels in memory.

    Attributes
    ----------
    image
        `(H, W)` or `(H, W, 3)`, as in the file.
    labels
        `(H, W)` int64: 0 background, 1 and up one object each, below 0 ignored.
    objects
        Those that count, by ascending label; may be empty.
    depth
        `(H, W)` float32 inverse depth, larger is nearer, in any unit and from any zero; NaN where it is unknown.
        None if the data set has none.
    """

    image: Image
    labels: NDArray[np.int64]
    objects: tuple[ObjectSample, ...]
    depth: NDArray[np.float32] | None = None

    def truth_of(self, item: ObjectSample) -> NDArray[np.int8]:
        """`(H, W)` int8 of one of the objects: 1 object, 0 background and other objects, -1 ignored."""
        return _truth(self.labels, item.label)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Images with objects, in an order that is always the same.

    Attributes
    ----------
    name
        Name of the layout.
    images
        All images, not read yet.
    """

    name: str
    images: tuple[ImageSample, ...]

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[ImageSample]:
        return iter(self.images)

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups, sorted."""
        return tuple(sorted({image.group for image in self.images}))


def _truth(labels: NDArray[np.int64], label: int) -> NDArray[np.int8]:
    return np.where(labels < 0, np.int8(-1), (labels == label).astype(np.int8))
