"""`everything`: one image → a label image of all its objects."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_segnext.commands.everything_files import OpenedImage, labels_file, opened_image, require_output
from napari_segnext.commands.exits import CommandError, Interrupted
from napari_segnext.commands.options import CacheFolder, CacheSize, Device, UsesCache, disk_cache
from napari_segnext.commands.predict import check_image, checked_prompts, existing_prompts_file, loaded_model
from napari_segnext.commands.progress import progress
from napari_segnext.everything.settings import (
    LARGE_IMAGE_PX,
    MAX_IMAGE_SHARE,
    MIN_AGREEMENT,
    MIN_OBJECT_PX,
    MIN_STABILITY,
    OVERLAP_PX,
    POINTS_PER_SIDE,
    TILE_PX,
    EverythingSettings,
    is_large,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_segnext.everything import EverythingProgress, EverythingResult, TiledProgress
    from napari_segnext.prompts import Box, Click
    from napari_segnext.prompts.prompts_file import PromptsFile

    Progress = EverythingProgress | TiledProgress


def everything(
    image: Annotated[
        Path,
        typer.Argument(metavar="IMAGE", help="PNG, JPEG, BMP, TIFF, zarr or OME-Zarr; one image.", show_default=False),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Label image to write: .png, .tif or .zarr.", show_default=False)
    ],
    model: Annotated[
        str,
        typer.Option("--model", "-m", help="Name or path; by default the one named in the prompts file, if any."),
    ] = "",
    points_per_side: Annotated[
        int, typer.Option(metavar="N", help="Clicks of the grid along each side of the image, or of a tile.")
    ] = POINTS_PER_SIDE,
    prompts: Annotated[
        Path | None,
        typer.Option(
            "--prompts",
            "-p",
            help="Prompts file (JSON) to take instead of the grid: each click and each box asks for an object.",
            show_default=False,
        ),
    ] = None,
    min_stability: Annotated[
        float,
        typer.Option(metavar="SCORE", help="Of objects, 0 to 1. Lower finds more objects, also wrong ones."),
    ] = MIN_STABILITY,
    min_agreement: Annotated[
        float,
        typer.Option(
            metavar="SCORE",
            help="Of objects found by the grid with the answer to a second click on them, 0 to 1. 0 is faster.",
        ),
    ] = MIN_AGREEMENT,
    min_object_px: Annotated[int, typer.Option(metavar="N", help="Least area of an object.")] = MIN_OBJECT_PX,
    max_image_share: Annotated[
        float,
        typer.Option(metavar="SHARE", help="Greatest share of the image, or of a tile, of an object found by it."),
    ] = MAX_IMAGE_SHARE,
    skip_found: Annotated[
        bool,
        typer.Option(
            "--skip-found/--every-click", help="Skip clicks of the grid on what was found already, or ask at all."
        ),
    ] = True,
    tile: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help=f"Side of the tiles that the image is worked through in; 0 for none. By default {TILE_PX} for images "
            f"with a side above {LARGE_IMAGE_PX}, else none.",
            show_default=False,
        ),
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help=f"What neighbouring tiles both see, better more than an object is wide. By default {OVERLAP_PX}, but "
            "a quarter of a tile at most.",
            show_default=False,
        ),
    ] = None,
    level: Annotated[int, typer.Option(metavar="N", help="Level of an image that has several: 0 is the finest.")] = 0,
    device: Device = "auto",
    threshold: Annotated[float, typer.Option(help="Probability above which a pixel belongs to an object.")] = 0.5,
    contrast_limits: Annotated[
        tuple[float, float] | None,
        typer.Option(
            help="Black and white. By default uint8 as it is, other images by percentiles.", metavar="LOW HIGH"
        ),
    ] = None,
    zoom: Annotated[
        bool | None,
        typer.Option(
            "--zoom/--no-zoom",
            help="Look closely at the region about each object (small objects), or at the whole image only (much "
            "faster). By default as the prompts file says, else as the model prefers.",
            show_default=False,
        ),
    ] = None,
    cache: UsesCache = True,
    cache_folder: CacheFolder = None,
    cache_size: CacheSize = None,
) -> None:
    """Segment all objects of one image, each from one click of a grid, and write them as one label image.

    Large images are read and worked through tile by tile; objects on the borders of tiles come out whole.
    After Ctrl-C, what was found so far is written.
    """
    from napari_segnext.prompts.prompts_file import PromptsFile, read_prompts_file

    require_output(output, image)
    said = PromptsFile()
    if prompts is not None:
        said = checked_prompts(prompts, read_prompts_file(existing_prompts_file(prompts)))
    clicks, boxes = _clicks_and_boxes(said)
    opened = opened_image(image, level=level, is_tiled=None if tile is None else tile > 0)
    check_image(image, opened.pixels, said.image)
    tiles = _tiles((opened.pixels.shape[0], opened.pixels.shape[1]), tile, overlap)

    settings = EverythingSettings(
        points_per_side=points_per_side,
        min_stability=min_stability,
        min_agreement=min_agreement,
        min_object_px=min_object_px,
        max_image_share=max_image_share,
        skips_found=skip_found,
    )
    steps = _steps(
        loaded_model(model, said, device),
        opened.pixels,
        settings,
        tiles,
        clicks=None if prompts is None else clicks,
        boxes=None if prompts is None else boxes,
        zoom=said.zoom if zoom is None else zoom,
        contrast_limits=contrast_limits or None,
        threshold=threshold,
    )
    with disk_cache(cache_folder, cache_size, is_used=cache):
        last = _followed(steps)
    result = _written(last, output, opened)
    n_objects = len(result.objects)
    plural = "" if n_objects == 1 else "s"
    wrote = f"{output} ({n_objects} object{plural} from {result.n_done} of {result.n_prompts} prompts)"
    if not result.is_complete:
        raise Interrupted(f"What was found so far is in {wrote}. To ask at all, run the same command again.")
    typer.echo(f"wrote {wrote}")


def _tiles(shape: tuple[int, int], tile: int | None, overlap: int | None) -> "tuple[int, int] | None":
    """(side, overlap) of the tiles as the options say, or by the size of the image; None for no tiles."""
    if tile is not None and tile < 0:
        raise CommandError(f"--tile is {tile}; expected the side of a tile in pixels, or 0 for no tiles.")
    tile_px = tile if tile is not None else TILE_PX if is_large(shape) else 0
    if tile_px == 0:
        if overlap is not None:
            raise CommandError(f"--overlap {overlap} needs tiles, and there are none; set --tile, or leave it out.")
        return None
    overlap_px = min(OVERLAP_PX, tile_px // 4) if overlap is None else overlap

    from napari_segnext.everything import plan_tiles

    n_tiles = len(plan_tiles(shape, tile_px, overlap_px))
    if tile is None:
        typer.echo(
            f"{shape[0]} × {shape[1]} pixels are worked through in {n_tiles} tiles of {tile_px} that overlap by "
            f"{overlap_px}; --tile 0 takes the image as a whole.",
            err=True,
        )
    return tile_px, overlap_px


def _steps(
    model: Any, pixels: Any, settings: EverythingSettings, tiles: "tuple[int, int] | None", **options: Any
) -> "Iterator[Progress]":
    """The work, not begun yet."""
    from napari_segnext.everything import iterate_everything, iterate_everything_tiled

    if tiles is not None:
        return iterate_everything_tiled(model, pixels, settings, tile_px=tiles[0], overlap_px=tiles[1], **options)
    return iterate_everything(model, pixels[:, :], settings, **options)


def _clicks_and_boxes(said: "PromptsFile") -> "tuple[list[Click], list[Box]]":
    """All clicks and boxes of a prompts file, whichever object they belong to."""
    from napari_segnext.prompts import Box, Click

    found: tuple[list[Click], list[Box]] = ([], [])
    for item in said.objects:
        for prompt in item.prompts_on():
            if isinstance(prompt, Click) and prompt.is_positive:
                found[0].append(prompt)
            elif isinstance(prompt, Box):
                found[1].append(prompt)
            else:
                kind = f"negative {prompt.kind}" if isinstance(prompt, Click) else prompt.kind
                raise CommandError(
                    f"object {item.label} has a {kind}; expected positive clicks and boxes, each of which asks for an "
                    "object of its own. Use 'napari-segnext predict' for objects with several prompts."
                )
    return found


def _followed(steps: "Iterator[Progress]") -> "Progress":
    """The last of all steps, or of those before Ctrl-C."""
    last = next(steps)
    with progress("everything", last.n_prompts, unit="prompts") as report:
        try:
            for last in steps:
                report(last.n_done, f"{last.n_found} found")
        except KeyboardInterrupt:
            if last.n_done == 0:
                raise
    return last


def _written(last: "Progress", output: Path, opened: OpenedImage) -> "EverythingResult":
    """Write what was found; of tiles, without ever holding the whole label image."""
    from napari_segnext.everything import TiledProgress

    if not isinstance(last, TiledProgress) and output.suffix.lower() != ".zarr":
        from napari_segnext.io import write_labels

        result = last.result()
        write_labels(output, result.labels)
        return result
    with labels_file(output, opened) as labels:
        if isinstance(last, TiledProgress):
            return last.result(labels)
        result = last.result()
        labels[:, :] = result.labels
        return result
