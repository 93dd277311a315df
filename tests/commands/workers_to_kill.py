"""A cluster of processes, one of which is killed, and who did which task there."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

distributed = pytest.importorskip("distributed", reason="needs the package distributed, which the extra 'test' brings")


@contextlib.contextmanager
def two_workers() -> Iterator[Any]:
    """Two workers, each a process with one thread; one that is gone is given up soon."""
    import dask

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "3s"}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as running,
    ):
        yield running


class TaskLog(distributed.WorkerPlugin):
    """Writes the key of each task that a worker begins to `PID.begun`, and of each that it has done to `PID.done`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def transition(self, key: str, start: str, finish: str, **kwargs: Any) -> None:
        kind = {"executing": "begun", "memory": "done"}.get(finish)
        if kind is not None and (kind == "begun" or start == "executing"):
            with open(f"{self._folder}/{os.getpid()}.{kind}", "a", encoding="utf8") as file:
                file.write(f"{key}\n")


class Victim:
    """One of the workers of a cluster, whose tasks are logged; it is killed at the first call of `strike`.

    Parameters
    ----------
    cluster
        Of processes.
    folder
        For the logs; it exists.
    """

    def __init__(self, cluster: Any, folder: Path) -> None:
        self._folder = folder
        self.is_dead = False
        with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
            client.register_plugin(TaskLog(str(folder)), name="task-log")
            self.pid = next(iter(client.run(os.getpid).values()))

    def strike(self) -> None:
        """Kill it as the system does when memory is short."""
        if not self.is_dead and (self._folder / f"{self.pid}.done").exists():
            self.is_dead = True
            os.kill(self.pid, signal.SIGKILL)

    def begun(self, kind: str = "begun") -> dict[str, list[int]]:
        """Task → process number of each worker that has begun it; or, of the kind "done", done it."""
        by_key = defaultdict(list)
        for log in sorted(self._folder.glob(f"*.{kind}")):
            for key in log.read_text("utf8").split():
                by_key[key].append(int(log.stem))
        return by_key

    def require_that_others_did_their_tasks_once(self) -> None:
        """Only what the victim had begun was begun again."""
        assert self.is_dead
        for key, pids in self.begun().items():
            assert len(pids) == 1 or (len(pids) == 2 and self.pid in pids), (key, pids, self.pid)
        for key, pids in self.begun("done").items():
            assert len(pids) == 1 or self.pid in pids, (key, pids, self.pid)
        survivors = {pid for pids in self.begun("done").values() for pid in pids} - {self.pid}
        assert survivors and self.begun("done").keys() == self.begun().keys()
