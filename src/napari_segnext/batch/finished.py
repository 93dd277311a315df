"""Whether a volume is done: labels and report are there, and were made of the same inputs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from napari_segnext.batch.outcome import JobOutcome
from napari_segnext.batch.report import REPORT_FORMAT, REPORT_VERSION
from napari_segnext.batch.resources import FileStamp, digest_of, digest_of_weights
from napari_segnext.batch.said import model_named
from napari_segnext.prompts.prompts_file import read_prompts_file

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segnext.batch.job import BatchJob
    from napari_segnext.models.interface import InteractiveModel


def inputs_of(job: BatchJob, model_sha256: str) -> dict[str, Any]:
    """What labels and report depend on, as JSON values.

    Parameters
    ----------
    job
        Its volume and prompts file exist.
    model_sha256
        Digest of the weights.
    """
    return {
        "volume": {"path": str(job.volume), **FileStamp.of(job.volume).to_json()},
        "prompts_sha256": digest_of(job.prompts),
        "model_sha256": model_sha256,
        "settings": job.settings.to_json(),
    }


def outcome_if_finished(job: BatchJob, model: InteractiveModel | None = None) -> JobOutcome | None:
    """What became of the volume, if it is done already; None if it is not, or was made of other inputs.

    Parameters
    ----------
    job
        Which volume.
    model
        As of `run_job`.

    Raises
    ------
    FileNotFoundError, PromptsFileError, ValueError
        If there is a report, but the inputs are gone or cannot be used.
    """
    report = read_report(job.report)
    if report is None or job.mark.exists() or not job.page.is_file() or not are_as_reported(job, report):
        return None
    if model is None:
        sha256 = digest_of_weights(model_named(read_prompts_file(job.prompts), job.settings))
    else:
        sha256 = model.identity.sha256
    if report.get("made_of") != inputs_of(job, sha256):
        return None
    mean = report.get("mean_confidence")
    return JobOutcome(
        job.volume,
        job.output,
        "skipped",
        warnings=tuple(report["warnings"]),
        n_objects=len(report["objects"]),
        n_filled=int(report["n_filled"]),
        n_doubtful=int(report["n_doubtful"]),
        confidence=None if mean is None else float(mean),
        seconds=float(report["seconds"]),
    )


def read_report(path: Path) -> dict[str, Any] | None:
    """The report that lies there; None if there is none of this kind."""
    try:
        report = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    known = isinstance(report, dict) and (report.get("format"), report.get("version")) == (
        REPORT_FORMAT,
        REPORT_VERSION,
    )
    return report if known else None


def outputs_of(paths: tuple[Path, ...]) -> list[dict[str, Any]]:
    """Name, size and time of files, by which `are_as_reported` knows them again."""
    return [{"name": path.name, **FileStamp.of(path).to_json()} for path in paths]


def are_as_reported(job: BatchJob, report: dict[str, Any]) -> bool:
    """Whether the labels are those that the report is about, and nobody has changed them since."""
    paths = paths_reported(job, report)
    return all(path.exists() for path in paths) and outputs_of(paths) == report.get("outputs")


def paths_reported(job: BatchJob, report: dict[str, Any]) -> tuple[Path, ...]:
    """The files of labels that a report names."""
    outputs = report.get("outputs")
    return tuple(job.output.with_name(str(one["name"])) for one in outputs) if isinstance(outputs, list) else ()
