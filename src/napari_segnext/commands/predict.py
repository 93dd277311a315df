"""`predict`: prompts → mask for one image."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_segnext.commands.exits import CommandError
from napari_segnext.commands.options import CacheFolder, CacheSize, Device, PrecisionOption, UsesCache, disk_cache

if TYPE_CHECKING:
    from napari_segnext.models.lower_precision import Precision
    from napari_segnext.prompts.prompts_file import ImageReference, PromptsFile, SlicePrompts


def predict(
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="PNG, JPEG, BMP or TIFF; one image.", show_default=False)
    ],
    prompts: Annotated[
        Path, typer.Option("--prompts", "-p", help="Prompts file (JSON), as the demo writes one.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Label image to write: .png or .tif.", show_default=False)
    ],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Name or path; by default the one named in the prompts file.")
    ] = "",
    device: Device = "auto",
    precision: PrecisionOption = "fp32",
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Probability above which a pixel belongs to an object. By default as the prompts file says, else 0.5.",
            show_default=False,
        ),
    ] = None,
    contrast_limits: Annotated[
        tuple[float, float] | None,
        typer.Option(
            help="Black and white. By default uint8 as it is, other images by percentiles.", metavar="LOW HIGH"
        ),
    ] = None,
    channel: Annotated[
        list[Path] | None,
        typer.Option(
            help="Another image that was a channel of what the model saw, in the order in which the prompts file names "
            "them. Repeatable.",
            show_default=False,
        ),
    ] = None,
    depth: Annotated[
        Path | None,
        typer.Option(
            help="Image file of the same size, one number for each pixel (NaN: unknown): the depth that is given to a "
            "model that reads depth, instead of its own.",
            show_default=False,
        ),
    ] = None,
    zoom: Annotated[
        bool | None,
        typer.Option(
            "--zoom/--no-zoom",
            help="Look closely at the region about each object, or at the whole image only. By default as the prompts "
            "file says, else as the model prefers.",
            show_default=False,
        ),
    ] = None,
    cache: UsesCache = True,
    cache_folder: CacheFolder = None,
    cache_size: CacheSize = None,
) -> None:
    """Predict the objects of a prompts file on one image and write them as one label image.

    Each object's pixels get its label; where objects overlap, the earlier one keeps its pixels.
    """
    from napari_segnext.io import read_image, require_label_suffix, write_labels
    from napari_segnext.prompts.prompts_file import read_prompts_file

    require_label_suffix(output)
    said = checked_prompts(prompts, read_prompts_file(existing_prompts_file(prompts)))
    pixels = read_image(image)
    check_image(image, pixels, said.image)
    if said.image is not None and said.image.channels:
        if contrast_limits:
            raise CommandError("the prompts file names channels with limits of their own; leave out --contrast-limits.")
        pixels = _channels(said.image, pixels, [read_image(path) for path in channel or ()])
    elif channel:
        raise CommandError(f"the prompts file names no channels, but --channel is given {len(channel)} times.")

    given_depth = _given_depth(depth, said.image)

    from napari_segnext.session import Session

    if threshold is not None and not 0 < threshold < 1:
        raise CommandError(f"--threshold is {threshold}; expected a probability between 0 and 1.")
    with disk_cache(cache_folder, cache_size, is_used=cache):
        session = Session(
            loaded_model(model, said, device, precision),
            pixels,
            contrast_limits=contrast_limits or None,
            zoom=said.zoom if zoom is None else zoom,
            depth=given_depth,
        )
        labels = _labels(session, said, threshold)
    write_labels(output, labels)
    areas = ", ".join(f"{item.label}: {int((labels == item.label).sum())} px" for item in said.objects)
    typer.echo(f"wrote {output} ({len(said.objects)} objects; {areas})")


def _channels(reference: "ImageReference", pixels: Any, others: list[Any]) -> Any:
    """What the model saw: the channels that the prompts file names, stretched as it says."""
    from napari_segnext.session import stack_channels, stretch_channel

    names = dict.fromkeys(one.name for one in reference.channels if one.name != reference.name)
    if len(names) != len(others):
        listed = ", ".join(f"'{name}'" for name in names) or "none"
        raise CommandError(
            f"--channel is given {len(others)} times; expected {len(names)}, for the other images that were channels "
            f"({listed})."
        )
    images = {reference.name: pixels, **dict(zip(names, others, strict=True))}
    for name, image in images.items():
        if image.ndim != 2 or image.shape != pixels.shape:
            raise CommandError(
                f"channel '{name}' has shape {image.shape}; expected one grey image of "
                f"{pixels.shape[0]} × {pixels.shape[1]} pixels."
            )
    return stack_channels(
        [stretch_channel(images[one.name], one.contrast_limits, one.gamma) for one in reference.channels]
    )


def _given_depth(path: Path | None, reference: "ImageReference | None") -> Any:
    """The depth of a file; without one, None, and a warning if the prompts were answered with a depth."""
    from napari_segnext.io import read_image

    if path is not None:
        return read_image(path)
    if reference is not None and reference.depth:
        typer.echo(
            f"warning: the prompts were answered with a depth from '{reference.depth}'; without --depth the masks may "
            "differ.",
            err=True,
        )
    return None


def existing_prompts_file(prompts: Path) -> Path:
    """The path, if there is a file."""
    if not prompts.is_file():
        raise FileNotFoundError(f"there is no prompts file '{prompts}'. Check the path after --prompts.")
    return prompts


def checked_prompts(path: Path, said: "PromptsFile") -> "PromptsFile":
    """Refuse files that are not about one plain image."""
    if not any(item.prompts_on() for item in said.objects):
        raise CommandError(
            f"'{path}' has no prompt on a plain image; expected one object at least, on axis 0, index 0."
        )
    for item in said.objects:
        for one in item.slices:
            if (one.axis, one.index) != (0, 0):
                raise CommandError(
                    f"'{path}' has prompts of object {item.label} on slice {one.index} along axis {one.axis}; predict "
                    "takes one plain image (axis 0, index 0). Save that slice as an image and its prompts with it."
                )
    return said


def check_image(path: Path, pixels: Any, reference: "ImageReference | None") -> None:
    """Refuse an image of another size than the prompts were given on; warn if only its bytes differ."""
    if reference is None:
        return
    if reference.shape and tuple(reference.shape[:2]) != tuple(pixels.shape[:2]):
        raise CommandError(
            f"'{path}' has {pixels.shape[0]} × {pixels.shape[1]} pixels, but the prompts were given on "
            f"'{reference.name}' of shape {tuple(reference.shape)}. Give the image that belongs to the prompts."
        )
    if reference.sha256:
        from napari_segnext.weights.load import sha256_of

        if sha256_of(path) != reference.sha256:
            typer.echo(f"warning: '{path}' is not the very file on which the prompts were given.", err=True)


def loaded_model(model: str, said: "PromptsFile", device: str, precision: "Precision" = "fp32") -> Any:
    """The model asked for, else the one that answered the prompts, else the default."""
    from napari_segnext.models.lower_precision import in_precision
    from napari_segnext.weights import DEFAULT_MODEL, load_model

    recorded = said.model
    try:
        loaded = in_precision(
            load_model(model or (recorded.name if recorded and recorded.name else DEFAULT_MODEL), device), precision
        )
    except (ValueError, FileNotFoundError) as error:
        if model or recorded is None:
            raise
        raise CommandError(
            f"the prompts file names the model '{recorded.name}': {error} Or choose one with --model."
        ) from error
    if recorded is not None and recorded.sha256 and recorded.sha256 != loaded.identity.sha256:
        typer.echo(
            f"warning: the prompts were answered by '{recorded.name}' with other weights than "
            f"'{loaded.identity.name}'; the masks may differ.",
            err=True,
        )
    return loaded


def _labels(session: Any, said: "PromptsFile", threshold: float | None) -> Any:
    """`(H, W)` label image of all objects."""
    import numpy as np

    labels = np.zeros(session.image_shape, np.uint32)
    for item in said.objects:
        for one in item.slices:
            session.reset()
            for prompt in one.prompts:
                session.add(prompt)
            if session.prediction is not None:
                # as in the annotator, accepted objects are never overwritten
                mask = _mask(session.prediction, one, threshold, spacing=_spacing(said.image))
                labels[mask & (labels == 0)] = item.label
    return labels


def _spacing(reference: "ImageReference | None") -> tuple[float, float]:
    """(row, column) size of a pixel, the unit of the clean-up."""
    if reference is None or len(reference.spacing) != 2:
        return 1.0, 1.0
    rows, columns = reference.spacing
    return rows, columns


def _mask(prediction: Any, said: "SlicePrompts", threshold: float | None, *, spacing: tuple[float, float]) -> Any:
    """`(H, W)` bool: the answer, cut and cleaned up as the prompts file says."""
    from napari_segnext.session.cleanup import Cleanup, clean_mask

    chosen = threshold if threshold is not None else said.threshold
    cut = prediction if chosen is None else prediction.cut_at(chosen)
    if not said.cleanup:
        return cut.mask
    settings: dict[str, Any] = dict(said.cleanup)
    try:
        cleanup = Cleanup(**settings)
    except (TypeError, ValueError) as error:
        raise CommandError(f"the prompts file has a clean-up that cannot be done: {error} Correct it there.") from error
    return clean_mask(cut.mask, cleanup, prompts=said.prompts, spacing=spacing)
