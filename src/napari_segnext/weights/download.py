"""Download of weights: resumed after any interruption, and taken for whole only after it was checked.

1. Bytes go to `FILE.part`; a small `FILE.part.json` beside it says of which version of the file they are.
2. A later call asks for the rest; if the server's file has changed, or it cannot resume, everything is fetched anew.
3. A connection that breaks is taken up again a few times.
4. The size, the hash where one is known, and that a model can be built from it are checked on `FILE.part`.
5. Only then is it renamed, converted to our format, and removed.

A download that is no longer wanted ends soon, also while the server is silent; `discard_download` removes what it left.
"""

from __future__ import annotations

import errno
import json
import logging
import math
import re
import shutil
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from napari_segnext.errors import CheckpointError, WeightsHashError
from napari_segnext.weights.folder import weights_folder
from napari_segnext.weights.import_model import read_checkpoint
from napari_segnext.weights.load import model_info, sha256_of
from napari_segnext.weights.registry import ModelEntry, find_entry
from napari_segnext.weights.safetensors_file import write_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Report = Callable[[int, int | None], None]
    """(bytes so far, bytes in all or None)."""

logger = logging.getLogger(__name__)

N_ATTEMPTS = 5
CHUNK_BYTES = 1 << 16
TIMEOUT_S = (15, 60)
"""To connect; between two pieces."""

_SPARE_BYTES = 50_000_000
_POLL_S = 0.1
"""How often it is asked whether a download is wanted while nothing comes."""

DownloadProblem = Literal["connection", "server", "disk", "file"]


class DownloadError(OSError):
    """A download that did not come through; what has arrived is kept where it can be used.

    Attributes
    ----------
    problem
        What stood in the way: there was no connection or it broke, the server refused, the disk is full, or another
        file came than a model.
    """

    def __init__(self, message: str, *, problem: DownloadProblem) -> None:
        self.problem = problem
        super().__init__(message)


class DownloadCancelled(Exception):
    """A download was given up because it is no longer wanted; what has arrived is kept."""


