"""Prompts files as JSON values, and back; every error names its place in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_segnext.errors import PromptError, PromptsFileError
from napari_segnext.prompts.json_values import JsonReader
from napari_segnext.prompts.prompt import Box, Click, MaskPrompt, Polygon, Prompt, Scribble
from napari_segnext.prompts.prompts import Prompts
from napari_segnext.prompts.prompts_file_values import (
    AnnotatedObject,
    ChannelReference,
    DraftPrompts,
    ImageReference,
    ModelReference,
    PromptsFile,
    SlicePrompts,
)
from napari_segnext.prompts.propagated_slices_json import (
    axis_index,
    propagated_slice_from_json,
    propagated_slice_to_json,
)
from napari_segnext.prompts.run_lengths import mask_from_run_lengths, run_lengths_of_mask

if TYPE_CHECKING:
    from collections.abc import Callable

FORMAT = "napari-segnext/prompts"
VERSION = 1
MAX_CHANNELS = 3


def prompts_file_to_json(file: PromptsFile) -> dict[str, Any]:
    """JSON-ready dictionary of a prompts file."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "image": None if file.image is None else _image_to_json(file.image),
        "model": None if file.model is None else {"name": file.model.name, "sha256": file.model.sha256},
        # programs that do not know the entry yet refuse it, so it is written only where it says something
        **({} if file.zoom is None else {"zoom": file.zoom}),
        "objects": [_object_to_json(item) for item in file.objects],
        **({"drafts": [_draft_to_json(draft) for draft in file.drafts]} if file.drafts else {}),
    }


def prompts_file_from_json(data: Any) -> PromptsFile:
    """Prompts file of what `json.loads` gave.

    Raises
    ------
    PromptsFileError
        If it does not follow the published format.
    """
    reader = JsonReader(data, "")
    entries = reader.entries({"format", "version", "objects"}, optional={"image", "model", "zoom", "drafts", "$schema"})
    if entries["format"].text() != FORMAT:
        raise entries["format"].error(f'"{FORMAT}"', "This is another kind of file.")
    if entries["version"].whole_number(least=1) != VERSION:
        raise entries["version"].error(str(VERSION), "The file was written by a newer program: update napari-segnext.")
    objects = entries["objects"].items(_object_from_json)
    _require_distinct(entries["objects"], [item.label for item in objects], "label", "Give each object its own label.")
    drafts = entries["drafts"].items(_draft_from_json) if "drafts" in entries else ()
    _require_distinct(
        entries.get("drafts", reader),
        [draft.on.place for draft in drafts],
        "slice",
        "Put all that is worked on there into one.",
    )
    image, model, zoom = entries.get("image"), entries.get("model"), entries.get("zoom")
    return PromptsFile(
        objects,
        None if image is None or image.value is None else _image_from_json(image),
        None if model is None or model.value is None else _model_from_json(model),
        None if zoom is None or zoom.value is None else zoom.truth_value(),
        drafts,
    )


def _image_to_json(image: ImageReference) -> dict[str, Any]:
    return {
        "name": image.name,
        "shape": [int(n) for n in image.shape],
        "sha256": image.sha256,
        **({"spacing": [float(size) for size in image.spacing]} if image.spacing else {}),
        **({"channels": [_channel_to_json(channel) for channel in image.channels]} if image.channels else {}),
        **({"depth": image.depth} if image.depth else {}),
    }


def _image_from_json(reader: JsonReader) -> ImageReference:
    entries = reader.entries({"name"}, optional={"shape", "sha256", "spacing", "channels", "depth"})
    shape = entries["shape"].items(lambda item: item.whole_number(least=1)) if "shape" in entries else ()
    channels = entries["channels"].items(_channel_from_json) if "channels" in entries else ()
    if len(channels) > MAX_CHANNELS:
        raise entries["channels"].error(f"at most {MAX_CHANNELS} channels")
    spacing = entries["spacing"].items(_above_0) if "spacing" in entries else ()
    depth = entries["depth"].text() if "depth" in entries else ""
    return ImageReference(entries["name"].text(), shape, _sha256(entries), spacing, channels, depth)


def _channel_to_json(channel: ChannelReference) -> dict[str, Any]:
    values: dict[str, Any] = {"name": channel.name}
    if channel.axis is not None:
        values |= {"axis": int(channel.axis), "index": int(channel.index)}
    if channel.contrast_limits is not None:
        values["contrast_limits"] = [float(value) for value in channel.contrast_limits]
    if channel.gamma != 1:
        values["gamma"] = float(channel.gamma)
    return values


