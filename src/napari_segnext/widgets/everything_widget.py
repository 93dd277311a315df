"""The dock widget "SegNext everything": pickers, Start and Stop around `iterate_everything`. It holds no algorithm.

1. Start reads the pickers into a frozen `EverythingRun`; a thread loads the model and prepares the steps.
2. A thread takes steps for a moment and comes back with the newest progress, which is shown; then the next one does.
3. Stop lets the steps end early. At the end, the objects found go into a labels layer, on the slice of the run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels, Points, Shapes
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_segnext.annotator import AnnotatorError, SliceFrame
from napari_segnext.annotator.everything_layers import add_objects, new_objects_layer, require_output
from napari_segnext.annotator.layers import is_on_grid, is_view, role_of
from napari_segnext.annotator.preferences import preferences_or_defaults
from napari_segnext.everything.settings import EverythingSettings
from napari_segnext.widgets.everything_controls import (
    GRID,
    POINTS,
    RECTANGLES,
    ZOOMS,
    agreement_box,
    points_per_side_box,
    prompts_bar,
    prompts_choice,
    size_box,
    stability_box,
    zoom_choice,
)
from napari_segnext.widgets.everything_run import (
    EverythingRun,
    boxes_from,
    clicks_from,
    n_objects,
    newest,
    words_of,
    words_of_so_far,
)
from napari_segnext.widgets.layer_choice import LayerChoice
from napari_segnext.widgets.messages import NO_IMAGE, words_for
from napari_segnext.widgets.model_choice import ModelChoice, device_choice, load_by_name, load_guarded
from napari_segnext.widgets.parts import DockedWidget, form_layout, status_label
from napari_segnext.widgets.worker import QtExecutor

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari.viewer

    from napari_segnext.everything import EverythingResult
    from napari_segnext.session.cpu_fallback import CpuFallback
    from napari_segnext.widgets.everything_run import Progress, Steps
    from napari_segnext.widgets.model_choice import ModelLoader

_NEW_LAYER = "new layer"
_PRESS_START = "Press Start to segment everything."


class EverythingWidget(DockedWidget):
    """Segment all objects of an image, each from one click of a grid, one point or one rectangle.

    Parameters
    ----------
    viewer
        The napari viewer; napari fills it in.
    load_model
        (name or path, device) → model; by default `napari_segnext.load_model`. Called in a thread.
    """

    fell_back = Signal()
    """The model computes on the processor from now on; sent from the thread that computes."""

    def __init__(self, viewer: napari.viewer.Viewer, *, load_model: ModelLoader | None = None) -> None:
        super().__init__()
        self._viewer = viewer
        self._load_model: ModelLoader = load_by_name if load_model is None else load_model
        self._executor = QtExecutor()
        self._model: CpuFallback | None = None
        self._model_key = ("", "")
        self._run: EverythingRun | None = None
        self._progress: Progress | None = None
        self._is_shut_down = False
        self._told, self._lasting = _PRESS_START, ""
        self._build()
        self._connect_viewer()
        self._tell_whether_there_is_an_image()
        self._update_controls()
        self.destroyed.connect(self._executor.close)

    @property
    def is_running(self) -> bool:
        """Whether a run is going on."""
        return self._run is not None

    # what the user does

    def start(self) -> None:
        """Segment everything on the slice that is shown, in a thread."""
        if self._run is not None or self._is_shut_down:
            return
        if self._image.layer is None:
            self._warn(NO_IMAGE)
            return
        try:
            run = self._read_pickers()
        except ValueError as error:
            self._show_error(error)
            return
        self._run, self._progress = run, None
        self._show_loading(run)
        model = self._model if run.model_key == self._model_key else None
        self._executor.submit(
            lambda: run.prepared(model or load_guarded(self._load_model, *run.model_key, self.fell_back.emit)),
            lambda prepared: self._on_prepared(run, *prepared),
            lambda error: self._on_error(run, error),
        )
        self._update_controls()

    def stop(self) -> None:
        """End the run early; what it found so far is kept."""
        run = self._run
        if run is None:
            return
        run.is_stopped.set()
        if self._progress is None:
            self._run = None
            self._tell("Stopped. Press Start to begin anew.")
            self._update_controls()
        else:
            self._stop_button.setEnabled(False)
            self._tell("Stopping…")

    def shut_down(self) -> None:
        """Leave the viewer as if the widget had not been: end the run, forget callbacks, hear no thread."""
        if self._is_shut_down:
            return
        self._is_shut_down = True
        if self._run is not None:
            self._run.is_stopped.set()
            self._run = None
        self._executor.close()
        for emitter, callback in self._viewer_connections():
            emitter.disconnect(callback)

    # the run

    def _read_pickers(self) -> EverythingRun:
        image, output = self._image.layer, self._output.layer
        frame = SliceFrame.of(self._viewer, image)
        if output is not None:
            require_output(output, image)
        kind = self._prompts.currentText()
        return EverythingRun(
            model_key=(self.models.name, self._device.currentText()),
            image=image,
            shown=frame.shown,
            output=output,
            settings=EverythingSettings(
                points_per_side=self._points_per_side.value(),
                min_stability=self._min_stability.value(),
                min_agreement=self._min_agreement.value(),
                min_object_px=self._min_object_px.value(),
            ),
            clicks=clicks_from(self._points.layer, frame) if kind == POINTS else None,
            boxes=boxes_from(self._shapes.layer, frame) if kind == RECTANGLES else None,
            zoom=ZOOMS[self._zoom.currentText()],
        )

    def _on_prepared(self, run: EverythingRun, model: CpuFallback, steps: Steps) -> None:
        self._model, self._model_key = model, run.model_key
        self._on_fell_back()
        if run is self._run:
            self._tell("Encoding the image…")
            self._go_on(run, steps)

    def _on_fell_back(self) -> None:
        """The model may compute on the processor now, for want of memory: that stands below whatever is told."""
        self._lasting = self._model.notice if self._model is not None else ""
        if self._lasting:
            self._model_key = (self._model_key[0], "cpu")
            self._device.setCurrentText("cpu")
        self._tell(self._told)

    def _go_on(self, run: EverythingRun, steps: Steps) -> None:
        self._executor.submit(
            lambda: newest(steps),
            lambda progress: self._on_progress(run, steps, progress),
            lambda error: self._on_error(run, error),
        )

    def _on_progress(self, run: EverythingRun, steps: Steps, progress: Progress | None) -> None:
        if run is not self._run:
            return
        if progress is not None:
            self._progress = progress
            self._bar.setRange(0, progress.n_prompts)
            self._bar.setValue(progress.n_done)
            if not run.is_stopped.is_set():
                self._tell(words_of(progress))
            self._go_on(run, steps)
            return
        # nothing more comes; overlaps are settled in the thread, too
        last = self._progress
        if last is None:
            self._end("Stopped. Press Start to begin anew.")
            return
        self._executor.submit(
            last.result, lambda result: self._on_result(run, result), lambda error: self._on_error(run, error)
        )

    def _on_result(self, run: EverythingRun, result: EverythingResult) -> None:
        if run is not self._run:
            return
        if run.image not in self._viewer.layers:
            self._end("⚠ The image has gone in the meantime; nothing was written.")
            return
        try:
            self._end(self._written(run, result))
        except AnnotatorError as error:
            self._on_error(run, error)

    def _written(self, run: EverythingRun, result: EverythingResult) -> str:
        """Write the objects; returns what is to be told about it."""
        so_far = words_of_so_far(result)
        n_found = len(result.objects)
        if n_found == 0:
            return f"No object found{so_far}. Lower the least stability or size, or set more points per side."
        if run.output is None or run.output not in self._viewer.layers:
            layer = self._viewer.add_layer(new_objects_layer(run.image, run.shown, result.labels))
            return f"{n_objects(n_found)}{so_far}, in the layer '{layer.name}'."
        n_written = add_objects(run.output, run.image, run.shown, result.labels)
        hidden = f"; {n_found - n_written} lay wholly under labels that were there" if n_written < n_found else ""
        return f"{n_objects(n_written)}{so_far}, added to the layer '{run.output.name}'{hidden}."

    def _on_error(self, run: EverythingRun, error: Exception) -> None:
        if run is self._run:
            self._end("")
            self._show_error(error)

    def _end(self, text: str) -> None:
        self._run, self._progress = None, None
        self._tell(text)
        self._update_controls()

    # building

    def _build(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(8)
        column.addLayout(self._build_pickers())
        column.addLayout(self._build_prompts())
        column.addLayout(self._build_filters())
        column.addLayout(self._build_buttons())
        self._bar = prompts_bar()
        column.addWidget(self._bar)
        self._status = status_label(self._told)
        column.addWidget(self._status)
        column.addStretch(1)
        self._scroll(content)

    def _build_pickers(self) -> QFormLayout:
        self._image = LayerChoice(
            self._viewer, lambda layer: isinstance(layer, Image) and not is_view(layer), parent=self
        )
        self._image.setToolTip("The image: 2D or a stack, grey or RGB. Of a stack, the slice that is shown.")
        preferences = preferences_or_defaults()
        self.models = ModelChoice(preferences.default_model)
        self._device = device_choice(preferences.device)
        self._zoom = zoom_choice()
        form = form_layout()
        form.addRow("Image", self._image)
        form.addRow("Model", self.models)
        form.addRow("Device", self._device)
        form.addRow("Zoom", self._zoom)
        return form

    def _build_prompts(self) -> QFormLayout:
        self._prompts = prompts_choice()
        self._prompts.currentIndexChanged.connect(self._update_controls)
        self._points_per_side = points_per_side_box()
        self._points = LayerChoice(self._viewer, lambda layer: isinstance(layer, Points), parent=self)
        self._points.setToolTip("One point on each object. Points that are marked as negative do not count.")
        self._shapes = LayerChoice(self._viewer, lambda layer: isinstance(layer, Shapes), parent=self)
        self._shapes.setToolTip("One rectangle around each object. Other shapes do not count.")
        form = form_layout()
        form.addRow("Prompts", self._prompts)
        form.addRow("Points per side", self._points_per_side)
        form.addRow("Points", self._points)
        form.addRow("Shapes", self._shapes)
        return form

    def _build_filters(self) -> QFormLayout:
        self._min_stability = stability_box()
        self._min_agreement = agreement_box()
        self._min_object_px = size_box()
        self._output = LayerChoice(
            self._viewer, self._fits_output, none_text=_NEW_LAYER, prefers=lambda layer: False, parent=self
        )
        self._output.setToolTip(
            "Labels layer that the objects go into, on the slice that is shown. Its labels are never overwritten."
        )
        form = form_layout()
        form.addRow("Least stability", self._min_stability)
        form.addRow("Least agreement", self._min_agreement)
        form.addRow("Least size", self._min_object_px)
        form.addRow("Objects", self._output)
        return form

    def _build_buttons(self) -> QHBoxLayout:
        self._start_button = QPushButton("Start")
        self._start_button.setToolTip("Load the model, then ask for an object at each prompt.")
        self._start_button.clicked.connect(self.start)
        self._stop_button = QPushButton("Stop")
        self._stop_button.setToolTip("End early; the objects found so far are kept.")
        self._stop_button.clicked.connect(self.stop)
        row = QHBoxLayout()
        row.addWidget(self._start_button, 1)
        row.addWidget(self._stop_button)
        return row

    # showing

    def _update_controls(self, *_: object) -> None:
        """Bring everything into line with what can be done."""
        is_running = self._run is not None
        self.models.set_changeable(not is_running)
        pickers = (self._image, self._device, self._zoom, self._prompts, self._output)
        for picker in (*pickers, self._min_stability, self._min_object_px):
            picker.setEnabled(not is_running)
        kind = self._prompts.currentText()
        for picker, its_kind in (
            (self._points_per_side, GRID),
            (self._min_agreement, GRID),
            (self._points, POINTS),
            (self._shapes, RECTANGLES),
        ):
            picker.setEnabled(not is_running and kind == its_kind)
        self._start_button.setEnabled(not is_running and self._image.layer is not None)
        self._stop_button.setEnabled(is_running and not (self._run is not None and self._run.is_stopped.is_set()))
        if not is_running:
            self._bar.setRange(0, max(1, self._bar.maximum()))

    def _show_loading(self, run: EverythingRun) -> None:
        self._bar.setRange(0, 0)
        name = Path(run.model_key[0]).name
        self._tell("Encoding the image…" if run.model_key == self._model_key else f"Loading model {name}…")

    def _tell_whether_there_is_an_image(self) -> None:
        if self._image.layer is None and self._run is None:
            self._warn(NO_IMAGE)
        elif self._told.endswith(NO_IMAGE):
            self._tell(_PRESS_START)

    def _show_error(self, error: Exception) -> None:
        self._warn(words_for(error))

    def _warn(self, text: str) -> None:
        self._tell(f"⚠ {text}")

    def _tell(self, text: str) -> None:
        self._told = text
        lasting = f"\n⚠ {self._lasting}" if self._lasting else ""
        self._status.setText(f"{text}{lasting}")

    # the viewer's side

    def _viewer_connections(self) -> list[tuple[Any, Callable[..., None]]]:
        events = self._viewer.layers.events
        return [(emitter, self._on_layers) for emitter in (events.inserted, events.removed, events.renamed)]

    def _connect_viewer(self) -> None:
        for emitter, callback in self._viewer_connections():
            emitter.connect(callback)
        self._image.layer_changed.connect(self._on_image_picked)
        self.fell_back.connect(self._on_fell_back)

    def _on_image_picked(self) -> None:
        self._output.refresh()
        self._tell_whether_there_is_an_image()
        self._update_controls()

    def _on_layers(self, _: Any = None) -> None:
        for choice in (self._image, self._points, self._shapes, self._output):
            choice.refresh()
        self._update_controls()

    def _fits_output(self, layer: Any) -> bool:
        image = self._image.layer
        is_for_objects = isinstance(layer, Labels) and role_of(layer) in ("", "objects", "everything")
        return image is not None and is_for_objects and is_on_grid(layer, image)
