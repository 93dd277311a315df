"""`embed --scheduler`: the cache is that of one machine, whatever happens to a worker."""

from __future__ import annotations

import sys
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_segnext import Click, Session, load_model
from napari_segnext.batch import BatchSettings
from napari_segnext.errors import BatchError
from napari_segnext.session import EmbeddingCache, EmbeddingStore, disk_cache_settings
from tests.commands.volumes_to_propagate import SHAPE, write_volumes
from tests.commands.workers_to_kill import Victim, two_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from click.testing import Result

    Cli = Callable[..., Result]

pytest.importorskip("distributed", reason="needs the package distributed, which the extra 'test' brings")

N_VOLUMES = 3
N_SLICES = N_VOLUMES * SHAPE[0]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with two_workers() as running:
        yield running


@pytest.fixture(autouse=True)
def cache_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """As large as it is by default; tests have none on disk else."""
    monkeypatch.delenv("NAPARI_SEGNEXT_CACHE_GB")


@pytest.fixture
def volumes(tmp_path: Path) -> list[Path]:
    return write_volumes(tmp_path / "in", N_VOLUMES)


def entries(folder: Path) -> dict[str, dict[str, bytes]]:
    """File name, which is made of the key, → the files of the zarr group within; their times do not count."""
    found = {}
    for path in folder.glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            found[path.name] = {name: archive.read(name) for name in archive.namelist()}
    return found


def masks(model_file: Path, volume: Path, cache_folder: Path | None) -> list[np.ndarray]:
    """After a click on each slice; from the cache only, if there is one."""
    model = load_model(model_file, "cpu")
    cache = EmbeddingCache()
    if cache_folder is not None:
        cache = EmbeddingCache(store=EmbeddingStore(cache_folder, max_bytes=10**9))
        model.encode_image = None
    return [Session(model, plane, zoom=False, cache=cache).add(Click(20, 25)).mask for plane in tifffile.imread(volume)]


