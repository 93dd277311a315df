"""Slices a second against the number of workers, what a task costs, and a model on paper for many more workers.

1. Encoding and propagation, apart, in this process and on clusters of worker processes with one thread each, on
   phantoms of heads with one annotated lesion each. Workers have loaded the model before the clock starts; caches are
   empty.
2. Seconds of each task that does nothing, in the same window as real ones, and bytes over the loopback interface for
   each task of the encoding. Other traffic there is counted, too: let nothing else run.
3. The model on paper of `cluster_on_paper.py`, from what was measured here and what is assumed of the large cluster.

python benchmarks/cluster_throughput.py
python benchmarks/cluster_throughput.py --workers 1 2 --volumes 2 --slices 8 --side 64 --empty-tasks 50   # a trial
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import shutil
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster_on_paper import OnPaper, predict_throughput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def main() -> None:
    options = _options()
    import torch

    torch.set_num_threads(1)
    report: dict[str, Any] = {"options": {name: value for name, value in vars(options).items() if name != "json"}}
    with tempfile.TemporaryDirectory(prefix="cluster-") as name:
        bench = Bench(Path(name), options)
        report["alone"] = bench.alone()
        report["clusters"] = [bench.on_workers(n_workers) for n_workers in options.workers]
        report["parts"] = bench.parts()
    report["on_paper"] = [
        {"what": what, **asdict(case), **asdict(predict_throughput(case))} for what, case in _cases(report, options)
    ]
    _print(report)
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="segnext-tiny", help="name or path")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="processes of one thread")
    parser.add_argument("--volumes", type=int, default=8)
    parser.add_argument("--slices", type=int, default=48, help="of each volume")
    parser.add_argument("--side", type=int, default=240, help="rows and columns")
    parser.add_argument("--slices-per-task", type=int, default=8)
    parser.add_argument("--empty-tasks", type=int, default=1000)
    paper = parser.add_argument_group("the large cluster, as assumed")
    paper.add_argument("--paper-workers", type=int, default=100)
    paper.add_argument("--paper-volumes", type=int, default=10_000)
    paper.add_argument("--paper-slices", type=int, default=155)
    paper.add_argument("--paper-encode-s", type=float, default=0.01, help="a slice on a GPU, writing included")
    paper.add_argument("--paper-gb-per-s", type=float, default=5.0, help="of the shared file system")
    paper.add_argument("--paper-start-s", type=float, default=120.0)
    parser.add_argument("--json", default="", help="file to write the report to")
    return parser.parse_args()


class Bench:
    """Volumes in a folder, and what is measured on them."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        from napari_segnext._disk_cache import disk_cache_settings

        self._folder, self._options = folder, options
        self._cache = disk_cache_settings(folder / "cache", 1000)
        self._volumes = [_write_volume(folder, number, options) for number in range(options.volumes)]

    def alone(self) -> dict[str, float]:
        """In this process, one volume after the other; the second run counts, as the first loads and compiles."""
        from napari_segnext.batch import iterate_batch, slices_to_embed
        from napari_segnext.batch.resources import cache_for, model_for
        from napari_segnext.propagation import embed_volume

        model = model_for(self._options.model, "cpu")

        def embed(paths: list[Path]) -> int:
            opened = [one for path in paths for one in slices_to_embed(path, self._settings())]
            cache = cache_for(self._cache)
            return sum(1 for one in opened for _ in embed_volume(model, one.volume, cache=cache))

        embed(self._volumes[:1])
        report = {"embed_slices_per_s": self._rate(lambda: embed(self._volumes))}
        list(iterate_batch(self._jobs()[:1]))
        report["propagate_slices_per_s"] = self._rate(lambda: sum(one.n_filled for one in iterate_batch(self._jobs())))
        return report

    def on_workers(self, n_workers: int) -> dict[str, float]:
        """On a cluster of processes with one thread each."""
        from napari_segnext.batch.cluster import iterate_on_cluster
        from napari_segnext.batch.embed_on_cluster import EmbedJob, iterate_embed_on_cluster

        start = time.perf_counter()
        with _cluster(n_workers) as client:
            client.run(_load, self._options.model)
            report: dict[str, float] = {"workers": n_workers, "start_s": time.perf_counter() - start}
            address = client.scheduler.address
            jobs = [EmbedJob(path, self._settings()) for path in self._volumes]
            n_slices = self._options.slices_per_task
            n_bytes = _loopback_bytes()

            def embed() -> int:
                outcomes = iterate_embed_on_cluster(jobs, address, slices_per_task=n_slices)
                return sum(one.n_slices for one in outcomes)

            report["embed_slices_per_s"] = self._rate(embed)
            n_tasks = len(jobs) * (1 + math.ceil(self._options.slices / n_slices))
            report["bytes_per_task"] = (_loopback_bytes() - n_bytes) / n_tasks
            report["propagate_slices_per_s"] = self._rate(
                lambda: sum(one.n_filled for one in iterate_on_cluster(self._jobs(), address))
            )
            report["s_per_empty_task"] = _seconds_per_empty_task(client, self._options.empty_tasks)
        return report

    def parts(self) -> dict[str, float]:
        """Of what the model on paper is made: an entry's bytes, opening a volume, listing a folder of entries."""
        from napari_segnext.batch import slices_to_embed
        from napari_segnext.batch.resources import cache_for, model_for
        from napari_segnext.propagation import embed_volume
        from napari_segnext.session import EmbeddingStore

        self._clean()
        start = time.perf_counter()
        (one, *_) = slices_to_embed(self._volumes[-1], self._settings())
        one.volume.plane(0, 0)
        open_s = time.perf_counter() - start
        list(
            embed_volume(model_for(self._options.model, "cpu"), one.volume, slices=(0, 4), cache=cache_for(self._cache))
        )
        store = EmbeddingStore(self._folder / "cache", max_bytes=1)
        return {
            "embedding_bytes": store.n_bytes / max(1, len(store)),
            "slice_bytes": self._volumes[-1].stat().st_size / self._options.slices,
            "open_s": open_s,
            "list_s": _seconds_per_listed_file(self._folder / "many"),
        }

    def _settings(self) -> Any:
        from napari_segnext.batch import BatchSettings

        return BatchSettings(model=self._options.model, device="cpu", cache=self._cache)

    def _jobs(self) -> Any:
        from napari_segnext.batch import plan_jobs

        return plan_jobs(self._volumes, self._folder / "prompts", self._folder / "out", self._settings()).jobs

    def _rate(self, work: Any) -> float:
        """Slices a second, with neither embeddings nor labels of earlier runs."""
        self._clean()
        start = time.perf_counter()
        return int(work()) / (time.perf_counter() - start)

    def _clean(self) -> None:
        for name in ("cache", "out"):
            shutil.rmtree(self._folder / name, ignore_errors=True)


