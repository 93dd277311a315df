"""`models list / info / download / import`: which weights there are, and how to get them."""

from pathlib import Path
from typing import Annotated

import typer

from napari_segnext.commands.exits import CommandError, Interrupted
from napari_segnext.commands.progress import progress

models = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Weights: what there is, and how to get it.", add_completion=False
)


@models.command("list")
def list_() -> None:
    """List all models known by name: those that answer prompts (interactive), and depth networks for OIS models."""
    from napari_segnext.weights import list_models

    infos = list_models()
    width = max(len(info.name) for info in infos)
    for info in infos:
        size = f"{info.n_bytes / 1e6:.0f} MB" if info.n_bytes else ""
        typer.echo(f"{info.name:<{width}}  {info.kind:<11}  {info.state:<14}  {size:>7}  {info.description}")


@models.command()
def info(name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the model.", show_default=False)]) -> None:
    """Tell all about one model: licence, citation, where it lies, model card."""
    from napari_segnext.weights import model_info
    from napari_segnext.weights.load import sha256_of
    from napari_segnext.weights.registry import find_entry

    entry = find_entry(name)
    found = model_info(name)
    lines = {
        "name": found.name,
        "description": found.description,
        "kind": found.kind,
        "state": found.state,
        "file": str(found.path),
        "size": f"{found.n_bytes / 1e6:.1f} MB" if found.n_bytes else "",
        "licence": found.licence,
        "citation": found.citation,
        "address": entry.page if entry is not None else "",
    }
    card = ""
    if found.is_ready and found.path.is_file():
        header = found.read_header()
        lines |= {
            "sha256": sha256_of(found.path),
            "network": str(header.config),
            "licence": header.licence or found.licence,
        }
        lines |= {key: str(value) for key, value in header.provenance.items() if not isinstance(value, dict)}
        card = header.card
    for key, value in lines.items():
        if value:
            typer.echo(f"{key + ':':<15} {value}")
    if card:
        typer.echo(f"\n{card}")


@models.command()
def download(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the model.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Download a released model; goes on from where an earlier download stopped."""
    from napari_segnext.weights import download_model, model_info

    found = model_info(name)
    if found.is_ready:
        typer.echo(f"'{name}' is here already: {found.path}")
        return
    typer.echo(f"{found.name}: {found.description}")
    typer.echo(f"size:    about {found.n_bytes / 1e6:.0f} MB")
    typer.echo(f"licence: {found.licence}")
    if not yes and not _agreed():
        typer.echo("nothing was downloaded")
        return
    with progress(f"downloading {name}", None, unit="B") as report:
        try:
            path = download_model(name, report=lambda done, total: report(done, _of(total)))
        except KeyboardInterrupt as error:
            raise Interrupted(f"What has arrived is kept; go on with: napari-segnext models download {name}") from error
    typer.echo(f"wrote {path}")


@models.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Original checkpoint (.pth) of SegNext or Depth Anything V2, or a weights file of ours.",
            show_default=False,
        ),
    ],
    name: Annotated[str | None, typer.Option(help="What to call it; by default the stem of the file.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace weights of that name.")] = False,
) -> None:
    """Import weights from a file, to be found by name from then on."""
    from napari_segnext.weights import import_model, model_info

    path = import_model(file, name, overwrite=overwrite)
    use = f"use it with: --model {path.stem}" if model_info(path.stem).kind == "interactive" else "OIS models use it"
    typer.echo(f"wrote {path}; {use}")


def _agreed() -> bool:
    try:
        return typer.confirm("Download it?")
    except typer.Abort as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise
        raise CommandError("nobody answered the question; expected y or n. Add --yes to download unasked.") from error


def _of(total: int | None) -> str:
    return f"of {total / 1e6:.0f} MB" if total else ""
