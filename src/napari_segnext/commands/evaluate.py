"""`evaluate`: how well a model answers simulated clicks on a dataset."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_segnext.commands.exits import CommandError, Interrupted
from napari_segnext.commands.options import Device
from napari_segnext.commands.progress import progress

if TYPE_CHECKING:
    from napari_segnext.datasets import Dataset

_PLOT_SUFFIXES = (".png", ".svg", ".pdf")


def evaluate(
    dataset: Annotated[
        str,
        typer.Option(help="Layout: folder, pack, sstem, brats, davis or hqseg44k.", show_default=False),
    ],
    root: Annotated[
        list[Path], typer.Option(help="Folder of the dataset; may be given several times.", show_default=False)
    ],
    model: Annotated[str, typer.Option("--model", "-m", help="Name or path.")] = "segnext-tiny",
    device: Device = "auto",
    max_clicks: Annotated[int, typer.Option(min=1, help="Clicks per object.")] = 20,
    max_objects: Annotated[
        int | None, typer.Option(min=1, help="Draw so many objects, the same at every run; by default all.")
    ] = None,
    min_object_px: Annotated[int, typer.Option(min=1, help="Leave out smaller objects.")] = 1,
    threshold: Annotated[float, typer.Option(help="Probability above which a pixel belongs to the object.")] = 0.49,
    json: Annotated[
        Path | None, typer.Option("--json", help="Write all numbers to this file.", show_default=False)
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw IoU over clicks: .png, .svg or .pdf.", show_default=False)
    ] = None,
) -> None:
    """Let a simulated user click on every object and report mIoU, NoC, NoF and times.

    Ctrl-C reports the objects done so far.
    """
    _check_outputs(json, plot)
    from napari_segnext.datasets import open_dataset
    from napari_segnext.evaluation import EvaluationSettings

    settings = EvaluationSettings(max_clicks=max_clicks, threshold=threshold)
    images = _joined([open_dataset(dataset, folder, min_object_px=min_object_px) for folder in root], max_objects)

    from napari_segnext.weights import load_model

    loaded = load_model(model, device)
    typer.echo(f"{loaded.identity.name} on {loaded.device}, {len(images)} images", err=True)
    results, is_whole = _results(loaded, images, settings)
    _report(loaded.identity.name, dataset, results, max_clicks, json, plot)
    if not is_whole:
        kept = f"The numbers above{f' and in {json}' if json else ''} are those of the first {len(results)} objects"
        raise Interrupted(f"{kept}. To evaluate all, run the same command again; it starts anew.")


def _check_outputs(json: Path | None, plot: Path | None) -> None:
    for path in (json, plot):
        if path is not None and not path.resolve().parent.is_dir():
            raise CommandError(
                f"there is no folder '{path.resolve().parent}' to write '{path.name}' to. Make it first."
            )
    if plot is not None and plot.suffix.lower() not in _PLOT_SUFFIXES:
        raise CommandError(f"'{plot}' ends in '{plot.suffix}'; expected one of {', '.join(_PLOT_SUFFIXES)} for a plot.")


def _joined(parts: "list[Dataset]", max_objects: int | None) -> "Dataset":
    from napari_segnext.datasets import Dataset
    from napari_segnext.datasets.subsets import with_objects_drawn

    images = [image for part in parts for image in part]
    if not images:
        raise CommandError("there is no image in the dataset; expected one at least. Check --root and --dataset.")
    if max_objects is not None:
        images = with_objects_drawn(images, max_objects, seed=0)
    return Dataset(parts[0].name, tuple(images))


def _results(model: Any, images: "Dataset", settings: Any) -> tuple[list[Any], bool]:
    """Results so far, and whether they are all."""
    from napari_segnext.evaluation import evaluate as run

    results: list[Any] = []
    positions = {image.id: number for number, image in enumerate(images, start=1)}
    with progress("evaluating", len(images), unit="images") as report:
        try:
            for result in run(model, images, settings=settings):
                results.append(result)
                note = f"{len(results)} objects, last IoU {result.ious[-1]:.3f}"
                report(positions[result.image_id] - 1, note)
            report(len(images), f"{len(results)} objects")
        except KeyboardInterrupt:
            if not results:
                raise
            return results, False
    return results, True


def _report(name: str, dataset: str, results: list[Any], max_clicks: int, json: Path | None, plot: Path | None) -> None:
    from napari_segnext.evaluation import EvaluationReport, write_iou_plot

    report = EvaluationReport(name, dataset, tuple(results), max_clicks)
    typer.echo(report.to_text(), nl=False)
    if json is not None:
        unfinished = json.with_name(f".{json.name}.part")
        unfinished.write_text(report.to_json(), encoding="utf-8")
        unfinished.replace(json)
    if plot is not None:
        write_iou_plot(plot, report)
