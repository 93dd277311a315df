"""The single controls of the dock widget "SegNext everything", each with its range, default and tooltip."""

from __future__ import annotations

from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QProgressBar, QSpinBox

from napari_segnext.everything.settings import MIN_AGREEMENT, MIN_OBJECT_PX, MIN_STABILITY, POINTS_PER_SIDE

GRID, POINTS, RECTANGLES = "grid of clicks", "points layer", "rectangles of a shapes layer"
ZOOMS: dict[str, bool | None] = {"automatic": None, "on": True, "off": False}


def zoom_choice() -> QComboBox:
    """One of `ZOOMS`."""
    choice = QComboBox()
    choice.addItems(list(ZOOMS))
    choice.setToolTip(
        "On: look closely at the region about each object, which small objects need.\n"
        "Off: look at the whole image only, which is much faster.\nAutomatic: as the model prefers."
    )
    return choice


def prompts_choice() -> QComboBox:
    """`GRID`, `POINTS` or `RECTANGLES`."""
    choice = QComboBox()
    choice.addItems([GRID, POINTS, RECTANGLES])
    choice.setToolTip("What asks for objects: clicks all over the image, or one mark of yours for each.")
    return choice


def points_per_side_box() -> QSpinBox:
    """Of the grid."""
    box = QSpinBox()
    box.setRange(1, 128)
    box.setValue(POINTS_PER_SIDE)
    box.setToolTip(
        "Clicks along each side of the image: objects should be larger than their distance.\n"
        "A large image is worked through in tiles, and each tile has as many."
    )
    return box


def stability_box() -> QDoubleSpinBox:
    """Least stability."""
    return _share_box(
        MIN_STABILITY,
        "How little the mask of an object may depend on the threshold. Lower finds more objects, also wrong ones.",
    )


def agreement_box() -> QDoubleSpinBox:
    """Least agreement."""
    return _share_box(
        MIN_AGREEMENT,
        "How well what a click of the grid finds must agree with what a second click on it finds.\n"
        "0 asks for no second answer, which is faster and finds more, also wrong objects.",
    )


def size_box() -> QSpinBox:
    """Least size in pixels."""
    box = QSpinBox()
    box.setRange(0, 1_000_000_000)
    box.setValue(MIN_OBJECT_PX)
    box.setSuffix(" px")
    box.setToolTip("Least area of an object.")
    return box


def prompts_bar() -> QProgressBar:
    """Counts prompts."""
    bar = QProgressBar()
    bar.setRange(0, 1)
    bar.setFormat("%v of %m")
    bar.setToolTip("Prompts that were answered or skipped.")
    return bar


def _share_box(value: float, tooltip: str) -> QDoubleSpinBox:
    """A number from 0 to 1."""
    box = QDoubleSpinBox()
    box.setRange(0, 1)
    box.setSingleStep(0.05)
    box.setValue(value)
    box.setToolTip(tooltip)
    return box
