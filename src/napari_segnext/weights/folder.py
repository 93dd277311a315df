"""Where downloaded and imported weights lie."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HOME_VARIABLE = "NAPARI_SEGNEXT_HOME"

_preferred: Path | None = None
"""What `prefer_weights_folder` was told."""


def weights_folder() -> Path:
    """Folder of the user's weights files; need not exist.

    `$NAPARI_SEGNEXT_HOME/weights` where that variable is set, else the folder given to `prefer_weights_folder`, else
    `napari-segnext/weights` in the cache folder of the system: `$XDG_CACHE_HOME` or `~/.cache` on Linux,
    `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on Windows.
    """
    home = os.environ.get(HOME_VARIABLE, "")
    if home:
        return Path(home).expanduser() / "weights"
    return _preferred if _preferred is not None else _cache_folder() / "napari-segnext" / "weights"


def prefer_weights_folder(folder: Path | str | None) -> None:
    """Keep weights in this folder, in this process and from now on, unless the environment says otherwise.

    Parameters
    ----------
    folder
        Where the weights files themselves lie; need not exist. None for the cache folder of the system.
    """
    global _preferred
    _preferred = None if folder is None else Path(folder).expanduser()


def _cache_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
