"""`propagate --scheduler`: workers in processes of their own, one of which is killed."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_segnext.batch import BatchSettings, iterate_batch, plan_jobs
from napari_segnext.errors import BatchError
from napari_segnext.prompts.prompts_file import read_prompts_file, write_prompts_file
from napari_segnext.session import disk_cache_settings
from tests.commands.volumes_to_propagate import write_volumes
from tests.commands.workers_to_kill import Victim, two_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from click.testing import Result

    Cli = Callable[..., Result]

pytest.importorskip("distributed", reason="needs the package distributed, which the extra 'test' brings")

N_VOLUMES = 3


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with two_workers() as running:
        yield running


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("case*.tif")}


def test_command_goes_on_and_tells_what_failed(cluster: Any, cli: Cli, tiny_model: Path, tmp_path: Path) -> None:
    volumes = write_volumes(tmp_path / "in", 3)
    volumes[1].write_bytes(b"no tiff")
    command = (
        *("propagate", *volumes, "-p", tmp_path / "in" / "prompts", "-m", tiny_model, "-o", tmp_path / "out"),
        *("--scheduler", cluster.scheduler_address, "--no-cache"),
    )
    done = cli(*command)
    assert done.exit_code == 2
    assert done.stdout.count("wrote") == 2
    assert "error: case1.tif: " in done.stderr and "1 of 3 volumes failed." in done.stderr
    again = cli(*command)
    assert again.exit_code == 2
    assert again.stdout.count("skipped") == 2
    assert json.loads((tmp_path / "out" / "batch.report.json").read_text())["skipped"] == 2


def test_time_points_and_channels_as_on_one_machine(cluster: Any, cli: Cli, tiny_model: Path, tmp_path: Path) -> None:
    (volume,) = write_volumes(tmp_path / "in", 1)
    ball = tifffile.imread(volume)
    series = tmp_path / "case0.tif"
    pixels = np.stack([np.stack([255 - ball, ball], 1)] * 2)
    tifffile.imwrite(series, pixels, imagej=True, metadata={"axes": "TZCYX"})
    said = read_prompts_file(tmp_path / "in" / "prompts" / "case0.json")
    objects = tuple(
        replace(item, slices=tuple(replace(one, axis=1, others=((0, time),)) for one in item.slices for time in (0, 1)))
        for item in said.objects
    )
    write_prompts_file(tmp_path / "said.json", replace(said, objects=objects))
    command = ("propagate", series, "-p", tmp_path / "said.json", "-m", tiny_model)
    options = ("--time", "all", "--channels", "channel 2,0", "--cache-folder", tmp_path / "cache", "--cache-size", 1)
    address = cluster.scheduler_address
    for where in (("--scheduler", address, "-o", tmp_path / "there"), ("-o", tmp_path / "here")):
        done = cli(*command, *options, *where)
        assert done.exit_code == 0, done.output
    assert written(tmp_path / "there") == written(tmp_path / "here")
    labels = tifffile.imread(tmp_path / "here" / "case0.tif")
    assert labels.shape == (2, *ball.shape) and (labels == 1).any(axis=(1, 2, 3)).all()


def test_files_that_workers_do_not_see_are_named(cluster: Any, tiny_model: Path, tmp_path: Path) -> None:
    from napari_segnext.batch.cluster import iterate_on_cluster

    volumes = write_volumes(tmp_path / "in", 1)
    jobs = plan_jobs(volumes, tmp_path / "in" / "prompts", tmp_path / "out", BatchSettings(model=str(tiny_model))).jobs
    volumes[0].unlink()
    (outcome,) = iterate_on_cluster(jobs, cluster.scheduler_address)
    assert outcome.state == "failed"
    assert "a worker does not see" in outcome.error and "expected the same files" in outcome.error


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no SIGKILL")
def test_only_its_tasks_are_lost_with_a_worker_and_labels_are_those_of_one_machine(
    cluster: Any, tiny_model: Path, tmp_path: Path
) -> None:
    from napari_segnext.batch.cluster import iterate_on_cluster

    volumes = write_volumes(tmp_path / "in", N_VOLUMES)
    settings = BatchSettings(model=str(tiny_model), device="cpu", cache=disk_cache_settings(tmp_path / "cache", 1))
    jobs = plan_jobs(volumes, tmp_path / "in" / "prompts", tmp_path / "there", settings).jobs
    (tmp_path / "log").mkdir()
    victim = Victim(cluster, tmp_path / "log")

    def kill_once_slices_are_there(done: int, note: str) -> None:
        if "slices encoded" in note:
            victim.strike()

    outcomes = list(iterate_on_cluster(jobs, cluster.scheduler_address, on_progress=kill_once_slices_are_there))
    victim.require_that_others_did_their_tasks_once()
    assert sorted((one.volume.name, one.state) for one in outcomes) == [(path.name, "done") for path in volumes], (
        outcomes
    )
    assert any((tmp_path / "cache").iterdir())

    here = plan_jobs(volumes, tmp_path / "in" / "prompts", tmp_path / "here", BatchSettings(model=str(tiny_model))).jobs
    assert {one.state for one in iterate_batch(here)} == {"done"}
    assert written(tmp_path / "there") == written(tmp_path / "here")
    assert len(written(tmp_path / "here")) == N_VOLUMES


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x"])
def test_scheduler_that_does_not_answer_is_told_in_one_line(
    address: str, cli: Cli, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_segnext.batch.in_flight.TIMEOUT_S", 1)
    volumes = write_volumes(tmp_path / "in", 1)
    options = ("-p", tmp_path / "in" / "prompts", "-m", tiny_model, "-o", tmp_path / "out", "--scheduler", address)
    done = cli("propagate", *volumes, *options)
    assert done.exit_code == 2, done.output
    assert f"no scheduler answered at '{address}'" in done.stderr.strip().splitlines()[-1]


def test_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_segnext.batch.cluster import iterate_on_cluster

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(BatchError, match=r'Install "napari-segnext\[cluster\]"'):
        list(iterate_on_cluster([], "tcp://127.0.0.1:9"))
