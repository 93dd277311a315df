"""SegNext: encode the image once, then draw, embed, fuse and decode prompts (paper, Fig. 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_segnext.errors import ConfigError
from napari_segnext.models.config import HybridConfig, PlainViTConfig, SegNextConfig
from napari_segnext.models.decoder import PyramidDecoder
from napari_segnext.models.fusion import DenseFusion
from napari_segnext.models.hybrid import HybridEncoder, PyramidPromptEmbedding, SkipDecoder
from napari_segnext.models.interface import ImageEmbedding, ModelIdentity
from napari_segnext.models.light import LightDecoder, LightPromptEmbedding, NarrowedEncoder
from napari_segnext.models.precision import is_in_autocast
from napari_segnext.models.prompt_map import PatchPromptEmbedding, draw_prompt_map, embed_patches, touched_patches
from napari_segnext.models.prompted_network import PromptedNetwork
from napari_segnext.models.vit import PlainViT

if TYPE_CHECKING:
    from napari_segnext._types import Shape2D
    from napari_segnext.models.touched_fusion import FusionBase


FUSION_BASE = "fusion base"
"""Under which an embedding keeps what the first fusion block makes of the image alone."""


class SegNext(PromptedNetwork):
    """The published SegNext and our small ones; an `InteractiveModel`.

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

    References
    ----------
    .. [1] Liu, Cho, Bansal, Niethammer, Rethinking Interactive Image Segmentation with Low Latency, High Quality, and
       Diverse Prompts, CVPR 2024, arXiv:2404.00741.
    """

    config: SegNextConfig

    def __init__(self, config: SegNextConfig, identity: ModelIdentity | None = None) -> None:
        super().__init__(config)
        self.identity = identity or ModelIdentity("segnext")
        self.encoder, self.prompt_embedding, self.decoder = _parts(config)
        self.has_skips = not isinstance(config.encoder, HybridConfig) or config.encoder.uses_skips
        self.fusion = DenseFusion(config.fusion, config.encoder.fusion_width)

    def encode_image(self, image: Tensor) -> ImageEmbedding:
        """Encode an image `(3, H, W)` float32 in [0, 1], resized to `input_shape`; and its mirror image, if it is seen.

        Notes
        -----
        Normalised first and resized after, bilinearly, as the original does; antialiased only if the config keeps the
        aspect.
        """
        resized = self._resized(image)
        if self.config.sees_mirrored:
            resized = torch.cat([resized, resized.flip(-1)])
        return ImageEmbedding(levels=self.encoder(resized), image_shape=(image.shape[-2], image.shape[-1]))

    def encode_one_way(self, image: Tensor) -> ImageEmbedding:
        """Encode an image as it is, never its mirror image; answers on it take half the time."""
        return ImageEmbedding(self.encoder(self._resized(image)), (image.shape[-2], image.shape[-1]))

    def _resized(self, image: Tensor) -> Tensor:
        """Normalised, `(1, 3, *input_shape)`."""
        normalised = self.normalise(image.to(self.device))
        input_shape = self.input_shape((image.shape[-2], image.shape[-1]))
        return F.interpolate(
            normalised[None], input_shape, mode="bilinear", align_corners=False, antialias=self.config.keeps_aspect
        )

    def predict_logits(self, embedding: ImageEmbedding, clicks: Tensor, previous_masks: Tensor) -> Tensor:
        """Logits `(B, H, W)` at the size of the image; see `InteractiveModel.predict_logits`."""
        input_shape = self.input_shape(embedding.image_shape)
        prompt_map = self.draw_prompt_map(clicks, previous_masks, input_shape)
        if len(embedding.levels[0]) > 1:
            logits = self._decode_mirrored(embedding.levels, prompt_map)
        else:
            fused = self._fused_touched(embedding, prompt_map)
            logits = self.decode(embedding.levels, prompt_map) if fused is None else self.decoder((fused,))

        # up to the model input with aligned corners, then back to the image without, as the original does
        logits = F.interpolate(logits, input_shape, mode="bilinear", align_corners=True)
        return F.interpolate(logits, embedding.image_shape, mode="bilinear", align_corners=False)[:, 0]

    def encode(self, image: Tensor) -> tuple[Tensor, ...]:
        """Images `(B, 3, H, W)` float in [0, 1] at the model's input size → levels, finest first; for training."""
        return self.encoder(self.normalise(image))  # type: ignore[no-any-return]

    def answer(self, levels: tuple[Tensor, ...], clicks: Tensor, previous_masks: Tensor, shape: Shape2D) -> Tensor:
        """Prompts on encoded images → logits `(B, *shape)` at the model's input size; for training.

        Parameters
        ----------
        levels
            Of `encode`, each of batch 1 or `B`.
        clicks, previous_masks
            As of `predict_logits`.
        shape
            (rows, columns) of the input.
        """
        logits = self.decode(levels, self.draw_prompt_map(clicks, previous_masks, shape))
        return F.interpolate(logits.float(), shape, mode="bilinear", align_corners=True)[:, 0]

    def _decode_mirrored(self, levels: tuple[Tensor, ...], prompt_map: Tensor) -> Tensor:
        """The mean answer to an image and its mirror image, whose levels follow each other."""
        n_prompts = len(prompt_map)
        levels = tuple(level.repeat_interleave(n_prompts, dim=0) for level in levels)
        answers = self.decode(levels, torch.cat([prompt_map, prompt_map.flip(-1)]))
        return (answers[:n_prompts] + answers[n_prompts:].flip(-1)) / 2

    def _fused_touched(self, embedding: ImageEmbedding, prompt_map: Tensor) -> Tensor | None:
        """The fused embedding, where that is less work because prompts touch few patches; else None."""
        if not isinstance(self.prompt_embedding, PatchPromptEmbedding) or not self.fusion.blocks:
            return None
        if torch.is_grad_enabled() or is_in_autocast(prompt_map.device.type):
            return None
        projection = self.prompt_embedding.proj
        found = touched_patches(prompt_map, projection.kernel_size[0])
        if found is None:
            return None
        (level,) = embedding.levels
        if FUSION_BASE not in embedding.prepared:
            embedding.prepared[FUSION_BASE] = self.fusion.base_of(level, projection.bias)
        base = cast("FusionBase", embedding.prepared[FUSION_BASE])
        touched, is_touched = found
        tokens = base.tokens[touched] + embed_patches(prompt_map, touched, projection.weight)
        return self.fusion.fuse_touched(base, touched, is_touched, tokens, (level.shape[-2], level.shape[-1]))

    def draw_prompt_map(self, clicks: Tensor, previous_masks: Tensor, shape: Shape2D) -> Tensor:
        """The prompt map `(B, 3, rows, columns)` with this model's disks; see `draw_prompt_map`."""
        return draw_prompt_map(
            clicks,
            previous_masks,
            shape,
            radius_px=self.config.click_radius_px,
            uses_disks=self.config.uses_disks,
        )

    def decode(self, levels: tuple[Tensor, ...], prompt_map: Tensor) -> Tensor:
        """Image embedding and prompt map → logits `(B, 1, h, w)` at the decoder's own size.

        Parameters
        ----------
        levels
            Image embedding, finest first, each of batch 1 or `B`.
        prompt_map
            `(B, 3, H, W)`.
        """
        *fine_image, coarse_image = levels
        *fine_prompt, coarse_prompt = self.prompt_embedding(prompt_map)
        if self.has_skips:
            fine_prompt = [image + prompt for image, prompt in zip(fine_image, fine_prompt, strict=True)]
        return self.decoder((*fine_prompt, self.fusion(coarse_image, coarse_prompt)))  # type: ignore[no-any-return]


