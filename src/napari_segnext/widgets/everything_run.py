"""One run of the dock widget "SegNext everything": what was read from its pickers, and the work in between."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any

from napari_segnext.annotator import AnnotatorError
from napari_segnext.annotator.answers import require_readable, will_zoom
from napari_segnext.annotator.coordinates import finest_level, image_plane
from napari_segnext.annotator.everything_layers import boxes_on_slice, clicks_on_slice, require_paintable
from napari_segnext.everything.settings import is_large

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.layers import Labels, Points, Shapes

    from napari_segnext.annotator import ShownSlice, SliceFrame
    from napari_segnext.everything import EverythingProgress, EverythingResult, EverythingSettings, TiledProgress
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.prompts import Box, Click
    from napari_segnext.session.cpu_fallback import CpuFallback

    Progress = EverythingProgress | TiledProgress
    Steps = Iterator[Progress]

_SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True, eq=False)
class EverythingRun:
    """What Start read from the pickers.

    Attributes
    ----------
    model_key
        (name or path, device).
    image, shown
        The image layer and the slice of it.
    output
        The labels layer that the objects go into; None for a new one.
    settings, clicks, boxes, zoom
        As of `iterate_everything`.
    is_stopped
        Set once the work is not wanted any more.
    """

    model_key: tuple[str, str]
    image: Any
    shown: ShownSlice
    output: Labels | None
    settings: EverythingSettings
    clicks: list[Click] | None
    boxes: list[Box] | None
    zoom: bool | None
    is_stopped: Event = field(default_factory=Event)

    def prepared(self, model: CpuFallback) -> tuple[CpuFallback, Steps]:
        """The model and the work, not begun yet."""
        return model, self.steps(model)

    def steps(self, model: InteractiveModel) -> Steps:
        """The work, not begun yet; a large slice is read tile by tile, any other one now."""
        from napari_segnext.everything import iterate_everything, iterate_everything_tiled
        from napari_segnext.everything.large_image import Plane

        array = finest_level(self.image)
        options: dict[str, Any] = {
            "clicks": self.clicks,
            "boxes": self.boxes,
            "zoom": self.zoom,
            "is_wanted": lambda: not self.is_stopped.is_set(),
        }
        if is_large(self.shown.shape):
            require_paintable(self.shown)
            return iterate_everything_tiled(model, Plane(array, self.shown.selector), self.settings, **options)
        require_readable(self.shown, is_zoomed=will_zoom(model, self.zoom))
        return iterate_everything(model, image_plane(array, self.shown), self.settings, **options)


def clicks_from(points: Points | None, frame: SliceFrame) -> list[Click]:
    """The positive points of a layer on a slice; `AnnotatorError` if there is none."""
    clicks = [] if points is None else clicks_on_slice(points, frame)
    if not clicks:
        raise AnnotatorError(f"no point lies on {frame.shown}. Add a points layer and put one point on each object.")
    return clicks


def boxes_from(shapes: Shapes | None, frame: SliceFrame) -> list[Box]:
    """The rectangles of a layer on a slice; `AnnotatorError` if there is none."""
    boxes = [] if shapes is None else boxes_on_slice(shapes, frame)
    if not boxes:
        raise AnnotatorError(
            f"no rectangle lies on {frame.shown}. Add a shapes layer and draw one rectangle around each object."
        )
    return boxes


def newest(steps: Steps) -> Progress | None:
    """The progress after a moment of work; None if there is nothing more to do."""
    end = time.monotonic() + _SECONDS_BETWEEN_LOOKS
    latest = next(steps, None)
    while latest is not None and time.monotonic() < end:
        following = next(steps, None)
        if following is None:
            break
        latest = following
    return latest


def words_of(progress: Progress) -> str:
    """How far the work is, for people."""
    from napari_segnext.everything import TiledProgress

    if not isinstance(progress, TiledProgress):
        return f"{progress.n_found} found so far."
    tile = min(progress.n_tiles_done + 1, progress.n_tiles)
    return f"Tile {tile} of {progress.n_tiles}: {progress.n_found} found so far."


def words_of_so_far(result: EverythingResult) -> str:
    """How many prompts were answered, if not all; else nothing."""
    return "" if result.is_complete else f" after {result.n_done} of {result.n_prompts} prompts"


def n_objects(n: int) -> str:
    """`"1 object"`, `"2 objects"`."""
    return f"{n} object" if n == 1 else f"{n} objects"
