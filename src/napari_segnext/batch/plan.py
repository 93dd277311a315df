"""Which volume goes with which prompts file, and where its labels go: decided before any work begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_segnext.batch.images import is_case
from napari_segnext.batch.job import BatchJob, BatchSettings
from napari_segnext.batch.outcome import JobOutcome
from napari_segnext.errors import BatchError
from napari_segnext.io.nifti import NIFTI_SUFFIXES
from napari_segnext.io.volume_files import LABEL_VOLUME_SUFFIXES
from napari_segnext.io.volume_parts import name_of, suffix_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

SUMMARY_NAME = "batch.report.json"

PROMPTS_SUFFIXES = (".json", ".prompts.json")
"""What follows a volume's stem in the name of its prompts file."""


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """What a batch consists of.

    Attributes
    ----------
    jobs
        Volumes that can be worked on, in the order in which they were named.
    failures
        Volumes that have no prompts file.
    summary
        Where the summary of all volumes goes; None where one output file was named.
    """

    jobs: tuple[BatchJob, ...]
    failures: tuple[JobOutcome, ...]
    summary: Path | None

    @property
    def n_volumes(self) -> int:
        """How many volumes were named."""
        return len(self.jobs) + len(self.failures)


def plan_jobs(
    volumes: Sequence[Path],
    prompts: Path,
    output: Path,
    settings: BatchSettings | None = None,
    *,
    suffix: str = "",
) -> BatchPlan:
    """Pair volumes with prompts files and output names; makes nothing but the output folder.

    Parameters
    ----------
    volumes
        Files or folders of one volume each; names with `*`, `?` or `[` that do not exist are patterns.
    prompts
        A prompts file for all of them, or a folder with `STEM.json` or `STEM.prompts.json` for each.
    output
        A file (with one volume), or a folder, made if it does not exist.
    settings
        How all are filled.
    suffix
        Of the files in an output folder; by default .nii.gz for NIfTI and BraTS cases, .zarr for zarr, else .tif.

    Raises
    ------
    FileNotFoundError
        If there are no such prompts, or no folder for the output file.
    BatchError
        If output names collide, or name a file that is read; nothing was written then.
    """
    settings = BatchSettings() if settings is None else settings
    if suffix and suffix.lower() not in LABEL_VOLUME_SUFFIXES:
        raise BatchError(f"the suffix is '{suffix}'; expected one of {', '.join(LABEL_VOLUME_SUFFIXES)}.")
    paths = [path.absolute() for path in _found(volumes)]
    prompts, output = prompts.absolute(), output.absolute()
    if not prompts.exists():
        raise FileNotFoundError(f"there is no prompts file or folder '{prompts}'. Check the path after --prompts.")
    is_file = suffix_of(output) in LABEL_VOLUME_SUFFIXES and (not output.is_dir() or ".zarr" in suffix_of(output))
    if is_file:
        _check_output_file(paths, output, suffix)
        outputs = [output]
    else:
        outputs = [output / f"{name_of(path)}{suffix or _suffix_for(path)}" for path in paths]
    _require_distinct(paths, outputs)
    jobs, failures = [], []
    for path, labels in zip(paths, outputs, strict=True):
        try:
            jobs.append(BatchJob(path, _prompts_for(path, prompts), labels, settings))
        except BatchError as error:
            failures.append(JobOutcome(path, labels, "failed", error=str(error)))
    if not is_file:
        if output.exists() and not output.is_dir():
            raise BatchError(
                f"'{output}' is a file that ends in '{suffix_of(output)}'; expected a folder, or a file that ends in "
                f"{', '.join(LABEL_VOLUME_SUFFIXES)}."
            )
        output.mkdir(parents=True, exist_ok=True)
    return BatchPlan(tuple(jobs), tuple(failures), None if is_file else output / SUMMARY_NAME)


def _found(volumes: Iterable[Path]) -> list[Path]:
    """The paths, patterns replaced by what matches them."""
    found: list[Path] = []
    for path in volumes:
        if path.exists() or not any(sign in path.name for sign in "*?["):
            found.append(path)
            continue
        matching = sorted(one for one in path.parent.glob(path.name) if not one.name.startswith("."))
        if not matching:
            raise BatchError(f"no volume matches '{path}'; expected one at least. Check the pattern.")
        found += matching
    return found


def _check_output_file(paths: list[Path], output: Path, suffix: str) -> None:
    if len(paths) != 1:
        raise BatchError(
            f"the output '{output.name}' is one file, but there are {len(paths)} volumes; expected a folder. Name one."
        )
    if suffix and suffix.lower() != suffix_of(output):
        raise BatchError(f"the output ends in '{suffix_of(output)}', but the suffix is '{suffix}'; leave one out.")
    if not output.parent.is_dir():
        raise FileNotFoundError(f"there is no folder '{output.parent}' to write '{output.name}' to. Make it first.")


def _suffix_for(path: Path) -> str:
    suffix = suffix_of(path)
    if suffix in NIFTI_SUFFIXES or is_case(path):
        return ".nii.gz"
    return ".zarr" if suffix.endswith(".zarr") else ".tif"


def _require_distinct(paths: list[Path], outputs: list[Path]) -> None:
    """Neither labels nor reports may take each other's place, nor that of a volume."""
    inputs = {_folded(path): path for path in paths}
    taken: dict[str, Path] = {}
    for path, output in zip(paths, outputs, strict=True):
        if _folded(output) in inputs:
            raise BatchError(
                f"the labels of '{path}' would take the place of the volume '{inputs[_folded(output)]}'; expected "
                "another place. Choose another --output."
            )
        stem = _folded(output.with_name(name_of(output)))
        if stem in taken:
            raise BatchError(
                f"the labels or reports of '{taken[stem]}' and '{path}' would have the same name in '{output.parent}'; "
                "expected different ones. Rename one, or run them with different --output."
            )
        taken[stem] = path
        if f"{name_of(output)}.report.json".casefold() == SUMMARY_NAME:
            raise BatchError(f"'{path}' has the name of the summary, {SUMMARY_NAME}; expected another. Rename it.")


def _folded(path: Path) -> str:
    """Alike for names that some system takes for one."""
    return str(path.resolve()).casefold()


def _prompts_for(volume: Path, prompts: Path) -> Path:
    if not prompts.is_dir():
        return prompts
    stem = name_of(volume)
    found = [prompts / f"{stem}{suffix}" for suffix in PROMPTS_SUFFIXES if (prompts / f"{stem}{suffix}").is_file()]
    if len(found) == 1:
        return found[0]
    names = " or ".join(f"'{stem}{suffix}'" for suffix in PROMPTS_SUFFIXES)
    what = "both are there" if found else "neither is there"
    raise BatchError(f"the folder '{prompts}' should hold one prompts file, {names}; {what}.")
