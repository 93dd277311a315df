"""Prompts files: what a user said, as JSON that the GUI writes and the command line replays.

The format is published as a JSON schema beside this file (`SCHEMA_PATH`). Numbers come back exactly.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from napari_segnext._whole_file import whole_file
from napari_segnext.errors import PromptsFileError
from napari_segnext.prompts.json_values import pretty_json
from napari_segnext.prompts.prompts_file_json import prompts_file_from_json, prompts_file_to_json
from napari_segnext.prompts.prompts_file_values import (
    AnnotatedObject,
    ChannelReference,
    DraftPrompts,
    ImageReference,
    ModelReference,
    PromptsFile,
    PropagatedSlice,
    SlicePrompts,
)

__all__ = [
    "SCHEMA_PATH",
    "AnnotatedObject",
    "ChannelReference",
    "DraftPrompts",
    "ImageReference",
    "ModelReference",
    "PromptsFile",
    "PropagatedSlice",
    "SlicePrompts",
    "prompts_file_from_json",
    "prompts_file_to_json",
    "read_prompts_file",
    "write_prompts_file",
]

SCHEMA_PATH = Path(__file__).with_name("prompts_file.schema.json")


def read_prompts_file(path: Path | str) -> PromptsFile:
    """Read a prompts file.

    Parameters
    ----------
    path
        JSON file, UTF-8.

    Returns
    -------
    PromptsFile
        Equal to what was written.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    PromptsFileError
        If it does not follow the published format; the message names the place in the file.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_bytes().decode("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise PromptsFileError(
            f"'{path}' is not JSON: {error}. Expected a prompts file as napari-segnext writes it; save it again."
        ) from error
    try:
        return prompts_file_from_json(data)
    except PromptsFileError as error:
        raise PromptsFileError(f"'{path}': {error}") from error


def write_prompts_file(path: Path | str, file: PromptsFile) -> None:
    """Write a prompts file, whole or not at all: a killed process leaves the old file as it was.

    Parameters
    ----------
    path
        File to make or replace; its folder exists.
    file
        What to write.

    Raises
    ------
    PromptsFileError
        If the values do not follow the published format, such as two objects of one label. Nothing is written then.
    """
    data = prompts_file_to_json(file)
    prompts_file_from_json(data)
    text = pretty_json(data, keeps_on_one_line=_is_prompt) + "\n"
    with whole_file(path) as unfinished:
        # A file name that is no text (a lone surrogate) becomes the JSON escape that reads it back.
        unfinished.write_bytes(text.encode("utf-8", errors="backslashreplace"))


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a finite number")


def _is_prompt(value: Any) -> bool:
    """Whether a value is a prompt, or a propagated slice: they are read best on one line each."""
    return isinstance(value, dict) and ("kind" in value or "found" in value)