def test_command_tells_what_is_new_and_goes_on(
    cluster: Any, cli: Cli, volumes: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    command = (
        *("embed", *volumes, "-m", tiny_model, "--cache-folder", tmp_path / "there"),
        *("--scheduler", cluster.scheduler_address, "--slices-per-task", 5),
    )
    done = cli(*command, "--slices", "3:10")
    assert done.exit_code == 0, done.output
    assert done.stdout.count("7 slices are in the cache (7 new)") == N_VOLUMES
    assert len(entries(tmp_path / "there")) == N_VOLUMES * 7
    done = cli(*command)
    assert done.exit_code == 0, done.output
    assert done.stdout.count(f"{SHAPE[0]} slices are in the cache ({SHAPE[0] - 7} new)") == N_VOLUMES
    here = cli("embed", *volumes, "-m", tiny_model, "--cache-folder", tmp_path / "here")
    assert here.exit_code == 0, here.output
    assert entries(tmp_path / "there") == entries(tmp_path / "here")


def test_prompts_file_says_what_is_encoded(
    cluster: Any, cli: Cli, volumes: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    command = ("embed", volumes[0], "-m", tiny_model, "-p", tmp_path / "in" / "prompts" / "case0.json")
    there = cli(*command, "--scheduler", cluster.scheduler_address, "--cache-folder", tmp_path / "there")
    assert there.exit_code == 0, there.output
    assert cli(*command, "--cache-folder", tmp_path / "here").exit_code == 0
    assert entries(tmp_path / "there") == entries(tmp_path / "here")


def test_bad_volumes_do_not_stop_the_others(
    cluster: Any, cli: Cli, volumes: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    volumes[1].write_bytes(b"no tiff")
    volumes[2].unlink()
    done = cli(
        *("embed", *volumes, "-m", tiny_model, "--cache-folder", tmp_path / "there"),
        *("--scheduler", cluster.scheduler_address),
    )
    assert done.exit_code == 2
    assert f"{volumes[0]}: {SHAPE[0]} slices are in the cache" in done.stdout
    assert "error: case1.tif: " in done.stderr and "2 of 3 volumes failed." in done.stderr
    assert "error: case2.tif: a worker does not see" in done.stderr


def test_slices_that_are_not_there_are_told(
    cluster: Any, cli: Cli, volumes: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    command = ("embed", volumes[0], "-m", tiny_model, "--slices", "4:90", "--cache-folder", tmp_path / "cache")
    there, here = cli(*command, "--scheduler", cluster.scheduler_address), cli(*command)
    assert there.exit_code == here.exit_code == 2
    for done in (there, here):
        assert "slices are 4:90; expected a range within 0:12" in done.stderr


def test_folder_that_cannot_be_written_ends_it(
    cluster: Any, cli: Cli, volumes: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    command = (
        *("embed", *volumes, "-m", tiny_model, "--cache-folder", tmp_path / "file"),
        *("--scheduler", cluster.scheduler_address),
    )
    done = cli(*command)
    assert done.exit_code == 2
    assert done.stderr.count("a worker cannot write to the cache folder") == 1 and "goes on from there" in done.stderr
    # workers that live on try it anew
    (tmp_path / "file").unlink()
    assert cli(*command).exit_code == 0


def test_cache_that_is_too_small_for_all_is_told(
    cluster: Any, cli: Cli, volumes: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    done = cli(
        *("embed", *volumes, "-m", tiny_model, "--cache-folder", tmp_path / "there", "--cache-size", "0.00006"),
        *("--scheduler", cluster.scheduler_address),
    )
    assert done.exit_code == 0, done.output
    assert done.stderr.count("3 volumes like 'case") == 1
    assert "the first slices will be deleted for the last ones" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no SIGKILL")
def test_only_its_tasks_are_lost_with_a_worker_and_the_cache_is_that_of_one_machine(
    cluster: Any, cli: Cli, volumes: list[Path], tiny_model: Path, tmp_path: Path
) -> None:
    from napari_segnext.batch.embed_on_cluster import EmbedJob, iterate_embed_on_cluster

    (tmp_path / "log").mkdir()
    victim = Victim(cluster, tmp_path / "log")
    cache = disk_cache_settings(tmp_path / "there", 1)
    settings = BatchSettings(model=str(tiny_model), device="cpu", zoom=False, cache=cache)
    outcomes = list(
        iterate_embed_on_cluster(
            [EmbedJob(path, settings) for path in volumes],
            cluster.scheduler_address,
            slices_per_task=2,
            on_progress=lambda done, note: victim.strike() if "slices encoded" in note else None,
        )
    )
    victim.require_that_others_did_their_tasks_once()
    assert sorted((one.volume, one.n_slices, one.error) for one in outcomes) == [(one, SHAPE[0], "") for one in volumes]

    here = cli("embed", *volumes, "-m", tiny_model, "-d", "cpu", "--no-zoom", "--cache-folder", tmp_path / "here")
    assert here.exit_code == 0, here.output
    assert len(entries(tmp_path / "here")) == N_SLICES
    assert entries(tmp_path / "there") == entries(tmp_path / "here")
    for volume in volumes:
        np.testing.assert_array_equal(
            masks(tiny_model, volume, tmp_path / "there"), masks(tiny_model, volume, None), err_msg=volume.name
        )


def test_job_without_a_cache_is_refused(volumes: list[Path]) -> None:
    from napari_segnext.batch.embed_on_cluster import EmbedJob

    with pytest.raises(BatchError, match="expected one that all workers see"):
        EmbedJob(volumes[0], BatchSettings())


def test_task_has_one_slice_at_least() -> None:
    from napari_segnext.batch.embed_on_cluster import iterate_embed_on_cluster

    with pytest.raises(BatchError, match="0 slices per task; expected at least 1"):
        list(iterate_embed_on_cluster([], "tcp://127.0.0.1:9", slices_per_task=0))
