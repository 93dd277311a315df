"""One image, one object, many prompts.

1. A `Session` is made with its model and image; the image is encoded once (or found in the cache).
2. Each new prompt makes a `Step`: all prompts so far and the previous answer go in, a `Prediction` comes out. With zoom
   it is made on a window about the object, encoded when it is first looked at.
3. The steps so far are a frozen tuple; taking back or repeating an edit walks a list of such tuples.
4. Changing an *earlier* prompt keeps the steps before it and replays those after it.
5. `reset` starts the next object on the same embedding; it too can be undone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_segnext._disk_cache import disk_cache_in_use
from napari_segnext.errors import ImageError
from napari_segnext.models.interface import DepthAwareModel
from napari_segnext.prompts import MaskPrompt, Prompt, Prompts
from napari_segnext.session.depth_maps import depth_in_pixels, order_in_pixels
from napari_segnext.session.embedding_cache import EmbeddingCache
from napari_segnext.session.embedding_store import EmbeddingStore
from napari_segnext.session.predict import PredictionCancelled, predict, predict_zoomed, starting_from
from napari_segnext.session.prediction import DEFAULT_THRESHOLD, Prediction
from napari_segnext.session.pyramid import ImagePyramid
from napari_segnext.session.timeline import Step, Timeline
from napari_segnext.session.views import ImageViews, clicks_in_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from napari_segnext._types import Image, Probability, Shape2D
    from napari_segnext.models.interface import ImageEmbedding, InteractiveModel
    from napari_segnext.session.preprocess import ContrastLimits
    from napari_segnext.session.views import View

_SHARED_CACHE = EmbeddingCache()


def shared_cache() -> EmbeddingCache:
    """The cache of all sessions that were given none, with the store that `use_disk_cache` asks for."""
    settings, store = disk_cache_in_use(), _SHARED_CACHE.store
    if settings is None:
        _SHARED_CACHE.store = None
    elif store is None or (store.folder, store.max_bytes) != (settings.folder, settings.max_bytes):
        _SHARED_CACHE.store = EmbeddingStore.of(settings)
    return _SHARED_CACHE


def forget_shared_embeddings() -> None:
    """Let go what the cache holds in memory that all sessions share; sessions keep what they look at."""
    _SHARED_CACHE.clear()


def _unseen(glimpse: Prediction) -> None:
    """What nobody looks at."""


class Session:
    """Interactive segmentation of one object on one image.

    Parameters
    ----------
    model
        Any `InteractiveModel`, for example from `load_model`.
    image
        `(H, W)` or `(H, W, C)` with 1 to 4 channels, any numeric dtype; see `image_to_rgb`. An `ImagePyramid` if it is
        too large to be held: it is read window by window.
    contrast_limits
        (low, high) that become black and white, or a pair for each channel. By default uint8 is taken as it is and
        other dtypes are stretched between percentiles, of a pyramid those of its coarsest level.
    threshold
        Probability above which a pixel belongs to the mask.
    zoom
        True predicts on a window about the object, at the model's resolution; False on the whole image; None as the
        model prefers, which is True for the bundled one and False for the published ones. A pyramid is always zoomed.
    looks_wider
        With zoom: whether corrections are answered on a wider window, too. They are better for it, and take up to twice
        the time.
    cache
        Where embeddings are kept; by default one cache shared by all sessions, in memory, and on disk, too, after
        `use_disk_cache`.
    depth
        `(H, W)` numbers of any unit and direction, NaN where unknown, in the place of the depth that the model sees:
        a channel of an RGB-D camera, a height or focus map. Only for models that read depth, and not with a pyramid.

    Raises
    ------
    ImageError
        If the image has a wrong shape or dtype, no pixels, or pixels that are not finite; if there is a depth of
        another shape, or with a model that reads none; if there is a pyramid without zoom or with a depth.

    Examples
    --------
    >>> session = Session(load_model("segnext-tiny"), image)  # doctest: +SKIP
    >>> session.add(Click(row=120, column=88)).mask.sum()  # doctest: +SKIP
    """

    def __init__(
        self,
        model: InteractiveModel,
        image: Image | ImagePyramid,
        *,
        contrast_limits: ContrastLimits | None = None,
        threshold: float = DEFAULT_THRESHOLD,
        zoom: bool | None = None,
        looks_wider: bool = True,
        cache: EmbeddingCache | None = None,
        depth: ArrayLike | None = None,
    ) -> None:
        if not 0 < threshold < 1:
            raise ValueError(f"threshold is {threshold}; expected a probability between 0 and 1.")
        self._model = model
        self._threshold = threshold
        self._looks_wider = looks_wider
        zooms = (isinstance(image, ImagePyramid) or prefers_zoom(model)) if zoom is None else zoom
        views = ImageViews(
            model,
            image,
            contrast_limits,
            shared_cache() if cache is None else cache,
            None if depth is None else np.asarray(depth),
        )
        self._whole = views.whole(at_full_size=not zooms) if views.can_show_whole or not zooms else None
        self._image_shape = views.image_shape
        # without zoom the pixels are not needed any more
        self._views = views if zooms else None
        self._timeline = Timeline()

    @property
    def model(self) -> InteractiveModel:
        """The model that answers."""
        return self._model

    @property
    def image_shape(self) -> Shape2D:
        """(rows, columns)."""
        return self._image_shape

    @property
    def zoom(self) -> bool:
        """Whether answers are made on a window about the object."""
        return self._views is not None

    @property
    def embedding(self) -> ImageEmbedding:
        """What the encoder made of the whole image; raises `ImageError` if no level is coarse enough for that."""
        return self._seen_whole().embedding

    @property
    def steps(self) -> tuple[Step, ...]:
        """The current steps, oldest first."""
        return self._timeline.steps

    @property
    def prompts(self) -> Prompts:
        """The current prompts, in the order in which they were given."""
        return Prompts(tuple(step.prompt for step in self.steps))

    @property
    def prediction(self) -> Prediction | None:
        """The current answer; None before the first prompt."""
        return self.steps[-1].prediction if self.steps else None

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to take back."""
        return self._timeline.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is an edit to repeat."""
        return self._timeline.can_redo

    def depth_map(self) -> NDArray[np.float32] | None:
        """`(H, W)` in [0, 1]: the depth that was given or the model sees in the whole image; None if it reads none.

        Raises `ImageError` if the image is a pyramid: the map would be as large as its finest level.
        """
        if not isinstance(self._model, DepthAwareModel):
            return None
        self._require_held()
        return depth_in_pixels(self._model, self._seen_whole(), self._image_shape)

    def order_map(self) -> NDArray[np.float32] | None:
        """How far each pixel lies from the positive prompts, in the depth of `depth_map`.

        Returns
        -------
        ndarray or None
            `(H, W)` in [0, 1], 0 at their depth; None if no prompt is positive, or the model reads no depth.

        Raises
        ------
        ImageError
            If the image is a pyramid.
        """
        if not isinstance(self._model, DepthAwareModel):
            return None
        self._require_held()
        whole = self._seen_whole()
        clicks = clicks_in_view(self._model, self.prompts, whole, self._image_shape)
        return order_in_pixels(self._model, whole, clicks, self._image_shape)

    def add(self, prompt: Prompt) -> Prediction:
        """Add a prompt and predict.

        Raises
        ------
        PromptError
            If the prompt lies wholly outside the image or does not fit it; the session is then unchanged.
        """
        steps = self._replayed(self.steps, [prompt])
        self._timeline.remember(steps)
        return steps[-1].prediction

    def set_mask(self, mask: ArrayLike) -> Prediction:
        """Give a mask to start from: `(H, W)`, nonzero inside the object. The same as adding a `MaskPrompt`."""
        return self.add(MaskPrompt(mask))

    def remove(self, prompt: Prompt) -> Prediction | None:
        """Remove a prompt, early or late, and replay those after it; None if no prompt is left.

        Raises
        ------
        PromptError
            If it is not among the prompts.
        """
        return self.update(self.prompts.removing(prompt))

    def replace(self, old: Prompt, new: Prompt) -> Prediction:
        """Change a prompt, early or late, and replay those after it.

        Raises
        ------
        PromptError
            If `old` is not among the prompts or `new` does not fit the image; the session is then unchanged.
        """
        self.update(self.prompts.replacing(old, new))
        return self.steps[-1].prediction

    def update(
        self,
        prompts: Iterable[Prompt],
        *,
        is_wanted: Callable[[], bool] = lambda: True,
        on_glimpse: Callable[[Prediction], None] = _unseen,
    ) -> Prediction | None:
        """Make the prompts these, in one edit that can be undone.

        The steps of the longest common beginning are kept; what follows is predicted anew.

        Parameters
        ----------
        prompts
            All prompts, in order.
        is_wanted
            Asked before each prediction; once it says no, `PredictionCancelled` is raised and nothing changes.
        on_glimpse
            Gets answers of some looks while the one to the last prompt is being made, with zoom only: something to show
            meanwhile, often good, and never kept.

        Returns
        -------
        Prediction or None
            The answer after the last prompt; None if there is no prompt.
        """
        wanted = tuple(prompts)
        n_kept = _common_length([step.prompt for step in self.steps], wanted)
        if n_kept == len(wanted) == len(self.steps):
            return self.prediction
        steps = self._replayed(self.steps[:n_kept], wanted[n_kept:], is_wanted, on_glimpse)
        self._timeline.remember(steps)
        return self.prediction

    def answer_from(self, prior: Probability, prompts: Iterable[Prompt] = ()) -> Prediction:
        """The answer to a probable mask and prompts together; the session stays as it is.

        Parameters
        ----------
        prior
            `(H, W)` in [0, 1], the previous mask that the model gets; above 0.5 somewhere.
        prompts
            Given at once, besides the prior.

        Raises
        ------
        PromptError
            If the prior is nowhere above 0.5, or a prompt lies wholly outside the image.
        """
        # the mask goes last: the window is laid about the object, as if it had not been looked at before
        said = Prompts((*prompts, MaskPrompt(prior > DEFAULT_THRESHOLD)))
        return self._predicted(said, starting_from(np.asarray(prior, np.float32), self._views))

    def undo(self) -> Prediction | None:
        """Take back the last edit; returns the answer before it. Does nothing if there is no edit."""
        self._timeline.undo()
        return self.prediction

    def redo(self) -> Prediction | None:
        """Repeat the edit that was taken back last. Does nothing if there is none."""
        self._timeline.redo()
        return self.prediction

    def reset(self) -> None:
        """Remove all prompts; can be undone."""
        if self.steps:
            self._timeline.remember(())

    def _replayed(
        self,
        steps: tuple[Step, ...],
        prompts: Sequence[Prompt],
        is_wanted: Callable[[], bool] = lambda: True,
        on_glimpse: Callable[[Prediction], None] = _unseen,
    ) -> tuple[Step, ...]:
        for number, prompt in enumerate(prompts, start=1):
            if not is_wanted():
                raise PredictionCancelled
            so_far = Prompts((*(step.prompt for step in steps), prompt))
            glimpse = on_glimpse if number == len(prompts) else _unseen
            prediction = self._predicted(so_far, self._previous(steps, prompt), is_wanted, glimpse)
            steps = (*steps, Step(prompt, prediction))
        return steps

    def _previous(self, steps: tuple[Step, ...], prompt: Prompt) -> Prediction | None:
        """What is fed back when `prompt` is added: its own mask, or else the last answer."""
        if isinstance(prompt, MaskPrompt):
            return starting_from(prompt.mask, self._views)
        return steps[-1].prediction if steps else None

    def _seen_whole(self) -> View:
        if self._whole is None:
            raise ImageError(
                f"an image of {self._image_shape} cannot be seen whole at the levels it has; expected a coarser one. "
                "Give the pyramid more levels."
            )
        return self._whole

    def _require_held(self) -> None:
        if self._views is not None and self._views.lattice is not None:
            raise ImageError(
                f"depth over an image of {self._image_shape} is not drawn; expected an array in memory. Make a session "
                "with a crop or a coarser level."
            )

    def _predicted(
        self,
        prompts: Prompts,
        previous: Prediction | None,
        is_wanted: Callable[[], bool] = lambda: True,
        on_glimpse: Callable[[Prediction], None] = _unseen,
    ) -> Prediction:
        if self._views is not None:
            return predict_zoomed(
                self._views,
                prompts,
                previous,
                threshold=self._threshold,
                looks_wider=self._looks_wider,
                is_wanted=is_wanted,
                on_glimpse=on_glimpse,
            )
        probability = None if previous is None else previous.probability
        return predict(self._model, self.embedding, prompts, probability, threshold=self._threshold)


def prefers_zoom(model: InteractiveModel) -> bool:
    """Whether a model's weights were trained to answer on windows, too; False for models that do not say."""
    return bool(getattr(model, "prefers_zoom", False))


def _common_length(ours: list[Prompt], theirs: tuple[Prompt, ...]) -> int:
    n_common = 0
    for one, other in zip(ours, theirs, strict=False):
        if one != other:
            break
        n_common += 1
    return n_common
