"""The object that is worked on, on one slice, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_segnext.prompts import Prompt
    from napari_segnext.session.cleanup import Cleanup


def _no_cleanup() -> Cleanup:
    # with the session comes torch, which this module does without until it is needed
    from napari_segnext.session.cleanup import Cleanup

    return Cleanup()


def _default_threshold() -> float:
    from napari_segnext.session import DEFAULT_THRESHOLD

    return DEFAULT_THRESHOLD


@dataclass(frozen=True)
class Draft:
    """What the user has said so far, and how the answer becomes a mask.

    Attributes
    ----------
    prompts
        In the order in which the user gave them.
    label
        The accepted object that is changed; None for a new one.
    threshold
        Probability above which a pixel belongs to the mask, between 0 and 1.
    cleanup
        What is done to the mask after that.
    """

    prompts: tuple[Prompt, ...] = ()
    label: int | None = None
    threshold: float = field(default_factory=_default_threshold)
    cleanup: Cleanup = field(default_factory=_no_cleanup)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is worked on."""
        return not self.prompts and self.label is None

    def next(self) -> Draft:
        """The draft of the next object: nothing said yet, the same threshold and clean-up."""
        return Draft(threshold=self.threshold, cleanup=self.cleanup)
