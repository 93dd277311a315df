"""Many volumes, each with a prompts file: filled, written and reported on, here or on a cluster."""

from napari_segnext.batch.embed import SlicesToEmbed, slices_to_embed
from napari_segnext.batch.iterate import iterate_batch
from napari_segnext.batch.job import BatchJob, BatchSettings
from napari_segnext.batch.outcome import JobOutcome, write_summary
from napari_segnext.batch.plan import BatchPlan, plan_jobs
from napari_segnext.batch.report import EndOfObject, JobReport, ObjectReport, SliceRow
from napari_segnext.batch.run import run_job

__all__ = [
    "BatchJob",
    "BatchPlan",
    "BatchSettings",
    "EndOfObject",
    "JobOutcome",
    "JobReport",
    "ObjectReport",
    "SlicesToEmbed",
    "SliceRow",
    "iterate_batch",
    "plan_jobs",
    "run_job",
    "slices_to_embed",
    "write_summary",
]
