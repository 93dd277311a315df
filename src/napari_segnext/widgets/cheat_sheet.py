"""All keys on one page."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QDialog, QDialogButtonBox, QLabel, QVBoxLayout

from napari_segnext.annotator import BINDINGS, TOOLS

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

_OF_NAPARI = (
    ("Space (hold)", "move the image while a tool is in hand"),
    ("Shift + click", "one click of the other sign"),
    ("Delete", "remove the selected points or shapes"),
)
"""What napari itself or the mouse does, where it matters here."""


def key_rows() -> tuple[tuple[str, str], ...]:
    """(key, what it does) of all keys, ours first."""
    return (*((binding.label, binding.text) for binding in BINDINGS), *_OF_NAPARI)


class CheatSheet(QDialog):  # type: ignore[misc]
    """A window with all keys and tools.

    Parameters
    ----------
    parent
        The widget that it belongs to.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("SegNext: keys")
        rows = "".join(
            f"<tr><td><b>{escape(key)}</b>&nbsp;&nbsp;</td><td>{escape(text)}</td></tr>" for key, text in key_rows()
        )
        tools = "".join(f"<li><b>{tool.name}</b>: {escape(tool.text)}</li>" for tool in TOOLS)
        self.text = QLabel(f"<table>{rows}</table><p>Tools</p><ul>{tools}</ul>")
        self.text.setWordWrap(True)
        self.text.setMinimumWidth(460)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addWidget(buttons)
