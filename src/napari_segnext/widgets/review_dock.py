"""The dock below the canvas: the review strip, its legend, and in words what is known of the slice that is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QRectF, Qt, QTimer
from qtpy.QtGui import QColor, QLinearGradient, QPainter
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_segnext.annotator.errors import AnnotatorError
from napari_segnext.widgets.review_marks import LABELLED_STATES, STOPS, Theme, draw_mark
from napari_segnext.widgets.review_strip import ReviewStrip

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari.viewer

    from napari_segnext.annotator import Annotator

ANEW_AFTER_MS = 60
"""Rest after the last change before the table is made anew."""


class ReviewDock(QWidget):  # type: ignore[misc]
    """Follows an annotation, and goes where the user clicks.

    Parameters
    ----------
    viewer
        The napari viewer.
    annotator
        The annotation.
    do
        Called with something to do to the annotation; tells the user what went wrong.
    """

    def __init__(
        self, viewer: napari.viewer.Viewer, annotator: Annotator, do: Callable[[Callable[[], object]], None]
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._annotator = annotator
        self._do = do
        self.strip = ReviewStrip(self)
        self.strip.chosen.connect(self._on_chosen)
        self.words = QLabel()
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.words.setToolTip("What is known of the object and the slice that are marked in the strip.")
        self.legend = Legend(self)
        row = QHBoxLayout()
        row.addWidget(self.words, 1)
        row.addWidget(self.legend)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 2, 6, 2)
        column.setSpacing(2)
        column.addLayout(row)
        column.addWidget(self.strip, 1)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(ANEW_AFTER_MS)
        self._timer.timeout.connect(self.show_anew)
        for emitter, callback in self._connections():
            emitter.connect(callback)
        self.show_anew()

    def shut_down(self) -> None:
        """Follow nothing any more."""
        self._timer.stop()
        for emitter, callback in self._connections():
            emitter.disconnect(callback)

    def show_anew(self) -> None:
        """Show the table of what the viewer shows now."""
        annotator = self._annotator
        theme = Theme.of(self._viewer)
        try:
            table = annotator.reviewing.table(annotator.line(), self.strip.table)
        except AnnotatorError:
            table = None
        self.strip.show_table(table, theme, annotator.layers.output.get_color)
        self.legend.show_theme(theme)
        self.setMaximumHeight(self.strip.maximumHeight() + self.legend.height() + 8)
        self._on_step()

    def _connections(self) -> list[tuple[Any, Callable[..., None]]]:
        dims = self._viewer.dims.events
        return [
            (self._annotator.review.changed, self._on_review),
            (self._annotator.objects_changed, self._soon),
            (self._annotator.reviewing.visited, self._on_visited),
            (dims.current_step, self._on_step),
            (dims.order, self._soon),
            (dims.ndisplay, self._soon),
            (self._viewer.events.theme, self._soon),
        ]

    def _soon(self, _: Any = None) -> None:
        self._timer.start()

    def _on_review(self, keys: Any) -> None:
        if not self.strip.take_in(keys):
            self._soon()
        self.words.setText(self.strip.words)

    def _on_step(self, _: Any = None) -> None:
        """Another slice is shown."""
        table = self.strip.table
        try:
            line = self._annotator.line()
        except AnnotatorError:
            return
        if table is None or table.line != line:
            self._soon()
            return
        shown = self._annotator.shown
        self.strip.mark_current(None if shown is None else line.index_of(shown))
        self.words.setText(self.strip.words)

    def _on_visited(self, label: int, index: int) -> None:
        self.strip.mark_current(index, label)
        self.words.setText(self.strip.words)

    def _on_chosen(self, label: int, index: int) -> None:
        self._do(lambda: self._annotator.go_to(label, index))


class Legend(QWidget):  # type: ignore[misc]
    """What colours and marks of the strip mean.

    Parameters
    ----------
    parent
        The widget that it lies in.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme: Theme | None = None
        self.setFixedHeight(18)
        texts = [text for _, text in LABELLED_STATES]
        metrics = self.fontMetrics()
        self.setFixedWidth(230 + sum(metrics.horizontalAdvance(text) + 30 for text in texts))
        self.setAccessibleName(
            "Orange is doubtful, blue is sure. Dot: annotated. Diamond: edited. Tick: accepted. Bar: ended."
        )
        self.setToolTip(self.accessibleName())

    def show_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self._theme = theme
        self.update()

    def paintEvent(self, event: Any) -> None:
        """Paint a scale of confidence, and each mark with its name."""
        theme = self._theme
        if theme is None:
            return
        painter = QPainter(self)
        painter.setPen(theme.text)
        align = Qt.AlignmentFlag.AlignVCenter
        metrics = painter.fontMetrics()
        x = 4.0
        for text, width in (("doubtful", 0), ("", 70), ("sure", 0)):
            if width:
                scale = QLinearGradient(x, 0, x + width, 0)
                for place, colour in STOPS:
                    scale.setColorAt(place, QColor(*colour))
                painter.fillRect(QRectF(x, 4, width, 10), scale)
            else:
                width = metrics.horizontalAdvance(text)
                painter.drawText(QRectF(x, 0, width + 2, 18), align, text)
            x += width + 6
        x += 10
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for state, text in LABELLED_STATES:
            cell = QRectF(x, 2, 14, 14)
            painter.fillRect(cell, QColor(*theme.plain))
            draw_mark(painter, cell, state, theme)
            width = metrics.horizontalAdvance(text)
            painter.setPen(theme.text)
            painter.drawText(QRectF(x + 18, 0, width + 2, 18), align, text)
            x += 18 + width + 12
