"""What grows in `growth.py`, and how it is counted: models that count, a stack that counts, and the curves."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Curve:
    """One thing that grows.

    Attributes
    ----------
    name
        What grows.
    sizes, quick_sizes
        How far; the latter to try the script.
    prepare
        size → (work, what the work is counted by); preparing is not measured.
    is_image_side
        Whether a size is the side of an image, of which the pixels are what grows.
    """

    name: str
    sizes: tuple[int, ...]
    quick_sizes: tuple[int, ...]
    prepare: Callable[[int], tuple[Callable[[], object], Counts]]
    is_image_side: bool = False


class Counts:
    """What was asked of a model, and how many pixels were read to ask it."""

    def __init__(self) -> None:
        self.encodes = 0
        self.predictions = 0
        self.pixels_read = 0


class Counted:
    """A model that counts; an `InteractiveModel`."""

    def __init__(self, model: Any, counts: Counts) -> None:
        self._model = model
        self.counts = counts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode_image(self, image: Any) -> Any:
        """Count, and encode."""
        self.counts.encodes += 1
        return self._model.encode_image(image)

    def predict_logits(self, embedding: Any, clicks: Any, previous_masks: Any) -> Any:
        """Count each set of prompts, and answer."""
        self.counts.predictions += len(clicks)
        return self._model.predict_logits(embedding, clicks, previous_masks)


class Bright:
    """What is bright near the positive clicks, or where the last mask was; an `InteractiveModel` of few operations."""

    reach_px = 15

    def __init__(self) -> None:
        import torch

        from napari_segnext.models.interface import ModelIdentity

        self.identity = ModelIdentity("bright")
        self.device = torch.device("cpu")

    def click_radius_px(self, image_shape: tuple[int, int]) -> float:
        """The same everywhere."""
        return 4.0

    def encode_image(self, image: Any) -> Any:
        """The mean of the channels is all it sees."""
        from napari_segnext.models.interface import ImageEmbedding

        return ImageEmbedding((image.mean(dim=0)[None, None],), (image.shape[-2], image.shape[-1]))

    def predict_logits(self, embedding: Any, clicks: Any, previous_masks: Any) -> Any:
        """Bright pixels that a click or the last mask reaches."""
        import torch
        from torch.nn import functional as F

        side = 2 * self.reach_px + 1
        seeds = (previous_masks > 0.5).float()
        for number, said in enumerate(clicks):
            for row, column, _ in said[said[:, 2] > 0]:
                seeds[number, int(row), int(column)] = 1
        is_near = F.max_pool2d(seeds[:, None], side, stride=1, padding=self.reach_px)[:, 0] > 0
        return torch.where(is_near, 20 * (embedding.levels[0][:, 0] - 0.5), -8.0)


class ReadStack:
    """`(n, side, side)` uint8 with bright squares that wander, computed when it is read; counts what is read."""

    dtype = np.dtype(np.uint8)

    def __init__(self, n_slices: int, n_objects: int, counts: Counts, side: int = 256) -> None:
        self.shape = (n_slices, side, side)
        self.counts = counts
        self._n_objects = n_objects

    def mask(self, index: int, number: int) -> np.ndarray:
        """`(side, side)` bool: one object on a slice."""
        mask = np.zeros(self.shape[1:], bool)
        row, column = 8 + 30 * (number // 8), 8 + 30 * (number % 8)
        shift = index // 8 % 4
        mask[row + shift : row + shift + 14, column : column + 14] = True
        return mask

    def plane(self, index: int) -> np.ndarray:
        """`(side, side)` uint8: a slice, not counted."""
        noise = np.random.default_rng(index).integers(0, 60, self.shape[1:])
        objects = np.any([self.mask(index, number) for number in range(self._n_objects)], axis=0)
        return (noise + 160 * objects).astype(np.uint8)

    def __getitem__(self, key: Any) -> np.ndarray:
        first, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(first, slice):
            planes = np.stack([self.plane(index) for index in range(*first.indices(self.shape[0]))])
            part = planes[(slice(None), *rest)]
        else:
            part = self.plane(int(first))[tuple(rest)]
        self.counts.pixels_read += part.size
        return part


# what grows


def bundled(counts: Counts) -> Counted:
    from napari_segnext.weights import load_model

    return Counted(load_model("segnext-tiny", "cpu"), counts)


def one_click(side: int) -> tuple[Callable[[], object], Counts]:
    """Open a uint16 image and click once."""
    from napari_segnext import Click, Session
    from napari_segnext.session import EmbeddingCache

    counts = Counts()
    model = bundled(counts)
    rows, columns = np.ogrid[:side, :side]
    middle, radius = side // 2, max(16, side // 40)
    is_disk = (rows - middle) ** 2 + (columns - middle) ** 2 < radius**2
    image = np.random.default_rng(0).integers(0, 4000, (side, side), dtype=np.uint16)
    image[is_disk] += 20_000
    counts.pixels_read = image.size
    return lambda: Session(model, image, cache=EmbeddingCache()).add(Click(middle, middle)), counts


def clicks_in_a_session(n_clicks: int) -> tuple[Callable[[], object], Counts]:
    """Clicks on one object of 512 × 512 pixels, each after the answer to the one before."""
    from napari_segnext import Click, Session
    from napari_segnext.session import EmbeddingCache

    counts = Counts()
    model = bundled(counts)
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:512, :512]
    distance = np.hypot(rows - 256, columns - 256)
    image = (rng.integers(0, 60, (512, 512)) + 150 * (distance < 60)).astype(np.uint8)
    places = [
        (256 + 50 * np.sqrt(r) * np.sin(a), 256 + 50 * np.sqrt(r) * np.cos(a)) for r, a in rng.random((64, 2)) * 6
    ]
    clicks = [Click(*place, is_positive=bool(np.hypot(*np.subtract(place, 256)) < 60)) for place in places]
    clicks[0] = Click(256, 256)
    counts.pixels_read = image.size

    def work() -> None:
        session = Session(model, image, cache=EmbeddingCache())
        for click in clicks[:n_clicks]:
            session.add(click)

    return work, counts


def propagated_slices(n_slices: int) -> tuple[Callable[[], object], Counts]:
    """Carry one object up from the first slice."""
    return _propagation(n_slices, n_objects=1)


def propagated_objects(n_objects: int) -> tuple[Callable[[], object], Counts]:
    """Carry objects through 4 slices."""
    return _propagation(4, n_objects)


def _propagation(n_slices: int, n_objects: int) -> tuple[Callable[[], object], Counts]:
    from napari_segnext.propagation import propagate
    from napari_segnext.propagation.annotated import ObjectToPropagate
    from napari_segnext.session import EmbeddingCache

    counts = Counts()
    model = Counted(Bright(), counts)
    stack = ReadStack(n_slices, n_objects, counts)
    objects = [ObjectToPropagate(number + 1, {0: stack.mask(0, number)}) for number in range(n_objects)]

    def work() -> None:
        for _ in propagate(model, stack, objects, zoom=False, cache=EmbeddingCache()):
            pass

    return work, counts


def accepted_objects(n_objects: int) -> tuple[Callable[[], object], Counts]:
    """Click on and accept objects of one image, in an annotator without a window."""
    from napari.components import ViewerModel

    from napari_segnext.annotator import Annotator

    counts = Counts()
    model = Counted(Bright(), counts)
    stack = ReadStack(1, n_objects, counts)
    viewer = ViewerModel()
    annotator = Annotator(viewer, viewer.add_image(stack.plane(0)), model)

    def work() -> None:
        for number in range(n_objects):
            rows, columns = np.nonzero(stack.mask(0, number))
            annotator.layers.points.add((rows.mean(), columns.mean()))
            annotator.accept()

    return work, counts


def evaluated_objects(n_objects: int) -> tuple[Callable[[], object], Counts]:
    """Let the simulated user segment objects of one image, three clicks each."""
    import tifffile

    from napari_segnext.datasets.samples import ImageSample
    from napari_segnext.evaluation import EvaluationSettings, evaluate

    counts = Counts()
    model = Counted(Bright(), counts)
    stack = ReadStack(1, n_objects, counts)
    labels = np.zeros(stack.shape[1:], np.uint16)
    for number in range(n_objects):
        labels[stack.mask(0, number)] = number + 1
    folder = Path(tempfile.mkdtemp())
    tifffile.imwrite(folder / "image.tif", stack.plane(0))
    tifffile.imwrite(folder / "labels.tif", labels)
    sample = ImageSample("squares", "squares", folder / "image.tif", folder / "labels.tif")
    return lambda: list(evaluate(model, [sample], settings=EvaluationSettings(max_clicks=3))), counts


DOUBLING = (1, 2, 4, 8, 16, 32, 64)
FOURFOLD = (1, 4, 16, 64)
CURVES = (
    Curve("pixels of the image", (256, 512, 1024, 2048, 4096, 8192), (256, 512), one_click, is_image_side=True),
    Curve("clicks in a session", FOURFOLD, (1, 2), clicks_in_a_session),
    Curve("slices propagated", (8, 16, 32, 64, 128, 256), (8, 16), propagated_slices),
    Curve("objects propagated", FOURFOLD, (1, 4), propagated_objects),
    Curve("objects accepted", DOUBLING, (1, 4), accepted_objects),
    Curve("objects evaluated", DOUBLING, (1, 4), evaluated_objects),
)
