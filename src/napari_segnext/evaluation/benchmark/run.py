"""A benchmark: the same cases for all contenders, in turns.

| case | what is done |
|---|---|
| encode | image → what prompts are answered on |
| first click | the first click on an image that was just encoded; the previous mask is empty |
| next object | the first click for another object of that image |
| click | three clicks, with the last answer as previous mask |
| grid point | a point of a grid of single clicks on the image, of which a batch is answered at once |
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from napari_segnext.evaluation.benchmark.contenders import Prompting
from napari_segnext.evaluation.benchmark.counts import count_work
from napari_segnext.evaluation.benchmark.machine import measure_peak
from napari_segnext.evaluation.benchmark.memory import peak_bytes
from napari_segnext.evaluation.benchmark.report import BenchmarkReport, CaseResult
from napari_segnext.evaluation.benchmark.turns import in_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from torch import Tensor

    from napari_segnext.evaluation.benchmark.contenders import Contender

    Job = Callable[[], object]

CASES = ("encode", "first click", "next object", "click", "grid point")


@dataclass(frozen=True, slots=True)
class BenchmarkSettings:
    """What is timed, and how often.

    Attributes
    ----------
    cases
        Of `CASES`.
    image_shape
        (rows, columns) of the image.
    repeats
        Turns, after one that does not count.
    grid
        Points a side of the grid.
    batch
        Points that are answered at once.
    """

    cases: tuple[str, ...] = CASES
    image_shape: tuple[int, int] = (1024, 1024)
    repeats: int = 5
    grid: int = 16
    batch: int = 4

    def __post_init__(self) -> None:
        unknown = [case for case in self.cases if case not in CASES]
        if unknown or not self.cases:
            raise ValueError(f"cases are {self.cases}; expected some of {', '.join(CASES)}.")
        if min(self.repeats, self.grid, self.batch, *self.image_shape) < 1:
            raise ValueError(
                f"repeats={self.repeats}, grid={self.grid}, batch={self.batch}, image_shape={self.image_shape}; "
                "expected numbers above 0."
            )


def benchmark(
    contenders: Sequence[Contender], settings: BenchmarkSettings | None = None, *, baseline: str = ""
) -> BenchmarkReport:
    """The last report of `iterate_benchmark`, which see."""
    *_, report = iterate_benchmark(contenders, settings, baseline=baseline)
    return report


def iterate_benchmark(
    contenders: Sequence[Contender], settings: BenchmarkSettings | None = None, *, baseline: str = ""
) -> Iterator[BenchmarkReport]:
    """Time contenders in turns, count their work and measure the machine.

    Parameters
    ----------
    contenders
        At least one, on one device, with names that differ.
    settings
        What is timed; all cases by default.
    baseline
        Name of the contender over whose seconds the others' are given; the first one by default.

    Yields
    ------
    BenchmarkReport
        After each case, with all cases so far.

    Raises
    ------
    ValueError
        If there is no contender, names or devices clash, or the baseline is none of them.
    """
    settings = settings or BenchmarkSettings()
    names = [contender.name for contender in contenders]
    baseline = baseline or (names[0] if names else "")
    devices = {str(contender.device) for contender in contenders}
    if len(set(names)) < len(names) or len(devices) != 1 or baseline not in names:
        raise ValueError(
            f"contenders are {names} on {sorted(devices)}, baseline '{baseline}'; expected at least one, names that "
            "differ, one device, and the baseline among them."
        )
    device = contenders[0].device
    peak, machine = measure_peak(device), machine_name(device)
    image = torch.rand(3, *settings.image_shape, generator=torch.Generator().manual_seed(0))
    results: list[CaseResult] = []
    encoded: dict[str, Any] = {}
    for case in settings.cases:
        with torch.inference_mode():
            if case != "encode" and not encoded:
                encoded = {contender.name: contender.encode(image) for contender in contenders}
            results += _timed(case, contenders, encoded, image, settings)
        yield BenchmarkReport(baseline, tuple(results), peak, machine, settings.image_shape, settings.grid)


def machine_name(device: torch.device) -> str:
    """Processor or GPU, threads, and version of torch."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    threads = torch.get_num_threads()
    return f"{device.type} ({_processor()}), {threads} thread{'s' * (threads > 1)}, torch {torch.__version__}"


def _timed(
    case: str,
    contenders: Sequence[Contender],
    encoded: dict[str, Any],
    image: Tensor,
    settings: BenchmarkSettings,
) -> list[CaseResult]:
    jobs: dict[str, Job] = {one.name: _job(case, one, encoded, image, settings) for one in contenders}
    before: dict[str, Job] = {}
    if case == "first click":
        before = {one.name: partial(one.forget_prepared, encoded[one.name]) for one in contenders}
    device = contenders[0].device
    seconds = in_turns(jobs, repeats=settings.repeats, device=device, before=before)
    per = settings.batch if case == "grid point" else 1
    results = []
    for name, job in jobs.items():
        before.get(name, lambda: None)()
        work = count_work(job)
        before.get(name, lambda: None)()
        each = tuple(value / per for value in seconds[name])
        results.append(CaseResult(case, name, each, work.per(per), peak_bytes(job, device)))
    return results


def _job(case: str, contender: Contender, encoded: dict[str, Any], image: Tensor, settings: BenchmarkSettings) -> Job:
    if case == "encode":
        return partial(contender.encode, image)
    prompting = _prompting(case, settings, contender.device)
    return partial(contender.answer, encoded[contender.name], prompting)


def _prompting(case: str, settings: BenchmarkSettings, device: torch.device) -> Prompting:
    rows, columns = settings.image_shape
    generator = torch.Generator().manual_seed(1)
    if case == "grid point":
        places = torch.rand(settings.batch, 1, 2, generator=generator)
    elif case == "click":
        places = 0.3 + 0.4 * torch.rand(1, 3, 2, generator=generator)
    else:
        places = torch.full((1, 1, 2), 0.4)
    clicks = torch.cat([(places * torch.tensor([rows - 1, columns - 1])).round(), torch.ones(*places.shape[:2], 1)], -1)
    clicks[:, 2:, 2] = -1
    masks = _soft_disk(rows, columns)[None].to(device) if case == "click" else None
    return Prompting(clicks.to(device), masks, settings.image_shape)


def _soft_disk(rows: int, columns: int) -> Tensor:
    """An answer such as models give: a blob in the middle, and doubt everywhere."""
    row, column = torch.meshgrid(torch.linspace(-1, 1, rows), torch.linspace(-1, 1, columns), indexing="ij")
    return torch.sigmoid(20 * (0.4 - (row**2 + column**2).sqrt()))


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
