"""`evaluate`: how well a model, and its classical peers, answer a simulated user on a dataset."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_segnext.commands.exits import CommandError, Interrupted
from napari_segnext.commands.options import Device, PrecisionOption, check_report_files
from napari_segnext.commands.progress import progress

if TYPE_CHECKING:
    from napari_segnext.datasets import Dataset


class FirstPrompt(StrEnum):
    """What the user begins with."""

    CLICK = "click"
    BOX = "box"
    POLYGON = "polygon"
    SCRIBBLE = "scribble"
    MASK = "mask"
    ALL = "all"


def evaluate(
    dataset: Annotated[
        str,
        typer.Option(
            help="Layout: folder, pack, sstem, brats, brats_nifti, davis, hqseg44k, or layered (drawn, no root).",
            show_default=False,
        ),
    ],
    root: Annotated[
        list[Path] | None, typer.Option(help="Folder of the dataset; may be given several times.", show_default=False)
    ] = None,
    model: Annotated[str, typer.Option("--model", "-m", help="Name or path.")] = "segnext-tiny",
    device: Device = "auto",
    precision: PrecisionOption = "fp32",
    max_clicks: Annotated[int, typer.Option(min=1, help="Clicks per object.")] = 20,
    max_objects: Annotated[
        int | None, typer.Option(min=1, help="Draw so many objects, the same at every run; by default all.")
    ] = None,
    per_domain: Annotated[
        int | None, typer.Option(min=1, help="Draw so many objects of every domain, the same at every run.")
    ] = None,
    max_objects_per_image: Annotated[
        int | None, typer.Option(min=1, help="Draw so many objects of every image, the same at every run.")
    ] = None,
    min_object_px: Annotated[int, typer.Option(min=1, help="Leave out smaller objects.")] = 1,
    threshold: Annotated[float, typer.Option(help="Probability above which a pixel belongs to the object.")] = 0.49,
    zoom: Annotated[
        bool | None,
        typer.Option(
            "--zoom/--no-zoom",
            help="Predict on windows about the object, or on the whole image; by default as the model prefers.",
            show_default=False,
        ),
    ] = None,
    wider: Annotated[
        bool,
        typer.Option("--wider/--no-wider", help="With zoom: answer corrections on a wider window, too; slower."),
    ] = True,
    true_depth: Annotated[
        bool,
        typer.Option("--true-depth", help="Give models that read depth the one of the dataset, where it has any."),
    ] = False,
    first_prompt: Annotated[
        list[FirstPrompt] | None,
        typer.Option(help="What the user begins with, then clicks; may be given several times.", show_default="click"),
    ] = None,
    peers: Annotated[
        bool, typer.Option("--peers", help="Evaluate random walker, GrabCut and watershed on the same objects, too.")
    ] = False,
    peer_clicks: Annotated[
        int | None, typer.Option(min=1, help="Clicks per object for the peers; by default as many as for the model.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option("--json", help="Write all numbers to this file.", show_default=False)
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw IoU over clicks: .png, .svg or .pdf.", show_default=False)
    ] = None,
    failures: Annotated[
        Path | None, typer.Option(help="Write the 24 worst cases to this folder: a picture and a table.")
    ] = None,
) -> None:
    """Let a simulated user prompt every object and report mIoU, boundary IoU, NoC, NoF and times.

    Ctrl-C reports the objects done so far.
    """
    _check_outputs(json, plot, failures)
    from napari_segnext.datasets import open_dataset
    from napari_segnext.evaluation import EvaluationSettings

    settings = EvaluationSettings(max_clicks=max_clicks, threshold=threshold)
    rivals = _peers(EvaluationSettings(max_clicks=peer_clicks or max_clicks)) if peers else []
    folders: list[Path | None] = [*(root or [])] or [None]
    parts = [
        open_dataset(dataset, folder, min_object_px=min_object_px, max_objects_per_image=max_objects_per_image)
        for folder in folders
    ]
    images = _drawn(parts, root or [], per_domain, max_objects)

    from napari_segnext.evaluation import Contestant, SessionMethod
    from napari_segnext.models.lower_precision import in_precision
    from napari_segnext.weights import load_model

    method = SessionMethod(
        in_precision(load_model(model, device), precision),
        zoom=zoom,
        looks_wider=wider,
        threshold=threshold,
        takes_true_depth=true_depth,
    )
    zooming = "with zoom" if method.zoom else "on whole images"
    typer.echo(f"{method.name} on {method.model.device} {zooming}, {len(images)} images", err=True)
    contestants = [Contestant(method, settings), *rivals]
    rounds, is_whole = _rounds(contestants, images, _kinds(first_prompt))
    report = _report(contestants, rounds, dataset, zoom=method.zoom)
    _write(report, json, plot)
    if failures is not None:
        _write_failures(failures, method, images, report)
    if not is_whole:
        kept = f"The numbers above{f' and in {json}' if json else ''} are those of the first {len(rounds)} objects"
        raise Interrupted(f"{kept}. To evaluate all, run the same command again; it starts anew.")


def _check_outputs(json: Path | None, plot: Path | None, failures: Path | None) -> None:
    check_report_files(json, plot, failures)
    if failures is not None and failures.exists() and not failures.is_dir():
        raise CommandError(f"'{failures}' is a file; expected a folder for the failures. Name another one.")


def _kinds(first_prompts: list[FirstPrompt] | None) -> list[str]:
    """Kinds of first prompt, each once, in the order given."""
    wanted = first_prompts or [FirstPrompt.CLICK]
    if FirstPrompt.ALL in wanted:
        return [kind.value for kind in FirstPrompt if kind is not FirstPrompt.ALL]
    return [kind.value for kind in dict.fromkeys(wanted)]


def _peers(settings: Any) -> list[Any]:
    from napari_segnext.evaluation import Contestant
    from napari_segnext.evaluation.classical import classical_methods

    try:
        return [Contestant(method, settings) for method in classical_methods()]
    except ModuleNotFoundError as error:
        raise CommandError(str(error)) from error


def _drawn(parts: "list[Dataset]", roots: list[Path], per_domain: int | None, max_objects: int | None) -> "Dataset":
    """The images of all roots, with ids that differ, narrowed down to the objects that are drawn."""
    from dataclasses import replace

    from napari_segnext.datasets import Dataset
    from napari_segnext.datasets.subsets import with_objects_drawn, with_objects_drawn_per_group

    prefixes = _prefixes(roots)
    images = [
        replace(image, id=f"{prefix}{image.id}") for prefix, part in zip(prefixes, parts, strict=True) for image in part
    ]
    if not images:
        raise CommandError("there is no image in the dataset; expected one at least. Check --root and --dataset.")
    if per_domain is not None:
        images = with_objects_drawn_per_group(images, per_domain, seed=0)
    if max_objects is not None:
        images = with_objects_drawn(images, max_objects, seed=0)
    return Dataset(parts[0].name, tuple(images))


def _prefixes(roots: list[Path]) -> list[str]:
    """What ids of each root begin with: the folder's name, numbered if two are equal; nothing for one root or none."""
    if len(roots) < 2:
        return [""]
    names = [root.expanduser().resolve().name for root in roots]
    if len(set(names)) < len(names):
        names = [f"{name}-{number}" for number, name in enumerate(names, start=1)]
    return [f"{name}/" for name in names]


