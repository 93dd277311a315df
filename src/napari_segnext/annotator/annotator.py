"""Annotating one image in a napari viewer, without Qt.

1. The user draws on the points, shapes or scribbles layer (or a script does); napari tells the annotator.
2. The annotator reads the layers: prompts of the slice that is shown, in the order in which they were given.
3. They go as a numbered `Request` to the executor, one at a time; a newer request replaces one that waits.
4. The `Answer` comes back on the viewer's thread. If its number is still the newest, the preview shows its mask.
5. `accept` writes the mask under the next free label, and the prompts make room for the next object.
6. Everything is a `Change` in one history: prompts, accepting, objects renamed, merged, deleted, reopened, painted.
7. `propagate` carries objects on to other slices, in the executor as well; `reviewing` knows what came of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from psygnal import Signal

from napari_segnext.annotator.annotation import (
    Annotation,
    draft_of,
    prompts_file_of,
    records_of,
    require_room,
    shown_slice,
)
from napari_segnext.annotator.answers import Answer, Answerer, require_readable, will_zoom
from napari_segnext.annotator.asking import Asker
from napari_segnext.annotator.bindings import BINDINGS, BoundKeys
from napari_segnext.annotator.coordinates import ShownSlice, SliceFrame, finest_level, resample_label, show_slice
from napari_segnext.annotator.depth import DepthSource
from napari_segnext.annotator.depth_layers import DepthLayers
from napari_segnext.annotator.draft import Draft
from napari_segnext.annotator.draft_mask import mask_to_accept, mask_to_show, replaced_mask
from napari_segnext.annotator.errors import (
    AnnotatorError,
    DraftInTheWayError,
    LayerMismatchError,
    NoSuchObjectError,
    NothingToAcceptError,
    SliceNotShownError,
)
from napari_segnext.annotator.executor import Executor, ImmediateExecutor
from napari_segnext.annotator.history import Change, History
from napari_segnext.annotator.label_edits import labels_under, plan_accept
from napari_segnext.annotator.layer_watch import LayerWatch, OwnWriting
from napari_segnext.annotator.layers import (
    is_on_grid,
    prepare_layers,
    restyle,
    set_default_sign,
    set_next_sign,
    set_signs,
    signs_of,
)
from napari_segnext.annotator.layers_from_prompts import show_prompts
from napari_segnext.annotator.levels import image_at_level
from napari_segnext.annotator.model_input import ModelInput
from napari_segnext.annotator.object_edits import (
    ObjectEdit,
    plan_delete,
    plan_merge,
    plan_new_label,
    plan_records,
)
from napari_segnext.annotator.object_labels import ObjectLabels
from napari_segnext.annotator.objects import AcceptedSlice
from napari_segnext.annotator.prompts_from_layers import LayersReading, StrokeCache, read_layers
from napari_segnext.annotator.review_file import notes_of, objects_with_review
from napari_segnext.annotator.reviewing import Reviewing
from napari_segnext.annotator.slice_state import SliceState
from napari_segnext.annotator.tools import TOOLS, Tool, finish_drawing, take_up, tool_in_hand, tool_named
from napari_segnext.annotator.views import MAX_GLIMPSED_PIXELS, AnswerViews
from napari_segnext.errors import PromptError
from napari_segnext.prompts import ImageReference, MaskPrompt
from napari_segnext.prompts.packed_mask import PackedMask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari.layers import Image, Labels, Points, Shapes
    from numpy.typing import NDArray

    from napari_segnext._types import Mask
    from napari_segnext.annotator.label_edits import LabelEdit, Overlap
    from napari_segnext.annotator.layers import AnnotationLayers
    from napari_segnext.annotator.objects import ObjectRecords
    from napari_segnext.annotator.propagating import Propagator
    from napari_segnext.annotator.review import Review, ReviewEdit
    from napari_segnext.annotator.slice_line import SliceLine
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.prompts import Prompts
    from napari_segnext.propagation import StopRules
    from napari_segnext.propagation.propagate import Direction
    from napari_segnext.session import Prediction
    from napari_segnext.session.cleanup import Cleanup

MAX_AHEAD_S = 0.5
"""Slices that take longer to encode are not encoded ahead: a click would have to wait for them."""

_SELECT_MODES = ("select", "direct")

AskOverlap = Callable[[tuple[int, ...]], Literal["keep", "overwrite", "cancel"]]
"""Asked with the labels of the objects that a mask reaches into."""


class Annotator:
    """Interactive segmentation of an image layer: prompts on layers in, a mask in the preview, labels out.

    Layers that are not given are made, on the image's grid and in its place. All work in data is done on the slice that
    the viewer shows; prompts on other slices wait until theirs is shown.

    Parameters
    ----------
    viewer
        A napari viewer, or a `ViewerModel` where there is no window.
    image_layer
        An image of the viewer: any number of axes, RGB or not, multiscale or not.
    model
        Any `InteractiveModel`, for example from `napari_segnext.load_model`.
    points, shapes
        The user's own layers for clicks and for boxes, polygons and lines.
    scribbles, output
        The user's own labels layers, on the image's grid: brush strokes (1 object, 2 background) and accepted objects.
    zoom
        True looks first at regions of several sizes about the click, from the whole slice down, takes the most certain
        answer, and then looks closely at the region about the object; False looks at the whole slice only; None as the
        model prefers.
    level
        Which level of a multiscale image to work at, 0 for the finest; coarser ones become an image layer of their own
        (`layers.image`), whose grid labels and prompts then have. "in view" does so with what the canvas shows, for
        images of any size; see `image_in_view`.
    executor
        Where the model works; by default at once, on this thread.

    Raises
    ------
    LayerMismatchError
        If a given layer does not fit the image, or it has no such level.
    ImageError
        If the slice that is shown is too large to be read. No layer is made then.
    AnnotatorError
        If too much is in view of an image without coarser levels, or nothing of it.

    Examples
    --------
    >>> annotator = Annotator(viewer, viewer.layers["cell"], model)  # doctest: +SKIP
    >>> annotator.layers.points.add([120, 88])  # doctest: +SKIP
    >>> annotator.accept()  # doctest: +SKIP
    1
    """

    mask_changed = Signal()
    """The preview shows another mask, or none."""
    busy_changed = Signal(str)
    """What is being computed, in words; empty when there is nothing to do."""
    sign_changed = Signal(bool)
    """Whether what is drawn next lies on the object."""
    zoom_changed = Signal(object)
    """`zoom` is now this: True, False or None."""
    depth_changed = Signal()
    """There is another `depth_layer`, or a layer that shows depth or order came or went."""
    history_changed = Signal()
    """There may be something else to take back or to repeat."""
    edited = Signal()
    """Something was done, taken back or repeated: there is something to save."""
    objects_changed = Signal()
    """Objects were added, changed or removed, or their pixels were."""
    draft_changed = Signal()
    """Another object is worked on, or its threshold or clean-up is another."""
    accepted = Signal(int)
    """A label was written."""
    noticed = Signal(str)
    """A sentence that the user should read; empty when the last one is no longer true."""
    failed = Signal(object)
    """An exception that the model or a key raised."""
    closed = Signal(str)
    """The annotation ended; the reason in words, empty if `close` was called."""

    def __init__(
        self,
        viewer: Any,
        image_layer: Image,
        model: InteractiveModel,
        *,
        points: Points | None = None,
        shapes: Shapes | None = None,
        scribbles: Labels | None = None,
        output: Labels | None = None,
        zoom: bool | None = None,
        level: int | Literal["in view"] = 0,
        executor: Executor | None = None,
    ) -> None:
        image_layer = image_at_level(viewer, image_layer, level)
        self._viewer = viewer
        self._model = model
        self._zoom = zoom
        self._executor: Executor = ImmediateExecutor() if executor is None else executor
        _require_readable_slice(viewer, image_layer, is_zoomed=self.is_zoomed)
        self._layers = prepare_layers(
            viewer, image_layer, points=points, shapes=shapes, scribbles=scribbles, output=output
        )
        self._writing = OwnWriting()
        self._objects = ObjectLabels(self._layers.output, self._executor, self.failed.emit, self._writing)
        self._watch = self._new_watch()
        self._input = ModelInput.of(image_layer)
        self._views = AnswerViews(viewer, self._layers)
        self._depth = DepthSource(viewer, image_layer, model)
        self._depth_layers = DepthLayers(viewer, self._layers)
        self._asker = Asker(self._executor, self._new_answerer())
        self._slices: dict[ShownSlice, SliceState] = {}
        self._history = self._history_before_run = History()
        self.reviewing = Reviewing(
            self._objects, self._layers, self._executor, states=self._slices, exchange=self._exchange_change
        )
        self._settings = Draft()
        self.overlap: Literal["keep", "overwrite", "ask"] = "keep"
        self.ask_overlap: AskOverlap | None = None
        self._strokes = StrokeCache()
        self._last_notice = ""
        self._is_positive = True
        self._is_closed = False
        set_next_sign(self._layers, is_positive=True)
        self._connect()
        actions = {binding.action: self._safely(binding.action) for binding in BINDINGS}
        self._keys = BoundKeys(viewer, self._layers, actions)
        self._read()

    def _new_watch(self) -> LayerWatch:
        """What tells that the user has changed a layer."""
        return LayerWatch(
            self._viewer,
            self._layers,
            self._writing,
            self._executor,
            read=self._read,
            is_next_positive=lambda: self._is_positive,
        )

    # what there is

    @property
    def layers(self) -> AnnotationLayers:
        """The layers of this annotation."""
        return self._layers

    @property
    def model(self) -> InteractiveModel:
        """The model that answers."""
        return self._model

    @property
    def zoom(self) -> bool | None:
        """True with zoom, False without, None as the model prefers.

        When it is changed, the mask is computed anew from the same prompts; accepted objects stay as they are.

        Raises
        ------
        ImageError
            If the slice that is shown is too large without zoom; nothing is changed then.
        """
        return self._zoom

    @zoom.setter
    def zoom(self, zoom: bool | None) -> None:
        if zoom is self._zoom:
            return
        was_zoomed, is_zoomed = self.is_zoomed, will_zoom(self._model, zoom)
        if is_zoomed != was_zoomed and not self._is_closed:
            _require_readable_slice(self._viewer, self._layers.image, is_zoomed=is_zoomed)
        self._zoom = zoom
        self.zoom_changed.emit(zoom)
        if is_zoomed != was_zoomed and not self._is_closed:
            self._begin_anew()
            self.history_changed.emit()
            if not self.prompts:
                self.prepare()

    @property
    def model_input(self) -> ModelInput:
        """The channels that the model sees: the image as it is, unless others were chosen.

        When it is changed, the mask is computed anew from the same prompts; accepted objects stay as they are.

        Raises
        ------
        LayerMismatchError
            If the channels do not lie on the image's grid, or cannot be put together; nothing is changed then.
        """
        return self._input

    @model_input.setter
    def model_input(self, model_input: ModelInput) -> None:
        if model_input == self._input:
            return
        model_input.require_fitting(self._layers.image)
        self._input = model_input
        if not self._is_closed:
            self._begin_anew()
            if not self.prompts:
                self.prepare()

    @property
    def reads_depth(self) -> bool:
        """Whether the model's answers depend on depth."""
        return self._depth.is_read

    @property
    def depth_layer(self) -> Any:
        """The image layer that gives the depth, pixel by pixel; None where the model sees it.

        When it is changed, or its data are, the mask is computed anew from the same prompts; accepted objects stay as
        they are. Of a model that reads no depth it is kept and not used.

        Raises
        ------
        LayerMismatchError
            If it is no grey image layer of the image's shape; nothing is changed then.
        """
        return self._depth.layer

    @depth_layer.setter
    def depth_layer(self, layer: Any) -> None:
        if not self._is_closed:
            self._depth.layer = layer

    @property
    def is_zoomed(self) -> bool:
        """Whether the model looks closely at the region about the object."""
        return will_zoom(self._model, self._zoom)

    @property
    def is_closed(self) -> bool:
        """Whether the annotation ended."""
        return self._is_closed

    @property
    def is_busy(self) -> bool:
        """Whether something is being computed, wanted or not."""
        return self._asker.is_busy

    @property
    def busy_text(self) -> str:
        """What is being computed, in words; empty when there is nothing to do."""
        return self._asker.busy_text

    @property
    def has_given_up(self) -> bool:
        """Whether the last computation was stopped or failed; `compute` tries again."""
        return self._asker.has_given_up

    @property
    def is_positive(self) -> bool:
        """Whether what is drawn next lies on the object."""
        return self._is_positive

    @property
    def prompts(self) -> Prompts:
        """The prompts on the slice that is shown, in the order in which they were given; empty if none is shown."""
        from napari_segnext.prompts import Prompts

        state = self._state_or_none()
        return Prompts(state.prompts if state is not None else ())

    @property
    def mask(self) -> Mask | None:
        """`(rows, columns)` bool answer to the present prompts on the shown slice; None if there is none (yet)."""
        frame = self._frame_or_none()
        state = None if frame is None else self._slices.get(frame.shown)
        if frame is None or state is None or state.prediction is None:
            return None
        return mask_to_show(self._objects, frame.shown, state, self._spacing(frame.shown))

    @property
    def prediction(self) -> Prediction | None:
        """The model's answer to the present prompts on the shown slice, before threshold and clean-up; None if none."""
        state = self._state_or_none()
        return state.prediction if state is not None else None

    @property
    def draft(self) -> Draft:
        """What is worked on, on the slice that is shown."""
        state = self._state_or_none()
        return state.draft if state is not None else self._settings

    @property
    def shown(self) -> ShownSlice | None:
        """The slice of the image that the viewer shows; None if it shows no single one."""
        frame = self._frame_or_none()
        return None if frame is None else frame.shown

    @property
    def objects(self) -> ObjectRecords:
        """What is known about the objects that were accepted; others may lie in the labels layer, from before."""
        return self._objects.records

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to take back."""
        return bool(self._history.done)

    @property
    def can_redo(self) -> bool:
        """Whether there is a change to repeat."""
        return bool(self._history.undone)

    @property
    def undo_text(self) -> str:
        """What `undo` would take back, in words; empty if there is nothing."""
        return self._history.done[-1].text if self._history.done else ""

    @property
    def redo_text(self) -> str:
        """What `redo` would repeat, in words; empty if there is nothing."""
        return self._history.undone[-1].text if self._history.undone else ""

    @property
    def threshold(self) -> float:
        """Probability above which a pixel belongs to the mask; changing it asks no model, and can be taken back.

        Raises
        ------
        ValueError
            If it is not between 0 and 1.
        """
        return self.draft.threshold

    @threshold.setter
    def threshold(self, threshold: float) -> None:
        if not 0 < threshold < 1:
            raise ValueError(f"threshold is {threshold}; expected a probability between 0 and 1.")
        self._settings = replace(self._settings, threshold=threshold)
        self._change_settings("change the threshold", threshold=threshold)

    @property
    def cleanup(self) -> Cleanup:
        """What is done to the mask after the threshold; changing it asks no model, and can be taken back.

        Raises
        ------
        ValueError
            If a radius spans too many pixels of the slice that is shown; nothing is changed then.
        """
        return self.draft.cleanup

    @cleanup.setter
    def cleanup(self, cleanup: Cleanup) -> None:
        from napari_segnext.session.cleanup import require_cleanable

        frame = self._frame_or_none()
        require_cleanable(cleanup, (1.0, 1.0) if frame is None else self._spacing(frame.shown))
        self._settings = replace(self._settings, cleanup=cleanup)
        self._change_settings("change the clean-up", cleanup=cleanup)

    @property
    def notice(self) -> str:
        """The last sentence that the user should read; empty if what it was about is over."""
        return self._last_notice

    @property
    def shows_probability(self) -> bool:
        """Whether a layer shows how probable the model finds each pixel, in percent."""
        return self._views.shows_probability

    @shows_probability.setter
    def shows_probability(self, is_shown: bool) -> None:
        if is_shown == self._views.shows_probability or self._is_closed:
            return
        self._views.show_probability_layer(is_shown=is_shown)
        frame, state = self._frame_or_none(), self._state_or_none()
        if frame is not None and state is not None:
            self._views.show_probability(frame.shown, state.prediction)

    @property
    def shows_depth(self) -> bool:
        """Whether a layer shows the depth of the shown slice, as the model reads it; only of models that read depth."""
        return self._depth_layers.shows("depth")

    @shows_depth.setter
    def shows_depth(self, is_shown: bool) -> None:
        self._show_depth_layer("depth", is_shown=is_shown)

    @property
    def shows_order(self) -> bool:
        """Whether a layer shows how far each pixel lies from the positive prompts, in depth; as `shows_depth`."""
        return self._depth_layers.shows("order")

    @shows_order.setter
    def shows_order(self, is_shown: bool) -> None:
        self._show_depth_layer("order", is_shown=is_shown)

    def _show_depth_layer(self, role: str, *, is_shown: bool) -> None:
        if self._is_closed or is_shown == self._depth_layers.shows(role):
            return
        if is_shown and not self.reads_depth:
            raise AnnotatorError(f"{self._model.identity.name} reads no depth; choose an OIS model.")
        self._depth_layers.set_shown(role, is_shown=is_shown)
        self._watch.note()

    @property
    def highlights_changes(self) -> bool:
        """Whether the preview shows what came to the mask and what went, until `settle_preview` is called."""
        return self._views.highlights_changes

    @highlights_changes.setter
    def highlights_changes(self, is_wanted: bool) -> None:
        self._views.highlights_changes = is_wanted
        if not is_wanted:
            self._views.settle()

    def settle_preview(self) -> None:
        """Show the mask alone, no longer what changed in it."""
        if not self._is_closed:
            self._views.settle()

    def image_for_measuring(self) -> Any:
        """The image's array if objects can be measured on it: in memory, and not too large to be read at once."""
        array = finest_level(self._layers.image)
        return array if isinstance(array, np.ndarray) and array.dtype != bool else None

    # what the user does

    def accept(self, label: int | None = None, *, overlap: Overlap | None = None) -> int:
        """Write the mask into the output layer and clear the prompts of this slice.

        Of an object that was reopened, only those pixels are written in which its mask has changed since it was
        accepted; what was painted on it by hand stays.

        Parameters
        ----------
        label
            The number to write; that of the reopened object, or else the next free one by default.
        overlap
            "keep" leaves pixels of other objects to them, "overwrite" takes them unless they are locked; as
            `Annotator.overlap` says by default.

        Returns
        -------
        int
            The label written.

        Raises
        ------
        NothingToAcceptError
            If there is no mask, nothing of it is free, or whoever was asked about the overlap said no.
        LockedLabelError
            If the object is locked.
        StillComputingError
            If the mask that is shown is older than the prompts or the zoom, or an output layer on disk is still being
            looked through for its largest number.
        NoFreeLabelError
            If the output layer has no number left.
        SliceNotShownError
            If the viewer shows no single slice of the image.
        """
        frame, state = self._now()
        shown, draft = frame.shown, state.draft
        if label is None:
            label = draft.label
        mask = mask_to_accept(shown, state, self._spacing(shown))
        wanted = label if label is not None else self._objects.next_free(shown)
        edit = plan_accept(
            self._objects.data,
            shown,
            mask,
            wanted,
            replaces=replaced_mask(self._objects, shown, state) if draft.label is not None else None,
            overlap=overlap or self._overlap(shown, mask, wanted),
            locked=self._objects.records.locked,
        )
        before = self._objects.records
        record = before.get(wanted)
        if draft.prompts:
            record = record.accepting(shown, AcceptedSlice(replace(draft, label=None), PackedMask.of(mask)))
        edits = () if edit is None else (edit,)
        records = (before, before.having(record))
        change = Change(f"accept object {wanted}", shown, draft, self._settings, edits, records)
        self._do(frame, state, change, lambda: self.reviewing.review_of_accept(record, shown, edits))
        self.accepted.emit(wanted)
        return wanted

    def reset(self) -> None:
        """Remove all prompts of the slice that is shown, and leave a reopened object as it was; can be taken back."""
        frame, state = self._now()
        if not state.draft.is_empty:
            self._do(frame, state, Change("reset", frame.shown, state.draft, self._settings))

    def undo(self) -> bool:
        """Take back the last change, whatever it was, and show the slice it was made on; whether there was one."""
        self._now()
        if not self._history.done:
            return False
        if self._history.done[-1] is self.propagation.change:
            # the run that is going on ends here; if it has written nothing yet, that is all
            n_before = len(self._history.done)
            self.propagation.end_now("Propagation was taken back.")
            if len(self._history.done) < n_before:
                return True
        change = self._history.done[-1]
        frame, state = self._at(change.shown)
        self._objects.revert(change.labels)
        self.review.revert(change.review)
        self._history = self._history.undoing()
        self._set(frame, state, change, is_undone=True)
        return True

    def redo(self) -> bool:
        """Repeat the change that was taken back last, and show the slice it was made on; whether there was one."""
        self._now()
        if not self._history.undone:
            return False
        change = self._history.undone[-1]
        frame, state = self._at(change.shown)
        self._objects.write(change.labels)
        self.review.apply(change.review)
        self._history = self._history.redoing()
        self._set(frame, state, change)
        return True

    # whole volumes

    def propagate(
        self,
        labels: Iterable[int] | None = None,
        slices: tuple[int, int] | None = None,
        direction: Direction = "both",
        rules: StopRules | None = None,
        *,
        axis: int | None = None,
    ) -> None:
        """Carry objects from the slices on which persons have had a hand in them through the volume, in the executor.

        Accepted, accepted after review, and painted slices are started from, with the masks that the labels hold now,
        and never written; neither are other objects' pixels. Slices that are up to date are left out, so after a
        correction only those are done that it concerns, and after `cancel_propagation` those that are missing. A run is
        one change. `propagation` tells how it goes.

        Parameters
        ----------
        labels
            Objects; by default all that are annotated on such slices and not locked.
        slices, direction, rules
            As of `napari_segnext.propagate`.
        axis
            Along which slices follow each other; by default the last one that the shown slice does not span.

        Raises
        ------
        NotAVolumeError
            If the image has no such axis, or the range makes no sense.
        NoSuchObjectError, LockedLabelError
            If there is nothing to propagate, or an object that was named is locked.
        ImageError, ReadOnlyLayerError
            If slices are too large, or the labels cannot be written.
        AnnotatorError
            If a run is going on.
        """
        frame, state = self._now()
        if not self.propagation.is_running:
            self._history_before_run = self._history
        self.reviewing.begin(
            frame,
            state,
            labels,
            self._remember,
            axis=axis,
            slices=slices,
            direction=direction,
            rules=rules,
            zoom=self._zoom,
            model=self._model,
            model_input=self._input,
            depth=self._depth,
            is_user_waiting=lambda: self._asker.is_busy,
        )
        self.history_changed.emit()

    def cancel_propagation(self) -> bool:
        """End the run before its next slice, and keep what is done; whether there was one."""
        return self.propagation.cancel()

    @property
    def propagation(self) -> Propagator:
        """Runs through the volume: whether one is going on, how far it is, and what came of it."""
        return self.reviewing.propagator

    @property
    def review(self) -> Review:
        """What is known of propagated slices."""
        return self.reviewing.review

    def line(self, axis: int | None = None) -> SliceLine:
        """The slices that are propagated through, as the viewer shows the image now.

        Raises
        ------
        NotAVolumeError
            If there is only one.
        SliceNotShownError
            If the viewer shows no single slice of the image.
        """
        return self.reviewing.line(SliceFrame.of(self._viewer, self._layers.image).shown, axis)

    def accept_slice(self, label: int | None = None, *, is_accepted: bool = True) -> None:
        """Find what was propagated to the shown slice good: no run writes it again, and later ones start from it.

        Parameters
        ----------
        label
            Of which object; by default the one that was gone to last, or else all on the slice.
        is_accepted
            False gives slices free that were accepted, or edited by hand.

        Raises
        ------
        NoSuchObjectError
            If nothing is there that this can be said of.
        """
        frame, state = self._now()
        visited = self.reviewing.visited_label
        if label is None and visited is not None and self.review.get(visited, frame.shown) is not None:
            label = visited
        change = self.reviewing.change_of_marks(frame, state, label, is_accepted=is_accepted)
        self._do(frame, state, change)

    def correct_slice(self) -> None:
        """Take up the object that was gone to last, or was selected in the labels layer since, on the shown slice.

        The mask that it has there is the first prompt. Raises as `continue_object`.
        """
        label = int(self._layers.output.selected_label)
        if label not in self._objects.records and not self.review.of(label):
            raise NoSuchObjectError("no object is selected; click on one in the review strip or in the list first.")
        self.continue_object(label)

    def next_doubtful(self, threshold: float | None = None, *, axis: int | None = None) -> tuple[int, int] | None:
        """Go to the next propagated slice, in order, that is in doubt and that nobody has looked at.

        Parameters
        ----------
        threshold
            Confidence below which a slice is in doubt; by default `reviewing.doubtful_below`.
        axis
            As of `propagate`.

        Returns
        -------
        (label, index) or None
            None if there is none.
        """
        frame, _ = self._now()
        line = self.reviewing.line(frame.shown, axis)
        below = self.reviewing.doubtful_below if threshold is None else threshold
        found = self.reviewing.next_doubtful(line, frame.shown, below)
        if found is None:
            self._notice("No propagated slice is in doubt.")
            return None
        self.go_to(*found, axis=axis)
        return found

    def go_to(self, label: int, index: int, *, axis: int | None = None) -> None:
        """Show a slice and select an object there; its middle is brought into sight if it is not."""
        frame, _ = self._now()
        shown = self.reviewing.line(frame.shown, axis).at(index)
        frame, _ = self._at(shown)
        middle = self.reviewing.visit(label, index, shown)
        if middle is not None and not _is_in_sight(self._layers.image, shown, middle):
            self._look_at(frame, shown.to_coordinates([middle])[0])

    # objects

    def reopen(self, label: int) -> None:
        """Work on an accepted object again, with its prompts, threshold and clean-up; `accept` then changes it.

        On the slice that is shown, or on the first one that has the object if it is not there. An object of which no
        prompts are known is given to the model as a mask.

        Raises
        ------
        NoSuchObjectError
            If there is no such object.
        LockedLabelError
            If it is locked.
        DraftInTheWayError
            If there are prompts on that slice that were not accepted yet.
        """
        self._objects.require_unlocked(label)
        frame, _ = self._now()
        if not self._objects.is_on(frame.shown, label):
            frame = self._show_object(label)
        frame, state = self._at(frame.shown)
        if state.draft.label == label:
            return
        if not state.draft.is_empty:
            raise DraftInTheWayError(
                "there are prompts on this slice that were not accepted; accept or reset them first, then reopen "
                f"object {label}."
            )
        accepted = self._objects.records.get(label).slices.get(frame.shown)
        if accepted is not None:
            draft = replace(accepted.draft, label=label)
        else:
            mask = self._objects.pixels_of(frame.shown, label)
            draft = replace(self._settings, prompts=(MaskPrompt(mask),) if mask.any() else (), label=label)
        self._do(frame, state, Change(f"reopen object {label}", frame.shown, state.draft, draft))

    def continue_object(self, label: int) -> None:
        """Work on the part that an accepted object has, or will have, on the slice that is shown.

        Like `reopen`, but without leaving the slice: where the object is not there yet, what is accepted next is added
        to it.

        Raises
        ------
        LockedLabelError, DraftInTheWayError
            As `reopen`.
        """
        self._objects.require_unlocked(label)
        frame, state = self._now()
        if self._objects.is_on(frame.shown, label):
            self.reopen(label)
            return
        if state.draft.label is not None:
            raise DraftInTheWayError(f"object {state.draft.label} is being changed here; accept or reset it first.")
        draft = replace(state.draft, label=label)
        self._do(frame, state, Change(f"go on with object {label}", frame.shown, state.draft, draft))

    def jump_to(self, label: int) -> None:
        """Show an object: its slice, with it in the middle of the canvas, and selected in the labels layer.

        Raises
        ------
        NoSuchObjectError
            If the labels layer does not hold it.
        """
        self._show_object(label)
        self._layers.output.selected_label = label

    def delete(self, *labels: int) -> None:
        """Free all pixels of some objects, on all slices; can be taken back. For errors see `plan_delete`."""
        self._do_to_objects(plan_delete(self._objects.data, self._objects.records, labels))

    def merge(self, *labels: int) -> None:
        """Make several objects one, under the label of the first; can be taken back. For errors see `plan_merge`."""
        self._do_to_objects(plan_merge(self._objects.data, self._objects.records, labels))

    def relabel(self, old: int, new: int) -> None:
        """Give an object another label that is free; can be taken back. For errors see `plan_new_label`."""
        self._do_to_objects(plan_new_label(self._objects.data, self._objects.records, old, new), new_label=new)

    def rename(self, label: int, name: str) -> None:
        """Call an object something; can be taken back."""
        record = replace(self._objects.records.get(label), name=name)
        self._do_to_objects(plan_records(self._objects.records, [record], "rename"))

    def classify(self, *labels: int, class_name: str) -> None:
        """Say what kind of thing some objects are; can be taken back."""
        changed = [replace(self._objects.records.get(label), class_name=class_name) for label in labels]
        self._do_to_objects(plan_records(self._objects.records, changed, "change the class of"))

    def lock(self, *labels: int, is_locked: bool = True) -> None:
        """Protect some objects from every change, or no longer; can be taken back."""
        changed = [replace(self._objects.records.get(label), is_locked=is_locked) for label in labels]
        self._do_to_objects(plan_records(self._objects.records, changed, "lock" if is_locked else "unlock"))

    def add_mask(self, mask: Mask) -> None:
        """Give a mask `(rows, columns)` on the shown slice as a prompt: the model goes on from it.

        Raises
        ------
        PromptError
            If it is empty or has another shape.
        """
        frame, state = self._now()
        prompt = MaskPrompt(mask)
        if prompt.mask.shape != frame.shown.shape:
            raise PromptError(
                f"the mask has shape {prompt.mask.shape}; expected {frame.shown.shape}, that of the slice. Cut or "
                "resize it first."
            )
        draft = replace(state.draft, prompts=(*state.prompts, prompt))
        self._do(frame, state, Change("give a mask", frame.shown, state.draft, draft))

    def add_mask_from(self, layer: Labels, label: int | None = None) -> None:
        """Give an object of any labels layer as a mask prompt; where the layer has another grid, it is resampled.

        Parameters
        ----------
        layer
            A labels layer of the viewer.
        label
            The object; by default the one that is selected in the layer.

        Raises
        ------
        NoSuchObjectError
            If the layer does not show this label on the slice.
        """
        frame, _ = self._now()
        wanted = int(layer.selected_label) if label is None else label
        mask = resample_label(layer, wanted, frame)
        if not mask.any():
            raise NoSuchObjectError(
                f"layer '{layer.name}' has no pixel of label {wanted} on this slice; select a label that it shows."
            )
        self.add_mask(mask)

    # saving

    def snapshot(self, *, with_labels: bool = True) -> Annotation:
        """All that was done, as a value that no later change reaches; see `write_annotation`.

        Parameters
        ----------
        with_labels
            Whether the labels are copied, too. Those that lie on disk never are.
        """
        layers = self._layers
        image = ImageReference(
            layers.image.name,
            tuple(int(n) for n in finest_level(layers.image).shape),
            spacing=tuple(float(abs(size)) or 1.0 for size in layers.image.scale),
            channels=self._input.references,
            depth=self._depth.name,
        )
        drafts = {shown: state.draft for shown, state in self._slices.items()}
        prompts = prompts_file_of(self._objects.records, drafts, image=image, model=self._model, zoom=self.is_zoomed)
        prompts = replace(prompts, objects=objects_with_review(prompts.objects, self.review))
        labels = layers.output.data
        return Annotation(prompts, labels.copy() if with_labels and type(labels) is np.ndarray else None)

    def restore(self, annotation: Annotation) -> None:
        """Go on with an annotation of the same image: objects, names, locks, prompts, drafts and labels.

        It can only be given to an annotator on which nothing was done yet.

        Raises
        ------
        AnnotatorError
            If something was done already, or the output layer holds other objects.
        SavedAnnotationError
            If it belongs to an image of another shape. Nothing is changed then.
        """
        frame, _ = self._now()
        output = self._layers.output
        shape = tuple(int(n) for n in output.data.shape)
        records, notes = records_of(annotation.prompts, shape), notes_of(annotation.prompts, shape)
        drafts = [(shown_slice(one.on, shape), draft_of(one.on, one.label)) for one in annotation.prompts.drafts]
        if self._history.done or len(self._objects.records):
            raise AnnotatorError("something was done here already; start annotating anew to go on with saved work.")
        require_room(annotation, output)
        self._restore_channels(annotation)
        self._restore_depth(annotation)
        if annotation.labels is not None:
            output.data[...] = annotation.labels
            output.refresh()
        self._objects.records = records
        for shown, draft in drafts:
            self._slices[shown] = SliceState(draft)
            wanted = [prompt for prompt in draft.prompts if not isinstance(prompt, MaskPrompt)]
            there = replace(frame, shown=shown)
            with self._writing:
                show_prompts(self._layers, there, placed=self._reading(there).placed, wanted=wanted, marks={})
        self._history = History()
        self.review.replace_all(notes)
        self._read()
        self.draft_changed.emit()
        self.objects_changed.emit()

    def _restore_channels(self, annotation: Annotation) -> None:
        """Let the model see the channels that it saw; if one is missing, the image as it is, and say so."""
        image = annotation.prompts.image
        if image is None or not image.channels:
            return
        try:
            self.model_input = ModelInput.of_references(image.channels, self._layers.image, self._viewer.layers)
        except LayerMismatchError as error:
            self._notice(f"The model sees the image as it is: {error}")

    def _restore_depth(self, annotation: Annotation) -> None:
        """Take the depth from the layer that it came from; if that is missing, let the model see it, and say so."""
        image = annotation.prompts.image
        if image is None or not image.depth:
            return
        try:
            self.depth_layer = self._depth.of_name(image.depth, self._viewer.layers)
        except LayerMismatchError as error:
            self._notice(f"The model's own depth is used: {error}")

    def set_sign(self, *, is_positive: bool) -> None:
        """What is drawn next lies on the object, or on the background."""
        self._is_positive = is_positive
        with self._writing:
            set_next_sign(self._layers, is_positive=is_positive)
        self.sign_changed.emit(is_positive)

    def flip_sign(self) -> None:
        """Flip the sign of the selected points or shapes; of what is drawn next, if nothing is being selected."""
        active = self._viewer.layers.selection.active
        for layer in (self._layers.points, self._layers.shapes):
            if active == layer and str(layer.mode) in _SELECT_MODES and layer.selected_data:
                signs = signs_of(layer)
                chosen = sorted(layer.selected_data)
                signs[chosen] = ~signs[chosen]
                set_signs(layer, signs)
                return
        self.set_sign(is_positive=not self._is_positive)

    def use_tool(self, name: str) -> Tool:
        """Take up a drawing tool: "click", "box", "polygon", "line" or "brush"."""
        tool = tool_named(name)
        take_up(tool, self._viewer, self._layers)
        return tool

    def use_next_tool(self) -> Tool:
        """Take up the tool after the present one; the first one if there is none."""
        tool = tool_in_hand(self._viewer, self._layers)
        following = 0 if tool is None else (TOOLS.index(tool) + 1) % len(TOOLS)
        return self.use_tool(TOOLS[following].name)

    def prepare(self) -> None:
        """Encode the slice that is shown, so that the first prompt is answered sooner."""
        frame = self._frame_or_none()
        if frame is not None:
            self._asker.prepare(frame.shown)

    def prepare_neighbours(self) -> None:
        """Encode the slices beside the one that is shown, if there is nothing else to do and it does not take long."""
        frame = self._frame_or_none()
        if frame is None or not frame.shown.index or self._asker.encode_seconds > MAX_AHEAD_S:
            return
        *outer, place = frame.shown.index
        n_slices = self._layers.output.data.shape[frame.shown.other_axes[-1]]
        for neighbour in (place + 1, place - 1):
            if 0 <= neighbour < n_slices:
                shown = replace(frame.shown, index=(*outer, neighbour))
                if not self._asker.knows(shown):
                    self._asker.prepare(shown)
                    return

    def compute(self) -> None:
        """Ask for the mask again, after `stop` or an error."""
        self._asker.forgive()
        self._read()

    def stop(self) -> None:
        """Give up what is being computed; the prompts stay. A step of the model that has begun is not shown.

        Objects that are being propagated are propagated no further.
        """
        self.propagation.cancel()
        if self._asker.stop():
            self._notice("Stopped. Change a prompt, or press Compute, to go on.")

    def close(self, reason: str = "") -> None:
        """End the annotation: keys, callbacks and preview are removed; prompts and accepted objects stay."""
        if self._is_closed:
            return
        self._is_closed = True
        self.propagation.end_now()
        self._asker.close()
        self._objects.close()
        self._watch.close()
        for emitter, callback in self._connections():
            emitter.disconnect(callback)
        self._keys.restore()
        self._views.close()
        self._depth_layers.close()
        self._depth.close()
        self.busy_changed.emit("")
        self.closed.emit(reason)

    # reading and asking

    def _read(self) -> None:
        """Bring prompts, preview and request into line with what the layers show."""
        self._watch.begin_reading()
        if self._is_closed:
            return
        try:
            frame = SliceFrame.of(self._viewer, self._layers.image)
        except SliceNotShownError as error:
            self._asker.drop()
            self._notice(str(error))
            return
        with self._writing:
            restyle(self._layers)
            if not self._watch.is_pressed:
                set_default_sign(self._layers.points, is_positive=self._is_positive)
        self._take_in(frame, self._reading(frame))

    def _begin_anew(self) -> None:
        """What was computed is void: ask for the mask of the same prompts."""
        self.propagation.end_now("Propagation was ended, as the model sees something else now.")
        self._asker.replace_answerer(self._new_answerer())
        self._depth_layers.void()
        for state in self._slices.values():
            state.answer = state.base = None
        self._watch.note()

    def _new_answerer(self) -> Answerer:
        return Answerer(self._model, self._input.read, zoom=self._zoom, read_depth=self._depth.reader)

    def _reading(self, frame: SliceFrame) -> LayersReading:
        return read_layers(self._layers, frame, self._strokes)

    def _take_in(self, frame: SliceFrame, reading: LayersReading) -> None:
        is_first = frame.shown not in self._slices
        state = self._slices.setdefault(frame.shown, SliceState(self._settings))
        draft = state.take_in(reading)
        if is_first:
            # what is there at the first reading was not done here, so it cannot be taken back
            state.draft = draft
        elif draft != state.draft:
            self._remember(Change(_difference(state.draft, draft), frame.shown, state.draft, draft))
            state.draft = draft
        self._ask(frame.shown, state)
        notice = " ".join(reading.problems)
        if notice != self._last_notice and not self._asker.has_given_up:
            self._notice(notice)
        self.history_changed.emit()

    def _follow(self, frame: SliceFrame, state: SliceState) -> None:
        """Make the layers show the prompts of the state, then ask for their mask."""
        with self._writing:
            show_prompts(
                self._layers,
                frame,
                placed=self._reading(frame).placed,
                wanted=[prompt for prompt in state.prompts if not isinstance(prompt, MaskPrompt)],
                marks=state.marks,
            )
        self._take_in(frame, self._reading(frame))

    # changes

    def _do(
        self, frame: SliceFrame, state: SliceState, change: Change, review: Callable[[], ReviewEdit] | None = None
    ) -> None:
        """Do something that can be taken back; what follows for the review may depend on the labels after it."""
        self._objects.write(change.labels)
        if review is not None:
            change = replace(change, review=review())
        self.review.apply(change.review)
        self._remember(change)
        self._set(frame, state, change)

    def _do_to_objects(self, edit: ObjectEdit, *, new_label: int | None = None) -> None:
        frame, state = self._now()
        records = (self._objects.records, edit.records)
        draft = state.draft
        for shown, other in self._slices.items():
            if other.draft.label in edit.removed:
                where = "" if shown == frame.shown else f" on slice {shown.index}"
                raise DraftInTheWayError(
                    f"object {other.draft.label} is being changed{where}; accept or reset it first."
                )
        review = self.reviewing.review_of_objects(edit, new_label=new_label)
        self._do(frame, state, Change(edit.text, frame.shown, draft, draft, edit.labels, records, review=review))

    def _change_settings(self, text: str, **settings: Any) -> None:
        frame, state = self._now()
        draft = replace(state.draft, **settings)
        if draft == state.draft:
            return
        if state.draft.is_empty:
            # nothing is seen of it yet, so there is nothing to take back
            state.draft = draft
            self.draft_changed.emit()
            return
        self._remember(Change(text, frame.shown, state.draft, draft, is_merged=True))
        state.draft = draft
        self._ask(frame.shown, state)
        self.draft_changed.emit()
        self.history_changed.emit()

    def _set(self, frame: SliceFrame, state: SliceState, change: Change, *, is_undone: bool = False) -> None:
        """Make draft and records what they are after a change (before it, if it is undone), and show them."""
        state.draft = change.before if is_undone else change.after
        if not state.draft.is_empty:
            # the next object gets the threshold and clean-up that are in force now
            self._settings = state.draft.next()
        if change.objects is not None:
            before, after = change.objects
            self._objects.records = before if is_undone else after
        self._follow(frame, state)
        self.edited.emit()
        self.draft_changed.emit()
        if change.objects is not None or change.labels or change.review:
            self.objects_changed.emit()

    def _exchange_change(self, change: Change, other: Change | None) -> None:
        """A run has ended: what it wrote stands in the history; where that is nothing, all is as it was before."""
        before = self._history_before_run
        is_as_before = not self._history.undone and self._history.done == (*before.done, change)
        self._history = before if other is None and is_as_before else self._history.exchanging(change, other)
        self._history_before_run = History()
        self.edited.emit()
        self.history_changed.emit()
        if other is not None:
            self.objects_changed.emit()

    def _remember(self, change: Change) -> None:
        self._history = self._history.adding(change)
        state = self._slices.get(change.shown)
        if state is not None and state.has_many_marks:
            state.forget_marks(self._history.prompts_on(change.shown))
        self.edited.emit()

    def _at(self, shown: ShownSlice) -> tuple[SliceFrame, SliceState]:
        """Show a slice, if it is not shown; its frame and state."""
        frame, state = self._now()
        if frame.shown != shown:
            show_slice(self._viewer, self._layers.image, shown)
            frame, state = self._now()
        return frame, state

    def _show_object(self, label: int) -> SliceFrame:
        frame, _ = self._now()
        place = self._objects.place_of(label)
        shown = replace(frame.shown, index=tuple(place[axis] for axis in frame.shown.other_axes))
        frame, _ = self._at(shown)
        self._look_at(frame, np.array(place, float))
        return frame

    def _look_at(self, frame: SliceFrame, place: NDArray[np.float64]) -> None:
        """Bring a place, in data coordinates of the image, into the middle of the canvas."""
        centre = frame.image_map.to_world(place[None])[0]
        missing = self._viewer.dims.ndim - len(centre)
        whole = (*self._viewer.dims.point[:missing], *centre)
        self._viewer.camera.center = tuple(float(whole[axis]) for axis in self._viewer.dims.displayed)

    def _overlap(self, shown: ShownSlice, mask: Mask, label: int) -> Overlap:
        """What becomes of other objects' pixels; asks, if that is wanted and there are any."""
        if self.overlap != "ask":
            return self.overlap
        others = labels_under(self._objects.data, shown, mask, but=(label, *self._objects.records.locked))
        if not others or self.ask_overlap is None:
            return "keep"
        answer = self.ask_overlap(others)
        if answer == "cancel":
            raise NothingToAcceptError("nothing was written; the prompts stay.")
        return answer

    def _spacing(self, shown: ShownSlice) -> tuple[float, float]:
        """(row, column) size of a pixel in the units of the image layer."""
        rows, columns = (float(abs(self._layers.image.scale[axis])) for axis in shown.axes)
        return rows or 1.0, columns or 1.0

    def _ask(self, shown: ShownSlice, state: SliceState) -> None:
        """Show the mask if it is known, else ask for it, and for maps that are wanted."""
        maps = self._depth_layers.wanted(shown, state.prompts)
        is_open = bool(state.prompts) and not state.is_answered
        newest = self._asker.newest
        if is_open or maps:
            self._asker.ask(shown, state.prompts, maps)
        elif newest is not None and (newest.prompts or newest.shown != shown):
            self._asker.drop()
        if not is_open:
            self._show(shown, state)

    def _on_answer(self, answer: Answer) -> None:
        self._depth_layers.take_in(answer)
        if answer.request.prompts:
            shown = answer.request.shown
            state = self._slices[shown]
            state.answer = answer
            mask = state.mask(self._spacing(shown))
            only = state.prompts[0] if len(state.prompts) == 1 else None
            if mask is not None and state.draft.label is not None and isinstance(only, MaskPrompt):
                # the model's own view of an object that it did not make: its later answers are compared with this
                state.base = PackedMask.of(mask)
            self._show(shown, state)

    def _on_glimpse(self, glimpse: Answer) -> None:
        """Show what is seen so far of a new object, unless the plane is large. It cannot be accepted."""
        shown = glimpse.request.shown
        state = self._slices[shown]
        is_new = state.draft.label is None and glimpse.request.prompts == state.prompts
        is_quick = shown.shape[0] * shown.shape[1] <= MAX_GLIMPSED_PIXELS
        if glimpse.prediction is not None and is_new and is_quick:
            self._views.show_glimpse(shown, glimpse.prediction.cut_at(state.draft.threshold).mask)

    # showing

    def _show(self, shown: ShownSlice, state: SliceState) -> None:
        self._views.show_mask(shown, mask_to_show(self._objects, shown, state, self._spacing(shown)))
        self._views.show_probability(shown, state.prediction)
        self.mask_changed.emit()

    def _notice(self, text: str) -> None:
        self._last_notice = text
        self.noticed.emit(text)

    # the viewer's side

    def _now(self) -> tuple[SliceFrame, SliceState]:
        """Frame and state of the slice that is shown, with everything read.

        Raises
        ------
        SliceNotShownError
            If no single slice is shown.
        AnnotatorError
            If the annotation was closed.
        """
        if self._is_closed:
            raise AnnotatorError("this annotation was closed; start a new one.")
        frame = SliceFrame.of(self._viewer, self._layers.image)
        finish_drawing(self._layers.shapes)
        if self._watch.is_due or frame.shown not in self._slices:
            self._read()
        return frame, self._slices[frame.shown]

    def _frame_or_none(self) -> SliceFrame | None:
        if self._is_closed:
            return None
        try:
            return SliceFrame.of(self._viewer, self._layers.image)
        except SliceNotShownError:
            return None

    def _state_or_none(self) -> SliceState | None:
        frame = self._frame_or_none()
        return None if frame is None else self._slices.get(frame.shown)

    def _safely(self, action: str) -> Callable[[], None]:
        """An action as keys and buttons call it: what cannot be done now is told, not raised."""

        def act() -> None:
            try:
                getattr(self, action)()
            except (AnnotatorError, OSError, MemoryError) as error:
                self.failed.emit(error)

        return act

    def act(self, action: str) -> None:
        """Do what a key does, by the name of its action; what cannot be done now is told through `failed`."""
        self._safely(action)()

    def _connections(self) -> Iterator[tuple[Any, Callable[[Any], None]]]:
        yield from self._objects.connections()
        yield self._layers.image.events.data, self._on_image_data
        yield self._viewer.layers.events.removed, self._on_layer_removed

    def _connect(self) -> None:
        self._asker.answered.connect(self._on_answer)
        self._asker.glimpsed.connect(self._on_glimpse)
        self._asker.busy_changed.connect(self.busy_changed.emit)
        self._asker.failed.connect(self.failed.emit)
        self._objects.painted.connect(self._on_painted)
        self._objects.noticed.connect(self._notice)
        self._depth.noticed.connect(self._notice)
        self._depth.changed.connect(self._on_depth)
        self._depth_layers.changed.connect(self.depth_changed.emit)
        self.propagation.failed.connect(self.failed.emit)
        self.propagation.ended.connect(self._notice)
        self._watch.connect()
        for emitter, callback in self._connections():
            emitter.connect(callback)

    def _on_painted(self, edit: LabelEdit | None) -> None:
        """Somebody painted on the objects: a change like any other, if a slice is shown on which it can be undone."""
        if edit is not None and self._frame_or_none() is not None:
            frame, state = self._now()
            review = self.review.painting((edit,))
            self.review.apply(review)
            self._remember(Change(_painting(edit), frame.shown, state.draft, state.draft, (edit,), review=review))
            self.history_changed.emit()
        self.objects_changed.emit()

    def _on_image_data(self, event: Any) -> None:
        """Other pixels: what was computed is void."""
        if not is_on_grid(self._layers.preview, self._layers.image):
            self.close(f"Image '{self._layers.image.name}' got another shape. Press Start to annotate it anew.")
            return
        self.reviewing.n_images += 1
        self._begin_anew()

    def _on_depth(self) -> None:
        """Another depth, from elsewhere or with other values: what was computed with the former one is void."""
        if self.reads_depth:
            self._begin_anew()
        self.depth_changed.emit()
        self.edited.emit()

    def _on_layer_removed(self, event: Any) -> None:
        if event.value not in self._layers or self._is_closed:
            return
        name = event.value.name
        self._asker.drop()
        if event.value == self._layers.image:
            reason = f"Image '{name}' was deleted, so annotating ended. Open or pick another one and press Start."
        else:
            reason = f"Layer '{name}' was deleted, so annotating ended. Press Start to go on."
        # the preview must not be removed while napari is busy removing
        self._executor.defer(lambda: self.close(reason))


