"""The models known by name: where their weights come from, and on what terms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_segnext.weights.families import FAMILIES, ModelKind
from napari_segnext.weights.folder import weights_folder
from napari_segnext.weights.safetensors_file import SUFFIX

BUNDLED_FOLDER = Path(__file__).parent / "bundled"

DEFAULT_MODEL = "segnext-tiny"

_PAPER = (
    "Liu, Q., Cho, J., Bansal, M., Niethammer, M.: Rethinking Interactive Image Segmentation with Low Latency, "
    "High Quality, and Diverse Prompts. CVPR 2024. arXiv:2404.00741"
)
_DEPTH_PAPER = (
    "Yang, L., Kang, B., Huang, Z., Zhao, Z., Xu, X., Feng, J., Zhao, H.: Depth Anything V2. NeurIPS 2024. "
    "arXiv:2406.09414"
)
_OIS_PAPER = (
    "Wang, B., Choudhuri, A., Zheng, M., Gao, Z., Planche, B., Deng, A., Liu, Q., Chen, T., Bagci, U., Wu, Z.: "
    "Order-aware Interactive Segmentation. ICLR 2025. arXiv:2410.12214"
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
        Which family of networks it belongs to.
    file_name
        Name of the file that is downloaded; empty for a bundled model.
    drive_id
        Its identifier on Google Drive; empty if it lies elsewhere.
    hub_repository
        Owner and name of its repository on Hugging Face; empty if it lies elsewhere.
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
    hub_repository: str = ""
    n_bytes: int = 0
    sha256: str | None = None

    @property
    def kind(self) -> ModelKind:
        """What it is for."""
        return FAMILIES[self.architecture].kind

    @property
    def is_bundled(self) -> bool:
        """Whether it comes with the package."""
        return not (self.drive_id or self.hub_repository)

    @property
    def url(self) -> str:
        """Where a program gets it; empty for a bundled model."""
        if self.hub_repository:
            return f"https://huggingface.co/{self.hub_repository}/resolve/main/{self.file_name}"
        if self.drive_id:
            return f"https://drive.usercontent.google.com/download?id={self.drive_id}&export=download&confirm=t"
        return ""

    @property
    def page(self) -> str:
        """Where a person gets it, in a browser; empty for a bundled model."""
        if self.hub_repository:
            return f"https://huggingface.co/{self.hub_repository}/blob/main/{self.file_name}"
        return f"https://drive.google.com/uc?id={self.drive_id}" if self.drive_id else ""

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
        name="segnext-tiny-light",
        description="segnext-tiny with a lighter decoder: quicker clicks, somewhat less exact; comes with the plugin",
        licence="CC-BY-SA-4.0",
    ),
    ModelEntry(
        name="ois-tiny",
        description="small OIS trained by this project for objects before and behind each other, best with a depth "
        "layer; comes with the plugin",
        licence="CC-BY-SA-4.0",
        citation=_OIS_PAPER,
        architecture="ois",
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
    ModelEntry(
        name="depth-anything-v2-small",
        description="Depth Anything V2, ViT-S: relative depth of photos, for OIS models; the fastest one",
        licence="Apache-2.0",
        citation=_DEPTH_PAPER,
        architecture="depth-anything-v2",
        file_name="depth_anything_v2_vits.pth",
        hub_repository="depth-anything/Depth-Anything-V2-Small",
        n_bytes=99_218_434,
        sha256="715fade13be8f229f8a70cc02066f656f2423a59effd0579197bbf57860e1378",
    ),
    ModelEntry(
        name="depth-anything-v2-base",
        description="Depth Anything V2, ViT-B: relative depth of photos, for OIS models; the paper's one",
        licence="CC-BY-NC-4.0",
        citation=_DEPTH_PAPER,
        architecture="depth-anything-v2",
        file_name="depth_anything_v2_vitb.pth",
        hub_repository="depth-anything/Depth-Anything-V2-Base",
        n_bytes=389_961_218,
        sha256="0d2b7002e62d39d655571c371333340bd88f67ab95050c03591555aa05645328",
    ),
    ModelEntry(
        name="depth-anything-v2-large",
        description="Depth Anything V2, ViT-L: relative depth of photos, for OIS models; the most accurate one",
        licence="CC-BY-NC-4.0",
        citation=_DEPTH_PAPER,
        architecture="depth-anything-v2",
        file_name="depth_anything_v2_vitl.pth",
        hub_repository="depth-anything/Depth-Anything-V2-Large",
        n_bytes=1_341_395_338,
        sha256="a7ea19fa0ed99244e67b624c72b8580b7e9553043245905be58796a608eb9345",
    ),
)


def find_entry(name: str) -> ModelEntry | None:
    """The entry of that name, or None."""
    return next((entry for entry in ENTRIES if entry.name == name), None)
