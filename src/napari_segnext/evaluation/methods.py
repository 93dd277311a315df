"""What is evaluated: anything that opens an image and answers prompts on it. Networks answer through a `Session`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from napari_segnext.session import EmbeddingCache, Session
from napari_segnext.session.session import prefers_zoom

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_segnext._types import Image, Mask, Shape2D
    from napari_segnext.datasets.samples import LoadedImage
    from napari_segnext.models.interface import InteractiveModel
    from napari_segnext.prompts import Prompt

ORIGINAL_THRESHOLD = 0.49
"""Probability above which a pixel belongs to the mask in the original's evaluation."""

_MAX_EMBEDDINGS = 64
"""Of one image: the whole and its windows."""


class Answer(Protocol):
    """What a method says about one object."""

    @property
    def mask(self) -> Mask:
        """`(H, W)` bool."""
        ...


class ImageWork(Protocol):
    """One image under one method: objects are segmented one after another."""

    @property
    def image_shape(self) -> Shape2D:
        """(rows, columns)."""
        ...

    def add(self, prompt: Prompt) -> Answer:
        """Add a prompt to those so far and answer all of them."""
        ...

    def reset(self) -> None:
        """Forget the prompts; the next object begins."""
        ...


class Method(Protocol):
    """A way to segment with prompts: a network, or a classical peer."""

    @property
    def name(self) -> str:
        """For reports."""
        ...

    def open_image(self, image: Image) -> ImageWork:
        """Do what is needed once for an image, such as encoding it.

        Parameters
        ----------
        image
            `(H, W)` or `(H, W, C)` with 1 to 4 channels, any numeric dtype.
        """
        ...


class SessionMethod:
    """A network as its users meet it: a `Session` for each image, with an embedding cache of its own.

    Parameters
    ----------
    model
        Any `InteractiveModel`.
    zoom
        True predicts on windows about the object, whose encoding counts as part of the click that needs it; False on
        the whole image, as the original's evaluation does; None as the session chooses for this model.
    looks_wider
        As of `Session`.
    threshold
        Probability above which a pixel belongs to the mask.
    takes_true_depth
        Whether images whose depth is known are opened with it; only for models that read depth.
    """

    def __init__(
        self,
        model: InteractiveModel,
        *,
        zoom: bool | None = None,
        looks_wider: bool = True,
        threshold: float = ORIGINAL_THRESHOLD,
        takes_true_depth: bool = False,
    ) -> None:
        if not 0 < threshold < 1:
            raise ValueError(f"threshold is {threshold}; expected a probability between 0 and 1.")
        self.model = model
        self.zoom = prefers_zoom(model) if zoom is None else zoom
        self.looks_wider = looks_wider
        self.threshold = threshold
        self.takes_true_depth = takes_true_depth

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.identity.name

    def open_image(self, image: Image, depth: NDArray[np.float32] | None = None) -> Session:
        """A session with the whole image encoded anew, maybe with a depth; returns when the device is done."""
        cache = EmbeddingCache(max_entries=_MAX_EMBEDDINGS)
        session = Session(
            self.model,
            image,
            threshold=self.threshold,
            zoom=self.zoom,
            looks_wider=self.looks_wider,
            cache=cache,
            depth=depth,
        )
        if self.model.device.type == "cuda":
            torch.cuda.synchronize(self.model.device)
        return session


def open_loaded(method: Method, loaded: LoadedImage) -> ImageWork:
    """An image of a dataset opened by a method, with its depth if that is known and the method takes it."""
    if isinstance(method, SessionMethod) and method.takes_true_depth:
        return method.open_image(loaded.image, loaded.depth)
    return method.open_image(loaded.image)
