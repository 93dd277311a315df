"""The review strip: objects × slices, colour for confidence, marks for what persons did; a click goes there.

Only what is seen is painted, from an image of the whole table of which changes repaint single cells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QEvent, QPoint, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QPainter, QPen
from qtpy.QtWidgets import QAbstractScrollArea, QFrame, QToolTip, QWidget

from napari_segnext.annotator.review_table import CODES
from napari_segnext.widgets.review_marks import LABELLED_STATES, Theme, colours_of, draw_mark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_segnext.annotator.review import Key
    from napari_segnext.annotator.review_table import ReviewTable

ROW_PX = 16
MAX_ROWS_AT_FIRST = 8
"""That the dock makes room for; others are scrolled to."""

HEADER_PX = 58
RULER_PX = 16
MIN_CELL_PX, MAX_CELL_PX = 3.0, 26.0
MARKS_FROM_PX = 5.0
"""Width of a cell from which marks are drawn; below it, colours alone tell."""

GAPS_FROM_PX = 6.0
"""Width of a cell from which neighbours are parted by a line."""

_STATES = {CODES[state]: state for state, _ in LABELLED_STATES}


class ReviewStrip(QAbstractScrollArea):  # type: ignore[misc]
    """Paints a `ReviewTable`; arrow keys and clicks choose a cell.

    Parameters
    ----------
    parent
        The widget that it lies in.
    """

    chosen = Signal(int, int)
    """Label and number of the slice that somebody wants to see."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.table: ReviewTable | None = None
        self.index, self.row = 0, 0
        self._theme: Theme | None = None
        self._pixels = np.zeros((0, 0, 4), np.uint8)
        self._colour_of: Callable[[int], Any] = lambda label: None
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumHeight(RULER_PX + 3 * ROW_PX + 16)
        self.setAccessibleName("Review strip")
        self.viewport().setMouseTracking(True)

    # what is shown

    def show_table(self, table: ReviewTable | None, theme: Theme, colour_of: Callable[[int], Any]) -> None:
        """Show a table, in the colours of a theme; `colour_of` gives the colour of a label."""
        self.table, self._theme, self._colour_of = table, theme, colour_of
        self._pixels = np.zeros((0, 0, 4), np.uint8)
        if table is not None:
            self._pixels = colours_of(table.states, table.confidence, theme)
            self.row = min(self.row, max(0, len(table.labels) - 1))
        self._fit()
        self.viewport().update()

    def take_in(self, keys: Iterable[Key]) -> bool:
        """Show what is noted otherwise now; False if the table has to be made anew."""
        table, theme = self.table, self._theme
        keys = tuple(keys)
        if table is None or theme is None or not table.update(keys):
            return False
        row_of = {label: row for row, label in enumerate(table.labels)}
        places = [(row_of.get(label), table.line.index_of(shown)) for label, shown in keys]
        cells = [(row, index) for row, index in places if row is not None and index is not None]
        if cells:
            rows, columns = np.array(cells).T
            self._pixels[rows, columns] = colours_of(
                table.states[rows, columns], table.confidence[rows, columns], theme
            )
            self.viewport().update()
        return True

    def mark_current(self, index: int | None, label: int | None = None) -> None:
        """Mark the slice that is shown, and the object that is looked at; they are brought into sight."""
        table = self.table
        if table is None:
            return
        if label in table.labels:
            self.row = table.labels.index(label)
        if index is not None:
            self.index = index
        self._bring_into_sight()
        self.setAccessibleDescription(self.words)
        self.viewport().update()

    @property
    def words(self) -> str:
        """What is known of the cell that is marked."""
        table = self.table
        if table is None or not table.labels or not 0 <= self.index < table.line.n:
            return ""
        return table.words(self.row, self.index)

    # geometry

    @property
    def cell_px(self) -> float:
        """Width of a cell."""
        n = 1 if self.table is None else self.table.line.n
        return float(np.clip((self.viewport().width() - HEADER_PX) / n, MIN_CELL_PX, MAX_CELL_PX))

    def cell_rect(self, row: int, index: int) -> QRectF:
        """Where a cell lies in the viewport."""
        x = HEADER_PX + index * self.cell_px - self.horizontalScrollBar().value()
        return QRectF(x, RULER_PX + row * ROW_PX - self.verticalScrollBar().value(), self.cell_px, ROW_PX)

    def cell_at(self, place: QPoint) -> tuple[int, int] | None:
        """(row, slice) at a place of the viewport; None beside the table."""
        table = self.table
        if table is None or place.x() < HEADER_PX or place.y() < RULER_PX:
            return None
        index = int((place.x() - HEADER_PX + self.horizontalScrollBar().value()) / self.cell_px)
        row = (place.y() - RULER_PX + self.verticalScrollBar().value()) // ROW_PX
        return (row, index) if row < len(table.labels) and index < table.line.n else None

    def _fit(self) -> None:
        table = self.table
        n, n_rows = (0, 0) if table is None else (table.line.n, len(table.labels))
        room = self.viewport().size()
        for bar, length, page in (
            (self.horizontalScrollBar(), n * self.cell_px, room.width() - HEADER_PX),
            (self.verticalScrollBar(), n_rows * ROW_PX, room.height() - RULER_PX),
        ):
            bar.setPageStep(max(1, page))
            bar.setSingleStep(ROW_PX)
            bar.setRange(0, max(0, round(length - page)))

        # as high as its rows, so that the canvas gets what is left
        bar_px = self.horizontalScrollBar().sizeHint().height()
        self.setMaximumHeight(max(self.minimumHeight(), RULER_PX + n_rows * ROW_PX + bar_px + 4))

    def sizeHint(self) -> QSize:
        """High enough for some rows."""
        n_rows = 0 if self.table is None else min(MAX_ROWS_AT_FIRST, len(self.table.labels))
        return QSize(600, max(self.minimumHeight(), RULER_PX + n_rows * ROW_PX + 4))

    def _bring_into_sight(self) -> None:
        for bar, start, size, page in (
            (self.horizontalScrollBar(), self.index * self.cell_px, self.cell_px, self.viewport().width() - HEADER_PX),
            (self.verticalScrollBar(), self.row * ROW_PX, ROW_PX, self.viewport().height() - RULER_PX),
        ):
            if start < bar.value() or start + size > bar.value() + page:
                bar.setValue(round(start + size / 2 - page / 2))

    # events

    def resizeEvent(self, event: Any) -> None:
        """Cells are as wide as there is room."""
        self._fit()
        super().resizeEvent(event)

    def viewportEvent(self, event: QEvent) -> bool:
        """Tell in words what lies under the mouse."""
        if event.type() == QEvent.Type.ToolTip and self.table is not None:
            cell = self.cell_at(event.pos())
            QToolTip.showText(event.globalPos(), "" if cell is None else self.table.words(*cell), self)
            return True
        return bool(super().viewportEvent(event))

    def mousePressEvent(self, event: Any) -> None:
        """Go to the cell under the mouse."""
        cell = self.cell_at(event.pos())
        if cell is not None and event.button() == Qt.MouseButton.LeftButton:
            self._choose(*cell)

    def keyPressEvent(self, event: Any) -> None:
        """Arrow keys go to the neighbour, Home and End to the first and last slice."""
        table, key = self.table, Qt.Key
        if table is None or not table.labels:
            super().keyPressEvent(event)
            return
        last = table.line.n - 1
        places = {
            key.Key_Left: (self.row, self.index - 1),
            key.Key_Right: (self.row, self.index + 1),
            key.Key_Up: (self.row - 1, self.index),
            key.Key_Down: (self.row + 1, self.index),
            key.Key_Home: (self.row, 0),
            key.Key_End: (self.row, last),
            key.Key_Return: (self.row, self.index),
        }
        if event.key() not in places:
            super().keyPressEvent(event)
            return
        row, index = places[event.key()]
        self._choose(min(max(row, 0), len(table.labels) - 1), min(max(index, 0), last))

    def _choose(self, row: int, index: int) -> None:
        if self.table is not None:
            self.row, self.index = row, index
            self.viewport().update()
            self.chosen.emit(self.table.labels[row], index)

    # painting

    def paintEvent(self, event: Any) -> None:
        """Paint the cells that are seen, the numbers beside and above them, and the mark of the shown slice."""
        table, theme = self.table, self._theme
        if theme is None:
            return
        painter = QPainter(self.viewport())
        painter.fillRect(self.viewport().rect(), theme.ground)
        if table is None or not table.labels:
            painter.setPen(theme.text)
            painter.drawText(
                self.viewport().rect(), Qt.AlignmentFlag.AlignCenter, "Objects that are propagated are seen here."
            )
            return
        first, stop = self._seen(
            self.horizontalScrollBar().value(), self.cell_px, self.viewport().width(), table.line.n
        )
        top, bottom = self._seen(self.verticalScrollBar().value(), ROW_PX, self.viewport().height(), len(table.labels))
        painter.setClipRect(HEADER_PX, RULER_PX, self.viewport().width(), self.viewport().height())
        self._paint_cells(painter, theme, (top, bottom), (first, stop))
        self._paint_marks(painter, table, theme, (top, bottom), (first, stop))
        self._paint_current(painter, theme)
        painter.setClipping(False)
        self._paint_header(painter, table, theme, (top, bottom))
        self._paint_ruler(painter, theme, (first, stop))

    @staticmethod
    def _seen(scrolled: int, size: float, room: int, n: int) -> tuple[int, int]:
        first = int(scrolled / size)
        return first, min(n, int((scrolled + room) / size) + 1)

    def _paint_cells(self, painter: QPainter, theme: Theme, rows: tuple[int, int], columns: tuple[int, int]) -> None:
        part = np.ascontiguousarray(self._pixels[slice(*rows), slice(*columns)])
        height, width = part.shape[:2]
        image = QImage(part.data, width, height, 4 * width, QImage.Format.Format_RGBA8888)
        corner = self.cell_rect(rows[0], columns[0])
        painter.drawImage(QRectF(corner.x(), corner.y(), width * self.cell_px, height * ROW_PX), image)
        painter.setPen(QPen(theme.ground, 1))
        for row in range(*rows):
            line = self.cell_rect(row, columns[0])
            painter.drawLine(0, int(line.bottom()), self.viewport().width(), int(line.bottom()))
        if self.cell_px >= GAPS_FROM_PX:
            for index in range(*columns):
                x = int(self.cell_rect(0, index).right())
                painter.drawLine(x, RULER_PX, x, int(self.cell_rect(rows[1] - 1, 0).bottom()))

    def _paint_marks(
        self, painter: QPainter, table: ReviewTable, theme: Theme, rows: tuple[int, int], columns: tuple[int, int]
    ) -> None:
        if self.cell_px < MARKS_FROM_PX:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        part = table.states[slice(*rows), slice(*columns)]
        for row, column in np.argwhere(np.isin(part, list(_STATES))):
            cell = self.cell_rect(int(row) + rows[0], int(column) + columns[0])
            draw_mark(painter, cell, _STATES[int(part[row, column])], theme)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _paint_current(self, painter: QPainter, theme: Theme) -> None:
        """A frame about the slice that is shown, and a thicker one about the object that is looked at."""
        painter.setBrush(Qt.BrushStyle.NoBrush)
        cell = self.cell_rect(self.row, self.index)
        n_rows = len(self.table.labels) if self.table is not None else 0
        column = QRectF(cell.x(), self.cell_rect(0, 0).y(), cell.width(), n_rows * ROW_PX)
        painter.setPen(QPen(theme.current, 1))
        painter.drawRect(column.adjusted(-1, 0, 0, -1))
        painter.setPen(QPen(theme.current, 3 if self.hasFocus() else 2))
        painter.drawRect(cell.adjusted(-1, 0, 0, -1))

    def _paint_header(self, painter: QPainter, table: ReviewTable, theme: Theme, rows: tuple[int, int]) -> None:
        painter.fillRect(0, 0, HEADER_PX, self.viewport().height(), theme.ground)
        painter.setClipRect(0, RULER_PX, HEADER_PX, self.viewport().height())
        for row in range(*rows):
            cell = self.cell_rect(row, 0)
            colour = self._colour_of(table.labels[row])
            if colour is not None:
                swatch = QRectF(4, cell.y() + 3, ROW_PX - 7, ROW_PX - 7)
                painter.fillRect(swatch, QColor.fromRgbF(*(float(part) for part in colour[:3])))
            painter.setPen(theme.text)
            room = QRectF(ROW_PX, cell.y(), HEADER_PX - ROW_PX - 5, ROW_PX)
            painter.drawText(room, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, f"{table.labels[row]}")
        painter.setClipping(False)

    def _paint_ruler(self, painter: QPainter, theme: Theme, columns: tuple[int, int]) -> None:
        painter.fillRect(HEADER_PX, 0, self.viewport().width(), RULER_PX, theme.ground)
        font = painter.font()
        font.setPointSizeF(max(6.0, font.pointSizeF() * 0.8))
        painter.setFont(font)
        painter.setPen(theme.text)
        # a number every 1, 2, 5, 10, … slices, so that they have room
        step = next(
            base * ten for ten in (1, 10, 100, 1000, 10_000) for base in (1, 2, 5) if base * ten * self.cell_px >= 34
        )
        for index in range(columns[0] - columns[0] % step, columns[1], step):
            middle = self.cell_rect(0, index).center().x()
            if middle >= HEADER_PX:
                painter.drawText(QRectF(middle - 30, 0, 60, RULER_PX), Qt.AlignmentFlag.AlignCenter, f"{index}")