def _rounds(contestants: list[Any], images: "Dataset", kinds: list[str]) -> tuple[list[Any], bool]:
    """Results of each object so far, and whether they are all."""
    from napari_segnext.evaluation import evaluate_side_by_side

    rounds: list[Any] = []
    positions = {image.id: number for number, image in enumerate(images, start=1)}
    with progress("evaluating", len(images), unit="images") as report:
        try:
            for results in evaluate_side_by_side(contestants, images, first_prompts=kinds):  # type: ignore[arg-type]
                rounds.append(results)
                note = f"{len(rounds)} objects, last IoU {results[0].ious[-1]:.3f}"
                report(positions[results[0].image_id] - 1, note)
            report(len(images), f"{len(rounds)} objects")
        except KeyboardInterrupt:
            if not rounds:
                raise
            return rounds, False
    return rounds, True


def _report(contestants: list[Any], rounds: list[Any], dataset: str, *, zoom: bool) -> Any:
    from napari_segnext.evaluation.report import report_side_by_side

    max_clicks = {each.method.name: each.settings.max_clicks for each in contestants}
    return report_side_by_side(rounds, dataset, max_clicks, zoom=zoom)


def _write(report: Any, json: Path | None, plot: Path | None) -> None:
    from napari_segnext.evaluation import write_iou_plot

    typer.echo(report.to_text(), nl=False)
    if json is not None:
        unfinished = json.with_name(f".{json.name}.part")
        unfinished.write_text(report.to_json(), encoding="utf-8")
        unfinished.replace(json)
    if plot is not None:
        write_iou_plot(plot, report)


def _write_failures(folder: Path, method: Any, images: "Dataset", report: Any) -> None:
    from napari_segnext.evaluation.failures import replay_failures, write_failures

    write_failures(folder, replay_failures(method, images, report.results))
    typer.echo(f"the worst cases are in {folder}", err=True)