def _write_volume(folder: Path, number: int, options: argparse.Namespace) -> Path:
    """A head with a lesion, and a prompts file with the lesion's mask on its middle slice."""
    import numpy as np
    import tifffile

    from napari_segnext.datasets.phantoms import make_head_phantom
    from napari_segnext.prompts import MaskPrompt, Prompts
    from napari_segnext.prompts.prompts_file import AnnotatedObject, PromptsFile, SlicePrompts, write_prompts_file

    phantom = make_head_phantom(number, (options.slices, options.side, options.side))
    lesion = phantom.labels > 0
    holding = np.flatnonzero(lesion.any(axis=(1, 2)))
    middle = int(holding[len(holding) // 2])
    path = folder / f"head{number}.tif"
    tifffile.imwrite(path, phantom.image)
    (folder / "prompts").mkdir(exist_ok=True)
    masks = (SlicePrompts(0, middle, Prompts(), mask=MaskPrompt(lesion[middle])),)
    write_prompts_file(folder / "prompts" / f"head{number}.json", PromptsFile((AnnotatedObject(1, "lesion", masks),)))
    return path


@contextlib.contextmanager
def _cluster(n_workers: int) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=n_workers, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def _load(model: str) -> None:
    """On a worker: everything that its first task would wait for."""
    import napari_segnext.batch.cluster
    import napari_segnext.batch.embed_on_cluster  # noqa: F401
    from napari_segnext.batch.resources import model_for

    model_for(model, "cpu")


def _seconds_per_empty_task(client: Any, n_tasks: int) -> float:
    from napari_segnext.batch.in_flight import InFlight, Task

    def nothing() -> Any:
        yield [Task(int)]

    start = time.perf_counter()
    run = InFlight(client, (nothing() for _ in range(n_tasks)))
    for _ in run.outcomes():
        pass
    run.cancel()
    return (time.perf_counter() - start) / n_tasks


def _loopback_bytes() -> int:
    import psutil

    counters = psutil.net_io_counters(pernic=True)
    return sum(counters[name].bytes_sent for name in counters if name.startswith("lo"))


def _seconds_per_listed_file(folder: Path, n_files: int = 2000) -> float:
    """As the store measures its folder; on this machine's disk, a network's takes longer."""
    from napari_segnext.session import EmbeddingStore
    from napari_segnext.session.embedding_store import SUFFIX

    folder.mkdir()
    for number in range(n_files):
        (folder / f"{number}{SUFFIX}").touch()
    store = EmbeddingStore(folder, max_bytes=1)
    start = time.perf_counter()
    _ = store.n_bytes
    return (time.perf_counter() - start) / n_files


def _cases(report: dict[str, Any], options: argparse.Namespace) -> list[tuple[str, OnPaper]]:
    parts = report["parts"]
    case = OnPaper(
        n_workers=options.paper_workers,
        n_volumes=options.paper_volumes,
        slices_per_volume=options.paper_slices,
        chunk_slices=8,
        encode_s=options.paper_encode_s,
        scheduler_s=min(one["s_per_empty_task"] for one in report["clusters"]),
        file_system_bytes_per_s=options.paper_gb_per_s * 1e9,
        embedding_bytes=parts["embedding_bytes"],
        slice_bytes=parts["slice_bytes"],
        open_s=parts["open_s"],
        list_s=parts["list_s"],
        start_s=options.paper_start_s,
    )
    unlisted, whole = replace(case, list_s=0.0), options.paper_slices
    cpu_s = 1 / report["alone"]["embed_slices_per_s"]
    fill_s = max(0.0, 1 / report["alone"]["propagate_slices_per_s"] - cpu_s)
    return [
        ("8 slices per task, one cache folder", case),
        ("8 slices per task, listing for nothing", unlisted),
        ("32 slices per task, listing for nothing", replace(unlisted, chunk_slices=32)),
        ("a volume per task, listing for nothing", replace(unlisted, chunk_slices=whole)),
        ("the same with CPU cores as measured", replace(unlisted, chunk_slices=whole, encode_s=cpu_s)),
        ("propagation on CPU cores as measured", replace(unlisted, encode_s=cpu_s, fill_s=fill_s)),
    ]


def _print(report: dict[str, Any]) -> None:
    alone, one = report["alone"], report["clusters"][0]
    rows = [["this process", *(f"{alone[f'{kind}_slices_per_s']:.2f}" for kind in ("embed", "propagate")), *["–"] * 4]]
    for cluster in report["clusters"]:
        speeds = [cluster[f"{kind}_slices_per_s"] / one[f"{kind}_slices_per_s"] for kind in ("embed", "propagate")]
        more = cluster["workers"] / one["workers"]
        rows.append(
            [
                f"{cluster['workers']}",
                *(f"{cluster[f'{kind}_slices_per_s']:.2f}" for kind in ("embed", "propagate")),
                *(text for speed in speeds for text in (f"{speed:.2f}", f"{speed / more:.0%}")),
            ]
        )
    print(_table("workers|embed, slices/s|propagate, slices/s|embed ×|efficiency|propagate ×|efficiency", rows))
    rows = [
        [f"{n['workers']}", f"{1e3 * n['s_per_empty_task']:.2f}", f"{n['bytes_per_task']:.0f}", f"{n['start_s']:.1f}"]
        for n in report["clusters"]
    ]
    print(_table("workers|ms of an empty task|bytes moved per task|start-up, s", rows))
    print(_table("part|measured", [[name, f"{value:.3g}"] for name, value in report["parts"].items()]))
    rows = [
        [n["what"], f"{n['slices_per_s']:.0f}", f"{n['seconds'] / 3600:.2f}", n["limited_by"], f"{n['efficiency']:.0%}"]
        for n in report["on_paper"]
    ]
    print(_table(f"on paper, {report['options']['paper_workers']} workers|slices/s|hours|limited by|efficiency", rows))


def _table(head: str, rows: Iterable[list[str]]) -> str:
    titles = head.split("|")
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    main()
