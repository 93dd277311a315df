"""`everything`: one image → a label image of all its objects."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_segnext.commands.exits import CommandError, Interrupted
from napari_segnext.commands.options import CacheFolder, CacheSize, Device, UsesCache, disk_cache
from napari_segnext.commands.predict import check_image, checked_prompts, existing_prompts_file, loaded_model
from napari_segnext.commands.progress import progress
from napari_segnext.everything.settings import (
    MAX_IMAGE_SHARE,
    MIN_AGREEMENT,
    MIN_OBJECT_PX,
    MIN_STABILITY,
    POINTS_PER_SIDE,
    EverythingSettings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_segnext.everything import EverythingProgress, EverythingResult
    from napari_segnext.prompts import Box, Click
    from napari_segnext.prompts.prompts_file import PromptsFile


def everything(
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="PNG, JPEG, BMP or TIFF; one image.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Label image to write: .png or .tif.", show_default=False)
    ],
    model: Annotated[
        str,
        typer.Option("--model", "-m", help="Name or path; by default the one named in the prompts file, if any."),
    ] = "",
    points_per_side: Annotated[
        int, typer.Option(metavar="N", help="Clicks of the grid along each side of the image.")
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
        float, typer.Option(metavar="SHARE", help="Greatest share of the image of an object found by the grid.")
    ] = MAX_IMAGE_SHARE,
    skip_found: Annotated[
        bool,
        typer.Option(
            "--skip-found/--every-click", help="Skip clicks of the grid on what was found already, or ask at all."
        ),
    ] = True,
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

    After Ctrl-C, what was found so far is written.
    """
    from napari_segnext.io import read_image, require_label_suffix, write_labels
    from napari_segnext.prompts.prompts_file import PromptsFile, read_prompts_file

    require_label_suffix(output)
    said = PromptsFile()
    if prompts is not None:
        said = checked_prompts(prompts, read_prompts_file(existing_prompts_file(prompts)))
    clicks, boxes = _clicks_and_boxes(said)
    pixels = read_image(image)
    check_image(image, pixels, said.image)

    from napari_segnext.everything import iterate_everything

    settings = EverythingSettings(
        points_per_side=points_per_side,
        min_stability=min_stability,
        min_agreement=min_agreement,
        min_object_px=min_object_px,
        max_image_share=max_image_share,
        skips_found=skip_found,
    )
    steps = iterate_everything(
        loaded_model(model, said, device),
        pixels,
        settings,
        clicks=None if prompts is None else clicks,
        boxes=None if prompts is None else boxes,
        zoom=said.zoom if zoom is None else zoom,
        contrast_limits=contrast_limits or None,
        threshold=threshold,
    )
    with disk_cache(cache_folder, cache_size, is_used=cache):
        result = _followed(steps)
    write_labels(output, result.labels)
    n_objects = len(result.objects)
    plural = "" if n_objects == 1 else "s"
    wrote = f"{output} ({n_objects} object{plural} from {result.n_done} of {result.n_prompts} prompts)"
    if not result.is_complete:
        raise Interrupted(f"What was found so far is in {wrote}. To ask at all, run the same command again.")
    typer.echo(f"wrote {wrote}")


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


def _followed(steps: "Iterator[EverythingProgress]") -> "EverythingResult":
    """The result of all steps, or of those before Ctrl-C."""
    last = next(steps)
    with progress("everything", last.n_prompts, unit="prompts") as report:
        try:
            for last in steps:
                report(last.n_done, f"{last.n_found} found")
        except KeyboardInterrupt:
            return last.result()
    return last.result()
