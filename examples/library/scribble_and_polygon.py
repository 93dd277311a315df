"""Give prompts of other kinds: a scribble on the object, one on the background, a polygon.

python examples/library/scribble_and_polygon.py
"""

from __future__ import annotations

from skimage import data

from napari_segnext import Polygon, Scribble, Session, load_model


def main() -> Session:
    session = Session(load_model("segnext-tiny"), data.coins()[:160, :200])

    session.add(Scribble([(115, 92), (126, 103), (137, 112)]))  # (row, column) of points along the stroke
    prediction = session.add(Scribble([(90, 80), (95, 125)], is_positive=False))
    print(f"from two scribbles: {prediction.mask.sum()} pixels")

    session.reset()  # the next object, on the same encoded image
    prediction = session.add(Polygon([(108, 150), (118, 134), (138, 134), (147, 150), (140, 172), (116, 172)]))
    print(f"from a polygon: {prediction.mask.sum()} pixels")
    return session


if __name__ == "__main__":
    main()
