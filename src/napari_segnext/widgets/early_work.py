"""What can be done before the user presses Start: the picked model is loaded, the picked image is encoded.

1. When an image, a model, a device or a zoom is picked, and nothing else for a moment, and the widget is seen, the
   model is loaded, and the plane that is shown is encoded into the cache that all sessions share.
2. Start finds both there. If it comes while that plane is being encoded, it waits, rather than encode it twice.
3. Nothing of it is told: what cannot be loaded or encoded is told when the user presses Start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_segnext.annotator.answers import require_readable, will_zoom
from napari_segnext.annotator.coordinates import ShownSlice, SliceFrame
from napari_segnext.annotator.errors import SliceNotShownError
from napari_segnext.annotator.model_input import ModelInput
from napari_segnext.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_segnext.annotator import Executor
    from napari_segnext.models.interface import InteractiveModel

AFTER_MS = 300
"""Rest after the last pick before work begins."""


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
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(AFTER_MS)
        self._timer.timeout.connect(begin)

    def soon(self, *_: object) -> None:
        """Something else was picked: begin once nothing more comes for a moment."""
        self._timer.start()

    def not_now(self) -> None:
        """The user has begun to annotate, or the widget is gone."""
        self._timer.stop()

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

        def work() -> None:
            from napari_segnext.session import Session

            Session(model, ModelInput.of(layer).read(plane.shown), zoom=zoom)

        self._executor.submit(work, lambda _: self._on_end(), lambda _: self._on_end())

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

    def _on_end(self) -> None:
        self._running = None
        then, self._then = self._then, None
        if then is not None:
            then()
