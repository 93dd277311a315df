"""`train`: a model of one's own."""

import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_segnext.commands.exits import CommandError, Interrupted
from napari_segnext.commands.options import Device
from napari_segnext.commands.progress import progress

if TYPE_CHECKING:
    from napari_segnext.training import TrainingConfig


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="Training run (TOML).", show_default=False)],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in the output folder.")] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="ENTRY=VALUE",
            help="Have this instead of what CONFIG says, such as --set seed=2 --set data.n_procedural=0. Repeatable.",
            show_default=False,
        ),
    ] = None,
    device: Device = "auto",
) -> None:
    """Train a model as a TOML file says. Ctrl-C saves the state; --resume goes on from it."""
    if not config.is_file():
        raise FileNotFoundError(f"there is no training file '{config}'. Check the path.")
    from napari_segnext.training.config import read_training_runs

    *before, last = read_training_runs(config, changes or ())
    # runs that were trained before are not trained again, but the one that was asked for is
    runs = [*(run for run in before if not run.weights_path.exists()), last]
    begun = [run.output for run in runs if (Path(run.output) / "checkpoint.pt").exists()]
    if begun and not resume:
        raise CommandError(f"there is a run in '{begun[0]}' already. Add --resume to go on, or change 'output'.")
    if resume and not begun:
        raise CommandError(f"there is no checkpoint in '{runs[0].output}' to go on from. Leave --resume out to start.")
    repeated = "".join(f" --set {shlex.quote(change)}" for change in changes or ())
    for run in runs:
        _train(run, device, go_on=f"go on with: napari-segnext train {config}{repeated} --resume")
    path = last.weights_path
    typer.echo(f"wrote {path}; use it with --model {path}, or name it: napari-segnext models import {path}")


def _train(run: "TrainingConfig", device: str, *, go_on: str) -> None:
    from napari_segnext.training import Trainer
    from napari_segnext.weights import find_device

    trainer = Trainer(run, device=str(find_device(device)))
    try:
        is_done = _ran_to_the_end(trainer, run.n_steps)
    except KeyboardInterrupt as error:
        raise Interrupted(f"What was saved last is in '{trainer.checkpoint_path}'; {go_on}") from error
    if not is_done:
        raise Interrupted(f"Step {trainer.step} of {run.n_steps} was saved to '{trainer.checkpoint_path}'; {go_on}")


def _ran_to_the_end(trainer: Any, n_steps: int) -> bool:
    """Train; after Ctrl-C finish the step, save, and return False. A second Ctrl-C ends at once."""
    with _ctrl_c_noted() as is_wanted, progress(f"training {trainer.config.name}", n_steps, unit="steps") as report:
        try:
            for state in trainer.run(is_wanted=is_wanted):
                report(state.step, f"loss {state.loss:.4f}, IoU {state.iou:.3f}")
                if state.validation is not None:
                    known = {name: value for name, value in state.validation.items() if value is not None}
                    numbers = ", ".join(f"{name} {value:.4f}" for name, value in known.items())
                    typer.echo(f"step {state.step}: {numbers}")
        except RuntimeError:
            # Ctrl-C on a terminal reaches the processes that prepare samples, too; between steps the state is whole
            if is_wanted():
                raise
            trainer.save()
        return bool(is_wanted() or trainer.step == n_steps)


@contextmanager
def _ctrl_c_noted() -> Iterator[Callable[[], bool]]:
    """Ctrl-C is only noted, once; yields the question whether there was none."""
    noted = threading.Event()

    def note(*_: Any) -> None:
        noted.set()
        signal.signal(signal.SIGINT, before)

    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread():
        yield lambda: True
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: not noted.is_set()
    finally:
        signal.signal(signal.SIGINT, before)
