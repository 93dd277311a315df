"""An annotation as a value, apart from any viewer: what is saved, and what is put back.

1. `snapshot` takes it from an annotator: a prompts file (objects with their prompts, drafts) and the labels.
2. `write_annotation` and `read_annotation` keep it in a folder, of which never less than one whole state can be read.
3. `restore` gives it to a new annotator of the same image, which is then as the old one was.
"""

from __future__ import annotations

import shutil
import struct
import zlib
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_segnext._whole_file import whole_file
from napari_segnext.annotator.coordinates import ShownSlice
from napari_segnext.annotator.draft import Draft
from napari_segnext.annotator.errors import AnnotatorError, SavedAnnotationError
from napari_segnext.annotator.label_edits import blocks_of
from napari_segnext.annotator.objects import AcceptedSlice, ObjectRecord, ObjectRecords
from napari_segnext.prompts import (
    AnnotatedObject,
    DraftPrompts,
    ImageReference,
    MaskPrompt,
    ModelReference,
    Prompts,
    PromptsFile,
    SlicePrompts,
    read_prompts_file,
    write_prompts_file,
)
from napari_segnext.prompts.packed_mask import PackedMask

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.prompts import PropagatedSlice

PROMPTS_NAME = "prompts.json"
LABELS_NAME = "labels.tif"
POINTER_NAME = "current"
"""Names the folder of the newest state; replaced as a whole, so it always names a whole one."""

_READING_ERRORS = (OSError, ValueError, LookupError, RuntimeError, MemoryError, struct.error, zlib.error)
"""What is raised on broken files: besides our own and Python's errors, what tifffile lets through."""


@dataclass(frozen=True, eq=False)
class Annotation:
    """All that was done on an image.

    Attributes
    ----------
    prompts
        Objects with names, classes, locks, prompts and accepted masks; drafts; image, model and zoom.
    labels
        Integer array of the accepted objects; None if it lies on disk already, in the user's own file.
    """

    prompts: PromptsFile
    labels: NDArray[Any] | None


def prompts_file_of(
    records: ObjectRecords,
    drafts: Mapping[ShownSlice, Draft],
    *,
    image: ImageReference,
    model: InteractiveModel,
    zoom: bool | None,
) -> PromptsFile:
    """The prompts file of objects and drafts."""
    objects = tuple(
        AnnotatedObject(
            record.label,
            record.name,
            tuple(_slice_prompts(shown, one.draft, one.mask) for shown, one in record.slices.items()),
            record.class_name,
            record.is_locked,
        )
        for record in records
    )
    kept = tuple(
        DraftPrompts(_slice_prompts(shown, draft), draft.label) for shown, draft in drafts.items() if not draft.is_empty
    )
    identity = model.identity
    return PromptsFile(objects, image, ModelReference(identity.name, identity.sha256), zoom, kept)


def records_of(file: PromptsFile, shape: tuple[int, ...]) -> ObjectRecords:
    """Records of all objects of a prompts file, on an image of `shape` (without its RGB axis)."""
    records = {}
    for item in file.objects:
        slices = {}
        for one in item.slices:
            shown = shown_slice(one, shape)
            mask = np.zeros(shown.shape, bool) if one.mask is None else one.mask.mask
            if mask.shape != shown.shape:
                raise SavedAnnotationError(
                    f"object {item.label} has a mask of {mask.shape} pixels on a slice of {shown.shape}; expected the "
                    "same. It belongs to another image."
                )
            slices[shown] = AcceptedSlice(draft_of(one), PackedMask.of(mask))
        records[item.label] = ObjectRecord(item.label, item.name, item.class_name, item.is_locked, slices)
    return ObjectRecords(records)


def shown_slice(one: SlicePrompts | PropagatedSlice, shape: tuple[int, ...]) -> ShownSlice:
    """The plane that an entry of a prompts file is about, on an image of `shape` (without its RGB axis)."""
    place = dict(one.place) if len(shape) > 2 else {}
    axes = tuple(axis for axis in range(len(shape)) if axis not in place)
    if len(axes) != 2 or any(not 0 <= index < shape[axis] for axis, index in place.items() if axis < len(shape)):
        raise SavedAnnotationError(
            f"there are prompts at {dict(one.place)} (axis: index), which is no slice of an image of shape {shape}. "
            "They belong to another image."
        )
    index = tuple(place[axis] for axis in sorted(place))
    return ShownSlice((axes[0], axes[1]), index, (shape[axes[0]], shape[axes[1]]))


def draft_of(one: SlicePrompts, label: int | None = None) -> Draft:
    """The draft that an entry of a prompts file describes."""
    from napari_segnext.session.cleanup import Cleanup

    draft = Draft(tuple(one.prompts), label)
    if one.threshold is not None:
        draft = replace(draft, threshold=one.threshold)
    known = {field.name for field in fields(Cleanup)}
    return replace(draft, cleanup=Cleanup(**{name: value for name, value in one.cleanup if name in known}))  # type: ignore[arg-type]


