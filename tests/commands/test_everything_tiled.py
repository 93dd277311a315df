"""`everything` over tiles: what is read lazily, what is written by rectangles, and when tiles are taken."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest
import tifffile
import zarr
from skimage import draw

from napari_segnext.everything import EverythingSettings, segment_everything_tiled
from napari_segnext.io import read_image, read_volume
from tests.commands.test_everything import bright_model
from tests.session.test_zoom import BrightModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    Cli = Callable[..., Result]

__all__ = ["bright_model"]

SHAPE, PLACES = (90, 130), ((20, 20), (45, 52), (60, 100))
OPTIONS = ("--points-per-side", 6, "--no-zoom", "--max-image-share", 1)
TILES = ("--tile", 64, "--overlap", 16)


@pytest.fixture
def pixels() -> np.ndarray:
    """Three disks, one on a corner of tiles."""
    image = np.zeros(SHAPE, np.uint8)
    for place in PLACES:
        image[draw.disk(place, 10)] = 255
    return image


@pytest.fixture
def expected(pixels: np.ndarray) -> np.ndarray:
    """What the library answers."""
    settings = EverythingSettings(points_per_side=6, max_image_share=1)
    result = segment_everything_tiled(BrightModel(), pixels, settings, tile_px=64, overlap_px=16, zoom=False)
    assert len(result.objects) == 3
    return result.labels


@pytest.fixture
def ome_zarr(tmp_path: Path, pixels: np.ndarray) -> Path:
    """Two levels, 0.5 µm a pixel."""
    group = zarr.open_group(str(tmp_path / "in.zarr"), mode="w", zarr_format=2)
    for level in (0, 1):
        group.create_array(str(level), data=pixels[:: 2**level, :: 2**level], chunks=(32, 32))
    datasets = [
        {"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": [0.5 * 2**level] * 2}]}
        for level in (0, 1)
    ]
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in ("y", "x")]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    return tmp_path / "in.zarr"


def saved(folder: Path, pixels: np.ndarray, kind: str) -> Path:
    path = folder / f"in.{'png' if kind == 'png' else 'tif'}"
    if kind == "png":
        PIL.Image.fromarray(pixels).save(path)
    elif kind == "tiled tif":
        tifffile.imwrite(path, pixels, tile=(32, 32), compression="zlib")
    else:
        tifffile.imwrite(path, pixels)
    return path


@pytest.mark.parametrize("kind", ["png", "tif", "tiled tif"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".zarr"])
def test_labels_are_those_of_the_library(
    kind: str,
    suffix: str,
    cli: Cli,
    pixels: np.ndarray,
    expected: np.ndarray,
    bright_model: BrightModel,
    tmp_path: Path,
) -> None:
    output = tmp_path / f"out{suffix}"
    done = cli("everything", saved(tmp_path, pixels, kind), "-o", output, *OPTIONS, *TILES)
    assert done.exit_code == 0, done.output
    assert f"wrote {output} (3 objects from 216 of 216 prompts)" in done.stdout and not done.stderr
    assert len(bright_model.encoded_shapes) == 6
    found = read_volume(output).plane(0, 0) if suffix == ".zarr" else read_image(output)
    np.testing.assert_array_equal(found, expected)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name not in ("home",)) == sorted(
        [output.name, f"in.{kind[-3:]}"]
    ), "nothing half written is left"


def test_ome_zarr_is_read_lazily_and_labels_keep_their_place(
    cli: Cli, ome_zarr: Path, expected: np.ndarray, bright_model: BrightModel, tmp_path: Path
) -> None:
    done = cli("everything", ome_zarr, "-o", tmp_path / "out.zarr", *OPTIONS, *TILES)
    assert done.exit_code == 0, done.output
    labels = read_volume(tmp_path / "out.zarr")
    np.testing.assert_array_equal(labels.plane(0, 0), expected)
    assert labels.is_labels and labels.plane_spacing(0) == (0.5, 0.5) and labels.unit == "um"


def test_a_coarser_level_gives_labels_of_its_size_and_spacing(
    cli: Cli, ome_zarr: Path, bright_model: BrightModel, tmp_path: Path
) -> None:
    done = cli("everything", ome_zarr, "--level", 1, "-o", tmp_path / "out.zarr", *OPTIONS, "--points-per-side", 12)
    assert done.exit_code == 0, done.output
    labels = read_volume(tmp_path / "out.zarr")
    assert labels.shape == (1, 45, 65) and labels.plane_spacing(0) == (1, 1)
    assert [labels.plane(0, 0)[row // 2, column // 2] for row, column in PLACES] == [1, 2, 3]
    assert bright_model.encoded_shapes == [(45, 65)], "as a whole, where no tiles are asked for"


class TestDefault:
    @pytest.fixture(autouse=True)
    def everything_above_100_pixels_is_large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("napari_segnext.everything.settings.LARGE_IMAGE_PX", 100)
        # in its package, the module goes by the name of its function
        monkeypatch.setattr(importlib.import_module("napari_segnext.commands.everything"), "TILE_PX", 64)

    @pytest.mark.parametrize("kind", ["png", "tiled tif"])
    def test_large_images_are_worked_through_in_tiles_and_one_line_says_so(
        self, kind: str, cli: Cli, pixels: np.ndarray, expected: np.ndarray, bright_model: BrightModel, tmp_path: Path
    ) -> None:
        done = cli("everything", saved(tmp_path, pixels, kind), "-o", tmp_path / "out.png", *OPTIONS)
        assert done.exit_code == 0, done.output
        (line,) = done.stderr.splitlines()
        assert line.startswith("90 × 130 pixels are worked through in 6 tiles of 64 that overlap by 16; --tile 0 takes")
        np.testing.assert_array_equal(read_image(tmp_path / "out.png"), expected)

    def test_no_tiles_can_be_asked_for(
        self, cli: Cli, pixels: np.ndarray, bright_model: BrightModel, tmp_path: Path
    ) -> None:
        done = cli("everything", saved(tmp_path, pixels, "tif"), "-o", tmp_path / "out.png", "--tile", 0, *OPTIONS)
        assert done.exit_code == 0 and not done.stderr
        assert bright_model.encoded_shapes == [SHAPE]

    def test_small_images_are_taken_as_a_whole(
        self, cli: Cli, pixels: np.ndarray, bright_model: BrightModel, tmp_path: Path
    ) -> None:
        done = cli("everything", saved(tmp_path, pixels[:, :90], "tif"), "-o", tmp_path / "out.tif", *OPTIONS)
        assert done.exit_code == 0 and not done.stderr
        assert bright_model.encoded_shapes == [(90, 90)]


def test_ctrl_c_writes_what_was_found_and_says_so(
    cli: Cli, ome_zarr: Path, bright_model: BrightModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = bright_model.encode_image

    def interrupted(image: object) -> object:
        if len(bright_model.encoded_shapes) == 2:
            raise KeyboardInterrupt
        return encode(image)

    monkeypatch.setattr(bright_model, "encode_image", interrupted)
    output = tmp_path / "out.zarr"
    done = cli("everything", ome_zarr, "-o", output, *OPTIONS, *TILES)
    assert done.exit_code == 130
    assert f"interrupted. What was found so far is in {output} (2 objects from 72 of 216 prompts)" in done.stderr
    labels = read_volume(output).plane(0, 0)
    assert labels[PLACES[0]] == 1 and labels[PLACES[1]] == 2 and labels.max() == 2


def test_ctrl_c_before_the_first_prompt_leaves_nothing(
    cli: Cli, ome_zarr: Path, bright_model: BrightModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(image: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(bright_model, "encode_image", interrupted)
    done = cli("everything", ome_zarr, "-o", tmp_path / "out.zarr", *OPTIONS, *TILES)
    assert done.exit_code == 130 and "Nothing was written" in done.stderr
    assert not (tmp_path / "out.zarr").exists()


def test_a_tiff_with_a_palette_is_read_in_its_colours(
    cli: Cli, pixels: np.ndarray, expected: np.ndarray, bright_model: BrightModel, tmp_path: Path
) -> None:
    palette = np.zeros((3, 256), np.uint16)
    palette[:, 1] = 65535
    tifffile.imwrite(tmp_path / "in.tif", (pixels > 0).astype(np.uint8), photometric="palette", colormap=palette)
    done = cli("everything", tmp_path / "in.tif", "-o", tmp_path / "out.tif", *OPTIONS, *TILES)
    assert done.exit_code == 0, done.output
    np.testing.assert_array_equal(read_image(tmp_path / "out.tif"), expected)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("PNG", "-o", "out.png", "--tile", "-3"), "--tile is -3; expected the side of a tile in pixels, or 0"),
        (("PNG", "-o", "out.png", "--overlap", "16"), "--overlap 16 needs tiles"),
        (("PNG", "-o", "out.png", "--tile", "64", "--overlap", "40"), "64 pixels wide and overlap by 40"),
        (("PNG", "-o", "out.png", "--level", "1"), "has one level only, 0"),
        (
            ("ZARR", "-o", "out.png", "--level", "2"),
            "has no level 2; expected one of these (rows × columns): 0: 90 × 130",
        ),
        (("STACK", "-o", "out.png", "--tile", "64"), "holds 3 slices; expected one image"),
        (("ZARR", "-o", "in.zarr"), "is the image itself"),
        (("ZARR", "-o", "taken.zarr"), "exists and is no zarr"),
        (("ZARR", "-o", "nowhere/out.zarr"), "no folder"),
    ],
)
def test_wrong_input_is_one_line_and_writes_nothing(
    arguments: tuple[str, ...],
    words: str,
    cli: Cli,
    pixels: np.ndarray,
    ome_zarr: Path,
    bright_model: BrightModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite(tmp_path / "stack.tif", np.stack([pixels] * 3), metadata={"axes": "ZYX"})
    (tmp_path / "taken.zarr").mkdir()
    (tmp_path / "taken.zarr" / "mine.txt").write_text("mine")
    names = {"PNG": str(saved(tmp_path, pixels, "png")), "ZARR": "in.zarr", "STACK": "stack.tif"}
    before = sorted(tmp_path.rglob("*"))
    done = cli("everything", *[names.get(each, each) for each in arguments])
    assert done.exit_code == 2, done.output
    assert words in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before
