"""What a propagation run has to do: what persons have said is found in the labels, and what is out of date is planned.

1. `find_sources` looks once through the slices of a run: annotated, accepted and edited ones are what it starts from,
   with the masks that the labels hold now.
2. They cut the range into spans (`plan_spans`). Each span has a digest of all that it depends on: the masks at its
   ends, the model and its input, and beyond the last one the stop rules.
3. Slices that were propagated from the same are up to date. What is left is grouped into parts, which are done one
   after the other: objects whose slices overlap are carried together.

So a correction costs the spans that end at it and no other, and a run that was cancelled goes on where it has to.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.annotator.review import ReviewState, digest_of_pixels, pixels_of
from napari_segnext.prompts.packed_mask import PackedMask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from napari_segnext.annotator.review import ReviewedSlice
    from napari_segnext.annotator.slice_line import SliceLine
    from napari_segnext.propagation import Span


@dataclass(frozen=True, eq=False)
class KnownObject:
    """What is known of an object before a run.

    Attributes
    ----------
    label
        Its number.
    annotated
        Numbers of the slices on which it was accepted from prompts.
    noted
        Slice number → what is noted of it there.
    """

    label: int
    annotated: frozenset[int] = frozenset()
    noted: Mapping[int, ReviewedSlice] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class FoundObject:
    """What the labels hold of an object that persons have had a hand in.

    Attributes
    ----------
    known
        What was known.
    sources
        Slice number → mask, of slices that a run starts from and never writes.
    digests
        Slice number → digest of that mask.
    painted
        Those of them that turned out to be painted by hand.
    """

    known: KnownObject
    sources: Mapping[int, PackedMask]
    digests: Mapping[int, str]
    painted: frozenset[int]


@dataclass(frozen=True, eq=False)
class Part:
    """Objects that are carried together.

    Attributes
    ----------
    slices
        Numbers of the slices.
    objects
        Who.
    """

    slices: range
    objects: tuple[FoundObject, ...]


@dataclass(frozen=True, eq=False)
class RunPlan:
    """What a run does.

    Attributes
    ----------
    found
        All objects that were looked for.
    parts
        One after the other; none if everything is up to date.
    stale
        Label → the spans that are written, with the digest of what each depends on.
    n_steps
        How often a slice is opened, all in all.
    """

    found: tuple[FoundObject, ...]
    parts: tuple[Part, ...]
    stale: Mapping[int, tuple[tuple[Span, str], ...]]
    n_steps: int

    def span_of(self, label: int, index: int) -> tuple[Span, str] | None:
        """The stale span of an object that a slice lies in; None if nothing is to be written there."""
        return next((one for one in self.stale.get(label, ()) if index in one[0].slices), None)


def find_sources(
    labels: Any,
    line: SliceLine,
    objects: Iterable[KnownObject],
    wanted: range,
    *,
    is_wanted: Callable[[], bool] = lambda: True,
) -> tuple[FoundObject, ...]:
    """Look through the slices of a run, and one more at either end, for what persons have said.

    Parameters
    ----------
    labels
        Integer array on the image's grid; read slice by slice.
    line, objects, wanted
        Where, who, and which slices.
    is_wanted
        Asked before each slice; once it says no, the rest is not looked at.
    """
    known = {one.label: one for one in objects}
    sources: dict[int, dict[int, PackedMask]] = {label: {} for label in known}
    digests: dict[int, dict[int, str]] = {label: {} for label in known}
    painted: dict[int, set[int]] = {label: set() for label in known}
    for index in range(max(0, wanted.start - 1), min(line.n, wanted.stop + 1)):
        if not is_wanted():
            break
        plane = np.asarray(labels[line.at(index).selector])
        held = pixels_of(plane, tuple(known))
        for label, one in known.items():
            pixels = held.get(label, _NOTHING)
            noted = one.noted.get(index)
            is_said = index in one.annotated or (noted is not None and noted.is_protected)
            digest = digest_of_pixels(pixels) if is_said or noted is not None or len(pixels) else ""
            is_painted = not is_said and (len(pixels) > 0 if noted is None else digest != noted.pixels)
            if is_said or is_painted:
                digests[label][index] = digest
                mask = np.zeros(plane.size, bool)
                mask[pixels] = True
                sources[label][index] = PackedMask.of(mask.reshape(plane.shape))
            if is_painted:
                painted[label].add(index)
    return tuple(
        FoundObject(one, sources[label], digests[label], frozenset(painted[label])) for label, one in known.items()
    )


def plan_run(
    found: tuple[FoundObject, ...], wanted: range, *, goes_up: bool, goes_down: bool, settings: str, rules: str
) -> RunPlan:
    """Decide what has to be done.

    Parameters
    ----------
    found
        From `find_sources`.
    wanted
        Slices that may be written.
    goes_up, goes_down
        As of `plan_spans`.
    settings, rules
        What all slices depend on besides the masks, and what those beyond the last annotated one do, as text.
    """
    from napari_segnext.propagation import plan_spans

    stale = {}
    for one in found:
        spans = plan_spans(one.sources, wanted, goes_up=goes_up, goes_down=goes_down)
        keyed = [(span, _key(span, one.digests, settings, rules)) for span in spans]
        stale[one.known.label] = tuple(
            (span, key) for span, key in keyed if not _is_up_to_date(span, key, one.known.noted)
        )
    parts = tuple(_parts([one for one in found if stale[one.known.label]], stale))
    n_steps = sum(_n_steps(part, goes_up=goes_up, goes_down=goes_down) for part in parts)
    return RunPlan(found, parts, {label: spans for label, spans in stale.items() if spans}, n_steps)


def beyond(span: Span, index: int) -> range:
    """Slices of a span past one of its slices, as seen from the annotated end."""
    return range(index + 1, span.slices.stop) if span.before is not None else range(span.slices.start, index)


def _key(span: Span, digests: Mapping[int, str], settings: str, rules: str) -> str:
    ends = [f"{end}:{digests[end]}" for end in (span.before, span.after) if end is not None]
    text = " ".join([settings, *ends, *([] if span.is_between else [rules])])
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _is_up_to_date(span: Span, key: str, noted: Mapping[int, ReviewedSlice]) -> bool:
    """Whether all slices of a span, up to where the object ended, came from what is there now."""
    for index in span.slices if span.before is not None else reversed(span.slices):
        one = noted.get(index)
        if one is None or one.came_from != key:
            return False
        if one.found is ReviewState.STOPPED:
            return True
    return True


def _parts(objects: list[FoundObject], stale: Mapping[int, tuple[tuple[Span, str], ...]]) -> Iterator[Part]:
    """Objects whose stale slices overlap, together."""
    hulls = {}
    for one in objects:
        spans = [span for span, _ in stale[one.known.label]]
        hulls[one.known.label] = range(min(s.slices.start for s in spans), max(s.slices.stop for s in spans))
    group: list[FoundObject] = []
    whole = range(0)
    for one in sorted(objects, key=lambda one: hulls[one.known.label].start):
        hull = hulls[one.known.label]
        if group and hull.start >= whole.stop:
            yield Part(whole, tuple(group))
            group = []
        whole = range(whole.start, max(whole.stop, hull.stop)) if group else hull
        group.append(one)
    if group:
        yield Part(whole, tuple(group))


def _n_steps(part: Part, *, goes_up: bool, goes_down: bool) -> int:
    """How often a slice is opened: for each source, and for each sweep that carries an object to it."""
    from napari_segnext.propagation import plan_spans

    opened: set[tuple[int, int]] = set()
    for one in part.objects:
        for span in plan_spans(one.sources, part.slices, goes_up=goes_up, goes_down=goes_down):
            sweeps = [step for step, end in ((1, span.before), (-1, span.after)) if end is not None]
            opened.update((step, index) for step in sweeps for index in span.slices)
    return len(opened) + sum(len(one.sources) for one in part.objects)


_NOTHING = np.zeros(0, np.intp)
