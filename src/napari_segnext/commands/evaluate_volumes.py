"""`evaluate-volumes`: how well volumes are filled from a few annotated slices, beside what other tools do."""

from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_segnext.commands.exits import CommandError, Interrupted
from napari_segnext.commands.options import Device
from napari_segnext.commands.progress import progress

if TYPE_CHECKING:
    from napari_segnext.datasets.volumes import VolumeSample


def evaluate_volumes(
    dataset: Annotated[
        str, typer.Option(help="pack (a folder with volumes.csv), phantoms (made here), or files.", show_default=False)
    ],
    root: Annotated[Path | None, typer.Option(help="Folder of the pack.", show_default=False)] = None,
    image: Annotated[Path | None, typer.Option(help="With 'files': the volume.", show_default=False)] = None,
    labels: Annotated[Path | None, typer.Option(help="With 'files': its labels.", show_default=False)] = None,
    one_object: Annotated[
        bool, typer.Option("--one-object", help="With 'files': all labels together are one object.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Volumes whose id matches, such as 'hippocampus_*'; several times.", show_default="all"),
    ] = None,
    model: Annotated[str, typer.Option("--model", "-m", help="Name or path.")] = "segnext-tiny",
    device: Device = "auto",
    slices: Annotated[
        list[int] | None, typer.Option(min=1, help="Annotated slices; several times.", show_default="1 and 3")
    ] = None,
    clicks: Annotated[int, typer.Option(min=1, help="Clicks on each of them.")] = 3,
    true_masks: Annotated[
        bool, typer.Option("--true-masks", help="Annotate with true masks instead of clicks.")
    ] = False,
    rule: Annotated[
        list[str] | None,
        typer.Option(help="Rules whose name matches, such as 'propagation*'; several times.", show_default="all"),
    ] = None,
    by_hand: Annotated[bool, typer.Option(help="Click every slice by hand, too.")] = True,
    min_slices: Annotated[int, typer.Option(min=1, help="Leave out objects on fewer slices.")] = 5,
    min_voxels: Annotated[int, typer.Option(min=1, help="Leave out smaller objects.")] = 300,
    max_objects: Annotated[
        int | None, typer.Option(min=1, help="Draw so many objects of a volume, the same at every run.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option("--json", help="Write all numbers to this file.", show_default=False)
    ] = None,
) -> None:
    """Annotate a few slices of every object, fill its volume by several rules, and report Dice side by side.

    Ctrl-C reports the objects done so far.
    """
    if json is not None and not json.resolve().parent.is_dir():
        raise CommandError(f"there is no folder '{json.resolve().parent}' to write '{json.name}' to. Make it first.")
    samples = _samples(dataset, root, image, labels, one_object=one_object)
    if only:
        samples = [one for one in samples if any(fnmatch(one.id, pattern) for pattern in only)]
        if not samples:
            raise CommandError(f"no volume matches {', '.join(map(repr, only))}; expected one. Check --only.")

    from napari_segnext.evaluation.volumes import VolumeReport, VolumeSettings, default_rules
    from napari_segnext.weights import load_model

    rules = [one for one in default_rules() if not rule or any(fnmatch(one.name, pattern) for pattern in rule)]
    if not rules:
        names = ", ".join(f"'{one.name}'" for one in default_rules())
        raise CommandError(
            f"no rule matches {', '.join(map(repr, rule or []))}; expected one of {names}. Check --rule."
        )
    settings = VolumeSettings(
        tuple(slices or (1, 3)),
        clicks,
        takes_true_masks=true_masks,
        clicks_by_hand=by_hand,
        min_slices=min_slices,
        min_voxels=min_voxels,
        max_objects=max_objects,
    )
    found, is_whole = _results(load_model(model, device), samples, settings, rules)
    report = VolumeReport(model, tuple(found), takes_true_masks=true_masks)
    typer.echo(report.to_markdown(), nl=False)
    if json is not None:
        unfinished = json.with_name(f".{json.name}.part")
        unfinished.write_text(report.to_json(), encoding="utf-8")
        unfinished.replace(json)
    if not is_whole:
        raise Interrupted("The numbers above are those of the objects done so far. To evaluate all, run it again.")


def _samples(
    dataset: str, root: Path | None, image: Path | None, labels: Path | None, *, one_object: bool
) -> "list[VolumeSample]":
    from napari_segnext.datasets.volumes import list_volumes, pair_of_files

    if dataset != "files":
        return list(list_volumes(dataset, root))
    if image is None or labels is None:
        raise CommandError("with --dataset files, --image and --labels name the two files. Name both.")
    return [pair_of_files(image, labels, are_one=one_object)]


def _results(model: Any, samples: "list[VolumeSample]", settings: Any, rules: list[Any]) -> tuple[list[Any], bool]:
    """Results so far, and whether they are all."""
    from napari_segnext.evaluation.volumes import evaluate_volumes as evaluated

    found: list[Any] = []
    n_objects = 0
    positions = {sample.id: number for number, sample in enumerate(samples)}
    with progress("evaluating", len(samples), unit="volumes") as report:
        try:
            for results in evaluated(model, samples, settings, rules=rules):
                found += results
                n_objects += 1
                report(positions[results[0].volume], f"{n_objects} objects, last Dice {results[0].dice:.3f}")
            report(len(samples), f"{n_objects} objects")
        except KeyboardInterrupt:
            if not found:
                raise
            return found, False
    if not found:
        raise CommandError("there is no object that is large enough; see --min-slices and --min-voxels.")
    return found, True
