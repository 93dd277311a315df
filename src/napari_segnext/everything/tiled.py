"""Segment everything on images of any size: tile by tile, with objects stitched across the borders.

1. `plan_tiles` cuts the image into tiles that overlap. One tile at a time is read, and `iterate_everything` works
   through it, with the contrast limits of the whole image.
2. What a tile found is kept as packed masks, beyond a budget on disk (`mask_store.py`); the pixels are let go.
3. `stitch` makes objects of the image out of the parts that the tiles found.
4. `suppress_stitched` and `paint_stitched` settle what overlaps and write the label image, core by core.

So memory depends on the size of a tile and on the objects, and not on the size of the image.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, cast

import numpy as np

from napari_segnext.everything.asked_in_tiles import AskedInTile, asked_in_tiles
from napari_segnext.everything.large_image import has_numbers, read_window, shape_of, shared_contrast_limits
from napari_segnext.everything.mask_store import MAX_HELD_BYTES, MaskStore
from napari_segnext.everything.mosaic import paint_stitched, suppress_stitched
from napari_segnext.everything.parts import Part, part_from_candidate
from napari_segnext.everything.segment import EverythingResult, iterate_everything
from napari_segnext.everything.selection import suppress
from napari_segnext.everything.settings import OVERLAP_PX, TILE_PX, EverythingSettings
from napari_segnext.everything.stitching import stitch
from napari_segnext.everything.tiles import TilePlan, plan_tiles
from napari_segnext.session import DEFAULT_THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from napari_segnext.everything.large_image import LargeImage
    from napari_segnext.everything.mosaic import WritableLabels
    from napari_segnext.everything.segment import EverythingProgress
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.session.preprocess import ContrastLimits


@dataclass(frozen=True, eq=False)
class TiledProgress:
    """How far the work is.

    Attributes
    ----------
    n_done, n_prompts
        Prompts that were answered or skipped, and prompts in all, of all tiles.
    n_tiles_done
        Tiles that are finished.
    n_found
        Candidates so far; an object is found by each tile that it reaches into.
    plan
        The tiles.
    settings
        As given.
    store
        Where the masks of the parts are.
    parts
        What each finished tile found.
    current
        The tile that is worked through, and its last step; None between tiles.
    """

    n_done: int
    n_prompts: int
    n_tiles_done: int
    n_found: int
    plan: TilePlan
    settings: EverythingSettings
    store: MaskStore = field(repr=False)
    parts: tuple[tuple[Part, ...], ...] = field(default=(), repr=False)
    current: tuple[AskedInTile, EverythingProgress] | None = field(default=None, repr=False)

    @property
    def n_tiles(self) -> int:
        """Tiles in all."""
        return len(self.plan)

    def during(self, asked: AskedInTile, step: EverythingProgress) -> TiledProgress:
        """The progress while a further tile is worked through."""
        n_done, n_found = self.n_done + step.n_done, self.n_found + step.n_found
        return replace(self, n_done=n_done, n_found=n_found, current=(asked, step))

    def after(self, asked: AskedInTile, step: EverythingProgress | None) -> TiledProgress:
        """The progress once a further tile is finished; a tile where there was nothing to ask has no step."""
        found = () if step is None else _parts(asked, step, self.store)
        return replace(
            self,
            n_done=self.n_done + asked.n_prompts,
            n_tiles_done=self.n_tiles_done + 1,
            n_found=self.n_found + (0 if step is None else step.n_found),
            parts=(*self.parts, found),
        )

    def result(self, labels: WritableLabels | None = None) -> EverythingResult:
        """Stitch what was found so far, and write the label image.

        Parameters
        ----------
        labels
            `(H, W)` integer array to write into by rectangles, all of it: a memory map, or zarr; by default a new
            int32 array in memory.

        Returns
        -------
        EverythingResult
            With these labels.

        Raises
        ------
        ValueError
            If the labels have another shape than the image, or a dtype that cannot count the objects.
        """
        store = MaskStore(self.store.max_bytes)
        unfinished = () if self.current is None else _parts(*self.current, store)
        parts = (part for parts in (*self.parts, unfinished) for part in parts)
        limits = {"max_iou": self.settings.max_iou, "max_contained_share": self.settings.max_contained_share}
        found = suppress_stitched(stitch(parts, self.plan, store=store, **limits), **limits)
        written = np.zeros(self.plan.image_shape, np.int32) if labels is None else labels
        objects = paint_stitched(found, self.plan, written, min_object_px=self.settings.min_object_px)
        return EverythingResult(cast("NDArray[np.int32]", written), objects, self.n_done, self.n_prompts)


class TiledOptions(TypedDict, total=False):
    """What `iterate_everything_tiled` can be told besides model, image and settings."""

    tile_px: int
    overlap_px: int
    clicks: Iterable[Any] | None
    boxes: Iterable[Any] | None
    zoom: bool | None
    contrast_limits: ContrastLimits | None
    threshold: float
    is_wanted: Callable[[], bool]
    max_held_bytes: int


def segment_everything_tiled(
    model: InteractiveModel,
    image: LargeImage,
    settings: EverythingSettings | None = None,
    *,
    labels: WritableLabels | None = None,
    **options: Unpack[TiledOptions],
) -> EverythingResult:
    """Segment all objects of an image of any size, tile by tile.

    Parameters
    ----------
    model
        Any `InteractiveModel`, for example from `load_model`.
    image
        `(H, W)` or `(H, W, C)` with 1 to 4 channels, any numeric dtype: a numpy, memory-mapped, zarr or dask array, or
        anything else with shape, dtype and slicing. It is read one tile at a time.
    settings
        What is asked of objects. `points_per_side` and `max_image_share` are those of a tile.
    labels
        `(H, W)` integer array that the labels are written into by rectangles, all of it, such as a zarr array; by
        default a new int32 array in memory.
    **options
        As of `iterate_everything_tiled`.

    Returns
    -------
    EverythingResult
        Label image and objects. Of an object that several tiles found, prompt and scores are those of the best part.

    Raises
    ------
    ImageError
        If the image cannot be used.
    PromptError
        If a click is negative, or a prompt lies wholly outside the image.
    ValueError
        If a setting is out of its range, or the labels do not fit.

    Examples
    --------
    >>> image = zarr.open("slide.zarr", mode="r")  # doctest: +SKIP
    >>> result = segment_everything_tiled(load_model("segnext-tiny"), image, tile_px=1024)  # doctest: +SKIP
    """
    *_, last = iterate_everything_tiled(model, image, settings, **options)
    return last.result(labels)


def iterate_everything_tiled(
    model: InteractiveModel,
    image: LargeImage,
    settings: EverythingSettings | None = None,
    *,
    tile_px: int = TILE_PX,
    overlap_px: int = OVERLAP_PX,
    clicks: Iterable[Any] | None = None,
    boxes: Iterable[Any] | None = None,
    zoom: bool | None = None,
    contrast_limits: ContrastLimits | None = None,
    threshold: float = DEFAULT_THRESHOLD,
    is_wanted: Callable[[], bool] = lambda: True,
    max_held_bytes: int = MAX_HELD_BYTES,
) -> Iterator[TiledProgress]:
    """As `segment_everything_tiled`, step by step; may be left at any step.

    Parameters
    ----------
    model, image, settings
        As of `segment_everything_tiled`.
    tile_px, overlap_px
        As of `plan_tiles`. Objects are found best if they are smaller than the overlap.
    clicks, boxes
        As of `segment_everything`, instead of the grid; each is asked in the tile in whose core it, or the middle of
        the box, lies; of an object, no more is found than that tile shows. Tiles without any are not read.
    zoom, threshold
        As of `Session`.
    contrast_limits
        As of `Session`, for all tiles; by default from a sample of the image.
    is_wanted
        Asked before each tile and each prediction; once it says no, the work ends.
    max_held_bytes
        Greatest size of packed masks in memory; further ones go to a temporary file.

    Yields
    ------
    TiledProgress
        First before any tile is read, then after each prompt. `result()` of any of them is the label image so far.
    """
    settings = EverythingSettings() if settings is None else settings
    plan = plan_tiles(shape_of(image), tile_px, overlap_px)
    asked_of_tiles = asked_in_tiles(plan, settings, clicks, boxes)
    limits = shared_contrast_limits(image, contrast_limits)

    def steps_on(asked: AskedInTile) -> Iterable[EverythingProgress]:
        pixels = read_window(image, asked.tile.outer)
        if not has_numbers(pixels):
            return ()
        return iterate_everything(
            model,
            pixels,
            settings,
            clicks=asked.clicks,
            boxes=asked.boxes,
            zoom=zoom,
            contrast_limits=limits,
            threshold=threshold,
            is_wanted=is_wanted,
        )

    store = MaskStore(max_held_bytes)
    n_prompts = sum(asked.n_prompts for asked in asked_of_tiles)
    so_far = TiledProgress(0, n_prompts, 0, 0, plan, settings, store)
    yield so_far
    for asked in asked_of_tiles:
        step = None
        if asked.n_prompts > 0 and not is_wanted():
            return
        for step in steps_on(asked) if asked.n_prompts > 0 else ():
            yield so_far.during(asked, step)
        if step is not None and step.n_done < step.n_prompts:
            return
        so_far = so_far.after(asked, step)
        yield so_far


def _parts(asked: AskedInTile, step: EverythingProgress, store: MaskStore) -> tuple[Part, ...]:
    """What a tile has found by a step, each object once."""
    settings = step.settings
    kept = suppress(step.candidates, max_iou=settings.max_iou, max_contained_share=settings.max_contained_share)
    return tuple(
        part_from_candidate(replace(one, number=asked.numbers[one.number]), asked.tile, store, asked.given(one.number))
        for one in kept
    )
