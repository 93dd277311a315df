"""One volume of a batch, and how it is to be filled: values that another process can be sent."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from napari_segnext.errors import BatchError
from napari_segnext.io.volume_parts import name_of
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
        Along which slices follow each other; None for the one along which the prompts file has slices.
    slices, direction, rules
        As of `propagate`.
    model
        Name or path; empty for the one that the prompts file names, else the default.
    device
        As of `load_model`.
    zoom, contrast_limits
        As of `Session`; None for what the prompts file says, else as `Session` does by default.
    per_object
        Whether each object gets a file of its own.
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
    slices: tuple[int, int] | None = None
    direction: Direction = "both"
    rules: StopRules = field(default_factory=StopRules)
    model: str = ""
    device: str = "auto"
    zoom: bool | None = None
    contrast_limits: tuple[float, float] | None = None
    per_object: bool = False
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
        if not 0 <= self.doubtful <= 1:
            raise BatchError(f"the confidence below which a slice is doubtful is {self.doubtful}; expected 0 to 1.")

    def to_json(self) -> dict[str, Any]:
        """What the labels and the report depend on; not where it was computed."""
        return {
            "axis": self.axis,
            "slices": None if self.slices is None else list(self.slices),
            "direction": self.direction,
            "stop_rules": asdict(self.rules),
            "zoom": self.zoom,
            "contrast_limits": None if self.contrast_limits is None else list(self.contrast_limits),
            "per_object": self.per_object,
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
