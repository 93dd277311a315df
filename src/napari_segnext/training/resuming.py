"""Going on with a run: whether a checkpoint belongs to a config, and what a kill left behind."""

from __future__ import annotations

import glob
import json
from typing import TYPE_CHECKING, Any

from napari_segnext._whole_file import whole_file
from napari_segnext.errors import ConfigError
from napari_segnext.training.config import without_local_folders

if TYPE_CHECKING:
    from pathlib import Path

_MAY_CHANGE = frozenset(
    {
        "output",
        "card",
        "n_workers",
        "save_every_n_steps",
        "validation",
        "initial_weights",
        "licence",
        "stages",
        "precision",
    }
)
_MISSING = "nothing"


def has_new_stages(stored: dict[str, Any], wanted: dict[str, Any], *, step: int, path: Path) -> bool:
    """Whether stages got other lengths since a checkpoint; all else that matters for the weights must be the same.

    Parameters
    ----------
    stored, wanted
        The config in the checkpoint, and the one to go on with, as `TrainingConfig.to_dict`.
    step
        Steps done.
    path
        The checkpoint, for messages.

    Returns
    -------
    bool
        True if `n_steps` of the last stage begun (not below what is done of it) or of later ones differs.

    Raises
    ------
    ConfigError
        If anything else differs, other than folders, card, licence, and how the run is saved and validated.
    """
    stored, wanted = (json.loads(json.dumps(without_local_folders(values))) for values in (stored, wanted))
    before, after = stored["stages"], wanted["stages"]
    changes = _changes(
        {key: value for key, value in stored.items() if key not in _MAY_CHANGE},
        {key: value for key, value in wanted.items() if key not in _MAY_CHANGE},
    )
    remedy = "Undo that, choose a new output folder, or delete the checkpoint to start anew."
    if not _only_lengths_to_come(before, after, step):
        changes.append(f"stages = {before} (now {after})")
        remedy += f" Of stages, only n_steps may change: of the last one begun at step {step}, and of later ones."
    if changes:
        raise ConfigError(f"'{path}' was made with {', '.join(changes)}; expected the same config. {remedy}")
    return bool(before != after)


def remove_leftovers(checkpoint: Path) -> None:
    """Delete half-written checkpoints of killed processes."""
    checkpoint = checkpoint.resolve()
    for unfinished in checkpoint.parent.glob(f".{glob.escape(checkpoint.name)}.*.part"):
        unfinished.unlink(missing_ok=True)


def cut_log(path: Path, step: int) -> None:
    """Drop the rows of a log (JSON lines) after `step`, which will be written again, and half rows."""
    if not path.exists():
        return
    content = path.read_bytes()
    kept = b"".join(line + b"\n" for line in content.splitlines() if _is_row_up_to(step, line))
    if kept != content:
        with whole_file(path) as unfinished:
            unfinished.write_bytes(kept)


def _changes(before: Any, after: Any, key: str = "") -> list[str]:
    """`key = old (now new)` of all entries that differ; keys of tables within tables have dots.

    An entry that the checkpoint's version did not know is as good as one that is empty.
    """
    if before == _MISSING and not after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        prefix = f"{key}." if key else ""
        return [
            change
            for name in sorted({*before, *after})
            for change in _changes(before.get(name, _MISSING), after.get(name, _MISSING), prefix + name)
        ]
    return [] if before == after else [f"{key} = {before!r} (now {after!r})"]


def _only_lengths_to_come(before: list[dict[str, Any]], after: list[dict[str, Any]], step: int) -> bool:
    if len(before) != len(after):
        return False
    first_step = 0
    for old, new in zip(before, after, strict=True):
        is_followed = first_step + old["n_steps"] < step
        has_same_length = new["n_steps"] == old["n_steps"]
        has_room = not is_followed and new["n_steps"] >= step - first_step
        if _changes({**old, "n_steps": 0}, {**new, "n_steps": 0}) or not (has_same_length or has_room):
            return False
        first_step += old["n_steps"]
    return True


def _is_row_up_to(step: int, line: bytes) -> bool:
    try:
        return bool(json.loads(line)["step"] <= step)
    except (ValueError, TypeError, KeyError):
        return False
