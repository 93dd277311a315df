"""The panel "Propagate": which objects, where to, when to stop; begin, cancel, and walk through what is in doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_segnext.annotator import AnnotatorError, key_label
from napari_segnext.annotator.coordinates import finest_level
from napari_segnext.annotator.errors import NoSuchObjectError
from napari_segnext.annotator.review_walk import DOUBTFUL
from napari_segnext.widgets.parts import AnnotationPanel, folding, form_layout, row_of, status_label
from napari_segnext.widgets.review_dock import ReviewDock
from napari_segnext.widgets.stop_rules_form import StopRulesForm

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari.viewer

    from napari_segnext.annotator import Annotator

PROGRESS_EVERY_MS = 100
_ALL = "all that are not locked"
_SELECTED = "those selected in the list"
_DIRECTIONS = {"both ways": "both", "upwards": "up", "downwards": "down"}
_NO_VOLUME = "Objects can be propagated on images with a third axis, such as a stack or a series. This one is a plane."
_NO_IMAGE = "Press Start; on a stack, objects of a slice or two can then be propagated to all others."
_HOW = "Accept an object on a slice or two, then press Propagate."
DOCK_NAME = "SegNext review"


class PropagatePanel(AnnotationPanel):
    """Propagates the objects of an annotation, and shows the review strip below the canvas.

    Parameters
    ----------
    viewer
        The napari viewer.
    selected_labels
        Gives the labels that are selected in the list of objects.
    do, parent
        As of `AnnotationPanel`.
    """

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        selected_labels: Callable[[], list[int]],
        do: Callable[[Callable[[], object]], None],
        parent: QWidget,
    ) -> None:
        super().__init__(do, parent)
        self._viewer = viewer
        self._selected_labels = selected_labels
        self.dock: ReviewDock | None = None
        self._dock_frame: Any = None
        self._n_slices = 0
        self._timer = QTimer(self)
        self._timer.setInterval(PROGRESS_EVERY_MS)
        self._timer.timeout.connect(self._show_progress)
        self._build()
        self._fit()

    def show_annotator(self, annotator: Annotator | None) -> None:
        """Act on this annotation; on none, nothing can be propagated."""
        before, self._annotator = self._annotator, annotator
        if before is not None:
            before.propagation.changed.disconnect(self._on_run)
            before.propagation.ended.disconnect(self._on_ended)
            before.review.changed.disconnect(self._on_review)
            self._viewer.dims.events.order.disconnect(self._fit)
            self._viewer.dims.events.ndisplay.disconnect(self._fit)
            self._timer.stop()
            self.show_strip(is_shown=False)
        if annotator is not None:
            annotator.propagation.changed.connect(self._on_run)
            annotator.propagation.ended.connect(self._on_ended)
            annotator.review.changed.connect(self._on_review)
            annotator.reviewing.doubtful_below = self.below.value()
            self._viewer.dims.events.order.connect(self._fit)
            self._viewer.dims.events.ndisplay.connect(self._fit)
        self._fit()
        self._on_run()

    # building

    def _build(self) -> None:
        self.status = status_label(_NO_IMAGE)
        self.body = QWidget()
        column = QVBoxLayout(self.body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(self._build_wishes())
        self.stop_rules = StopRulesForm()
        column.addWidget(folding("When to stop", "Rules that end an object beyond its last slice.", self.stop_rules))
        column.addLayout(self._build_buttons())
        column.addWidget(self._build_progress())
        column.addLayout(self._build_review())
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(4)
        outer.addWidget(self.body)
        outer.addWidget(self.status)

    def _build_wishes(self) -> Any:
        """What is to be propagated, and where to."""
        form = form_layout(left=4)
        self.objects = QComboBox()
        self.objects.addItems([_ALL, _SELECTED])
        self.objects.setToolTip("Which objects are propagated. Several go in one pass.")
        form.addRow("Objects", self.objects)
        self.along = QComboBox()
        self.along.setToolTip("The axis along which slices follow each other.")
        self.along.currentIndexChanged.connect(self._on_along)
        form.addRow("Along", self.along)
        self._along_title = form.labelForField(self.along)
        self.direction = QComboBox()
        self.direction.addItems(list(_DIRECTIONS))
        self.direction.setToolTip(
            "Where to beyond the last annotated slices. What lies between two annotated slices is always filled."
        )
        form.addRow("Direction", self.direction)
        self.first, self.last = QSpinBox(), QSpinBox()
        self.first.setToolTip("The first slice that may be written.")
        self.last.setToolTip("The last slice that may be written.")
        form.addRow("From slice", self.first)
        form.addRow("To slice", self.last)
        return form

    def _build_buttons(self) -> QHBoxLayout:
        self.propagate_button = QPushButton("Propagate")
        self.propagate_button.setToolTip(
            "Carry the objects from the slices that you accepted or painted to all others.\n"
            "What you did stays as it is. After a correction only the slices are done again that it concerns."
        )
        self.propagate_button.clicked.connect(self.propagate)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip(f"End after this slice; what is done stays. Key: {key_label('stop')}")
        self.cancel_button.clicked.connect(lambda: self._call(lambda one: one.cancel_propagation()))
        buttons = QHBoxLayout()
        buttons.setSpacing(3)
        buttons.addWidget(self.propagate_button)
        buttons.addWidget(self.cancel_button)
        return buttons

    def _build_progress(self) -> QWidget:
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(8)
        self.bar.setToolTip("How many slices were opened, of those that have to be.")
        self.progress = QLabel()
        return row_of(self.bar, self.progress)

    def _build_review(self) -> Any:
        form = form_layout(left=4)
        self.below = QDoubleSpinBox()
        self.below.setRange(0, 1)
        self.below.setSingleStep(0.05)
        self.below.setValue(DOUBTFUL)
        self.below.setToolTip("Slices with a confidence below this are in doubt.")
        self.below.valueChanged.connect(self._on_below)
        self.next_button = QPushButton(f"Next  ({key_label('next_doubtful')})")
        self.next_button.setToolTip(
            f"Go to the next slice that is in doubt, in the order of slices. Key: {key_label('next_doubtful')}"
        )
        self.next_button.clicked.connect(lambda: self._call(lambda one: one.act("next_doubtful")))
        self.good_button = QPushButton(f"Good  ({key_label('accept_slice')})")
        self.good_button.setToolTip(
            "What was propagated to this slice is good: no run writes it again, and later ones start from it. "
            f"Key: {key_label('accept_slice')}"
        )
        self.good_button.clicked.connect(lambda: self._call(lambda one: one.act("accept_slice")))
        self.correct_button = QPushButton(f"Correct  ({key_label('correct_slice')})")
        self.correct_button.setToolTip(
            "Take the selected object up on this slice: the mask that it has is the first prompt. Click, box or paint, "
            f"then accept. Key: {key_label('correct_slice')}"
        )
        self.correct_button.clicked.connect(lambda: self._call(lambda one: one.act("correct_slice")))
        form.addRow("Doubtful below", self.below)
        buttons = QHBoxLayout()
        buttons.setSpacing(3)
        for button in (self.next_button, self.good_button, self.correct_button):
            buttons.addWidget(button)
        form.addRow(buttons)
        self.strip_box = QCheckBox("review strip below the canvas")
        self.strip_box.setToolTip("Slices × objects: colour is confidence; a click goes there.")
        self.strip_box.toggled.connect(lambda is_shown: self.show_strip(is_shown=is_shown))
        form.addRow("Show", self.strip_box)
        return form

    # what the user does

    def propagate(self) -> None:
        """Begin a run with the settings of the panel."""

        def begin(annotator: Annotator) -> None:
            labels = None
            if self.objects.currentText() == _SELECTED:
                labels = self._selected_labels()
                if not labels:
                    raise NoSuchObjectError("no object is selected in the list of objects; select some there.")
            annotator.propagate(
                labels,
                slices=(self.first.value(), self.last.value() + 1),
                direction=_DIRECTIONS[self.direction.currentText()],  # type: ignore[arg-type]
                rules=self.stop_rules.rules,
            )

        self._call(begin)

    def _on_along(self, _: int) -> None:
        annotator = self._annotator
        if annotator is not None and self.along.currentData() is not None:
            annotator.reviewing.axis = int(self.along.currentData())
            self._fit()
            if self.dock is not None:
                self.dock.show_anew()

    def _on_below(self, value: float) -> None:
        if self._annotator is not None:
            self._annotator.reviewing.doubtful_below = value

    def show_strip(self, *, is_shown: bool) -> None:
        """Show the review strip below the canvas, or take it away."""
        annotator = self._annotator
        if is_shown and annotator is not None and self.dock is None:
            self.dock = ReviewDock(self._viewer, annotator, self._do)
            self._dock_frame = self._viewer.window.add_dock_widget(self.dock, name=DOCK_NAME, area="bottom")
            self._dock_frame.destroyed.connect(self._on_dock_closed)
        elif not is_shown and self.dock is not None:
            dock, frame = self._take_dock()
            dock.shut_down()
            self._viewer.window.remove_dock_widget(frame)
        self._show_whether_strip_is_shown()

    def _take_dock(self) -> tuple[ReviewDock, Any]:
        dock, frame = self.dock, self._dock_frame
        self.dock = self._dock_frame = None
        return dock, frame  # type: ignore[return-value]

    def _on_dock_closed(self, _: Any = None) -> None:
        """The user closed the dock himself."""
        if self.dock is not None:
            dock, _ = self._take_dock()
            dock.shut_down()
            self._show_whether_strip_is_shown()

    def _show_whether_strip_is_shown(self) -> None:
        blocker = QSignalBlocker(self.strip_box)
        self.strip_box.setChecked(self.dock is not None)
        del blocker

    # following the annotation

    def _fit(self, _: Any = None) -> None:
        """Offer the axes and slices of the image as the viewer shows it."""
        annotator = self._annotator
        n_slices = 0
        if annotator is not None:
            self._offer_axes(annotator)
            try:
                n_slices = annotator.line().n
            except AnnotatorError:
                n_slices = 0
        if n_slices != self._n_slices:
            self._n_slices = n_slices
            for spin, value in ((self.first, 0), (self.last, n_slices - 1)):
                spin.setRange(0, max(0, n_slices - 1))
                spin.setValue(max(0, value))
        self.body.setEnabled(n_slices > 0)
        if not n_slices:
            self.status.setText(_NO_IMAGE if annotator is None else _NO_VOLUME)
        elif self.status.text() in (_NO_IMAGE, _NO_VOLUME):
            self.status.setText(_HOW)

    def _offer_axes(self, annotator: Annotator) -> None:
        """The axes that the shown slice does not span; a choice is shown only where there are several."""
        shown, layer = annotator.shown, annotator.layers.image
        axes = () if shown is None else tuple(axis for axis in shown.other_axes if finest_level(layer).shape[axis] > 1)
        offered = tuple(self.along.itemData(row) for row in range(self.along.count()))
        if axes != offered:
            blocker = QSignalBlocker(self.along)
            self.along.clear()
            for axis in axes:
                self.along.addItem(f"axis {axis}: {layer.axis_labels[axis]}", axis)
            self.along.setCurrentIndex(len(axes) - 1)
            annotator.reviewing.axis = axes[-1] if axes else None
            del blocker
        for widget in (self.along, self._along_title):
            widget.setVisible(len(axes) > 1)

    def _on_run(self) -> None:
        annotator = self._annotator
        is_running = annotator is not None and annotator.propagation.is_running
        if is_running and not self._timer.isActive():
            self._timer.start()
            self.status.setText("Looking for what to start from…")
            self.show_strip(is_shown=True)
        elif not is_running:
            self._timer.stop()
        self.propagate_button.setEnabled(annotator is not None and not is_running)
        self.cancel_button.setEnabled(is_running)
        for button in (self.next_button, self.good_button, self.correct_button):
            button.setEnabled(annotator is not None and len(annotator.review) > 0)
        self._show_progress()

    def _show_progress(self) -> None:
        annotator = self._annotator
        if annotator is None or not annotator.propagation.is_running:
            self.bar.setRange(0, 1)
            self.bar.setValue(0)
            self.progress.setText("")
            return
        run = annotator.propagation
        n_done, n_steps = run.progress
        self.bar.setRange(0, n_steps)
        self.bar.setValue(n_done)
        self.progress.setText(f"{n_done} of {n_steps}" if n_steps else "")
        if run.is_cancelling:
            self.status.setText("Cancelling…")
        elif n_steps:
            at = "" if run.index is None else f" Slice {run.index} is done."
            self.status.setText(f"Opening slice {n_done} of {n_steps}.{at}")

    def _on_ended(self, told: str) -> None:
        self.status.setText(told)

    def _on_review(self, _: Any) -> None:
        if self._annotator is not None and len(self._annotator.review) and not self.next_button.isEnabled():
            # earlier work came back
            self._on_run()
            self.show_strip(is_shown=True)
