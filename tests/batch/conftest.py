"""Two tubes through a volume of thin pixels, annotated on a few slices, and a model that answers bright parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nibabel
import numpy as np
import pytest

from napari_segnext.batch import BatchJob, BatchSettings
from napari_segnext.prompts import Click, MaskPrompt, Prompts
from napari_segnext.prompts.prompts_file import (
    AnnotatedObject,
    ImageReference,
    PromptsFile,
    SlicePrompts,
    write_prompts_file,
)
from tests.propagation.conftest import SHAPE, BrightPartsModel, tube

if TYPE_CHECKING:
    from pathlib import Path

FIRST = tube(2, 12, 20, 2)
SECOND = tube(0, 16, 55, -1, row=42)


@pytest.fixture
def model() -> BrightPartsModel:
    return BrightPartsModel()


@pytest.fixture
def volume_file(tmp_path: Path) -> Path:
    """Voxels of 2 × 0.5 × 0.5 mm; label 1 ends at sections 2 and 11, label 7 goes through all of them."""
    noise = np.random.default_rng(0).normal(0, 6, SHAPE)
    image = np.clip(40 + 180 * (FIRST | SECOND) + noise, 0, 255).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(image.T, np.diag([0.5, 0.5, 2, 1])), tmp_path / "case.nii.gz")
    return tmp_path / "case.nii.gz"


@pytest.fixture
def said() -> PromptsFile:
    """A click on label 1 in section 6; the accepted masks of label 7 in sections 4 and 9."""
    masks = tuple(SlicePrompts(0, z, Prompts(), mask=MaskPrompt(SECOND[z])) for z in (4, 9))
    objects = (
        AnnotatedObject(1, "left <b>& one</b>", (SlicePrompts(0, 6, Prompts((Click(20, 28),))),), class_name="tube"),
        AnnotatedObject(7, "", masks),
    )
    return PromptsFile(objects, ImageReference("case", SHAPE))


@pytest.fixture
def prompts_file(tmp_path: Path, said: PromptsFile) -> Path:
    write_prompts_file(tmp_path / "case.json", said)
    return tmp_path / "case.json"


@pytest.fixture
def job(volume_file: Path, prompts_file: Path, tmp_path: Path) -> BatchJob:
    (tmp_path / "out").mkdir()
    return BatchJob(volume_file, prompts_file, tmp_path / "out" / "case.nii.gz", BatchSettings())
