"""The demo without a screen: prompts answered one by one, and everything written to a folder."""

from __future__ import annotations

import json
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_segnext._types import Image, Mask
    from napari_segnext.commands.demo_scene import Scene
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.session import Session

MASK_COLOUR = np.array([255, 225, 25], np.float32)
POSITIVE_COLOUR = np.array([30, 144, 255], np.uint8)
NEGATIVE_COLOUR = np.array([255, 127, 14], np.uint8)
MASK_OPACITY = 0.4


def write_demo(folder: Path, scene: Scene, model: InteractiveModel) -> dict[str, Any]:
    """Answer the prompts of a scene and write image, mask, overlay, prompts and report.

    Parameters
    ----------
    folder
        Made if it does not exist; files of an earlier demo are replaced.
    scene, model
        What is segmented, and by what.

    Returns
    -------
    dict
        The report, as it stands in ``report.json``.
    """
    from napari_segnext.io import write_labels
    from napari_segnext.session import EmbeddingCache, Session

    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    session = Session(model, scene.image, cache=EmbeddingCache(max_entries=1))
    seconds_encode = time.perf_counter() - start
    steps = [_timed_step(session, prompt, scene.truth) for prompt in scene.prompts]
    prediction = session.prediction
    mask = np.zeros(session.image_shape, bool) if prediction is None else prediction.mask

    rgb = rgb_bytes(scene.image)
    _write_png(folder / "image.png", rgb)
    write_labels(folder / "mask.tif", mask)
    _write_png(folder / "mask.png", mask.astype(np.uint8) * 255)
    _write_png(folder / "overlay.png", draw_overlay(rgb, mask, scene))
    _write_prompts(folder / "prompts.json", scene, session)
    report = _report(scene, session, mask, seconds_encode, steps)
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (folder / "report.md").write_text(report_text(report), encoding="utf-8")
    return report


def rgb_bytes(image: Image) -> NDArray[np.uint8]:
    """`(H, W, 3)` uint8 of what the model sees."""
    from napari_segnext.session import image_to_rgb

    return np.round(image_to_rgb(image) * 255).astype(np.uint8)


def draw_overlay(rgb: NDArray[np.uint8], mask: Mask, scene: Scene) -> NDArray[np.uint8]:
    """The image with the mask laid over it, its border, and a cross for each click, blue on the object.

    Returns
    -------
    ndarray
        `(H, W, 3)` uint8.
    """
    from skimage.segmentation import find_boundaries

    overlay = rgb.astype(np.float32)
    overlay[mask] += MASK_OPACITY * (MASK_COLOUR - overlay[mask])
    overlay[find_boundaries(mask, mode="inner")] = MASK_COLOUR
    drawn = np.round(overlay).astype(np.uint8)
    arm = max(3, round(max(mask.shape) / 80))
    for row, column, sign in scene.prompts.as_clicks((mask.shape[0], mask.shape[1]), spacing_px=5.0):
        y, x = round(float(row)), round(float(column))
        colour = POSITIVE_COLOUR if sign > 0 else NEGATIVE_COLOUR
        drawn[max(0, y - arm) : y + arm + 1, max(0, x - 1) : x + 2] = colour
        drawn[max(0, y - 1) : y + 2, max(0, x - arm) : x + arm + 1] = colour
    return drawn


def report_text(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = [f"# Demo: {report['scene']}", "", f"Image: {report['source']}, {report['image_shape']}", ""]
    lines += [
        f"Model: {report['model']['name']} ({report['model']['licence']}), on {report['device']}",
        f"Zoom: {'on, answers are made on a window about the object' if report['zoom'] else 'off'}",
        "",
        "| step | prompt | mask, px | IoU | seconds |",
        "|---|---|---|---|---|",
    ]
    for number, step in enumerate(report["steps"], start=1):
        overlap = "" if step["iou"] is None else f"{step['iou']:.4f}"
        lines.append(f"| {number} | {step['prompt']} | {step['mask_px']} | {overlap} | {step['seconds']:.3f} |")
    lines += ["", f"Encoding the image took {report['seconds_encode']:.3f} s.", ""]
    lines += [f"{name} {number}" for name, number in report["versions"].items()]
    return "\n".join(lines) + "\n"


def _timed_step(session: Session, prompt: Any, truth: Mask | None) -> dict[str, Any]:
    start = time.perf_counter()
    mask = session.add(prompt).mask
    seconds = time.perf_counter() - start
    return {
        "prompt": str(prompt),
        "seconds": round(seconds, 4),
        "mask_px": int(mask.sum()),
        "iou": None if truth is None else _iou(truth, mask),
    }


def _iou(truth: Mask, mask: Mask) -> float:
    n_either = int((truth | mask).sum())
    return round(int((truth & mask).sum()) / n_either, 4) if n_either else 1.0


def _report(
    scene: Scene, session: Session, mask: Mask, seconds_encode: float, steps: list[dict[str, Any]]
) -> dict[str, Any]:
    identity = session.model.identity
    return {
        "scene": scene.name,
        "source": scene.source,
        "image_shape": list(scene.image.shape),
        "model": {"name": identity.name, "sha256": identity.sha256, "licence": identity.licence},
        "device": str(session.model.device),
        "zoom": session.zoom,
        "seconds_encode": round(seconds_encode, 4),
        "seconds_per_click": round(float(np.mean([step["seconds"] for step in steps])), 4) if steps else None,
        "mask_px": int(mask.sum()),
        "iou": None if scene.truth is None else _iou(scene.truth, mask),
        "steps": steps,
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("napari-segnext", "torch", "timm", "numpy", "scikit-image"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed as a package"
    return found


def _write_prompts(path: Path, scene: Scene, session: Session) -> None:
    from napari_segnext.prompts.prompts_file import (
        AnnotatedObject,
        ImageReference,
        ModelReference,
        PromptsFile,
        SlicePrompts,
        write_prompts_file,
    )

    said = AnnotatedObject(label=1, name=scene.name, slices=(SlicePrompts(0, 0, scene.prompts),))
    image = ImageReference(scene.file_name, tuple(int(n) for n in scene.image.shape[:2]))
    identity = session.model.identity
    model = ModelReference(identity.name, identity.sha256)
    write_prompts_file(path, PromptsFile((said,), image, model, session.zoom))


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    import PIL.Image

    PIL.Image.fromarray(pixels).save(path)
