"""Where prompts lie: from the axes of the image on which they were given to those of the volume at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_segnext.errors import BatchError

if TYPE_CHECKING:
    from napari_segnext.prompts import PromptsFile, PropagatedSlice, SlicePrompts
    from napari_segnext.volumes import Volume

_SPATIAL = ("z", "y", "x")


@dataclass(frozen=True, slots=True)
class Place:
    """A slice of a volume.

    Attributes
    ----------
    axis, index
        Which slice, across which of the axes 0, 1 and 2 (Z, Y and X).
    time
        Number of the time point; None if none is told.
    channel
        Which channel was shown, of an image with an axis of channels; else None.
    """

    axis: int
    index: int
    time: int | None = None
    channel: int | None = None


def axes_of_image(said: PromptsFile, volume: Volume, path: str) -> tuple[str, ...]:
    """What the axes are that a prompts file counts by number.

    The image on which prompts were given may be one time point of the volume, or one channel of it. Where channels have
    an axis among the others, its place is told by the image's shape, then by the channels that the file names; if both
    leave a choice, it comes right before the rows, as in most files.

    Parameters
    ----------
    said
        A prompts file.
    volume
        The volume it is used on.
    path
        Its name, for errors.

    Returns
    -------
    tuple of str
        `"t"`, `"z"`, `"y"`, `"x"`, `"c"` in the order of the image; colours have no axis. Where time stands in for Z,
        the first one is `"z"` all the same.

    Raises
    ------
    BatchError
        If the prompts belong to another image.
    """
    n_axes = _n_axes(said)
    known = [names for names in _orders(volume) if len(names) == n_axes]
    if not known:
        raise BatchError(
            f"the prompts were given on slices of an image of {n_axes} axes, more than three axes; '{path}' has "
            f"{', '.join(volume.axis_names)}. Give the volume that belongs to the prompts."
        )
    shape = said.image.shape if said.image is not None else ()
    fitting = [names for names in known if _has_shape(names, volume, shape)]
    if not fitting and tuple(shape[: len(volume.axis_names)]) == volume.shape[: len(volume.axis_names)]:
        raise BatchError(
            f"the prompts tell {n_axes - 2} of the axes on which their slices lie, and the image has shape {shape}; "
            'expected all axes but rows and columns. Add the others, such as "others": [[0, 2]] for time point 2.'
        )
    if not fitting:
        name = said.image.name if said.image is not None else ""
        raise BatchError(
            f"'{path}' has shape {volume.shape}, but the prompts were given on '{name}' of shape {tuple(shape)}. "
            "Give the volume that belongs to the prompts."
        )
    named = {one.axis for one in said.image.channels} if said.image is not None else set()
    return max(fitting, key=lambda names: "c" in names and names.index("c") in named)


def place_of(one: SlicePrompts | PropagatedSlice, names: tuple[str, ...]) -> Place:
    """The place of an entry of a prompts file whose image has these axes.

    Raises
    ------
    BatchError
        If it is no slice across Z, Y or X.
    """
    held = {names[axis]: index for axis, index in one.place if axis < len(names)}
    across = [name for name in _SPATIAL if name in held]
    if len(across) != 1 or len(held) != len(names) - 2:
        raise BatchError(
            f"there are prompts at {dict(one.place)} (axis: index) of an image with axes {', '.join(names)}; expected "
            "slices across z, y or x. Annotate those."
        )
    return Place(_SPATIAL.index(across[0]), held[across[0]], held.get("t"), held.get("c"))


def spacing_of_image(said: PromptsFile, volume: Volume, names: tuple[str, ...]) -> tuple[float, ...]:
    """Size of a pixel along time, Z, Y and X as the prompts were given, which is the unit of clean-ups; else as told.

    Parameters
    ----------
    said, volume
        As of `axes_of_image`.
    names
        What it gave.
    """
    recorded = said.image.spacing if said.image is not None else ()
    sizes = dict(zip(("t", *_SPATIAL), (volume.time_step, *volume.spacing), strict=True))
    if len(recorded) == len(names):
        sizes |= {name: size for name, size in zip(names, recorded, strict=True) if name != "c"}
    return tuple(sizes[name] for name in ("t", *_SPATIAL))


def _n_axes(said: PromptsFile) -> int:
    numbers = {len(one.place) + 2 for item in said.objects for one in item.slices}
    if len(numbers) > 1:
        raise BatchError(
            f"the prompts were given on images of {' and '.join(map(str, sorted(numbers)))} axes; expected one image. "
            "Put those of each image into a file of their own."
        )
    return numbers.pop() if numbers else len(_SPATIAL)


def _orders(volume: Volume) -> list[tuple[str, ...]]:
    """All orders of axes that an image of the volume may have, the likeliest first."""
    orders: list[tuple[str, ...]] = []
    for base in ([("t", *_SPATIAL)] if volume.has_time else []) + [_SPATIAL]:
        orders.append(base)
        if volume.has_channels and not volume.is_rgb:
            orders += [(*base[:place], "c", *base[place:]) for place in range(len(base) - 2, -1, -1)]
    return orders


def _has_shape(names: tuple[str, ...], volume: Volume, shape: tuple[int, ...]) -> bool:
    if len(shape) < len(_SPATIAL):
        return True
    lengths = dict(zip(_SPATIAL, volume.shape_zyx, strict=True)) | {"t": volume.n_times, "c": volume.n_channels}
    wanted = [lengths[name] for name in names]
    colours = [volume.n_channels] if volume.is_rgb else []
    is_single_image = lengths["z"] == 1 and names == _SPATIAL
    return list(shape) in ([*wanted, *colours], wanted, *([[*wanted[1:], *colours]] if is_single_image else []))
