"""The model's side of an annotation: one session for each slice, kept while there is room. Runs in the worker.

Sessions are only a store of what was computed: an answer depends on image and prompts alone, so a session may be
dropped at any time and made again. torch is loaded with the first answer, not with this module.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_segnext.annotator.coordinates import image_plane
from napari_segnext.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_segnext._types import Mask
    from napari_segnext.annotator.coordinates import ShownSlice
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.prompts import Prompt
    from napari_segnext.session import Session

MAX_SESSIONS = 8
"""Slices whose sessions are kept; each holds an image embedding and the probabilities of its steps."""

MAX_PLANE_PIXELS = 64_000_000
"""Pixels of the largest plane that is read, 8000 x 8000; beyond it, memory and waiting get out of hand."""


def require_readable(shown: ShownSlice) -> None:
    """Refuse a plane that is too large, by its shape alone: no pixel is read.

    Raises
    ------
    ImageError
        If the plane has more than `MAX_PLANE_PIXELS` pixels.
    """
    rows, columns = shown.shape
    if rows * columns > MAX_PLANE_PIXELS:
        raise ImageError(
            f"{shown} has {rows} rows and {columns} columns, {rows * columns / 1e6:.1f} million pixels; expected at "
            f"most {MAX_PLANE_PIXELS / 1e6:g} million (of a multiscale image, the finest level counts). Crop it, or "
            "add a coarser version of it as an image of its own, and annotate that."
        )


@dataclass(frozen=True)
class Request:
    """A question to the model.

    Attributes
    ----------
    number
        Rises with every request of an annotator; only the answer to the newest counts.
    shown
        The slice.
    prompts
        All prompts on it, in order; may be empty, then only the slice is encoded.
    """

    number: int
    shown: ShownSlice
    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, eq=False)
class Answer:
    """What the model said.

    Attributes
    ----------
    request
        The question.
    mask
        `(rows, columns)` bool; None without prompts, or if the request was given up.
    is_complete
        False if the request was given up.
    """

    request: Request
    mask: Mask | None
    is_complete: bool = True


class Answerer:
    """Answers requests about the slices of one image, one at a time.

    Parameters
    ----------
    model
        Any `InteractiveModel`.
    array
        The image's array, without multiscale levels; lazy arrays are computed slice by slice.
    """

    def __init__(self, model: InteractiveModel, array: Any) -> None:
        self._model = model
        self._array = array
        self._sessions: OrderedDict[ShownSlice, Session] = OrderedDict()

    def knows(self, shown: ShownSlice) -> bool:
        """Whether the slice was encoded and is still kept."""
        return shown in self._sessions

    def answer(self, request: Request, *, is_wanted: Callable[[], bool]) -> Answer:
        """Encode the slice if needed, then bring its session to the prompts of the request.

        Parameters
        ----------
        request
            The question.
        is_wanted
            Asked between the steps; once it says no, the rest is not computed. What was computed is kept.

        Raises
        ------
        ImageError
            If the slice is too large, see `require_readable`, or its pixels cannot be used.
        """
        from napari_segnext.session import PredictionCancelled

        session = self._session(request.shown)
        if not request.prompts:
            return Answer(request, None)
        try:
            _walk_to(session, request.prompts, is_wanted)
        except PredictionCancelled:
            return Answer(request, None, is_complete=False)
        prediction = session.prediction
        return Answer(request, prediction.mask if prediction is not None else None)

    def _session(self, shown: ShownSlice) -> Session:
        from napari_segnext.session import Session

        session = self._sessions.get(shown)
        if session is None:
            require_readable(shown)
            session = Session(self._model, image_plane(self._array, shown))
            self._sessions[shown] = session
        self._sessions.move_to_end(shown)
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return session


def _walk_to(session: Session, prompts: tuple[Prompt, ...], is_wanted: Callable[[], bool]) -> None:
    """Bring a session to these prompts with as few predictions as its timeline allows."""
    if _finds(session, prompts):
        return
    n_now = len(session.prompts)
    if session.prompts.items != prompts[:n_now]:
        session.update(prompts, is_wanted=is_wanted)
        return
    # prompts were only added: one edit each, so that what was computed is kept if the rest is no longer wanted
    for n_prompts in range(n_now + 1, len(prompts) + 1):
        session.update(prompts[:n_prompts], is_wanted=is_wanted)


def _finds(session: Session, prompts: tuple[Prompt, ...]) -> bool:
    """Whether the session is at these prompts, or one step back or ahead in its timeline, where it is then left."""
    if session.prompts.items == prompts:
        return True
    for go, can_go, go_back in (
        (session.undo, session.can_undo, session.redo),
        (session.redo, session.can_redo, session.undo),
    ):
        if can_go:
            go()
            if session.prompts.items == prompts:
                return True
            go_back()
    return False
