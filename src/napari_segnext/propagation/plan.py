"""What has to be propagated from where: pure decisions about slice numbers.

Annotated slices cut a range of slices into spans. A span depends on the annotated slices at its ends and on nothing
else, so a correction concerns the span that it lies in, and no other.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring slices that are not annotated.

    Attributes
    ----------
    slices
        Their numbers, rising.
    before, after
        The annotated slice below the first and above the last of them; None where there is none.
    """

    slices: range
    before: int | None
    after: int | None

    @property
    def is_between(self) -> bool:
        """Whether both ends are annotated."""
        return self.before is not None and self.after is not None

    def fraction(self, index: int) -> float:
        """How far a slice lies from `before` (0) to `after` (1)."""
        if self.before is None or self.after is None:
            raise ValueError(f"slices {self.slices} lie beyond the last annotated one; expected a span between two.")
        return (index - self.before) / (self.after - self.before)


def plan_spans(
    annotated: Iterable[int], wanted: range, *, goes_up: bool = True, goes_down: bool = True
) -> tuple[Span, ...]:
    """Spans that annotated slices leave in a range.

    Parameters
    ----------
    annotated
        Numbers of annotated slices; those outside `wanted` are started from, too, if slices within it lie next to them.
    wanted
        Slices that may be written; step 1.
    goes_up, goes_down
        Whether slices above the last, and below the first annotated slice are wanted.

    Returns
    -------
    tuple of Span
        From the lowest slices to the highest; none is empty.
    """
    ends = sorted(set(annotated))
    if not ends:
        return ()
    borders: list[int | None] = [None, *ends, None]
    spans = []
    for before, after in itertools.pairwise(borders):
        if (before is None and not goes_down) or (after is None and not goes_up):
            continue
        first = wanted.start if before is None else max(wanted.start, before + 1)
        stop = wanted.stop if after is None else min(wanted.stop, after)
        # a range that does not touch an annotated slice cannot be reached from it
        reachable_before = before is not None and first == before + 1
        reachable_after = after is not None and stop == after
        if first < stop and (reachable_before or reachable_after):
            spans.append(
                Span(range(first, stop), before if reachable_before else None, after if reachable_after else None)
            )
    return tuple(spans)


def spans_after_correction(annotated: Iterable[int], corrected: int, wanted: range) -> tuple[Span, ...]:
    """The spans that a correction of one slice concerns: those that end at it.

    Parameters
    ----------
    annotated
        Annotated slices before the correction; may hold `corrected`.
    corrected
        The slice that was corrected, and counts as annotated from now on.
    wanted
        Slices that may be written.
    """
    spans = plan_spans({*annotated, corrected}, wanted)
    return tuple(span for span in spans if corrected in (span.before, span.after))
