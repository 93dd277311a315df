"""What commands share that let a dask scheduler do their work."""

import logging
from pathlib import Path
from typing import Annotated

import typer

Scheduler = Annotated[
    str,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Of a running dask scheduler, such as tcp://10.0.0.1:8786; its workers do it, and see the same files.",
        show_default=False,
    ),
]


def quieten_dask() -> None:
    """Unless all is to be told: lost workers and connections are no concern of who waits for volumes."""
    logger = logging.getLogger("distributed")
    if not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.CRITICAL)


def checked_model(model: str, device: str, *, is_here: bool) -> str:
    """The model as another process would find it, if it is there; the device counts on this machine only."""
    from napari_segnext.weights import find_device, find_weights

    if is_here:
        find_device(device)
    if not model:
        return ""
    path = find_weights(model)
    return str(path.absolute()) if Path(model).suffix == path.suffix else model
