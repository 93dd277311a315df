"""From a few annotated slices to the volume, one slice after the other.

1. What was said about an object gives its masks on the annotated slices; these are never changed.
2. Annotated slices cut the range into spans (`plan_spans`). One sweep goes up through all slices and carries each
   object from slice to slice, a second one goes down; each slice is opened once in each, for all objects.
3. A mask is carried to the next slice along the optical flow (`Motion`), and the model answers from there.
4. Between two annotated slices both sweeps answer; the answers are mixed by distance, and with what the flow alone and
   the shapes alone say, as far as each is to be trusted (`Trust`). Beyond the last one, evidence is weighed, and
   `StopRules` end the object where it ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_segnext.errors import PropagationError
from napari_segnext.prompts import Prompts
from napari_segnext.prompts.packed_mask import PackedMask
from napari_segnext.propagation.annotated import objects_to_propagate, scaled_prompts
from napari_segnext.propagation.evidence import Evidence, certainty_of, iou, reaches_border
from napari_segnext.propagation.interpolation import interpolate_masks
from napari_segnext.propagation.motion import Motion
from napari_segnext.propagation.patch import Patch
from napari_segnext.propagation.plan import Span, plan_spans
from napari_segnext.propagation.results import SliceResult, Source
from napari_segnext.propagation.slices import Slices
from napari_segnext.propagation.stopping import StopReason, StopRules
from napari_segnext.propagation.track import Track
from napari_segnext.propagation.trust import blend, leaning_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, Literal

    from numpy.typing import NDArray

    from napari_segnext._types import Mask, Probability
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.propagation.annotated import ObjectToPropagate
    from napari_segnext.session.embedding_cache import EmbeddingCache
    from napari_segnext.session.preprocess import ContrastLimits
    from napari_segnext.volumes import Volume

    Direction = Literal["both", "up", "down"]

THRESHOLD = 0.5
"""Probability above which a pixel belongs to the object."""


def propagate(
    model: InteractiveModel,
    volume: Volume | NDArray[Any],
    prompts: Any,
    *,
    axis: int = 0,
    slices: tuple[int, int] | None = None,
    direction: Direction = "both",
    rules: StopRules | None = None,
    contrast_limits: ContrastLimits | None = None,
    zoom: bool | None = None,
    cache: EmbeddingCache | None = None,
    depth: Volume | NDArray[Any] | None = None,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Iterator[SliceResult]:
    """Carry objects from annotated slices through a volume.

    Parameters
    ----------
    model
        Any `InteractiveModel`, for example from `load_model`.
    volume
        A `Volume`, or an array `(Z, Y, X)` or `(Z, Y, X, C)` of cubic voxels; lazy ones are read slice by slice. Of a
        volume with time, one time point (`Volume.at_time`), or one slice over time (`Volume.over_time`).
    prompts
        What was said: a `PromptsFile`, objects of one, or for one object slice number → `Prompts`, list of prompts, or
        mask `(rows, columns)`. Masks are taken as they are.
    axis
        Along which slices follow each other: 0, 1 or 2; rows and columns are the other two, in rising order.
    slices
        (first, stop) of the slices that are wanted; all by default.
    direction
        Whether objects go on beyond their last annotated slices upwards, downwards or both. What lies between
        annotated slices is always filled.
    rules
        Where an object ends; by default `StopRules()`.
    contrast_limits, zoom
        As of `Session`.
    cache
        Where embeddings are kept; by default the one that all sessions share.
    depth
        A `Volume` or array of the volume's shape without channels: one number for each voxel, NaN where unknown, in the
        place of the depth that the model sees on each slice. Only for models that read depth. Each slice is brought to
        a scale of its own, as `Session` does.
    is_wanted
        Asked before each slice; once it says no, nothing more comes.

    Yields
    ------
    SliceResult
        Annotated slices first, then each slice as it is done; one for each object and slice. An object that ends gives
        one more result that says why, and nothing beyond it. Closing the generator ends the work; what came is whole.

    Raises
    ------
    PropagationError
        If there is nothing annotated along this axis within the volume, a range or direction makes no sense, or the
        depth does not fit.
    VolumeError
        If the volume has no such axis, or a slice cannot be read.
    PromptError
        If a prompt lies outside its slice.
    """
    from napari_segnext.volumes import Volume

    if not isinstance(volume, Volume):
        volume = Volume(volume)
    if volume.has_time:
        raise PropagationError(
            f"the volume has {volume.n_times} time points; expected one. Give volume.at_time(t), or one slice over "
            "time."
        )
    if direction not in ("both", "up", "down"):
        raise PropagationError(f"direction is {direction!r}; expected 'both', 'up' or 'down'.")
    if depth is not None and not isinstance(depth, Volume):
        depth = Volume(depth)
    opened = Slices(model, volume, axis, contrast_limits=contrast_limits, zoom=zoom, cache=cache, depth=depth)
    wanted = _checked_range(slices, opened.n)
    objects = objects_to_propagate(prompts, axis)
    _require_within(objects, opened.n, axis)
    run = _Run(opened, axis, rules or StopRules(), is_wanted)
    return run.results(objects, wanted, goes_up=direction != "down", goes_down=direction != "up")


class _Run:
    def __init__(self, slices: Slices, axis: int, rules: StopRules, is_wanted: Callable[[], bool]) -> None:
        self._slices = slices
        self._axis = axis
        self._rules = rules
        self._is_wanted = is_wanted
        # pixels of a slice that belong to objects that are settled there; others do not take them
        self._settled: dict[int, PackedMask] = {}
        self._has_others = False

    def results(
        self, objects: Iterable[ObjectToPropagate], wanted: range, *, goes_up: bool, goes_down: bool
    ) -> Iterator[SliceResult]:
        tracks = [Track(one.label) for one in objects]
        self._has_others = len(tracks) > 1
        for track, one in zip(tracks, objects, strict=True):
            planned = plan_spans(one.by_slice, wanted, goes_up=goes_up, goes_down=goes_down)
            ends = {end for span in planned for end in (span.before, span.after)}
            track.teachers = frozenset(end for end in ends if end is not None)
        yield from self._annotated(tracks, objects)
        for track in tracks:
            track.spans = plan_spans(track.annotated, wanted, goes_up=goes_up, goes_down=goes_down)
        if not tracks or not any(track.spans for track in tracks):
            return
        indices = [index for track in tracks for span in track.spans for index in (span.slices.start, span.slices.stop)]
        # one more on either side: there sweeps arrive at annotated slices
        swept = range(max(0, min(indices) - 1), min(self._slices.n, max(indices) + 1))
        for step in (1, -1):
            for index in swept if step == 1 else reversed(swept):
                here = [track for track in tracks if _comes_to(track.span_of(index), step)]
                arriving = [track for track in tracks if track.span_that_ends_at(index, step) is not None]
                if not here and not arriving:
                    continue
                if not self._is_wanted():
                    return
                for track in arriving:
                    self._arrive(track, index, step)
                yield from self._on_slice(here, index, step)

    def _annotated(self, tracks: list[Track], objects: Iterable[ObjectToPropagate]) -> Iterator[SliceResult]:
        """The masks of annotated slices, those of one slice after the other."""
        said = [
            (index, track, one.by_slice[index])
            for track, one in zip(tracks, objects, strict=True)
            for index in one.by_slice
        ]
        for index, track, what in sorted(said, key=lambda item: item[0]):
            if not self._is_wanted():
                return
            if isinstance(what, Prompts):
                session = self._slices.session(index)
                prediction = session.update(scaled_prompts(what, self._slices.factors))
                if prediction is None:
                    continue
                square = np.asarray(prediction.probability)
                result = self._result(track.label, index, square, Source.ANNOTATED)
                mask = square > THRESHOLD
            else:
                mask = self._slices.to_square(what)
                probability = what.astype(np.float32)
                result = SliceResult(track.label, self._axis, index, np.array(what), probability, Source.ANNOTATED)
            track.annotated[index] = PackedMask.of(mask)
            if index in track.teachers and mask.any():
                track.looks.add(self._slices.pixels(index), mask)
                answer = self._slices.session(index).answer_from(mask.astype(np.float32)).probability
                track.trust.learn_outline(np.asarray(answer), mask)
            self._settle(index, mask)
            yield result

    def _arrive(self, track: Track, index: int, step: int) -> None:
        """A sweep comes to an annotated slice: see what it brings."""
        span = track.span_that_ends_at(index, step)
        start = None if span is None else span.before if step == 1 else span.after
        if start is not None and track.current is not None:
            answer = self._answer(track, index, step)
            flowed = track.current if track.flowed is None else track.flowed
            left, reached = track.annotated[start].unpacked(), track.annotated[index].unpacked()
            track.trust.arrived(answer > THRESHOLD, flowed, left, reached)

    def _on_slice(self, tracks: list[Track], index: int, step: int) -> Iterator[SliceResult]:
        """Carry objects to a slice from the one before; `step` is 1 upwards and -1 downwards."""
        found: list[tuple[Track, Span, Mask, Probability]] = []
        for track in tracks:
            span = track.span_of(index)
            if span is None:
                continue
            if index - step == (span.before if step == 1 else span.after):
                track.start_from(index - step)
            if track.current is None:
                continue
            before = track.current
            found.append((track, span, before, self._answer(track, index, step)))
        settling = [
            self._blended(track, span, index, answer) if span.is_between and step == -1 else answer
            for track, span, _, answer in found
        ]
        apart = _apart(settling, self._taken(index))
        for (track, span, before, answer), probability in zip(found, apart, strict=True):
            if span.is_between and step == 1:
                track.answers_up[index] = Patch.of(probability)
                track.flowed_up[index] = PackedMask.of(before if track.flowed is None else track.flowed)
                track.current = _or_last(probability > THRESHOLD, before)
            elif span.is_between:
                track.current = _or_last(answer > THRESHOLD, before)
                yield self._between(track, span, index, before, answer, probability)
            else:
                yield self._beyond(track, index, before, probability)

    def _answer(self, track: Track, index: int, step: int) -> Probability:
        """What the model finds on a slice, given the object's mask on the slice before; the flow goes there, too."""
        before = track.current
        if before is None or not before.any():
            return np.zeros(self._slices.square_shape, np.float32)
        flowed = before if track.flowed is None else track.flowed
        here = self._slices.pixels(index)
        motion = Motion.about(before | flowed, self._slices.pixels(index - step), here)
        track.flowed = _or_last(motion.carry(flowed), flowed)
        prior = _or_last(motion.carry(before), before)
        answer = self._slices.session(index).answer_from(prior.astype(np.float32)).probability
        return leaning_on(track.trust.calibrated(np.asarray(answer)), prior, self._slices.step_px)

    def _blended(self, track: Track, span: Span, index: int, answer: Probability) -> Probability:
        """The answers from both sides, each by its distance; with flow and shape, each by what it is worth."""
        up, fraction = track.answers_up[index].unpacked(), span.fraction(index)
        here = track.flowed_up.pop(index).unpacked()
        flowed = (here, here if track.flowed is None else track.flowed)
        mixed = (1 - fraction) * up + fraction * answer
        return blend(track.trust.weights, mixed, flowed, track.ends_of(span), fraction)

    def _between(
        self, track: Track, span: Span, index: int, before: Mask, answer: Probability, probability: Probability
    ) -> SliceResult:
        """What is settled on a slice between two annotated ones, where both sweeps have answered."""
        up, fraction = track.answers_up.pop(index).unpacked(), span.fraction(index)
        agreement = iou(up > THRESHOLD, answer > THRESHOLD)
        certainty = certainty_of((1 - fraction) * up + fraction * answer, THRESHOLD)
        if not (probability > THRESHOLD).any():
            # the object does not end here; where the model and others find nothing, shapes alone remain
            shape = interpolate_masks(*track.ends_of(span), fraction)
            (probability,) = _apart([shape.astype(np.float32)], self._taken(index))
        evidence = self._evidence(track, index, before, probability, certainty, agreement)
        self._settle(index, probability > THRESHOLD)
        return self._result(track.label, index, probability, Source.BETWEEN, evidence)

    def _beyond(self, track: Track, index: int, before: Mask, probability: Probability) -> SliceResult:
        evidence = self._evidence(track, index, before, probability, certainty_of(probability, THRESHOLD))
        reason = self._rules.reason(evidence)
        if reason is StopReason.BORDER and any(reaches_border(mask.unpacked()) for mask in track.annotated.values()):
            reason = None
        result = self._result(track.label, index, probability, Source.BEYOND, evidence, reason)
        track.current = None if reason is not None else probability > THRESHOLD
        if track.current is not None:
            self._settle(index, track.current)
        return result

    def _evidence(
        self,
        track: Track,
        index: int,
        before: Mask,
        probability: Probability,
        certainty: float,
        agreement: float | None = None,
    ) -> Evidence:
        mask = probability > THRESHOLD
        area = int(np.count_nonzero(mask))
        return Evidence(
            area=area,
            overlap=iou(mask, before),
            area_ratio=area / max(1, int(np.count_nonzero(before))),
            certainty=certainty,
            likeness=track.looks.likeness(self._slices.pixels(index), mask),
            agreement=agreement,
            reaches_border=reaches_border(mask),
        )

    def _result(
        self,
        label: int,
        index: int,
        square: Probability,
        source: Source,
        evidence: Evidence | None = None,
        stopped: StopReason | None = None,
    ) -> SliceResult:
        probability = self._slices.to_volume(np.asarray(square, np.float32))
        mask = probability > THRESHOLD if stopped is None else np.zeros(probability.shape, bool)
        return SliceResult(label, self._axis, index, mask, probability, source, evidence, stopped)

    # pixels that are settled

    def _settle(self, index: int, mask: Mask) -> None:
        """No other object takes these pixels; with one object alone there is nobody to keep them from."""
        if not self._has_others:
            return
        taken = self._taken(index)
        self._settled[index] = PackedMask.of(mask if taken is None else mask | taken)

    def _taken(self, index: int) -> Mask | None:
        """Pixels of a slice that belong to objects that are settled there; None if there are none."""
        packed = self._settled.get(index)
        return None if packed is None else packed.unpacked()


