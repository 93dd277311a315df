"""Save while you work: accepted objects at once, prompts whenever you say so.

Writes a folder autosave into the current one.

python examples/plugin/autosave.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari
from napari.components import ViewerModel
from skimage import data

from napari_segnext import load_model
from napari_segnext.annotator import Annotator, ImmediateExecutor
from napari_segnext.annotator.annotation import read_annotation
from napari_segnext.annotator.autosave import Autosave, folder_for


def main(viewer: Any = None) -> Annotator:
    """Without a viewer, everything is done in one that has no window."""
    viewer = ViewerModel() if viewer is None else viewer
    image = viewer.add_image(data.coins()[:160, :200], name="coins")
    annotator = Annotator(viewer, image, load_model("segnext-tiny"), zoom=False)

    # the same in every session for this image; the widget saves below autosave_folder() instead of Path("autosave")
    folder = folder_for(image, Path("autosave"))
    autosave = Autosave(annotator, folder, ImmediateExecutor())
    annotator.layers.points.add([54, 44])
    print(f"before accepting: {read_annotation(folder)}")
    annotator.accept()
    print(f"after accepting: {len(read_annotation(folder).prompts.objects)} object")

    annotator.layers.points.add([124, 45])
    autosave.save_if_needed()  # the widget does so once a minute by default
    print(f"and {len(read_annotation(folder).prompts.drafts)} slice with unfinished work")
    autosave.close()
    return annotator


if __name__ == "__main__":
    main(napari.Viewer())
    napari.run()
