from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest

from napari_segnext.commands.demo_scene import bundled_scene
from napari_segnext.io import read_image
from napari_segnext.prompts.prompts_file import read_prompts_file
from tests.session.test_zoom import BrightModel, image_with_disk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    Cli = Callable[..., Result]

FILES = {"image.png", "mask.png", "mask.tif", "overlay.png", "prompts.json", "report.json", "report.md"}


def test_bundled_scene_has_its_prompts_where_the_truth_says() -> None:
    scene = bundled_scene()
    assert scene.truth is not None
    for row, column, sign in scene.prompts.as_clicks(scene.truth.shape, spacing_px=1):
        assert scene.truth[int(row), int(column)] == (sign > 0)


def test_headless_demo_writes_everything(cli: Cli, tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "demo"
    done = cli("demo", "--headless", folder, "--model", tiny_model)
    assert done.exit_code == 0, done.output
    assert {path.name for path in folder.iterdir()} == FILES
    report = json.loads((folder / "report.json").read_text())
    assert report["model"]["name"] == "tiny-random"
    assert 0 <= report["iou"] <= 1
    assert report["zoom"] is False and "without zoom" in done.stdout
    assert "Zoom: off" in (folder / "report.md").read_text()
    assert report["mask_px"] == read_image(folder / "mask.tif").sum()
    assert set(np.unique(read_image(folder / "mask.png"))) <= {0, 255}
    assert len(report["steps"]) == len(read_prompts_file(folder / "prompts.json").objects[0].prompts_on())
    assert "IoU" in done.stdout and str(folder) in done.stdout
    assert "| step | prompt |" in (folder / "report.md").read_text()


def test_predict_repeats_the_mask_of_the_demo(cli: Cli, tiny_model: Path, tmp_path: Path) -> None:
    cli("demo", "--headless", tmp_path, "--model", tiny_model)
    done = cli(
        *("predict", tmp_path / "image.png", "-p", tmp_path / "prompts.json", "-m", tiny_model),
        *("-o", tmp_path / "again.tif"),
    )
    assert done.exit_code == 0, done.output
    np.testing.assert_array_equal(read_image(tmp_path / "again.tif"), read_image(tmp_path / "mask.tif"))


def test_image_of_ones_own_gets_a_click_in_its_middle(cli: Cli, tiny_model: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 41, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(tmp_path / "mine.png")
    done = cli("demo", "--headless", tmp_path / "out", "--data", tmp_path / "mine.png", "--model", tiny_model)
    assert done.exit_code == 0, done.output
    said = read_prompts_file(tmp_path / "out" / "prompts.json")
    assert said.image is not None and said.image.name == "mine.png"
    (click,) = said.objects[0].prompts_on()
    assert (click.row, click.column) == (14, 20)  # type: ignore[union-attr]
    assert json.loads((tmp_path / "out" / "report.json").read_text())["iou"] is None


def test_zoom_is_told_and_written_so_that_predict_repeats_the_mask_even_if_the_model_prefers_none(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = BrightModel()
    monkeypatch.setattr("napari_segnext.weights.load_model", lambda name, device: model)
    PIL.Image.fromarray(image_with_disk((600, 800), (300, 400), 12)).save(tmp_path / "disk.png")
    done = cli("demo", "--headless", tmp_path, "--data", tmp_path / "disk.png")
    assert done.exit_code == 0, done.output
    monkeypatch.setattr(BrightModel, "prefers_zoom", False)
    assert "with zoom" in done.stdout
    assert json.loads((tmp_path / "report.json").read_text())["zoom"] is True
    assert "Zoom: on" in (tmp_path / "report.md").read_text()
    assert read_prompts_file(tmp_path / "prompts.json").zoom is True
    files = (tmp_path / "image.png", "-p", tmp_path / "prompts.json")
    for name, options in (("said", ()), ("off", ("--no-zoom",))):
        assert cli("predict", *files, *options, "-o", tmp_path / f"{name}.tif").exit_code == 0
    mask = read_image(tmp_path / "mask.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "said.tif"), mask)
    assert (read_image(tmp_path / "off.tif") != mask).any()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="there is always a display")
def test_without_a_display_the_way_without_a_window_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    done = cli("demo")
    assert done.exit_code == 2
    assert "napari-segnext demo --headless DIR" in done.stderr


def test_without_napari_the_installation_is_told(cli: Cli, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setitem(sys.modules, "napari", None)
    done = cli("demo", "--model", tiny_model)
    assert done.exit_code == 2
    assert "pip install 'napari-segnext[all]'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--data", "absent.png"), "there is no image"),
        (("--model", "unet"), "no model 'unet'"),
        (("--headless", "a file"), "is a file; expected a folder"),
    ],
)
def test_wrong_input_is_one_line(
    arguments: tuple[str, ...], words: str, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").write_text("")
    headless = () if "--headless" in arguments else ("--headless", tmp_path / "out")
    done = cli("demo", *headless, *arguments)
    assert done.exit_code == 2, done.output
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.gui
@pytest.mark.skipif(
    sys.platform not in ("win32", "darwin") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")),
    reason="without a display Qt ends the whole process",
)
def test_napari_shows_prompts_and_the_mask_of_the_headless_demo(
    make_napari_viewer: Any, qtbot: Any, cli: Cli, tiny_model: Path, tmp_path: Path
) -> None:
    from napari_segnext.commands.demo import show_in

    viewer = make_napari_viewer()
    widget = show_in(viewer, bundled_scene(), str(tiny_model), "cpu")
    end = time.monotonic() + 60
    while (widget.annotator is None or widget.annotator.mask is None) and time.monotonic() < end:
        qtbot.wait(20)
    assert widget.annotator.prompts == bundled_scene().prompts
    cli("demo", "--headless", tmp_path, "--model", tiny_model)
    np.testing.assert_array_equal(widget.annotator.mask, read_image(tmp_path / "mask.tif") > 0)
