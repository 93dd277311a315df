"""What each exact speed-up gives on its own, and where the time of one click goes before and after.

Each part of SegNext ViT-B SA×2 is done in turns as the plain transcription of the original does it and as we do, on the
same tensors. A first click, whose previous mask is empty, has a first fusion block of its own.

python benchmarks/speed_parts.py --repeats 5 --json parts.json
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transcription as plain
from torch import nn

from napari_segnext.evaluation.benchmark import in_turns, ratios, spread
from napari_segnext.models.config import SegNextConfig
from napari_segnext.models.prompt_map import embed_patches, touched_patches
from napari_segnext.models.segnext import SegNext

if TYPE_CHECKING:
    from collections.abc import Callable

    Pair = tuple[Callable[[], object], Callable[[], object]]

CLICK_PARTS = (
    "prompt map", "prompt embedding", "first fusion block", "second fusion block", "pyramid", "head", "to the image",
)  # fmt: skip
"""What a click consists of, one after the other."""

GRID = (64, 64)
IMAGE_SHAPE = (1024, 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", default="")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    with torch.inference_mode():
        found = {
            name: in_turns({"before": before, "after": after}, repeats=options.repeats, device=device)
            for name, (before, after) in parts(device).items()
        }
    print(table(found))
    if options.json:
        report = {
            name: {**{key: asdict(spread(values)) for key, values in seconds.items()}, "ratio": asdict(ratio(seconds))}
            for name, seconds in found.items()
        }
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf8")


def parts(device: torch.device) -> dict[str, Pair]:
    """(as the original does it, as we do) by name."""
    torch.manual_seed(0)
    network = SegNext(SegNextConfig()).to(device).eval().requires_grad_(False)
    old = plain.Transcription(network)
    clicks = torch.tensor([[[400.0, 500.0, 1.0], [620.0, 300.0, 1.0], [100.0, 900.0, -1.0]]], device=device)
    mask = torch.rand(1, *IMAGE_SHAPE, device=device)
    return {
        **_of_encoder(network, device),
        **_of_prompts(network, old, clicks, mask),
        **_of_fusion(network, clicks, device),
        **_of_decoder(network, device),
    }


def _of_encoder(network: SegNext, device: torch.device) -> dict[str, Pair]:
    tokens = torch.randn(1, GRID[0] * GRID[1], 768, device=device)
    encoder, windowed, whole = network.encoder, network.encoder.blocks[0], network.encoder.blocks[2]

    def cut_once() -> torch.Tensor:
        return encoder._joined(windowed(windowed(encoder._cut(tokens))))

    def cut_twice() -> torch.Tensor:
        once = plain.windowed(windowed, tokens, GRID, encoder.n_windows)
        return plain.windowed(windowed, once, GRID, encoder.n_windows)

    return {
        "global block of the encoder (fused attention)": (
            lambda: plain.block_of(whole, tokens),
            lambda: whole(tokens),
        ),
        "two windowed blocks (fused attention, cut once)": (cut_twice, cut_once),
    }


def _of_prompts(network: SegNext, old: Any, clicks: torch.Tensor, mask: torch.Tensor) -> dict[str, Pair]:
    projection = network.prompt_embedding.proj
    prompt_map = network.draw_prompt_map(clicks, mask, IMAGE_SHAPE)
    return {
        "prompt map": (
            lambda: old._prompt_map(IMAGE_SHAPE, clicks, mask),
            lambda: network.draw_prompt_map(clicks, mask, IMAGE_SHAPE),
        ),
        "prompt embedding": (lambda: projection(prompt_map), lambda: network.prompt_embedding(prompt_map)),
    }


def _of_fusion(network: SegNext, clicks: torch.Tensor, device: torch.device) -> dict[str, Pair]:
    first, second = network.fusion.blocks
    level = torch.randn(1, 768, *GRID, device=device)
    projection = network.prompt_embedding.proj
    base = network.fusion.base_of(level, projection.bias)
    empty = network.draw_prompt_map(clicks, torch.zeros(1, *IMAGE_SHAPE, device=device), IMAGE_SHAPE)
    touched, is_touched = touched_patches(empty, 16) or (None, None)
    tokens = base.tokens[touched] + embed_patches(empty, touched, projection.weight)
    whole = (level + projection(empty)).flatten(2).transpose(1, 2)

    def only_touched() -> object:
        from napari_segnext.models.touched_fusion import fuse_touched

        return fuse_touched(first, base, touched, is_touched, tokens)

    return {
        "first fusion block": (lambda: plain.block_of(first, whole), lambda: first(whole)),
        "first fusion block, empty mask": (lambda: plain.block_of(first, whole), only_touched),
        "second fusion block": (lambda: plain.block_of(second, whole), lambda: second(whole)),
    }


def _of_decoder(network: SegNext, device: torch.device) -> dict[str, Pair]:
    fused = torch.randn(1, GRID[0] * GRID[1], 768, device=device).transpose(1, 2).reshape(1, 768, *GRID)
    decoder = network.decoder
    old_levels, new_levels = plain.pyramid(decoder.pyramid, fused), decoder.pyramid(fused)
    logits = torch.randn(1, 1, 256, 256, device=device)

    def to_the_image() -> torch.Tensor:
        enlarged = nn.functional.interpolate(logits, IMAGE_SHAPE, mode="bilinear", align_corners=True)
        return nn.functional.interpolate(enlarged, IMAGE_SHAPE, mode="bilinear", align_corners=False)

    return {
        "pyramid": (lambda: plain.pyramid(decoder.pyramid, fused), lambda: decoder.pyramid(fused)),
        "head": (lambda: plain.head(decoder.head, old_levels), lambda: decoder.head(new_levels)),
        "to the image": (to_the_image, to_the_image),
    }


def ratio(seconds: dict[str, tuple[float, ...]]) -> Any:
    return ratios(seconds["after"], seconds["before"])


def table(found: dict[str, dict[str, tuple[float, ...]]]) -> str:
    """Markdown: each part, then the sums of a click."""
    lines = ["| part | as the original, s | ours, s | ratio (quartiles) |", "|---|---|---|---|"]
    for name, seconds in found.items():
        times = ratio(seconds)
        before, after = (spread(seconds[key]).median for key in ("before", "after"))
        lines.append(
            f"| {name} | {before:.3g} | {after:.3g} | **{times.median:.2f}** ({times.low:.2f} to {times.high:.2f}) |"
        )
    for title, changed in (
        ("a click", {}),
        ("a first click", {"first fusion block": "first fusion block, empty mask"}),
    ):
        names = [changed.get(part, part) for part in CLICK_PARTS]
        before, after = (sum(spread(found[name][key]).median for name in names) for key in ("before", "after"))
        lines.append(f"| {title}: the sum of its parts | {before:.3g} | {after:.3g} | **{after / before:.2f}** |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
