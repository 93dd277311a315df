"""What an encoding, a click and a grid of clicks cost: ours and peers' in turns, beside the machine's limit."""

from napari_segnext.evaluation.benchmark.contenders import Contender, ModelContender, Prompting
from napari_segnext.evaluation.benchmark.counts import Work, count_work
from napari_segnext.evaluation.benchmark.machine import MachinePeak, measure_peak
from napari_segnext.evaluation.benchmark.report import BenchmarkReport, write_benchmark_plot
from napari_segnext.evaluation.benchmark.run import CASES, BenchmarkSettings, benchmark, iterate_benchmark
from napari_segnext.evaluation.benchmark.turns import Spread, in_turns, ratios, spread

__all__ = [
    "CASES",
    "BenchmarkReport",
    "BenchmarkSettings",
    "Contender",
    "MachinePeak",
    "ModelContender",
    "Prompting",
    "Spread",
    "Work",
    "benchmark",
    "count_work",
    "in_turns",
    "iterate_benchmark",
    "measure_peak",
    "ratios",
    "spread",
    "write_benchmark_plot",
]
