"""How the annotator feels in a real window, as ratios to what the model itself takes in the same run.

(a) While an image of 1024 × 1024 is encoded in a thread, a timer ticks every 5 ms on the GUI thread: how late it is.
(b) From a real mouse event on the canvas to the changed preview, for 20 clicks: four on each of five objects.

Beside (a) stands the same timer while nothing goes on, beside (b) a bare `Session` with the same prompts. Times of a
busy machine mean little; compare ratios.

xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/gui_latency.py
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_segnext.annotator import Annotator
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.prompts import Prompts

SIDE = 1024
TICK_MS = 5
TIMEOUT_S = 600

COINS = [(54, 44), (56, 100), (51, 155), (124, 45), (126, 103)]
"""(row, column) of objects on the image."""

OFFSETS = [(0, 0), (9, 0), (-8, 7), (0, -10)]
"""Of the clicks on one object from its middle, all on the object."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encodes", type=int, default=10, help="images that are encoded for (a)")
    parser.add_argument("--json", default="", help="file to write the numbers to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # before napari is imported: nothing of the user's is read or changed
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        os.environ["XDG_DATA_HOME"] = folder
        os.environ["NAPARI_SEGNEXT_CACHE_GB"] = "0"
        report = measured(options.encodes)
    text = json.dumps(report, indent=1)
    print(text)
    if options.json:
        Path(options.json).write_text(text + "\n", encoding="utf8")


def measured(n_encodes: int) -> dict[str, Any]:
    import napari

    from napari_segnext.weights import load_model
    from napari_segnext.widgets import AnnotatorWidget

    model = load_model("segnext-tiny", "cpu")
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1500, 900)
    image = viewer.add_image(make_image(), name="coins")
    widget = AnnotatorWidget(viewer, load_model=lambda name, device: model)
    viewer.window.add_dock_widget(widget, name="SegNext annotator")
    wait_until(lambda: True)
    viewer.reset_view()
    widget.start()
    wait_until(lambda: widget.annotator is not None and not widget.annotator.is_busy)
    annotator = widget.annotator
    assert annotator is not None
    try:
        encoding = measure_encoding(annotator, image, model, n_encodes)
        image.data = make_image()
        annotator.prepare()
        wait_until(lambda: not annotator.is_busy)
        clicks = measure_clicks(viewer, annotator, model, image.data)
    finally:
        widget.shut_down()
        viewer.close()
    return {"machine": machine(), "encoding": encoding, "clicks": clicks}


def make_image(shift: int = 0) -> np.ndarray:
    """`(1024, 1024)` uint8: one photograph of coins, side by side; another `shift` is another image."""
    from skimage import data

    return np.roll(np.tile(data.coins(), (4, 3))[:SIDE, :SIDE], shift, axis=1)


def machine() -> dict[str, Any]:
    """Where the numbers come from."""
    import torch

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "load_average": round(load, 2),
    }


# (a) ticks while an image is encoded


def measure_encoding(annotator: Annotator, image: Any, model: InteractiveModel, n_encodes: int) -> dict[str, Any]:
    from napari_segnext.session import EmbeddingCache, Session

    bare, idle, busy = [], [], []
    for number in range(1, n_encodes + 1):
        pixels = make_image(7 * number)
        start = time.perf_counter()
        Session(model, pixels, cache=EmbeddingCache())
        bare.append(time.perf_counter() - start)

        image.data = pixels
        wait_until(lambda: not annotator.is_busy, n_quiet=20)
        end = time.perf_counter() + max(0.2, bare[-1])
        idle += tick_delays(lambda end=end: time.perf_counter() < end)
        annotator.prepare()
        if annotator.is_busy:
            busy += tick_delays(lambda: annotator.is_busy)
    encode = float(np.median(bare))
    while_encoding = summary(busy)
    return {
        "images": n_encodes,
        "bare_encode_ms": summary(bare),
        "tick_delay_idle_ms": summary(idle),
        "tick_delay_while_encoding_ms": while_encoding,
        "ratio_to_bare_encode": {
            name: round(while_encoding[name] / (1000 * encode), 3) for name in ("p50", "p95", "max")
        },
    }