def _comes_to(span: Span | None, step: int) -> bool:
    """Whether a sweep upwards (1) or downwards (-1) carries an object through a span."""
    return span is not None and (span.before if step == 1 else span.after) is not None


def _apart(answers: list[Probability], taken: Mask | None) -> list[Probability]:
    """Answers of several objects that share no pixel: the surest has it, of equals the first; what is taken, nobody."""
    if not answers or (taken is None and len(answers) < 2):
        return answers
    surest = np.argmax(answers, axis=0)
    apart = []
    for number, answer in enumerate(answers):
        is_lost = surest != number if taken is None else (surest != number) | taken
        apart.append(np.where(is_lost, np.minimum(answer, THRESHOLD), answer).astype(np.float32))
    return apart


def _or_last(mask: Mask, last: Mask) -> Mask:
    """Between annotated slices an object does not end: where nothing was found, it is looked for as it was."""
    return mask if mask.any() else last


def _checked_range(slices: tuple[int, int] | None, n: int) -> range:
    if slices is None:
        return range(n)
    first, stop = slices
    if not 0 <= first < stop <= n:
        raise PropagationError(f"slices are {first}:{stop}; expected a range within 0:{n}, its end not included.")
    return range(first, stop)


def _require_within(objects: Iterable[ObjectToPropagate], n: int, axis: int) -> None:
    for one in objects:
        beyond = [index for index in one.by_slice if not 0 <= index < n]
        if beyond:
            raise PropagationError(
                f"object {one.label} is annotated on slice {beyond[0]} along axis {axis}; expected 0 to {n - 1}. Does "
                "it belong to another volume?"
            )
