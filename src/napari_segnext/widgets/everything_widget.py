"""The dock widget "SegNext everything": pickers, Start and Stop around `iterate_everything`. It holds no algorithm.

1. Start reads the pickers into a frozen `_Run`; a thread loads the model and prepares the steps.
2. A thread takes steps for a moment and comes back with the newest progress, which is shown; then the next one does.
3. Stop lets the steps end early. At the end, the objects found go into a labels layer, on the slice of the run.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels, Points, Shapes
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_segnext.annotator import AnnotatorError, SliceFrame
from napari_segnext.annotator.answers import require_readable, will_zoom
from napari_segnext.annotator.coordinates import finest_level, image_plane
from napari_segnext.annotator.everything_layers import (
    add_objects,
    boxes_on_slice,
    clicks_on_slice,
    new_objects_layer,
    require_output,
)
from napari_segnext.annotator.layers import is_on_grid, is_view, role_of
from napari_segnext.annotator.preferences import preferences_or_defaults
from napari_segnext.everything.settings import (
    MIN_AGREEMENT,
    MIN_OBJECT_PX,
    MIN_STABILITY,
    POINTS_PER_SIDE,
    EverythingSettings,
)
from napari_segnext.widgets.layer_choice import LayerChoice
from napari_segnext.widgets.messages import NO_IMAGE, words_for
from napari_segnext.widgets.model_choice import ModelChoice, device_choice, load_by_name, load_guarded
from napari_segnext.widgets.parts import DockedWidget, form_layout, status_label
from napari_segnext.widgets.worker import QtExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import napari.viewer

    from napari_segnext.annotator import ShownSlice
    from napari_segnext.everything import EverythingProgress, EverythingResult
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.prompts import Box, Click
    from napari_segnext.session.cpu_fallback import CpuFallback
    from napari_segnext.widgets.model_choice import ModelLoader

    Steps = Iterator[EverythingProgress]

GRID, POINTS, RECTANGLES = "grid of clicks", "points layer", "rectangles of a shapes layer"
_ZOOMS: dict[str, bool | None] = {"automatic": None, "on": True, "off": False}
_NEW_LAYER = "new layer"
_PRESS_START = "Press Start to segment everything."
_SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True, eq=False)
class _Run:
    """What Start read from the pickers."""

    model_key: tuple[str, str]
    image: Any
    shown: ShownSlice
    output: Labels | None
    settings: EverythingSettings
    clicks: list[Click] | None
    boxes: list[Box] | None
    zoom: bool | None
    is_stopped: Event = field(default_factory=Event)

    def steps(self, model: InteractiveModel) -> Steps:
        """The work, not begun yet; reads the slice of the image."""
        from napari_segnext.everything import iterate_everything

        require_readable(self.shown, is_zoomed=will_zoom(model, self.zoom))
        return iterate_everything(
            model,
            image_plane(finest_level(self.image), self.shown),
            self.settings,
            clicks=self.clicks,
            boxes=self.boxes,
            zoom=self.zoom,
            is_wanted=lambda: not self.is_stopped.is_set(),
        )


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
        self._run: _Run | None = None
        self._progress: EverythingProgress | None = None
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
            lambda: _prepared(run, model or load_guarded(self._load_model, *run.model_key, self.fell_back.emit)),
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

    def _read_pickers(self) -> _Run:
        image, output = self._image.layer, self._output.layer
        frame = SliceFrame.of(self._viewer, image)
        if output is not None:
            require_output(output, image)
        clicks = self._clicks(frame) if self._prompts.currentText() == POINTS else None
        boxes = self._boxes(frame) if self._prompts.currentText() == RECTANGLES else None
        return _Run(
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
            clicks=clicks,
            boxes=boxes,
            zoom=_ZOOMS[self._zoom.currentText()],
        )

    def _clicks(self, frame: SliceFrame) -> list[Click]:
        clicks = [] if self._points.layer is None else clicks_on_slice(self._points.layer, frame)
        if not clicks:
            raise AnnotatorError(
                f"no point lies on {frame.shown}. Add a points layer and put one point on each object."
            )
        return clicks

    def _boxes(self, frame: SliceFrame) -> list[Box]:
        boxes = [] if self._shapes.layer is None else boxes_on_slice(self._shapes.layer, frame)
        if not boxes:
            raise AnnotatorError(
                f"no rectangle lies on {frame.shown}. Add a shapes layer and draw one rectangle around each object."
            )
        return boxes

    def _on_prepared(self, run: _Run, model: CpuFallback, steps: Steps) -> None:
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

    def _go_on(self, run: _Run, steps: Steps) -> None:
        self._executor.submit(
            lambda: _newest(steps),
            lambda progress: self._on_progress(run, steps, progress),
            lambda error: self._on_error(run, error),
        )

    def _on_progress(self, run: _Run, steps: Steps, progress: EverythingProgress | None) -> None:
        if run is not self._run:
            return
        if progress is not None:
            self._progress = progress
            self._bar.setRange(0, progress.n_prompts)
            self._bar.setValue(progress.n_done)
            if not run.is_stopped.is_set():
                self._tell(f"{progress.n_found} found so far.")
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

    def _on_result(self, run: _Run, result: EverythingResult) -> None:
        if run is not self._run:
            return
        if run.image not in self._viewer.layers:
            self._end("⚠ The image has gone in the meantime; nothing was written.")
            return
        try:
            self._end(self._written(run, result))
        except AnnotatorError as error:
            self._on_error(run, error)

    def _written(self, run: _Run, result: EverythingResult) -> str:
        """Write the objects; returns what is to be told about it."""
        so_far = "" if result.is_complete else f" after {result.n_done} of {result.n_prompts} prompts"
        n_found = len(result.objects)
        if n_found == 0:
            return f"No object found{so_far}. Lower the least stability or size, or set more points per side."
        if run.output is None or run.output not in self._viewer.layers:
            layer = self._viewer.add_layer(new_objects_layer(run.image, run.shown, result.labels))
            return f"{_objects(n_found)}{so_far}, in the layer '{layer.name}'."
        n_written = add_objects(run.output, run.image, run.shown, result.labels)
        hidden = f"; {n_found - n_written} lay wholly under labels that were there" if n_written < n_found else ""
        return f"{_objects(n_written)}{so_far}, added to the layer '{run.output.name}'{hidden}."

    def _on_error(self, run: _Run, error: Exception) -> None:
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
        column.addWidget(self._build_bar())
        column.addWidget(self._build_status())
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
        self._zoom = QComboBox()
        self._zoom.addItems(list(_ZOOMS))
        self._zoom.setToolTip(
            "On: look closely at the region about each object, which small objects need.\n"
            "Off: look at the whole image only, which is much faster.\nAutomatic: as the model prefers."
        )
        form = form_layout()
        form.addRow("Image", self._image)
        form.addRow("Model", self.models)
        form.addRow("Device", self._device)
        form.addRow("Zoom", self._zoom)
        return form

    def _build_prompts(self) -> QFormLayout:
        self._prompts = QComboBox()
        self._prompts.addItems([GRID, POINTS, RECTANGLES])
        self._prompts.setToolTip("What asks for objects: clicks all over the image, or one mark of yours for each.")
        self._prompts.currentIndexChanged.connect(self._update_controls)
        self._points_per_side = QSpinBox()
        self._points_per_side.setRange(1, 128)
        self._points_per_side.setValue(POINTS_PER_SIDE)
        self._points_per_side.setToolTip(
            "Clicks along each side of the image: objects should be larger than their distance."
        )
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
        self._min_stability = QDoubleSpinBox()
        self._min_stability.setRange(0, 1)
        self._min_stability.setSingleStep(0.05)
        self._min_stability.setValue(MIN_STABILITY)
        self._min_stability.setToolTip(
            "How little the mask of an object may depend on the threshold. Lower finds more objects, also wrong ones."
        )
        self._min_agreement = QDoubleSpinBox()
        self._min_agreement.setRange(0, 1)
        self._min_agreement.setSingleStep(0.05)
        self._min_agreement.setValue(MIN_AGREEMENT)
        self._min_agreement.setToolTip(
            "How well what a click of the grid finds must agree with what a second click on it finds.\n"
            "0 asks for no second answer, which is faster and finds more, also wrong objects."
        )
        self._min_object_px = QSpinBox()
        self._min_object_px.setRange(0, 1_000_000_000)
        self._min_object_px.setValue(MIN_OBJECT_PX)
        self._min_object_px.setSuffix(" px")
        self._min_object_px.setToolTip("Least area of an object.")
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

    def _build_bar(self) -> QProgressBar:
        self._bar = QProgressBar()
        self._bar.setRange(0, 1)
        self._bar.setFormat("%v of %m")
        self._bar.setToolTip("Prompts that were answered or skipped.")
        return self._bar

    def _build_status(self) -> QLabel:
        self._status = status_label(self._told)
        return self._status

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

    def _show_loading(self, run: _Run) -> None:
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


def _prepared(run: _Run, model: CpuFallback) -> tuple[CpuFallback, Steps]:
    """The model and the steps of the run."""
    return model, run.steps(model)


def _newest(steps: Steps) -> EverythingProgress | None:
    """The progress after a moment of work; None if there is nothing more to do."""
    end = time.monotonic() + _SECONDS_BETWEEN_LOOKS
    newest = next(steps, None)
    while newest is not None and time.monotonic() < end:
        following = next(steps, None)
        if following is None:
            break
        newest = following
    return newest


def _objects(n: int) -> str:
    return f"{n} object" if n == 1 else f"{n} objects"