def is_light(config: SegNextConfig) -> bool:
    """Whether prompts are fused and decoded in fewer channels than the image is seen in."""
    return isinstance(config.encoder, HybridConfig) and config.encoder.answer_widths is not None


def _parts(config: SegNextConfig) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Encoder, prompt embedding and decoder that belong together."""
    match config.encoder:
        case PlainViTConfig() as vit:
            if config.keeps_aspect:
                raise ConfigError(
                    "keeps_aspect is true; expected false for a plain ViT, whose grid is fixed. Remove it."
                )
            return (
                PlainViT(vit, config.input_shape),
                PatchPromptEmbedding(vit.patch_px, vit.width),
                PyramidDecoder(config.decoder, vit.width),
            )
        case HybridConfig(answer_widths=(_, _, _) as widths) as hybrid:
            if hybrid.uses_fine_skip or not hybrid.uses_skips:
                raise ConfigError(
                    f"answer_widths is {list(widths)}, with uses_skips {hybrid.uses_skips} and uses_fine_skip "
                    f"{hybrid.uses_fine_skip}; expected true and false. Leave these two out."
                )
            return NarrowedEncoder(hybrid, widths), LightPromptEmbedding(widths), LightDecoder(widths)
        case HybridConfig() as hybrid:
            return HybridEncoder(hybrid), PyramidPromptEmbedding(hybrid), SkipDecoder(hybrid)