def download_model(
    name: str,
    *,
    report: Report = lambda done, total: None,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Path:
    """Download a released model and make it known by its name; does nothing if it is there already.

    Parameters
    ----------
    name
        Name in the registry.
    report
        Called after each piece with the bytes so far and in all (None if the server does not say).
    is_wanted
        Asked after each piece, and from another thread while nothing comes; once it says no, `DownloadCancelled` is
        raised. A later call goes on from there, unless `discard_download` is called before.

    Returns
    -------
    Path
        The weights file.

    Raises
    ------
    ValueError
        If there is no model of that name.
    DownloadError
        If it does not come through; the message says how to import it by hand.
    WeightsHashError, CheckpointError
        If something else came than the model.
    """
    info = model_info(name)
    entry = find_entry(name)
    if info.is_ready or entry is None:
        return info.path
    read: list[Any] = []

    def check(part: Path) -> None:
        read[:] = read_checkpoint(part, name)

    original = _original_of(entry)
    try:
        download_file(entry.url, original, sha256=entry.sha256, check=check, report=report, is_wanted=is_wanted)
    except (DownloadError, CheckpointError) as error:
        problem = error.problem if isinstance(error, DownloadError) else "file"
        message = f"'{name}' could not be downloaded: {error} {by_hand(entry)}"
        raise DownloadError(message, problem=problem) from error
    header, state = read
    write_weights(entry.path, state, header, dtype="float32")
    original.unlink()
    return entry.path


def discard_download(name: str) -> None:
    """Remove what an unfinished download of a released model left; does nothing where there is nothing.

    Call it only after that download has ended.
    """
    entry = find_entry(name)
    if entry is not None and not entry.is_bundled:
        _original_of(entry).unlink(missing_ok=True)
        _Part(_original_of(entry)).remove()


def _original_of(entry: ModelEntry) -> Path:
    """Where the authors' file lies until it is converted."""
    return weights_folder() / "downloads" / entry.file_name


def by_hand(entry: ModelEntry) -> str:
    """How to get a model without us."""
    return (
        f"Or by hand: open {entry.page} in a browser, save the file, and run: "
        f"napari-segnext models import FILE --name {entry.name}"
    )


def download_file(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    check: Callable[[Path], None] = lambda part: None,
    report: Report = lambda done, total: None,
    is_wanted: Callable[[], bool] = lambda: True,
    pause_s: float = 1.0,
) -> Path:
    """Download one file, going on from what an earlier call left.

    Parameters
    ----------
    url
        Where it is.
    target
        Where it goes; exists only once it is whole and checked.
    sha256
        Digest that it must have; None if unknown.
    check
        Looks at the whole file before it gets its name; raises `CheckpointError` if it cannot be used.
    report, is_wanted
        As of `download_model`.
    pause_s
        Before a second attempt; doubled before each further one.

    Raises
    ------
    DownloadError
        If the server refuses or cannot be reached, or the disk is full.
    DownloadCancelled
        If it is no longer wanted.
    WeightsHashError
        If its digest is another one. The file is removed then.
    CheckpointError
        If `check` says so. The file is removed then.
    """
    if target.is_file():
        check(target)
        return target
    part = _Part(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    _fetch(url, part, report, is_wanted, pause_s)
    try:
        _require_hash(part.path, sha256)
        check(part.path)
    except (WeightsHashError, CheckpointError):
        part.remove()
        raise
    part.path.replace(target)
    part.remove()
    return target


@dataclass(frozen=True)
class _Version:
    """Which file on the server the bytes are of.

    Attributes
    ----------
    url, validator
        Where it is; its ETag or date of change, empty if the server gives none.
    n_bytes
        Size of the whole file; None if the server does not say.
    """

    url: str
    validator: str
    n_bytes: int | None


class _Part:
    """The unfinished file and the note beside it."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")

    @property
    def n_bytes(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def version(self) -> _Version | None:
        try:
            version = _Version(**json.loads(self.note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return version if isinstance(version.validator, str) else None

    def begin(self, version: _Version) -> None:
        self.path.unlink(missing_ok=True)
        self.note.write_text(json.dumps(asdict(version)), encoding="utf-8")

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def _fetch(url: str, part: _Part, report: Report, is_wanted: Callable[[], bool], pause_s: float) -> None:
    """Fetch until the part is whole, taking up broken connections again."""
    import requests

    failure: BaseException | None = None
    for attempt in range(N_ATTEMPTS):
        if attempt:
            logger.info("the connection broke after %d bytes (%s); trying again", part.n_bytes, failure)
            _pause(pause_s * 2 ** (attempt - 1), is_wanted)
        try:
            if _fetch_once(url, part, report, is_wanted):
                return
            failure = None
        except requests.RequestException as error:
            failure = error
        _require_wanted(is_wanted)
    reason = f"{type(failure).__name__}: {failure}" if failure else "the connection was cut each time"
    raise DownloadError(
        f"{part.n_bytes} bytes came from {url} in {N_ATTEMPTS} attempts ({reason}); expected the whole file. "
        "Check the connection and run the same command again: it goes on from there.",
        problem="connection",
    )


def _pause(pause_s: float, is_wanted: Callable[[], bool]) -> None:
    """Wait before the next attempt, but not longer than it is wanted."""
    n_looks = math.ceil(pause_s / _POLL_S)
    for _ in range(n_looks):
        _require_wanted(is_wanted)
        time.sleep(pause_s / n_looks)


def _require_wanted(is_wanted: Callable[[], bool]) -> None:
    if not is_wanted():
        raise DownloadCancelled


def _fetch_once(url: str, part: _Part, report: Report, is_wanted: Callable[[], bool]) -> bool:
    """One request; whether the part is whole after it."""
    import requests

    known = part.version()
    n_have = part.n_bytes if known is not None and known.url == url else 0
    if known is not None and n_have and n_have == known.n_bytes:
        return True
    with requests.get(url, headers=_headers(known, n_have), stream=True, timeout=TIMEOUT_S) as response:
        _require_file(response)
        version = _Version(url, _validator(response), _whole_size(response))
        resumes = response.status_code == requests.codes.partial_content
        if resumes and not _continues(response, version, known, n_have):
            part.remove()
            return False
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            part.remove()
            return False
        if not resumes:
            n_have = 0
            part.begin(version)
        _require_space(part.path, version.n_bytes, n_have)
        with _hung_up_when_unwanted(response, is_wanted):
            _append(response, part, version.n_bytes, report, is_wanted)
    return version.n_bytes is None or part.n_bytes == version.n_bytes


@contextmanager
def _hung_up_when_unwanted(response: Any, is_wanted: Callable[[], bool]) -> Iterator[None]:
    """End the wait for the next piece as soon as nobody wants it, which may be long before the server is given up."""
    is_over = threading.Event()
    # urllib3 has it since 2.3; with an older one the wait ends with its time limit
    hang_up = getattr(response.raw, "shutdown", lambda: None)

    def watch() -> None:
        while not is_over.wait(_POLL_S):
            if not is_wanted():
                with suppress(OSError, ValueError, RuntimeError):  # it has ended by itself
                    hang_up()
                return

    watcher = threading.Thread(target=watch, name="napari-segnext download")
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


def _headers(known: _Version | None, n_have: int) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity", "User-Agent": "napari-segnext"}
    if known is not None and n_have:
        headers["Range"] = f"bytes={n_have}-"
        if known.validator:
            headers["If-Range"] = known.validator
    return headers


def _require_file(response: Any) -> None:
    """Refuse errors and web pages in place of the file."""
    status, url = response.status_code, response.url
    kind = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if status in (200, 206) and kind == "text/html":
        raise DownloadError(
            f"{url} answered with a web page instead of the file; file servers do so when too many people fetched it "
            "lately, or when it was moved. Try again in a day.",
            problem="server",
        )
    if status >= 500 or status == 429:
        response.raise_for_status()
    if status not in (200, 206, 416):
        raise DownloadError(
            f"{url} answered with status {status} ({response.reason}); expected the file.", problem="server"
        )


def _validator(response: Any) -> str:
    """ETag, or date of change; a weak ETag does not vouch for bytes."""
    etag = str(response.headers.get("ETag", ""))
    return etag if etag and not etag.startswith("W/") else str(response.headers.get("Last-Modified", ""))


def _whole_size(response: Any) -> int | None:
    """Size of the whole file, also when only the rest of it is sent."""
    found = re.fullmatch(r"bytes (?:\d+-\d+|\*)/(\d+)", response.headers.get("Content-Range", ""))
    if found:
        return int(found.group(1))
    length = str(response.headers.get("Content-Length", ""))
    return int(length) if response.status_code == 200 and length.isdecimal() else None


def _continues(response: Any, version: _Version, known: _Version | None, n_have: int) -> bool:
    """Whether a partial answer begins where our part ends, and is of the same file."""
    starts_at = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return (
        known is not None
        and starts_at is not None
        and int(starts_at.group(1)) == n_have
        and version.n_bytes == known.n_bytes
        and version.validator == known.validator
    )


def _append(response: Any, part: _Part, n_bytes: int | None, report: Report, is_wanted: Callable[[], bool]) -> None:
    with part.path.open("ab") as file:
        for piece in response.iter_content(CHUNK_BYTES):
            with _full_disk_told(part.path):
                file.write(piece)
                file.flush()
            report(file.tell(), n_bytes)
            _require_wanted(is_wanted)
    _require_wanted(is_wanted)  # a connection that was hung up looks like the end of the file


@contextmanager
def _full_disk_told(path: Path) -> Iterator[None]:
    """Say in words that the disk has become full."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DownloadError(
            f"there is no more room in '{path.parent}'; expected room for the whole file. "
            "Make room, or set NAPARI_SEGNEXT_HOME to a folder on another disk.",
            problem="disk",
        ) from error


def _require_space(path: Path, n_bytes: int | None, n_have: int) -> None:
    """The original and our file of it lie side by side for a moment."""
    n_free = shutil.disk_usage(path.parent).free
    n_needed = 2 * (n_bytes or 0) - n_have + _SPARE_BYTES
    if n_bytes is not None and n_free < n_needed:
        raise DownloadError(
            f"'{path.parent}' has {n_free / 1e6:.0f} MB free; expected at least {n_needed / 1e6:.0f} MB. "
            "Make room, or set NAPARI_SEGNEXT_HOME to a folder on another disk.",
            problem="disk",
        )


def _require_hash(path: Path, sha256: str | None) -> None:
    if sha256 is None:
        return
    found = sha256_of(path)
    if found != sha256:
        raise WeightsHashError(path, expected=sha256, found=found)
