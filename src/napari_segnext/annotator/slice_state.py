"""What an annotator remembers about one slice: the draft on it, the marks of its prompts, the last answer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from napari_segnext.annotator.draft import Draft
from napari_segnext.annotator.prompts_from_layers import in_given_order
from napari_segnext.prompts import MaskPrompt, Prompts

if TYPE_CHECKING:
    from collections.abc import Collection

    from napari_segnext._types import Mask
    from napari_segnext.annotator.answers import Answer
    from napari_segnext.annotator.prompts_from_layers import LayersReading, Mark
    from napari_segnext.prompts import Prompt
    from napari_segnext.prompts.packed_mask import PackedMask
    from napari_segnext.session import Prediction

MAX_MARKS = 1000


@dataclass
class SliceState:
    """The live work on one slice.

    Attributes
    ----------
    draft
        The object that is worked on.
    marks
        What prompts looked like in the layers, also those that were taken back.
    answer
        The newest answer that was shown.
    base
        What the model made of a reopened object that it had not made, before any correction.
    """

    draft: Draft = field(default_factory=Draft)
    marks: dict[Prompt, Mark] = field(default_factory=dict)
    answer: Answer | None = None
    base: PackedMask | None = None
    _mask: tuple[Answer, Draft, Mask] | None = field(default=None, repr=False)

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """All prompts of the draft, in the order in which the user gave them."""
        return self.draft.prompts

    @property
    def is_answered(self) -> bool:
        """Whether the last answer is the one to the present prompts."""
        return self.answer is not None and self.answer.request.prompts == self.prompts

    @property
    def prediction(self) -> Prediction | None:
        """The answer to the present prompts; None if there are none, or no answer yet."""
        return self.answer.prediction if self.answer is not None and self.is_answered else None

    def mask(self, spacing: tuple[float, float]) -> Mask | None:
        """`(rows, columns)` bool: the answer to the present prompts, cut at the draft's threshold and cleaned up.

        Parameters
        ----------
        spacing
            (row, column) size of a pixel.
        """
        prediction = self.prediction
        if prediction is None or self.answer is None:
            return None
        if self._mask is None or self._mask[0] is not self.answer or self._mask[1] != self.draft:
            self._mask = (self.answer, self.draft, self._cut_and_cleaned(prediction, spacing))
        return self._mask[2]

    def _cut_and_cleaned(self, prediction: Prediction, spacing: tuple[float, float]) -> Mask:
        from napari_segnext.session.cleanup import clean_mask

        if prediction.threshold != self.draft.threshold:
            prediction = prediction.cut_at(self.draft.threshold)
        return clean_mask(prediction.mask, self.draft.cleanup, prompts=Prompts(self.prompts), spacing=spacing)

    def take_in(self, reading: LayersReading) -> Draft:
        """The draft with the prompts that the layers show now, in the order in which they were given.

        Masks live on no layer; they stay where they are.
        """
        self.marks.update((placed.prompt, placed.mark) for placed in reading.placed)
        masks = [prompt for prompt in self.prompts if isinstance(prompt, MaskPrompt)]
        return replace(self.draft, prompts=in_given_order(self.prompts, [*masks, *reading.prompts]))

    @property
    def has_many_marks(self) -> bool:
        """Whether marks should be forgotten that are not needed any more."""
        return len(self.marks) > MAX_MARKS

    def forget_marks(self, needed: Collection[Prompt]) -> None:
        """Keep the marks of these prompts and of the present ones alone."""
        kept = {*needed, *self.prompts}
        self.marks = {prompt: mark for prompt, mark in self.marks.items() if prompt in kept}
