"""Requests on their way to the model: one at a time, the newest wins, late answers are dropped.

1. `ask` gives the question the next number. It waits while another is worked on, in the place of one that waited.
2. The worker asks between two steps of the model whether the number is still the newest, and gives up if not.
3. Whatever comes back, the next question is sent. Only the answer with the newest number is told.
4. `stop` takes a new number without a question, so that whatever comes back is late.
5. Meanwhile a glimpse of it may be told: what some of the looks showed. Answers that are quick come without.
6. A question that was stopped, or that raised, is not asked again by itself: only `forgive` or another one goes on.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_segnext.annotator.answers import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_segnext.annotator.answers import Answerer
    from napari_segnext.annotator.coordinates import ShownSlice
    from napari_segnext.annotator.executor import Executor
    from napari_segnext.prompts import Prompt
    from napari_segnext.session import Prediction


GLIMPSE_SECONDS = 0.1
"""Least time between a question and a glimpse, and from one glimpse to the next."""


class Asker:
    """Sends questions to an answerer through an executor. All methods belong to the viewer's thread.

    Parameters
    ----------
    executor
        Where the answerer works.
    answerer
        Who answers; may be replaced while nothing of it is wanted any more, see `replace_answerer`.
    """

    answered = Signal(Answer)
    """The answer to the newest question."""
    glimpsed = Signal(Answer)
    """What is seen while the answer to the newest question is being made; not complete."""
    busy_changed = Signal(str)
    """What is being computed, in words; empty when there is nothing to do."""
    failed = Signal(object)
    """The exception that the newest question raised."""

    def __init__(self, executor: Executor, answerer: Answerer) -> None:
        self._executor = executor
        self._answerer = answerer
        self._number = 0
        self._running: Request | None = None
        self._waiting: Request | None = None
        self._given_up: Request | None = None
        self._is_closed = False

    @property
    def is_busy(self) -> bool:
        """Whether something is being computed, wanted or not."""
        return self._running is not None

    @property
    def busy_text(self) -> str:
        """What is being computed, in words; empty when there is nothing to do."""
        newest = self.newest
        if newest is None:
            return "Stopping…" if self.is_busy else ""
        if not self._answerer.knows(newest.shown):
            return f"Encoding {newest.shown}…"
        if not newest.prompts:
            return "Computing the depth…"
        return "Computing the mask…"

    @property
    def encode_seconds(self) -> float:
        """How long the last slice that was new took to be encoded."""
        return self._answerer.encode_seconds

    def knows(self, shown: ShownSlice) -> bool:
        """Whether a slice is encoded."""
        return self._answerer.knows(shown)

    @property
    def newest(self) -> Request | None:
        """The question whose answer is wanted; None if there is none."""
        for request in (self._waiting, self._running):
            if request is not None and request.number == self._number:
                return request
        return None

    @property
    def has_given_up(self) -> bool:
        """Whether the last question was stopped or raised."""
        return self._given_up is not None

    def ask(self, shown: ShownSlice, prompts: tuple[Prompt, ...], maps: frozenset[str] = frozenset()) -> None:
        """Ask for the mask of these prompts, and maps, unless just that is being computed or was given up.

        Without prompts, the slice is only encoded.
        """
        if self._is_closed or any(
            request is not None and (request.shown, request.prompts, request.maps) == (shown, prompts, maps)
            for request in (self.newest, self._given_up)
        ):
            return
        self._number += 1
        self._given_up = None
        self._waiting = Request(self._number, shown, prompts, maps)
        if self._running is None:
            self._run_next()
        else:
            self._tell_busy()

    def prepare(self, shown: ShownSlice) -> None:
        """Encode a slice ahead, if there is nothing else to do."""
        if not self.is_busy and not self._answerer.knows(shown):
            self.ask(shown, ())

    def drop(self) -> None:
        """The answer to the newest question is no longer wanted."""
        if self.newest is not None:
            self._number += 1
            self._waiting = None
            self._tell_busy()

    def stop(self) -> bool:
        """Give the newest question up until another one comes; whether there was one."""
        newest = self.newest
        self.drop()
        self._given_up = newest
        return newest is not None

    def forgive(self) -> None:
        """The question that was given up may be asked again."""
        self._given_up = None

    def replace_answerer(self, answerer: Answerer) -> None:
        """Ask somebody else from now on; what was computed before is no longer wanted."""
        self.drop()
        self.forgive()
        self._answerer = answerer

    def close(self) -> None:
        """Nothing is asked or told any more."""
        self._is_closed = True
        self._number += 1
        self._waiting = None

    def _run_next(self) -> None:
        request, self._waiting = self._waiting, None
        self._running = request
        self._tell_busy()
        if request is None:
            return
        answerer = self._answerer
        teller = _Unhurried(lambda prediction: self._tell_glimpse(request, prediction))
        self._executor.submit(
            lambda: answerer.answer(request, is_wanted=lambda: self._number == request.number, on_glimpse=teller.tell),
            self._on_answer,
            self._on_error,
        )

    def _tell_glimpse(self, request: Request, prediction: Prediction) -> None:
        """Called in the worker."""
        glimpse = Answer(request, prediction, is_complete=False)
        self._executor.tell(lambda: self._on_glimpse(glimpse))

    def _on_glimpse(self, glimpse: Answer) -> None:
        if self._running is glimpse.request and glimpse.request.number == self._number:
            self.glimpsed.emit(glimpse)

    def _on_answer(self, answer: Answer) -> None:
        self._running = None
        if answer.request.number == self._number and answer.is_complete:
            self.answered.emit(answer)
        self._go_on()

    def _on_error(self, error: Exception) -> None:
        request, self._running = self._running, None
        if request is not None and request.number == self._number:
            self._given_up = request
            self.failed.emit(error)
        self._go_on()

    def _go_on(self) -> None:
        # an answer may have led to the next question already
        if self._running is None and not self._is_closed:
            self._run_next()

    def _tell_busy(self) -> None:
        if not self._is_closed:
            self.busy_changed.emit(self.busy_text)


class _Unhurried:
    """Tells predictions, but none too soon after the last one or after the beginning.

    Parameters
    ----------
    tell
        To whom.
    """

    def __init__(self, tell: Callable[[Prediction], None]) -> None:
        self._tell = tell
        self._last = time.monotonic()

    def tell(self, prediction: Prediction) -> None:
        """Tell it if it is time to."""
        now = time.monotonic()
        if now - self._last >= GLIMPSE_SECONDS:
            self._last = now
            self._tell(prediction)
