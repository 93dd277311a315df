"""Folders of one BraTS case: T1, T1ce, T2 and FLAIR as NIfTI, and a segmentation, by the file names of 2013 to 2023."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_segnext.errors import VolumeError
from napari_segnext.io.label_values import as_labels, values_of
from napari_segnext.io.nifti import read_nifti
from napari_segnext.io.volume_parts import required_folder
from napari_segnext.volumes import VolumeCase

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segnext.volumes import Volume

CONTRASTS = ("t1", "t1ce", "t2", "flair")
"""Names of the contrasts, in the order in which a case has them; t1ce is the one with contrast agent."""

SEGMENTATION = "seg"

_NAMES = {
    "t1": "t1",
    "t1n": "t1",
    "t1ce": "t1ce",
    "t1c": "t1ce",
    "t1gd": "t1ce",
    "t2": "t2",
    "t2w": "t2",
    "flair": "flair",
    "t2f": "flair",
    "seg": SEGMENTATION,
    "label": SEGMENTATION,
}
"""End of a file's name → what it holds."""

_FILE = re.compile(rf"(?P<case>.+)[-_](?P<kind>{'|'.join(_NAMES)})\.nii(\.gz)?", re.IGNORECASE)

_LABEL_NAMES_2013 = {1: "necrosis", 2: "oedema", 3: "non-enhancing tumour", 4: "enhancing tumour"}
_LABEL_NAMES_2017 = {1: "necrosis and non-enhancing tumour", 2: "oedema", 4: "enhancing tumour"}
_LABEL_NAMES_2023 = {1: "necrosis and non-enhancing tumour", 2: "oedema", 3: "enhancing tumour"}


def is_brats_case(folder: Path) -> bool:
    """Whether the folder holds, of one case, at least two files that are named as contrasts or segmentation."""
    try:
        files = _files_by_case(folder)
    except VolumeError:
        # two files for one contrast: a case, and reading it says what is wrong
        return True
    return len(files) == 1 and all(len(kinds) > 1 and set(kinds) != {SEGMENTATION} for kinds in files.values())


def contrast_files(folder: Path) -> tuple[Path, ...]:
    """The files of the contrasts of the case in a folder, in the order of `CONTRASTS`; raises as `read_brats_case`."""
    files = next(iter(_files_by_case(folder).values()), {})
    return tuple(files[name] for name in CONTRASTS if name in files)


def read_brats_case(folder: Path | str) -> VolumeCase:
    """Read the contrasts and the segmentation of one case.

    Files are known by the end of their names, after `_` or `-` and in either case: t1 or t1n; t1ce, t1c or t1gd; t2 or
    t2w; flair or t2f; seg or label. Contrasts may be missing. What a label stands for changed over the years: names as
    of 2023 (t1n, t2w, t2f) tell their labels; in other cases a label 3 tells those of 2013, else they are those of
    2017 to 2021.

    Parameters
    ----------
    folder
        Holds the files of one case.

    Returns
    -------
    VolumeCase
        Images `"t1"`, `"t1ce"`, `"t2"`, `"flair"` as far as they are there, labels `"seg"` if it is.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no contrast in it.
    VolumeError
        If there are several cases, a file is broken, or the volumes do not lie in one place.
    """
    folder = required_folder(folder)
    by_case = _files_by_case(folder)
    if len(by_case) > 1:
        raise VolumeError(
            f"'{folder}' holds {len(by_case)} cases, such as {', '.join(sorted(by_case)[:3])}; expected one. "
            "Put each case in a folder of its own, or open its files one by one."
        )
    files = next(iter(by_case.values()), {})
    if not set(files) & set(CONTRASTS):
        raise FileNotFoundError(
            f"'{folder}' holds no BraTS contrast; expected files such as CASE_t1ce.nii.gz or CASE-t2f.nii.gz. "
            "Check the path, or open the files one by one."
        )
    images = {name: _named(read_nifti(files[name]), folder, name) for name in CONTRASTS if name in files}
    if SEGMENTATION not in files:
        return VolumeCase(folder.name, images)
    labels = _named(as_labels(read_nifti(files[SEGMENTATION]).single_time()), folder, SEGMENTATION)
    return VolumeCase(folder.name, images, {SEGMENTATION: labels}, _label_names(labels, files))


def _files_by_case(folder: Path) -> dict[str, dict[str, Path]]:
    """Case → contrast or segmentation → file.

    Raises
    ------
    VolumeError
        If two files of a case hold the same.
    """
    by_case: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        match = _FILE.fullmatch(path.name)
        if match is None or path.name.startswith(".") or not path.is_file():
            continue
        files = by_case.setdefault(match["case"], {})
        name = _NAMES[match["kind"].lower()]
        if name in files:
            raise VolumeError(f"'{files[name]}' and '{path}' are both {name} of one case; expected one. Remove one.")
        files[name] = path
    return by_case


def _named(volume: Volume, folder: Path, name: str) -> Volume:
    return replace(volume.single_time(), name=f"{folder.name} {name}")


def _label_names(labels: Volume, files: dict[str, Path]) -> dict[int, str]:
    values = set(values_of(labels.array))
    is_named_as_2023 = any(re.search(r"[-_](t1n|t2w|t2f)\.nii", path.name, re.IGNORECASE) for path in files.values())
    if is_named_as_2023:
        names = _LABEL_NAMES_2023
    else:
        names = _LABEL_NAMES_2013 if 3 in values else _LABEL_NAMES_2017
    return {**names, **{value: f"label {value}" for value in values - set(names)}}
