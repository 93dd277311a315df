"""What the models dialog says about models, and about what can go wrong with them. No Qt."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from napari_segnext.errors import CheckpointError, WeightsHashError
from napari_segnext.weights import DownloadCancelled, DownloadError
from napari_segnext.weights.registry import find_entry
from napari_segnext.widgets.messages import words_for

if TYPE_CHECKING:
    from napari_segnext.weights import ModelInfo

_KINDS = {
    "interactive": "interactive: answers prompts",
    "depth": "depth: no model to annotate with; OIS models read the depth that it estimates",
}
_FULL_DISK = "There is not enough room for it in {folder}. Make room, or choose another weights folder in Preferences."


def state_of(info: ModelInfo) -> str:
    """`"bundled"`, `"downloaded"`, `"imported"` or `"not downloaded"`."""
    if info.state != "installed":
        return info.state
    return "imported" if find_entry(info.name) is None else "downloaded"


def kind_of(info: ModelInfo) -> str:
    """What a model is for."""
    return _KINDS[info.kind]


def size_of(n_bytes: int) -> str:
    """A size in MB with three digits or so; empty if it is not known."""
    if not n_bytes:
        return ""
    n_megabytes = n_bytes / 1e6
    return f"{n_megabytes:.0f} MB" if n_megabytes >= 10 else f"{n_megabytes:.1f} MB"


def words_for_download(error: BaseException, info: ModelInfo) -> str:
    """What went wrong with a download, and what to do."""
    if isinstance(error, DownloadCancelled):
        return f"Cancelled. Nothing is left of the download of '{info.name}'."
    if isinstance(error, WeightsHashError):
        return (
            f"What came is not '{info.name}' as it was published, and was removed: its SHA-256 is {error.found}; "
            f"expected {error.expected}. Press Download to try again; if it comes again, the file at its source "
            "was changed."
        )
    if is_full_disk(error):
        return _FULL_DISK.format(folder=info.path.parent)
    if isinstance(error, DownloadError):
        return f"{_PROBLEMS[error.problem].format(name=info.name)} {_by_hand(info)}"
    return words_for(error)


_PROBLEMS = {
    "connection": (
        "'{name}' did not come: there is no connection to its source, or it broke. Check the network and press "
        "Download again; it goes on from where it stopped."
    ),
    "server": (
        "'{name}' did not come: its source refused to send it, as it does when too many people asked lately. Try again "
        "in a day."
    ),
    "disk": _FULL_DISK,
    "file": "What came in place of '{name}' cannot be used and was removed. Press Download to try again.",
}


def _by_hand(info: ModelInfo) -> str:
    entry = find_entry(info.name)
    page = entry.page if entry is not None else ""
    return f"Or open {page} in a browser, save the file, and press Import." if page else ""


def words_for_import(error: BaseException, file_name: str) -> str:
    """What went wrong with an import, and what to do."""
    if is_full_disk(error):
        return f"'{file_name}' was not imported: the disk is full. Make room and import it again."
    if isinstance(error, CheckpointError | ValueError | OSError):
        return f"'{file_name}' was not imported. {words_for(error)}"
    return words_for(error)


def is_full_disk(error: BaseException) -> bool:
    """Whether there was no room, which libraries tell by the words of errors of their own."""
    if isinstance(error, DownloadError):
        return error.problem == "disk"
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "no space left" in str(error).lower()
