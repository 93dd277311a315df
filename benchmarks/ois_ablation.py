"""What each part of OIS is worth: the ablation of the paper (Table 4), trained and evaluated here.

Each variant is trained from the same first weights by the same short recipe with several seeds, then answers the same
simulated clicks on held-out layered scenes with their true depth, and on a pack of real images with the depth that the
network sees. What is done is kept in the output folder: run it again to go on after a kill.

Each number is the mean IoU over objects and seeds. Differences from the full model are paired by object; their 95 %
intervals come from drawing seeds and objects anew together.

python benchmarks/ois_ablation.py --config training_configs/ois-tiny.toml --pack ../shared/data/eval_dev
python benchmarks/ois_ablation.py --seeds 1 --steps 20 --objects 5      # a look at whether it runs
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

VARIANTS: dict[str, tuple[str, ...]] = {
    "full": (),
    "without order": ("model.order.uses_order=false",),
    "without object": ("model.order.uses_object=false",),
    "without sparse": ("model.order.uses_sparse=false",),
    "without dense": ("model.order.uses_dense=false",),
}
SHOWN = (1, 3)
"""After how many clicks."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("training_configs/ois-tiny.toml"))
    parser.add_argument("--output", type=Path, default=Path("runs/ois-ablation"))
    parser.add_argument("--weights", default="", help="first weights; by default those that the config names")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--batch", type=int, default=8, help="images in a step, with two objects each")
    parser.add_argument("--objects", type=int, default=30, help="of layered scenes")
    parser.add_argument("--pack", type=Path, default=None, help="real images, as evaluate --dataset pack")
    parser.add_argument("--per-domain", type=int, default=2, help="objects of each domain of the pack")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.output.mkdir(parents=True, exist_ok=True)
    for seed in range(1, options.seeds + 1):
        for variant in options.variants:
            weights = trained(variant, seed, options)
            evaluated(variant, seed, weights, options)
            print(f"{variant}, seed {seed}: done", flush=True)
    print(table(options))


def name_of(variant: str, seed: int) -> str:
    """Of a run: its folder, weights and results."""
    return f"{variant.partition(' (')[0].replace(' ', '-')}-{seed}"


def trained(variant: str, seed: int, options: argparse.Namespace) -> Path:
    """Weights of a variant; those that lie there already are taken."""
    from napari_segnext.training.config import read_training_config
    from napari_segnext.training.trainer import Trainer

    name = name_of(variant, seed)
    changes = [
        *VARIANTS[variant],
        # answers from the image alone, without its mirror image, take half the time
        "model.sees_mirrored=false",
        f"seed={seed}",
        f"name={name}",
        f"stages=[{{n_steps = {options.steps}, crop_px = 128, batch_size = {options.batch}}}]",
    ]
    changes += [f"output={(options.output / name).resolve()}"]
    if options.weights:
        changes.append(f"initial_weights={Path(options.weights).resolve()}")
    config = read_training_config(options.config, changes)
    if not config.weights_path.is_file():
        for _ in Trainer(config).run():
            pass
    return config.weights_path


def evaluated(variant: str, seed: int, weights: Path, options: argparse.Namespace) -> None:
    """IoU of each object after each click, in a JSON file beside the weights."""
    from napari_segnext.evaluation import SessionMethod
    from napari_segnext.weights import load_model

    path = weights.with_suffix(".json")
    if path.is_file():
        return
    model: Any = load_model(weights, "cpu")
    found: dict[str, Any] = {"sigma": [float(block.sigma) for block in model.blocks]}
    for name, (dataset, takes_true_depth) in datasets(options).items():
        found[name] = ious(SessionMethod(model, takes_true_depth=takes_true_depth), dataset)
    path.write_text(json.dumps(found), encoding="utf8")


def datasets(options: argparse.Namespace) -> dict[str, tuple[Any, bool]]:
    """Name → (images with objects, whether the true depth is given)."""
    from napari_segnext.datasets import open_dataset

    layered = open_dataset("layered", max_objects=options.objects)
    found = {"layered scenes, true depth": (layered, True)}
    if options.pack is not None:
        pack = open_dataset("pack", options.pack, min_object_px=50, max_objects_per_group=options.per_domain)
        found["real images"] = (pack, False)
    return found


def ious(method: Any, dataset: Any) -> dict[str, list[float]]:
    """Object → IoU after each click."""
    from napari_segnext.evaluation import EvaluationSettings, evaluate_side_by_side
    from napari_segnext.evaluation.protocol import Contestant

    contestant = Contestant(method, EvaluationSettings(max_clicks=max(SHOWN)))
    return {results[0].id: list(results[0].ious) for results in evaluate_side_by_side([contestant], dataset)}


def table(options: argparse.Namespace) -> str:
    """Means, and differences from the full model."""
    results = {
        variant: [read(variant, seed, options) for seed in range(1, options.seeds + 1)] for variant in options.variants
    }
    names = [name for name in next(iter(results.values()))[0] if name != "sigma"]
    lines = [f"IoU in %, {options.seeds} seeds, {options.steps} steps of {options.batch} images", ""]
    for name in names:
        lines.append(f"| {name} | " + " | ".join(f"@{k} | difference @{k}" for k in SHOWN) + " |")
        lines.append("|---" * (1 + 2 * len(SHOWN)) + "|")
        for variant, runs in results.items():
            cells = [cell(stacked(runs, name, k), stacked(results["full"], name, k), variant) for k in SHOWN]
            lines.append(f"| {variant} | " + " | ".join(cells) + " |")
        lines.append("")
    sigmas = {variant: np.mean([run["sigma"] for run in runs], axis=0).round(2) for variant, runs in results.items()}
    lines.append(f"sigma of the blocks, full: {sigmas['full'].tolist()}")
    return "\n".join(lines)


def read(variant: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    name = name_of(variant, seed)
    found: dict[str, Any] = json.loads((options.output / name / f"{name}.json").read_text("utf8"))
    return found


def stacked(runs: list[dict[str, Any]], name: str, k: int) -> NDArray[np.float64]:
    """`(seeds, objects)`: IoU after k clicks, in percent."""
    return np.array([[100 * ious[k - 1] for _, ious in sorted(run[name].items())] for run in runs])


def cell(values: NDArray[np.float64], full: NDArray[np.float64], variant: str) -> str:
    if variant == "full":
        return f"**{values.mean():.1f}** | "
    difference = values - full
    rng = np.random.default_rng(0)
    n_seeds, n_objects = difference.shape
    means = [
        difference[rng.integers(n_seeds, size=n_seeds)][:, rng.integers(n_objects, size=n_objects)].mean()
        for _ in range(2000)
    ]
    low, high = np.quantile(means, (0.025, 0.975))
    return f"{values.mean():.1f} | {difference.mean():+.1f} ({low:+.1f} to {high:+.1f})"


if __name__ == "__main__":
    main()
