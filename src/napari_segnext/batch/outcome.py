"""What became of each volume of a batch, and the summary of all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from napari_segnext._whole_file import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SUMMARY_FORMAT = "napari-segnext/batch-report"

State = Literal["done", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What became of one volume.

    Attributes
    ----------
    volume, output
        Paths of the volume and its labels.
    state
        `"skipped"` if labels and report of the same inputs were there.
    error
        Why it failed, in one line; else empty.
    warnings
        One line each.
    n_objects, n_filled, n_doubtful
        Objects; slices that were filled, and those of them that are in doubt, of all objects.
    confidence
        Mean over filled slices; None without any.
    seconds
        What it took when it was done.
    """

    volume: Path
    output: Path
    state: State
    error: str = ""
    warnings: tuple[str, ...] = ()
    n_objects: int = 0
    n_filled: int = 0
    n_doubtful: int = 0
    confidence: float | None = None
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """One entry of the summary."""
        entry: dict[str, Any] = {"volume": str(self.volume), "output": str(self.output), "state": self.state}
        if self.state == "failed":
            return {**entry, "error": self.error}
        return {
            **entry,
            "objects": self.n_objects,
            "filled_slices": self.n_filled,
            "doubtful_slices": self.n_doubtful,
            "mean_confidence": None if self.confidence is None else round(self.confidence, 4),
            "seconds": round(self.seconds, 3),
            "warnings": list(self.warnings),
        }

    @property
    def line(self) -> str:
        """The same in words."""
        if self.state == "failed":
            return f"{self.volume.name}: {self.error}"
        numbers = f"{counted(self.n_objects, 'object')}, {counted(self.n_filled, 'slice')} filled"
        if self.confidence is not None:
            numbers += f", mean confidence {self.confidence:.2f}, {self.n_doubtful} in doubt"
        if self.state == "skipped":
            return f"{self.volume.name}: skipped, '{self.output}' is there ({numbers})"
        return f"{self.volume.name}: wrote '{self.output}' ({numbers}; {self.seconds:.1f} s)"


def counted(number: int, noun: str) -> str:
    """`"1 slice"`, `"2 slices"`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def write_summary(path: Path, outcomes: Iterable[JobOutcome], n_volumes: int) -> None:
    """Write the summary of a batch, whole or not at all.

    Parameters
    ----------
    path
        File to make or replace.
    outcomes
        Of the volumes so far.
    n_volumes
        How many there are in all.
    """
    listed = list(outcomes)
    counts = {state: sum(one.state == state for one in listed) for state in ("done", "skipped", "failed")}
    summary = {
        "format": SUMMARY_FORMAT,
        "version": 1,
        **counts,
        "left": n_volumes - len(listed),
        "volumes": [one.to_json() for one in listed],
    }
    with whole_file(path) as unfinished:
        unfinished.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", "utf-8", "backslashreplace")
