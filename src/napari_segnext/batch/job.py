"""One volume of a batch, and how it is to be filled: values that another process can be sent."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from napari_segnext.errors import BatchError
from napari_segnext.io.volume_parts import name_of
from napari_segnext.prompts.prompts_file_json import MAX_CHANNELS
from napari_segnext.propagation import StopRules

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segnext._disk_cache import DiskCacheSettings
    from napari_segnext.propagation.propagate import Direction


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """How all volumes of a batch are filled.

    Attributes
    ----------
    axis
        0, 1 or 2 (Z, Y, X): along which slices follow each other; None for the one along which the prompts file has
        slices.
    time
        Number of the time point, or `"all"` for all that have prompts, one after the other; None for the only one that
        has. Of volumes without time, None.
    over_time
        Whether objects are followed from time point to time point, instead of from slice to slice.
    at_slice
        Which slice is followed over time; None for the only one with prompts.
    slices, direction, rules
        As of `propagate`; over time, `slices` counts time points.
    model
        Name or path; empty for the one that the prompts file names, else the default.
    device
        As of `load_model`.
    zoom, contrast_limits
        As of `Session`; None for what the prompts file says, else as `Session` does by default.
    channels
        Names or numbers (from 0) of one to three channels of the volume, or contrasts of a BraTS case, that the model
        sees; empty for what the prompts file says.
    per_object
        Whether each object gets a file of its own.
    without_time
        Whether labels are those of the time point alone, `(Z, Y, X)`, instead of `(T, Z, Y, X)`.
    doubtful
        Slices with a confidence below are listed in the report, 0 to 1.
    cache
        Where embeddings are kept on disk; None for in memory only.

    Raises
    ------
    BatchError
        If a value makes no sense.
    """

    axis: int | None = None
    time: int | Literal["all"] | None = None
    over_time: bool = False
    at_slice: int | None = None
    slices: tuple[int, int] | None = None
    direction: Direction = "both"
    rules: StopRules = field(default_factory=StopRules)
    model: str = ""
    device: str = "auto"
    zoom: bool | None = None
    contrast_limits: tuple[float, float] | None = None
    channels: tuple[str, ...] = ()
    per_object: bool = False
    without_time: bool = False
    doubtful: float = 0.5
    cache: DiskCacheSettings | None = None

    def __post_init__(self) -> None:
        if self.axis not in (None, 0, 1, 2):
            raise BatchError(f"axis is {self.axis}; expected 0, 1 or 2.")
        if self.direction not in ("both", "up", "down"):
            raise BatchError(f"direction is '{self.direction}'; expected both, up or down.")
        if self.slices is not None and not 0 <= self.slices[0] < self.slices[1]:
            raise BatchError(f"slices are {self.slices[0]}:{self.slices[1]}; expected the first below the second.")
        if self.contrast_limits is not None and not self.contrast_limits[0] < self.contrast_limits[1]:
            low, high = self.contrast_limits
            raise BatchError(f"contrast limits are {low:g} and {high:g}; expected the first below the second.")
        if len(self.channels) > MAX_CHANNELS:
            raise BatchError(f"there are {len(self.channels)} channels; expected 1 to {MAX_CHANNELS}. Choose fewer.")
        self._check_time()
        if not 0 <= self.doubtful <= 1:
            raise BatchError(f"the confidence below which a slice is doubtful is {self.doubtful}; expected 0 to 1.")

    def _check_time(self) -> None:
        if self.time is not None and self.time != "all" and self.time < 0:
            raise BatchError(f"--time is {self.time}; expected the number of a time point, from 0, or all.")
        if self.over_time and self.time is not None:
            raise BatchError("--over-time goes through the time points, and --time chooses one; leave one of them out.")
        if self.at_slice is not None and (not self.over_time or self.at_slice < 0):
            raise BatchError(
                f"--at-slice is {self.at_slice}; expected the number of a slice, from 0, and --over-time with it."
            )
        if self.without_time and (self.over_time or self.time == "all"):
            raise BatchError("--without-time leaves the labels of one time point; expected --time with its number.")

    def to_json(self) -> dict[str, Any]:
        """What the labels and the report depend on; not where it was computed."""
        return {
            "axis": self.axis,
            "time": self.time,
            "over_time": self.over_time,
            "at_slice": self.at_slice,
            "slices": None if self.slices is None else list(self.slices),
            "direction": self.direction,
            "stop_rules": asdict(self.rules),
            "zoom": self.zoom,
            "contrast_limits": None if self.contrast_limits is None else list(self.contrast_limits),
            "channels": list(self.channels),
            "per_object": self.per_object,
            "without_time": self.without_time,
            "doubtful": self.doubtful,
        }


@dataclass(frozen=True, slots=True)
class BatchJob:
    """One volume of a batch.

    Attributes
    ----------
    volume, prompts, output
        Paths of the volume, its prompts file and the labels to write; whole ones, so that any process may read them.
    settings
        How it is filled.
    """

    volume: Path
    prompts: Path
    output: Path
    settings: BatchSettings = BatchSettings()

    @property
    def report(self) -> Path:
        """The report as JSON, next to the labels."""
        return self.output.with_name(f"{name_of(self.output)}.report.json")

    @property
    def page(self) -> Path:
        """The report as a page with pictures."""
        return self.output.with_name(f"{name_of(self.output)}.report.html")

    @property
    def mark(self) -> Path:
        """There while labels and report are being written: what a killed process left may be replaced."""
        return self.output.with_name(f".{self.output.name}.unfinished")
