"""A simulated annotator gives k clicks on each of m slices, and every rule fills the volume from the same masks.

1. The slices are spread evenly over the object's extent.
2. On each, the annotator clicks on the largest error, k times, and the session's mask is what is annotated; or the true
   mask is, which shows what a rule does with it.
3. Every rule gets these masks. All but our own are told where the object truly begins and ends.
4. Beside them: every slice of the extent clicked by hand, k times.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_segnext.evaluation.volumes.rules import FillTask, default_rules
from napari_segnext.prompts.simulated_user import next_click
from napari_segnext.propagation.evidence import dice
from napari_segnext.propagation.slices import Slices
from napari_segnext.session import EmbeddingCache

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_segnext._types import Mask
    from napari_segnext.datasets.volumes import VolumeSample
    from napari_segnext.evaluation.volumes.rules import FillRule
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.prompts import Click
    from napari_segnext.session import Session
    from napari_segnext.volumes import Volume

BY_HAND = "every slice by hand"

CACHE_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class VolumeSettings:
    """What the annotator does.

    Attributes
    ----------
    n_slices
        Annotated slices, m; a run for each number.
    n_clicks
        Clicks on each, k.
    takes_true_masks
        Whether the true masks are annotated, instead of what the clicks give.
    clicks_by_hand
        Whether every slice is clicked by hand, too.
    min_slices, min_voxels, max_objects
        As of `LoadedVolume.objects`, for each volume.
    """

    n_slices: tuple[int, ...] = (1, 3)
    n_clicks: int = 3
    takes_true_masks: bool = False
    clicks_by_hand: bool = True
    min_slices: int = 5
    min_voxels: int = 300
    max_objects: int | None = None

    def __post_init__(self) -> None:
        if not self.n_slices or min(self.n_slices) < 1:
            raise ValueError(f"numbers of annotated slices are {self.n_slices}; expected at least 1 each.")
        if self.n_clicks < 1:
            raise ValueError(f"n_clicks is {self.n_clicks}; expected at least 1.")


@dataclass(frozen=True, slots=True)
class FillResult:
    """One object, filled by one rule.

    Attributes
    ----------
    volume, group, label
        The object.
    rule
        Name of the rule.
    n_slices
        Annotated slices that were asked for; 0 where every slice was clicked by hand.
    n_clicks
        Clicks in all.
    dice, iou
        Over the whole volume, 0 to 1.
    leak
        Slices beyond the object's true ends to which it went on, the longer of both sides; None if the rule was told
        the ends, or the labels do not tell them (`LoadedVolume.has_known_ends`).
    extent
        True slices of the object, from the first to the last.
    confidences, slice_dices
        Of slices that were not annotated and truly hold the object: what the rule is sure of, and what it had right.
    seconds_per_slice
        Wall time of the rule, over the slices that it wrote and that were not annotated.
    """

    volume: str
    group: str
    label: int
    rule: str
    n_slices: int
    n_clicks: int
    dice: float
    iou: float
    leak: int | None
    extent: int
    confidences: tuple[float, ...] = ()
    slice_dices: tuple[float, ...] = field(default=(), repr=False)
    seconds_per_slice: float = 0.0


def evaluate_volumes(
    model: InteractiveModel,
    samples: Iterable[VolumeSample],
    settings: VolumeSettings | None = None,
    *,
    rules: Sequence[FillRule] | None = None,
) -> Iterator[tuple[FillResult, ...]]:
    """Let a simulated annotator and several rules fill the objects of volumes.

    Nothing happens before the first results are asked for. To cancel, stop asking: what was handed out is whole.

    Parameters
    ----------
    model
        Any `InteractiveModel`; for clicks and rules alike, with zoom as it prefers.
    samples
        Labelled volumes.
    settings
        What the annotator does.
    rules
        By default all of `default_rules`.

    Yields
    ------
    tuple of FillResult
        Of one object: for each number of annotated slices one of each rule, then, if wanted, the one by hand.
    """
    settings = VolumeSettings() if settings is None else settings
    rules = default_rules() if rules is None else rules
    for sample in samples:
        loaded = sample.read()
        labels = loaded.objects(
            min_slices=settings.min_slices, min_voxels=settings.min_voxels, limit=settings.max_objects
        )
        for label in labels:
            cache = EmbeddingCache(max_entries=1_000_000, max_bytes=CACHE_BYTES)
            slices = Slices(model, loaded.volume, 0, cache=cache)
            scene = _Scene(sample, label, loaded.labels == label, slices, cache, loaded.has_known_ends(label))
            results: list[FillResult] = []
            for n_slices in settings.n_slices:
                results += _filled(scene, model, loaded.volume, settings, n_slices, rules)
            if settings.clicks_by_hand:
                results.append(_by_hand(scene, settings))
            yield tuple(results)


def slices_to_annotate(truth: NDArray[np.bool_], n_slices: int) -> tuple[int, ...]:
    """Slices that are spread evenly over an object: the middles of as many equal parts of those that hold it.

    Parameters
    ----------
    truth
        `(Z, Y, X)` bool.
    n_slices
        How many; fewer if the object lies on fewer.
    """
    holding = np.flatnonzero(truth.any(axis=(1, 2)))
    n_slices = min(n_slices, len(holding))
    return tuple(int(holding[(2 * part + 1) * len(holding) // (2 * n_slices)]) for part in range(n_slices))


def clicked_mask(session: Session, truth: Mask, n_clicks: int) -> Mask:
    """The session's mask after clicks on the largest errors.

    Parameters
    ----------
    session
        On the slice; its prompts so far are forgotten.
    truth
        `(H, W)` bool.
    n_clicks
        At least 1.
    """
    session.reset()
    mask = np.zeros(truth.shape, bool)
    clicks: list[Click] = []
    for _ in range(n_clicks):
        click = next_click(truth, mask, already_clicked=clicks)
        clicks.append(click)
        mask = np.asarray(session.add(click).mask)
    return mask


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """An object and its volume's slices."""

    sample: VolumeSample
    label: int
    truth: NDArray[np.bool_]
    slices: Slices
    cache: EmbeddingCache
    has_known_ends: bool

    @property
    def extent(self) -> tuple[int, int]:
        holding = np.flatnonzero(self.truth.any(axis=(1, 2)))
        return int(holding[0]), int(holding[-1])

    def clicked(self, index: int, n_clicks: int) -> Mask:
        """What clicks on a slice give, on the volume's slice."""
        square = clicked_mask(self.slices.session(index), self.slices.to_square(self.truth[index]), n_clicks)
        return self.slices.to_volume(square.astype(np.float32)) > 0.5

    def result(
        self, rule: str, n_slices: int, n_clicks: int, masks: NDArray[np.bool_], *, knows_extent: bool
    ) -> FillResult:
        first, last = self.extent
        holding = np.flatnonzero(masks.any(axis=(1, 2)))
        leak = 0 if len(holding) == 0 else max(0, first - int(holding[0]), int(holding[-1]) - last)
        common = int(np.count_nonzero(masks & self.truth))
        union = int(np.count_nonzero(masks | self.truth))
        return FillResult(
            self.sample.id,
            self.sample.group,
            self.label,
            rule,
            n_slices,
            n_clicks,
            dice(masks, self.truth),
            common / union,
            None if knows_extent or not self.has_known_ends else leak,
            last - first + 1,
        )


