"""Picking a model and the device that it computes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QWidget

from napari_segnext.widgets.parts import tool_button

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.session.cpu_fallback import CpuFallback

ModelLoader: TypeAlias = "Callable[[str, str], InteractiveModel]"
"""(name or path, device) → model."""

DEVICES = {
    "auto": "the graphics card if there is one that torch can use, else the processor",
    "cpu": "the processor",
    "cuda": "an NVIDIA graphics card",
    "mps": "the graphics part of an Apple processor",
}
_MODEL_FILES = "SegNext weights (*.safetensors *.pth *.pt)"


def load_by_name(name: str, device: str) -> InteractiveModel:
    """A model from the registry or a file; torch is loaded with the first one."""
    from napari_segnext.weights import load_model

    return load_model(name, device=device)


def load_guarded(load_model: ModelLoader, name: str, device: str, on_fallback: Callable[[], object]) -> CpuFallback:
    """A model that goes on on the processor where memory does not suffice; to be called in a thread."""
    from napari_segnext.session.cpu_fallback import load_with_fallback

    return load_with_fallback(load_model, name, device, on_fallback)


def device_choice(preferred: str) -> QComboBox:
    """A picker of devices."""
    picker = QComboBox()
    for row, (name, text) in enumerate(DEVICES.items()):
        picker.addItem(name)
        picker.setItemData(row, text, Qt.ItemDataRole.ToolTipRole)
    picker.setToolTip("Where the model computes: auto takes the fastest device that is there.")
    picker.setCurrentText(preferred)
    return picker


class ModelChoice(QWidget):  # type: ignore[misc]
    """A picker of models, with buttons to take a file and to manage all models.

    Parameters
    ----------
    preferred
        Name or path of the model that is picked at first, if it is there; else the default one is.
    """

    changed = Signal()
    """Another model is picked."""

    def __init__(self, preferred: str) -> None:
        super().__init__()
        self._preferred = preferred
        self._picker = QComboBox()
        self._picker.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._picker.setMinimumContentsLength(10)
        self._picker.setToolTip("The model; segnext-tiny comes with the plugin.")
        self._browse = tool_button(
            "…", "Take a weights file: .safetensors of this plugin, or an original SegNext .pth.", self._browse_files
        )
        manage = tool_button("⚙", "Download, import and delete models; their licences and sizes.", self._manage)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._picker, 1)
        layout.addWidget(self._browse)
        layout.addWidget(manage)
        self._fill()
        self._picker.currentIndexChanged.connect(lambda _: self.changed.emit())

    @property
    def name(self) -> str:
        """Name or path of the model that is picked."""
        return str(self._picker.currentData())

    @property
    def is_ready(self) -> bool:
        """Whether the model that is picked can be loaded without a download."""
        from napari_segnext.weights import list_models

        known = {info.name: info.is_ready for info in list_models("interactive")}
        return known.get(self.name, Path(self.name).is_file())

    @property
    def text(self) -> str:
        """The model that is picked, as the user reads it."""
        return str(self._picker.currentText())

    def set_changeable(self, is_changeable: bool) -> None:
        """Whether another model can be picked; they can be managed at any time."""
        self._picker.setEnabled(is_changeable)
        self._browse.setEnabled(is_changeable)

    def add_file(self, path: str) -> None:
        """Offer a weights file among the models, and pick it."""
        if self._picker.findData(path) < 0:
            self._picker.addItem(Path(path).name, path)
        self._picker.setCurrentIndex(self._picker.findData(path))

    def _fill(self, wanted: str = "") -> None:
        """Offer all models that there are, and pick one; without a wish, the preferred one."""
        from napari_segnext.weights import DEFAULT_MODEL, list_models

        self._picker.clear()
        for row, info in enumerate(list_models("interactive")):
            self._picker.addItem(info.name if info.is_ready else f"{info.name} (not downloaded)", info.name)
            about = f"{info.description}. Licence: {info.licence or 'unknown'}."
            self._picker.setItemData(row, about, Qt.ItemDataRole.ToolTipRole)
        for name in (self._preferred, wanted):
            if self._picker.findData(name) < 0 and name and Path(name).expanduser().is_file():
                self._picker.addItem(Path(name).name, name)
        places = [self._picker.findData(name) for name in (wanted, self._preferred, DEFAULT_MODEL)]
        self._picker.setCurrentIndex(next((place for place in places if place >= 0), 0))

    def _browse_files(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Weights file", "", _MODEL_FILES)
        if path:
            self.add_file(path)

    def _manage(self) -> None:
        from napari_segnext.widgets.models_dialog import ModelsDialog

        dialog = ModelsDialog(self)
        dialog.models_changed.connect(lambda *_: self._fill(self.name))
        dialog.show()
