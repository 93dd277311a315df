"""Whether image embeddings are kept on disk, where, and how many; told here, done in `session/`. Loads no torch."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER_VARIABLE = "NAPARI_SEGNEXT_CACHE"
SIZE_VARIABLE = "NAPARI_SEGNEXT_CACHE_GB"
HOME_VARIABLE = "NAPARI_SEGNEXT_HOME"

DEFAULT_GB = 10.0


@dataclass(frozen=True)
class DiskCacheSettings:
    """Where image embeddings are kept on disk.

    Attributes
    ----------
    folder
        Need not exist.
    max_bytes
        Greatest sum of the sizes of its files; above 0.
    on_problem
        Called with one sentence, on any thread, if the folder cannot be used; by default it is logged.
    """

    folder: Path
    max_bytes: int
    on_problem: Callable[[str], object] | None = field(default=None, compare=False)


_in_use: DiskCacheSettings | None = None
"""What `use_disk_cache` was told; None as long as sessions keep embeddings in memory only."""


def disk_cache_settings(
    folder: Path | str | None = None,
    max_gb: float | None = None,
    *,
    on_problem: Callable[[str], object] | None = None,
) -> DiskCacheSettings | None:
    """Folder and size, completed from the environment and the defaults.

    Parameters
    ----------
    folder
        None for `$NAPARI_SEGNEXT_CACHE`, else `embeddings` in `$NAPARI_SEGNEXT_HOME`, else in the cache folder of the
        system.
    max_gb
        Greatest size in GB (10⁹ bytes); 0 for no cache on disk; None for `$NAPARI_SEGNEXT_CACHE_GB`, else 10.
    on_problem
        As of `DiskCacheSettings`.

    Returns
    -------
    DiskCacheSettings or None
        None where the size is 0.

    Raises
    ------
    ValueError
        If a size is negative or no number.
    """
    size_gb = _size_gb(max_gb)
    if size_gb == 0:
        return None
    where = _default_folder() if folder is None else Path(folder).expanduser()
    return DiskCacheSettings(where.absolute(), max(1, int(size_gb * 1e9)), on_problem)


def use_disk_cache(settings: DiskCacheSettings | None) -> None:
    """Keep the image embeddings of all sessions on disk, too, from now on and in this process; None to stop that.

    Sessions that were given a cache of their own are not concerned.
    """
    global _in_use
    _in_use = settings


def disk_cache_in_use() -> DiskCacheSettings | None:
    """What `use_disk_cache` was told last."""
    return _in_use


def is_folder_set_by_environment() -> bool:
    """Whether a variable says where the cache lies, which goes before preferences."""
    return bool(os.environ.get(FOLDER_VARIABLE) or os.environ.get(HOME_VARIABLE))


def is_size_set_by_environment() -> bool:
    """Whether a variable says how large the cache may get, which goes before preferences."""
    return bool(os.environ.get(SIZE_VARIABLE, "").strip())


def _default_folder() -> Path:
    named = os.environ.get(FOLDER_VARIABLE, "")
    if named:
        return Path(named).expanduser()
    home = os.environ.get(HOME_VARIABLE, "")
    parent = Path(home).expanduser() if home else user_cache_path("napari-segnext", appauthor=False)
    return parent / "embeddings"


def _size_gb(max_gb: float | None) -> float:
    if max_gb is not None:
        return _checked_gb(max_gb, f"the size of the cache is {max_gb} GB")
    text = os.environ.get(SIZE_VARIABLE, "").strip()
    if not text:
        return DEFAULT_GB
    what = f"{SIZE_VARIABLE} is '{text}'"
    try:
        size_gb = float(text)
    except ValueError:
        raise ValueError(f"{what}; expected a number of GB, 0 for no cache on disk.") from None
    return _checked_gb(size_gb, what)


def _checked_gb(size_gb: float, what: str) -> float:
    if not 0 <= size_gb < float("inf"):
        raise ValueError(f"{what}; expected a number of GB, 0 for no cache on disk.")
    return size_gb
