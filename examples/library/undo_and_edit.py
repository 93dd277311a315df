"""Take prompts back, repeat them, remove an earlier one, put another in its place.

python examples/library/undo_and_edit.py
"""

from __future__ import annotations

from skimage import data

from napari_segnext import Click, Session, load_model


def main() -> Session:
    session = Session(load_model("segnext-tiny"), data.coins()[:160, :200], zoom=False)
    first, second = Click(row=124, column=45), Click(row=110, column=40)
    session.add(first)
    session.add(second)

    session.undo()  # the second click is gone
    session.redo()  # and back
    session.remove(first)  # any earlier prompt; those after it are replayed
    session.replace(second, Click(row=126, column=50))
    print(f"prompts now: {session.prompts.items}")
    return session


if __name__ == "__main__":
    main()
