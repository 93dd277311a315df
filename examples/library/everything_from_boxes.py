"""Segment several objects at once, each from one box, and measure them into a CSV file.

Boxes may come from any detector; here they are typed. Writes coins.csv into the current folder.

python examples/library/everything_from_boxes.py
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from skimage import data

from napari_segnext import load_model, segment_everything
from napari_segnext.annotator.object_properties import measure_objects, write_csv

if TYPE_CHECKING:
    from napari_segnext import EverythingResult

BOXES = [(34, 22, 75, 67), (28, 131, 75, 180), (103, 24, 146, 68)]
"""(top, left, bottom, right) in pixels."""


def main() -> EverythingResult:
    image = data.coins()[:160, :200]
    result = segment_everything(load_model("segnext-tiny"), image, boxes=BOXES)
    for number, found in enumerate(result.objects, start=1):
        print(f"object {number}: {found.n_pixels} pixels, stability {found.stability:.2f}")

    # without spacing, sizes count pixels; spacing=(0.5, 0.5), unit="um" gives square micrometres
    objects = measure_objects(result.labels, image=image)
    write_csv(objects, "coins.csv")
    print(Path("coins.csv").read_text(encoding="utf8"))
    return result


if __name__ == "__main__":
    main()
