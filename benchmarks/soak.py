"""A long annotation at random: nothing may fail, memory stays bounded, and a replay gives the same labels.

1. Random actions are drawn and done on an annotator of a small stack: prompts of all kinds, moved, flipped, removed;
   accept, reset, reopen, go on, merge, delete, relabel, rename, lock; napari's brush; threshold, clean-up, overlap,
   zoom; undo, redo, other slices.
2. What is refused with an `AnnotatorError` counts as done: the same must be refused again. Any other exception ends
   the run.
3. After each action, locked objects must be as they were.
4. Resident memory is read from /proc/self/status. What is held is read without the cache of embeddings, which is
   emptied for it (it has a bound of its own, 1 GB), and after glibc was told to give back free pages
   (`malloc_trim`); after a fifth of the time it may grow by `--max-growth-mb` at most. Memory as it is without that is
   reported beside it (`untrimmed`).
5. The same actions are done on a fresh annotator without a window: labels, records and refusals must be equal.

The action log can be written with `--log`, and done again up to any step with `--replay LOG --steps N`.

xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/soak.py
python benchmarks/soak.py --headless --minutes 2
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import gc
import json
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_segnext.annotator import Annotator

Action = tuple[str, tuple[Any, ...]]

N_SLICES, SIDE = 4, 128
MAX_OBJECTS, MAX_PROMPTS = 15, 8
SETTLE_TIMEOUT_S = 300

WEIGHTS = {
    "click": 20,
    "box": 4,
    "line": 3,
    "stroke": 3,
    "move": 6,
    "remove": 4,
    "flip": 4,
    "accept": 10,
    "reset": 2,
    "reopen": 4,
    "go_on": 2,
    "merge": 1,
    "delete": 2,
    "relabel": 1,
    "rename": 1,
    "lock": 3,
    "brush": 3,
    "threshold": 3,
    "cleanup": 2,
    "overlap": 1,
    "zoom": 0.2,
    "undo": 8,
    "redo": 4,
    "slice": 6,
}
"""How often each action is drawn."""

IMPATIENT = {"click", "box", "line", "move", "remove", "flip", "slice", "threshold"}
"""After these, a user in a window does not always wait for the answer."""


class SoakError(AssertionError):
    """The annotator did something that it must not do."""


def main() -> None:
    options = _options()
    if options.replay:
        lines = [json.loads(line) for line in Path(options.replay).read_text(encoding="utf8").splitlines()]
        actions = [(name, tuple(arguments)) for name, arguments in lines][: options.steps]
        labels = replayed(actions, _load(options.model)).layers.output.data
        print(f"{len(actions)} actions done again; labels {np.unique(labels).tolist()}")
        return
    with tempfile.TemporaryDirectory() as folder:
        scene = headless_scene(options.model) if options.headless else window_scene(options.model, Path(folder))
        try:
            report = soak(scene, options)
        finally:
            scene.close()
    print(json.dumps(report, indent=1))
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf8")
    if report["problems"]:
        sys.exit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30, help="of random actions; the replay comes after that")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--headless", action="store_true", help="an Annotator without a window")
    parser.add_argument("--model", default="segnext-tiny", help="name or path")
    parser.add_argument(
        "--max-growth-mb", type=float, default=150, help="of resident memory, after a fifth of the time"
    )
    parser.add_argument("--json", default="", help="file to write the report to")
    parser.add_argument("--log", default="", help="file to write the actions to, as they are done")
    parser.add_argument("--replay", default="", help="a log to do again, in the place of random actions")
    parser.add_argument("--steps", type=int, default=None, help="of the log that is done again")
    return parser.parse_args()


# where it happens


@dataclass
class Scene:
    """An annotator, and how to wait for it.

    Attributes
    ----------
    annotator
        On the stack of `make_stack`.
    settle
        Waits until everything that is due has happened.
    read
        Waits until the layers were read, but not for the model.
    failures
        Exceptions that came from threads.
    close
        Ends it.
    """

    annotator: Annotator
    settle: Callable[[], None]
    read: Callable[[], None]
    close: Callable[[], None]
    failures: list[Exception] = field(default_factory=list)


def make_stack() -> np.ndarray:
    """`(4, 128, 128)` uint8: windows of one photograph of coins."""
    from skimage import data

    coins = data.coins()
    return np.stack([coins[30 * z : 30 * z + SIDE, 40 * z : 40 * z + SIDE] for z in range(N_SLICES)])


def headless_scene(model_name: str) -> Scene:
    annotator = _headless_annotator(_load(model_name))
    return Scene(annotator, lambda: None, lambda: None, annotator.close)


def window_scene(model_name: str, folder: Path) -> Scene:
    """The docked widget in a real window; nothing of the user's settings or saved work is touched."""
    os.environ["NAPARI_CONFIG"] = str(folder / "settings.yaml")
    os.environ["XDG_DATA_HOME"] = str(folder)
    os.environ["NAPARI_SEGNEXT_CACHE_GB"] = "0"
    import napari
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication

    from napari_segnext.widgets import AnnotatorWidget

    viewer = napari.Viewer(show=True)
    _autosave_into(folder / "autosave")
    viewer.add_image(make_stack(), name="stack")
    widget = AnnotatorWidget(viewer, load_model=lambda name, device: _load(model_name))
    viewer.window.add_dock_widget(widget, name="SegNext annotator")

    def wait_until(condition: Callable[[], bool]) -> None:
        end = time.monotonic() + SETTLE_TIMEOUT_S
        n_quiet = 0
        while n_quiet < 3:
            QApplication.processEvents()
            n_quiet = n_quiet + 1 if condition() else 0
            if n_quiet == 0:
                QTest.qWait(2)
            if time.monotonic() > end:
                raise SoakError(f"nothing came for {SETTLE_TIMEOUT_S} s: {widget._status.text()}")

    widget.start()
    wait_until(lambda: widget.annotator is not None)
    annotator = widget.annotator
    assert annotator is not None
    annotator.zoom = False

    def close() -> None:
        widget.shut_down()
        viewer.close()

    scene = Scene(
        annotator,
        settle=lambda: wait_until(lambda: not annotator.is_busy),
        read=lambda: wait_until(lambda: True),
        close=close,
    )
    annotator.failed.connect(scene.failures.append)
    annotator.closed.connect(lambda reason: scene.failures.append(SoakError(f"it was closed: {reason}")))
    scene.settle()
    return scene