def require_room(annotation: Annotation, layer: Any) -> None:
    """Refuse to put saved labels into a layer that holds other objects, or that they do not fit.

    Parameters
    ----------
    annotation
        Without labels, everything fits.
    layer
        The labels layer; it may hold the saved objects already.

    Raises
    ------
    SavedAnnotationError
        If the shapes differ.
    AnnotatorError
        If there are other objects, or the layer's type cannot hold the saved labels.
    """
    labels = annotation.labels
    if labels is None:
        return
    if labels.shape != layer.data.shape:
        raise SavedAnnotationError(
            f"the saved labels have shape {labels.shape}; expected {layer.data.shape}, that of the image. They belong "
            "to another one."
        )
    if _holds_others(layer.data, labels) or not np.can_cast(labels.dtype, layer.data.dtype, "same_kind"):
        raise AnnotatorError(
            f"layer '{layer.name}' holds other objects than the saved ones; pick 'new layer' for the objects to go on "
            "with those."
        )


def write_annotation(folder: Path, annotation: Annotation) -> None:
    """Keep an annotation in a folder; a process that is killed meanwhile leaves the state before.

    Parameters
    ----------
    folder
        Made if it is not there.
    annotation
        Without labels, those that were written last stay with it.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written. The state before stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before = _current(folder)
    state = folder / f"state-{_next_number(folder)}"
    state.mkdir()
    try:
        write_prompts_file(state / PROMPTS_NAME, annotation.prompts)
        if annotation.labels is not None:
            with whole_file(state / LABELS_NAME) as unfinished:
                tifffile.imwrite(unfinished, annotation.labels, compression="zlib", bigtiff=True)
        elif before is not None and (before / LABELS_NAME).exists():
            shutil.copyfile(before / LABELS_NAME, state / LABELS_NAME)
        with whole_file(folder / POINTER_NAME) as unfinished:
            unfinished.write_text(state.name, encoding="utf8")
    except BaseException:
        shutil.rmtree(state, ignore_errors=True)
        raise
    for old in folder.glob("state-*"):
        if old != state:
            shutil.rmtree(old, ignore_errors=True)


def read_annotation(folder: Path) -> Annotation | None:
    """The annotation that is kept in a folder; None if there is none.

    Raises
    ------
    SavedAnnotationError
        If it cannot be read. Nothing is changed or removed.
    """
    try:
        state = _current(folder)
        if state is None:
            return None
        prompts = read_prompts_file(state / PROMPTS_NAME)
        labels = tifffile.imread(state / LABELS_NAME) if (state / LABELS_NAME).exists() else None
    except _READING_ERRORS as error:
        raise SavedAnnotationError(
            f"the work that was saved in '{folder}' cannot be read: {error} The files are left as they are; start "
            "anew, or look at them there."
        ) from error
    return Annotation(prompts, labels)


def set_aside(folder: Path) -> Path | None:
    """Move what is kept in a folder out of the way, so that a new annotation can be kept there; None if nothing is."""
    if not (folder / POINTER_NAME).exists():
        return None
    number = 1
    while (aside := folder.with_name(f"{folder.name}.older-{number}")).exists():
        number += 1
    folder.rename(aside)
    return aside


def _holds_others(data: Any, labels: NDArray[Any]) -> bool:
    """Whether an array has objects where saved labels have none, or other ones; lazy ones are read block by block."""
    for block in blocks_of(data):
        there = np.asarray(data[block])
        if ((there != 0) & (there != labels[block])).any():
            return True
    return False


def _slice_prompts(shown: ShownSlice, draft: Draft, mask: PackedMask | None = None) -> SlicePrompts:
    from napari_segnext.session import DEFAULT_THRESHOLD
    from napari_segnext.session.cleanup import Cleanup

    off = Cleanup()
    cleanup = tuple(
        (field.name, getattr(draft.cleanup, field.name))
        for field in fields(Cleanup)
        if getattr(draft.cleanup, field.name) != getattr(off, field.name)
    )
    # the axis that is nearest to the plane's own ones is the slice's, the others are such as time
    (axis, index), *others = sorted(zip(shown.other_axes, shown.index, strict=True), reverse=True) or [(0, 0)]
    return SlicePrompts(
        axis,
        index,
        Prompts(draft.prompts),
        tuple(others),
        None if draft.threshold == DEFAULT_THRESHOLD else draft.threshold,
        cleanup,
        None if mask is None or not mask.bits.size else MaskPrompt(mask.unpacked()),
    )


def _current(folder: Path) -> Path | None:
    """The folder of the newest whole state."""
    pointer = folder / POINTER_NAME
    if not pointer.is_file():
        return None
    return folder / pointer.read_text(encoding="utf8").strip()


def _next_number(folder: Path) -> int:
    numbers = [int(path.name.removeprefix("state-")) for path in folder.glob("state-*") if path.name[6:].isdigit()]
    return max(numbers, default=0) + 1
