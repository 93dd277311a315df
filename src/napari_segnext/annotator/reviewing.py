"""What an annotator can do with whole volumes: propagate its objects, and walk through what came of it.

Kept apart from `Annotator`, which gives it what it needs and hands its changes on to the history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_segnext.annotator.coordinates import finest_level
from napari_segnext.annotator.errors import AnnotatorError, NoSuchObjectError
from napari_segnext.annotator.history import Change
from napari_segnext.annotator.propagating import Propagator
from napari_segnext.annotator.propagation_job import job_of, labels_on
from napari_segnext.annotator.review import Review
from napari_segnext.annotator.review_table import ReviewTable
from napari_segnext.annotator.review_walk import DOUBTFUL, next_doubtful
from napari_segnext.annotator.slice_line import SliceLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from napari_segnext.annotator.coordinates import ShownSlice, SliceFrame
    from napari_segnext.annotator.depth import DepthSource
    from napari_segnext.annotator.executor import Executor
    from napari_segnext.annotator.label_edits import LabelEdit
    from napari_segnext.annotator.layers import AnnotationLayers
    from napari_segnext.annotator.model_input import ModelInput
    from napari_segnext.annotator.object_edits import ObjectEdit
    from napari_segnext.annotator.object_labels import ObjectLabels
    from napari_segnext.annotator.objects import ObjectRecord
    from napari_segnext.annotator.review import ReviewEdit
    from napari_segnext.annotator.slice_state import SliceState
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.propagation import StopRules
    from napari_segnext.propagation.propagate import Direction

MAX_NAMED = 4
"""Objects that are named in the text of a change."""


class Reviewing:
    """Propagation and review of one annotation. All methods belong to the viewer's thread.

    Parameters
    ----------
    objects, layers, executor
        Of the annotation.
    states
        What is worked on, by slice.
    exchange
        See `Propagator`.

    Attributes
    ----------
    review
        What is known of propagated slices.
    propagator
        Runs the model over the volume.
    axis
        Along which slices follow each other where no axis is named; None for the last one that the shown slice does not
        span.
    doubtful_below
        Confidence below which a slice is in doubt.
    n_images
        How often the image got other pixels.
    """

    visited = Signal(int, int)
    """Label and number of the slice that is looked at."""

    def __init__(
        self,
        objects: ObjectLabels,
        layers: AnnotationLayers,
        executor: Executor,
        *,
        states: Mapping[ShownSlice, SliceState],
        exchange: Callable[[Change, Change | None], None],
    ) -> None:
        self._objects = objects
        self._layers = layers
        self._last = (-1, 0)
        self.axis: int | None = None
        self.doubtful_below = DOUBTFUL
        self.n_images = 0
        self.review = Review()
        self.propagator = Propagator(
            objects,
            self.review,
            executor,
            is_left_alone=lambda label, shown: shown in states and states[shown].draft.label == label,
            exchange=exchange,
        )

    def line(self, shown: ShownSlice, axis: int | None = None) -> SliceLine:
        """The line that a slice lies on; see `SliceLine.through`."""
        shape = finest_level(self._layers.image).shape[: self._layers.image.ndim]
        if axis is None and self.axis in shown.other_axes:
            axis = self.axis
        return SliceLine.through(shown, tuple(int(n) for n in shape), axis)

    def table(self, line: SliceLine, before: ReviewTable | None = None) -> ReviewTable:
        """All that is known of objects on a line; a table from before of the same objects is brought up to date."""
        records = self._objects.records
        labels = labels_on(line, records, self.review)
        if before is not None and (before.line, before.labels) == (line, labels):
            before.take_in_records(records)
            return before
        return ReviewTable(line, labels, self.review, records)

    # a run

    def begin(
        self,
        frame: SliceFrame,
        state: SliceState,
        labels: Iterable[int] | None,
        remember: Callable[[Change], None],
        *,
        axis: int | None,
        slices: tuple[int, int] | None,
        direction: Direction,
        rules: StopRules | None,
        zoom: bool | None,
        model: InteractiveModel,
        model_input: ModelInput,
        depth: DepthSource,
        is_user_waiting: Callable[[], bool],
    ) -> None:
        """Begin a run; `remember` gets what stands for it in the history. For the rest see `job_of`."""
        if self.propagator.is_running:
            raise AnnotatorError("objects are being propagated already; wait, or cancel that first.")
        job = job_of(
            self.line(frame.shown, axis),
            labels,
            slices=slices,
            direction=direction,
            rules=rules,
            zoom=zoom,
            records=self._objects.records,
            review=self.review,
            layers=self._layers,
            model=model,
            model_input=model_input,
            depth=depth,
            is_user_waiting=is_user_waiting,
            n_images=self.n_images,
        )
        change = Change(_propagating([one.label for one in job.objects]), frame.shown, state.draft, state.draft)
        remember(change)
        self.propagator.start(job, change)

    # what was said about slices, as changes

    def change_of_marks(self, frame: SliceFrame, state: SliceState, label: int | None, *, is_accepted: bool) -> Change:
        """That the slice that is shown is good as it is, or free again; for one object, or all on it.

        Raises
        ------
        NoSuchObjectError
            If nothing is there that this can be said of.
        """
        shown = frame.shown
        keys = [(one, shown) for one in ([label] if label is not None else self.review.labels)]
        edit = self.review.accepting(keys) if is_accepted else self.review.releasing(keys, self._objects.data)
        if not edit:
            what = "propagated and not looked at yet" if is_accepted else "accepted or edited"
            whose = "no object" if label is None else f"nothing of object {label}"
            raise NoSuchObjectError(f"{whose} on this slice was {what}; go to one that was.")
        names = ", ".join(str(one) for one, _ in edit)
        verb = "accept" if is_accepted else "release"
        return Change(f"{verb} object {names} on slice {shown.index}", shown, state.draft, state.draft, review=edit)

    def review_of_accept(self, record: ObjectRecord, shown: ShownSlice, edits: tuple[LabelEdit, ...]) -> ReviewEdit:
        """What follows from an object that was accepted, and written; `record` is what is known of it then."""
        return {
            **self.review.annotating(record.label, shown, is_recorded=shown in record.slices),
            **self.review.yielding(edits, self._objects.data, but=[record.label]),
        }

    def review_of_objects(self, edit: ObjectEdit, *, new_label: int | None = None) -> ReviewEdit:
        """What follows from a change of whole objects; `new_label` is that of the one that is removed."""
        if new_label is not None:
            return self.review.renumbering(next(iter(edit.removed)), new_label)
        return {
            **self.review.painting(edit.labels, but=edit.removed),
            **self.review.removal(edit.removed),
        }

    # walking

    def next_doubtful(self, line: SliceLine, shown: ShownSlice, threshold: float) -> tuple[int, int] | None:
        """(label, index) of the next doubtful slice after the one that is looked at; None if there is none."""
        index = line.index_of(shown)
        here = -1 if index is None else index
        # whoever went elsewhere begins there, with all of its objects
        after = self._last if self._last[0] == here else (here, 0)
        found = next_doubtful(self.review, self._objects.records, line, after, threshold)
        return None if found is None else (found[1], found[0])

    def visit(self, label: int, index: int, shown: ShownSlice) -> tuple[float, float] | None:
        """Note what is looked at now; the middle (row, column) of the object there, None if it has no pixel."""
        self._last = (index, label)
        self._layers.output.selected_label = label
        rows, columns = np.nonzero(self._objects.pixels_of(shown, label))
        self.visited.emit(label, index)
        return (float(rows.mean()), float(columns.mean())) if len(rows) else None

    @property
    def visited_label(self) -> int | None:
        """The object that was looked at last."""
        return self._last[1] or None


def _propagating(labels: list[int]) -> str:
    named = ", ".join(str(label) for label in labels[:MAX_NAMED])
    return f"propagate object {named}" if len(labels) <= MAX_NAMED else f"propagate {len(labels)} objects"
