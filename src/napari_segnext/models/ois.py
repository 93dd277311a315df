"""OIS: encode image and depth once; clicks then look at the image by order and object, and the image back at them.

1. `encode_image` makes the levels that the mask decoder reads and, with a decoder of its own, the depth map.
2. The prompt map is embedded and added to the levels (dense prompts); each click is a vector besides (sparse prompts).
3. In each block the clicks look at the image: at what is near them in depth, and at their half of the previous mask.
4. The image looks back at the clicks once, nearest in depth first, and the mask decoder turns it into logits.

No cell of the image attends to another one, so a click costs as much as the image has cells, not their square.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_segnext.errors import ConfigError
from napari_segnext.models.config import HybridConfig
from napari_segnext.models.interface import ImageEmbedding, ModelIdentity
from napari_segnext.models.ois_body import HybridBody, TransformerBody
from napari_segnext.models.order_attention import LookBack, OrderBlock, SparsePrompts, object_halves
from napari_segnext.models.order_maps import compute_order_maps, compute_positive_order, scale_depth
from napari_segnext.models.prompt_map import draw_prompt_map
from napari_segnext.models.prompted_network import PromptedNetwork

if TYPE_CHECKING:
    from napari_segnext._types import Shape2D
    from napari_segnext.models.ois_config import OISConfig

MIN_SPREAD = 1e-3
"""Of a channel over the cells of an image, below which it counts as constant."""


class OIS(PromptedNetwork):
    """Order-aware interactive segmentation; an `InteractiveModel`.

    Parameters
    ----------
    config
        All sizes.
    identity
        Which weights it will hold.

    Raises
    ------
    ConfigError
        If the sizes do not fit together.

    Notes
    -----
    Where the paper is silent, what we chose: `LookBack` after the blocks; the mask decoder reads the coarsest level
    with the prompts in it, the other levels as they are (hybrids: with the prompt map added, as our SegNext has it);
    depth is scaled per image by its percentiles. No code or weights of the authors are public.

    References
    ----------
    .. [1] Wang et al., Order-aware Interactive Segmentation, ICLR 2025, arXiv:2410.12214.
    """

    config: OISConfig

    def __init__(self, config: OISConfig, identity: ModelIdentity | None = None) -> None:
        super().__init__(config)
        self.identity = identity or ModelIdentity("ois")
        if config.order.attention_width % config.order.n_heads:
            raise ConfigError(
                f"attention_width is {config.order.attention_width}; expected a multiple of the {config.order.n_heads} "
                "heads."
            )
        self.body = _body(config)
        width = config.encoder.width
        # what an ablation switches off is there all the same, so that its weights are those of the whole
        self.sparse_prompts = SparsePrompts(width)
        self.blocks = nn.ModuleList(OrderBlock(config.order, width) for _ in range(config.order.n_blocks))
        self.look_back = LookBack(config.order, width)

    def encode_image(self, image: Tensor) -> ImageEmbedding:
        """Encode an image `(3, H, W)` float32 in [0, 1], resized to `input_shape` first; depth is the last level."""
        resized = self._resized(image)
        if self.config.sees_mirrored:
            resized = torch.cat([resized, resized.flip(-1)])
        return ImageEmbedding(levels=self.encode(resized), image_shape=(image.shape[-2], image.shape[-1]))

    def encode_one_way(self, image: Tensor) -> ImageEmbedding:
        """Encode an image as it is, never its mirror image; answers on it take half the time."""
        return ImageEmbedding(self.encode(self._resized(image)), (image.shape[-2], image.shape[-1]))

    def _resized(self, image: Tensor) -> Tensor:
        """`(1, 3, *input_shape)`."""
        return F.interpolate(
            image.to(self.device)[None],
            self.input_shape((image.shape[-2], image.shape[-1])),
            mode="bilinear",
            align_corners=False,
            antialias=self.config.keeps_aspect,
        )

    def predict_logits(self, embedding: ImageEmbedding, clicks: Tensor, previous_masks: Tensor) -> Tensor:
        """Logits `(B, H, W)` at the size of the image; see `InteractiveModel.predict_logits`."""
        levels = embedding.levels
        if len(levels[0]) > 1:
            n_prompts = len(clicks)
            levels = tuple(level.repeat_interleave(n_prompts, dim=0) for level in levels)
            clicks = torch.cat([clicks, _mirrored(clicks, embedding.image_shape[1])])
            previous_masks = torch.cat([previous_masks, previous_masks.flip(-1)])
            answers = self.answer(levels, clicks, previous_masks, self.input_shape(embedding.image_shape))
            logits = (answers[:n_prompts] + answers[n_prompts:].flip(-1)) / 2
        else:
            logits = self.answer(levels, clicks, previous_masks, self.input_shape(embedding.image_shape))
        return F.interpolate(logits[:, None], embedding.image_shape, mode="bilinear", align_corners=False)[:, 0]

    # depth

    def depth_map(self, embedding: ImageEmbedding) -> Tensor:
        """The depth of an embedding, `(h, w)` float in [0, 1] over the whole image; of the decoder larger is nearer."""
        return embedding.levels[-1][0, 0]

    def with_depth(self, embedding: ImageEmbedding, depth: Tensor) -> ImageEmbedding:
        """The embedding with another depth, such as a measured one.

        Parameters
        ----------
        embedding
            From `encode_image`.
        depth
            `(H, W)` float over the image, at any size; already on one scale for the whole image (`scale_depth`), so
            that windows of an image agree.
        """
        depth = depth.to(embedding.levels[-1])[None, None]
        if len(embedding.levels[-1]) > 1:
            depth = torch.cat([depth, depth.flip(-1)])
        return replace(embedding, levels=(*embedding.levels[:-1], depth))

    def order_map(self, embedding: ImageEmbedding, clicks: Tensor) -> Tensor:
        """Order distance to the positive clicks, for a person to look at.

        Parameters
        ----------
        embedding
            From `encode_image`.
        clicks
            `(n, 3)` float32 in pixels of the image: row, column, sign.

        Returns
        -------
        Tensor
            `(h, w)` float in [0, 1] at the size of the depth map; to all clicks if none is positive, and 0 everywhere
            if there are none.
        """
        depth = embedding.levels[-1][:1].float()
        shape = (depth.shape[-2], depth.shape[-1])
        positive = clicks[clicks[:, 2] > 0]
        chosen = positive if len(positive) else clicks[clicks[:, 2] < 0]
        if not len(chosen):
            return torch.zeros_like(depth[0, 0])
        return compute_order_maps(depth, chosen[None].to(depth), embedding.image_shape, shape)[0].mean(dim=0)

    # parts, for training, too

    def encode(self, image: Tensor, depth: Tensor | None = None) -> tuple[Tensor, ...]:
        """Images at a size that patches tile → levels, finest first, then depth.

        Parameters
        ----------
        image
            `(B, 3, H, W)` float in [0, 1].
        depth
            `(B, 1, H, W)` float instead of what the decoder sees; NaN is unknown. It is scaled here.
        """
        maps = self.body.encode(self.normalise(image))
        if depth is not None:
            seen = scale_depth(depth)
        elif self.config.sees_depth:
            seen = scale_depth(self.body.depth(maps, (image.shape[-2], image.shape[-1])))
        else:
            seen = image.new_zeros((len(image), 1, *maps[0].shape[-2:]))
        return (*self.body.levels(maps), seen.to(maps[-1].dtype))

    def answer(self, levels: tuple[Tensor, ...], clicks: Tensor, previous_masks: Tensor, shape: Shape2D) -> Tensor:
        """Prompts on encoded images → logits at the size of the model's input.

        Parameters
        ----------
        levels
            Of `encode`, each of batch 1 or `B`.
        clicks
            `(B, n, 3)` in pixels of `previous_masks`.
        previous_masks
            `(B, H, W)` float in [0, 1].
        shape
            (rows, columns) of the input that was encoded.

        Returns
        -------
        Tensor
            `(B, *shape)`.
        """
        *levels_of_image, depth = levels
        coarse = levels_of_image[-1]
        prompt_levels: tuple[Tensor, ...] = ()
        if self.config.order.uses_dense:
            prompt_levels = self.body.prompt_levels(self._prompt_map(depth, clicks, previous_masks, shape))
            coarse = coarse + prompt_levels[-1]
        if self.config.order.uses_sparse:
            coarse = self._with_sparse(coarse.expand(len(clicks), -1, -1, -1), depth, clicks, previous_masks)
        logits = self.body.decode((*levels_of_image[:-1], coarse), prompt_levels[:-1], shape)
        return logits.float().expand(len(clicks), -1, -1, -1)[:, 0]

    def _prompt_map(self, depth: Tensor, clicks: Tensor, previous_masks: Tensor, shape: Shape2D) -> Tensor:
        """`(B, channels, *shape)`: previous mask and order map if they are drawn, positive and negative disks."""
        order = self.config.order
        drawn = draw_prompt_map(clicks, previous_masks, shape, radius_px=self.config.click_radius_px)
        drawn = drawn if order.sees_previous_mask else drawn[:, 1:]
        if not order.draws_order:
            return drawn
        image_shape = (previous_masks.shape[-2], previous_masks.shape[-1])
        distances = compute_positive_order(depth.float(), clicks, image_shape, shape)
        return torch.cat([drawn, distances * order.uses_order], dim=1)

    def _with_sparse(self, coarse: Tensor, depth: Tensor, clicks: Tensor, previous_masks: Tensor) -> Tensor:
        """The coarse level after clicks have looked at it and it at them, `(B, C, h, w)`."""
        grid_shape = (coarse.shape[-2], coarse.shape[-1])
        image_shape = (previous_masks.shape[-2], previous_masks.shape[-1])
        image = coarse.flatten(2).transpose(1, 2)
        # encoders differ in scale, and their cells share much: attention sees what differs, and answers in its spread
        spread = image.float().std(dim=1, keepdim=True).clamp(min=MIN_SPREAD).to(image.dtype)
        normed = (image - image.mean(dim=1, keepdim=True)) / spread
        places = self.sparse_prompts.embed_grid(grid_shape).to(image.dtype)
        order = compute_order_maps(depth.float(), clicks, image_shape, grid_shape).flatten(2)
        order = F.pad(order, (0, 0, 1, 0))
        is_visible = object_halves(previous_masks, clicks, grid_shape)

        prompts = sparse = self.sparse_prompts(clicks, image_shape).to(image.dtype)
        for block in self.blocks:
            sparse = block(sparse, prompts, normed, places, order, is_visible)
        is_used = F.pad(clicks[..., 2] != 0, (1, 0), value=True)
        image = image + spread * self.look_back(normed, places, sparse + prompts, order, is_used)
        fused: Tensor = image.transpose(1, 2).reshape(coarse.shape)
        return fused


def _body(config: OISConfig) -> HybridBody | TransformerBody:
    n_channels = config.order.n_channels
    if isinstance(config.encoder, HybridConfig):
        return HybridBody(config.encoder, n_channels, config.context_depth)
    if config.context_depth:
        raise ConfigError(
            f"context_depth is {config.context_depth}; expected 0 for a transformer, all of whose blocks have context."
        )
    if any(side % config.encoder.patch_px for side in config.input_shape):
        raise ConfigError(
            f"input of {config.input_shape} px is not a multiple of the patch of {config.encoder.patch_px} px."
        )
    return TransformerBody(config.encoder, n_channels)


def _mirrored(clicks: Tensor, n_columns: int) -> Tensor:
    return torch.stack([clicks[..., 0], n_columns - 1 - clicks[..., 1], clicks[..., 2]], dim=-1)
