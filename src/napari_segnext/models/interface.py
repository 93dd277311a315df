"""What a session, propagation, evaluation and the widgets need of a model, and nothing more."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from napari_segnext._types import Shape2D


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which weights a model holds; keys of caches and entries of prompts files are made of it.

    Attributes
    ----------
    name
        Name in the registry, or the stem of the file.
    sha256
        SHA-256 digest (hexadecimal) of the weights file; empty for a model that was never saved.
    licence
        SPDX expression or sentence; empty if unknown.
    """

    name: str
    sha256: str = ""
    licence: str = ""


class Prepared(Protocol):
    """Work of a model on an image alone, kept for the next prompt."""

    @property
    def n_bytes(self) -> int:
        """Its size in bytes."""
        ...


@dataclass(frozen=True, slots=True)
class ImageEmbedding:
    """What an encoder made of one image, with the sizes needed to come back to it.

    Attributes
    ----------
    levels
        Feature maps, finest first, each `(1, C, h, w)`, or `(2, C, h, w)` of a model that sees the mirror image, too.
        The published SegNext has one level. Of a model that reads depth the last one is the depth, of one channel.
    image_shape
        (rows, columns) of the image that was encoded.
    prepared
        What the model that encoded it keeps here of its work on the image alone, once it has done it, so that the next
        prompt costs less; neither saved nor compared, and gone in a copy.
    """

    levels: tuple[Tensor, ...]
    image_shape: Shape2D
    prepared: dict[str, Prepared] = field(default_factory=dict, init=False, repr=False, compare=False)

    def to(self, device: torch.device | str) -> ImageEmbedding:
        """Embedding with its tensors on another device; itself where they lie there."""
        if all(str(level.device) == str(device) for level in self.levels):
            return self
        return replace(self, levels=tuple(level.to(device) for level in self.levels))

    @property
    def n_bytes(self) -> int:
        """Size of the feature maps, and of what is prepared, in bytes."""
        n_prepared = sum(part.n_bytes for part in self.prepared.values())
        return n_prepared + sum(level.numel() * level.element_size() for level in self.levels)


@runtime_checkable
class InteractiveModel(Protocol):
    """A network that encodes an image once and answers prompts on it.

    A user's own model that has these members works everywhere in napari-segnext.
    """

    identity: ModelIdentity

    @property
    def device(self) -> torch.device:
        """Where the weights lie and the work is done."""
        ...

    def click_radius_px(self, image_shape: Shape2D) -> float:
        """Radius of the disk that a click becomes, in pixels of the image, along the axis where it is smaller."""
        ...

    def encode_image(self, image: Tensor) -> ImageEmbedding:
        """Encode an image.

        Parameters
        ----------
        image
            `(3, H, W)` float32 in [0, 1], on any device.
        """
        ...

    def predict_logits(self, embedding: ImageEmbedding, clicks: Tensor, previous_masks: Tensor) -> Tensor:
        """Answer `B` sets of prompts on one image.

        Parameters
        ----------
        embedding
            From `encode_image` of the same model.
        clicks
            `(B, n, 3)` float32 in pixels of the image: row, column, sign (1 positive, -1 negative, 0 padding).
            `n` may be 0.
        previous_masks
            `(B, H, W)` float32 in [0, 1]: the last probabilities, or a mask; zeros if there are none.

        Returns
        -------
        Tensor
            `(B, H, W)` float32 logits at the size of the image, on the model's device; the object is where
            they are above 0.
        """
        ...


@runtime_checkable
class MirroringModel(InteractiveModel, Protocol):
    """An `InteractiveModel` that can also see the mirror image, and then answers with the mean of both.

    Sessions that zoom ask for one of both at a time.
    """

    @property
    def sees_mirrored(self) -> bool:
        """Whether `encode_image` encodes both."""
        ...

    def encode_one_way(self, image: Tensor) -> ImageEmbedding:
        """Encode an image `(3, H, W)` as it is, never its mirror image."""
        ...


@runtime_checkable
class DepthAwareModel(InteractiveModel, Protocol):
    """An `InteractiveModel` whose answers depend on how near things are: OIS."""

    def depth_map(self, embedding: ImageEmbedding) -> Tensor:
        """The depth of an embedding, `(h, w)` float in [0, 1] over the whole image."""
        ...

    def with_depth(self, embedding: ImageEmbedding, depth: Tensor) -> ImageEmbedding:
        """The embedding with another depth.

        Parameters
        ----------
        embedding
            From `encode_image`.
        depth
            `(H, W)` float in [0, 1] over the image, at any size.
        """
        ...

    def order_map(self, embedding: ImageEmbedding, clicks: Tensor) -> Tensor:
        """How far from the clicks each place lies in depth, `(h, w)` float in [0, 1].

        Parameters
        ----------
        embedding
            From `encode_image`.
        clicks
            `(n, 3)` float32 in pixels of the image: row, column, sign.
        """
        ...
