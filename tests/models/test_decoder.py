from __future__ import annotations

import torch
from torch.nn import functional as F

from napari_segnext.models.config import DecoderConfig
from napari_segnext.models.decoder import MLPHead


def head_as_published(head: MLPHead, pyramid):
    """Enlarge all levels, join them, then convolve."""
    maps = [conv(pyramid[level]) for conv, level in zip(head.convs, head.levels, strict=True)]
    enlarged = [F.interpolate(one, maps[0].shape[-2:], mode="bilinear", align_corners=False) for one in maps]
    return head.seg_conv(head.fusion_conv(torch.cat(enlarged, dim=1)))


def test_convolving_before_enlarging_gives_the_published_logits():
    torch.manual_seed(0)
    head = MLPHead(DecoderConfig(pyramid_widths=(6, 8, 10, 12), head_width=16)).eval()
    pyramid = tuple(torch.randn(2, width, 32 // 2**i, 24 // 2**i) for i, width in enumerate((6, 8, 10, 12)))
    with torch.inference_mode():
        torch.testing.assert_close(head(pyramid), head_as_published(head, pyramid), atol=1e-5, rtol=1e-5)


def test_head_reads_only_the_levels_of_its_config():
    torch.manual_seed(0)
    head = MLPHead(DecoderConfig(pyramid_widths=(6, 8, 10, 12), levels=(1, 3), head_width=16)).eval()
    pyramid = tuple(torch.randn(1, width, 32 // 2**i, 32 // 2**i) for i, width in enumerate((6, 8, 10, 12)))
    changed = (torch.zeros_like(pyramid[0]), pyramid[1], torch.zeros_like(pyramid[2]), pyramid[3])
    with torch.inference_mode():
        logits = head(pyramid)
        torch.testing.assert_close(logits, head(changed))
    assert logits.shape == (1, 1, 16, 16)
