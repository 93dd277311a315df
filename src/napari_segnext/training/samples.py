"""Images with labels → training samples: a crop, some of its objects, and first prompts for each."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import ndimage
from torch.utils.data import Dataset, Sampler

from napari_segnext.errors import ConfigError
from napari_segnext.session.preprocess import image_to_rgb
from napari_segnext.training.augment import Extent, random_crop_matrix, random_look, warp
from napari_segnext.training.prompt_simulation import simulate_start

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_segnext.training.config import StageConfig, TrainingConfig
    from napari_segnext.training.sources import Source

MIN_CROPPED_OBJECT_PX = 24
MAX_START_CLICKS = 96
MAX_DRAWS = 1000
_CACHED_BYTES_PER_PROCESS = 3_000_000_000
_BYTES_PER_OBJECT = 300


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """One crop with `K` prompted objects.

    Attributes
    ----------
    image
        `(3, S, S)` float32 in [0, 1].
    truths
        `(K, S, S)` bool.
    clicks
        `(K, n, 3)` float32: row, column, sign; sign 0 is padding.
    previous_masks
        `(K, S, S)` float32 in [0, 1].
    depth
        `(1, S, S)` float32, any scale, NaN where unknown; None if none is known.
    """

    image: Tensor
    truths: Tensor
    clicks: Tensor
    previous_masks: Tensor
    depth: Tensor | None = None


class SampleDataset(Dataset[TrainingSample]):
    """Samples by number; sample `i` is the same whenever and wherever it is drawn, so a run resumes exactly.

    Parameters
    ----------
    sources
        Images with labels.
    config
        Of the run; its seed, domain weights and prompt mix are used.
    stage
        Crop size and number of objects.
    click_spacing_px
        Distance of scribble clicks, in pixels of the crop: the radius of a disk.

    Raises
    ------
    ConfigError
        On reading a sample, if hardly any object is large enough.
    ValueError
        On reading a sample, if an image and its labels differ in size.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        config: TrainingConfig,
        stage: StageConfig,
        *,
        click_spacing_px: float,
    ) -> None:
        self._config = config
        self._stage = stage
        self._click_spacing_px = click_spacing_px
        self._by_domain: dict[str, dict[str, list[Source]]] = {}
        for source in sources:
            self._by_domain.setdefault(source.group, {}).setdefault(_series(source), []).append(source)
        chances = {**config.data.domain_weights, **stage.domain_weights}
        weights = np.array([chances.get(domain, 1.0) for domain in self._by_domain], dtype=float)
        self._domain_chances = weights / weights.sum()

    def __getitem__(self, index: int) -> TrainingSample:
        rng = np.random.default_rng((self._config.seed, index))
        for _ in range(MAX_DRAWS):
            sample = self._drawn(rng)
            if sample is not None:
                return sample
        n_images = sum(len(images) for domain in self._by_domain.values() for images in domain.values())
        raise ConfigError(
            f"sample {index} found no object in {MAX_DRAWS} draws from {n_images} images; expected objects of at least "
            f"{self._config.data.min_object_px} pixels (min_object_px) that keep {MIN_CROPPED_OBJECT_PX} in a crop of "
            f"{self._stage.crop_px} × {self._stage.crop_px}. Check the labels, or lower min_object_px."
        )

    def _drawn(self, rng: Generator) -> TrainingSample | None:
        """A sample, or None if the choice left no object in the crop."""
        pixels = _cache.read(self._chosen(rng), self._config.data.min_object_px)
        if not pixels.objects:
            return None
        label = list(pixels.objects)[rng.integers(len(pixels.objects))]
        image, labels, depth = self._crop(rng, pixels, pixels.objects[label])
        truths = self._truths(rng, labels, label)
        if truths is None:
            return None
        starts = [simulate_start(rng, truth, self._config.prompts) for truth in truths]
        clicks = [start.prompts.as_clicks(labels.shape, spacing_px=self._click_spacing_px) for start in starts]
        return TrainingSample(
            image=random_look(rng, image),
            truths=torch.from_numpy(np.stack(truths)),
            clicks=_padded(clicks),
            previous_masks=torch.from_numpy(np.stack([start.previous_mask for start in starts])),
            depth=depth,
        )

    def _chosen(self, rng: Generator) -> Source:
        """A domain by its weight, a series of it by the root of its number of images, and one of these."""
        series = self._by_domain[rng.choice(list(self._by_domain), p=self._domain_chances)]
        weights = self._config.data.series_weights
        chances = np.array([weights.get(name, 1.0) * np.sqrt(len(images)) for name, images in series.items()])
        images = series[rng.choice(list(series), p=chances / chances.sum())]
        return images[rng.integers(len(images))]

    def _crop(self, rng: Generator, pixels: _Pixels, extent: Extent) -> tuple[Tensor, NDArray[np.int64], Tensor | None]:
        crop_px = self._stage.crop_px
        matrix = random_crop_matrix(
            rng, pixels.labels.shape, extent, crop_px, view_px=max(self._config.model.input_shape)
        )
        window, matrix = _window(matrix, pixels.labels.shape, crop_px)
        image = torch.from_numpy(pixels.rgb[:, window[0], window[1]]).float() / 255
        labels = torch.from_numpy(pixels.labels[window].astype(np.int32))[None]
        depth = None if pixels.depth is None else torch.from_numpy(pixels.depth[window].copy())[None]
        return (
            warp(image, matrix, crop_px, is_label=False),
            warp(labels, matrix, crop_px, is_label=True)[0].numpy().astype(np.int64),
            None if depth is None else warp(depth, matrix, crop_px, is_label=False),
        )

    def _truths(self, rng: Generator, labels: NDArray[np.int64], label: int) -> list[NDArray[np.bool_]] | None:
        """Masks of the chosen object and of others in the crop (of the same again if there are none)."""
        areas = np.bincount(labels.ravel())
        if label >= len(areas) or areas[label] < MIN_CROPPED_OBJECT_PX:
            return None
        others = [other for other in np.flatnonzero(areas >= MIN_CROPPED_OBJECT_PX) if other not in (0, label)]
        rng.shuffle(others)
        chosen = [label, *others, *[label] * self._stage.n_objects][: self._stage.n_objects]
        return [labels == one for one in chosen]


