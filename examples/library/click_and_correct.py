"""Segment one coin by a click, a box and a correcting click, without a viewer.

python examples/library/click_and_correct.py
"""

from __future__ import annotations

from skimage import data

from napari_segnext import Box, Click, Session, load_model


def main() -> Session:
    image = data.coins()[:160, :200]  # (160, 200) uint8; six coins and the edges of two more
    session = Session(load_model("segnext-tiny"), image, zoom=False)  # the coins are large: no closer look needed

    prediction = session.add(Click(row=54, column=44))
    print(f"after a click on the coin: {prediction.mask.sum()} pixels")

    prediction = session.add(Box(top=34, left=22, bottom=75, right=67))
    print(f"after a box around it: {prediction.mask.sum()} pixels")

    prediction = session.add(Click(row=72, column=75, is_positive=False))
    print(f"after a click beside it: {prediction.mask.sum()} pixels")
    return session


if __name__ == "__main__":
    main()
