"""The command line: parse, call, print. One file per command; nothing heavy is imported before a command needs it."""

import logging
from typing import Annotated

import typer

from napari_segnext.commands.benchmark import benchmark
from napari_segnext.commands.cache import cache
from napari_segnext.commands.demo import demo
from napari_segnext.commands.embed import embed
from napari_segnext.commands.evaluate import evaluate
from napari_segnext.commands.evaluate_volumes import evaluate_volumes
from napari_segnext.commands.everything import everything
from napari_segnext.commands.exits import OneLineGroup
from napari_segnext.commands.models import models
from napari_segnext.commands.predict import predict
from napari_segnext.commands.propagate import propagate
from napari_segnext.commands.train import train

__all__ = ["app", "main"]

app = typer.Typer(
    name="napari-segnext",
    cls=OneLineGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Interactive segmentation of microscopy and MRI with SegNext.",
    epilog="Exit status: 0 done, 1 a fault of napari-segnext, 2 wrong usage or input, 130 interrupted.",
)
app.command()(demo)
app.command()(predict)
app.command()(everything)
app.command()(propagate)
app.command()(embed)
app.command()(evaluate)
app.command("evaluate-volumes")(evaluate_volumes)
app.command()(train)
app.command()(benchmark)
app.add_typer(models, name="models")
app.add_typer(cache, name="cache")


@app.callback()
def _options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show tracebacks and what is being done.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", is_eager=True, callback=lambda wanted: _version(wanted)),
    ] = False,
) -> None:
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s: %(message)s")


def _version(wanted: bool) -> None:
    if wanted:
        from napari_segnext import __version__

        typer.echo(f"napari-segnext {__version__}")
        raise typer.Exit


def main() -> None:
    """The program `napari-segnext`."""
    app(prog_name="napari-segnext")
