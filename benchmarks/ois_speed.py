"""What a click and a grid of clicks cost with OIS, over what they cost with SegNext of the same encoder size.

Both have random weights (time does not depend on them) and answer the same prompts on the same image, in turns, so that
what else the machine does falls on both. Reported are medians, their quartiles, and the median of the ratios of turns.

1. encode: image → embedding; of OIS the depth map is part of it.
2. click: one more click on an embedding (n clicks so far, with a previous mask), as the papers' SPC without encoding.
3. grid: all clicks of a grid of points, each its own prompt, a batch at a time; per point, and for the whole grid.

python benchmarks/ois_speed.py                         # ViT-B at the papers' input size, and our tiny ones
python benchmarks/ois_speed.py --pairs tiny --repeats 20
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from napari_segnext.evaluation.benchmark import in_turns, ratios, spread

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE_SHAPE = (1024, 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", nargs="+", choices=sorted(PAIRS), default=sorted(PAIRS))
    parser.add_argument("--repeats", type=int, default=7, help="turns of each measurement")
    parser.add_argument("--grid", type=int, default=16, help="points a side; of large models one batch is measured")
    parser.add_argument("--batch", type=int, default=4, help="points answered at once")
    parser.add_argument("--no-encode", action="store_true", help="measure clicks and grids only")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", default="", help="file to write the report to")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    report = {
        "torch": torch.__version__,
        "device": options.device,
        "threads": options.threads,
        "pairs": {name: measured(*PAIRS[name](), options) for name in options.pairs},
    }
    print(table(report))
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf8")


def vit_b() -> tuple[Any, Any]:
    """SegNext ViT-B SA×2 as published, and OIS on Depth Anything V2 Base."""
    from napari_segnext.models.config import SegNextConfig
    from napari_segnext.models.ois import OIS
    from napari_segnext.models.ois_config import OISConfig
    from napari_segnext.models.segnext import SegNext

    return SegNext(SegNextConfig()), OIS(OISConfig())


def tiny() -> tuple[Any, Any]:
    """Ours, both with the hybrid encoder at 384 px, without the mirror image."""
    from napari_segnext.models.config import FusionConfig, HybridConfig, SegNextConfig
    from napari_segnext.models.ois import OIS
    from napari_segnext.models.ois_config import OISConfig, OrderConfig
    from napari_segnext.models.segnext import SegNext

    shared = {"input_shape": (384, 384), "encoder": HybridConfig(), "click_radius_px": 4.0, "keeps_aspect": True}
    order = OrderConfig(n_heads=4, attention_width=128, sees_previous_mask=True, draws_order=True)
    ois = OISConfig(order=order, context_depth=2, sees_depth=False, **shared)
    return SegNext(SegNextConfig(fusion=FusionConfig(n_heads=4), **shared)), OIS(ois)


PAIRS: dict[str, Callable[[], tuple[Any, Any]]] = {"vit-b": vit_b, "tiny": tiny}


def measured(segnext: Any, ois: Any, options: argparse.Namespace) -> dict[str, Any]:
    models = {"segnext": segnext, "ois": ois}
    for model in models.values():
        model.to(options.device).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(3, *IMAGE_SHAPE, generator=generator)
    with torch.inference_mode():
        embeddings = {name: model.encode_image(image) for name, model in models.items()}
        found: dict[str, Any] = {}
        if not options.no_encode:
            jobs = {name: lambda m=model: m.encode_image(image) for name, model in models.items()}
            found["encode"] = timed(jobs, options)
        for n_clicks in (1, 5, 20):
            prompts = clicks_of(1, n_clicks, generator).to(options.device)
            masks = torch.rand(1, *IMAGE_SHAPE, generator=generator).to(options.device)
            jobs = {
                name: lambda m=model, e=embeddings[name], p=prompts, k=masks: m.predict_logits(e, p, k)
                for name, model in models.items()
            }
            found[f"click {n_clicks}"] = timed(jobs, options)
        found["grid point"] = grid_point(models, embeddings, generator, options)
    found["grid seconds"] = {name: found["grid point"][name]["median"] * options.grid**2 for name in models}
    return found


def grid_point(
    models: dict[str, Any], embeddings: dict[str, Any], generator: torch.Generator, options: argparse.Namespace
) -> dict[str, Any]:
    prompts = clicks_of(options.batch, 1, generator).to(options.device)
    masks = torch.zeros(options.batch, *IMAGE_SHAPE, device=options.device)
    jobs = {
        name: lambda m=model, e=embeddings[name]: m.predict_logits(e, prompts, masks) for name, model in models.items()
    }
    return timed(jobs, options, per=options.batch)


def clicks_of(n_sets: int, n_clicks: int, generator: torch.Generator) -> torch.Tensor:
    clicks = torch.rand(n_sets, n_clicks, 3, generator=generator) * torch.tensor([*IMAGE_SHAPE, 1.0])
    clicks[..., 2] = 1 - 2 * (torch.arange(n_clicks) % 2)
    return clicks


def timed(jobs: dict[str, Callable[[], Any]], options: argparse.Namespace, *, per: int = 1) -> dict[str, Any]:
    """Spread of the seconds of each job, and of their ratio."""
    seconds = in_turns(jobs, repeats=options.repeats, device=torch.device(options.device))
    found = {name: asdict(spread([value / per for value in values])) for name, values in seconds.items()}
    return {**found, "ratio": asdict(ratios(seconds["ois"], seconds["segnext"]))}


def table(report: dict[str, Any]) -> str:
    lines = ["| | SegNext, s | OIS, s | OIS / SegNext (quartiles) |", "|---|---|---|---|"]
    for pair, found in report["pairs"].items():
        for what, values in found.items():
            if "ratio" not in values:
                continue
            ratio = values["ratio"]
            lines.append(
                f"| {pair}, {what} | {values['segnext']['median']:.3f} | {values['ois']['median']:.3f} "
                f"| **{ratio['median']:.2f}** ({ratio['low']:.2f} to {ratio['high']:.2f}) |"
            )
        seconds = found["grid seconds"]
        lines.append(f"| {pair}, grid of points | {seconds['segnext']:.1f} | {seconds['ois']:.1f} | |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
