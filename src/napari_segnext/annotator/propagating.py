"""Propagating objects of an annotation: a run in the worker, its results in the labels layer as they come.

1. `start` sends the run to the executor, a step at a time: first a look at the labels and a plan, then slice by slice.
2. What a slice gave is written at once, unless a person had a hand in it meanwhile, and noted in the review.
3. The run is one `Change`. Its place in the history is taken at the start; when it ends, however it ends, the change
   holds all that was written. What was done is kept: a run that is cancelled, or fails, is taken back as a whole one.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_segnext.annotator.propagated_slices import Wish, plan_slice, wish_of
from napari_segnext.annotator.propagation_plan import RunPlan, beyond
from napari_segnext.annotator.propagation_work import PropagationWork
from napari_segnext.annotator.review import ReviewedSlice, ReviewState, merged_edits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_segnext.annotator.coordinates import ShownSlice
    from napari_segnext.annotator.executor import Executor
    from napari_segnext.annotator.history import Change
    from napari_segnext.annotator.label_edits import LabelEdit
    from napari_segnext.annotator.object_labels import ObjectLabels
    from napari_segnext.annotator.propagation_work import Job
    from napari_segnext.annotator.review import Review, ReviewEdit
    from napari_segnext.propagation import SliceResult

MAX_TOLD = 6
"""Objects whose end is told in the sentence about a run; the strip shows all."""


class Propagator:
    """Runs of an annotation, one at a time. All methods belong to the viewer's thread.

    Parameters
    ----------
    objects, review
        What is written into.
    executor
        Where the model works.
    is_left_alone
        Whether an object is being worked on by hand on a slice.
    exchange
        Puts a change in the place of another one in the history; None removes it.
    """

    changed = Signal()
    """A run has begun, gone on or ended."""
    ended = Signal(str)
    """A run has ended: what came of it, in words."""
    failed = Signal(object)
    """An exception that ended a run; what was done before is kept."""

    def __init__(
        self,
        objects: ObjectLabels,
        review: Review,
        executor: Executor,
        *,
        is_left_alone: Callable[[int, ShownSlice], bool],
        exchange: Callable[[Change, Change | None], None],
    ) -> None:
        self._objects = objects
        self._review = review
        self._executor = executor
        self._is_left_alone = is_left_alone
        self._exchange = exchange
        self._run: _Run | None = None
        self._last: tuple[int, int] = (0, 0)

    @property
    def is_running(self) -> bool:
        """Whether a run is going on."""
        return self._run is not None

    @property
    def is_cancelling(self) -> bool:
        """Whether a run is about to end."""
        return self._run is not None and self._run.work.is_cancelled

    @property
    def progress(self) -> tuple[int, int]:
        """(slices opened, slices to open) of the run, or of the last one; (0, 0) while that is not known."""
        run = self._run
        if run is None:
            return self._last
        return (0, 0) if run.plan is None else (min(run.work.n_done, run.plan.n_steps), run.plan.n_steps)

    @property
    def index(self) -> int | None:
        """The slice that was written last; None if none was."""
        return None if self._run is None else self._run.index

    @property
    def change(self) -> Change | None:
        """The change that stands for the run in the history, while it goes on."""
        return None if self._run is None else self._run.change

    def start(self, job: Job, change: Change) -> None:
        """Begin a run.

        Parameters
        ----------
        job
            What to do.
        change
            What stands in the history for it.
        """
        self._run = run = _Run(job, change)
        self.changed.emit()
        self._go_on(run)

    def cancel(self) -> bool:
        """End the run before its next slice and keep what is done; whether there was one."""
        run = self._run
        if run is None:
            return False
        run.work.cancel()
        self.changed.emit()
        return True

    def end_now(self, told: str = "") -> bool:
        """End the run at once and keep what is done; what the worker is at is not written. Whether there was one."""
        run = self._run
        if run is None:
            return False
        run.work.cancel()
        self._end(run, told or "Propagation was ended.")
        return True

    # steps

    def _go_on(self, run: _Run) -> None:
        """Send steps to the worker until one is under way; in a script each is done when `submit` returns."""
        if run.is_sending:
            return
        run.is_sending = True
        while run is self._run and not run.is_waiting:
            run.is_waiting = True
            if run.plan is None:
                self._executor.submit(
                    run.work.find, lambda plan: self._on_plan(run, plan), lambda error: self._on_error(run, error)
                )
            else:
                self._executor.submit(
                    run.work.next_results,
                    lambda results: self._on_results(run, results),
                    lambda error: self._on_error(run, error),
                )
        run.is_sending = False

    def _on_plan(self, run: _Run, plan: RunPlan) -> None:
        run.is_waiting = False
        if run is not self._run:
            return
        run.plan = plan
        self._note_painted(run, plan)
        if run.work.is_cancelled:
            self._end(run, "Cancelled before anything was done.")
        elif not plan.parts:
            self._end(run, _nothing_to_do(plan))
        else:
            self.changed.emit()
            self._go_on(run)

    def _on_results(self, run: _Run, results: list[SliceResult]) -> None:
        run.is_waiting = False
        if run is not self._run:
            return
        if not results:
            self._end(run, run.in_words())
            return
        try:
            self._take_in(run, results)
        except (ValueError, OSError) as error:
            # the layer cannot be written into any more
            self._on_error(run, error)
            return
        self.changed.emit()
        self._go_on(run)

    def _on_error(self, run: _Run, error: Exception) -> None:
        run.is_waiting = False
        if run is self._run:
            run.work.cancel()
            self._end(run, "")
            self.failed.emit(error)

    def _end(self, run: _Run, told: str) -> None:
        self._last = self.progress
        self._run = None
        is_empty = not run.edits and not run.notes
        done = None if is_empty else replace(run.change, labels=tuple(run.edits), review=run.notes)
        self._exchange(run.change, done)
        self.changed.emit()
        if told:
            self.ended.emit(told)

    # writing

    def _note_painted(self, run: _Run, plan: RunPlan) -> None:
        """What turned out to be painted by hand is shown as such."""
        notes: ReviewEdit = {}
        for one in plan.found:
            for index in one.painted:
                shown, noted = run.job.line.at(index), one.known.noted.get(index)
                if noted is None:
                    note = ReviewedSlice(ReviewState.EDITED, pixels=one.digests[index])
                else:
                    note = replace(noted, mark=ReviewState.EDITED)
                notes[one.known.label, shown] = (noted, note)
        self._note(run, notes)

    def _take_in(self, run: _Run, results: Iterable[SliceResult]) -> None:
        plan = run.plan
        wishes: dict[int, list[Wish]] = defaultdict(list)
        for result in results:
            stale = None if plan is None else plan.span_of(result.label, result.index)
            if stale is None:
                continue
            span, came_from = stale
            wishes[result.index].append(wish_of(result, came_from))
            run.count(result)
            if result.stopped is not None:
                for index in beyond(span, result.index):
                    if self._review.get(result.label, run.job.line.at(index)) is not None:
                        wishes[index].append(Wish(result.label, None, None))
        for index, wanted in wishes.items():
            self._write(run, index, wanted)

    def _write(self, run: _Run, index: int, wishes: list[Wish]) -> None:
        shown = run.job.line.at(index)
        free = [wish for wish in wishes if self._is_free(wish.label, shown)]
        edit, notes = plan_slice(self._objects.data, shown, free, self._review)
        if edit is not None:
            self._objects.write((edit,))
            run.edits.append(edit)
        self._note(run, notes)
        run.index = index

    def _is_free(self, label: int, shown: ShownSlice) -> bool:
        record = self._objects.records.get(label)
        return not (record.is_locked or shown in record.slices or self._is_left_alone(label, shown))

    def _note(self, run: _Run, notes: ReviewEdit) -> None:
        self._review.apply(notes)
        run.notes = merged_edits(run.notes, notes)


class _Run:
    """A run that is going on."""

    def __init__(self, job: Job, change: Change) -> None:
        self.job = job
        self.change = change
        self.work = PropagationWork(job)
        self.plan: RunPlan | None = None
        self.edits: list[LabelEdit] = []
        self.notes: ReviewEdit = {}
        self.index: int | None = None
        self.is_waiting = self.is_sending = False
        self._written: set[tuple[int, int]] = set()
        self._ends: list[tuple[int, int, str]] = []

    def count(self, result: SliceResult) -> None:
        """Remember a result for the sentence at the end."""
        if result.stopped is None:
            self._written.add((result.label, result.index))
        else:
            self._ends.append((result.label, result.index, result.stopped.value))

    def in_words(self) -> str:
        """What came of the run."""
        labels, slices = {label for label, _ in self._written}, {index for _, index in self._written}
        what = f"propagated {_n(labels, 'object')} to {_n(slices, 'slice')}" if labels else "no slice was filled"
        parts = [f"Cancelled: {what}." if self.work.is_cancelled else f"{what[0].upper()}{what[1:]}."]
        parts += [f"Object {label} ended at slice {index}: {why}." for label, index, why in self._ends[:MAX_TOLD]]
        if len(self._ends) > MAX_TOLD:
            parts.append(f"{len(self._ends) - MAX_TOLD} more ends are marked in the strip.")
        if self.work.is_cancelled:
            parts.append("Propagate goes on.")
        return " ".join(parts)


def _n(things: set[Any], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _nothing_to_do(plan: RunPlan) -> str:
    if not any(one.sources for one in plan.found):
        return "No object is annotated on these slices. Accept one on a slice or two, then propagate."
    return "Everything is up to date: correct a slice, or choose other slices or rules, then propagate again."
