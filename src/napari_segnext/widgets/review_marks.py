"""How the review strip shows what is known of a slice: colours of confidence, and marks that need no colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.theme import get_theme
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF

from napari_segnext.annotator.review import ReviewState
from napari_segnext.annotator.review_table import CODES, NOTHING

if TYPE_CHECKING:
    from numpy.typing import NDArray

STOPS = (
    (0.0, (200, 72, 0)),
    (0.45, (238, 140, 50)),
    (0.7, (246, 208, 100)),
    (0.85, (110, 182, 212)),
    (1.0, (38, 124, 190)),
)
"""Confidence → red, green, blue: from orange to blue, which the colour-blind tell apart, too."""

LABELLED_STATES = (
    (ReviewState.ANNOTATED, "annotated"),
    (ReviewState.EDITED, "edited"),
    (ReviewState.ACCEPTED, "accepted"),
    (ReviewState.STOPPED, "ended"),
)
"""States that have a mark, and what the legend calls them."""


@dataclass(frozen=True)
class Theme:
    """Colours of a viewer's theme that the strip takes.

    Attributes
    ----------
    ground, text, current
        Behind the cells, of marks and numbers, and of the slice that is shown.
    empty, plain
        (red, green, blue) of slices of which nothing is known, and of those that a person made.
    """

    ground: QColor
    text: QColor
    current: QColor
    empty: tuple[int, int, int]
    plain: tuple[int, int, int]

    @classmethod
    def of(cls, viewer: Any) -> Theme:
        """The theme that a viewer has now."""
        theme = get_theme(viewer.theme)
        red, green, blue = theme.foreground.as_rgb_tuple()[:3]
        is_dark = theme.id != "light"
        return cls(
            QColor(*theme.background.as_rgb_tuple()[:3]),
            QColor(*theme.text.as_rgb_tuple()[:3]),
            QColor("white" if is_dark else "black"),
            (red, green, blue),
            (132, 138, 150) if is_dark else (150, 156, 168),
        )


def colours_of(states: NDArray[np.uint8], confidence: NDArray[np.float32], theme: Theme) -> NDArray[np.uint8]:
    """`(..., 4)` uint8, red, green, blue and opacity of cells.

    Parameters
    ----------
    states, confidence
        Of a `ReviewTable`, or a part of one.
    theme
        Of the viewer.
    """
    places = [stop for stop, _ in STOPS]
    colours = np.full((*states.shape, 4), 255, np.uint8)
    for channel in range(3):
        colours[..., channel] = np.interp(confidence, places, [colour[channel] for _, colour in STOPS])
    for state, colour in (
        (CODES[ReviewState.ANNOTATED], theme.plain),
        (CODES[ReviewState.EDITED], theme.plain),
        (CODES[ReviewState.STOPPED], theme.empty),
        (NOTHING, theme.empty),
    ):
        colours[states == state, :3] = colour
    return colours


def draw_mark(painter: QPainter, cell: QRectF, state: ReviewState, theme: Theme) -> None:
    """Draw the mark of a state into a cell: dot, square, tick or bar."""
    side = min(cell.width(), cell.height())
    middle = cell.center()
    ink = QColor("black")
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ink)
    if state is ReviewState.ANNOTATED:
        painter.drawEllipse(middle, side * 0.28, side * 0.28)
    elif state is ReviewState.EDITED:
        half = side * 0.26
        corners = ((0, -half * 1.3), (half * 1.3, 0), (0, half * 1.3), (-half * 1.3, 0))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(ink, max(1.0, side * 0.13)))
        painter.drawPolygon(QPolygonF([QPointF(middle.x() + x, middle.y() + y) for x, y in corners]))
    elif state is ReviewState.ACCEPTED:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(ink, max(1.2, side * 0.16)))
        steps = ((-0.3, 0.02), (-0.08, 0.26), (0.32, -0.28))
        painter.drawPolyline(QPolygonF([QPointF(middle.x() + side * x, middle.y() + side * y) for x, y in steps]))
    elif state is ReviewState.STOPPED:
        painter.setBrush(theme.text)
        width = max(2.0, side * 0.22)
        painter.drawRect(QRectF(middle.x() - width / 2, cell.top() + 1, width, cell.height() - 2))
