"""Work in a thread, results on the GUI thread. Here is the only broad `except` of the package.

1. `submit` starts a thread that runs the work and catches whatever it raises.
2. The outcome travels as a queued signal of one QObject that lives on the GUI thread as long as the program.
3. There it is handed to the callbacks, unless the executor was closed in the meantime.

Threads are not daemons: torch does not like to be killed at the end of the program, and a step of a model is short.
"""

from __future__ import annotations

import logging
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal, Slot

if TYPE_CHECKING:
    from collections.abc import Callable

_LOGGER = logging.getLogger(__name__)


class QtExecutor:
    """Runs work in threads for objects of the GUI thread; an `annotator.Executor`."""

    def __init__(self) -> None:
        self._is_closed = False

    def submit(
        self, work: Callable[[], Any], on_result: Callable[[Any], None], on_error: Callable[[Exception], None]
    ) -> None:
        """Run `work` in a thread, then call one of the two on the GUI thread."""
        courier = _courier()

        def run() -> None:
            try:
                result = work()
            except Exception as error:
                _LOGGER.exception("background work failed")
                failure = error
                courier.arrived.emit(lambda: self._hand_over(on_error, failure))
            else:
                courier.arrived.emit(lambda: self._hand_over(on_result, result))

        threading.Thread(target=run, name="napari-segnext").start()

    def tell(self, callback: Callable[[], None]) -> None:
        """Call back on the GUI thread; for work that has something to say before it is done."""
        _courier().arrived.emit(lambda: None if self._is_closed else callback())

    def defer(self, callback: Callable[[], None]) -> None:
        """Call back on the GUI thread once the event that is being handled is done."""
        QTimer.singleShot(0, lambda: None if self._is_closed else callback())

    def close(self) -> None:
        """Call nobody back any more. Threads come to their end by themselves."""
        self._is_closed = True

    def _hand_over(self, callback: Callable[[Any], None], outcome: Any) -> None:
        if not self._is_closed:
            callback(outcome)


class _Courier(QObject):  # type: ignore[misc]
    """Carries calls to the thread it lives on."""

    arrived = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.arrived.connect(self._deliver)

    @Slot(object)  # type: ignore[untyped-decorator]
    def _deliver(self, call: Callable[[], None]) -> None:
        call()


@cache
def _courier() -> _Courier:
    """The one courier; made by the first `submit`, which is called on the GUI thread."""
    return _Courier()
