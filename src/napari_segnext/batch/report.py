"""What is known of a filled volume: values, and the JSON that they become."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from napari_segnext.propagation import Source

if TYPE_CHECKING:
    from napari_segnext.batch.lines import Where
    from napari_segnext.models.interface import ModelIdentity
    from napari_segnext.prompts import ChannelReference

REPORT_FORMAT = "napari-segnext/propagation-report"
REPORT_VERSION = 1

_PACKAGES = ("napari-segnext", "torch", "timm", "numpy", "scipy", "scikit-image")


@dataclass(frozen=True, slots=True)
class SliceRow:
    """One object on one slice.

    Attributes
    ----------
    index
        The slice.
    source
        Where its mask came from.
    confidence
        0 to 1; 1 where a person annotated.
    n_pixels
        Of the label on that slice.
    """

    index: int
    source: Source
    confidence: float
    n_pixels: int

    @property
    def is_filled(self) -> bool:
        """Whether propagation put the object there."""
        return self.source is not Source.ANNOTATED and self.n_pixels > 0


@dataclass(frozen=True, slots=True)
class EndOfObject:
    """Where an object ends in one direction.

    Attributes
    ----------
    direction
        `"up"` or `"down"`.
    index
        The last slice that was looked at: of a rule, the one that broke it.
    reason
        In words.
    is_by_rule
        Whether a stop rule ended it there, rather than the range that was asked for.
    """

    direction: str
    index: int
    reason: str
    is_by_rule: bool


@dataclass(frozen=True, slots=True)
class ObjectReport:
    """One object in its volume.

    Attributes
    ----------
    label, name, class_name
        As in the prompts file.
    slices
        Annotated and propagated ones, rising; without those where it had ended.
    ends
        Downwards, then upwards.
    doubtful
        Filled slices with a confidence below the limit, rising.
    n_voxels
        Of the label.
    physical_volume
        In the volume's unit to the third power; over time, summed over time points.
    time
        The time point; None over time, and for volumes without time.
    noun
        What `slices` are: `"slice"`, or over time `"time point"`.
    """

    label: int
    name: str
    class_name: str
    slices: tuple[SliceRow, ...]
    ends: tuple[EndOfObject, ...]
    doubtful: tuple[int, ...]
    n_voxels: int
    physical_volume: float
    time: int | None = None
    noun: str = "slice"

    @property
    def annotated(self) -> tuple[SliceRow, ...]:
        """Slices that a person annotated."""
        return tuple(row for row in self.slices if row.source is Source.ANNOTATED)

    @property
    def filled(self) -> tuple[SliceRow, ...]:
        """Slices that propagation filled."""
        return tuple(row for row in self.slices if row.is_filled)

    @property
    def title(self) -> str:
        """Its number, what the user calls it, and when it is seen."""
        when = "" if self.time is None else f", time point {self.time}"
        return (f"{self.label} · {self.name}" if self.name else f"{self.label}") + when

    @property
    def anchor(self) -> str:
        """Its name within the report."""
        return f"object-{self.label}" if self.time is None else f"object-{self.label}-time-{self.time}"

    def to_json(self) -> dict[str, Any]:
        """One entry of the report."""
        confidences = [row.confidence for row in self.filled]
        return {
            "label": self.label,
            "name": self.name,
            "class_name": self.class_name,
            "time": self.time,
            "annotated_slices": [row.index for row in self.annotated],
            "n_filled": len(confidences),
            "filled_slices": [row.index for row in self.filled],
            "ended": {
                end.direction: {"slice": end.index, "reason": end.reason, "by_rule": end.is_by_rule}
                for end in self.ends
            },
            "mean_confidence": round(sum(confidences) / len(confidences), 4) if confidences else None,
            "min_confidence": round(min(confidences), 4) if confidences else None,
            "doubtful_slices": list(self.doubtful),
            "confidence_by_slice": {
                str(row.index): round(row.confidence, 4) for row in self.slices if row.source is not Source.ANNOTATED
            },
            "voxels": self.n_voxels,
            "physical_volume": float(f"{self.physical_volume:.10g}"),
        }


@dataclass(frozen=True, slots=True)
class JobReport:
    """A filled volume.

    Attributes
    ----------
    volume_name, volume_path, prompts_path
        What was read.
    shape, spacing, unit
        Of the volume: (Z, Y, X), with time first where there is such, and the size of a voxel along (Z, Y, X).
    where
        Which slices follow each other; several lines differ by the time point.
    channels
        What the model saw; empty for the image as it is.
    model, device
        What answered, and where.
    objects
        In the order of the prompts file; one after the other for each time point.
    seconds
        Of propagation, without reading and writing.
    doubtful
        Confidence below which slices are in doubt.
    made_of
        What labels and report depend on; equal for equal inputs.
    warnings
        One line each.
    """

    volume_name: str
    volume_path: str
    prompts_path: str
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    unit: str
    where: tuple[Where, ...]
    channels: tuple[ChannelReference, ...]
    model: ModelIdentity
    device: str
    objects: tuple[ObjectReport, ...]
    seconds: float
    doubtful: float
    made_of: dict[str, Any]
    warnings: tuple[str, ...] = ()

    @property
    def n_slices(self) -> int:
        """Filled slices of all objects."""
        return sum(len(one.filled) for one in self.objects)

    @property
    def n_doubtful(self) -> int:
        """Filled slices that are in doubt, of all objects."""
        return sum(len(one.doubtful) for one in self.objects)

    @property
    def mean_confidence(self) -> float | None:
        """Over the filled slices of all objects; None without any."""
        known = [row.confidence for one in self.objects for row in one.filled]
        return sum(known) / len(known) if known else None

    @property
    def physical_unit(self) -> str:
        """Unit of volumes."""
        return f"{self.unit}³" if self.unit else ""

    def to_json(self, outputs: list[dict[str, Any]]) -> dict[str, Any]:
        """The report as a JSON-ready dictionary.

        Parameters
        ----------
        outputs
            Name, size and time of each file of labels.
        """
        mean = self.mean_confidence
        return {
            "format": REPORT_FORMAT,
            "version": REPORT_VERSION,
            "volume": {
                "name": self.volume_name,
                "path": self.volume_path,
                "shape": list(self.shape),
                "spacing": list(self.spacing),
                "unit": self.unit,
            },
            "prompts": self.prompts_path,
            "outputs": outputs,
            "axis": self.where[0].axis,
            "time_points": [one.time for one in self.where if one.time is not None],
            "over_time": self.where[0].is_over_time,
            "at_slice": self.where[0].at_slice,
            "channels": [_channel_to_json(one) for one in self.channels],
            "model": {"name": self.model.name, "sha256": self.model.sha256, "licence": self.model.licence},
            "device": self.device,
            "seconds": round(self.seconds, 3),
            "seconds_per_slice": round(self.seconds / self.n_slices, 4) if self.n_slices else None,
            "n_filled": self.n_slices,
            "n_doubtful": self.n_doubtful,
            "mean_confidence": None if mean is None else round(mean, 4),
            "doubtful_below": self.doubtful,
            "physical_unit": self.physical_unit,
            "objects": [one.to_json() for one in self.objects],
            "warnings": list(self.warnings),
            "versions": versions(),
            "made_of": self.made_of,
        }


def _channel_to_json(channel: ChannelReference) -> dict[str, Any]:
    limits = channel.contrast_limits
    return {
        "name": channel.name,
        "axis": channel.axis,
        "index": None if channel.axis is None else channel.index,
        "contrast_limits": None if limits is None else list(limits),
        "gamma": channel.gamma,
    }


def versions() -> dict[str, str]:
    """Of Python and of the packages that numbers may depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed as a package"
    return found
