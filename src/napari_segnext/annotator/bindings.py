"""The keys: which there are, and binding them so that closing leaves every keymap as it was.

Keymaps of layers win over the viewer's, so keys are bound on both. All letters are free in napari on points, shapes and
labels layers. Ctrl+Z of our labels layers is ours, not napari's: strokes are in our history, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from napari_segnext.annotator.layers import AnnotationLayers


@dataclass(frozen=True)
class KeyBinding:
    """A key and what it does.

    Attributes
    ----------
    key
        In napari's spelling, such as "Shift-U".
    action
        Name of an `Annotator` method without arguments.
    text
        What it does, for tooltips and help.
    """

    key: str
    action: str
    text: str

    @property
    def label(self) -> str:
        """The key as a user reads it."""
        return self.key.replace("Control", "Ctrl").replace("-", "+")


BINDINGS = (
    KeyBinding("N", "accept", "accept the mask under the next free label and go on to the next object"),
    KeyBinding("K", "reset", "remove all prompts of this object on this slice"),
    KeyBinding("U", "undo", "take back the last change, on whatever slice"),
    KeyBinding("Shift-U", "redo", "repeat what was taken back"),
    KeyBinding("Control-Z", "undo", "take back the last change, on whatever slice"),
    KeyBinding("Control-Shift-Z", "redo", "repeat what was taken back"),
    KeyBinding("Q", "flip_sign", "switch between object and background; flips selected points and lines"),
    KeyBinding("W", "use_next_tool", "go on to the next drawing tool"),
    KeyBinding("J", "next_doubtful", "go to the next propagated slice that is in doubt"),
    KeyBinding("Y", "accept_slice", "accept what was propagated to this slice; no run writes it again"),
    KeyBinding("Shift-J", "correct_slice", "take up the selected object on this slice, to correct it"),
    KeyBinding("H", "stop", "stop computing and propagating"),
)


def key_label(action: str) -> str:
    """The key of an action as a user reads it; the first one if there are several."""
    return next(binding.label for binding in BINDINGS if binding.action == action)


class BoundKeys:
    """Keys bound on a viewer and its annotation layers, until `restore`.

    Parameters
    ----------
    viewer, layers
        Where to bind.
    actions
        What to call, by action name.
    """

    def __init__(self, viewer: Any, layers: AnnotationLayers, actions: Mapping[str, Callable[[], object]]) -> None:
        self._restorers: list[Callable[[], None]] = []
        for binding in BINDINGS:
            for provider in _providers(viewer, layers):
                self._bind(provider, binding.key, actions[binding.action])

    def restore(self) -> None:
        """Put back what was bound before, and leave alone what somebody else has bound since."""
        for restore in reversed(self._restorers):
            restore()
        self._restorers.clear()

    def _bind(self, provider: Any, key: str, action: Callable[[], object]) -> None:
        def press(_: Any) -> None:
            action()

        previous = provider.bind_key(key, press, overwrite=True)

        def restore() -> None:
            current = provider.bind_key(key, None)
            if current is not None and current is not press:
                provider.bind_key(key, current, overwrite=True)
            elif previous is not None:
                provider.bind_key(key, previous, overwrite=True)

        self._restorers.append(restore)


def _providers(viewer: Any, layers: AnnotationLayers) -> Iterable[Any]:
    yield viewer
    yield from (layers.image, layers.points, layers.shapes, layers.scribbles, layers.preview, layers.output)
