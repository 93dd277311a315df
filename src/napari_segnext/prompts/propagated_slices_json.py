"""Propagated slices of a prompts file as JSON values, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_segnext.prompts.prompts_file_values import FOUND, MARKS, PropagatedSlice

if TYPE_CHECKING:
    from napari_segnext.prompts.json_values import JsonReader

N_DIGITS = 16
"""Of a digest."""


def propagated_slice_to_json(one: PropagatedSlice) -> dict[str, Any]:
    """JSON-ready dictionary of a propagated slice; what says nothing is left out."""
    values: dict[str, Any] = {"axis": int(one.axis), "index": int(one.index)}
    if one.others:
        values["others"] = [[int(axis), int(index)] for axis, index in one.others]
    values |= {"found": one.found, "confidence": float(one.confidence)}
    texts = {"reason": one.reason, "mark": one.mark, "pixels": one.pixels, "came_from": one.came_from}
    return {**values, **{name: text for name, text in texts.items() if text}}


def propagated_slice_from_json(reader: JsonReader) -> PropagatedSlice:
    """Propagated slice of what `json.loads` gave; for errors see `prompts_file_from_json`."""
    entries = reader.entries(
        {"axis", "index", "found", "confidence"}, optional={"others", "reason", "mark", "pixels", "came_from"}
    )
    found = entries["found"].text()
    if found not in FOUND:
        raise entries["found"].error(f"one of {', '.join(FOUND)}")
    confidence = entries["confidence"].number()
    if not 0 <= confidence <= 1:
        raise entries["confidence"].error("a number from 0 to 1")
    mark = entries["mark"].text() if "mark" in entries else ""
    if mark and mark not in MARKS:
        raise entries["mark"].error(f"one of {', '.join(MARKS)}, or nothing")
    return PropagatedSlice(
        entries["axis"].whole_number(least=0),
        entries["index"].whole_number(least=0),
        entries["others"].items(axis_index) if "others" in entries else (),
        found,
        confidence,
        entries["reason"].text() if "reason" in entries else "",
        mark,
        _digest(entries, "pixels"),
        _digest(entries, "came_from"),
    )


def axis_index(reader: JsonReader) -> tuple[int, int]:
    """The value, which must be a list of an axis and an index along it."""
    numbers = reader.items(lambda item: item.whole_number(least=0))
    if len(numbers) != 2:
        raise reader.error("two whole numbers, [axis, index]")
    return numbers[0], numbers[1]


def _digest(entries: dict[str, JsonReader], name: str) -> str:
    if name not in entries:
        return ""
    digest = entries[name].text()
    if digest and (len(digest) != N_DIGITS or not set(digest) <= set("0123456789abcdef")):
        raise entries[name].error(f"{N_DIGITS} hexadecimal digits in lower case, or nothing")
    return digest
