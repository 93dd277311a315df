"""Files and folders that are never seen half written."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def whole_file(path: Path | str) -> Iterator[Path]:
    """A name beside `path` to write to; it takes the place of `path` once it is whole, or is removed.

    If the block raises, or the process is killed, the old file stays as it was.

    Parameters
    ----------
    path
        File to make or replace; its folder exists.

    Yields
    ------
    Path
        Where to write, in the same folder.
    """
    path = Path(path).resolve()
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        # safetensors and torch make files that nobody else may read
        unfinished.chmod(0o644)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path | str) -> Iterator[Path]:
    """A folder's name beside `path` to fill; it takes the place of `path` once it is whole, or is removed.

    If the block raises, or the process is killed in it, the old folder stays as it was. A folder cannot be replaced in
    one step: a kill between the two steps leaves the old one as `.NAME.PID.old` and the new one as `.NAME.PID.part`.

    Parameters
    ----------
    path
        Folder to make or replace; the folder in which it lies exists.

    Yields
    ------
    Path
        Where to write; it does not exist yet.
    """
    path = Path(path).resolve()
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    try:
        yield unfinished
        if path.exists():
            path.rename(old)
        try:
            unfinished.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
