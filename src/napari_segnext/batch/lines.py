"""Lines of slices: which ones follow each other, at one time point or over time, and what was said on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.batch.places import Place, axes_of_image, place_of, spacing_of_image
from napari_segnext.batch.seen import Seen, what_is_seen
from napari_segnext.errors import BatchError
from napari_segnext.session import SeenPlanes
from napari_segnext.volumes import Volume

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from napari_segnext.batch.images import Images
    from napari_segnext.batch.job import BatchSettings
    from napari_segnext.prompts import AnnotatedObject, PromptsFile, SlicePrompts


@dataclass(frozen=True, slots=True)
class Where:
    """Which slices of a volume follow each other.

    Attributes
    ----------
    axis
        0, 1 or 2: across which axis the slices lie.
    time
        At which time point; None over time, and for volumes without time.
    at_slice
        Which slice is followed over time; None for slices that follow each other along `axis`.
    """

    axis: int
    time: int | None = None
    at_slice: int | None = None

    @property
    def is_over_time(self) -> bool:
        """Whether the line leads from time point to time point."""
        return self.at_slice is not None

    @property
    def noun(self) -> str:
        """What one step of the line is."""
        return "time point" if self.is_over_time else "slice"

    def holds(self, place: Place) -> bool:
        """Whether a slice lies on the line; prompts that name no time point are those of any."""
        if self.is_over_time:
            return (place.axis, place.index) == (self.axis, self.at_slice)
        return place.axis == self.axis and place.time in (None, self.time)

    def of_labels(self, labels: NDArray[Any]) -> NDArray[Any]:
        """`(n, rows, columns)` view of labels `(Z, Y, X)` or `(T, Z, Y, X)`."""
        if self.at_slice is not None:
            view: NDArray[Any] = np.moveaxis(labels, self.axis + 1, 0)[self.at_slice]
            return view
        return np.moveaxis(labels if self.time is None else labels[self.time], self.axis, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Slices that follow each other as the model sees them, and what was said on them.

    Attributes
    ----------
    where
        Which ones.
    volume
        `(n, rows, columns)` or `(n, rows, columns, C)`: along its axis 0 they follow each other.
    annotated
        Label → slice number → what was said there; of objects of which something was.
    seen
        What the model sees.
    zoom
        As of `Session`.
    n_by_hand
        How many propagated slices persons had a hand in, of which the prompts file has no masks.
    """

    where: Where
    volume: Volume
    annotated: Mapping[int, Mapping[int, SlicePrompts]]
    seen: Seen
    zoom: bool | None
    n_by_hand: int = 0

    @property
    def n(self) -> int:
        """How many slices there are."""
        return self.volume.n_slices(0)

    @property
    def indices(self) -> list[int]:
        """Slices on which something was said, once for each object."""
        return [index for by_slice in self.annotated.values() for index in by_slice]


Spot = tuple["AnnotatedObject", Place, "SlicePrompts"]
"""What was said of an object on a slice."""


def lines_of(said: PromptsFile, images: Images, settings: BatchSettings, path: str) -> tuple[Line, ...]:
    """The lines along which objects are to be propagated: one, or one for each time point.

    Parameters
    ----------
    said
        A prompts file.
    images
        What lies at the path.
    settings
        What is asked for; it counts before what the file says.
    path
        Name of the volume, for errors.

    Raises
    ------
    BatchError
        If the prompts belong to another image, nothing was said on such slices, or it is not clear which are meant.
    """
    names = axes_of_image(said, images.volume, path)
    require_time(images.volume, settings, path)
    spots = [
        (item, place_of(one, names), one)
        for item in said.objects
        for one in item.slices
        if one.prompts or one.mask is not None
    ]
    spots = _along(spots, settings.axis)
    chosen = (_over_time if settings.over_time else _at_times)(spots, images.volume, settings)
    seen = what_is_seen(said, images, settings, names)
    sizes = spacing_of_image(said, images.volume, names)
    by_hand = [place_of(one, names) for item in said.objects for one in item.propagated if one.mark]
    return tuple(
        Line(
            where,
            planes_of_line(where, seen, sizes, images.volume, _channel_shown(here)),
            _annotated(here, where),
            seen,
            said.zoom if settings.zoom is None else settings.zoom,
            sum(where.holds(place) for place in by_hand),
        )
        for where, here in chosen
    )


def planes_of_line(
    where: Where, seen: Seen, sizes: tuple[float, ...], like: Volume, channel: int | None = None
) -> Volume:
    """The slices of a line as a volume whose axis 0 they follow each other along.

    Parameters
    ----------
    where, seen
        Which slices, and what of them.
    sizes
        Of a pixel along time, Z, Y and X.
    like
        Lends name and unit.
    channel
        Which one is shown, if the arrays have an axis of channels.
    """
    held = {"zyx"[where.axis]: where.at_slice or 0, "t": where.time or 0, "c": channel or 0}
    selector = tuple(held.get(name, slice(None)) for name in seen.axes)
    along = "t" if where.is_over_time else "zyx"[where.axis]
    names = (along, *(name for name in "zyx" if name != "zyx"[where.axis]))
    by_name = dict(zip("tzyx", sizes, strict=True))
    planes = SeenPlanes(seen.channels, selector, seen.axes.index(along))
    spacing = tuple(by_name[name] for name in names)
    return Volume(planes, spacing=spacing, unit=like.unit, axis_names=names, name=like.name)


