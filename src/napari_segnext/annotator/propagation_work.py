"""The part of a propagation run that takes long: reading slices and asking the model. Runs in the worker, in steps.

`find` looks for what to start from and plans; then each call of `next_results` gives what one slice gave. Between two
slices it waits a little while the user's own questions are answered, so that a click is not slower for a run.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_segnext.annotator.propagation_plan import KnownObject, RunPlan, find_sources, plan_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_segnext.annotator.depth import DepthPlanes
    from napari_segnext.annotator.model_input import ModelInput
    from napari_segnext.annotator.slice_line import SliceLine
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.propagation import SliceResult, StopRules
    from napari_segnext.propagation.propagate import Direction

MAX_WAIT_S = 1.0
"""For one question of the user's, before a run goes on beside it."""


@dataclass(frozen=True, eq=False)
class Job:
    """What is asked for.

    Attributes
    ----------
    line
        The slices, and along which axis.
    wanted
        Numbers of the slices that may be written.
    direction, rules, zoom
        As of `propagate`.
    objects
        Who is propagated, with what is known of each.
    model, model_input
        Who answers, and what it sees.
    scale
        Size of a pixel along each axis of the image.
    labels
        Array of the labels layer.
    is_user_waiting
        Whether a question of the user's is being answered.
    n_images
        How often the image got other pixels: what came from the former ones is out of date.
    depth, depth_settings
        Depth of the slices, and where it comes from, as text; None and empty where the model sees it.
    """

    line: SliceLine
    wanted: range
    direction: Direction
    rules: StopRules
    zoom: bool | None
    objects: tuple[KnownObject, ...]
    model: InteractiveModel
    model_input: ModelInput
    scale: tuple[float, ...]
    labels: Any
    is_user_waiting: Callable[[], bool] = field(default=lambda: False)
    n_images: int = 0
    depth: DepthPlanes | None = None
    depth_settings: str = ""

    @property
    def settings(self) -> str:
        """What all results depend on besides masks and pixels, as text."""
        identity = self.model.identity
        seen = f"{self.model_input.references} {self.n_images}{self.depth_settings and f' {self.depth_settings}'}"
        return f"{identity.name} {identity.sha256} {self.zoom} {seen}"


class PropagationWork:
    """A run in the worker; one of its methods runs at a time. `cancel` may be called from any thread.

    Attributes
    ----------
    n_done
        How often a slice was opened so far; `RunPlan.n_steps` is how often it will be, at most.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._is_wanted = True
        self._plan: RunPlan | None = None
        self._results: Iterator[SliceResult] | None = None
        self._expected: dict[int, int] = {}
        self.n_done = 0

    def cancel(self) -> None:
        """Nothing more is wanted: the run ends before its next slice."""
        self._is_wanted = False

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return not self._is_wanted

    def find(self) -> RunPlan:
        """Look for what to start from, and decide what is to be done."""
        job = self._job
        found = find_sources(job.labels, job.line, job.objects, job.wanted, is_wanted=lambda: self._is_wanted)
        self._plan = plan_run(
            found,
            job.wanted,
            goes_up=job.direction != "down",
            goes_down=job.direction != "up",
            settings=job.settings,
            rules=f"{job.rules}",
        )
        self._results = self._run(self._plan)
        return self._plan

    def next_results(self) -> list[SliceResult]:
        """What the next slice gave, for one object or several; nothing at the end."""
        found: list[SliceResult] = []
        if self._results is None:
            return found
        for result in self._results:
            found.append(result)
            self._expected[result.index] = self._expected.get(result.index, self._n_expected(result)) - 1
            if self._expected[result.index] <= 0:
                break
        return found

    def _run(self, plan: RunPlan) -> Iterator[SliceResult]:
        from napari_segnext.propagation import ObjectToPropagate, Source, propagate
        from napari_segnext.volumes import Volume

        job = self._job
        volume = Volume(job.model_input.planes(job.line), spacing=_spacing(job))
        depth = None if job.depth is None else Volume(job.depth, spacing=_spacing(job))
        for part in plan.parts:
            objects = [
                ObjectToPropagate(one.known.label, {index: mask.unpacked() for index, mask in one.sources.items()})
                for one in part.objects
            ]
            self._expected.clear()
            results = propagate(
                job.model,
                volume,
                objects,
                slices=(part.slices.start, part.slices.stop),
                direction=job.direction,
                rules=job.rules,
                zoom=job.zoom,
                depth=depth,
                is_wanted=self._begin_slice,
            )
            yield from (result for result in results if result.source is not Source.ANNOTATED)
            if not self._is_wanted:
                return

    def _n_expected(self, result: SliceResult) -> int:
        """How many objects give a result when a slice is opened: with the last of them it is done."""
        plan = self._plan
        if plan is None:
            return 1
        mine = plan.span_of(result.label, result.index)
        spans = [plan.span_of(label, result.index) for label in plan.stale]
        return sum(1 for one in spans if one and mine and one[0].is_between == mine[0].is_between)

    def _begin_slice(self) -> bool:
        deadline = time.monotonic() + MAX_WAIT_S
        while self._is_wanted and self._job.is_user_waiting() and time.monotonic() < deadline:
            time.sleep(0.01)
        self.n_done += self._is_wanted
        return self._is_wanted


def _spacing(job: Job) -> tuple[float, float, float]:
    first, rows, columns = (abs(job.scale[axis]) or 1.0 for axis in (job.line.axis, *job.line.first.axes))
    return first, rows, columns
