"""The models known by name: where their weights come from, and on what terms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_segnext.weights.folder import weights_folder
from napari_segnext.weights.safetensors_file import SUFFIX

BUNDLED_FOLDER = Path(__file__).parent / "bundled"

DEFAULT_MODEL = "segnext-tiny"

_PAPER = (
    "Liu, Q., Cho, J., Bansal, M., Niethammer, M.: Rethinking Interactive Image Segmentation with Low Latency, "
    "High Quality, and Diverse Prompts. CVPR 2024. arXiv:2404.00741"
)
_ORIGINAL_LICENCE = (
    "MIT (the authors' repository); but the encoder started from MAE weights that are CC BY-NC 4.0, "
    "so take them for non-commercial use only"
)


@dataclass(frozen=True)
class ModelEntry:
    """A model known by name.

    Attributes
    ----------
    name
        As `load_model` takes it.
    description
        One line.
    licence
        Of the weights.
    citation
        What to cite.
    architecture
        Which network it is.
    file_name
        Name of the file that is downloaded; empty for a bundled model.
    drive_id
        Its identifier on Google Drive; empty for a bundled model.
    n_bytes
        About how large it is.
    sha256
        Of the file that is downloaded; None where the authors publish none.
    """

    name: str
    description: str
    licence: str
    citation: str = _PAPER
    architecture: str = "segnext"
    file_name: str = ""
    drive_id: str = ""
    n_bytes: int = 0
    sha256: str | None = None

    @property
    def is_bundled(self) -> bool:
        """Whether it comes with the package."""
        return not self.drive_id

    @property
    def url(self) -> str:
        """Where a program gets it; empty for a bundled model."""
        if self.is_bundled:
            return ""
        return f"https://drive.usercontent.google.com/download?id={self.drive_id}&export=download&confirm=t"

    @property
    def page(self) -> str:
        """Where a person gets it, in a browser; empty for a bundled model."""
        return "" if self.is_bundled else f"https://drive.google.com/uc?id={self.drive_id}"

    @property
    def path(self) -> Path:
        """Where its weights file lies once it is there."""
        return (BUNDLED_FOLDER if self.is_bundled else weights_folder()) / f"{self.name}{SUFFIX}"


ENTRIES: tuple[ModelEntry, ...] = (
    ModelEntry(
        name=DEFAULT_MODEL,
        description="small model trained by this project for microscopy and MRI; comes with the plugin",
        licence="CC-BY-SA-4.0",
    ),
    ModelEntry(
        name="segnext-vitb-sax1",
        description="the paper's ViT-B with one fusion block, trained on COCO+LVIS: the faster one",
        licence=_ORIGINAL_LICENCE,
        file_name="vitb_sa1_cocolvis_epoch_90.pth",
        drive_id="1G_m9_sVYVD2MBDf5ulrAUz-iSvi8bQfZ",
        n_bytes=426_900_000,
    ),
    ModelEntry(
        name="segnext-vitb-sax2",
        description="the paper's ViT-B with two fusion blocks, trained on COCO+LVIS",
        licence=_ORIGINAL_LICENCE,
        file_name="vitb_sa2_cocolvis_epoch_90.pth",
        drive_id="1uHEcvwA2spsLQqDJiYKqv1pf3vgLAG7-",
        n_bytes=455_200_000,
    ),
    ModelEntry(
        name="segnext-vitb-sax2-hq",
        description="the paper's ViT-B with two fusion blocks, fine-tuned on HQSeg-44K: the most accurate one",
        licence=_ORIGINAL_LICENCE,
        file_name="vitb_sa2_cocolvis_hq44k_epoch_0.pth",
        drive_id="1qkXIvxnlY3Z4xLYGWJcoAHBUNyDmvwPS",
        n_bytes=455_200_000,
    ),
)


def find_entry(name: str) -> ModelEntry | None:
    """The entry of that name, or None."""
    return next((entry for entry in ENTRIES if entry.name == name), None)
