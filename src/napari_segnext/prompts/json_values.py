"""JSON values that know their place in the file, so that errors can name it; and JSON text that people can read."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from napari_segnext.errors import PromptsFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Set

T = TypeVar("T")

_MAX_SHOWN = 60


@dataclass(frozen=True, slots=True)
class JsonReader:
    """A value of a JSON document and where it stands.

    Attributes
    ----------
    value
        As `json.loads` gave it.
    place
        Such as ``objects[0].slices[0].prompts[2].row``; empty for the whole document.
    """

    value: Any
    place: str

    def error(self, wanted: str, remedy: str = "Correct the file.") -> PromptsFileError:
        """Error that says what stands here and what should."""
        if isinstance(self.value, dict | list):
            shown = "an object" if isinstance(self.value, dict) else "a list"
        else:
            shown = _shortened(json.dumps(self.value))
        return PromptsFileError(f"{self.place or 'the document'} is {shown}; expected {wanted}. {remedy}")

    def entry(self, name: str) -> JsonReader:
        """Value of one key of an object that may have others."""
        if not isinstance(self.value, dict):
            raise self.error("an object")
        if name not in self.value:
            raise PromptsFileError(f"{self._under(name)} is missing. Add it to the file.")
        return JsonReader(self.value[name], self._under(name))

    def entries(self, required: Set[str], *, optional: Set[str] = frozenset()) -> dict[str, JsonReader]:
        """Values of all keys of an object, which must be the required and may be the optional ones."""
        if not isinstance(self.value, dict):
            raise self.error(f"an object with {', '.join(sorted(required))}")
        for name in sorted(required):
            self.entry(name)
        for name in self.value:
            if name not in required | optional:
                known = ", ".join(sorted(required | optional))
                raise PromptsFileError(
                    f"{self._under(name)} is unknown; expected only {known}. Correct the name, or remove it."
                )
        return {name: self.entry(name) for name in self.value}

    def items(self, read: Callable[[JsonReader], T]) -> tuple[T, ...]:
        """All items of a list, each read by a function."""
        if not isinstance(self.value, list):
            raise self.error("a list")
        return tuple(read(JsonReader(item, f"{self.place}[{position}]")) for position, item in enumerate(self.value))

    def text(self) -> str:
        """The value, which must be a text."""
        if not isinstance(self.value, str):
            raise self.error("a text")
        return self.value

    def truth_value(self) -> bool:
        """The value, which must be true or false."""
        if not isinstance(self.value, bool):
            raise self.error("true or false")
        return self.value

    def whole_number(self, *, least: int) -> int:
        """The value, which must be a whole number not below `least`."""
        is_whole = isinstance(self.value, int) and not isinstance(self.value, bool)
        if isinstance(self.value, float) and self.value.is_integer():
            return JsonReader(int(self.value), self.place).whole_number(least=least)
        if not is_whole or self.value < least:
            raise self.error(f"a whole number, at least {least}")
        return int(self.value)

    def number(self) -> float:
        """The value, which must be a number that a float can hold."""
        if not isinstance(self.value, int | float) or isinstance(self.value, bool):
            raise self.error("a number")
        try:
            number = float(self.value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self.error("a finite number")
        return number

    def _under(self, name: str) -> str:
        return f"{self.place}.{name}" if self.place else name


def pretty_json(value: Any, *, keeps_on_one_line: Callable[[Any], bool], indent: str = "") -> str:
    """JSON text, indented, but with some values and all lists of plain values on one line each."""
    is_flat = not isinstance(value, dict | list) or not any(isinstance(item, dict | list) for item in _children(value))
    if is_flat or keeps_on_one_line(value):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    deeper = indent + "  "

    def text(item: Any) -> str:
        return pretty_json(item, keeps_on_one_line=keeps_on_one_line, indent=deeper)

    if isinstance(value, dict):
        lines = [f"{deeper}{json.dumps(key, ensure_ascii=False)}: {text(item)}" for key, item in value.items()]
    else:
        lines = [f"{deeper}{text(item)}" for item in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n" + ",\n".join(lines) + f"\n{indent}{closing}"


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _children(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value
