"""All slices of a volume encoded ahead, so that annotating and propagating need not wait for the encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_segnext.errors import PropagationError
from napari_segnext.propagation.slices import Slices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from numpy.typing import NDArray

    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.session.embedding_cache import EmbeddingCache
    from napari_segnext.session.preprocess import ContrastLimits
    from napari_segnext.volumes import Volume


@dataclass(frozen=True, slots=True)
class EmbeddedSlice:
    """A slice whose embedding the cache holds.

    Attributes
    ----------
    index
        The slice.
    was_there
        Whether the cache had it before.
    n_done, n_slices
        Slices done so far, this one included, and slices in all.
    """

    index: int
    was_there: bool
    n_done: int
    n_slices: int


def embed_volume(
    model: InteractiveModel,
    volume: Volume | NDArray[Any],
    *,
    axis: int = 0,
    slices: tuple[int, int] | None = None,
    contrast_limits: ContrastLimits | None = None,
    zoom: bool | None = None,
    cache: EmbeddingCache | None = None,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Iterator[EmbeddedSlice]:
    """Encode the slices of a volume as `propagate` and `Session` see them, but those that the cache holds already.

    Started again after a cancel, a kill or a crash, it goes on where it ended. What is kept on disk is not kept in
    memory, so that it can run beside work on the same cache.

    Parameters
    ----------
    model
        Any `InteractiveModel`; only one with the SHA-256 of its weights has embeddings on disk.
    volume
        A `Volume` of one time point, or an array `(Z, Y, X)` or `(Z, Y, X, C)` of cubic voxels; read slice by slice.
    axis
        0, 1 or 2.
    slices
        (first, stop); all by default.
    contrast_limits, zoom
        As of `Session`, to which they must be given alike for it to find the embeddings. With zoom this is the look at
        the whole slice; windows are encoded when they are looked at.
    cache
        Where embeddings are kept; by default the one that all sessions share. Without a store they are kept in its
        memory, as far as they find room there.
    is_wanted
        Asked before each slice; once it says no, nothing more comes.

    Yields
    ------
    EmbeddedSlice
        After each slice, in rising order.

    Raises
    ------
    PropagationError
        If the volume has several time points, or the range makes no sense.
    VolumeError, ImageError
        If there is no such axis, or a slice cannot be read or used.
    """
    from napari_segnext.volumes import Volume

    if not isinstance(volume, Volume):
        volume = Volume(volume)
    if volume.has_time:
        raise PropagationError(
            f"the volume has {volume.n_times} time points; expected one. Give volume.at_time(t), or one slice over "
            "time."
        )
    opened = Slices(model, volume, axis, contrast_limits=contrast_limits, zoom=zoom, cache=cache)
    first, stop = (0, opened.n) if slices is None else slices
    if not 0 <= first < stop <= opened.n:
        raise PropagationError(
            f"slices are {first}:{stop}; expected a range within 0:{opened.n}, its end not included."
        )
    return _embedded(opened, range(first, stop), is_wanted)


def _embedded(slices: Slices, wanted: range, is_wanted: Callable[[], bool]) -> Iterator[EmbeddedSlice]:
    for n_done, index in enumerate(wanted, start=1):
        if not is_wanted():
            return
        yield EmbeddedSlice(index, slices.ensure_embedding(index), n_done, len(wanted))
