"""Commands of the palette that act on the annotation that is going on, in whichever window is in front."""

from __future__ import annotations

from napari.utils.notifications import show_info
from qtpy.QtWidgets import QApplication, QMainWindow

from napari_segnext.widgets.annotator_widget import AnnotatorWidget


def propagate_objects() -> None:
    """Propagate the objects of the annotation, as the button does; the command "Propagate objects"."""
    widget = _working_widget()
    if widget is not None:
        widget.propagate_panel.propagate()


def show_next_doubtful() -> None:
    """Go to the next propagated slice that is in doubt; the command "Go to the next doubtful slice"."""
    widget = _working_widget()
    if widget is not None and widget.annotator is not None:
        widget.annotator.act("next_doubtful")


def _working_widget() -> AnnotatorWidget | None:
    """The widget with an annotation; where there is none, the user is told."""
    windows = [one for one in QApplication.topLevelWidgets() if isinstance(one, QMainWindow) and one.isVisible()]
    windows.sort(key=lambda window: not window.isActiveWindow())
    widgets = [widget for window in windows for widget in window.findChildren(AnnotatorWidget)]
    found = next((widget for widget in widgets if widget.annotator is not None), None)
    if found is None:
        show_info("There is no annotation yet: open the SegNext annotator and press Start.")
    return found
