"""Tasks of many pieces of work on a dask cluster, a bounded number of them at a time.

1. A piece of work is a generator: it yields tasks that may run side by side, is sent what they return, and returns what
   came of it all.
2. As many tasks are with the scheduler as keep the threads of all workers busy; more follow as results come.
3. What was begun first goes first: a further piece is begun only where no other has a task to give.

Nothing is lost with a worker but what it was at: the scheduler gives its tasks, and no others, to the rest.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import time
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from napari_segnext.batch.iterate import error_line
from napari_segnext.batch.outcome import counted
from napari_segnext.errors import BatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

TIMEOUT_S = 10
"""For the scheduler to answer."""

TASKS_PER_THREAD = 2
"""With the scheduler: one that runs, and one that is there when it ends."""

N_RETRIES = 2
"""Of a task that failed for no fault of its input."""

LOOK_AFTER_S = 1.0
"""At how many workers there are, since they come and go."""

N_FETCHERS = 16
"""Threads that fetch results: one that lay on a worker that has died meanwhile is waited for, but holds up no other."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker is to do.

    Attributes
    ----------
    function, arguments
        Sent to the worker, which has the same package; small, like the result.
    n_slices
        How many slices it encodes; for the words about progress.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    n_slices: int = 0


Work = Generator[Sequence[Task], list[Any], T]
"""Yields tasks, is sent their results in the same order or thrown a `TaskError`, and returns what came of it."""


class TaskError(Exception):
    """A task that failed again and again, or that worker after worker died over; the text is one line.

    Attributes
    ----------
    cause
        What the task raised last.
    """

    def __init__(self, cause: BaseException) -> None:
        self.cause = cause
        super().__init__(_task_error(cause))


def iterate_in_flight(
    works: Iterable[Work[T]], address: str, *, on_progress: Callable[[int, str], object] = lambda done, note: None
) -> Iterator[T]:
    """Do pieces of work on the workers of a running scheduler.

    Parameters
    ----------
    works
        Begun one after the other, as the workers get round to them.
    address
        Of the scheduler, such as `"tcp://10.0.0.1:8786"`.
    on_progress
        Called with the pieces done and a few words.

    Yields
    ------
    What each piece returns, in the order in which they end.

    Raises
    ------
    BatchError
        If distributed is not installed, the scheduler does not answer, or it is lost.
    """
    with connected(address) as client:
        run = InFlight(client, works, on_progress=on_progress)
        try:
            yield from run.outcomes()
        finally:
            run.cancel()


@dataclass(slots=True, eq=False)
class _Begun(Generic[T]):
    """A piece of work that was begun, and what is known of the tasks that it has yielded last."""

    number: int
    work: Work[T]
    waiting: deque[tuple[int, Task]] = field(default_factory=deque)
    results: list[Any] | None = None
    n_submitted: int = 0
    error: TaskError | None = None

    def expect(self, tasks: Sequence[Task]) -> None:
        self.waiting.extend(enumerate(tasks))
        self.results = [None] * len(tasks)

    def take(self, index: int, result: Any) -> None:
        self.n_submitted -= 1
        if isinstance(result, TaskError):
            self.error = self.error or result
            self.waiting.clear()
        elif self.results is not None:
            self.results[index] = result

    @property
    def is_answered(self) -> bool:
        return not self.waiting and not self.n_submitted

    def go_on(self) -> Sequence[Task]:
        """The next tasks.

        Raises
        ------
        StopIteration
            With what came of it, at the end.
        """
        error, self.error = self.error, None
        if error is not None:
            return self.work.throw(error)
        return next(self.work) if self.results is None else self.work.send(self.results)


