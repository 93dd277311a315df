"""What the plugin costs at the start of napari, at the opening of its widget, and until the first mask is there.

Every measurement is made in a fresh process, and kinds of measurement take turns, so that a busy minute hits all of
them; the table gives medians.

(a) The start of napari, in a viewer without a window, with and without the plugin installed.
(b) From asking for the annotator to a widget that can be used.
(c) From there to the first mask on the canvas: Start and click as soon as the widget is there, or after 2 seconds; each
    with and without what the widget does ahead.
(d) What it does, one part after the other in one thread: imports, weights, encoding, first look.

xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/startup.py --json startup.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = "napari_segnext"
SIDE = 512
PLACES = ((54, 44), (124, 45))
"""(row, column) of two coins."""

TIMEOUT_S = 300
TICK_MS = 5
LATER_S = 2.0

Numbers = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="processes for each kind of measurement")
    parser.add_argument("--kinds", nargs="+", choices=sorted(KINDS), default=list(KINDS), help="what is measured")
    parser.add_argument("--json", default="", help="file to write all numbers to")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        measure_here(options.child)
        return
    runs: dict[str, list[Numbers]] = {kind: [] for kind in options.kinds}
    for _ in range(options.repeats):
        for kind in options.kinds:
            runs[kind].append(measured_in_a_fresh_process(kind))
            print(".", end="", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    print(table(runs))
    if options.json:
        report = {"machine": machine(), "runs": runs}
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf8")


def measured_in_a_fresh_process(kind: str) -> Numbers:
    command = [sys.executable, __file__, "--child", kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * TIMEOUT_S)
    if done.returncode:
        raise RuntimeError(f"measuring '{kind}' failed:\n{done.stderr}")
    numbers: Numbers = json.loads(done.stdout.splitlines()[-1])
    return numbers


def measure_here(kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # before napari is imported: nothing of the user's is read or changed, nothing is known yet
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        os.environ["XDG_DATA_HOME"] = folder
        os.environ["NAPARI_SEGNEXT_CACHE_GB"] = "0"
        print(json.dumps({name: round(number, 5) for name, number in KINDS[kind]().items()}))


def machine() -> dict[str, Any]:
    """Where the numbers come from."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "as many as torch takes"),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
    }


def table(runs: dict[str, list[Numbers]]) -> str:
    """Markdown: median and range of every number of every kind."""
    lines = ["| measured | what | median | least | greatest |", "|---|---|---:|---:|---:|"]
    for kind, numbers in runs.items():
        for name in numbers[0]:
            values = [run[name] for run in numbers]
            cells = [_cell(name, f(values)) for f in (statistics.median, min, max)]
            lines.append(f"| {kind} | {name.replace('_', ' ')} | {' | '.join(cells)} |")
    if {"napari alone", "napari with plugin"} <= runs.keys():
        for name in ("wall_s", "cpu_s"):
            alone, both = (
                statistics.median(run[name] for run in runs[kind]) for kind in ("napari alone", "napari with plugin")
            )
            lines.append(f"| the plugin adds | {name.replace('_', ' ')} | {1000 * (both - alone):.0f} ms | | |")
    return "\n".join(lines)


def _cell(name: str, value: float) -> str:
    return f"{1000 * value:.0f} ms" if name.endswith("_s") else f"{value:g}"