def _channel_from_json(reader: JsonReader) -> ChannelReference:
    entries = reader.entries({"name"}, optional={"axis", "index", "contrast_limits", "gamma"})
    limits = None
    if "contrast_limits" in entries:
        limits = _pair(entries["contrast_limits"], "two numbers, [low, high]")
        if not limits[0] < limits[1]:
            raise entries["contrast_limits"].error("low below high")
    return ChannelReference(
        entries["name"].text(),
        entries["axis"].whole_number(least=0) if "axis" in entries else None,
        entries["index"].whole_number(least=0) if "index" in entries else 0,
        limits,
        _above_0(entries["gamma"]) if "gamma" in entries else 1.0,
    )


def _above_0(reader: JsonReader) -> float:
    number = reader.number()
    if number <= 0:
        raise reader.error("a number above 0")
    return number


def _model_from_json(reader: JsonReader) -> ModelReference:
    entries = reader.entries({"name"}, optional={"sha256"})
    return ModelReference(entries["name"].text(), _sha256(entries))


def _sha256(entries: dict[str, JsonReader]) -> str:
    if "sha256" not in entries:
        return ""
    digest = entries["sha256"].text()
    if digest and (len(digest) != 64 or not set(digest) <= set("0123456789abcdef")):
        raise entries["sha256"].error("64 hexadecimal digits in lower case, or nothing")
    return digest


def _object_to_json(item: AnnotatedObject) -> dict[str, Any]:
    return {
        "label": int(item.label),
        "name": item.name,
        **({"class_name": item.class_name} if item.class_name else {}),
        **({"is_locked": True} if item.is_locked else {}),
        "slices": [_slice_to_json(one) for one in item.slices],
        **({"propagated": [propagated_slice_to_json(one) for one in item.propagated]} if item.propagated else {}),
    }


def _object_from_json(reader: JsonReader) -> AnnotatedObject:
    entries = reader.entries({"label", "slices"}, optional={"name", "class_name", "is_locked", "propagated"})
    slices = entries["slices"].items(_slice_from_json)
    places = [item.place for item in slices]
    _require_distinct(entries["slices"], places, "place", "Put all prompts of a slice into one entry.")
    propagated = entries["propagated"].items(propagated_slice_from_json) if "propagated" in entries else ()
    _require_distinct(
        entries.get("propagated", reader),
        [item.place for item in propagated],
        "place",
        "Put all that is known of a slice into one entry.",
    )
    return AnnotatedObject(
        entries["label"].whole_number(least=1),
        entries["name"].text() if "name" in entries else "",
        slices,
        entries["class_name"].text() if "class_name" in entries else "",
        entries["is_locked"].truth_value() if "is_locked" in entries else False,
        propagated,
    )


def _draft_to_json(draft: DraftPrompts) -> dict[str, Any]:
    return {"label": None if draft.label is None else int(draft.label), "on": _slice_to_json(draft.on)}


def _draft_from_json(reader: JsonReader) -> DraftPrompts:
    entries = reader.entries({"on"}, optional={"label"})
    label = entries.get("label")
    is_new = label is None or label.value is None
    return DraftPrompts(_slice_from_json(entries["on"]), None if is_new else label.whole_number(least=1))  # type: ignore[union-attr]


def _slice_to_json(one: SlicePrompts) -> dict[str, Any]:
    values: dict[str, Any] = {"axis": int(one.axis), "index": int(one.index)}
    if one.others:
        values["others"] = [[int(axis), int(index)] for axis, index in one.others]
    values["prompts"] = [_prompt_to_json(prompt) for prompt in one.prompts]
    if one.threshold is not None:
        values["threshold"] = one.threshold
    if one.cleanup:
        values["cleanup"] = dict(one.cleanup)
    if one.mask is not None:
        values["mask"] = _prompt_to_json(one.mask)
    return values


def _slice_from_json(reader: JsonReader) -> SlicePrompts:
    entries = reader.entries({"axis", "index", "prompts"}, optional={"others", "threshold", "cleanup", "mask"})
    return SlicePrompts(
        entries["axis"].whole_number(least=0),
        entries["index"].whole_number(least=0),
        Prompts(entries["prompts"].items(_prompt_from_json)),
        entries["others"].items(axis_index) if "others" in entries else (),
        _threshold(entries["threshold"]) if "threshold" in entries else None,
        _cleanup(entries["cleanup"]) if "cleanup" in entries else (),
        _accepted_mask(entries["mask"]) if "mask" in entries else None,
    )


