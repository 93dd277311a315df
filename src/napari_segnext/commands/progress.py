"""Progress of long work: a bar on a terminal, a plain line a minute elsewhere. All of it on stderr."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

SECONDS_BETWEEN_LINES = 60.0

Report = Callable[[int, str], None]
"""(how much is done in all, what to say beside it)."""


@contextmanager
def progress(
    what: str, total: int | None, *, unit: str, clock: Callable[[], float] = time.monotonic
) -> Iterator[Report]:
    """Show how far a piece of work is.

    Parameters
    ----------
    what
        Two or three words before the bar.
    total
        How much there is to do; None if unknown.
    unit
        Of the counts: ``"B"`` is scaled to kB and MB.
    clock
        Seconds.

    Yields
    ------
    callable
        To be called with how much is done in all, and a text beside it.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(desc=what, total=total, unit=unit, unit_scale=unit == "B", file=sys.stderr) as bar:
            yield lambda done, note: _update(bar, done, note)
        return
    last = clock()

    def print_line(done: int, note: str) -> None:
        nonlocal last
        if clock() - last >= SECONDS_BETWEEN_LINES:
            last = clock()
            of_total = f" of {total}" if total else ""
            typer.echo(f"{what}: {done}{of_total} {unit} {note}".rstrip(), err=True)

    yield print_line


def _update(bar: Any, done: int, note: str) -> None:
    bar.set_postfix_str(note, refresh=False)
    bar.update(done - bar.n)
