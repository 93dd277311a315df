from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest
import tifffile

from napari_segnext import Session, load_model
from napari_segnext.io import read_image
from napari_segnext.prompts import Click, Prompts
from napari_segnext.prompts.prompts_file import (
    AnnotatedObject,
    PromptsFile,
    SlicePrompts,
    read_prompts_file,
    write_prompts_file,
)
from napari_segnext.weights import import_model
from tests.session.test_zoom import BrightModel, image_with_disk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    Cli = Callable[..., Result]


def changed(prompts_file: Path, **entries: object) -> None:
    data = json.loads(prompts_file.read_text())
    prompts_file.write_text(json.dumps({**data, **entries}))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_label_image_is_what_a_session_answers(
    suffix: str, cli: Cli, image_file: Path, prompts_file: Path, tiny_model: Path, tmp_path: Path
) -> None:
    output = tmp_path / f"out{suffix}"
    done = cli("predict", image_file, "--prompts", prompts_file, "--model", tiny_model, "-o", output)
    assert done.exit_code == 0, done.output
    session = Session(load_model(tiny_model, "cpu"), read_image(image_file))
    expected = np.zeros((40, 50), int)
    for label, row in ((2, 10), (5, 30)):
        session.reset()
        expected[session.add(Click(row, 20)).mask & (expected == 0)] = label
    np.testing.assert_array_equal(read_image(output), expected)
    assert f"wrote {output} (2 objects; 2: " in done.stdout


def test_model_named_in_the_prompts_file_is_taken(
    cli: Cli, image_file: Path, prompts_file: Path, tiny_model: Path, tmp_path: Path
) -> None:
    import_model(tiny_model, "mine")
    changed(prompts_file, model={"name": "mine", "sha256": ""})
    done = cli("predict", image_file, "-p", prompts_file, "-o", tmp_path / "out.png")
    assert done.exit_code == 0, done.output


def test_named_model_that_is_not_there_tells_to_choose_another(
    cli: Cli, image_file: Path, prompts_file: Path, tmp_path: Path
) -> None:
    changed(prompts_file, model={"name": "theirs", "sha256": ""})
    done = cli("predict", image_file, "-p", prompts_file, "-o", tmp_path / "out.png")
    assert done.exit_code == 2
    assert "names the model 'theirs'" in done.stderr and "--model" in done.stderr


def test_other_weights_and_another_file_are_warned_of(
    cli: Cli, image_file: Path, prompts_file: Path, tiny_model: Path, tmp_path: Path
) -> None:
    other = "0" * 64
    changed(
        prompts_file,
        model={"name": "x", "sha256": other},
        image={"name": "y.png", "shape": [40, 50], "sha256": other},
    )
    done = cli("predict", image_file, "-p", prompts_file, "-m", tiny_model, "-o", tmp_path / "out.png")
    assert done.exit_code == 0
    assert "with other weights" in done.stderr and "not the very file" in done.stderr


def test_image_of_another_size_is_refused(
    cli: Cli, image_file: Path, prompts_file: Path, tiny_model: Path, tmp_path: Path
) -> None:
    changed(prompts_file, image={"name": "big.png", "shape": [400, 500]})
    done = cli("predict", image_file, "-p", prompts_file, "-m", tiny_model, "-o", tmp_path / "out.png")
    assert done.exit_code == 2
    assert "has 40 × 50 pixels, but the prompts were given on 'big.png' of shape (400, 500)" in done.stderr
    assert not (tmp_path / "out.png").exists()


def test_prompts_on_slices_of_a_volume_are_refused(
    cli: Cli, image_file: Path, prompts_file: Path, tiny_model: Path, tmp_path: Path
) -> None:
    data = json.loads(prompts_file.read_text())
    data["objects"][1]["slices"][0]["index"] = 7
    prompts_file.write_text(json.dumps(data))
    done = cli("predict", image_file, "-p", prompts_file, "-m", tiny_model, "-o", tmp_path / "out.png")
    assert done.exit_code == 2
    assert "object 5 on slice 7 along axis 0" in done.stderr


def test_contrast_limits_are_passed_on(cli: Cli, prompts_file: Path, tiny_model: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 4000, (40, 50), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "wide.tif", pixels)
    arguments = ("predict", tmp_path / "wide.tif", "-p", prompts_file, "-m", tiny_model, "-o", tmp_path / "out.tif")
    assert cli(*arguments, "--contrast-limits", 0, 100).exit_code == 0
    session = Session(load_model(tiny_model, "cpu"), pixels, contrast_limits=(0, 100))
    mask = session.add(read_prompts_file(prompts_file).objects[1].prompts_on().items[0]).mask
    written = read_image(tmp_path / "out.tif")
    np.testing.assert_array_equal(written == 5, mask & (written != 2))
    assert cli(*arguments, "--contrast-limits", 100, 0).exit_code == 2


