"""What a prompts file says about a volume, and whether it can be done here."""

from __future__ import annotations

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
    from collections.abc import Iterable, Sequence

    from napari_segnext._types import Mask
    from napari_segnext.batch.job import BatchJob, BatchSettings
    from napari_segnext.batch.lines import Line
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.prompts import Prompts, PromptsFile, SlicePrompts
    from napari_segnext.session import EmbeddingCache
    from napari_segnext.volumes import Volume

SAME_RATIO = 1.01
"""Up to which sizes of pixels are taken to be in the same proportion."""


def model_named(said: PromptsFile, settings: BatchSettings) -> str:
    """The model that the settings ask for, else the one that answered the prompts, else the default."""
    recorded = said.model.name if said.model is not None else ""
    return settings.model or recorded or DEFAULT_MODEL


def warnings_about(
    said: PromptsFile, job: BatchJob, lines: Sequence[Line], volume: Volume, model_sha256: str
) -> tuple[str, ...]:
    """What may make the labels differ from those that the person who annotated has seen, or expects."""
    warnings = []
    if said.model is not None and said.model.sha256 and said.model.sha256 != model_sha256:
        warnings.append(f"the prompts were answered by '{said.model.name}' with other weights; masks may differ.")
    recorded = said.image.sha256 if said.image is not None else ""
    if recorded and job.volume.is_file() and digest_of(job.volume) != recorded:
        warnings.append(f"'{job.volume.name}' is not the very file on which the prompts were given.")
    if said.image is not None and said.image.depth:
        warnings.append(
            f"the prompts were answered with the depth '{said.image.depth}'; batches read none, so masks may differ."
        )
    n_by_hand = sum(line.n_by_hand for line in lines)
    if n_by_hand:
        warnings.append(
            f"{n_by_hand} propagated slices were edited or accepted by hand; the prompts file does not hold their "
            "masks, so they are filled anew."
        )
    return (*warnings, *_spacing_warnings(lines, volume))


def objects_of(line: Line, model: InteractiveModel, cache: EmbeddingCache | None) -> tuple[ObjectToPropagate, ...]:
    """The objects of a line with what was said on it.

    Masks that were accepted are taken as they are. Where there is none, and a threshold or a clean-up was chosen, the
    mask is made as the annotator would; other prompts are left to `propagate`.
    """
    limits = line.seen.contrast_limits
    slices = Slices(model, line.volume, 0, contrast_limits=limits, zoom=line.zoom, cache=cache)
    spacing = line.volume.plane_spacing(0)
    found = []
    for label, said in line.annotated.items():
        by_slice: dict[int, Prompts | Mask] = {}
        for index, one in said.items():
            if one.mask is not None:
                by_slice[index] = one.mask.mask
            elif (one.threshold is not None or one.cleanup) and 0 <= index < slices.n:
                by_slice[index] = _mask(slices, index, one, spacing)
            else:
                by_slice[index] = one.prompts
        found.append(ObjectToPropagate(label, by_slice))
    return tuple(found)


def _spacing_warnings(lines: Iterable[Line], volume: Volume) -> tuple[str, ...]:
    """That slices are looked at in other proportions than the file tells, as the person who annotated saw them."""
    sizes = dict(zip("tzyx", (volume.time_step, *volume.spacing), strict=True))
    for line in lines:
        told = [sizes["z" if name == "t" and not volume.has_time else name] for name in line.volume.axis_names]
        ratios = [given / size for given, size in zip(line.volume.spacing, told, strict=True)]
        if max(ratios) > SAME_RATIO * min(ratios):
            given, true = (" × ".join(f"{size:g}" for size in one) for one in (line.volume.spacing, told))
            return (
                f"the prompts were given on pixels of {given}, and the volume has {true} (from slice to slice, rows, "
                "columns); objects are propagated as they were annotated.",
            )
    return ()


def _mask(slices: Slices, index: int, said: SlicePrompts, spacing: tuple[float, float]) -> Mask:
    """`(rows, columns)` bool: the model's answer, cut and cleaned up as the file says."""
    prediction = slices.session(index).update(scaled_prompts(said.prompts, slices.factors))
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
