"""The errors that callers may want to tell apart; each is also a builtin error."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segnext._types import Shape2D


class PromptError(ValueError):
    """A prompt that cannot be used: empty, not finite, or of the wrong shape."""


class PromptOutsideImageError(PromptError):
    """A prompt that lies wholly outside the image.

    Attributes
    ----------
    kind
        Kind of the prompt, such as ``"click"``.
    image_shape
        (rows, columns) of the image.
    """

    def __init__(self, kind: str, where: str, image_shape: Shape2D) -> None:
        self.kind = kind
        self.image_shape = image_shape
        rows, columns = image_shape
        super().__init__(
            f"{kind} at {where} lies outside the image of {rows} rows and {columns} columns; "
            f"expected rows in 0 to {rows - 1} and columns in 0 to {columns - 1}. Move the {kind} onto the image."
        )


class ImageError(ValueError):
    """An image that cannot be segmented: wrong shape, no pixels, or pixels that are not finite."""


class VolumeError(ValueError):
    """A volume that cannot be used: broken file, wrong number of axes, or no place where it was asked for one."""


class PropagationError(ValueError):
    """What was asked of propagation cannot be done: no annotated slice, no such axis, limits that make no sense."""


class BatchError(ValueError):
    """What was asked of a batch of volumes cannot be done: names that collide, no prompts file, no such scheduler."""


class CheckpointError(ValueError):
    """A weights file that cannot be used: broken, hostile, or made for another architecture.

    Attributes
    ----------
    path
        The file.
    """

    def __init__(self, path: Path | str, problem: str, remedy: str) -> None:
        self.path = path
        super().__init__(f"cannot load the weights in '{path}': {problem}. {remedy}")


class WeightsHashError(OSError):
    """A weights file whose bytes are not those that were promised.

    Attributes
    ----------
    path, expected, found
        The file and the two SHA-256 digests (hexadecimal).
    """

    def __init__(self, path: Path | str, *, expected: str, found: str) -> None:
        self.path = path
        self.expected = expected
        self.found = found
        super().__init__(
            f"'{path}' has SHA-256 {found}; expected {expected}. The file is damaged or another one: "
            "delete it and download or import it again."
        )


class PromptsFileError(ValueError):
    """A prompts file that does not follow the published format."""


class ConfigError(ValueError):
    """A configuration file with a wrong or unknown entry."""


_MEMORY_WORDS = ("out of memory", "not enough memory", "can't allocate memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory did not suffice, that of the machine or of the graphics card.

    torch, which need not be loaded here, has a type of its own for the latter, but does not use it everywhere.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _MEMORY_WORDS)
