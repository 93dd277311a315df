"""From what the user asks for to a `Job`: which objects, which slices, and what is known of them. Refuses in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segnext.annotator.answers import require_readable, will_zoom
from napari_segnext.annotator.errors import LockedLabelError, NoSuchObjectError, NotAVolumeError
from napari_segnext.annotator.layers import require_writable
from napari_segnext.annotator.propagation_plan import KnownObject
from napari_segnext.annotator.propagation_work import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_segnext.annotator.depth import DepthSource
    from napari_segnext.annotator.layers import AnnotationLayers
    from napari_segnext.annotator.model_input import ModelInput
    from napari_segnext.annotator.objects import ObjectRecords
    from napari_segnext.annotator.review import Review
    from napari_segnext.annotator.slice_line import SliceLine
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.propagation import StopRules
    from napari_segnext.propagation.propagate import Direction


def job_of(
    line: SliceLine,
    labels: Iterable[int] | None,
    *,
    slices: tuple[int, int] | None,
    direction: Direction,
    rules: StopRules | None,
    zoom: bool | None,
    records: ObjectRecords,
    review: Review,
    layers: AnnotationLayers,
    model: InteractiveModel,
    model_input: ModelInput,
    depth: DepthSource,
    is_user_waiting: Callable[[], bool],
    n_images: int,
) -> Job:
    """What is to be done.

    Parameters
    ----------
    line
        Along which slices.
    labels
        Objects; by default all that are annotated on the line and not locked.
    slices
        (first, stop) of the slices that may be written; all by default.
    direction, rules, zoom
        As of `propagate`.
    records, review, layers, model, model_input, depth
        Of the annotation.
    is_user_waiting, n_images
        See `Job`.

    Raises
    ------
    LockedLabelError
        If an object that is named is locked.
    NoSuchObjectError
        If no object is named, and none is annotated.
    NotAVolumeError
        If the range makes no sense.
    ImageError, ReadOnlyLayerError
        If slices are too large, or cannot be written.
    """
    from napari_segnext.propagation import StopRules

    require_readable(line.first, is_zoomed=will_zoom(model, zoom))
    require_writable(layers.output)
    wanted = range(line.n) if slices is None else range(*slices)
    if not 0 <= wanted.start < wanted.stop <= line.n:
        raise NotAVolumeError(
            f"slices are {wanted.start} to {wanted.stop - 1}; expected a range within 0 to {line.n - 1}, the first one "
            "not above the last."
        )
    objects = _known(line, labels, records, review)
    if not objects:
        raise NoSuchObjectError(
            "no unlocked object is annotated on these slices. Click on one, accept it, here and perhaps on a slice "
            "further on, then propagate."
        )
    return Job(
        line=line,
        wanted=wanted,
        direction=direction,
        rules=StopRules() if rules is None else rules,
        zoom=zoom,
        objects=objects,
        model=model,
        model_input=model_input,
        depth=depth.planes(line),
        depth_settings=depth.settings,
        scale=tuple(float(size) for size in layers.image.scale),
        labels=layers.output.data,
        is_user_waiting=is_user_waiting,
        n_images=n_images,
    )


def labels_on(line: SliceLine, records: ObjectRecords, review: Review) -> tuple[int, ...]:
    """Objects that are annotated or propagated on a line, in ascending order."""
    annotated = {one.label for one in records if any(line.index_of(shown) is not None for shown in one.slices)}
    noted = {label for label in review.labels if any(line.index_of(shown) is not None for shown in review.of(label))}
    return tuple(sorted(annotated | noted))


def _known(
    line: SliceLine, labels: Iterable[int] | None, records: ObjectRecords, review: Review
) -> tuple[KnownObject, ...]:
    if labels is None:
        chosen = [label for label in labels_on(line, records, review) if label not in records.locked]
    else:
        chosen = sorted(set(labels))
        locked = [label for label in chosen if label in records.locked]
        if locked:
            raise LockedLabelError(f"object {', '.join(str(label) for label in locked)} is locked; unlock it first.")
    known = []
    for label in chosen:
        annotated = {line.index_of(shown) for shown in records.get(label).slices} - {None}
        places = ((line.index_of(shown), one) for shown, one in review.of(label).items())
        noted = {index: one for index, one in places if index is not None}
        known.append(KnownObject(label, frozenset(index for index in annotated if index is not None), noted))
    return tuple(known)