class Stopwatch:
    """Seconds since the last look at it, by name."""

    def __init__(self) -> None:
        self.laps: Numbers = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Note the time since the last lap."""
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now


# (a) the start of napari


def napari_alone() -> Numbers:
    from importlib import metadata

    installed = metadata.distributions
    metadata.distributions = lambda **words: (  # type: ignore[assignment]
        one for one in installed(**words) if one.name.replace("-", "_") != PACKAGE
    )
    return _start_of_napari(is_known=False)


def napari_with_plugin() -> Numbers:
    return _start_of_napari(is_known=True)


def _start_of_napari(*, is_known: bool) -> Numbers:
    wall, cpu = time.perf_counter(), time.process_time()
    import napari
    from npe2 import PluginManager

    viewer = napari.Viewer(show=False)
    numbers = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    manager = PluginManager.instance()
    if ("napari-segnext" in {manifest.name for manifest in manager.iter_manifests()}) is not is_known:
        raise RuntimeError("napari does not see the plugins that it should see. Install this one: pip install -e .")
    numbers["our_modules"] = sum(name.split(".")[0] == PACKAGE for name in sys.modules)
    numbers["torch_modules"] = sum(name.split(".")[0] == "torch" for name in sys.modules)
    viewer.close()
    return numbers


def manifest_alone() -> Numbers:
    """What npe2 does for one plugin: read, check and index its manifest."""
    from npe2 import PluginManager, PluginManifest

    manager = PluginManager()
    watch = Stopwatch()
    manifest = PluginManifest.from_distribution("napari-segnext")
    watch.lap("read_s")
    manager.register(manifest)
    watch.lap("register_s")
    watch.laps["our_modules"] = sum(name.split(".")[0] == PACKAGE for name in sys.modules)
    return watch.laps


def package_alone() -> Numbers:
    watch = Stopwatch()
    import napari_segnext  # noqa: F401

    watch.lap("import_s")
    watch.laps["modules"] = len([name for name in sys.modules if name.split(".")[0] == PACKAGE])
    return watch.laps


# (b), (c) the widget


def first_mask(after_s: float, *, is_ahead: bool) -> Numbers:
    """Open the widget, wait, press Start, click as soon as the layers are there, and click on another object."""
    import napari

    viewer = napari.Viewer(show=True)
    viewer.window.resize(1500, 900)
    viewer.add_image(make_image(), name="coins")
    wait_until(lambda: True, n_quiet=20)
    watch = Stopwatch()
    start = time.perf_counter()
    from napari_segnext.widgets import AnnotatorWidget

    watch.lap("opening_import_s")
    if not is_ahead:
        _do_nothing_ahead()
    widget = AnnotatorWidget(viewer)
    watch.lap("opening_build_s")
    viewer.window.add_dock_widget(widget, name="SegNext annotator")
    wait_until(lambda: widget.isVisible() and widget._start_button.isEnabled(), n_quiet=1)
    watch.lap("opening_show_s")
    viewer.reset_view()
    ticks = Ticks()
    wait_for(after_s)
    waited = time.perf_counter()
    watch.lap("waiting_s")
    widget.start()
    wait_until(lambda: widget.annotator is not None, n_quiet=1)
    watch.lap("start_to_layers_s")
    watch.laps["click_to_something_s"], watch.laps["click_to_mask_s"] = seconds_to_mask(
        viewer, widget.annotator, PLACES[0]
    )
    watch.laps["all_but_waiting_s"] = time.perf_counter() - start - watch.laps.pop("waiting_s")
    watch.laps["from_start_to_mask_s"] = time.perf_counter() - waited
    watch.laps["longest_stall_of_window_s"] = ticks.stop()
    widget.annotator.reset()
    wait_until(lambda: not widget.annotator.is_busy)
    watch.laps["next_object_to_something_s"], watch.laps["click_on_next_object_s"] = seconds_to_mask(
        viewer, widget.annotator, PLACES[1]
    )
    widget.shut_down()
    viewer.close()
    return watch.laps


def _do_nothing_ahead() -> None:
    from napari_segnext.widgets.early_work import EarlyWork

    for name in ("soon", "import_soon"):
        setattr(EarlyWork, name, lambda self, *_: None)


class Ticks:
    """Ticks of a timer of the GUI thread, to see how long it had no time for the user."""

    def __init__(self) -> None:
        from qtpy.QtCore import Qt, QTimer

        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(lambda: self._times.append(time.perf_counter()))
        self._times = [time.perf_counter()]
        self._timer.start()

    def stop(self) -> float:
        """Longest time without a tick, in seconds, beyond what was wanted."""
        self._timer.stop()
        gaps = [after - before for before, after in zip(self._times, self._times[1:], strict=False)]
        return max(gaps, default=0.0) - TICK_MS / 1000


def seconds_to_mask(viewer: Any, annotator: Any, place: tuple[float, float]) -> tuple[float, float]:
    """From a real click on the canvas to when the preview shows something, and to when it holds the answer."""
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest

    canvas = viewer.window._qt_viewer.canvas
    x, y = canvas.view.scene.transform.map([place[1], place[0]])[:2]
    at = QPoint(round(x), round(y))
    wanted = len(annotator.prompts) + 1
    start = time.perf_counter()
    QTest.mouseMove(canvas.native, at)
    QTest.mouseClick(canvas.native, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at)
    preview = annotator.layers.preview
    wait_until(lambda: bool(preview.data[round(place[0]), round(place[1])]) or annotator.mask is not None, n_quiet=1)
    something = time.perf_counter() - start
    wait_until(lambda: len(annotator.prompts) == wanted and annotator.mask is not None, n_quiet=1)
    return something, time.perf_counter() - start


def wait_until(condition: Callable[[], bool], n_quiet: int = 3) -> None:
    """Let events be handled until a condition holds several times in a row."""
    from qtpy.QtTest import QTest

    end = time.monotonic() + TIMEOUT_S
    n_held = 0
    while n_held < n_quiet:
        QTest.qWait(2)
        n_held = n_held + 1 if condition() else 0
        if time.monotonic() > end:
            raise TimeoutError(f"nothing came for {TIMEOUT_S} s.")


def wait_for(seconds: float) -> None:
    end = time.perf_counter() + seconds
    wait_until(lambda: time.perf_counter() >= end, n_quiet=1)


# (d) the parts


def parts() -> Numbers:
    """All that stands between opening and first mask, in one thread without napari, each once and cold."""
    import numpy as np

    watch = Stopwatch()
    import torch

    watch.lap("import_torch_s")
    import napari_segnext.models.segnext
    import napari_segnext.session
    import napari_segnext.weights

    watch.lap("import_our_modules_s")
    model = napari_segnext.weights.load_model("segnext-tiny", "cpu")
    watch.lap("load_weights_s")
    image = make_image()
    session = napari_segnext.session.Session(model, image)
    watch.lap("encode_s")
    with torch.inference_mode():
        model.predict_logits(session.embedding, torch.zeros(1, 0, 3), torch.zeros(1, *image.shape))
    watch.lap("one_prediction_s")
    _click(session, PLACES[0])
    watch.lap("first_look_s")
    session.reset()
    watch.lap("")
    _click(session, PLACES[1])
    watch.lap("first_look_at_next_object_s")
    napari_segnext.session.Session(model, np.roll(image, 9))
    watch.lap("encode_again_s")
    del watch.laps[""]
    return watch.laps


def _click(session: Any, place: tuple[float, float]) -> None:
    from napari_segnext import Click

    session.add(Click(*place))


def make_image() -> Any:
    """`(512, 512)` uint8: one photograph of coins, side by side."""
    import numpy as np
    from skimage import data

    return np.tile(data.coins(), (2, 2))[:SIDE, :SIDE]


KINDS: dict[str, Callable[[], Numbers]] = {
    "napari alone": napari_alone,
    "napari with plugin": napari_with_plugin,
    "manifest": manifest_alone,
    "import napari_segnext": package_alone,
    "click at once": lambda: first_mask(0, is_ahead=True),
    "click at once, nothing ahead": lambda: first_mask(0, is_ahead=False),
    "click after 2 s": lambda: first_mask(LATER_S, is_ahead=True),
    "click after 2 s, nothing ahead": lambda: first_mask(LATER_S, is_ahead=False),
    "click after 8 s": lambda: first_mask(4 * LATER_S, is_ahead=True),
    "parts": parts,
}

if __name__ == "__main__":
    main()
