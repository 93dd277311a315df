"""Smaller datasets that are the same at every call."""

from __future__ import annotations

import zlib
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_segnext.datasets.samples import ImageSample


def spread_over_groups(images: Sequence[ImageSample], n_images: int, *, seed: int) -> list[ImageSample]:
    """Draw images from each group in turn, so that small groups are heard, too.

    Parameters
    ----------
    images
        All images.
    n_images
        Greatest number to draw.
    seed
        Of the draw.

    Returns
    -------
    list of ImageSample
        In the order of `images`. A smaller draw with the same seed is part of a larger one.
    """
    rng = np.random.default_rng(seed)
    waiting: defaultdict[str, list[int]] = defaultdict(list)
    for index in rng.permutation(len(images)):
        waiting[images[index].group].append(int(index))
    turns = [(turn, group, index) for group, indices in waiting.items() for turn, index in enumerate(indices)]
    drawn = sorted(index for _, _, index in sorted(turns)[:n_images])
    return [images[index] for index in drawn]


def with_objects_drawn(images: Sequence[ImageSample], n_objects: int, *, seed: int) -> list[ImageSample]:
    """Draw objects evenly from all images; each object is as likely as any other.

    Parameters
    ----------
    images
        All images; their label files are read.
    n_objects
        Greatest number to draw.
    seed
        Of the draw.

    Returns
    -------
    list of ImageSample
        Those with a drawn object, narrowed down to the drawn ones, in the order of `images`.
    """
    objects = _objects_of(images)
    order = np.random.default_rng(seed).permutation(len(objects))
    return _narrowed_to(images, [objects[position] for position in sorted(order[:n_objects])])


def with_objects_drawn_per_group(images: Sequence[ImageSample], n_objects: int, *, seed: int) -> list[ImageSample]:
    """Draw as many objects from each group, so that all groups are heard evenly.

    Parameters
    ----------
    images
        All images; their label files are read.
    n_objects
        Greatest number to draw of each group; smaller groups are taken whole.
    seed
        Of the draw, which depends on the name of the group, too, but on no other group.

    Returns
    -------
    list of ImageSample
        Those with a drawn object, narrowed down to the drawn ones, in the order of `images`. A smaller draw with the
        same seed is part of a larger one.
    """
    by_group: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for index, label in _objects_of(images):
        by_group[images[index].group].append((index, label))
    drawn = []
    for group, objects in by_group.items():
        rng = np.random.default_rng([seed, zlib.crc32(group.encode())])
        drawn += [objects[position] for position in rng.permutation(len(objects))[:n_objects]]
    return _narrowed_to(images, sorted(drawn))


def _objects_of(images: Sequence[ImageSample]) -> list[tuple[int, int]]:
    """Index of the image and label, of each object."""
    return [(index, item.label) for index, image in enumerate(images) for item in image.read_objects()]


def _narrowed_to(images: Sequence[ImageSample], objects: Sequence[tuple[int, int]]) -> list[ImageSample]:
    """Images with some of these objects, given in order, and no others."""
    drawn: defaultdict[int, list[int]] = defaultdict(list)
    for index, label in objects:
        drawn[index].append(label)
    return [_narrowed(images[index], tuple(labels)) for index, labels in sorted(drawn.items())]


def _narrowed(image: ImageSample, labels: tuple[int, ...]) -> ImageSample:
    return image.filtering(replace(image.object_filter, only=labels, max_per_image=None))
