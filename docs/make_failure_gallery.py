"""Draws docs/images/failures.png: the 24 worst answers of the bundled model on drawn images that it was not trained on.

python docs/make_failure_gallery.py [OUTPUT.png] [N_IMAGES]

Pictures of real images are not ours to give on; `napari-segnext evaluate --failures FOLDER` draws them for your own.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import PIL.Image
from typer.testing import CliRunner

from napari_segnext.commands import app
from napari_segnext.datasets.procedural import make_procedural_image
from napari_segnext.io import write_labels

SEED = 7
"""Training images have seed 0."""


def main(output: Path, n_images: int) -> None:
    """Evaluate ten clicks on one object of each image, and keep the picture of the worst."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("images", "labels"):
            (root / name).mkdir()
        for number in range(n_images):
            drawn = make_procedural_image((SEED, number))
            PIL.Image.fromarray(drawn.image).save(root / "images" / f"{drawn.family}-{number:03}.png")
            write_labels(root / "labels" / f"{drawn.family}-{number:03}.png", drawn.labels)
        options = ["--max-clicks", "10", "--max-objects-per-image", "1", "--min-object-px", "50"]
        done = CliRunner().invoke(
            app, ["evaluate", "--dataset", "folder", "--root", folder, *options, "--failures", str(root / "worst")]
        )
        print(done.output)
        shutil.copyfile(root / "worst" / "failures.png", output)


if __name__ == "__main__":
    pictures = Path(__file__).parent / "images"
    main(
        Path(sys.argv[1]) if len(sys.argv) > 1 else pictures / "failures.png",
        int(sys.argv[2]) if len(sys.argv) > 2 else 120,
    )
