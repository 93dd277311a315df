"""Cut one answer at several thresholds and clean the mask up; the model is asked once.

python examples/library/threshold_and_cleanup.py
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skimage import data

from napari_segnext import Click, Session, load_model
from napari_segnext.session.cleanup import Cleanup, clean_mask

if TYPE_CHECKING:
    import numpy as np


def main() -> tuple[list[int], np.ndarray]:
    session = Session(load_model("segnext-tiny"), data.coins()[:160, :200], zoom=False)
    prediction = session.add(Click(row=124, column=45))

    sizes = []
    for threshold in (0.4, 0.5, 0.6):
        sizes.append(int(prediction.cut_at(threshold).mask.sum()))
        print(f"above {threshold}: {sizes[-1]} pixels")

    cleanup = Cleanup(smoothing=2.0, fills_holes=True, keeps_prompted=True)  # radius in pixels: no spacing is given
    cleaned = clean_mask(prediction.mask, cleanup, prompts=session.prompts)
    print(f"cleaned up: {cleaned.sum()} pixels")
    return sizes, cleaned


if __name__ == "__main__":
    main()
