"""One object on its way through the slices."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_segnext.propagation.evidence import Looks
from napari_segnext.propagation.trust import Trust

if TYPE_CHECKING:
    from napari_segnext._types import Mask
    from napari_segnext.prompts.packed_mask import PackedMask
    from napari_segnext.propagation.patch import Patch
    from napari_segnext.propagation.plan import Span


@dataclass(slots=True)
class Track:
    """What is known about an object between the steps of a run. Masks and probabilities have square pixels.

    Attributes
    ----------
    label
        Its number.
    annotated
        Slice → mask, packed, as whatever is kept for many slices.
    teachers
        Annotated slices from which is learned: those at the ends of spans, so that many others cost nothing.
    looks, trust
        What they taught.
    spans
        Where it is to be carried.
    current, flowed
        On the slice that a sweep left last: what the model carries, and what the flow alone carries.
    answers_up, flowed_up
        Slice → what the sweep upwards brought, until the one downwards comes there.
    """

    label: int
    annotated: dict[int, PackedMask] = field(default_factory=dict)
    teachers: frozenset[int] = frozenset()
    looks: Looks = field(default_factory=Looks)
    trust: Trust = field(default_factory=Trust)
    spans: tuple[Span, ...] = ()
    current: Mask | None = None
    flowed: Mask | None = None
    answers_up: dict[int, Patch] = field(default_factory=dict)
    flowed_up: dict[int, PackedMask] = field(default_factory=dict)

    def span_of(self, index: int) -> Span | None:
        """The span that a slice lies in."""
        return next((span for span in self.spans if index in span.slices), None)

    def span_that_ends_at(self, index: int, step: int) -> Span | None:
        """The span between annotated slices that a sweep leaves when it comes to `index`."""
        return next(
            (span for span in self.spans if span.is_between and (span.after if step == 1 else span.before) == index),
            None,
        )

    def ends_of(self, span: Span) -> tuple[Mask, Mask]:
        """The annotated masks at both ends of a span between two."""
        if span.before is None or span.after is None:
            raise ValueError(f"slices {span.slices} lie beyond the last annotated one; expected a span between two.")
        return self.annotated[span.before].unpacked(), self.annotated[span.after].unpacked()

    def start_from(self, index: int) -> None:
        """Leave an annotated slice."""
        self.current = self.flowed = self.annotated[index].unpacked()