def _require_readable_slice(viewer: Any, image_layer: Any, *, is_zoomed: bool) -> None:
    """Refuse an image whose shown slice is too large, before layers of its size are made."""
    try:
        frame = SliceFrame.of(viewer, image_layer)
    except SliceNotShownError:
        return
    require_readable(frame.shown, is_zoomed=is_zoomed)


def _is_in_sight(image: Any, shown: ShownSlice, place: tuple[float, float]) -> bool:
    """Whether the canvas shows a place (row, column) of a slice."""
    low, high = image.corner_pixels
    factors = image.downsample_factors[image.data_level] if image.multiscale else np.ones(image.ndim)
    axes = list(shown.axes)
    inside = (np.array(place) >= (low * factors)[axes]) & (np.array(place) <= (high * factors)[axes])
    return bool(inside.all())


def _difference(before: Draft, after: Draft) -> str:
    """What became of the prompts, in words."""
    n_before, n_after = len(before.prompts), len(after.prompts)
    if n_after > n_before:
        return f"add a {after.prompts[-1].kind}"
    return "remove a prompt" if n_after < n_before else "change a prompt"


def _painting(edit: LabelEdit) -> str:
    """What was done to the objects by hand, in words."""
    if edit.after.ndim:
        return "paint objects"
    return f"paint object {int(edit.after)}" if edit.after else "erase"
