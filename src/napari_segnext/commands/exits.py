"""How commands end: exit status, and one line that says why.

0 done, 1 a fault of ours, 2 wrong usage or input, 130 interrupted.
"""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

import napari_segnext
from napari_segnext.errors import is_out_of_memory

USAGE, FAULT, INTERRUPTED = 2, 1, 130

_PACKAGE = str(Path(napari_segnext.__file__).parent) + os.sep

_VERBOSE = ("-v", "--verbose")

# typer has brought its own click along since 0.20 and used the package before; both are told by what they derive from
_ClickException: Any = typer.BadParameter.__mro__[2]


class CommandError(ValueError):
    """Wrong usage or input, found by a command itself."""


class Interrupted(Exception):
    """Ctrl-C; the text says what was kept and how to go on."""


class OneLineGroup(TyperGroup):
    """Commands whose failures are one line and an exit status."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Parse, run, and end with the right status."""
        arguments = list(sys.argv[1:] if args is None else args)
        is_verbose = any(argument in _VERBOSE for argument in arguments)
        # -v may stand anywhere
        arguments = [*(["-v"] if is_verbose else []), *(each for each in arguments if each not in _VERBOSE)]
        status = exit_status(
            lambda: super(OneLineGroup, self).main(
                arguments, prog_name, complete_var, False, windows_expand_args, **extra
            ),
            is_verbose=is_verbose,
        )
        if standalone_mode:
            sys.exit(status)
        return status

    def invoke(self, ctx: Any) -> Any:
        """Run the command; Ctrl-C that it does not answer itself has left nothing behind."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Interrupted("Nothing was written; run the same command again.") from error


def exit_status(command: Callable[[], Any], *, is_verbose: bool) -> int:
    """Run a command; on failure say why in one line on stderr.

    Parameters
    ----------
    command
        Returns an exit status, or anything else for success.
    is_verbose
        Whether the traceback is shown, too.
    """
    try:
        status = command()
    except BrokenPipeError:
        # whoever read our output has had enough; what is left goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAULT
    except _ClickException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(error.format_message(), err=True)
            return USAGE
        return _say(f"error: {_usage(error)}", USAGE)
    except typer.Abort:
        return _say("interrupted. Nothing was done.", INTERRUPTED)
    except Interrupted as error:
        return _say(f"interrupted. {error}", INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the outermost edge of the command line: every failure becomes one line
        if is_verbose:
            traceback.print_exc()
        if is_of_the_user(error):
            return _say(f"error: {error}", USAGE)
        hint = "" if is_verbose else " Run it again with -v to see where, and report it."
        return _say(f"fault of napari-segnext: {type(error).__name__}: {error}.{hint}", FAULT)
    return status if isinstance(status, int) and not isinstance(status, bool) else 0


def is_of_the_user(error: BaseException) -> bool:
    """Whether usage, input or machine are at fault, and not we.

    Our own refusals are `ValueError`s raised in this package; a `ValueError` out of another one has slipped through.
    """
    if isinstance(error, OSError) or is_out_of_memory(error):
        return True
    return isinstance(error, ValueError) and _raised_in(error).startswith(_PACKAGE)


def _raised_in(error: BaseException) -> str:
    """Source file of the innermost frame."""
    frames = traceback.extract_tb(error.__traceback__)
    return frames[-1].filename if frames else ""


def _usage(error: Any) -> str:
    context = getattr(error, "ctx", None)
    hint = f" See '{context.command_path} --help'." if context is not None else ""
    return f"{error.format_message().rstrip('.')}.{hint}"


def _say(line: str, status: int) -> int:
    typer.echo(" ".join(line.split()), err=True)
    return status
