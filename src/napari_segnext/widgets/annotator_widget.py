"""The dock widget "SegNext annotator": pickers, tools and buttons around an `Annotator`. It holds no algorithm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari.layers import Image, Labels, Points, Shapes
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_segnext.annotator import TOOLS, Annotator, AnnotatorError, key_label
from napari_segnext.annotator.answers import will_zoom
from napari_segnext.annotator.bindings import BINDINGS
from napari_segnext.annotator.layers import (
    NEGATIVE_COLOUR,
    POSITIVE_COLOUR,
    follow_names,
    is_on_grid,
    is_view,
    role_of,
    was_made_for,
)
from napari_segnext.annotator.levels import image_at_level
from napari_segnext.annotator.preferences import preferences_or_defaults
from napari_segnext.annotator.tools import tool_in_hand
from napari_segnext.errors import ImageError
from napari_segnext.widgets.busy_bar import BusyBar
from napari_segnext.widgets.channel_panel import ChannelPanel
from napari_segnext.widgets.cheat_sheet import CheatSheet
from napari_segnext.widgets.depth_section import DepthSection
from napari_segnext.widgets.early_work import EarlyWork
from napari_segnext.widgets.layer_choice import LayerChoice
from napari_segnext.widgets.level_choice import LevelChoice
from napari_segnext.widgets.mask_panel import MaskPanel
from napari_segnext.widgets.messages import NO_IMAGE, is_passing, words_for
from napari_segnext.widgets.model_choice import ModelChoice, device_choice, load_by_name, load_guarded
from napari_segnext.widgets.object_table import ObjectTable
from napari_segnext.widgets.parts import (
    MIN_WIDTH_PX,
    DockedWidget,
    folding,
    form_layout,
    line,
    status_label,
    toggle_button,
    tool_button,
)
from napari_segnext.widgets.propagate_panel import PropagatePanel
from napari_segnext.widgets.resume_bar import ResumeBar
from napari_segnext.widgets.worker import QtExecutor

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari.viewer

    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.session.cpu_fallback import CpuFallback
    from napari_segnext.widgets.model_choice import ModelLoader

ZOOMS: dict[str, tuple[bool | None, str]] = {
    "automatic": (None, "As the model prefers."),
    "on": (True, "Look at regions of several sizes about the click first, then closely at the object."),
    "off": (False, "Look at the whole image only."),
}
"""Name of each setting: what `Annotator.zoom` gets, and how it is told."""

_ZOOM_TEXT = (
    "With zoom the model looks first at regions of several sizes about the click, from the whole image down,\n"
    "and takes the answer of which it is most certain; then it looks closely at the region about the object.\n"
    "That makes small objects on large images possible.\n"
    "You can switch at any time: the mask is computed anew; prompts and accepted objects stay.\n"
)
HIGHLIGHT_MS = 700
"""How long the preview shows what changed in the mask."""

AHEAD_AFTER_MS = 400
"""Rest after the last answer before neighbouring slices are encoded."""

_NEW_LAYER = "new layer"
_CLICK = "Click on the object; Shift+click on what does not belong to it."
_PRESS_START = "Press Start to annotate."
_TOOL_TITLES = {"click": "Click", "box": "Box", "polygon": "Polygon", "line": "Line", "brush": "Brush"}


class AnnotatorWidget(DockedWidget):
    """Segment objects of an image by clicks, boxes, polygons, lines and brush strokes.

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
        self._annotator: Annotator | None = None
        self._model: CpuFallback | None = None
        self._model_key = ("", "")
        self._loading_key: tuple[str, str] | None = None
        self._loads: set[tuple[str, str]] = set()
        self._busy = ""
        self._told, self._lasting = _PRESS_START, ""
        self._preferences = preferences_or_defaults()
        self._is_shut_down = False
        self._early = EarlyWork(viewer, self._executor, self._work_early, self)
        self._build()
        self._connect_viewer()
        self._tell_whether_there_is_an_image()
        self._update_controls()
        self._ahead_timer = QTimer(self)
        self._ahead_timer.setSingleShot(True)
        self._ahead_timer.setInterval(AHEAD_AFTER_MS)
        self._ahead_timer.timeout.connect(self._encode_ahead)
        self._settle_timer = QTimer(self)
        self._settle_timer.setSingleShot(True)
        self._settle_timer.setInterval(HIGHLIGHT_MS)
        self._settle_timer.timeout.connect(self._settle)
        self.destroyed.connect(self._executor.close)

    @property
    def annotator(self) -> Annotator | None:
        """The annotation that is going on, if one is."""
        return self._annotator

    @property
    def propagate_panel(self) -> PropagatePanel:
        """The section "Propagate"."""
        return self._propagate_panel

    # what the user does

    def start(self) -> None:
        """Load the model if needed, in a thread, then begin to annotate the image that is picked."""
        if self._loading_key is not None or self._is_shut_down:
            return
        if self._image.layer is None:
            self._warn(NO_IMAGE)
            return
        if self._level.level:
            try:
                layer = image_at_level(self._viewer, self._image.layer, self._level.level)
            except AnnotatorError as error:
                self._warn(str(error))
                return
            self._image.refresh()
            self._image.pick(layer)
        self._early.not_now()
        key = self._picked_key()
        self._loading_key = key
        if self._model is not None and key == self._model_key:
            self._begin_if_wanted(key, self._model)
            return
        self._show_busy(f"Loading model {Path(key[0]).name}…")
        self._load(key)

    def stop(self) -> None:
        """Give up what is being loaded or computed."""
        if self._loading_key is not None:
            self._loading_key = None
            self._show_busy("")
            self._tell("Stopped. Press Start to go on.")
        elif self._annotator is not None:
            self._annotator.stop()

    def end(self) -> None:
        """End the annotation; prompts and accepted objects stay in their layers."""
        if self._annotator is not None:
            self._annotator.close()

    def show_keys(self) -> None:
        """Open a window with all keys."""
        CheatSheet(self).show()

    def shut_down(self) -> None:
        """Leave the viewer as if the widget had not been: end the annotation, forget callbacks, hear no thread."""
        if self._is_shut_down:
            return
        self._is_shut_down = True
        self._early.close()
        self.end()
        self._executor.close()
        for emitter, callback in self._viewer_connections():
            emitter.disconnect(callback)

    # model and annotation

    def _picked_key(self) -> tuple[str, str]:
        return self.models.name, self._device.currentText()

    def _work_early(self) -> None:
        """Nothing was picked for a moment: get ready what Start will need."""
        if self._annotator is not None or self._loading_key is not None or self._is_shut_down:
            return
        if self._image.layer is None or not self.isVisible() or not self.models.is_ready:
            return
        key = self._picked_key()
        if self._model is not None and key == self._model_key:
            self._early.encode(self._image.layer, self._model, self._picked_zoom())
        else:
            self._load(key)

    def _load(self, key: tuple[str, str]) -> None:
        """Load a model in a thread, unless that is being done."""
        if key in self._loads:
            return
        self._loads.add(key)
        self._executor.submit(
            lambda: load_guarded(self._load_model, *key, self.fell_back.emit),
            lambda model: self._on_model(key, model),
            lambda error: self._on_load_error(key, error),
        )

    def _on_model(self, key: tuple[str, str], model: CpuFallback) -> None:
        self._loads.discard(key)
        if key not in (self._loading_key, self._picked_key()):
            return
        self._model, self._model_key = model, key
        self._on_fell_back()
        self._tell_preference()
        if self._loading_key == key:
            self._begin_if_wanted(key, model)
        else:
            self._work_early()

    def _begin_if_wanted(self, key: tuple[str, str], model: CpuFallback) -> None:
        """Begin to annotate, unless the user stopped it; after the image was encoded, if that has begun."""
        if self._loading_key != key:
            return
        layer = self._image.layer
        if layer is not None and self._early.is_encoding(layer, is_zoomed=will_zoom(model, self._picked_zoom())):
            self._show_busy("Encoding the image…")
            self._early.call_after(lambda: self._begin_if_wanted(key, model))
            return
        self._loading_key = None
        self._show_busy("")
        if self._image.layer is None:
            self._warn("The image has gone while the model was loaded. Pick another one and press Start.")
            return
        self._begin(model)

    def _on_fell_back(self) -> None:
        """The model may compute on the processor now, for want of memory: that stands below whatever is told."""
        self._lasting = self._model.notice if self._model is not None else ""
        if self._lasting:
            # whoever picks another device has the model loaded anew there
            self._model_key = (self._model_key[0], "cpu")
            self._device.setCurrentText("cpu")
        self._show_status()

    def _tell_whether_there_is_an_image(self) -> None:
        if self._image.layer is None:
            self._warn(NO_IMAGE)
        elif self._told.endswith(NO_IMAGE):
            self._tell(_PRESS_START)

    def _on_load_error(self, key: tuple[str, str], error: Exception) -> None:
        self._loads.discard(key)
        if self._loading_key == key:
            self._loading_key = None
            self._show_busy("")
            self._show_error(error)

    def _begin(self, model: InteractiveModel) -> None:
        self.end()
        try:
            annotator = Annotator(
                self._viewer,
                self._image.layer,
                model,
                points=self._points.layer,
                shapes=self._shapes.layer,
                scribbles=self._scribbles.layer,
                output=self._output.layer,
                zoom=self._picked_zoom(),
                executor=self._executor,
            )
        except (AnnotatorError, ImageError) as error:
            self._show_error(error)
            return
        self._annotator = annotator
        annotator.ask_overlap = self._ask_overlap
        self._connect_annotator(annotator)
        self._channel_panel.show_annotator(annotator)
        self._depth_section.show_annotator(annotator)
        self._mask_panel.show_annotator(annotator)
        self._objects_table.show_annotator(annotator)
        self._propagate_panel.show_annotator(annotator)
        self._tell(_CLICK)
        annotator.use_tool("click")
        annotator.prepare()
        if annotator.notice:
            self._tell(annotator.notice)
        self._resume_bar.watch(annotator)
        self._show_busy(annotator.busy_text)

    def _connect_annotator(self, annotator: Annotator) -> None:
        for layer in annotator.layers.prompts:
            layer.events.mode.connect(self._update_controls)
        annotator.busy_changed.connect(self._show_busy)
        annotator.mask_changed.connect(self._on_mask_changed)
        annotator.history_changed.connect(self._update_controls)
        annotator.sign_changed.connect(self._on_sign_changed)
        annotator.zoom_changed.connect(self._show_zoom)
        annotator.accepted.connect(self._on_accepted)
        annotator.noticed.connect(self._on_noticed)
        annotator.failed.connect(self._show_error)
        annotator.closed.connect(self._on_closed)

    def _on_closed(self, reason: str) -> None:
        annotator, self._annotator = self._annotator, None
        self._resume_bar.leave()
        self._channel_panel.show_annotator(None)
        self._depth_section.show_annotator(None)
        self._mask_panel.show_annotator(None)
        self._objects_table.show_annotator(None)
        self._propagate_panel.show_annotator(None)
        if annotator is not None:
            for layer in annotator.layers.prompts:
                layer.events.mode.disconnect(self._update_controls)
        self._show_busy("")
        if reason:
            self._warn(reason)
        else:
            self._tell(_PRESS_START)
        self._update_controls()

    def _on_mask_changed(self) -> None:
        annotator = self._annotator
        self._settle_timer.start()
        if annotator is not None and annotator.mask is not None and not annotator.notice:
            n_prompts, n_pixels = len(annotator.prompts), int(annotator.mask.sum())
            plural = "" if n_prompts == 1 else "s"
            then = f"{key_label('accept')} accepts the object." if n_pixels else "Click on the object."
            self._tell(f"{n_prompts} prompt{plural}, {n_pixels} pixels. {then}")
        self._update_controls()

    def _on_noticed(self, text: str) -> None:
        if text:
            self._tell(text)
        else:
            self._tell(_CLICK)
            self._on_mask_changed()

    def _on_accepted(self, label: int) -> None:
        self._tell(f"Object {label} accepted. Click on the next one.")

    def _encode_ahead(self) -> None:
        """Nothing is going on: the slices beside the shown one are encoded, so that going there costs nothing."""
        annotator = self._annotator
        if annotator is not None and not annotator.is_busy and not annotator.propagation.is_running:
            annotator.prepare_neighbours()

    def _settle(self) -> None:
        if self._annotator is not None:
            self._annotator.settle_preview()

    def _ask_overlap(self, labels: tuple[int, ...]) -> Literal["keep", "overwrite", "cancel"]:
        """Whether the mask may take pixels of other objects: "keep", "overwrite" or "cancel"."""
        box = QMessageBox(self)
        box.setWindowTitle("Overlap")
        names = ", ".join(str(label) for label in labels[:10]) + (" …" if len(labels) > 10 else "")
        box.setText(f"The mask reaches into object {names}. To whom do these pixels belong?")
        keep = box.addButton("To the old ones", QMessageBox.ButtonRole.AcceptRole)
        overwrite = box.addButton("To the new one", QMessageBox.ButtonRole.DestructiveRole)
        box.addButton(QMessageBox.StandardButton.Cancel)
        box.exec()
        if box.clickedButton() is keep:
            return "keep"
        return "overwrite" if box.clickedButton() is overwrite else "cancel"

    def _on_unsaved(self, error: Exception) -> None:
        self._warn(f"{words_for(error)} What you have done is still here; saving is tried again.")

    def _on_image_picked(self) -> None:
        self._level.show_image(self._image.layer)
        for choice in (self._points, self._shapes, self._scribbles, self._output):
            choice.forget_pick()
        annotator = self._annotator
        # an image that was deleted is the annotator's business, once napari is done with deleting
        if annotator is not None and self._image.layer != annotator.layers.image in self._viewer.layers:
            annotator.close("Another image is picked. Press Start to annotate it.")
        self._tell_whether_there_is_an_image()
        self._update_controls()
        self._early.soon()

    def showEvent(self, event: Any) -> None:
        """Whoever opens the widget is about to annotate."""
        super().showEvent(event)
        self._early.import_soon()
        self._early.soon()

    # building

    def _build(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(8)
        column.addLayout(self._build_pickers())
        column.addWidget(self._build_layer_section())
        column.addWidget(self._build_start())
        self._resume_bar = ResumeBar(self._preferences, self._executor, self)
        self._resume_bar.told.connect(self._tell)
        self._resume_bar.failed.connect(self._on_unsaved)
        column.addWidget(self._resume_bar)
        column.addWidget(line())
        column.addLayout(self._build_tools())
        column.addLayout(self._build_signs())
        column.addWidget(line())
        column.addLayout(self._build_actions())
        column.addLayout(self._build_progress())
        column.addWidget(self._build_status())
        column.addWidget(line())
        self._channel_panel = ChannelPanel(self._viewer, self._do, self)
        column.addWidget(folding("Channels", "Which channels the model sees.", self._channel_panel))
        self._depth_section = DepthSection(self._viewer, self._do, self)
        column.addWidget(folding("Depth", "How near things are, for models that read depth.", self._depth_section))
        self._mask_panel = MaskPanel(self._viewer, self._do, self)
        self._mask_panel.overlap.setCurrentText(self._preferences.overlap)
        column.addWidget(folding("Mask", "Threshold, clean-up, overlap, views, masks to start from.", self._mask_panel))
        self._objects_table = ObjectTable(self._executor, self._do, self)
        column.addWidget(
            folding(
                "List of objects", "Rename, reopen, merge, lock, delete, measure.", self._objects_table, is_open=True
            )
        )
        self._propagate_panel = PropagatePanel(
            self._viewer, lambda: self._objects_table.selected_labels, self._do, self
        )
        column.addWidget(
            folding("Propagate", "From a few annotated slices to the volume, and its review.", self._propagate_panel)
        )
        column.addStretch(1)
        area = self._scroll(content)
        panels = (self._mask_panel, self._propagate_panel)
        widest = max(content.minimumSizeHint().width(), *(one.minimumSizeHint().width() + 12 for one in panels))
        # the theme of napari makes buttons a little wider than they are now
        widest += area.verticalScrollBar().sizeHint().width() + 28
        self.setMinimumWidth(max(MIN_WIDTH_PX, widest))

    def _build_pickers(self) -> QFormLayout:
        self._image = LayerChoice(self._viewer, _is_image, prefers=lambda layer: True, parent=self)
        self._image.setToolTip(
            "The image to annotate: 2D or a stack, grey or RGB. On a stack, the slice that is shown."
        )
        form = form_layout()
        form.addRow("Image", self._image)
        self._level = LevelChoice(form)
        self._level.show_image(self._image.layer)
        self.models = ModelChoice(self._preferences.default_model)
        form.addRow("Model", self.models)
        self._device = device_choice(self._preferences.device)
        form.addRow("Device", self._device)
        form.addRow("Zoom", self._build_zoom())
        return form

    def _build_zoom(self) -> QComboBox:
        self._zoom = QComboBox()
        for row, (name, (_, text)) in enumerate(ZOOMS.items()):
            self._zoom.addItem(name)
            self._zoom.setItemData(row, text, Qt.ItemDataRole.ToolTipRole)
        self._zoom.currentIndexChanged.connect(self._on_zoom_picked)
        self.models.changed.connect(self._tell_preference)
        self._tell_preference()
        return self._zoom

    def _build_layer_section(self) -> QWidget:
        form = form_layout(left=12)
        self._points = self._add_layer_row(form, "Clicks", "clicks", lambda layer: isinstance(layer, Points))
        self._shapes = self._add_layer_row(form, "Shapes", "shapes", lambda layer: isinstance(layer, Shapes))
        self._scribbles = self._add_layer_row(form, "Scribbles", "scribbles", self._fits_scribbles)
        self._output = self._add_layer_row(form, "Objects", "objects", self._fits_output)
        self._points.setToolTip("Points layer of the clicks; its feature 'is_positive' tells object from background.")
        self._shapes.setToolTip(
            "Shapes layer: rectangle = box, polygon and ellipse = polygon, path and line = scribble."
        )
        self._scribbles.setToolTip("Labels layer of the brush strokes: 1 = object, 2 = background.")
        self._output.setToolTip(
            "Labels layer that accepted objects are written into. What becomes of objects that lie there already, "
            "Overlap says, under Mask."
        )
        body = QWidget()
        body.setLayout(form)
        body.setVisible(False)
        return folding("Layers", "Pick layers of your own instead of new ones.", body)

    def _add_layer_row(self, form: QFormLayout, title: str, role: str, accepts: Callable[[Any], bool]) -> LayerChoice:
        choice = LayerChoice(
            self._viewer,
            accepts,
            none_text=_NEW_LAYER,
            prefers=lambda layer: self._image.layer is not None and was_made_for(layer, self._image.layer, role),
            parent=self,
        )
        form.addRow(title, choice)
        return choice

    def _build_start(self) -> QPushButton:
        self._start_button = QPushButton("Start")
        self._start_button.setToolTip("Load the model, encode the image and make the layers to draw on.")
        self._start_button.clicked.connect(self._on_start_clicked)
        return self._start_button

    def _build_tools(self) -> QHBoxLayout:
        self._tool_buttons: dict[str, QPushButton] = {}
        row = QHBoxLayout()
        row.setSpacing(3)
        for tool in TOOLS:
            button = toggle_button(_TOOL_TITLES[tool.name])
            button.setMinimumWidth(20)
            button.setToolTip(f"{_TOOL_TITLES[tool.name]}: {tool.text}. Next tool: {key_label('use_next_tool')}")
            button.clicked.connect(lambda _, name=tool.name: self._use_tool(name))
            row.addWidget(button)
            self._tool_buttons[tool.name] = button
        return row

    def _build_signs(self) -> QHBoxLayout:
        key = key_label("flip_sign")
        self._object_button = toggle_button(
            "●  Object", f"What you draw lies on the object. Switch: {key}", colour=POSITIVE_COLOUR
        )
        self._background_button = toggle_button(
            "✕  Background",
            f"What you draw does not belong to the object; for one click, hold Shift. Switch: {key}",
            colour=NEGATIVE_COLOUR,
        )
        self._object_button.setChecked(True)
        self._object_button.clicked.connect(lambda: self._set_sign(is_positive=True))
        self._background_button.clicked.connect(lambda: self._set_sign(is_positive=False))
        group = QButtonGroup(self)
        row = QHBoxLayout()
        row.setSpacing(3)
        for button in (self._object_button, self._background_button):
            group.addButton(button)
            row.addWidget(button)
        return row

    def _build_actions(self) -> QGridLayout:
        self._accept_button = self._action_button("Accept", "accept")
        self._reset_button = self._action_button("Reset", "reset")
        self._undo_button = self._action_button("Undo", "undo")
        self._redo_button = self._action_button("Redo", "redo")
        grid = QGridLayout()
        grid.setSpacing(3)
        grid.addWidget(self._accept_button, 0, 0)
        grid.addWidget(self._reset_button, 0, 1)
        grid.addWidget(self._undo_button, 1, 0)
        grid.addWidget(self._redo_button, 1, 1)
        return grid

    def _action_button(self, title: str, action: str) -> QPushButton:
        binding = next(binding for binding in BINDINGS if binding.action == action)
        button = QPushButton(f"{title}  ({binding.label})")
        button.setToolTip(f"{binding.text[:1].upper()}{binding.text[1:]}. Key: {binding.label}")
        button.clicked.connect(lambda: self._act(action))
        return button

    def _build_progress(self) -> QHBoxLayout:
        self._bar = BusyBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(8)
        self._bar.setToolTip("Moves while the model is loaded or computes.")
        self._stop_button = QPushButton("Stop")
        self._stop_button.setToolTip(
            f"Stop loading or computing; after that, compute again. Key to stop: {key_label('stop')}"
        )
        self._stop_button.clicked.connect(self._on_stop_clicked)
        row = QHBoxLayout()
        row.addWidget(self._bar, 1)
        row.addWidget(self._stop_button)
        self._help_button = tool_button("?", "All keys on one page.", self.show_keys)
        row.addWidget(self._help_button)
        return row

    def _build_status(self) -> QLabel:
        self._status = status_label(self._told)
        return self._status

    # zoom

    def _picked_zoom(self) -> bool | None:
        return ZOOMS[self._zoom.currentText()][0]

    def _on_zoom_picked(self) -> None:
        annotator = self._annotator
        if annotator is None:
            return
        try:
            annotator.zoom = self._picked_zoom()
        except ImageError as error:
            self._show_zoom(annotator.zoom)
            self._show_error(error)

    def _show_zoom(self, zoom: bool | None) -> None:
        """Show a setting that is in force already."""
        names = [name for name, (value, _) in ZOOMS.items() if value is zoom]
        self._zoom.setCurrentText(names[0])

    def _tell_preference(self, *_: object) -> None:
        """Say in the tooltip what automatic means, as far as it is known."""
        meaning = "as the model prefers; which that is, you read here once it is loaded"
        if self._model is not None and self._model_key[0] == self.models.name:
            meaning = f"{'on' if will_zoom(self._model, None) else 'off'}, as {self.models.text} prefers"
        self._zoom.setToolTip(f"{_ZOOM_TEXT}Automatic: {meaning}.")

    # buttons

    def _on_start_clicked(self) -> None:
        if self._annotator is None:
            self.start()
        else:
            self.end()

    def _on_stop_clicked(self) -> None:
        annotator = self._annotator
        if annotator is not None and annotator.has_given_up and self._loading_key is None:
            annotator.compute()
        else:
            self.stop()

    def _act(self, action: str) -> None:
        if self._annotator is not None:
            self._annotator.act(action)

    def _do(self, action: Callable[[], object]) -> None:
        """Do something to the annotation; what cannot be done is told."""
        try:
            action()
        except (ValueError, OSError) as error:
            self._show_error(error)

    def _use_tool(self, name: str) -> None:
        if self._annotator is not None:
            self._annotator.use_tool(name)
            self._tell(f"{_TOOL_TITLES[name]}: {next(tool.text for tool in TOOLS if tool.name == name)}.")
        self._update_controls()

    def _set_sign(self, *, is_positive: bool) -> None:
        if self._annotator is not None:
            self._annotator.set_sign(is_positive=is_positive)

    def _on_sign_changed(self, is_positive: bool) -> None:
        self._object_button.setChecked(is_positive)
        self._background_button.setChecked(not is_positive)

    # showing

    def _update_controls(self, *_: object) -> None:
        """Bring every button into line with what can be done."""
        annotator = self._annotator
        is_on = annotator is not None
        self._start_button.setText("End" if is_on else "Start")
        is_loading = self._loading_key is not None
        self._start_button.setEnabled(is_on or (self._image.layer is not None and not is_loading))
        self._image.setEnabled(not is_loading)
        self._level.setEnabled(not is_on and not is_loading)
        choices = (self._points, self._shapes, self._scribbles, self._output)
        self.models.set_changeable(not is_on and not is_loading)
        for widget in (self._device, *choices):
            widget.setEnabled(not is_on and not is_loading)
        tool = tool_in_hand(self._viewer, annotator.layers) if annotator is not None else None
        for name, button in self._tool_buttons.items():
            button.setEnabled(is_on)
            button.setChecked(tool is not None and tool.name == name)
        for button in (self._object_button, self._background_button):
            button.setEnabled(is_on)
        self._accept_button.setEnabled(annotator is not None and annotator.prediction is not None)
        self._reset_button.setEnabled(annotator is not None and len(annotator.prompts) > 0)
        self._undo_button.setEnabled(annotator is not None and annotator.can_undo)
        self._redo_button.setEnabled(annotator is not None and annotator.can_redo)
        what = annotator.undo_text if annotator is not None else ""
        self._undo_button.setToolTip(f"Take back: {what or 'nothing yet'}. Key: {key_label('undo')}")
        what = annotator.redo_text if annotator is not None else ""
        self._redo_button.setToolTip(f"Repeat: {what or 'nothing'}. Key: {key_label('redo')}")

    def _show_busy(self, text: str) -> None:
        is_busy = bool(text)
        if not is_busy and self._annotator is not None and not self._annotator.has_given_up:
            self._ahead_timer.start()
        self._bar.setRange(0, 0 if is_busy else 1)
        can_compute = not is_busy and self._annotator is not None and self._annotator.has_given_up
        self._stop_button.setText("Compute" if can_compute else "Stop")
        self._stop_button.setEnabled(is_busy or can_compute)
        self._busy = text
        self._show_status()
        self._update_controls()

    def _show_error(self, error: Exception) -> None:
        if is_passing(error):
            self._tell(words_for(error))
        else:
            self._warn(words_for(error))

    def _warn(self, text: str) -> None:
        self._tell(f"⚠ {text}")

    def _tell(self, text: str) -> None:
        self._told = text
        self._show_status()

    def _show_status(self) -> None:
        lasting = f"\n⚠ {self._lasting}" if self._lasting else ""
        self._status.setText(f"{self._busy or self._told}{lasting}")

    # the viewer's side

    def _viewer_connections(self) -> list[tuple[Any, Callable[..., None]]]:
        events = self._viewer.layers.events
        refreshers = [(emitter, self._on_layers) for emitter in (events.inserted, events.removed, events.renamed)]
        return [*refreshers, (self._viewer.layers.selection.events.active, self._update_controls)]

    def _connect_viewer(self) -> None:
        for emitter, callback in self._viewer_connections():
            emitter.connect(callback)
        self._image.layer_changed.connect(self._on_image_picked)
        self.fell_back.connect(self._on_fell_back)
        self.models.changed.connect(self._early.soon)
        for picker in (self._device, self._zoom):
            picker.currentIndexChanged.connect(self._early.soon)

    def _on_layers(self, _: Any = None) -> None:
        follow_names(self._viewer.layers)
        for choice in (self._image, self._points, self._shapes, self._scribbles, self._output):
            choice.refresh()
        self._channel_panel.refresh_layers()
        self._depth_section.refresh_layers()
        self._mask_panel.refresh_layers()
        self._update_controls()

    def _fits_scribbles(self, layer: Any) -> bool:
        return self._fits_image(layer) and role_of(layer) in ("", "scribbles")

    def _fits_output(self, layer: Any) -> bool:
        return self._fits_image(layer) and role_of(layer) in ("", "objects", "everything")

    def _fits_image(self, layer: Any) -> bool:
        image = self._image.layer
        return image is not None and isinstance(layer, Labels) and is_on_grid(layer, image)


def _is_image(layer: Any) -> bool:
    """Whether a layer can be annotated: an image, but none that only shows what the model says."""
    return isinstance(layer, Image) and not is_view(layer)
