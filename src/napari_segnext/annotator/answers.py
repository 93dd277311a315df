"""The model's side of an annotation: one session for each slice, kept while there is room. Runs in the worker.

Sessions are only a store of what was computed: an answer depends on image and prompts alone, so a session may be
dropped at any time and made again. torch is loaded with the first answer, not with this module.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_segnext.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from napari_segnext._types import Image, Mask
    from napari_segnext.annotator.coordinates import ShownSlice
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.prompts import Prompt
    from napari_segnext.session import Prediction, Session

MAX_SESSIONS = 8
"""Slices whose sessions are kept; each holds an image embedding and the probabilities of its steps."""

MAX_KEPT_PIXELS = 512_000_000
"""Pixels of all planes whose sessions are kept; the newest one is always kept."""

MAX_PLANE_PIXELS = 64_000_000
"""Pixels of the largest plane that is read without zoom, 8000 x 8000; beyond it, the whole plane as floating numbers
and its probabilities get out of hand."""

MAX_ZOOMED_PLANE_PIXELS = 150_000_000
"""The same with zoom, about 12,000 x 12,000: only windows become floating numbers, and the plane and masks of its size
are kept. Larger planes would keep the GUI thread busy for seconds at each answer."""


def will_zoom(model: InteractiveModel, zoom: bool | None) -> bool:
    """Whether a session of this model zooms; None is as the model prefers."""
    if zoom is not None:
        return zoom
    from napari_segnext.session.session import prefers_zoom

    return prefers_zoom(model)


def require_readable(shown: ShownSlice, *, is_zoomed: bool) -> None:
    """Refuse a plane that is too large, by its shape alone: no pixel is read.

    Raises
    ------
    ImageError
        If the plane has more than `MAX_PLANE_PIXELS` pixels, or `MAX_ZOOMED_PLANE_PIXELS` with zoom.
    """
    rows, columns = shown.shape
    limit = MAX_ZOOMED_PLANE_PIXELS if is_zoomed else MAX_PLANE_PIXELS
    if rows * columns <= limit:
        return
    can_zoom = rows * columns <= MAX_ZOOMED_PLANE_PIXELS
    first = f"Switch zoom on, which takes {MAX_ZOOMED_PLANE_PIXELS / 1e6:g} million; or crop" if can_zoom else "Crop"
    raise ImageError(
        f"{shown} has {rows} rows and {columns} columns, {rows * columns / 1e6:.1f} million pixels; expected at "
        f"most {limit / 1e6:g} million {'with' if is_zoomed else 'without'} zoom. {first} it, or work at a coarser "
        "level of a multiscale image, or on what is in view (`image_in_view`)."
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
    maps
        What is asked for besides the mask, to be looked at: "depth", "order".
    """

    number: int
    shown: ShownSlice
    prompts: tuple[Prompt, ...]
    maps: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Answer:
    """What the model said.

    Attributes
    ----------
    request
        The question.
    prediction
        Over the whole slice or a window of it; None without prompts, or if the request was given up.
    is_complete
        False if the request was given up.
    maps
        `(rows, columns)` float32 in [0, 1] for each map that was asked for; None where it says nothing.
    """

    request: Request
    prediction: Prediction | None
    is_complete: bool = True
    maps: Mapping[str, NDArray[np.float32] | None] = field(default_factory=dict)

    @property
    def mask(self) -> Mask | None:
        """`(rows, columns)` bool at the session's threshold; None where there is no prediction."""
        return None if self.prediction is None else self.prediction.mask


class Answerer:
    """Answers requests about the slices of one image, one at a time.

    Parameters
    ----------
    model
        Any `InteractiveModel`.
    read
        Gives the pixels of a slice, `(rows, columns[, C])`; called in the worker.
    zoom
        As of `Session`: True, False, or None as the model prefers.
    read_depth
        Gives the depth of a slice, `(rows, columns)`, for the one that the model sees; called in the worker.

    Attributes
    ----------
    encode_seconds
        How long the last slice that was new took to be read and encoded.
    """

    def __init__(
        self,
        model: InteractiveModel,
        read: Callable[[ShownSlice], Image],
        *,
        zoom: bool | None = None,
        read_depth: Callable[[ShownSlice], NDArray[Any]] | None = None,
    ) -> None:
        self._model = model
        self._read = read
        self._read_depth = read_depth
        self.encode_seconds = 0.0
        self._zoom = zoom
        self._sessions: OrderedDict[ShownSlice, Session] = OrderedDict()

    def knows(self, shown: ShownSlice) -> bool:
        """Whether the slice was encoded and is still kept."""
        return shown in self._sessions

    def answer(
        self,
        request: Request,
        *,
        is_wanted: Callable[[], bool],
        on_glimpse: Callable[[Prediction], None] = lambda _: None,
    ) -> Answer:
        """Encode the slice if needed, then bring its session to the prompts of the request.

        Parameters
        ----------
        request
            The question.
        is_wanted
            Asked between the steps; once it says no, the rest is not computed. What was computed is kept.
        on_glimpse
            Gets what is seen while the answer is being made; see `Session.update`.

        Raises
        ------
        ImageError
            If the slice is too large, see `require_readable`, or its pixels cannot be used.
        """
        from napari_segnext.session import PredictionCancelled

        session = self._session(request.shown)
        if not request.prompts:
            return Answer(request, None, maps=_maps(session, request.maps))
        try:
            _walk_to(session, request.prompts, is_wanted, on_glimpse)
        except PredictionCancelled:
            return Answer(request, None, is_complete=False)
        return Answer(request, session.prediction, maps=_maps(session, request.maps))

    def _session(self, shown: ShownSlice) -> Session:
        from napari_segnext.session import Session

        session = self._sessions.get(shown)
        if session is None:
            require_readable(shown, is_zoomed=will_zoom(self._model, self._zoom))
            start = time.perf_counter()
            depth = None if self._read_depth is None else self._read_depth(shown)
            session = Session(self._model, self._read(shown), zoom=self._zoom, depth=depth)
            self.encode_seconds = time.perf_counter() - start
            self._sessions[shown] = session
        self._sessions.move_to_end(shown)
        while len(self._sessions) > 1 and self._keeps_too_much():
            self._sessions.popitem(last=False)
        return session

    def _keeps_too_much(self) -> bool:
        n_pixels = sum(shown.shape[0] * shown.shape[1] for shown in self._sessions)
        return len(self._sessions) > MAX_SESSIONS or n_pixels > MAX_KEPT_PIXELS


def _maps(session: Session, wanted: frozenset[str]) -> dict[str, NDArray[np.float32] | None]:
    computed = {"depth": session.depth_map, "order": session.order_map}
    return {name: computed[name]() for name in wanted}


def _walk_to(
    session: Session,
    prompts: tuple[Prompt, ...],
    is_wanted: Callable[[], bool],
    on_glimpse: Callable[[Prediction], None],
) -> None:
    """Bring a session to these prompts with as few predictions as its timeline allows."""
    if _finds(session, prompts):
        return
    n_now = len(session.prompts)
    if session.prompts.items != prompts[:n_now]:
        session.update(prompts, is_wanted=is_wanted, on_glimpse=on_glimpse)
        return
    # prompts were only added: one edit each, so that what was computed is kept if the rest is no longer wanted
    for n_prompts in range(n_now + 1, len(prompts)):
        session.update(prompts[:n_prompts], is_wanted=is_wanted)
    session.update(prompts, is_wanted=is_wanted, on_glimpse=on_glimpse)


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
