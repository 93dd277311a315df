"""What can be done before the user presses Start: the picked model is loaded, the picked image is encoded.

1. When the widget is opened, the code that models need is imported, torch above all; and napari is made to compile what
   shows labels.
2. When an image, a model, a device or a zoom is picked, and nothing else for a moment, and the widget is seen, the
   model is loaded, and the plane that is shown is encoded into the cache that all sessions share.
3. Then the model answers one click that nobody made, because first answers take longer, on graphics cards above all.
4. Start finds all that there. If it comes while that plane is being encoded, it waits, rather than encode it twice. It
   waits for nothing else, and what has not begun by then is left out.
5. Nothing of it is told: what cannot be loaded or encoded is told when the user presses Start.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils import DirectLabelColormap
from qtpy.QtCore import QObject, QTimer

from napari_segnext.annotator.answers import require_readable, will_zoom
from napari_segnext.annotator.coordinates import ShownSlice, SliceFrame
from napari_segnext.annotator.errors import SliceNotShownError
from napari_segnext.annotator.layers import OUTPUT_DTYPE
from napari_segnext.annotator.model_input import ModelInput
from napari_segnext.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_segnext.annotator import Executor
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.session import Session

AFTER_MS = 300
"""Rest after the last pick before work begins."""

CODE = (
    "torch",
    "napari_segnext.models.segnext",
    "napari_segnext.weights",
    "napari_segnext.session.cpu_fallback",
    "napari_segnext.session.cleanup",
    "skimage.measure",
    "skimage.morphology",
)
"""Modules that the first answer needs, then those that the first stroke needs, all of which take long to import."""

MAX_TRIED_PIXELS = 2_000_000
"""Of an embedding's image that a click is tried on; an answer at full size to a larger one takes too long."""


@dataclass(frozen=True, eq=False)
class _Plane:
    """What is being encoded."""

    layer: Any
    shown: ShownSlice
    is_zoomed: bool


class EarlyWork(QObject):  # type: ignore[misc]
    """Waits for a quiet moment, asks for the model, and encodes.

    Parameters
    ----------
    viewer
        Whose plane is shown.
    executor
        Where it is done.
    begin
        Called in the quiet moment; it loads the model if need be and calls `encode`.
    parent
        Lives as long as this.
    """

    def __init__(self, viewer: Any, executor: Executor, begin: Callable[[], None], parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._executor = executor
        self._running: _Plane | None = None
        self._then: Callable[[], None] | None = None
        self._is_open = True
        self._is_quiet = True
        self._has_imported = False
        self._tried: InteractiveModel | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(AFTER_MS)
        self._timer.timeout.connect(begin)

    def import_soon(self) -> None:
        """The widget is seen: import what models need, in a thread, once what is going on has come to its end."""
        if not self._has_imported:
            self._has_imported = True
            self._executor.defer(lambda: self._executor.submit(self._import, _ignore, _ignore))

    def soon(self, *_: object) -> None:
        """Something else was picked: begin once nothing more comes for a moment."""
        self._is_quiet = True
        self._timer.start()

    def not_now(self) -> None:
        """The user has begun to annotate: what has not begun yet is left out."""
        self._is_quiet = False
        self._timer.stop()

    def close(self) -> None:
        """The widget is gone: nothing more is imported, loaded, encoded or tried."""
        self.not_now()
        self._is_open = False

    def encode(self, layer: Any, model: InteractiveModel, zoom: bool | None) -> None:
        """Encode the plane of an image that is shown; does nothing if it is being done, or cannot be done.

        Parameters
        ----------
        layer
            The image layer. The finest of several levels may be huge, and another one may be picked, so it waits.
        model, zoom
            As of `Annotator`.
        """
        plane = self._plane(layer, is_zoomed=will_zoom(model, zoom))
        if plane is None or self._running is not None:
            return
        self._running = plane

        def work() -> Session | None:
            from napari_segnext.session import Session

            return Session(model, ModelInput.of(layer).read(plane.shown), zoom=zoom) if self._is_open else None

        self._executor.submit(work, self._on_encoded, lambda _: self._on_end())

    def is_encoding(self, layer: Any, *, is_zoomed: bool) -> bool:
        """Whether the plane that is shown of an image is being encoded just now."""
        running, plane = self._running, self._plane(layer, is_zoomed=is_zoomed)
        return (
            running is not None
            and plane is not None
            and (running.layer, running.shown, running.is_zoomed) == (plane.layer, plane.shown, plane.is_zoomed)
        )

    def call_after(self, callback: Callable[[], None]) -> None:
        """Call back once what is being encoded is encoded, or has failed."""
        self._then = callback

    def _plane(self, layer: Any, *, is_zoomed: bool) -> _Plane | None:
        if layer.multiscale:
            return None
        try:
            shown = SliceFrame.of(self._viewer, layer).shown
            require_readable(shown, is_zoomed=is_zoomed)
        except (SliceNotShownError, ImageError):
            return None
        return _Plane(layer, shown, is_zoomed)

    def _import(self) -> None:
        for name in CODE:
            if self._is_open:
                import_module(name)
        if self._is_quiet:
            _compile_labels()

    def _on_encoded(self, session: Session | None) -> None:
        is_awaited = self._then is not None
        self._on_end()
        if session is not None and not is_awaited and self._is_quiet and session.model is not self._tried:
            self._tried = session.model
            self._executor.submit(lambda: self._try_out(session), _ignore, _ignore)

    def _try_out(self, session: Session) -> None:
        """Answer a click in the middle of the image, unless the user has begun meanwhile; in the thread."""
        from napari_segnext.prompts import Click, Prompts
        from napari_segnext.session.predict import predict

        rows, columns = session.embedding.image_shape
        if self._is_quiet and rows * columns <= MAX_TRIED_PIXELS:
            predict(session.model, session.embedding, Prompts((Click(row=rows // 2, column=columns // 2),)))

    def _on_end(self) -> None:
        self._running = None
        then, self._then = self._then, None
        if then is not None:
            then()


def _compile_labels() -> None:
    """Make layers like those of an annotation, which nobody sees; to be called in a thread.

    Numba compiles what gives labels their colours when the first such layer is made. That takes seconds, for each dtype
    and kind of colours, and in every process anew.
    """
    Labels(np.zeros((2, 2), np.uint8), colormap=DirectLabelColormap(color_dict={None: "transparent", 1: "white"}))
    Labels(np.zeros((2, 2), OUTPUT_DTYPE))


def _ignore(_: object) -> None:
    """What was done ahead is done, or is done again when the user asks for it, and then failures are told."""