def _autosave_into(folder: Path) -> None:
    """Autosave every 5 seconds, where napari has preferences of plugins."""
    from napari import settings

    read = getattr(settings, "get_plugin_settings", None)
    if read is not None:
        autosave = read("napari-segnext").autosave
        autosave.folder, autosave.interval_s = str(folder), 5


def _load(model_name: str) -> Any:
    from napari_segnext.weights import load_model

    return load_model(model_name, "cpu")


def _headless_annotator(model: Any) -> Annotator:
    from napari.components import ViewerModel

    from napari_segnext.annotator import Annotator

    viewer = ViewerModel()
    return Annotator(viewer, viewer.add_image(make_stack(), name="stack"), model, zoom=False)


# the soak


def soak(scene: Scene, options: argparse.Namespace) -> dict[str, Any]:
    rng, patience = np.random.default_rng(options.seed), np.random.default_rng(options.seed + 1)
    annotator = scene.annotator
    actions: list[Action] = []
    refused: list[str] = []
    memory: list[Memory] = []
    problems: list[str] = []
    log = Path(options.log).open("w", encoding="utf8") if options.log else None  # noqa: SIM115 - None without a log
    start = time.monotonic()
    seconds = 60 * options.minutes
    while (elapsed := time.monotonic() - start) < seconds and not problems:
        action = drawn(rng, annotator)
        actions.append(action)
        if log is not None:
            print(json.dumps(action), file=log, flush=True)
        try:
            refused.append(done_checking_locks(annotator, action, scene))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what we look for
            problems.append(f"action {len(actions)}, {action}: {type(error).__name__}: {error}")
        problems += [f"in a thread, before action {len(actions)}: {one!r}" for one in scene.failures]
        if action[0] in IMPATIENT and patience.random() < 0.3:
            scene.read()
        else:
            scene.settle()
        if not memory or elapsed > memory[-1].seconds + seconds / 60:
            memory.append(Memory.after(elapsed))
    scene.settle()
    memory.append(Memory.after(time.monotonic() - start))
    if log is not None:
        log.close()
    return _report(scene, options, actions, refused, memory, problems)


