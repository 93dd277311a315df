"""Tests run in several processes (pytest-xdist), each with one thread for numbers and a screen of its own."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping

SCREEN = "1600x1000x24"


def share_threads(environment: MutableMapping[str, str]) -> None:
    """Before workers start: each of them computes with one thread, unless somebody has said otherwise."""
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        environment.setdefault(name, "1")


def open_screen(environment: MutableMapping[str, str]) -> None:
    """Give a worker a screen of its own; nothing happens in a run of one process.

    Windows of two processes on one screen would take the keyboard focus from each other, so where Xvfb is installed
    each worker starts one, which ends with it.
    """
    if "PYTEST_XDIST_WORKER" not in environment:
        return
    xvfb = shutil.which("Xvfb")
    if xvfb is None or environment.get("QT_QPA_PLATFORM") in ("offscreen", "minimal"):
        return
    number = _start_xvfb(xvfb)
    if number:
        environment["DISPLAY"] = f":{number}"
        environment.pop("WAYLAND_DISPLAY", None)
        environment.pop("XAUTHORITY", None)


def _start_xvfb(xvfb: str) -> str:
    """Number of a display that answers; empty if none came up."""
    read_end, write_end = os.pipe()
    server = subprocess.Popen(
        [xvfb, "-displayfd", str(write_end), "-screen", "0", SCREEN, "-nolisten", "tcp", "+extension", "GLX"],
        pass_fds=[write_end],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write_end)
    atexit.register(server.terminate)
    with os.fdopen(read_end) as told:
        return told.readline().strip()
