"""When to read the layers: once whatever the user does there has come to its end.

1. Napari tells of points, shapes, strokes and slices, often several times for one thing that was done.
2. The first of these makes a reading due; it is done when napari is through, and not while the mouse is pressed.
3. What we write ourselves is done within `OwnWriting`, and is not heard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_segnext.annotator.layers import set_default_sign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_segnext.annotator.executor import Executor
    from napari_segnext.annotator.layers import AnnotationLayers


class OwnWriting:
    """While it is entered, once or within itself, changes of the layers are our own."""

    def __init__(self) -> None:
        self._depth = 0

    @property
    def is_going_on(self) -> bool:
        """Whether we are writing."""
        return self._depth > 0

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1


class LayerWatch:
    """Listens to the layers that are drawn on, and to the view. All methods belong to the viewer's thread.

    Parameters
    ----------
    viewer, layers
        What is listened to.
    writing
        What is our own doing.
    executor
        Calls back once napari is done.
    read
        Called when there is something to read; calls `begin_reading` first.
    is_next_positive
        Asked when the mouse is pressed: whether what is drawn next lies on the object.
    """

    def __init__(
        self,
        viewer: Any,
        layers: AnnotationLayers,
        writing: OwnWriting,
        executor: Executor,
        *,
        read: Callable[[], None],
        is_next_positive: Callable[[], bool],
    ) -> None:
        self._viewer = viewer
        self._layers = layers
        self._writing = writing
        self._executor = executor
        self._read = read
        self._is_next_positive = is_next_positive
        self._is_paint_due = False
        self._is_closed = False
        self.is_pressed = False
        self.is_due = False

    def connect(self) -> None:
        """Begin to listen."""
        for emitter, callback in self._connections():
            emitter.connect(callback)
        for layer in self._layers.prompts:
            layer.mouse_drag_callbacks.append(self._on_press)

    def close(self) -> None:
        """Listen no more."""
        self._is_closed = True
        for emitter, callback in self._connections():
            emitter.disconnect(callback)
        for layer in self._layers.prompts:
            if self._on_press in layer.mouse_drag_callbacks:
                layer.mouse_drag_callbacks.remove(self._on_press)

    def begin_reading(self) -> None:
        """What was told so far is read now."""
        self.is_due = self._is_paint_due = False

    def note(self, _: Any = None) -> None:
        """Something changed on the layers or in the view: read once napari is done with it."""
        if self._writing.is_going_on or self._is_closed or self.is_due:
            return
        self.is_due = True
        if not self.is_pressed:
            self._executor.defer(self._read_if_due)

    def _connections(self) -> Iterator[tuple[Any, Callable[[Any], None]]]:
        for emitter in (self._layers.points.events, self._layers.shapes.events):
            yield emitter.data, self.note
            yield emitter.features, self.note
        strokes = self._layers.scribbles.events
        yield strokes.paint, self._on_painted
        yield strokes.labels_update, self._on_pixels
        yield strokes.data, self.note
        yield strokes.set_data, self.note
        for name in ("current_step", "order", "ndisplay"):
            yield getattr(self._viewer.dims.events, name), self.note
        yield self._viewer.layers.selection.events.active, self._on_let_go

    def _on_painted(self, event: Any) -> None:
        """A stroke ended. Napari tells it after the pixels for the mouse, and before them for `Labels.paint`."""
        self.note(event)
        self._is_paint_due = True

    def _on_pixels(self, event: Any) -> None:
        """Pixels were written; while the mouse paints, the stroke's end is waited for."""
        if self._is_paint_due:
            self.note(event)

    def _read_if_due(self) -> None:
        if self.is_due and not self.is_pressed:
            self._read()

    def _on_press(self, layer: Any, event: Any) -> Iterator[None]:
        """While the mouse is pressed on a prompt layer, what it does there is not done, and is not read."""
        self.is_pressed = True
        if layer == self._layers.points and str(layer.mode) == "add":
            # napari adds the point on release, with the default sign; Shift turns it round for this click
            with self._writing:
                set_default_sign(layer, is_positive=self._is_next_positive() != ("Shift" in event.modifiers))
        yield
        while event.type == "mouse_move":
            yield
        self._on_let_go()

    def _on_let_go(self, _: Any = None) -> None:
        """The mouse was released, or another layer was selected, so that napari will not tell us of the release."""
        self.is_pressed = False
        if self.is_due:
            self._executor.defer(self._read_if_due)