@pytest.fixture
def bright_model(monkeypatch: pytest.MonkeyPatch) -> BrightModel:
    """Taken whatever model is asked for; prefers zoom."""
    model = BrightModel()
    monkeypatch.setattr("napari_segnext.weights.load_model", lambda name, device: model)
    return model


@pytest.fixture
def disk_file(tmp_path: Path) -> Path:
    PIL.Image.fromarray(image_with_disk((600, 800), (300, 500), 12)).save(tmp_path / "disk.png")
    return tmp_path / "disk.png"


@pytest.mark.parametrize(
    ("said", "options", "zoom"),
    [
        (None, (), True),
        (False, (), False),
        (True, (), True),
        (False, ("--zoom",), True),
        (True, ("--no-zoom",), False),
    ],
)
def test_zoom_is_as_asked_else_as_the_file_says_else_as_the_model_prefers(
    said: bool | None,
    options: tuple[str, ...],
    zoom: bool,
    cli: Cli,
    disk_file: Path,
    bright_model: BrightModel,
    tmp_path: Path,
) -> None:
    click = Click(300, 500)
    objects = (AnnotatedObject(1, "", (SlicePrompts(0, 0, Prompts((click,))),)),)
    write_prompts_file(tmp_path / "p.json", PromptsFile(objects, zoom=said))
    done = cli("predict", disk_file, "-p", tmp_path / "p.json", "-o", tmp_path / "out.png", *options)
    assert done.exit_code == 0, done.output
    mask = read_image(tmp_path / "out.png") > 0
    session = Session(bright_model, read_image(disk_file), zoom=zoom)
    np.testing.assert_array_equal(mask, session.add(click).mask)
    other = Session(bright_model, read_image(disk_file), zoom=not zoom).add(click).mask
    assert (mask != other).any()


