"""Start from a mask that something else has made, here a threshold, and correct it.

python examples/library/mask_prompt.py
"""

from __future__ import annotations

import numpy as np
from skimage import data, measure

from napari_segnext import Click, MaskPrompt, Session, load_model


def main() -> Session:
    image = data.coins()[:160, :200]
    parts = measure.label(image > 150)  # bright parts only, full of holes
    rough = parts == np.bincount(parts[parts > 0]).argmax()

    session = Session(load_model("segnext-tiny"), image, zoom=False)
    prediction = session.add(MaskPrompt(rough))
    print(f"the rough mask has {rough.sum()} pixels, the answer to it {prediction.mask.sum()}")

    rows, columns = np.nonzero(rough)
    prediction = session.add(Click(row=float(np.median(rows)), column=float(np.median(columns))))
    print(f"with a click in the middle of it: {prediction.mask.sum()} pixels")
    return session


if __name__ == "__main__":
    main()
