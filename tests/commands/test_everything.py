from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest

from napari_segnext import load_model, segment_everything
from napari_segnext.io import read_image
from napari_segnext.prompts import Box, Click, Polygon, Prompts
from napari_segnext.prompts.prompts_file import AnnotatedObject, PromptsFile, SlicePrompts, write_prompts_file
from tests.session.test_zoom import BrightModel, image_with_disk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    Cli = Callable[..., Result]

SHAPE, PLACES = (64, 80), ((16, 20), (40, 60))


@pytest.fixture
def bright_model(monkeypatch: pytest.MonkeyPatch) -> BrightModel:
    """Taken whatever model is asked for."""
    model = BrightModel()
    monkeypatch.setattr("napari_segnext.weights.load_model", lambda name, device: model)
    return model


@pytest.fixture
def disks_file(tmp_path: Path) -> Path:
    """Two bright disks."""
    one, other = (image_with_disk(SHAPE, place, 9) for place in PLACES)
    PIL.Image.fromarray(one | other).save(tmp_path / "disks.png")
    return tmp_path / "disks.png"


def prompts_in(path: Path, *prompts: object, **entries: object) -> Path:
    """A prompts file; all prompts belong to one object of it."""
    items = (AnnotatedObject(4, "", (SlicePrompts(0, 0, Prompts(prompts)),)),)  # type: ignore[arg-type]
    write_prompts_file(path, PromptsFile(items, **entries))  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_label_image_is_that_of_the_library(
    suffix: str, cli: Cli, image_file: Path, tiny_model: Path, tmp_path: Path
) -> None:
    output = tmp_path / f"out{suffix}"
    options = ("--points-per-side", 4, "--min-stability", 0, "--min-agreement", 0, "--max-image-share", 1)
    done = cli("everything", image_file, "--model", tiny_model, "-o", output, *options)
    assert done.exit_code == 0, done.output
    result = segment_everything(
        load_model(tiny_model, "cpu"),
        read_image(image_file),
        points_per_side=4,
        min_stability=0,
        min_agreement=0,
        max_image_share=1,
    )
    np.testing.assert_array_equal(read_image(output), result.labels)
    assert f"wrote {output} ({len(result.objects)} object" in done.stdout
    assert "from 16 of 16 prompts" in done.stdout


def test_the_grid_finds_the_objects(cli: Cli, disks_file: Path, bright_model: BrightModel, tmp_path: Path) -> None:
    done = cli("everything", disks_file, "--points-per-side", 8, "--no-zoom", "-o", tmp_path / "out.png")
    assert done.exit_code == 0, done.output
    labels = read_image(tmp_path / "out.png")
    assert [labels[place] for place in PLACES] == [1, 2] and labels.max() == 2
    assert len(bright_model.encoded_shapes) == 1


def test_each_click_and_box_of_a_prompts_file_asks_for_an_object(
    cli: Cli, disks_file: Path, bright_model: BrightModel, tmp_path: Path
) -> None:
    prompts = prompts_in(tmp_path / "p.json", Box(30, 50, 50, 70), Click(16, 20), zoom=False)
    done = cli("everything", disks_file, "--prompts", prompts, "-o", tmp_path / "out.png")
    assert done.exit_code == 0, done.output
    labels = read_image(tmp_path / "out.png")
    assert [labels[place] for place in PLACES] == [1, 2], "clicks come before boxes"
    assert "2 of 2 prompts" in done.stdout
    assert len(bright_model.encoded_shapes) == 1, "the file says not to zoom"


@pytest.mark.parametrize(
    ("prompt", "words"),
    [(Click(3, 3, False), "negative click"), (Polygon([(1, 1), (9, 1), (9, 9)]), "has a polygon")],
)
def test_other_prompts_are_refused(
    prompt: object, words: str, cli: Cli, disks_file: Path, bright_model: BrightModel, tmp_path: Path
) -> None:
    prompts = prompts_in(tmp_path / "p.json", Click(16, 20), prompt)
    done = cli("everything", disks_file, "--prompts", prompts, "-o", tmp_path / "out.png")
    assert done.exit_code == 2
    assert words in done.stderr and "napari-segnext predict" in done.stderr
    assert not (tmp_path / "out.png").exists()


def test_ctrl_c_writes_what_was_found_and_says_so(
    cli: Cli, disks_file: Path, bright_model: BrightModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, n_asked = bright_model.predict_logits, 0

    def interrupted(*arguments: object) -> object:
        nonlocal n_asked
        n_asked += 1
        if n_asked == 20:
            raise KeyboardInterrupt
        return answer(*arguments)

    monkeypatch.setattr(bright_model, "predict_logits", interrupted)
    output = tmp_path / "out.png"
    done = cli("everything", disks_file, "--points-per-side", 8, "--no-zoom", "-o", output)
    assert done.exit_code == 130
    assert f"interrupted. What was found so far is in {output} (1 object from " in done.stderr
    assert "run the same command again" in done.stderr
    labels = read_image(output)
    assert [labels[place] for place in PLACES] == [1, 0]


def test_ctrl_c_before_the_first_prompt_leaves_nothing(
    cli: Cli, disks_file: Path, bright_model: BrightModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(image: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(bright_model, "encode_image", interrupted)
    done = cli("everything", disks_file, "-o", tmp_path / "out.png")
    assert done.exit_code == 130 and "Nothing was written" in done.stderr
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("absent.png", "-o", "out.png"), "there is no image"),
        (("IMAGE", "-p", "absent.json", "-o", "out.png"), "there is no prompts file"),
        (("IMAGE", "-p", "IMAGE", "-o", "out.png"), "is not JSON"),
        (("IMAGE", "-o", "out.jpg"), "ends in '.jpg'"),
        (("IMAGE", "-o", "nowhere/out.png"), "no folder"),
        (("IMAGE", "-o", "out.png", "-d", "abacus"), "device is 'abacus'"),
        (("IMAGE", "-o", "out.png", "-m", "unet"), "no model 'unet'"),
        (("IMAGE", "-o", "out.png", "--threshold", "2"), "threshold is 2"),
        (("IMAGE", "-o", "out.png", "--points-per-side", "0"), "points_per_side is 0"),
        (("IMAGE", "-o", "out.png", "--min-stability", "7"), "min_stability is 7"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_input_is_one_line_and_writes_nothing(
    arguments: tuple[str, ...],
    words: str,
    cli: Cli,
    image_file: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    filled = [{"IMAGE": str(image_file)}.get(each, each) for each in arguments]
    model = () if "-m" in filled else ("-m", tiny_model)
    before = sorted(tmp_path.iterdir())
    done = cli("everything", *filled, *model)
    assert done.exit_code == 2, done.output
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before
