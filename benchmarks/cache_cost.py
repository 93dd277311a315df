"""What the cache of embeddings costs and changes: seconds of first clicks, and pixels of masks by rounding to float16.

    python benchmarks/cache_cost.py [--images 40] [--pack FOLDER] [--rounds 10]

All variants of one image follow each other in one process. `exact` rounds nothing; `memory` is what sessions do; `cold`
has an empty folder, `warm` one that another process has filled. The masks are those after one and after five clicks of
the simulated user on objects of an evaluation pack, with the model's own preference for zoom.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from skimage import data

from napari_segnext import Click, Session, load_model
from napari_segnext.datasets import open_dataset
from napari_segnext.prompts.simulated_user import next_click
from napari_segnext.session import EmbeddingCache, EmbeddingStore

MAX_BYTES = 10**9


def first_click(model, image, cache):
    start = time.perf_counter()
    session = Session(model, image, cache=cache)
    opened = time.perf_counter()
    session.add(Click(100, 100))
    return opened - start, time.perf_counter() - opened


def print_latency(model, n_rounds):
    image = data.coins()
    first_click(model, image, EmbeddingCache())
    seconds = {name: [] for name in ("exact", "memory", "cold", "warm")}
    for _ in range(n_rounds):
        with tempfile.TemporaryDirectory() as name:
            cold = EmbeddingCache(store=EmbeddingStore(Path(name), max_bytes=MAX_BYTES))
            for variant, cache in (
                ("exact", EmbeddingCache(is_exact=True)),
                ("memory", EmbeddingCache()),
                ("cold", cold),
            ):
                seconds[variant].append(first_click(model, image, cache))
            cold.flush()
            warm = EmbeddingCache(store=EmbeddingStore(Path(name), max_bytes=MAX_BYTES))
            seconds["warm"].append(first_click(model, image, warm))
    for variant, times in seconds.items():
        opening, click = (1e3 * statistics.median(column) for column in zip(*times, strict=True))
        print(f"{variant:<7} open the image {opening:7.1f} ms   first click {click:7.1f} ms")


def clicks_on(model, image, truth, n_clicks):
    """Those that the simulated user makes without rounding."""
    session = Session(model, image, cache=EmbeddingCache(is_exact=True))
    mask, clicks = np.zeros(truth.shape, bool), []
    for _ in range(n_clicks):
        clicks.append(next_click(truth, mask, already_clicked=clicks))
        mask = session.add(clicks[-1]).mask
    return clicks


def masks_after(model, image, clicks, *, is_exact):
    session = Session(model, image, cache=EmbeddingCache(is_exact=is_exact))
    return [session.add(click).mask for click in clicks]


def print_changes(model, samples):
    changed = {1: [], 5: []}
    for sample in samples:
        loaded = sample.read()
        truth = loaded.truth_of(loaded.objects[0])
        clicks = clicks_on(model, loaded.image, truth, max(changed))
        exact, kept = (masks_after(model, loaded.image, clicks, is_exact=is_exact) for is_exact in (True, False))
        for n_clicks, shares in changed.items():
            shares.append(float((exact[n_clicks - 1] != kept[n_clicks - 1]).mean()))
    for n_clicks, shares in changed.items():
        print(
            f"{n_clicks} clicks, {len(shares)} objects: rounding changes {np.mean(shares):.4%} of the pixels in the "
            f"mean, {np.max(shares):.4%} at most, none for {np.mean(np.array(shares) == 0):.0%} of the objects"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="segnext-tiny")
    parser.add_argument("--pack", type=Path)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    model = load_model(arguments.model, "cpu")
    print_latency(model, arguments.rounds)
    if arguments.pack:
        print_changes(model, open_dataset("pack", arguments.pack, limit=arguments.images, max_objects_per_image=1))


if __name__ == "__main__":
    main()
