"""Annotating one image in a napari viewer, without Qt.

1. The user draws on the points, shapes or scribbles layer (or a script does); napari tells the annotator.
2. The annotator reads the layers: prompts of the slice that is shown, in the order in which they were given.
3. They go as a numbered `Request` to the executor, one at a time; a newer request replaces one that waits.
4. The `Answer` comes back on the viewer's thread. If its number is still the newest, the preview shows its mask.
5. `accept` writes the mask under the next free label, and the prompts make room for the next object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_segnext.annotator.answers import Answer, Answerer, require_readable, will_zoom
from napari_segnext.annotator.asking import Asker
from napari_segnext.annotator.bindings import BINDINGS, BoundKeys
from napari_segnext.annotator.coordinates import ShownSlice, SliceFrame, finest_level
from napari_segnext.annotator.errors import (
    AnnotatorError,
    NothingToAcceptError,
    SliceNotShownError,
    StillComputingError,
)
from napari_segnext.annotator.executor import Executor, ImmediateExecutor
from napari_segnext.annotator.label_edits import apply_edit, plan_accept, revert_edit
from napari_segnext.annotator.label_numbers import LabelNumbers
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
from napari_segnext.annotator.prompts_from_layers import LayersReading, StrokeCache, read_layers
from napari_segnext.annotator.slice_state import SliceState
from napari_segnext.annotator.tools import TOOLS, Tool, finish_drawing, take_up, tool_in_hand, tool_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Image, Labels, Points, Shapes

    from napari_segnext._types import Mask
    from napari_segnext.annotator.label_edits import LabelEdit
    from napari_segnext.annotator.layers import AnnotationLayers
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.prompts import Prompts

_SELECT_MODES = ("select", "direct")


class Annotator:
    """Interactive segmentation of an image layer: prompts on layers in, a mask in the preview, labels out.

    Layers that are not given are made, on the image's grid and in its place. All work in data is done on the slice that
    the viewer shows; prompts on other slices wait until theirs is shown.

    Parameters
    ----------
    viewer
        A napari viewer, or a `ViewerModel` where there is no window.
    image_layer
        An image of the viewer: any number of axes, RGB or not, multiscale (level 0 is used) or not.
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
    executor
        Where the model works; by default at once, on this thread.

    Raises
    ------
    LayerMismatchError
        If a given layer does not fit the image.
    ImageError
        If the slice that is shown is too large to be read. No layer is made then.

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
    history_changed = Signal()
    """There may be something else to take back or to repeat."""
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
        executor: Executor | None = None,
    ) -> None:
        self._viewer = viewer
        self._model = model
        self._zoom = zoom
        self._executor: Executor = ImmediateExecutor() if executor is None else executor
        _require_readable_slice(viewer, image_layer, is_zoomed=self.is_zoomed)
        self._layers = prepare_layers(
            viewer, image_layer, points=points, shapes=shapes, scribbles=scribbles, output=output
        )
        self._asker = Asker(self._executor, self._new_answerer())
        self._slices: dict[ShownSlice, SliceState] = {}
        self._strokes = StrokeCache()
        self._numbers = LabelNumbers(self._layers.output, self._executor, self.failed.emit)
        self._last_notice = ""
        self._is_positive = True
        self._is_pressed = False
        self._is_writing = False
        self._is_reading_due = False
        self._is_paint_due = False
        self._is_closed = False
        set_next_sign(self._layers, is_positive=True)
        self._connect()
        actions = {binding.action: self._safely(binding.action) for binding in BINDINGS}
        self._keys = BoundKeys(viewer, self._layers, actions)
        self._read()

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
        state = self._state_or_none()
        return state.mask if state is not None else None

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to take back on the slice that is shown."""
        state = self._state_or_none()
        return state is not None and bool(state.history.done)

    @property
    def can_redo(self) -> bool:
        """Whether there is a change to repeat on the slice that is shown."""
        state = self._state_or_none()
        return state is not None and bool(state.history.undone)

    @property
    def notice(self) -> str:
        """The last sentence that the user should read; empty if what it was about is over."""
        return self._last_notice

    # what the user does

    def accept(self, label: int | None = None) -> int:
        """Write the mask into the output layer and clear the prompts of this slice.

        Only pixels that are 0 there are written: other labels are never overwritten.

        Parameters
        ----------
        label
            The number to write; the next free one by default.

        Returns
        -------
        int
            The label written.

        Raises
        ------
        NothingToAcceptError
            If there is no mask, or nothing of it is free.
        StillComputingError
            If the mask that is shown is older than the prompts or the zoom, or an output layer on disk is still being
            looked through for its largest number.
        NoFreeLabelError
            If the output layer has no number left.
        SliceNotShownError
            If the viewer shows no single slice of the image.
        """
        frame, state = self._now()
        mask = self._mask_to_accept(state)
        output = self._layers.output
        wanted = label if label is not None else self._next_label(frame.shown)
        edit = plan_accept(output.data, frame.shown, mask, wanted)
        self._write(edit)
        state.change((), edit)
        self._follow(frame, state)
        self.accepted.emit(wanted)
        return wanted

    def reset(self) -> None:
        """Remove all prompts of the slice that is shown; can be taken back."""
        frame, state = self._now()
        if state.prompts:
            state.change(())
            self._follow(frame, state)

    def undo(self) -> bool:
        """Take back the last change on this slice, accepting included; whether there was one."""
        frame, state = self._now()
        edit = state.go_back()
        if edit is None:
            return False
        if edit.labels is not None:
            self._free(edit.labels)
        self._follow(frame, state)
        return True

    def redo(self) -> bool:
        """Repeat the change that was taken back last on this slice; whether there was one."""
        frame, state = self._now()
        edit = state.go_ahead()
        if edit is None:
            return False
        if edit.labels is not None:
            self._write(edit.labels)
        self._follow(frame, state)
        return True

    def set_sign(self, *, is_positive: bool) -> None:
        """What is drawn next lies on the object, or on the background."""
        self._is_positive = is_positive
        with self._writing():
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

    def compute(self) -> None:
        """Ask for the mask again, after `stop` or an error."""
        self._asker.forgive()
        self._read()

    def stop(self) -> None:
        """Give up what is being computed; the prompts stay. A step of the model that has begun is not shown."""
        if self._asker.stop():
            self._notice("Stopped. Change a prompt, or press Compute, to go on.")

    def close(self, reason: str = "") -> None:
        """End the annotation: keys, callbacks and preview are removed; prompts and accepted objects stay."""
        if self._is_closed:
            return
        self._is_closed = True
        self._asker.close()
        self._numbers.close()
        self._disconnect()
        self._keys.restore()
        if self._layers.preview in self._viewer.layers:
            self._viewer.layers.remove(self._layers.preview)
        self.busy_changed.emit("")
        self.closed.emit(reason)

    # reading and asking

    def _read(self) -> None:
        """Bring prompts, preview and request into line with what the layers show."""
        self._is_reading_due = self._is_paint_due = False
        if self._is_closed:
            return
        try:
            frame = SliceFrame.of(self._viewer, self._layers.image)
        except SliceNotShownError as error:
            self._asker.drop()
            self._notice(str(error))
            return
        with self._writing():
            restyle(self._layers)
            if not self._is_pressed:
                set_default_sign(self._layers.points, is_positive=self._is_positive)
        self._take_in(frame, self._reading(frame))

    def _begin_anew(self) -> None:
        """What was computed is void: ask for the mask of the same prompts."""
        self._asker.replace_answerer(self._new_answerer())
        for state in self._slices.values():
            state.answer = None
        self._on_drawn()

    def _new_answerer(self) -> Answerer:
        return Answerer(self._model, finest_level(self._layers.image), zoom=self._zoom)

    def _reading(self, frame: SliceFrame) -> LayersReading:
        return read_layers(self._layers, frame, self._strokes)

    def _take_in(self, frame: SliceFrame, reading: LayersReading) -> None:
        is_first = frame.shown not in self._slices
        state = self._slices.setdefault(frame.shown, SliceState())
        state.take_in(reading, is_first=is_first)
        self._ask(frame.shown, state)
        notice = " ".join(reading.problems)
        if notice != self._last_notice and not self._asker.has_given_up:
            self._notice(notice)
        self.history_changed.emit()

    def _follow(self, frame: SliceFrame, state: SliceState) -> None:
        """Make the layers show the prompts of the state, then ask for their mask."""
        with self._writing():
            show_prompts(
                self._layers,
                frame,
                placed=self._reading(frame).placed,
                wanted=state.prompts,
                marks=state.marks,
            )
        self._take_in(frame, self._reading(frame))

    def _ask(self, shown: ShownSlice, state: SliceState) -> None:
        """Show the mask if it is known, else ask for it."""
        if state.prompts and not state.is_answered:
            self._asker.ask(shown, state.prompts)
            return
        newest = self._asker.newest
        if newest is not None and (newest.prompts or newest.shown != shown):
            self._asker.drop()
        self._show(shown, state.mask if state.prompts else None)

    def _on_answer(self, answer: Answer) -> None:
        if answer.request.prompts:
            self._slices[answer.request.shown].answer = answer
            self._show(answer.request.shown, answer.mask)

    # showing

    def _show(self, shown: ShownSlice, mask: Mask | None) -> None:
        preview = self._layers.preview
        plane = np.zeros(shown.shape, preview.data.dtype) if mask is None else mask.astype(preview.data.dtype)
        if np.array_equal(preview.data[shown.selector], plane):
            self.mask_changed.emit()
            return
        # written in place and not by data_setitem: the preview is not the user's to undo
        preview.data[shown.selector] = plane
        preview.refresh()
        self.mask_changed.emit()

    def _notice(self, text: str) -> None:
        self._last_notice = text
        self.noticed.emit(text)

    def _mask_to_accept(self, state: SliceState) -> Mask:
        if not state.prompts:
            raise NothingToAcceptError("there is no mask to accept; click on an object first.")
        mask = state.mask
        if mask is None:
            raise StillComputingError(
                "the mask that is shown is older than the prompts or the zoom; wait until the new one is there, then "
                "accept."
            )
        return mask

    # the output layer

    def _next_label(self, shown: ShownSlice) -> int:
        return self._numbers.next_free(np.asarray(self._layers.output.data[shown.selector]))

    def _write(self, edit: LabelEdit) -> None:
        with self._writing():
            apply_edit(self._layers.output, edit)
        self._numbers.add(edit.label)

    def _free(self, edit: LabelEdit) -> None:
        with self._writing():
            revert_edit(self._layers.output, edit)
        self._numbers.take_back(edit.label)

    def _on_output_painted(self, event: Any) -> None:
        """Somebody else wrote into the output layer."""
        if not self._is_writing:
            self._numbers.on_painted(event)

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
        if self._is_reading_due or frame.shown not in self._slices:
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
            except AnnotatorError as error:
                self.failed.emit(error)

        return act

    def act(self, action: str) -> None:
        """Do what a key does, by the name of its action; what cannot be done now is told through `failed`."""
        self._safely(action)()

    def _writing(self) -> _Writing:
        return _Writing(self)

    def _connections(self) -> Iterator[tuple[Any, Callable[[Any], None]]]:
        viewer, layers = self._viewer, self._layers
        for emitter in (layers.points.events, layers.shapes.events):
            yield emitter.data, self._on_drawn
            yield emitter.features, self._on_drawn
        strokes = layers.scribbles.events
        yield strokes.paint, self._on_painted
        yield strokes.labels_update, self._on_pixels
        yield strokes.data, self._on_drawn
        yield strokes.set_data, self._on_drawn
        yield layers.output.events.paint, self._on_output_painted
        yield layers.output.events.data, self._numbers.on_data
        for name in ("current_step", "order", "ndisplay"):
            yield getattr(viewer.dims.events, name), self._on_drawn
        yield layers.image.events.data, self._on_image_data
        yield viewer.layers.events.removed, self._on_layer_removed
        yield viewer.layers.selection.events.active, self._on_let_go

    def _connect(self) -> None:
        self._asker.answered.connect(self._on_answer)
        self._asker.busy_changed.connect(self.busy_changed.emit)
        self._asker.failed.connect(self.failed.emit)
        for emitter, callback in self._connections():
            emitter.connect(callback)
        for layer in self._layers.prompts:
            layer.mouse_drag_callbacks.append(self._on_press)

    def _disconnect(self) -> None:
        for emitter, callback in self._connections():
            emitter.disconnect(callback)
        for layer in self._layers.prompts:
            if self._on_press in layer.mouse_drag_callbacks:
                layer.mouse_drag_callbacks.remove(self._on_press)

    def _on_drawn(self, event: Any = None) -> None:
        """Something changed on the layers or in the view: read once napari is done with it."""
        if self._is_writing or self._is_closed or self._is_reading_due:
            return
        self._is_reading_due = True
        if not self._is_pressed:
            self._executor.defer(self._read_if_due)

    def _on_painted(self, event: Any) -> None:
        """A stroke ended. Napari tells it after the pixels for the mouse, and before them for `Labels.paint`."""
        self._on_drawn(event)
        self._is_paint_due = True

    def _on_pixels(self, event: Any) -> None:
        """Pixels were written; while the mouse paints, the stroke's end is waited for."""
        if self._is_paint_due:
            self._on_drawn(event)

    def _read_if_due(self) -> None:
        if self._is_reading_due and not self._is_pressed:
            self._read()

    def _on_press(self, layer: Any, event: Any) -> Iterator[None]:
        """While the mouse is pressed on a prompt layer, what it does there is not done, and is not read."""
        self._is_pressed = True
        if layer == self._layers.points and str(layer.mode) == "add":
            # napari adds the point on release, with the default sign; Shift turns it round for this click
            with self._writing():
                set_default_sign(layer, is_positive=self._is_positive != ("Shift" in event.modifiers))
        yield
        while event.type == "mouse_move":
            yield
        self._on_let_go()

    def _on_let_go(self, _: Any = None) -> None:
        """The mouse was released, or another layer was selected, so that napari will not tell us of the release."""
        self._is_pressed = False
        if self._is_reading_due:
            self._executor.defer(self._read_if_due)

    def _on_image_data(self, event: Any) -> None:
        """Other pixels: what was computed is void."""
        if not is_on_grid(self._layers.preview, self._layers.image):
            self.close(f"Image '{self._layers.image.name}' got another shape. Press Start to annotate it anew.")
            return
        self._begin_anew()

    def _on_layer_removed(self, event: Any) -> None:
        if event.value not in self._layers or self._is_closed:
            return
        name = event.value.name
        self._asker.drop()
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


class _Writing:
    """While it lasts, changes of the layers are our own and are not read."""

    def __init__(self, annotator: Annotator) -> None:
        self._annotator = annotator

    def __enter__(self) -> None:
        self._was_writing = self._annotator._is_writing
        self._annotator._is_writing = True

    def __exit__(self, *_: object) -> None:
        self._annotator._is_writing = self._was_writing
