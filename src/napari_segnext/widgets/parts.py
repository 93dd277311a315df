"""Small pieces that our widgets are put together from; nothing here knows of images or models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import (
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_segnext.annotator import Annotator

MIN_WIDTH_PX = 280


class DockedWidget(QWidget):  # type: ignore[misc]
    """A widget for napari's dock: its contents scroll, and it shuts down when it is closed, docked or not."""

    def __init__(self) -> None:
        super().__init__()
        self._is_docked = False

    def shut_down(self) -> None:
        """Leave the viewer as if the widget had not been; called once or more when it is closed."""
        raise NotImplementedError

    def _scroll(self, content: QWidget) -> QScrollArea:
        """Fill the widget with something that may be taller than it."""
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        # no stop of its own for Tab: whatever gets the focus is scrolled into sight
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(content)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(area)
        self.setMinimumWidth(MIN_WIDTH_PX)
        return area

    def event(self, event: QEvent) -> bool:
        """Napari takes a closed widget out of its dock and says nothing else."""
        if event.type() == QEvent.Type.ParentChange:
            if self._is_docked and self.parent() is None:
                self.shut_down()
            self._is_docked = self.parent() is not None
        return bool(super().event(event))

    def closeEvent(self, event: Any) -> None:
        """A widget that stands alone is closed."""
        self.shut_down()
        super().closeEvent(event)


class AnnotationPanel(QWidget):  # type: ignore[misc]
    """A part of the annotator's widget that acts on the annotation that is going on, if one is.

    Parameters
    ----------
    do
        Called with something to do to the annotation; tells the user what went wrong.
    parent
        The widget that it lies in.
    """

    def __init__(self, do: Callable[[Callable[[], object]], None], parent: QWidget) -> None:
        super().__init__(parent)
        self._do = do
        self._annotator: Annotator | None = None

    def _call(self, action: Callable[[Annotator], object]) -> None:
        """Do something to the annotation; without one, nothing."""
        annotator = self._annotator
        if annotator is not None:
            self._do(lambda: action(annotator))


def form_layout(*, left: int = 0) -> QFormLayout:
    """Rows of titles and fields, which are as wide as there is room; `left` is the margin there, in pixels."""
    form = QFormLayout()
    form.setContentsMargins(left, 0, 0, 0)
    form.setSpacing(4)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return form


def row_of(*widgets: QWidget) -> QWidget:
    """Widgets side by side; the first one takes the room that is left."""
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(3)
    for number, widget in enumerate(widgets):
        layout.addWidget(widget, 1 if number == 0 else 0)
    return row


def line() -> QFrame:
    """A thin line between two parts."""
    frame = QFrame()
    frame.setFrameShape(QFrame.Shape.HLine)
    frame.setFixedHeight(1)
    return frame


def status_label(text: str) -> QLabel:
    """Where sentences for the user stand: they wrap, and can be copied."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setMinimumHeight(48)
    label.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setToolTip("What is going on, and what to do where something went wrong.")
    return label


def folding(title: str, tooltip: str, body: QWidget, *, is_open: bool = False) -> QWidget:
    """A title that shows and hides its body."""
    header = QToolButton()
    header.setText(title)
    header.setToolTip(tooltip)
    header.setCheckable(True)
    header.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    header.setArrowType(Qt.ArrowType.RightArrow)
    header.setAutoRaise(True)

    def unfold(is_open: bool) -> None:
        header.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)
        body.setVisible(is_open)

    header.toggled.connect(unfold)
    body.setVisible(is_open)
    header.setChecked(is_open)
    section = QWidget()
    layout = QVBoxLayout(section)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(header)
    layout.addWidget(body)
    return section


def toggle_button(text: str, tooltip: str = "", *, colour: str = "") -> QPushButton:
    """A button that stays down; in a light colour of its own then, or in that of the theme."""
    button = QPushButton(text)
    button.setCheckable(True)
    button.setToolTip(tooltip)
    style = "QPushButton { padding-left: 2px; padding-right: 2px; }"
    if colour:
        style += f"QPushButton:checked {{ background-color: {colour}; color: black; }}"
    button.setStyleSheet(style)
    return button


def tool_button(text: str, tooltip: str, on_click: Callable[[], object]) -> QToolButton:
    """A small button."""
    button = QToolButton()
    button.setText(text)
    button.setToolTip(tooltip)
    button.clicked.connect(lambda: on_click())
    return button
