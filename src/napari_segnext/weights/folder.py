"""Where downloaded and imported weights lie."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HOME_VARIABLE = "NAPARI_SEGNEXT_HOME"


def weights_folder() -> Path:
    """Folder of the user's weights files; need not exist.

    `$NAPARI_SEGNEXT_HOME/weights` where that variable is set, else `napari-segnext/weights` in the cache folder of the
    system: `$XDG_CACHE_HOME` or `~/.cache` on Linux, `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on Windows.
    """
    home = os.environ.get(HOME_VARIABLE, "")
    return (Path(home).expanduser() if home else _cache_folder() / "napari-segnext") / "weights"


def _cache_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
