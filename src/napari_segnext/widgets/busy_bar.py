"""A progress bar that costs next to nothing while nobody knows how long it takes.

The style's own animation asks for some 60 frames a second. Where OpenGL is computed in software, as on remote
desktops, each of them draws napari's whole window for 50 ms and more, with Python's lock held, and the model that
computes in a thread stands still then.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QProgressBar, QStyle, QStyleOptionProgressBar, QStylePainter, QWidget

STEP_MS = 400
"""From one step to the next; what is done sooner moves nothing."""

N_STEPS = 8
"""From empty to full."""


class BusyBar(QProgressBar):  # type: ignore[misc]
    """A `QProgressBar` that moves in steps while its range is (0, 0)."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._step = 0
        self._timer = QTimer(self)
        self._timer.setInterval(STEP_MS)
        self._timer.timeout.connect(self._go_on)

    @property
    def is_busy(self) -> bool:
        """Whether something is going on, and nobody knows for how long."""
        return bool(self.minimum() == self.maximum() == 0)

    @property
    def step(self) -> int:
        """How many steps are shown, of `N_STEPS`, while it is busy."""
        return self._step

    def setRange(self, minimum: int, maximum: int) -> None:
        """As of `QProgressBar`; (0, 0) if nobody knows how long it takes."""
        was_busy = self.is_busy
        super().setRange(minimum, maximum)
        if self.is_busy and not was_busy:
            self._step = 0
            self._timer.start()
        elif not self.is_busy:
            self._timer.stop()

    def paintEvent(self, event: Any) -> None:
        """Draw; the style sees a range, so that it animates nothing."""
        option = QStyleOptionProgressBar()
        self.initStyleOption(option)
        if self.is_busy:
            option.minimum, option.maximum, option.progress = 0, N_STEPS, self._step
        QStylePainter(self).drawControl(QStyle.ControlElement.CE_ProgressBar, option)

    def _go_on(self) -> None:
        self._step = self._step % N_STEPS + 1
        self.update()