def _filled(
    scene: _Scene,
    model: InteractiveModel,
    volume: Volume,
    settings: VolumeSettings,
    n_slices: int,
    rules: Sequence[FillRule],
) -> list[FillResult]:
    where = slices_to_annotate(scene.truth, n_slices)
    annotated = {
        index: scene.truth[index] if settings.takes_true_masks else scene.clicked(index, settings.n_clicks)
        for index in where
    }
    annotated = {index: mask for index, mask in annotated.items() if mask.any()}
    n_clicks = 0 if settings.takes_true_masks else settings.n_clicks * len(where)
    results = []
    for rule in rules:
        start = time.perf_counter()
        if annotated:
            task = FillTask(model, volume, scene.cache, scene.slices, annotated, scene.extent)
            filled = rule.fill(task)
            masks, confidence = filled.masks, filled.confidence
        else:
            masks, confidence = np.zeros_like(scene.truth), {}
        n_written = max(1, int(np.count_nonzero(masks.any(axis=(1, 2)))) - len(annotated))
        seconds = (time.perf_counter() - start) / n_written
        result = scene.result(rule.name, n_slices, n_clicks, masks, knows_extent=rule.knows_extent)
        judged = [index for index in sorted(confidence) if scene.truth[index].any()]
        results.append(
            replace(
                result,
                confidences=tuple(confidence[index] for index in judged),
                slice_dices=tuple(dice(masks[index], scene.truth[index]) for index in judged),
                seconds_per_slice=seconds,
            )
        )
    return results


def _by_hand(scene: _Scene, settings: VolumeSettings) -> FillResult:
    masks = np.zeros_like(scene.truth)
    n_clicks = 0
    for index in np.flatnonzero(scene.truth.any(axis=(1, 2))).tolist():
        masks[index] = scene.clicked(index, settings.n_clicks)
        n_clicks += settings.n_clicks
    return scene.result(BY_HAND, 0, n_clicks, masks, knows_extent=True)