@pytest.mark.parametrize("zoom", [True, False], ids=["zoom", "no zoom"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("weights", ["bright", "random"])
def test_prompts_of_the_annotator_give_the_same_masks_on_the_command_line(
    weights: str, dtype: type, zoom: bool, cli: Cli, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("napari")
    from napari.components import ViewerModel

    from napari_segnext.annotator import Annotator

    model = BrightModel() if weights == "bright" else load_model(tiny_model, "cpu")
    monkeypatch.setattr("napari_segnext.weights.load_model", lambda name, device: model)
    disks = image_with_disk((500, 600), (300, 400), 12) | image_with_disk((500, 600), (100, 150), 15)
    pixels = disks.astype(dtype) * (20 if dtype is np.uint16 else 1)
    pixels[::7, ::5] += np.arange(120, dtype=dtype)
    tifffile.imwrite(tmp_path / "image.tif", pixels)

    viewer = ViewerModel()
    annotator = Annotator(viewer, viewer.add_image(pixels), model, zoom=zoom)
    objects = []
    for places in (((300, 400), (303.217, 405.5)), ((100, 150), (110, 170))):
        for number, place in enumerate(places):
            annotator.set_sign(is_positive=number == 0 or weights == "bright")
            annotator.layers.points.add(place)
        if annotator.mask is not None and annotator.mask.any():
            prompts = annotator.prompts
            label = annotator.accept()
            objects.append(AnnotatedObject(label, "", (SlicePrompts(0, 0, prompts),)))
        annotator.reset()
    write_prompts_file(tmp_path / "p.json", PromptsFile(tuple(objects), zoom=annotator.is_zoomed))

    done = cli("predict", tmp_path / "image.tif", "-p", tmp_path / "p.json", "-o", tmp_path / "out.tif")
    assert done.exit_code == 0, done.output
    written = read_image(tmp_path / "out.tif")
    assert written.any()
    np.testing.assert_array_equal(written, annotator.layers.output.data)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("absent.png", "-p", "PROMPTS", "-o", "out.png"), "there is no image"),
        (("IMAGE", "-p", "absent.json", "-o", "out.png"), "there is no prompts file"),
        (("IMAGE", "-p", "IMAGE", "-o", "out.png"), "is not JSON"),
        (("PROMPTS", "-p", "PROMPTS", "-o", "out.png"), "ends in '.json'"),
        (("IMAGE", "-p", "PROMPTS", "-o", "out.jpg"), "ends in '.jpg'"),
        (("IMAGE", "-p", "PROMPTS", "-o", "nowhere/out.png"), "no folder"),
        (("IMAGE", "-p", "PROMPTS", "-o", "out.png", "-d", "abacus"), "device is 'abacus'"),
        (("IMAGE", "-p", "PROMPTS", "-o", "out.png", "--threshold", "2"), "threshold is 2"),
        (("IMAGE", "-p", "PROMPTS", "-o", "out.png", "-m", "unet"), "no model 'unet'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_input_is_one_line_and_writes_nothing(
    arguments: tuple[str, ...],
    words: str,
    cli: Cli,
    image_file: Path,
    prompts_file: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    filled = [{"IMAGE": str(image_file), "PROMPTS": str(prompts_file)}.get(each, each) for each in arguments]
    model = () if "-m" in filled else ("-m", tiny_model)
    before = sorted(tmp_path.iterdir())
    done = cli("predict", *filled, *model)
    assert done.exit_code == 2, done.output
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


class TestChannels:
    """What the model saw in the annotator is what it sees on the command line."""

    @pytest.fixture
    def planes(self, tmp_path: Path) -> list[Path]:
        disks = image_with_disk((500, 600), (300, 400), 12) | image_with_disk((500, 600), (100, 150), 15)
        paths = []
        for number, brightness in enumerate((9, 3)):
            pixels = disks.astype(np.uint16) * brightness
            pixels[:: 7 + number, ::5] += np.arange(120, dtype=np.uint16)
            paths.append(tmp_path / f"channel-{number}.tif")
            tifffile.imwrite(paths[-1], pixels)
        return paths

    @pytest.fixture
    def annotated(self, planes: list[Path], bright_model: BrightModel, tmp_path: Path) -> np.ndarray:
        """A prompts file of one cleaned object on pixels that are no squares; returns its labels."""
        pytest.importorskip("napari")
        from napari.components import ViewerModel

        from napari_segnext.annotator import Annotator
        from napari_segnext.annotator.model_input import Channel, ModelInput
        from napari_segnext.session.cleanup import Cleanup

        viewer = ViewerModel()
        first, second = (viewer.add_image(read_image(path), name=path.stem, scale=(2, 0.5)) for path in planes)
        first.contrast_limits, first.gamma = (0, 2000), 0.7
        second.contrast_limits = (100, 900)
        annotator = Annotator(viewer, first, bright_model)
        annotator.model_input = ModelInput((Channel.as_shown(second), Channel.as_shown(first)))
        annotator.layers.points.add((300, 400))
        annotator.cleanup = Cleanup(fills_holes=True, opening=5.0, min_component=4.0)
        annotator.accept()
        write_prompts_file(tmp_path / "p.json", annotator.snapshot().prompts)
        return np.asarray(annotator.layers.output.data)

    def predict(self, cli: Cli, planes: list[Path], tmp_path: Path, *more: object) -> Result:
        return cli("predict", planes[0], "-p", tmp_path / "p.json", "-o", tmp_path / "out.tif", *more)

    def test_masks_are_the_same(self, annotated, cli: Cli, planes: list[Path], tmp_path: Path) -> None:
        done = self.predict(cli, planes, tmp_path, "--channel", planes[1])
        assert done.exit_code == 0, done.output
        assert annotated.any()
        np.testing.assert_array_equal(read_image(tmp_path / "out.tif"), annotated)

    def test_size_of_a_pixel_counts_for_the_clean_up(
        self, annotated, cli: Cli, planes: list[Path], tmp_path: Path
    ) -> None:
        data = json.loads((tmp_path / "p.json").read_text())
        assert data["image"].pop("spacing") == [2.0, 0.5]
        (tmp_path / "p.json").write_text(json.dumps(data))
        assert self.predict(cli, planes, tmp_path, "--channel", planes[1]).exit_code == 0
        assert (read_image(tmp_path / "out.tif") != annotated).any()

    def test_a_channel_that_is_not_given_is_named(
        self, annotated, cli: Cli, planes: list[Path], tmp_path: Path
    ) -> None:
        done = self.predict(cli, planes, tmp_path)
        assert done.exit_code == 2
        assert "--channel is given 0 times; expected 1" in done.stderr and "'channel-1'" in done.stderr

    def test_limits_of_ones_own_are_refused(self, annotated, cli: Cli, planes: list[Path], tmp_path: Path) -> None:
        done = self.predict(cli, planes, tmp_path, "--channel", planes[1], "--contrast-limits", 0, 9)
        assert done.exit_code == 2
        assert "leave out --contrast-limits" in done.stderr

    def test_a_channel_of_another_size_is_refused(
        self, annotated, cli: Cli, planes: list[Path], tmp_path: Path
    ) -> None:
        tifffile.imwrite(planes[1], np.zeros((9, 9), np.uint16))
        done = self.predict(cli, planes, tmp_path, "--channel", planes[1])
        assert done.exit_code == 2
        assert "channel 'channel-1' has shape (9, 9); expected one grey image of 500 × 600 pixels" in done.stderr

    def test_a_channel_that_nobody_asked_for_is_refused(
        self, cli: Cli, image_file: Path, prompts_file: Path, tiny_model: Path, tmp_path: Path
    ) -> None:
        done = cli(
            "predict",
            image_file,
            "-p",
            prompts_file,
            "-m",
            tiny_model,
            "-o",
            tmp_path / "o.png",
            "--channel",
            image_file,
        )
        assert done.exit_code == 2
        assert "names no channels" in done.stderr