def tick_delays(goes_on: Callable[[], bool]) -> list[float]:
    """Seconds by which each tick of a 5 ms timer came too late, until something ends."""
    from qtpy.QtCore import QEventLoop, Qt, QTimer

    loop, timer = QEventLoop(), QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.setInterval(TICK_MS)
    times = [time.perf_counter()]

    def tick() -> None:
        times.append(time.perf_counter())
        if not goes_on() or times[-1] - times[0] > TIMEOUT_S:
            loop.quit()

    timer.timeout.connect(tick)
    timer.start()
    loop.exec()
    timer.stop()
    return [max(0.0, delay) for delay in np.diff(times) - TICK_MS / 1000]


# (b) from the mouse to the mask


def measure_clicks(viewer: Any, annotator: Annotator, model: InteractiveModel, pixels: np.ndarray) -> dict[str, Any]:
    from napari_segnext.session import EmbeddingCache, Session

    annotator.use_tool("click")
    seconds: list[float] = []
    said: list[Prompts] = []
    for row, column in COINS:
        for down, right in OFFSETS:
            n_before = len(annotator.prompts)
            seconds.append(seconds_to_mask(viewer, annotator, (row + down, column + right)))
            said.append(annotator.prompts)
            if len(said[-1]) != n_before + 1:
                raise RuntimeError(f"{len(said[-1])} prompts after a click; expected {n_before + 1}. Is it in sight?")
        annotator.reset()
        wait_until(lambda: not annotator.is_busy)

    session = Session(model, pixels, zoom=annotator.zoom, cache=EmbeddingCache())
    bare: list[float] = []
    for prompts in said:
        if len(prompts) == 1:
            session.reset()
        start = time.perf_counter()
        session.update(prompts)
        bare.append(time.perf_counter() - start)
    first = [len(prompts) == 1 for prompts in said]
    return {
        name: {
            "mouse_to_preview_ms": summary(ours),
            "bare_predict_ms": summary(theirs),
            "ratio_of_medians": round(float(np.median(ours) / np.median(theirs)), 2),
        }
        for name, ours, theirs in (
            ("all", seconds, bare),
            ("first_clicks", chosen(seconds, first), chosen(bare, first)),
            ("later_clicks", chosen(seconds, np.logical_not(first)), chosen(bare, np.logical_not(first))),
        )
    }


def seconds_to_mask(viewer: Any, annotator: Annotator, place: tuple[float, float]) -> float:
    """From a real click on the canvas to the moment when the preview shows the answer to it."""
    from qtpy.QtCore import QEventLoop, QPoint, Qt, QTimer
    from qtpy.QtTest import QTest

    canvas = viewer.window._qt_viewer.canvas
    x, y = canvas.view.scene.transform.map([place[1], place[0]])[:2]
    at = QPoint(round(x), round(y))
    wanted = len(annotator.prompts) + 1
    shown: list[float] = []
    loop = QEventLoop()

    def on_mask() -> None:
        if not shown and len(annotator.prompts) == wanted and annotator.mask is not None:
            shown.append(time.perf_counter())
            loop.quit()

    annotator.mask_changed.connect(on_mask)
    QTest.mouseMove(canvas.native, at)
    start = time.perf_counter()
    QTest.mouseClick(canvas.native, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at)
    if not shown:
        QTimer.singleShot(1000 * TIMEOUT_S, loop.quit)
        loop.exec()
    annotator.mask_changed.disconnect(on_mask)
    if not shown:
        raise TimeoutError(f"no mask came for {TIMEOUT_S} s after a click at {place}.")
    wait_until(lambda: not annotator.is_busy)
    return shown[0] - start


# helpers


def wait_until(condition: Callable[[], bool], n_quiet: int = 3) -> None:
    """Let events be handled until a condition holds several times in a row."""
    from qtpy.QtTest import QTest

    end = time.monotonic() + TIMEOUT_S
    n_held = 0
    while n_held < n_quiet:
        QTest.qWait(5)
        n_held = n_held + 1 if condition() else 0
        if time.monotonic() > end:
            raise TimeoutError(f"nothing came for {TIMEOUT_S} s.")


def chosen(values: Sequence[float], is_chosen: Sequence[bool]) -> list[float]:
    return [value for value, is_one in zip(values, is_chosen, strict=True) if is_one]


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds; how many there are is `n`."""
    if not len(seconds):
        return {"n": 0, "p50": float("nan"), "p95": float("nan"), "max": float("nan")}
    ms = 1000 * np.asarray(seconds)
    p50, p95 = np.percentile(ms, [50, 95])
    return {"n": len(ms), "p50": round(float(p50), 2), "p95": round(float(p95), 2), "max": round(float(ms.max()), 2)}


if __name__ == "__main__":
    main()
