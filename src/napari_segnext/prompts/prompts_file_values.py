"""What a prompts file holds, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_segnext.prompts.prompts import Prompts

if TYPE_CHECKING:
    from napari_segnext.prompts.prompt import MaskPrompt


@dataclass(frozen=True, slots=True)
class ChannelReference:
    """A channel of what the model saw; the second and third became green and blue.

    Attributes
    ----------
    name
        File name, or name of the layer.
    axis, index
        An axis of its array along which channels lie, and which one was taken; None for the plane itself.
    contrast_limits
        Values that became black and white; None for uint8 as it is, and percentiles of other types.
    gamma
        Exponent of the brightness between black and white, above 0.
    """

    name: str
    axis: int | None = None
    index: int = 0
    contrast_limits: tuple[float, float] | None = None
    gamma: float = 1.0


@dataclass(frozen=True, slots=True)
class ImageReference:
    """Which image the prompts belong to.

    Attributes
    ----------
    name
        File name, or name of the layer.
    shape
        As the array was: (rows, columns), (Z, Y, X), perhaps with channels last. Empty if unknown.
    sha256
        SHA-256 digest (hexadecimal, lower case) of the file; empty if unknown.
    spacing
        Size of a pixel along each axis of `shape` but that of RGB, the unit of the clean-up's lengths; empty for 1.
    channels
        What the model saw in the place of the image as it is, one to three channels; empty for the image as it is.
    depth
        File name, or name of the layer, of the depth that was given to the model; empty for its own, and for models
        that read none.
    """

    name: str
    shape: tuple[int, ...] = ()
    sha256: str = ""
    spacing: tuple[float, ...] = ()
    channels: tuple[ChannelReference, ...] = ()
    depth: str = ""


@dataclass(frozen=True, slots=True)
class ModelReference:
    """Which weights answered the prompts.

    Attributes
    ----------
    name
        Name in the registry, or stem of the file.
    sha256
        SHA-256 digest (hexadecimal, lower case) of the weights; empty if unknown.
    """

    name: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class SlicePrompts:
    """The prompts of one object on one slice.

    Attributes
    ----------
    axis, index
        The slice; 0 and 0 for a plain image.
    prompts
        In the order in which the user gave them.
    others
        (axis, index) of further axes that the slice does not span, such as time; empty for volumes.
    threshold
        Probability above which a pixel belongs to the mask; None if nobody chose one.
    cleanup
        (name, value) of the settings of `napari_segnext.session.cleanup.Cleanup` that are not off.
    mask
        The mask that was accepted; None if none was, or if it is not known.
    """

    axis: int
    index: int
    prompts: Prompts
    others: tuple[tuple[int, int], ...] = ()
    threshold: float | None = None
    cleanup: tuple[tuple[str, bool | float | None], ...] = ()
    mask: MaskPrompt | None = None

    @property
    def place(self) -> tuple[tuple[int, int], ...]:
        """(axis, index) of all axes that the slice does not span."""
        return ((self.axis, self.index), *self.others)


FOUND = ("between", "beyond", "stopped", "painted")
"""What propagation made of an object on a slice; "painted" is what a person put there without it."""

MARKS = ("edited", "accepted")
"""What a person made of a propagated slice."""


@dataclass(frozen=True, slots=True)
class PropagatedSlice:
    """What became of an object on a slice on which nobody gave prompts.

    Attributes
    ----------
    axis, index, others
        The slice, as of `SlicePrompts`.
    found
        One of `FOUND`.
    confidence
        Of the model, 0 to 1.
    reason
        Why the object was not carried on to this slice, in words; empty if it was.
    mark
        One of `MARKS`; empty while no person has had a hand in it.
    pixels, came_from
        Digests of its pixels and of what it was propagated from, 16 hexadecimal digits; empty if unknown.
    """

    axis: int
    index: int
    others: tuple[tuple[int, int], ...] = ()
    found: str = "between"
    confidence: float = 0.0
    reason: str = ""
    mark: str = ""
    pixels: str = ""
    came_from: str = ""

    @property
    def place(self) -> tuple[tuple[int, int], ...]:
        """(axis, index) of all axes that the slice does not span."""
        return ((self.axis, self.index), *self.others)


@dataclass(frozen=True, slots=True)
class AnnotatedObject:
    """One object and its prompts.

    Attributes
    ----------
    label
        Its value in a label image or volume, at least 1.
    name
        What the user calls it; may be empty.
    slices
        Its annotated slices, each at most once.
    class_name
        What kind of thing it is; may be empty.
    is_locked
        Whether it is protected from changes.
    propagated
        Slices that it was propagated to, each at most once.
    """

    label: int
    name: str = ""
    slices: tuple[SlicePrompts, ...] = ()
    class_name: str = ""
    is_locked: bool = False
    propagated: tuple[PropagatedSlice, ...] = ()

    def prompts_on(self, axis: int = 0, index: int = 0) -> Prompts:
        """Prompts on a slice; empty if it has none."""
        for item in self.slices:
            if (item.axis, item.index) == (axis, index):
                return item.prompts
        return Prompts()


@dataclass(frozen=True, slots=True)
class DraftPrompts:
    """What was worked on, on one slice, and not accepted yet.

    Attributes
    ----------
    on
        Slice and prompts.
    label
        The accepted object that was being changed; None for a new one.
    """

    on: SlicePrompts
    label: int | None = None


@dataclass(frozen=True, slots=True)
class PromptsFile:
    """All that a prompts file holds.

    Attributes
    ----------
    objects
        In the order in which they were made; their labels differ.
    image, model
        What the prompts were given on; None if unknown.
    zoom
        Whether they were answered with zoom; None if unknown.
    drafts
        What was not accepted yet, at most one on each slice.
    """

    objects: tuple[AnnotatedObject, ...] = ()
    image: ImageReference | None = None
    model: ModelReference | None = None
    zoom: bool | None = None
    drafts: tuple[DraftPrompts, ...] = ()
