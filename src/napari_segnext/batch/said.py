"""What a prompts file says about a volume, and whether it can be done here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segnext.batch.resources import digest_of
from napari_segnext.errors import BatchError
from napari_segnext.propagation import ObjectToPropagate
from napari_segnext.propagation.annotated import scaled_prompts
from napari_segnext.propagation.slices import Slices
from napari_segnext.session import DEFAULT_THRESHOLD
from napari_segnext.session.cleanup import Cleanup, clean_mask
from napari_segnext.weights import DEFAULT_MODEL

if TYPE_CHECKING:
    from napari_segnext._types import Mask
    from napari_segnext.batch.job import BatchJob, BatchSettings
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.prompts import AnnotatedObject, Prompts, PromptsFile, SlicePrompts
    from napari_segnext.session import EmbeddingCache
    from napari_segnext.volumes import Volume


@dataclass(frozen=True, slots=True)
class HowToLook:
    """How the model looks at the slices, as the settings ask and else as the prompts file says.

    Attributes
    ----------
    axis
        Along which slices follow each other.
    zoom, contrast_limits
        As of `Session`.
    """

    axis: int
    zoom: bool | None
    contrast_limits: tuple[float, float] | None


def how_to_look(said: PromptsFile, settings: BatchSettings) -> HowToLook:
    """Settings completed by the prompts file.

    Raises
    ------
    BatchError
        If the file was made in a way that one volume alone does not allow to repeat.
    """
    zoom = said.zoom if settings.zoom is None else settings.zoom
    return HowToLook(_axis(said, settings.axis), zoom, _contrast_limits(said, settings.contrast_limits))


def model_named(said: PromptsFile, settings: BatchSettings) -> str:
    """The model that the settings ask for, else the one that answered the prompts, else the default."""
    recorded = said.model.name if said.model is not None else ""
    return settings.model or recorded or DEFAULT_MODEL


def warnings_about(said: PromptsFile, job: BatchJob, model_sha256: str) -> tuple[str, ...]:
    """What may make the labels differ from those that the person who annotated has seen."""
    warnings = []
    if said.model is not None and said.model.sha256 and said.model.sha256 != model_sha256:
        warnings.append(f"the prompts were answered by '{said.model.name}' with other weights; masks may differ.")
    recorded = said.image.sha256 if said.image is not None else ""
    if recorded and job.volume.is_file() and digest_of(job.volume) != recorded:
        warnings.append(f"'{job.volume.name}' is not the very file on which the prompts were given.")
    n_by_hand = sum(1 for item in said.objects for one in item.propagated if one.mark)
    if n_by_hand:
        warnings.append(
            f"{n_by_hand} propagated slices were edited or accepted by hand; the prompts file does not hold their "
            "masks, so they are filled anew."
        )
    return tuple(warnings)


def require_belonging(said: PromptsFile, volume: Volume, path: str) -> None:
    """Refuse a volume with time, and one of another size than the prompts were given on.

    Raises
    ------
    BatchError
        In these cases.
    """
    if volume.has_time:
        raise BatchError(f"'{path}' has {volume.n_times} time points; expected one. Save the one that is meant.")
    shape = said.image.shape if said.image is not None else ()
    if len(shape) >= len(volume.shape_zyx) and tuple(shape[:3]) != volume.shape_zyx:
        name = said.image.name if said.image is not None else ""
        raise BatchError(
            f"'{path}' has shape {volume.shape_zyx}, but the prompts were given on '{name}' of shape {tuple(shape)}. "
            "Give the volume that belongs to the prompts."
        )


def objects_of(
    said: PromptsFile, model: InteractiveModel, volume: Volume, how: HowToLook, cache: EmbeddingCache | None
) -> tuple[ObjectToPropagate, ...]:
    """The objects of a prompts file with what was said along the axis.

    Masks that were accepted are taken as they are. Where there is none, and a threshold or a clean-up was chosen, the
    mask is made as the annotator would; other prompts are left to `propagate`.
    """
    slices = Slices(model, volume, how.axis, contrast_limits=how.contrast_limits, zoom=how.zoom, cache=cache)
    spacing = volume.plane_spacing(how.axis)
    found = []
    for item in said.objects:
        by_slice: dict[int, Prompts | Mask] = {}
        for one in _along(item, how.axis):
            if one.mask is not None:
                by_slice[one.index] = one.mask.mask
            elif (one.threshold is not None or one.cleanup) and 0 <= one.index < slices.n:
                by_slice[one.index] = _mask(slices, one, spacing)
            elif one.prompts:
                by_slice[one.index] = one.prompts
        if by_slice:
            found.append(ObjectToPropagate(item.label, by_slice))
    return tuple(found)


def _along(item: AnnotatedObject, axis: int) -> list[SlicePrompts]:
    """Annotated slices of a volume, not of one with further axes."""
    return [one for one in item.slices if one.axis == axis and not one.others]


def _axis(said: PromptsFile, asked: int | None) -> int:
    slices = [one for item in said.objects for one in item.slices]
    axes = sorted({one.axis for one in slices if not one.others and (one.prompts or one.mask is not None)})
    if any(one.others for one in slices) and not axes:
        raise BatchError(
            "the prompts were given on slices of more than three axes, such as time; expected those of one volume. "
            "Save the time point that is meant, and annotate that."
        )
    if not axes or (asked is not None and asked not in axes):
        along = "" if asked is None else f" along axis {asked}"
        there = f"; there are some along axis {', '.join(map(str, axes))}" if axes else ""
        raise BatchError(f"no object has prompts or a mask on a slice{along}{there}. Annotate one slice at least.")
    if asked is None and len(axes) > 1:
        raise BatchError(
            f"there are annotated slices along the axes {', '.join(map(str, axes))}; expected one axis. Choose it with "
            "--axis."
        )
    return axes[0] if asked is None else asked


def _contrast_limits(said: PromptsFile, asked: tuple[float, float] | None) -> tuple[float, float] | None:
    """Limits as asked, else those of the one channel that the file names."""
    channels = said.image.channels if said.image is not None else ()
    if not channels or said.image is None:
        return asked
    if asked is not None:
        raise BatchError("the prompts file names channels with limits of their own; leave out --contrast-limits.")
    only = channels[0]
    if len(channels) > 1 or only.name != said.image.name or only.axis is not None or only.gamma != 1:
        names = ", ".join(f"'{one.name}'" for one in channels)
        raise BatchError(
            f"the prompts were given on channels of the model's input ({names}) that are chosen or changed in the "
            "annotator; expected one volume as it is, with contrast limits at most. Save what the model saw as a "
            "volume and annotate that, or propagate in the window."
        )
    return only.contrast_limits


def _mask(slices: Slices, said: SlicePrompts, spacing: tuple[float, float]) -> Mask:
    """`(rows, columns)` bool: the model's answer, cut and cleaned up as the file says."""
    prediction = slices.session(said.index).update(scaled_prompts(said.prompts, slices.factors))
    if prediction is None:
        return np.zeros(slices.shape, bool)
    probability = slices.to_volume(np.asarray(prediction.probability))
    mask = probability > (DEFAULT_THRESHOLD if said.threshold is None else said.threshold)
    if not said.cleanup:
        return np.asarray(mask)
    settings: dict[str, Any] = dict(said.cleanup)
    try:
        cleanup = Cleanup(**settings)
    except (TypeError, ValueError) as error:
        raise BatchError(f"the prompts file has a clean-up that cannot be done: {error} Correct it there.") from error
    return clean_mask(mask, cleanup, prompts=said.prompts, spacing=spacing)
