"""`demo`: a first look, in napari or written to a folder."""

import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_segnext.commands.exits import CommandError
from napari_segnext.commands.options import Device

if TYPE_CHECKING:
    from napari_segnext.commands.demo_scene import Scene

_WITHOUT_A_SCREEN = "Without a screen use: napari-segnext demo --headless DIR"


def demo(
    headless: Annotated[
        Path | None,
        typer.Option("--headless", metavar="DIR", help="No window: write image, mask, overlay and report here."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="PATH", help="An image of your own; by default a cell.")
    ] = None,
    model: Annotated[str, typer.Option("--model", "-m", help="Name or path.")] = "segnext-tiny",
    device: Device = "auto",
) -> None:
    """Segment a sample image with a few prompts placed, in napari or without a window."""
    if headless is None:
        _require_screen()
    elif headless.exists() and not headless.is_dir():
        raise CommandError(f"'{headless}' is a file; expected a folder to write to. Give another name.")
    from napari_segnext.commands.demo_scene import bundled_scene, scene_from_file

    scene = bundled_scene() if data is None else scene_from_file(data)
    if headless is None:
        _open(scene, model, device)
    else:
        _write(headless, scene, model, device)


def _write(folder: Path, scene: "Scene", model: str, device: str) -> None:
    from napari_segnext.commands.demo_report import write_demo
    from napari_segnext.weights import load_model

    report = write_demo(folder, scene, load_model(model, device))
    overlap = "" if report["iou"] is None else f", IoU {report['iou']:.3f}"
    typer.echo(
        f"{report['scene']}: {report['mask_px']} px after {len(report['steps'])} prompts{overlap}; "
        f"{report['seconds_encode']:.2f} s to encode, {report['seconds_per_click']:.2f} s per prompt "
        f"({report['model']['name']} on {report['device']}, {'with' if report['zoom'] else 'without'} zoom)"
    )
    typer.echo(f"wrote image.png, mask.png, mask.tif, overlay.png, prompts.json, report.json and report.md to {folder}")


def _require_screen() -> None:
    """Refuse before Qt is loaded: without a display it ends the whole process."""
    has_display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("QT_QPA_PLATFORM")
    if sys.platform not in ("win32", "darwin") and not has_display:
        raise CommandError(
            f"there is no display (DISPLAY is not set); expected one to open napari on. {_WITHOUT_A_SCREEN}"
        )


def _open(scene: "Scene", model: str, device: str) -> None:
    from napari_segnext.weights import find_device, find_weights

    # what can be wrong is told before a window opens
    find_weights(model)
    find_device(device)
    try:
        import napari

        importlib.import_module("qtpy.QtWidgets")  # without its libraries napari would open no window, and say nothing

        viewer = napari.Viewer(title="napari-segnext demo")
    except (ImportError, RuntimeError) as error:  # qtpy's own error is a RuntimeError
        raise CommandError(
            f"napari or Qt cannot be imported ({error}); expected both. "
            f"Install them with: pip install 'napari-segnext[all]'. {_WITHOUT_A_SCREEN}"
        ) from error
    show_in(viewer, scene, model, device)
    napari.run()


def show_in(viewer: Any, scene: "Scene", model: str, device: str) -> Any:
    """Add the image and its prompts, dock the annotator widget and start it; returns the widget."""
    from napari_segnext.prompts import Click
    from napari_segnext.weights import DEFAULT_MODEL, find_weights, load_model
    from napari_segnext.widgets import AnnotatorWidget

    viewer.add_image(scene.image, name=scene.name)
    clicks = [prompt for prompt in scene.prompts if isinstance(prompt, Click)]
    viewer.add_points(
        [(click.row, click.column) for click in clicks],
        name="SegNext clicks",
        features={"is_positive": [click.is_positive for click in clicks]},
        metadata={"napari-segnext": {"role": "clicks", "image": scene.name}},
        size=max(4, min(scene.image.shape[:2]) / 40),
    )
    widget = AnnotatorWidget(
        viewer, load_model=lambda name, chosen: load_model(name, device if chosen == "auto" else chosen)
    )
    viewer.window.add_dock_widget(widget, name="SegNext annotator")
    if model != DEFAULT_MODEL:
        widget.models.add_file(str(find_weights(model)))
    widget.start()
    return widget
