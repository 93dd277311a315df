"""SegNext ViT-B SA×2 against a plain transcription of the original, SAM ViT-B, HQ-SAM and MobileSAM.

All weights but the bundled ones are random; time does not depend on them.

python benchmarks/speed.py                                     # all, a quarter of an hour on two cores
python benchmarks/speed.py --only ours transcription --case click --repeats 2
python benchmarks/speed.py --only bundled sam-vit-b --side 512

The bundled models, without and with random peers, is what `napari-segnext benchmark` times, too.
"""

from __future__ import annotations

import argparse
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transcription import Transcription

from napari_segnext.evaluation.benchmark import (
    CASES,
    BenchmarkSettings,
    ModelContender,
    iterate_benchmark,
    write_benchmark_plot,
)
from napari_segnext.evaluation.benchmark.peers import PEERS, peer
from napari_segnext.models.config import SegNextConfig
from napari_segnext.models.ois import OIS
from napari_segnext.models.ois_config import OISConfig
from napari_segnext.models.segnext import SegNext
from napari_segnext.weights import load_model

if TYPE_CHECKING:
    from collections.abc import Callable

TRANSCRIPTION, OURS, OIS_BASE, BUNDLED, LIGHT = "transcription", "ours", "ois", "bundled", "light"


@cache
def vit_b(device: str) -> SegNext:
    """SegNext ViT-B SA×2 with random weights; the transcription reads the same ones."""
    torch.manual_seed(0)
    return SegNext(SegNextConfig()).to(device).eval().requires_grad_(False)


def contender(name: str, device: str) -> Any:
    """A contender by name."""
    models: dict[str, Callable[[], Any]] = {
        TRANSCRIPTION: lambda: Transcription(vit_b(device)),
        OURS: lambda: vit_b(device),
        OIS_BASE: lambda: OIS(OISConfig()).to(device).eval().requires_grad_(False),
        BUNDLED: lambda: load_model("segnext-tiny", device),
        LIGHT: lambda: load_model("segnext-tiny-light", device),
    }
    return ModelContender(name, models[name]()) if name in models else peer(name, device)


def main() -> None:
    names = [TRANSCRIPTION, OURS, BUNDLED, LIGHT, *PEERS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*names, OIS_BASE], default=names)
    parser.add_argument("--baseline", default=TRANSCRIPTION)
    parser.add_argument("--case", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=1, help="points of the grid answered at once")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", default="", help="file to write the report to")
    parser.add_argument("--plot", default="", help="file to draw the report to")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings = BenchmarkSettings(tuple(options.case), (options.side, options.side), options.repeats, 16, options.batch)
    baseline = options.baseline if options.baseline in options.only else options.only[0]
    contenders = [contender(name, options.device) for name in options.only]
    for report in iterate_benchmark(contenders, settings, baseline=baseline):
        print(f"timed: {report.results[-1].case}", flush=True)
    print(report.table())
    if options.json:
        Path(options.json).write_text(json.dumps(report.to_dict(), indent=1) + "\n", encoding="utf8")
    if options.plot:
        write_benchmark_plot(options.plot, report)


if __name__ == "__main__":
    main()