def _threshold(reader: JsonReader) -> float:
    threshold = reader.number()
    if not 0 < threshold < 1:
        raise reader.error("a probability between 0 and 1")
    return threshold


def _cleanup(reader: JsonReader) -> tuple[tuple[str, bool | float | None], ...]:
    if not isinstance(reader.value, dict):
        raise reader.error("an object")
    return tuple((name, _setting(reader.entry(name))) for name in reader.value)


def _setting(reader: JsonReader) -> bool | float | None:
    return reader.value if reader.value is None or isinstance(reader.value, bool) else reader.number()


def _accepted_mask(reader: JsonReader) -> MaskPrompt:
    mask = _prompt_from_json(reader)
    if not isinstance(mask, MaskPrompt):
        raise reader.error("a mask")
    return mask


def _prompt_to_json(prompt: Prompt) -> dict[str, Any]:
    match prompt:
        case Click(row, column, is_positive):
            values: dict[str, Any] = {"row": row, "column": column, "is_positive": is_positive}
        case Box(top, left, bottom, right):
            values = {"top": top, "left": left, "bottom": bottom, "right": right}
        case Polygon():
            values = {"vertices": [list(vertex) for vertex in prompt.vertices]}
        case Scribble():
            path = [list(point) for point in prompt.path]
            values = {"path": path, "width": prompt.width, "is_positive": prompt.is_positive}
        case MaskPrompt():
            values = {"shape": list(prompt.mask.shape), "rle": run_lengths_of_mask(prompt.mask)}
    return {"kind": prompt.kind, **values}


def _prompt_from_json(reader: JsonReader) -> Prompt:
    kind = reader.entry("kind").text()
    if kind not in _PROMPT_READERS:
        raise reader.entry("kind").error(f"one of {', '.join(_PROMPT_READERS)}")
    try:
        return _PROMPT_READERS[kind](reader)
    except PromptError as error:
        raise PromptsFileError(f"{reader.place}: {error}") from error


def _click(reader: JsonReader) -> Click:
    entries = reader.entries({"kind", "row", "column"}, optional={"is_positive"})
    return Click(entries["row"].number(), entries["column"].number(), _is_positive(entries))


def _box(reader: JsonReader) -> Box:
    entries = reader.entries({"kind", "top", "left", "bottom", "right"})
    return Box(*(entries[edge].number() for edge in ("top", "left", "bottom", "right")))


def _polygon(reader: JsonReader) -> Polygon:
    entries = reader.entries({"kind", "vertices"})
    return Polygon(entries["vertices"].items(_row_column))


def _scribble(reader: JsonReader) -> Scribble:
    entries = reader.entries({"kind", "path"}, optional={"width", "is_positive"})
    width = entries["width"].number() if "width" in entries else 1.0
    return Scribble(entries["path"].items(_row_column), _is_positive(entries), width)


def _mask(reader: JsonReader) -> MaskPrompt:
    entries = reader.entries({"kind", "shape", "rle"})
    shape = entries["shape"].items(lambda item: item.whole_number(least=1))
    lengths = entries["rle"].items(lambda item: item.whole_number(least=0))
    return MaskPrompt(mask_from_run_lengths(lengths, shape))


_PROMPT_READERS: dict[str, Callable[[JsonReader], Prompt]] = {
    Click.kind: _click,
    Box.kind: _box,
    Polygon.kind: _polygon,
    Scribble.kind: _scribble,
    MaskPrompt.kind: _mask,
}


def _is_positive(entries: dict[str, JsonReader]) -> bool:
    return entries["is_positive"].truth_value() if "is_positive" in entries else True


def _row_column(reader: JsonReader) -> tuple[float, float]:
    return _pair(reader, "two numbers, [row, column]")


def _pair(reader: JsonReader, wanted: str) -> tuple[float, float]:
    numbers = reader.items(lambda item: item.number())
    if len(numbers) != 2:
        raise reader.error(wanted)
    return numbers[0], numbers[1]


def _require_distinct(reader: JsonReader, values: list[Any], what: str, remedy: str) -> None:
    seen = set()
    for position, value in enumerate(values):
        if value in seen:
            raise PromptsFileError(f"{reader.place}[{position}] has the {what} {value} of an earlier entry. {remedy}")
        seen.add(value)