class InFlight(Generic[T]):
    """Pieces of work, and those of their tasks that are with the scheduler.

    Parameters
    ----------
    client
        A `distributed.Client`.
    works, on_progress
        As of `iterate_in_flight`.
    """

    def __init__(
        self,
        client: Any,
        works: Iterable[Work[T]],
        *,
        on_progress: Callable[[int, str], object] = lambda done, note: None,
    ) -> None:
        self._client, self._on_progress = client, on_progress
        self._works, self._numbers = iter(works), itertools.count()
        self._begun: list[_Begun[T]] = []
        self._submitted: dict[Any, tuple[_Begun[T], int, Task]] = {}
        self._n_workers = self._n_threads = self._n_done = self._n_slices = 0
        self._looked_at = -float("inf")
        self._fetchers = ThreadPoolExecutor(N_FETCHERS, thread_name_prefix="results")
        self._fetched: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()

    def outcomes(self) -> Iterator[T]:
        """What each piece returns, in the order in which they end."""
        yield from self._refill()
        while self._submitted:
            for begun, index, task, result in self._results():
                begun.take(index, result)
                self._n_slices += task.n_slices
                self._report()
                if begun.is_answered:
                    yield from self._go_on(begun)
            yield from self._refill()

    def cancel(self) -> None:
        """Give up what is not begun yet; workers finish the tasks that they are at."""
        left, self._submitted = [*self._submitted], {}
        if left:
            # the scheduler may be gone
            with contextlib.suppress(OSError, TimeoutError, RuntimeError):
                self._client.cancel(left)
        self._fetchers.shutdown(wait=False, cancel_futures=True)

    def _refill(self) -> Iterator[T]:
        """Submit tasks, those of what was begun first before others, as long as there is room for them."""
        self._look_at_workers()
        while len(self._submitted) < TASKS_PER_THREAD * max(1, self._n_threads):
            begun = next((one for one in self._begun if one.waiting), None)
            if begun is not None:
                self._submit(begun)
                continue
            work = next(self._works, None)
            if work is None:
                return
            self._begun.append(_Begun(next(self._numbers), work))
            yield from self._go_on(self._begun[-1])

    def _submit(self, begun: _Begun[T]) -> None:
        index, task = begun.waiting.popleft()
        begun.n_submitted += 1
        # not pure: what a task does depends on files
        future = self._client.submit(
            task.function, *task.arguments, pure=False, retries=N_RETRIES, priority=-begun.number
        )
        self._submitted[future] = (begun, index, task)
        future.add_done_callback(self._fetch)

    def _fetch(self, future: Any) -> None:
        """Called on a thread of dask once a task is done, or has failed or was cancelled."""
        # nobody waits for it any more after `cancel`
        with contextlib.suppress(RuntimeError):
            fetched = self._fetchers.submit(future.result)
            fetched.add_done_callback(lambda fetched: self._fetched.put((future, fetched)))

    def _go_on(self, begun: _Begun[T]) -> Iterator[T]:
        """Let a piece of work give its next tasks, or what came of it."""
        while begun.is_answered:
            try:
                begun.expect(begun.go_on())
            except StopIteration as end:
                self._begun.remove(begun)
                self._n_done += 1
                self._report()
                yield end.value
                return

    def _results(self) -> list[tuple[_Begun[T], int, Task, Any]]:
        """What has become of tasks since; none after a while without any, since workers may have come."""
        results: list[tuple[_Begun[T], int, Task, Any]] = []
        with contextlib.suppress(queue.Empty):
            while True:
                # the futures are let go with that, and the scheduler forgets the tasks
                future, fetched = self._fetched.get(block=not results, timeout=LOOK_AFTER_S)
                results.append((*self._submitted.pop(future), _result_of(future, fetched)))
        return results

    def _look_at_workers(self) -> None:
        now = time.monotonic()
        if now < self._looked_at + LOOK_AFTER_S:
            return
        with _told_if_lost():
            threads = self._client.nthreads()
        self._looked_at = now
        self._n_workers, self._n_threads = len(threads), sum(threads.values())

    def _report(self) -> None:
        note = counted(self._n_workers, "worker")
        if self._n_slices:
            note += f", {counted(self._n_slices, 'slice')} encoded"
        self._on_progress(self._n_done, note)


def _result_of(future: Any, fetched: Any) -> Any:
    """What a task has returned, or a `TaskError`."""
    error = fetched.exception()
    if error is None:
        return fetched.result()
    if future.status == "error":
        return TaskError(error)
    raise BatchError(_LOST) from error


@contextlib.contextmanager
def connected(address: str) -> Iterator[Any]:
    """A client of a running scheduler.

    Raises
    ------
    BatchError
        If distributed is not installed, or nothing answers there.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise BatchError(
            'the package distributed is not installed; expected it for --scheduler. Install "napari-segnext[cluster]".'
        ) from error
    try:
        client = Client(address, timeout=TIMEOUT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise BatchError(
            f"no scheduler answered at '{address}' within {TIMEOUT_S} s ({error_line(error)}); expected a running "
            "one. Check the address that `dask scheduler` printed."
        ) from error
    with client:
        yield client


_LOST = (
    "the scheduler was lost; expected it to stay. Volumes that are done are kept: start one, and run the same command "
    "again."
)


@contextlib.contextmanager
def _told_if_lost() -> Iterator[None]:
    try:
        yield
    except (OSError, TimeoutError) as error:
        raise BatchError(_LOST) from error


def _task_error(error: BaseException) -> str:
    if type(error).__name__ == "KilledWorker":
        return (
            "worker after worker died over it, perhaps for lack of memory; expected one to finish it. Give workers "
            "more memory or fewer threads, and run it again."
        )
    return error_line(error)
