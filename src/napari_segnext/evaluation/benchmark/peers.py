"""Peers with random weights, on which time does not depend: SAM ViT-B, HQ-SAM ViT-B and MobileSAM.

SAM and HQ-SAM are those of `transformers`. MobileSAM is put together as its paper says: `timm`'s TinyViT (5 M), whose
last stage keeps the resolution, SAM's neck, and SAM's decoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_segnext.evaluation.benchmark.contenders import Contender, Prompting

INPUT_PX = 1024
"""Side of the image that SAM sees."""

LOW_RESOLUTION_PX = 256
"""Side of the mask that SAM reads and writes."""


class PeerMissingError(ImportError):
    """A package that a peer comes from is not installed."""


def peer(name: str, device: torch.device | str = "cpu") -> Contender:
    """A peer by name; see `PEERS`.

    Raises
    ------
    ValueError
        If there is no such peer.
    PeerMissingError
        If `transformers` is not installed.
    """
    if name not in PEERS:
        raise ValueError(f"there is no peer '{name}'; expected one of {', '.join(PEERS)}.")
    try:
        network = PEERS[name]()
    except ImportError as error:
        raise PeerMissingError(
            f"the peer '{name}' needs the package transformers, which cannot be imported ({error}); install it with "
            "`pip install transformers`, or leave the peer out."
        ) from error
    return SamContender(name, network.to(device).eval().requires_grad_(False), is_hq=name.startswith("hq"))


class SamContender:
    """A SAM of `transformers`: image → embedding; point, label and last low-resolution logits → mask.

    Parameters
    ----------
    name
        In tables.
    network
        `SamModel` or `SamHQModel`.
    is_hq
        Whether it is HQ-SAM, whose decoder reads early features of the encoder, too.
    """

    def __init__(self, name: str, network: Any, *, is_hq: bool) -> None:
        self.name, self._network, self._is_hq = name, network, is_hq

    @property
    def device(self) -> torch.device:
        """Where it works."""
        return torch.device(self._network.device)

    def encode(self, image: Tensor) -> Any:
        """Encode `(3, H, W)`: the longer side becomes 1024, the rest is padded."""
        scale = INPUT_PX / max(image.shape[-2:])
        rows, columns = (round(n * scale) for n in image.shape[-2:])
        resized = F.interpolate(image.to(self.device)[None], (rows, columns), mode="bilinear", align_corners=False)
        pixels = F.pad(resized - 0.45, (0, INPUT_PX - columns, 0, INPUT_PX - rows)) / 0.225
        return self._network.get_image_embeddings(pixels)

    def answer(self, encoded: Any, prompting: Prompting) -> Tensor:
        """Logits `(B, H, W)`."""
        scale = INPUT_PX / max(prompting.image_shape)
        points = (prompting.clicks[..., [1, 0]] + 0.5) * scale
        inputs: dict[str, Any] = {
            "input_points": points[:, None],
            "input_labels": (prompting.clicks[..., 2] > 0).long()[:, None],
            "multimask_output": False,
        }
        if prompting.previous_masks is not None:
            inputs["input_masks"] = F.interpolate(
                prompting.previous_masks[:, None], (LOW_RESOLUTION_PX, LOW_RESOLUTION_PX), mode="bilinear"
            )
        n = len(points)
        if self._is_hq:
            levels, early = encoded
            inputs["intermediate_embeddings"] = [level.expand(n, -1, -1, -1) for level in early]
        else:
            levels = encoded
        found = self._network(image_embeddings=levels.expand(n, -1, -1, -1), **inputs)
        low = found.pred_masks[:, 0, :1]
        whole = F.interpolate(low, (INPUT_PX, INPUT_PX), mode="bilinear", align_corners=False)
        rows, columns = (round(side * scale) for side in prompting.image_shape)
        seen = whole[..., :rows, :columns]
        return F.interpolate(seen, prompting.image_shape, mode="bilinear", align_corners=False)[:, 0]

    def forget_prepared(self, encoded: Any) -> None:
        """SAM keeps nothing."""


class TinyViTEncoder(nn.Module):
    """MobileSAM's encoder: `(B, 3, 1024, 1024)` → `(B, 256, 64, 64)`."""

    def __init__(self) -> None:
        super().__init__()
        import timm

        self.body = timm.create_model("tiny_vit_5m_224", pretrained=False, features_only=False)
        # the last stage keeps 1/16
        self.body.stages[3].downsample.conv2.conv.stride = (1, 1)
        self.neck = nn.Sequential(
            nn.Conv2d(320, 256, 1, bias=False),
            nn.GroupNorm(1, 256),
            nn.Conv2d(256, 256, 3, padding=1, bias=False),
            nn.GroupNorm(1, 256),
        )

    def forward(self, pixel_values: Tensor) -> tuple[Tensor]:
        """Encode; a tuple, as encoders of `transformers` give."""
        x = self.body.patch_embed(pixel_values)
        for stage in self.body.stages:
            x = stage(x)
        return (self.neck(x),)


def _sam() -> Any:
    from transformers import SamConfig, SamModel

    return SamModel(SamConfig())


def _hq_sam() -> Any:
    from transformers import SamHQConfig, SamHQModel

    return SamHQModel(SamHQConfig())


def _mobile_sam() -> Any:
    network = _sam()
    network.vision_encoder = TinyViTEncoder()
    return network


PEERS: dict[str, Callable[[], Any]] = {"sam-vit-b": _sam, "hq-sam-vit-b": _hq_sam, "mobile-sam": _mobile_sam}
"""By name."""