def _report(
    scene: Scene,
    options: argparse.Namespace,
    actions: list[Action],
    refused: list[str],
    memory: list[Memory],
    problems: list[str],
) -> dict[str, Any]:
    annotator = scene.annotator
    warm = [one.held_mb for one in memory if one.seconds <= 60 * options.minutes / 5]
    growth = max(one.held_mb for one in memory) - max(warm)
    if growth > options.max_growth_mb:
        problems.append(f"resident memory grew by {growth:.0f} MB after the warm-up")
    start = time.monotonic()
    if not problems:
        problems += _differences(annotator, refused, actions)
    counts = Counter(name for name, _ in actions)
    return {
        "seed": options.seed,
        "window": not options.headless,
        "minutes": options.minutes,
        "actions": len(actions),
        "by_kind": dict(counts.most_common()),
        "refused": dict(Counter(text for text in refused if text).most_common()),
        "objects": len(annotator.objects),
        "memory_mb": {
            "first": round(memory[0].held_mb),
            "warm": round(max(warm)),
            "most": round(max(one.held_mb for one in memory)),
            "last": round(memory[-1].held_mb),
            "grown_after_warm_up": round(growth, 1),
            "over_time": [round(one.held_mb) for one in memory[::4]],
            "untrimmed": [round(one.untrimmed_mb) for one in memory[::4]],
        },
        "replay_seconds": round(time.monotonic() - start, 1),
        "problems": problems,
    }


def _differences(annotator: Annotator, refused: list[str], actions: list[Action]) -> list[str]:
    """What a replay on a fresh annotator does not give again."""
    refused_again: list[str] = []
    other = replayed(actions, annotator.model, refused_again)
    problems = []
    for number, (one, another) in enumerate(zip(refused, refused_again, strict=True)):
        if one != another:
            problems.append(f"action {number + 1}, {actions[number]}: {one!r} at first, {another!r} in the replay")
            break
    n_pixels = int((annotator.layers.output.data != other.layers.output.data).sum())
    if n_pixels:
        problems.append(f"labels of {n_pixels} pixels differ from the replay")
    if _names(annotator) != _names(other):
        problems.append("records differ from the replay")
    return problems


def replayed(actions: list[Action], model: Any, refused: list[str] | None = None) -> Annotator:
    """A fresh annotator without a window, after the same actions."""
    annotator = _headless_annotator(model)
    for action in actions:
        text = done(annotator, action)
        if refused is not None:
            refused.append(text)
    return annotator


def _names(annotator: Annotator) -> list[tuple[Any, ...]]:
    return [(one.label, one.name, one.is_locked, one.n_prompts) for one in annotator.objects]


@dataclass(frozen=True)
class Memory:
    """Resident memory of this process at a moment, without the embeddings that the shared cache holds.

    Attributes
    ----------
    seconds
        Since the soak began.
    untrimmed_mb
        With the free pages that the allocator keeps for later.
    held_mb
        Without them, where there is glibc.
    """

    seconds: float
    untrimmed_mb: float
    held_mb: float

    @classmethod
    def after(cls, seconds: float) -> Memory:
        """Read it now."""
        from napari_segnext.session.session import forget_shared_embeddings

        forget_shared_embeddings()
        gc.collect()
        untrimmed = resident_mb()
        if sys.platform == "linux" and ctypes.util.find_library("c"):
            ctypes.CDLL(ctypes.util.find_library("c")).malloc_trim(0)
        return cls(seconds, untrimmed, resident_mb())


