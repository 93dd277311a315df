"""Tasks in flight on a small cluster within this process: how many, in which order, and what becomes of failures."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from napari_segnext.batch import in_flight
from napari_segnext.batch.in_flight import TASKS_PER_THREAD, InFlight, Task, TaskError, iterate_in_flight
from napari_segnext.errors import BatchError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_segnext.batch.in_flight import Work

distributed = pytest.importorskip("distributed", reason="needs the package distributed, which the extra 'test' brings")

N_THREADS = 2
WINDOW = TASKS_PER_THREAD * N_THREADS
N_PARTS = 5


@pytest.fixture
def cluster() -> Iterator[Any]:
    """One worker with two threads of this process."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=N_THREADS, processes=False, dashboard_address=None, silence_logs=50
    ) as running:
        yield running


@pytest.fixture
def client(cluster: Any) -> Iterator[Any]:
    with distributed.Client(cluster, set_as_default=False) as connected:
        yield connected


class MostTasks(distributed.SchedulerPlugin):
    """The greatest numbers of tasks that a scheduler has held at a time, and of those that were not done."""

    name = "most-tasks"

    def __init__(self, scheduler: Any) -> None:
        self.held = self.most = 0
        self.keys: set[str] = set()
        self._scheduler = scheduler

    def transition(self, key: str, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        self.keys.add(key)
        states = [task.state for task in self._scheduler.tasks.values()]
        self.held = max(self.held, len(states))
        self.most = max(self.most, sum(state not in ("memory", "released", "forgotten") for state in states))


def watched(cluster: Any) -> MostTasks:
    plugin = MostTasks(cluster.scheduler)
    cluster.scheduler.add_plugin(plugin)
    return plugin


def double(number: int) -> int:
    return 2 * number


def slowly(number: int) -> int:
    time.sleep(0.05)
    return number


def fail(text: str) -> None:
    raise ValueError(text)


def fail_at_first(folder: Path, n_failures: int) -> int:
    n_before = len(list(folder.iterdir()))
    (folder / str(n_before)).touch()
    if n_before < n_failures:
        raise RuntimeError("not yet")
    return n_before


def volume(number: int) -> Work[int]:
    """Like a volume: a survey, some chunks side by side, and one task at the end."""
    (first,) = yield [Task(double, (number,))]
    parts = yield [Task(double, (first,), n_slices=3) for _ in range(N_PARTS)]
    (total,) = yield [Task(double, (sum(parts),))]
    return total


def test_results_come_back_to_the_piece_of_work_that_asked(cluster: Any) -> None:
    said = []
    outcomes = list(
        iterate_in_flight(
            map(volume, range(6)), cluster.scheduler_address, on_progress=lambda done, note: said.append((done, note))
        )
    )
    assert sorted(outcomes) == [8 * N_PARTS * number for number in range(6)]
    assert said[-1] == (6, f"1 worker, {6 * N_PARTS * 3} slices encoded")


def test_scheduler_never_holds_more_tasks_than_keep_its_threads_busy(cluster: Any, client: Any) -> None:
    n_volumes = 40
    seen = watched(cluster)
    assert len(list(InFlight(client, map(volume, range(n_volumes))).outcomes())) == n_volumes
    assert len(seen.keys) == n_volumes * (N_PARTS + 2)
    assert N_THREADS <= seen.most <= WINDOW
    # results are let go a moment after they have come
    assert seen.held <= 3 * WINDOW


def test_more_workers_get_more_tasks(cluster: Any, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_flight, "LOOK_AFTER_S", 0.0)
    seen = watched(cluster)

    def one(number: int) -> Work[int]:
        (result,) = yield [Task(slowly, (number,))]
        return result

    run = InFlight(client, map(one, range(60))).outcomes()
    next(run)
    assert seen.most <= WINDOW
    cluster.scale(3)
    client.wait_for_workers(3, timeout=30)
    assert len([*run]) == 59
    assert WINDOW < seen.most <= 3 * WINDOW


def test_what_was_begun_first_is_done_first(client: Any) -> None:
    begun: list[int] = []
    most_open = 0

    def one(number: int) -> Work[int]:
        begun.append(number)
        yield from volume(number)
        return number

    done = []
    for outcome in InFlight(client, map(one, range(30))).outcomes():
        most_open = max(most_open, len(begun) - len(done))
        done.append(outcome)
    assert begun == list(range(30))
    # a piece can be overtaken by those that are open beside it, not by all
    assert all(abs(place - number) < 2 * WINDOW for place, number in enumerate(done))
    assert most_open <= WINDOW + 1


def test_task_that_fails_by_accident_is_tried_again(client: Any, tmp_path: Path) -> None:
    def one() -> Work[int]:
        (result,) = yield [Task(fail_at_first, (tmp_path, in_flight.N_RETRIES))]
        return result

    assert list(InFlight(client, [one()]).outcomes()) == [in_flight.N_RETRIES]


def test_failure_is_thrown_into_its_piece_of_work_and_no_other(client: Any) -> None:
    def bad(number: int) -> Work[str]:
        try:
            yield [Task(double, (1,)), *(Task(fail, ("no such\nslice",)) for _ in range(20))]
        except TaskError as error:
            assert isinstance(error.cause, ValueError)
            return str(error)
        return "no error"

    def good(number: int) -> Work[str]:
        return str((yield from volume(number)))

    outcomes = list(InFlight(client, [good(1), bad(2), good(3)]).outcomes())
    assert sorted(outcomes) == ["120", "40", "no such slice"]


def test_tasks_beside_a_failed_one_are_not_begun_any_more(cluster: Any, client: Any) -> None:
    seen = watched(cluster)

    def bad() -> Work[str]:
        with pytest.raises(TaskError):
            yield [Task(fail, ("no",)), *(Task(slowly, (number,)) for number in range(50))]
        return "gone on"

    assert list(InFlight(client, [bad()]).outcomes()) == ["gone on"]
    assert len(seen.keys) < 20


def test_worker_after_worker_that_dies_is_told_in_one_line() -> None:
    cause = distributed.KilledWorker("task", None, 4)
    assert "worker after worker died over it" in str(TaskError(cause))


def test_piece_without_tasks_ends_at_once(client: Any) -> None:
    def nothing_left() -> Work[str]:
        assert (yield []) == []
        return "there already"

    def nothing() -> Work[str]:
        return "nothing"
        yield

    works = [nothing_left() if number % 2 else nothing() for number in range(7)]
    assert sorted(InFlight(client, works).outcomes()) == ["nothing"] * 4 + ["there already"] * 3


def test_closing_gives_up_what_is_not_begun(cluster: Any) -> None:
    seen = watched(cluster)
    run = iterate_in_flight(map(volume, range(100)), cluster.scheduler_address)
    next(run)
    run.close()
    assert len(seen.keys) < 50
    deadline = time.monotonic() + 30
    while cluster.scheduler.tasks and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not cluster.scheduler.tasks


def test_lost_scheduler_is_told(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_flight, "TIMEOUT_S", 1)

    def slow(number: int) -> Work[int]:
        (result,) = yield [Task(slowly, (number,))]
        return result

    run = iterate_in_flight(map(slow, range(1000)), cluster.scheduler_address)
    next(run)
    cluster.close()
    with pytest.raises(BatchError, match="the scheduler was lost; expected it to stay"):
        list(run)
