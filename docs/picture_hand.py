"""A hand that clicks in the window and waits for the program, for the scripts that make pictures.

Napari is imported by the functions only: scripts first see to it that the settings of the user are left alone.
"""

from __future__ import annotations


def click(viewer, place_yx: tuple[float, float]) -> None:
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest

    canvas = viewer.window._qt_viewer.canvas
    x, y = canvas.view.scene.transform.map([place_yx[1], place_yx[0]])[:2]
    point = QPoint(round(x), round(y))
    QTest.mouseMove(canvas.native, point)
    QTest.mouseClick(canvas.native, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, point)
    QTest.qWait(200)


def wait_for(condition, timeout_ms: int = 300_000) -> None:
    from qtpy.QtTest import QTest

    for _ in range(timeout_ms // 50):
        if condition():
            return
        QTest.qWait(50)
    raise TimeoutError("the program did not answer")