class ConsecutiveSampler(Sampler[int]):
    """Numbers from `start` up to `stop`: where a run stands decides which samples come next."""

    def __init__(self, start: int, stop: int) -> None:
        self._range = range(start, stop)

    def __iter__(self) -> Iterator[int]:
        return iter(self._range)

    def __len__(self) -> int:
        return len(self._range)


def collate(samples: list[TrainingSample]) -> TrainingSample:
    """Samples → one batch: `image` (B, 3, S, S), `depth` (B, 1, S, S) or None, the rest (B × K, …)."""
    unknown = torch.full_like(samples[0].image[:1], torch.nan)
    depths = [unknown if sample.depth is None else sample.depth for sample in samples]
    return TrainingSample(
        image=torch.stack([sample.image for sample in samples]),
        truths=torch.cat([sample.truths for sample in samples]),
        clicks=_padded([clicks for sample in samples for clicks in sample.clicks.numpy()]),
        previous_masks=torch.cat([sample.previous_masks for sample in samples]),
        depth=None if all(sample.depth is None for sample in samples) else torch.stack(depths),
    )


def _series(source: Source) -> str:
    """What images of one origin share: the letters with which their ids begin."""
    beginning = re.match(r"[^\W\d_]*", source.id)
    return beginning.group() if beginning else ""


@dataclass(frozen=True, slots=True)
class _Pixels:
    """An image in memory: `(3, H, W)` uint8, `(H, W)` labels, where the objects are, and `(H, W)` depth if known."""

    rgb: NDArray[np.uint8]
    labels: NDArray[Any]
    objects: dict[int, Extent]
    depth: NDArray[np.float32] | None = None

    @property
    def n_bytes(self) -> int:
        depth = 0 if self.depth is None else self.depth.nbytes
        return self.rgb.nbytes + self.labels.nbytes + depth + _BYTES_PER_OBJECT * len(self.objects)


class _PixelCache:
    """Images read last, of so many bytes together; larger ones are not kept.

    Parameters
    ----------
    max_bytes
        Of all images in it.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._n_bytes = 0
        self._kept: OrderedDict[tuple[Source, int], _Pixels] = OrderedDict()

    def read(self, source: Source, min_object_px: int) -> _Pixels:
        """An image from memory or, if it is not there, from its file."""
        key = (source, min_object_px)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        pixels = _read(source, min_object_px)
        if pixels.n_bytes <= self._max_bytes:
            self._keep(key, pixels)
        return pixels

    def _keep(self, key: tuple[Source, int], pixels: _Pixels) -> None:
        self._kept[key] = pixels
        self._n_bytes += pixels.n_bytes
        while self._n_bytes > self._max_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._n_bytes -= dropped.n_bytes


_cache = _PixelCache(_CACHED_BYTES_PER_PROCESS)


def _read(source: Source, min_object_px: int) -> _Pixels:
    loaded = source.read()
    rgb = np.round(image_to_rgb(loaded.image) * 255).astype(np.uint8).transpose(2, 0, 1)
    labels = np.maximum(loaded.labels, 0).astype(np.int32)
    areas = np.bincount(labels.ravel())
    objects = {
        label: Extent(where[0].start, where[1].start, where[0].stop, where[1].stop)
        for label, where in enumerate(ndimage.find_objects(labels), start=1)
        if where is not None and areas[label] >= min_object_px
    }
    return _Pixels(np.ascontiguousarray(rgb), labels, objects, loaded.depth)


def _window(
    matrix: NDArray[np.float64], shape: tuple[int, ...], crop_px: int
) -> tuple[tuple[slice, slice], NDArray[np.float64]]:
    """The part of the image that a crop reads, and the affine map into that part."""
    corners = np.array([[0, 0, 1], [0, crop_px, 1], [crop_px, 0, 1], [crop_px, crop_px, 1]]) @ matrix.T
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - 2, 0, np.array(shape) - 1)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 3, low + 1, shape)
    moved = matrix.copy()
    moved[:, 2] -= low
    return (slice(low[0], high[0]), slice(low[1], high[1])), moved


def _padded(clicks: Sequence[NDArray[np.float32]]) -> Tensor:
    """Click arrays of different lengths as one `(B, n, 3)` tensor; rows of zeros are padding."""
    n = min(MAX_START_CLICKS, max(1, *(len(one) for one in clicks)))
    padded = np.zeros((len(clicks), n, 3), np.float32)
    for row, one in zip(padded, clicks, strict=True):
        kept = one[np.linspace(0, len(one) - 1, n).astype(int)] if len(one) > n else one
        row[: len(kept)] = kept
    return torch.from_numpy(padded)