def require_time(volume: Volume, settings: BatchSettings, path: str) -> None:
    """Refuse what is asked of time where there is none.

    Raises
    ------
    BatchError
        If the volume has no time, or not that time point.
    """
    asked = "--over-time" if settings.over_time else "--time" if settings.time is not None else ""
    asked = "--without-time" if settings.without_time and not asked else asked
    if asked and not volume.has_time:
        hint = "; its axis 0 is time, along which objects are propagated anyway" if volume.axis_names[0] == "t" else ""
        raise BatchError(f"'{path}' has no time points beside its slices{hint}. Leave out {asked}.")
    if isinstance(settings.time, int) and settings.time >= volume.n_times:
        raise BatchError(f"--time is {settings.time}; expected 0 to {volume.n_times - 1}, as '{path}' has no more.")


def _along(spots: list[Spot], asked: int | None) -> list[Spot]:
    """What was said on slices across the axis that is asked for, else across the only one."""
    axes = sorted({place.axis for _, place, _ in spots})
    if not axes or (asked is not None and asked not in axes):
        along = "" if asked is None else f" along axis {asked}"
        there = f"; there are some along axis {_listed(axes)}" if axes else ""
        raise BatchError(f"no object has prompts or a mask on a slice{along}{there}. Annotate one slice at least.")
    if asked is None and len(axes) > 1:
        raise BatchError(
            f"there are annotated slices along the axes {_listed(axes)}; expected one axis. Choose it with --axis."
        )
    return [spot for spot in spots if spot[1].axis == (axes[0] if asked is None else asked)]


def _at_times(spots: list[Spot], volume: Volume, settings: BatchSettings) -> list[tuple[Where, list[Spot]]]:
    axis = spots[0][1].axis
    if not volume.has_time:
        return [(Where(axis), spots)]
    known = sorted({place.time for _, place, _ in spots if place.time is not None})
    _require_below(known, volume.n_times, "time point", volume)
    if not known:
        # given on one time point that was saved alone
        if not isinstance(settings.time, int) and volume.n_times > 1:
            raise BatchError(
                f"the prompts name no time point, and '{volume.name}' has {volume.n_times}; expected one. Choose it "
                "with --time."
            )
        time = settings.time if isinstance(settings.time, int) else 0
        return [(Where(axis, time), spots)]
    if settings.time is None and len(known) > 1:
        raise BatchError(
            f"there are prompts at the time points {_listed(known)}; expected one. Choose it with --time, or all with "
            "--time all; or follow the objects from time point to time point with --over-time."
        )
    times = known if not isinstance(settings.time, int) else [settings.time]
    if not {*times} <= {*known}:
        raise BatchError(
            f"there are no prompts at time point {times[0]}, but at {_listed(known)}. Choose one of those."
        )
    return [_on(Where(axis, time), spots) for time in times]


def _over_time(spots: list[Spot], volume: Volume, settings: BatchSettings) -> list[tuple[Where, list[Spot]]]:
    axis = spots[0][1].axis
    if any(place.time is None for _, place, _ in spots):
        raise BatchError(
            "the prompts name no time points, between which --over-time follows objects; expected those of the whole "
            "image. Annotate it with its time points."
        )
    known, wanted = sorted({place.index for _, place, _ in spots}), settings.at_slice
    _require_below(known, volume.n_slices(axis), "slice", volume)
    if wanted is None and len(known) > 1:
        raise BatchError(
            f"there are prompts on the slices {_listed(known)}; expected one, which is followed over time. Choose it "
            "with --at-slice."
        )
    at = known[0] if wanted is None else wanted
    if at not in known:
        raise BatchError(f"there are no prompts on slice {at}, but on {_listed(known)}. Choose one with --at-slice.")
    return [_on(Where(axis, at_slice=at), spots)]


def _on(where: Where, spots: list[Spot]) -> tuple[Where, list[Spot]]:
    return where, [spot for spot in spots if where.holds(spot[1])]


def _require_below(known: list[int], n: int, noun: str, volume: Volume) -> None:
    if known and known[-1] >= n:
        raise BatchError(
            f"there are prompts on {noun} {known[-1]}; expected 0 to {n - 1}, as '{volume.name}' has no more. Give the "
            "volume that belongs to the prompts."
        )


def _annotated(spots: Iterable[Spot], where: Where) -> dict[int, dict[int, SlicePrompts]]:
    annotated: dict[int, dict[int, SlicePrompts]] = {}
    for item, place, one in spots:
        index = place.time if where.is_over_time else place.index
        annotated.setdefault(item.label, {})[index or 0] = one
    return annotated


def _channel_shown(spots: Iterable[Spot]) -> int | None:
    """The channel that was shown while prompts were given; None for images without an axis of channels."""
    shown = sorted({place.channel for _, place, _ in spots if place.channel is not None})
    if len(shown) > 1:
        raise BatchError(
            f"there are prompts on the channels {_listed(shown)}; expected one of them to be shown all the time. Take "
            "those of the others out of the prompts file."
        )
    return shown[0] if shown else None


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