def resident_mb() -> float:
    """Resident memory of this process in MB; NaN where there is no /proc."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


# actions


def drawn(rng: np.random.Generator, annotator: Annotator) -> Action:
    """The next action, all of it as plain values; what it may depend on is what the user sees."""
    labels = sorted({*np.unique(annotator.layers.output.data).tolist(), *annotator.objects.by_label} - {0})
    weights = dict(WEIGHTS)
    if len(annotator.prompts) >= MAX_PROMPTS:
        weights |= {"click": 0, "box": 0, "line": 0, "stroke": 0, "accept": 30, "reset": 10}
    if len(labels) >= MAX_OBJECTS:
        weights |= {"delete": 40, "accept": 0}
    names, odds = list(weights), np.array(list(weights.values()), float)
    name = str(rng.choice(names, p=odds / odds.sum()))

    def place() -> list[float]:
        return [round(float(x), 1) for x in rng.uniform(2, SIDE - 3, 2)]

    def label() -> int:
        return int(rng.choice(labels)) if labels else 1

    def number() -> int:
        return int(rng.integers(1_000_000))

    match name:
        case "click":
            return name, (place(), bool(rng.random() < 0.7))
        case "box":
            return name, (place(), rng.uniform(15, 50, 2).round(1).tolist())
        case "line":
            return name, (place(), place(), bool(rng.random() < 0.7))
        case "stroke":
            return name, (place(), int(rng.integers(1, 3)))
        case "move":
            return name, (number(), rng.uniform(-15, 15, 2).round(1).tolist())
        case "remove" | "flip":
            return name, (number(),)
        case "reopen" | "go_on":
            return name, (label(),)
        case "merge":
            return name, (label(), label())
        case "delete":
            return name, (label(),)
        case "relabel":
            return name, (label(), int(rng.integers(1, 60)))
        case "rename":
            return name, (label(), f"object {number()}")
        case "lock":
            return name, (label(), bool(rng.random() < 0.4))
        case "brush":
            return name, (place(), label() if rng.random() < 0.7 else 0)
        case "threshold":
            return name, (round(float(rng.uniform(0.35, 0.65)), 2),)
        case "cleanup":
            return name, (bool(rng.random() < 0.5), bool(rng.random() < 0.5), float(rng.integers(0, 3)))
        case "overlap":
            return name, (str(rng.choice(["keep", "overwrite"])),)
        case "zoom":
            return name, (bool(rng.random() < 0.3),)
        case "slice":
            return name, (int(rng.integers(N_SLICES)),)
    return name, ()


def done_checking_locks(annotator: Annotator, action: Action, scene: Scene) -> str:
    """Do an action and see that it leaves alone what is locked before and after it."""
    if action[0] not in IMPATIENT:
        scene.settle()
    before, locked = annotator.layers.output.data.copy(), annotator.objects.locked
    text = done(annotator, action)
    scene.read()
    for label in locked & annotator.objects.locked:
        if not np.array_equal(before == label, annotator.layers.output.data == label):
            raise SoakError(f"object {label} is locked and was changed")
    return text


def done(annotator: Annotator, action: Action) -> str:
    """Do an action; why it was refused, or nothing."""
    from napari_segnext.annotator import AnnotatorError

    name, arguments = action
    try:
        _DEEDS[name](annotator, *arguments)
    except AnnotatorError as error:
        return type(error).__name__
    return ""


def _viewer(annotator: Annotator) -> Any:
    return annotator._viewer


def _z(annotator: Annotator) -> int:
    return int(_viewer(annotator).dims.current_step[0])


def _click(annotator: Annotator, place: list[float], is_positive: bool) -> None:
    annotator.set_sign(is_positive=is_positive)
    annotator.layers.points.add([_z(annotator), *place])


def _box(annotator: Annotator, corner: list[float], size: list[float]) -> None:
    (top, left), z = corner, _z(annotator)
    bottom, right = min(top + size[0], SIDE - 1), min(left + size[1], SIDE - 1)
    corners = [(z, top, left), (z, top, right), (z, bottom, right), (z, bottom, left)]
    annotator.layers.shapes.add(np.array(corners), shape_type="rectangle")


def _line(annotator: Annotator, start: list[float], end: list[float], is_positive: bool) -> None:
    z = _z(annotator)
    annotator.set_sign(is_positive=is_positive)
    annotator.layers.shapes.add(np.array([(z, *start), (z, *end)]), shape_type="path")


def _stroke(annotator: Annotator, place: list[float], sign: int) -> None:
    scribbles = annotator.layers.scribbles
    scribbles.brush_size = 4
    scribbles.paint([_z(annotator), *map(round, place)], sign)


def _points_here(annotator: Annotator) -> list[int]:
    data = np.asarray(annotator.layers.points.data)
    return [] if len(data) == 0 else np.flatnonzero(np.round(data[:, 0]) == _z(annotator)).tolist()


def _shapes_here(annotator: Annotator) -> list[int]:
    shapes, z = annotator.layers.shapes.data, _z(annotator)
    return [row for row, vertices in enumerate(shapes) if round(float(vertices[0, 0])) == z]


def _move(annotator: Annotator, number: int, by: list[float]) -> None:
    rows = _points_here(annotator)
    if rows:
        data = np.array(annotator.layers.points.data)
        row = rows[number % len(rows)]
        data[row, 1:] = np.clip(data[row, 1:] + by, 0, SIDE - 1)
        annotator.layers.points.data = data


def _remove(annotator: Annotator, number: int) -> None:
    points, shapes = _points_here(annotator), _shapes_here(annotator)
    if not points and not shapes:
        return
    place = number % (len(points) + len(shapes))
    if place < len(points):
        annotator.layers.points.remove([points[place]])
    else:
        annotator.layers.shapes.remove([shapes[place - len(points)]])


def _flip(annotator: Annotator, number: int) -> None:
    rows = _points_here(annotator)
    if not rows:
        return
    points = annotator.layers.points
    _viewer(annotator).layers.selection.active = points
    points.mode = "select"
    points.selected_data = {rows[number % len(rows)]}
    annotator.flip_sign()
    points.selected_data = set()
    points.mode = "pan_zoom"


def _brush(annotator: Annotator, place: list[float], label: int) -> None:
    output = annotator.layers.output
    output.brush_size = 7
    output.paint([_z(annotator), *map(round, place)], label)


def _set_cleanup(annotator: Annotator, fills_holes: bool, keeps_prompted: bool, smoothing: float) -> None:
    from napari_segnext.session.cleanup import Cleanup

    annotator.cleanup = Cleanup(fills_holes=fills_holes, keeps_prompted=keeps_prompted, smoothing=smoothing)


_DEEDS: dict[str, Callable[..., object]] = {
    "click": _click,
    "box": _box,
    "line": _line,
    "stroke": _stroke,
    "move": _move,
    "remove": _remove,
    "flip": _flip,
    "accept": lambda annotator: annotator.accept(),
    "reset": lambda annotator: annotator.reset(),
    "reopen": lambda annotator, label: annotator.reopen(label),
    "go_on": lambda annotator, label: annotator.continue_object(label),
    "merge": lambda annotator, one, other: annotator.merge(one, other),
    "delete": lambda annotator, label: annotator.delete(label),
    "relabel": lambda annotator, old, new: annotator.relabel(old, new),
    "rename": lambda annotator, label, name: annotator.rename(label, name),
    "lock": lambda annotator, label, is_locked: annotator.lock(label, is_locked=is_locked),
    "brush": _brush,
    "threshold": lambda annotator, threshold: setattr(annotator, "threshold", threshold),
    "cleanup": _set_cleanup,
    "overlap": lambda annotator, overlap: setattr(annotator, "overlap", overlap),
    "zoom": lambda annotator, zoom: setattr(annotator, "zoom", zoom),
    "undo": lambda annotator: annotator.undo(),
    "redo": lambda annotator: annotator.redo(),
    "slice": lambda annotator, z: _viewer(annotator).dims.set_point(0, z),
}


if __name__ == "__main__":
    main()
