"""Options that several commands share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from napari_segnext.commands.exits import CommandError

PLOT_SUFFIXES = (".png", ".svg", ".pdf")

Device = Annotated[
    str, typer.Option("--device", "-d", help="auto (CUDA, else MPS, else the CPU), cpu, cuda, cuda:1, … or mps.")
]

PrecisionOption = Annotated[
    Literal["fp32", "bf16", "fp16"],
    typer.Option(
        "--precision", help="Of matrix products: 16 bits are faster on graphics cards and a little less exact."
    ),
]

CacheFolder = Annotated[
    Path | None,
    typer.Option(
        "--cache-folder",
        metavar="FOLDER",
        help="Where image embeddings are kept from run to run. By default $NAPARI_SEGNEXT_CACHE, else the cache folder "
        "of the system.",
        show_default=False,
    ),
]

CacheSize = Annotated[
    float | None,
    typer.Option(
        "--cache-size",
        metavar="GB",
        help="Greatest size of that folder; what was not used for longest goes first. By default "
        "$NAPARI_SEGNEXT_CACHE_GB, else 10.",
        show_default=False,
    ),
]

UsesCache = Annotated[
    bool, typer.Option("--cache/--no-cache", help="Keep image embeddings from run to run, or in memory only.")
]

Channels = Annotated[
    str,
    typer.Option(
        metavar="NAME,…",
        help="One to three channels of the volume, or contrasts of a BraTS case, that the model sees: names, or "
        "numbers from 0.",
        show_default=False,
    ),
]


@contextmanager
def disk_cache(folder: Path | None, size_gb: float | None, *, is_used: bool = True) -> Iterator[None]:
    """Sessions keep their embeddings on disk as the three options say; all are written when it ends.

    Raises
    ------
    CommandError
        If the options contradict each other.
    """
    from napari_segnext._disk_cache import disk_cache_in_use, disk_cache_settings, use_disk_cache

    if not is_used and (folder is not None or size_gb is not None):
        raise CommandError("--no-cache goes with neither --cache-folder nor --cache-size; leave one of them out.")
    before = disk_cache_in_use()
    use_disk_cache(disk_cache_settings(folder, size_gb) if is_used else None)
    try:
        yield
    finally:
        from napari_segnext.session import shared_cache

        shared_cache().flush()
        use_disk_cache(before)


def check_report_files(json: Path | None, plot: Path | None, *others: Path | None) -> None:
    """Refuse files of numbers and plots that could not be written.

    Raises
    ------
    CommandError
        If a folder is missing, or the plot's suffix is none of a picture.
    """
    for path in (json, plot, *others):
        if path is not None and not path.resolve().parent.is_dir():
            raise CommandError(
                f"there is no folder '{path.resolve().parent}' to write '{path.name}' to. Make it first."
            )
    if plot is not None and plot.suffix.lower() not in PLOT_SUFFIXES:
        raise CommandError(f"'{plot}' ends in '{plot.suffix}'; expected one of {', '.join(PLOT_SUFFIXES)} for a plot.")


def channel_names(text: str) -> tuple[str, ...]:
    """`"t1ce, flair"` → ("t1ce", "flair"); none for an empty text."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def time_point(text: str) -> int | Literal["all"] | None:
    """`"3"` → 3, `"all"` → "all"; None for an empty text.

    Raises
    ------
    CommandError
        If it is something else.
    """
    if not text:
        return None
    if text == "all":
        return "all"
    if not text.isdecimal():
        raise CommandError(f"--time is '{text}'; expected the number of a time point, from 0, or all.")
    return int(text)


def slice_range(text: str) -> tuple[int, int] | None:
    """`"3:8"` → (3, 8); None for an empty text.

    Raises
    ------
    CommandError
        If it is something else.
    """
    if not text:
        return None
    parts = text.split(":")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise CommandError(f"--slices is '{text}'; expected A:B, such as 10:60, the last one not included.")
    return int(parts[0]), int(parts[1])
