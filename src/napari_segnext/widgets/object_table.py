"""The table of objects: rename and classify in place, jump to one, reopen, merge, lock, delete, write CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from qtpy.QtCore import QAbstractTableModel, QItemSelectionModel, QModelIndex, Qt, QTimer, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QFileDialog,
    QGridLayout,
    QHeaderView,
    QInputDialog,
    QMenu,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_segnext.annotator.object_properties import measure_objects, to_features, write_csv
from napari_segnext.annotator.object_rows import ObjectRow, object_rows
from napari_segnext.widgets.parts import AnnotationPanel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_segnext.annotator import Annotator
    from napari_segnext.annotator.executor import Executor
    from napari_segnext.annotator.object_properties import ObjectProperties

MEASURE_AFTER_MS = 400
"""Rest after the last change before objects are measured anew."""

_COLUMNS = ("", "Label", "Name", "Class", "Size", "#", "State")
_WHAT = ("Colour", "Value in the labels layer", "", "Kind of thing", "Area or volume", "Number of prompts", "")
_LABEL, _NAME, _CLASS = 1, 2, 3
_ANY = QModelIndex()


class ObjectModel(QAbstractTableModel):  # type: ignore[misc]
    """Rows of objects for a table view."""

    renamed = Signal(int, str)
    """Label, and the name that was typed."""
    classified = Signal(int, str)
    """Label, and the class that was typed."""
    relabelled = Signal(int, int)
    """Label, and the one that was typed."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.rows: tuple[ObjectRow, ...] = ()
        self._colour_of: Callable[[int], Any] = lambda label: None

    def show_rows(self, rows: tuple[ObjectRow, ...], colour_of: Callable[[int], Any]) -> None:
        """Show these rows, each with the colour of its label; what is selected or typed into stays so."""
        self._colour_of = colour_of
        if not rows or not self.rows:
            self.beginResetModel()
            self.rows = rows
            self.endResetModel()
            return
        self._drop({row.label for row in rows})
        self._take_in(rows)

    def _drop(self, kept: set[int]) -> None:
        """Remove rows of other labels than these."""
        for place in reversed(range(len(self.rows))):
            if self.rows[place].label not in kept:
                self.beginRemoveRows(_ANY, place, place)
                self.rows = (*self.rows[:place], *self.rows[place + 1 :])
                self.endRemoveRows()

    def _take_in(self, rows: tuple[ObjectRow, ...]) -> None:
        """Make rows these, among which all labels are that there are."""
        for place, row in enumerate(rows):
            if place == len(self.rows) or self.rows[place].label != row.label:
                self.beginInsertRows(_ANY, place, place)
                self.rows = (*self.rows[:place], row, *self.rows[place:])
                self.endInsertRows()
            elif self.rows[place] != row:
                before = self.rows[place].cells
                self.rows = (*self.rows[:place], row, *self.rows[place + 1 :])
                for column, (old, new) in enumerate(zip(before, row.cells, strict=True)):
                    if old != new:
                        index = self.index(place, column)
                        self.dataChanged.emit(index, index)

    def rowCount(self, parent: QModelIndex = _ANY) -> int:
        """Number of objects."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex = _ANY) -> int:
        """Number of columns."""
        return 0 if parent.isValid() else len(_COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Titles of the columns."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return _COLUMNS[section]
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.ToolTipRole:
            return _WHAT[section]
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a cell shows."""
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.BackgroundRole and column == 0:
            colour = self._colour_of(row.label)
            return None if colour is None else QColor.fromRgbF(*(float(part) for part in colour[:3]))
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return row.cells[column]
        return None

    def setData(self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Somebody typed into a cell: told, and shown once the annotator has done it."""
        row, text = self.rows[index.row()], str(value).strip()
        if index.column() == _NAME and text != row.name:
            self.renamed.emit(row.label, text)
        elif index.column() == _CLASS and text != row.class_name:
            self.classified.emit(row.label, text)
        elif index.column() == _LABEL and text.lstrip("-").isdecimal() and int(text) != row.label:
            self.relabelled.emit(row.label, int(text))
        return False

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Label, name and class can be typed into."""
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsEditable if index.column() in (_LABEL, _NAME, _CLASS) else flags


class ObjectTable(AnnotationPanel):
    """Objects of an annotation, with what can be done to them.

    Parameters
    ----------
    executor
        Where objects are measured.
    do, parent
        As of `AnnotationPanel`.
    """

    _BUTTONS: ClassVar[tuple[tuple[str, str, str], ...]] = (
        (
            "reopen",
            "Reopen",
            "Take the object up again, with its prompts; Accept then changes it. Or double click.",
        ),
        ("continue", "Go on here", "Add to the object on the slice that is shown, or change its part there."),
        ("lock", "Lock", "Protect the objects from every change, or no longer."),
        ("merge", "Merge", "Make the selected objects one, under the label of the first."),
        ("delete", "Delete", "Free all pixels of the selected objects. Undo brings them back."),
        ("csv", "CSV…", "Write area, centroid, bounding box and mean intensity of all objects to a file."),
    )

    def __init__(self, executor: Executor, do: Callable[[Callable[[], object]], None], parent: QWidget) -> None:
        super().__init__(do, parent)
        self._executor = executor
        self._properties: dict[int, ObjectProperties] | None = None
        self._number = self._number_shown = 0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(MEASURE_AFTER_MS)
        self._timer.timeout.connect(self._measure)
        self.model = ObjectModel(self)
        self._build()

    def show_annotator(self, annotator: Annotator | None) -> None:
        """Show the objects of this annotation; of none, nothing."""
        if self._annotator is not None:
            self._annotator.objects_changed.disconnect(self._on_objects)
            self._annotator.draft_changed.disconnect(self._refresh)
            self._annotator.reviewing.visited.disconnect(self._on_visited)
        self._annotator, self._properties = annotator, None
        if annotator is not None:
            annotator.objects_changed.connect(self._on_objects)
            annotator.draft_changed.connect(self._refresh)
            annotator.reviewing.visited.connect(self._on_visited)
            self._timer.start()
        self._refresh()

    @property
    def selected_labels(self) -> list[int]:
        """Labels of the selected rows, the current one first."""
        selection = self.view.selectionModel()
        rows = [index.row() for index in selection.selectedRows()]
        current = selection.currentIndex().row()
        rows.sort(key=lambda row: (row != current, row))
        return [self.model.rows[row].label for row in rows if row < len(self.model.rows)]

    def select(self, label: int) -> None:
        """Select the row of an object, if there is one."""
        for row, one in enumerate(self.model.rows):
            if one.label == label:
                index = self.model.index(row, _NAME)
                flags = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
                self.view.selectionModel().setCurrentIndex(index, flags)
                return

    # building

    def _build(self) -> None:
        self.view = QTableView()
        self.view.setModel(self.model)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.view.setEditTriggers(
            QAbstractItemView.EditTrigger.EditKeyPressed | QAbstractItemView.EditTrigger.SelectedClicked
        )
        self.view.verticalHeader().hide()
        corner = self.view.findChild(QAbstractButton)
        if corner is not None:
            corner.setToolTip("Select all objects.")
        self.view.setToolTip(
            "The objects. Click, or Return: show it. Double click: take it up again. Click once more, or F2, on label, "
            "name or class: type another."
        )
        header = self.view.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        for column in (_NAME, _CLASS):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(14)
        # Tab leaves the table; its cells are reached by arrow keys
        self.view.setTabKeyNavigation(False)
        self.view.setMinimumHeight(120)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._show_menu)
        self.view.clicked.connect(lambda index: self._jump_to(index))
        self.view.activated.connect(lambda index: self._jump_to(index))
        self.view.doubleClicked.connect(lambda _: self._act("reopen"))
        self.view.selectionModel().selectionChanged.connect(lambda *_: self._update_buttons())
        self.model.renamed.connect(lambda label, name: self._call(lambda one: one.rename(label, name)))
        self.model.classified.connect(lambda label, name: self._call(lambda one: one.classify(label, class_name=name)))
        self.model.relabelled.connect(lambda old, new: self._call(lambda one: one.relabel(old, new)))
        self.buttons: dict[str, QPushButton] = {}
        grid = QGridLayout()
        grid.setSpacing(3)
        for number, (name, title, tooltip) in enumerate(self._BUTTONS):
            button = QPushButton(title)
            button.setToolTip(tooltip)
            button.clicked.connect(lambda _, name=name: self._act(name))
            grid.addWidget(button, number // 3, number % 3)
            self.buttons[name] = button
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(3)
        box.addWidget(self.view)
        box.addLayout(grid)
        self._update_buttons()

    def _show_menu(self, position: Any) -> None:
        menu = QMenu(self)
        for name, title, _ in self._BUTTONS:
            action = menu.addAction(title)
            action.setEnabled(self.buttons[name].isEnabled())
            action.triggered.connect(lambda _, name=name: self._act(name))
        action = menu.addAction("Class of all selected…")
        action.setEnabled(bool(self.selected_labels))
        action.triggered.connect(lambda _: self._classify_selected())
        menu.exec(self.view.viewport().mapToGlobal(position))

    # what the user does

    def _act(self, name: str) -> None:
        labels = self.selected_labels
        if name == "csv":
            self._write_csv()
            return
        if not labels:
            return
        first = labels[0]
        actions: dict[str, Callable[[Annotator], object]] = {
            "reopen": lambda one: one.reopen(first),
            "continue": lambda one: one.continue_object(first),
            "merge": lambda one: one.merge(*labels),
            "delete": lambda one: one.delete(*labels),
            "lock": lambda one: one.lock(*labels, is_locked=not set(labels) <= one.objects.locked),
        }
        self._call(actions[name])

    def _classify_selected(self) -> None:
        labels = self.selected_labels
        name, is_wanted = QInputDialog.getText(self, "Class", f"Class of {len(labels)} objects:")
        if is_wanted:
            self._call(lambda one: one.classify(*labels, class_name=name.strip()))

    def _jump_to(self, index: QModelIndex) -> None:
        label = self.model.rows[index.row()].label
        if self.model.rows[index.row()].state != "empty":
            self._call(lambda one: one.jump_to(label))

    def _write_csv(self) -> None:
        if self._properties is None:
            return
        path, _ = QFileDialog.getSaveFileName(self, "Objects as CSV", "objects.csv", "Tables (*.csv)")
        if path:
            self.write_csv(path)

    def write_csv(self, path: str) -> None:
        """Write what was measured last to a CSV file."""
        measured = list((self._properties or {}).values())
        self._do(lambda: write_csv(measured, path))

    # following the annotation

    def _on_visited(self, label: int, _: int) -> None:
        """The user went to an object in the strip, or to a doubtful slice of it."""
        self.select(label)

    def _on_objects(self) -> None:
        self._timer.start()
        self._refresh()

    def _refresh(self) -> None:
        annotator = self._annotator
        selected = self.selected_labels
        if annotator is None:
            self.model.show_rows((), lambda label: None)
        else:
            is_up_to_date = not self._timer.isActive() and self._number == self._number_shown
            rows = object_rows(annotator.objects, self._properties, annotator.draft, is_up_to_date=is_up_to_date)
            self.model.show_rows(rows, annotator.layers.output.get_color)
        if selected and not self.selected_labels:
            self.select(selected[0])
        self._update_buttons()

    def _update_buttons(self) -> None:
        labels = self.selected_labels
        locked = self._annotator.objects.locked if self._annotator is not None else frozenset()
        is_locked = bool(labels) and all(label in locked for label in labels)
        self.buttons["lock"].setText("Unlock" if is_locked else "Lock")
        for name in ("reopen", "continue"):
            self.buttons[name].setEnabled(len(labels) == 1 and not is_locked)
        self.buttons["lock"].setEnabled(bool(labels))
        self.buttons["delete"].setEnabled(bool(labels) and not is_locked)
        self.buttons["merge"].setEnabled(len(labels) > 1 and not is_locked)
        self.buttons["csv"].setEnabled(bool(self._properties))

    def _measure(self) -> None:
        annotator = self._annotator
        if annotator is None or annotator.is_closed:
            return
        self._number += 1
        number = self._number
        layers = annotator.layers
        labels, image = layers.output.data, annotator.image_for_measuring()
        spacing = [float(abs(one)) or 1.0 for one in layers.output.scale]
        units = {str(unit) for unit in layers.output.units}
        unit = units.pop() if len(units) == 1 else "pixel"
        if labels.ndim not in (2, 3):
            return
        is_plain = unit == "pixel"
        self._executor.submit(
            lambda: measure_objects(
                labels, image=image, spacing=None if is_plain else spacing, unit=None if is_plain else unit
            ),
            lambda measured: self._on_measured(number, measured),
            lambda error: None,
        )

    def _on_measured(self, number: int, measured: Sequence[ObjectProperties]) -> None:
        annotator = self._annotator
        if number != self._number or annotator is None or annotator.is_closed:
            return
        self._number_shown = number
        self._properties = {one.label: one for one in measured}
        annotator.layers.output.features = to_features(measured)
        self._refresh()
